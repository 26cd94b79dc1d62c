//! One service out of the compose crate's types.

use std::collections::BTreeMap;

use docker_compose_types::{
    Command, DependsOnOptions, Entrypoint, Environment, Healthcheck, HealthcheckTest, Labels, MapOrEmpty, Networks,
    Ports, PullPolicy as Pull, Service, Tmpfs,
};

use super::{APP, told, units};
use crate::inputs::problem::{Wrong, shown};
use crate::inputs::{Condition, HealthCheck, PullPolicy, Secret, ServicePlan};

/// The least memory that docker gives a container, in bytes.
const LEAST_MEMORY: i64 = 6 << 20;

/// Labels of ours, which nobody else may set.
const OURS: &str = "io.beanline.";

/// Reads one service and keeps what is wrong with it.
pub(super) struct Reader<'a> {
    /// Its name.
    pub name: &'a str,
    /// The environment of the run.
    pub variables: &'a BTreeMap<String, String>,
    /// Values that were filled in and must not be shown.
    pub secrets: &'a [Secret],
    /// Values that were filled in below any key, which no message shows.
    pub values: &'a [(String, Secret)],
    /// What is wrong.
    pub wrongs: Vec<Wrong>,
}

impl Reader<'_> {
    /// Makes the plan; what is wrong is in `wrongs` afterwards.
    pub(super) fn read(&mut self, service: Service) -> ServicePlan {
        let image = service.image.unwrap_or_default();
        if image.trim().is_empty() {
            self.wrong("names no image", "", "write image, such as postgres:16");
        }
        let mut ports: Vec<u16> = service.expose.iter().flat_map(|text| self.port("expose", text)).collect();
        ports.extend(self.published(service.ports));
        ports.sort_unstable();
        ports.dedup();
        ServicePlan {
            name: self.name.to_owned(),
            image,
            pull: self.pull(service.pull_policy),
            entrypoint: service.entrypoint.and_then(|entrypoint| match entrypoint {
                Entrypoint::Simple(text) => self.words("entrypoint", &text),
                Entrypoint::List(words) => Some(words),
            }),
            command: service.command.and_then(|command| match command {
                Command::Simple(text) => self.words("command", &text),
                Command::Args(words) => Some(words),
            }),
            env: self.environment(service.environment),
            ports,
            health_check: service.healthcheck.map(|check| self.health_check(check)),
            depends_on: self.dependencies(service.depends_on),
            is_to_end: false,
            tmpfs: self.tmpfs(service.tmpfs),
            aliases: self.aliases(service.networks),
            hostname: service.hostname.filter(|name| self.is_free("hostname", name)),
            user: service.user,
            working_dir: service.working_dir,
            shm_size: service.shm_size.and_then(|text| self.bytes("shm_size", &text, 1)),
            memory: service.mem_limit.and_then(|text| self.bytes("mem_limit", &text, LEAST_MEMORY)),
            init: service.init.then_some(true),
            labels: self.labels(service.labels),
        }
    }

    /// Keeps what is wrong; `what` is read after `has NAME.KEY`.
    fn wrong(&mut self, what: &str, key: &str, instead: impl Into<String>) {
        let wrong = match key {
            "" => format!("has the service {}, which {what}", shown(self.name)),
            _ => format!("has {}{what}", shown(&format!("{}.{key}", self.name))),
        };
        self.wrongs.push(Wrong::new(wrong, instead));
    }

    fn pull(&mut self, policy: Option<Pull>) -> PullPolicy {
        match policy {
            None | Some(Pull::Missing) => PullPolicy::Missing,
            Some(Pull::Always) => PullPolicy::Always,
            Some(Pull::Never) => PullPolicy::Never,
            Some(Pull::Build) => {
                self.wrong(" build", "pull_policy", "write missing, always or never: services are not built");
                PullPolicy::Missing
            }
        }
    }

    fn words(&mut self, key: &str, text: &str) -> Option<Vec<String>> {
        let words = units::words(text);
        if words.is_none() {
            self.wrong(", whose quotes do not match", key, "write it as a list: [\"program\", \"argument\"]");
        }
        words
    }

    fn port(&mut self, key: &str, text: &str) -> Vec<u16> {
        units::ports(text).unwrap_or_else(|| {
            let what = format!(" with {}", self.told(key, text));
            self.wrong(&what, key, "write a port of the container, such as 5432 or 5432/tcp");
            Vec::new()
        })
    }

    fn published(&mut self, ports: Ports) -> Vec<u16> {
        match ports {
            Ports::Short(texts) => texts.iter().flat_map(|text| self.port("ports", text)).collect(),
            // All are short by now.
            Ports::Long(_) => Vec::new(),
        }
    }

    fn bytes(&mut self, key: &str, text: &str, least: i64) -> Option<i64> {
        let bytes = units::bytes(text).filter(|bytes| *bytes >= least);
        if bytes.is_none() {
            let least = if least == LEAST_MEMORY { ", at least 6m" } else { "" };
            let what = format!(" with {}", self.told(key, text));
            self.wrong(&what, key, format!("write a size such as 256m or 1g{least}"));
        }
        bytes
    }

    /// In the order of the alphabet: it has no meaning in compose either.
    fn environment(&mut self, environment: Environment) -> Vec<(String, Secret)> {
        let written: Vec<(String, Option<String>)> = match environment {
            Environment::List(lines) => {
                let pair = |line: String| match line.split_once('=') {
                    Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                    None => (line, None),
                };
                lines.into_iter().map(pair).collect()
            }
            Environment::KvPair(map) => {
                map.into_iter().map(|(key, value)| (key, value.map(|value| value.to_string()))).collect()
            }
        };
        let mut env: BTreeMap<String, Secret> = BTreeMap::new();
        for (key, value) in written {
            let is_key = !key.is_empty() && !key.chars().any(|c| c.is_whitespace() || c.is_control());
            let value = match value {
                _ if !is_key => {
                    self.wrong(" with an entry that has no name", "environment", "write NAME: value");
                    continue;
                }
                Some(value) if value.contains('\0') => {
                    self.wrong(" with a NUL byte", "environment", "leave it out");
                    continue;
                }
                Some(value) if self.holds_a_secret(&value) => Secret::new(value),
                Some(value) => Secret::open(value),
                None => match self.variables.get(&key) {
                    Some(value) => Secret::new(value),
                    None => {
                        self.wrong(
                            &self.bare(&key),
                            "environment",
                            "write NAME: value, or set the variable (docker run -e NAME)",
                        );
                        continue;
                    }
                },
            };
            env.insert(key, value);
        }
        env.into_iter().collect()
    }

    fn holds_a_secret(&self, text: &str) -> bool {
        self.secrets.iter().any(|secret| text.contains(secret.reveal()))
    }

    fn health_check(&mut self, check: Healthcheck) -> HealthCheck {
        let test = match check.test {
            _ if check.disable => vec!["NONE".into()],
            None => Vec::new(),
            Some(HealthcheckTest::Single(text)) => vec!["CMD-SHELL".into(), text],
            Some(HealthcheckTest::Multiple(words)) => words,
        };
        let instead = "write [\"CMD\", program, argument…], [\"CMD-SHELL\", text], text alone, or [\"NONE\"]";
        match test.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] | ["NONE"] | ["CMD-SHELL", _] | ["CMD", _, ..] => {}
            ["CMD-SHELL", ..] => self.wrong(", which has not one text after CMD-SHELL", "healthcheck.test", instead),
            _ => self.wrong(", which does not begin with CMD, CMD-SHELL or NONE", "healthcheck.test", instead),
        }
        if check.retries < 0 {
            self.wrong(" below 0", "healthcheck.retries", "write how many failures in a row count, such as 10");
        }
        HealthCheck {
            test,
            interval: self.time("interval", check.interval),
            timeout: self.time("timeout", check.timeout),
            retries: (check.retries > 0).then_some(check.retries),
            start_period: self.time("start_period", check.start_period),
        }
    }

    fn time(&mut self, key: &str, text: Option<String>) -> Option<std::time::Duration> {
        let text = text?;
        // Docker takes nothing between 0, which stands for its default, and a millisecond.
        let time = units::duration(&text).filter(|time| time.is_zero() || time.as_millis() > 0);
        if time.is_none() {
            let key = format!("healthcheck.{key}");
            let what = format!(" with {}", self.told(&key, &text));
            self.wrong(&what, &key, "write a time such as 500ms, 2s or 1m30s");
        }
        time
    }

    fn dependencies(&mut self, depends_on: DependsOnOptions) -> Vec<(String, Condition)> {
        let others = match depends_on {
            DependsOnOptions::Simple(names) => {
                return names.into_iter().map(|name| (name, Condition::Started)).collect();
            }
            DependsOnOptions::Conditional(others) => others,
        };
        let mut dependencies = Vec::new();
        for (name, other) in others {
            let key = format!("depends_on.{name}");
            if other.required == Some(false) {
                self.wrong(" with required: false", &key, "leave it out: the services that are written here all start");
            }
            if other.restart == Some(true) {
                self.wrong(" with restart: true", &key, "leave it out: no service is restarted");
            }
            let condition = match other.condition.as_str() {
                "service_started" => Condition::Started,
                "service_healthy" => Condition::Healthy,
                "service_completed_successfully" => Condition::Completed,
                unknown => {
                    let instead = "write service_started, service_healthy or service_completed_successfully";
                    self.wrong(&format!(" with the condition {}", self.told(&key, unknown)), &key, instead);
                    continue;
                }
            };
            dependencies.push((name, condition));
        }
        dependencies.sort();
        dependencies
    }

    fn tmpfs(&mut self, tmpfs: Option<Tmpfs>) -> Vec<(String, String)> {
        let lines = match tmpfs {
            None => Vec::new(),
            Some(Tmpfs::Simple(line)) => vec![line],
            Some(Tmpfs::List(lines)) => lines,
        };
        let mut mounts = Vec::new();
        for line in lines {
            let (path, options) = line.split_once(':').unwrap_or((&line, ""));
            match path.starts_with('/') {
                true => mounts.push((path.to_owned(), options.to_owned())),
                false => {
                    let what = format!(" with {}", self.told("tmpfs", &line));
                    self.wrong(&what, "tmpfs", "write an absolute path, such as /data")
                }
            }
        }
        mounts
    }

    fn labels(&mut self, labels: Labels) -> Vec<(String, String)> {
        let mut pairs: Vec<(String, String)> = match labels {
            Labels::Map(map) => map.into_iter().collect(),
            Labels::List(lines) => {
                let pair = |line: String| match line.split_once('=') {
                    Some((key, value)) => (key.to_owned(), value.to_owned()),
                    None => (line, String::new()),
                };
                lines.into_iter().map(pair).collect()
            }
        };
        if pairs.iter().any(|(key, _)| key.starts_with(OURS)) {
            self.wrong(&format!(" that begin with {OURS}"), "labels", "leave them out: they are this program's own");
        }
        pairs.sort();
        pairs
    }

    fn aliases(&mut self, networks: Networks) -> Vec<String> {
        let Networks::Advanced(networks) = networks else { return Vec::new() };
        let settings = networks.0.into_values().filter_map(|settings| match settings {
            MapOrEmpty::Map(settings) => Some(settings.aliases),
            MapOrEmpty::Empty => None,
        });
        settings.flatten().filter(|name| self.is_free("networks.default.aliases", name)).collect()
    }

    /// Whether a further name is not the application's; engines resolve the host's name too.
    fn is_free(&mut self, key: &str, name: &str) -> bool {
        if name == APP {
            self.wrong(&format!(" with {}", shown(name)), key, "leave it out: tests call the application itself so");
        }
        name != APP
    }

    /// A value as a message may show it.
    fn told(&self, key: &str, text: &str) -> String {
        told(key, text, self.values)
    }

    /// A name without a value, if it looks like the name of a variable: it may be a secret in the wrong place.
    fn bare(&self, key: &str) -> String {
        let is_name = key.len() <= 40 && key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        let name = if is_name { self.told("environment", key) } else { "a name".to_owned() };
        format!(" with {name} without a value, and no variable of that name is set")
    }
}
