//! What a container may have beyond what a run's own containers need: services ask for it.

use std::time::Duration;

use bollard::models::{ContainerCreateBody, HealthConfig};

use crate::inputs::HealthCheck;

/// What a container may have beyond the usual.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// User of its process.
    pub user: Option<String>,
    /// Working directory of its process.
    pub working_dir: Option<String>,
    /// What it takes for its host's name.
    pub hostname: Option<String>,
    /// Directories in memory, each with its mount options.
    pub tmpfs: Vec<(String, String)>,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: Option<i64>,
    /// Whether an init process runs above its own; the daemon decides, if absent.
    pub init: Option<bool>,
    /// Replaces the image's health check, or parts of it.
    pub health_check: Option<HealthCheck>,
}

impl Extras {
    /// Puts them into the body of `POST /containers/create`.
    pub(super) fn add_to(&self, body: &mut ContainerCreateBody) {
        body.user = self.user.clone();
        body.working_dir = self.working_dir.clone();
        body.hostname = self.hostname.clone();
        body.healthcheck = self.health_check.as_ref().map(health_config);
        let host = body.host_config.get_or_insert_default();
        host.tmpfs = (!self.tmpfs.is_empty()).then(|| self.tmpfs.iter().cloned().collect());
        host.shm_size = self.shm_size;
        host.init = self.init;
    }
}

/// The API takes nanoseconds; 0 stands for the image's.
fn health_config(check: &HealthCheck) -> HealthConfig {
    let nanos = |time: Option<Duration>| time.map(|time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
    HealthConfig {
        test: (!check.test.is_empty()).then(|| check.test.clone()),
        interval: nanos(check.interval),
        timeout: nanos(check.timeout),
        retries: check.retries,
        start_period: nanos(check.start_period),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_is_left_to_image_and_daemon() {
        let mut body = ContainerCreateBody::default();
        Extras::default().add_to(&mut body);
        let plain = serde_json::to_value(&body).unwrap();
        assert_eq!(plain, serde_json::json!({"HostConfig": {}}));

        let check = HealthCheck {
            test: vec!["CMD".into(), "pg_isready".into()],
            interval: Some(Duration::from_millis(500)),
            ..HealthCheck::default()
        };
        let tmpfs = vec![("/data".into(), "size=64m".into())];
        Extras { health_check: Some(check), tmpfs, shm_size: Some(1 << 20), ..Extras::default() }.add_to(&mut body);
        let full = serde_json::to_value(&body).unwrap();
        assert_eq!(full["Healthcheck"], serde_json::json!({"Test": ["CMD", "pg_isready"], "Interval": 500_000_000}));
        assert_eq!(full["HostConfig"], serde_json::json!({"Tmpfs": {"/data": "size=64m"}, "ShmSize": 1 << 20}));
    }
}
