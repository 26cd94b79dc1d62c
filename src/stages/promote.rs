//! promote: candidate → live, by a CNAME swap that is confirmed by identity through the API; DNS is asked as well.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::RUN_LABEL;
use crate::docker::{Docker, Labels};
use crate::engine::{StageCx, in_words, retry};
use crate::fault::Fault;
use crate::probe::client::{Prober, Standpoint};
use crate::targets::beanstalk::{Beanstalk, Candidate, Promoted, Survey};

/// The platform's DNS records live for 60 s (see "Blue/Green deployments" in the Elastic Beanstalk guide).
const DNS_LIMIT: Duration = Duration::from_secs(120);

/// Who asks the name server, and from where.
pub struct Asker<'a> {
    /// A helper container asks, if there is a daemon; else this process.
    pub docker: Option<&'a Docker>,
    /// Where the helper stands.
    pub standpoint: Standpoint,
    /// The helper's labels.
    pub labels: &'a Labels,
}

/// Swaps, and waits until the live name resolves. An unconfirmed name is a warning: the API is what counts.
///
/// # Errors
/// When the swap did not take place.
pub async fn promote(
    cx: &StageCx,
    target: &Beanstalk,
    survey: &Survey,
    candidate: &Candidate,
    asker: &Asker<'_>,
) -> Result<Promoted, Fault> {
    let promoted = target.promote(cx, survey, candidate).await?;
    confirm(cx, &promoted, asker).await;
    Ok(promoted)
}

/// Waits until the live name resolves to the environment that holds it now. The swap stands by now: what cannot be
/// confirmed is a warning.
pub async fn confirm(cx: &StageCx, promoted: &Promoted, asker: &Asker<'_>) {
    let prober = match asker.docker {
        Some(docker) => {
            let name = format!("beanline-dns-{}", asker.labels.get(RUN_LABEL).map_or("run", String::as_str));
            let start = Prober::start(cx, docker, &name, &asker.standpoint, asker.labels);
            timeout(DNS_LIMIT, start).await.unwrap_or_else(|_| {
                Err(Fault::timed_out(format!("the container that asks did not start within {}", in_words(DNS_LIMIT))))
            })
        }
        None => Ok(Prober::here()),
    };
    confirm_name(cx, prober, promoted).await;
}

/// The swap stands by now: whatever happens here is a warning.
async fn confirm_name(cx: &StageCx, prober: Result<Prober, Fault>, promoted: &Promoted) {
    match prober {
        Ok(prober) => ask_dns(cx, &prober, promoted).await,
        Err(fault) => cx.warn(format!(
            "the swap is done, but the name server was not asked about {}: {fault}",
            promoted.live_cname
        )),
    }
}

async fn ask_dns(cx: &StageCx, prober: &Prober, promoted: &Promoted) {
    let began = Instant::now();
    let mut last = String::from("it was never asked");
    while began.elapsed() < DNS_LIMIT {
        let endpoint = match promoted.endpoint.is_empty() {
            true => Err("the environment has no endpoint yet".to_owned()),
            false => prober.resolve(&promoted.endpoint).await,
        };
        match (prober.resolve(&promoted.live_cname).await, endpoint) {
            (Ok(live), Ok(endpoint)) if live.iter().any(|address| endpoint.contains(address)) => {
                cx.note(format!("{} resolves to the new environment", promoted.live_cname));
                return;
            }
            (Ok(_), Ok(_)) => last = "it still resolves to the previous environment".into(),
            (Err(error), _) | (_, Err(error)) => last = error,
        }
        retry::pause(Duration::from_secs(2)).await;
    }
    cx.warn(format!(
        "the swap is done, but {} did not resolve to the new environment within {}: {last}; the name server \
         used here may cache",
        promoted.live_cname,
        in_words(DNS_LIMIT)
    ));
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::engine::cancel::Cancel;
    use crate::engine::event::{EventKind, Outcome, Stage};
    use crate::engine::{Engine, events};

    #[tokio::test]
    async fn a_name_that_nobody_can_ask_about_is_a_warning() {
        let (sender, mut receiver) = events();
        let engine = Engine::new(sender, Cancel::never(), Rc::new(|_, _| Box::pin(async { Ok(()) })));
        let promoted = Promoted { live_cname: "shop.test".into(), endpoint: "lb.test".into(), previous: None };
        let work = async |cx: &StageCx| {
            confirm_name(cx, Err(Fault::new("no space left on device")), &promoted).await;
            Ok(())
        };
        assert!(engine.stage(Stage::Promote, DNS_LIMIT, work).await.is_ok());
        drop(engine);
        let (mut warning, mut passed) = (String::new(), false);
        while let Some(event) = receiver.next().await {
            match event.kind {
                EventKind::StageWarning { text, .. } => warning = text,
                EventKind::StageFinished { outcome, .. } => passed = matches!(outcome, Outcome::Passed),
                _ => {}
            }
        }
        assert!(passed && warning.contains("shop.test") && warning.contains("no space left on device"), "{warning}");
    }
}
