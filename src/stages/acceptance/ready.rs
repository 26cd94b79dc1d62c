//! When an application is ready: its port takes connections, `ready_path` answers, and its HEALTHCHECK, if it has one, is
//! healthy.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::{Bench, with_log};
use crate::docker::{ContainerFacts, Docker};
use crate::engine::{StageCx, in_words, retry};
use crate::fault::Fault;
use crate::inputs::AppPlan;
use crate::probe::client::Prober;
use crate::stages::http_check;

/// Between two looks.
const LOOKS: Duration = Duration::from_millis(200);

/// How long the port may take to answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Between two sentences about how far it is.
const NEWS: Duration = Duration::from_secs(5);

/// An application that was started.
pub(super) struct Started<'a> {
    /// Its container.
    pub container: &'a str,
    /// Its name and port on the network.
    pub address: &'a str,
    /// Where tests find it.
    pub url: &'a str,
    /// Whether its image has a HEALTHCHECK.
    pub has_healthcheck: bool,
}

/// What was found out in one look.
struct Look {
    /// Why the port takes no connection.
    port: Option<String>,
    /// What `ready_path` said, when that was no yes.
    path: Option<String>,
    /// What the HEALTHCHECK said, when that was no yes.
    health: Option<String>,
}

impl Look {
    fn is_ready(&self) -> bool {
        self.port.is_none() && self.path.is_none() && self.health.is_none()
    }

    /// What each of them said, one sentence each.
    fn sentences(&self) -> impl Iterator<Item = &str> {
        [&self.port, &self.path, &self.health].into_iter().filter_map(Option::as_deref)
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences().collect::<Vec<_>>().join("; "))
    }
}

impl Bench<'_> {
    /// Waits, and says what it waits for.
    pub(super) async fn wait_until_ready(
        &self,
        cx: &StageCx,
        docker: &Docker,
        prober: &Prober,
        app: &Started<'_>,
    ) -> Result<(), Fault> {
        let AppPlan { ready_path, ready_timeout, .. } = &self.plan.app;
        let (began, mut news) = (Instant::now(), News::default());
        cx.note(format!("waiting up to {} for {} on {ready_path}", in_words(*ready_timeout), app.url));
        loop {
            let facts = docker.container(app.container).await?;
            let facts = facts.ok_or_else(|| Fault::new("the application's container is gone"))?;
            if !facts.running {
                let fault = Fault::new("the application ended before it was ready").cause(how_it_ended(&facts));
                return Err(with_log(fault, docker, app.container).await);
            }
            let rest = ready_timeout.saturating_sub(began.elapsed()).max(Duration::from_millis(500));
            let look = self.look(prober, app, &facts, rest).await;
            if look.is_ready() {
                break;
            }
            if began.elapsed() >= *ready_timeout {
                let fault = Fault::new(format!("the application was not ready within {}", in_words(*ready_timeout)));
                let fault = look.sentences().fold(fault, Fault::cause);
                return Err(with_log(advised(fault, &look), docker, app.container).await);
            }
            if news.are_due(&look) {
                cx.note(format!("not ready after {}: {look}", in_words(began.elapsed())));
            }
            retry::pause(LOOKS).await;
        }
        cx.note(format!("ready after {}", in_words(began.elapsed())));
        Ok(())
    }

    /// Asks path, port and HEALTHCHECK. A path that answers says that its port is open.
    async fn look(&self, prober: &Prober, app: &Started<'_>, facts: &ContainerFacts, rest: Duration) -> Look {
        let ready_path = &self.plan.app.ready_path;
        let asked = http_check::readiness(app.url, ready_path, self.plan.acceptance.verify_tls, rest);
        let (port, path) = match prober.http(asked).await {
            Ok(answer) if answer.status < 400 => (None, None),
            Ok(answer) => (None, Some(format!("GET {ready_path} answered {}", answer.status))),
            Err(error) => match prober.tcp(app.address, CONNECT_LIMIT.min(rest)).await {
                Ok(()) => (None, Some(format!("GET {ready_path}: {error}"))),
                Err(error) => (Some(format!("{} takes no connection: {error}", app.address)), None),
            },
        };
        Look { port, path, health: app.has_healthcheck.then(|| unhealthy(facts)).flatten() }
    }
}

/// What the HEALTHCHECK says, unless that is a yes.
fn unhealthy(facts: &ContainerFacts) -> Option<String> {
    let state = facts.health.as_deref().unwrap_or("not there yet");
    let said =
        facts.health_said.as_ref().map_or_else(|| "it has not run yet".to_owned(), |said| format!("last {said}"));
    (state != "healthy").then(|| format!("its HEALTHCHECK is {state}: {said}"))
}

fn advised(fault: Fault, look: &Look) -> Fault {
    match look {
        Look { port: Some(_), .. } => fault
            .hint("does it listen on that port, and on all addresses (0.0.0.0) instead of 127.0.0.1? see `port`")
            .hint("if it only takes long, raise `ready_timeout`"),
        Look { path: Some(_), .. } => {
            fault.hint("set `ready_path` to a path that answers with a status under 400, or raise `ready_timeout`")
        }
        _ => fault.hint("its port and `ready_path` answer: look at the HEALTHCHECK, or raise `ready_timeout`"),
    }
}

/// How a container ended, in words.
pub(super) fn how_it_ended(facts: &ContainerFacts) -> String {
    let signal = |code: i64| match code {
        134 => " (SIGABRT)",
        137 => " (SIGKILL)",
        139 => " (SIGSEGV: it used memory that is not its own)",
        143 => " (SIGTERM)",
        _ => "",
    };
    match (facts.out_of_memory, facts.exit_code) {
        (true, _) => "it ran out of memory and was killed".to_owned(),
        (false, Some(0)) => "it exited with 0: its command ends instead of serving".to_owned(),
        (false, Some(code)) => format!("it exited with {code}{}", signal(code)),
        (false, None) => "it is not running".to_owned(),
    }
}

/// When there is something to say: when the answers change, but not all the time.
#[derive(Default)]
struct News {
    last: Option<(Instant, String)>,
}

impl News {
    fn are_due(&mut self, look: &Look) -> bool {
        let now = look.to_string();
        let is_due = match &self.last {
            Some((when, said)) => when.elapsed() >= NEWS && *said != now,
            None => true,
        };
        if is_due {
            self.last = Some((Instant::now(), now));
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(port: Option<&str>, path: Option<&str>, health: Option<&str>) -> Look {
        Look { port: port.map(Into::into), path: path.map(Into::into), health: health.map(Into::into) }
    }

    #[test]
    fn all_three_must_say_yes_and_who_does_not_is_told() {
        assert!(look(None, None, None).is_ready());
        let starting = look(None, Some("GET / answered 503"), Some("its HEALTHCHECK is starting: it has not run yet"));
        assert!(!starting.is_ready());
        let told = "GET / answered 503; its HEALTHCHECK is starting: it has not run yet";
        assert_eq!(starting.to_string(), told);
        for (look, hint) in [(starting, "`ready_path`"), (look(Some("x"), None, None), "0.0.0.0")] {
            assert!(advised(Fault::new("x"), &look).hints()[0].contains(hint));
        }
        assert!(advised(Fault::new("x"), &look(None, None, Some("x"))).hints()[0].contains("HEALTHCHECK"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_news_are_told_once_and_others_not_all_the_time() {
        let mut news = News::default();
        let (one, two) = (look(Some("refused"), None, None), look(None, Some("503"), None));
        assert!(news.are_due(&one) && !news.are_due(&one) && !news.are_due(&two));
        tokio::time::advance(NEWS).await;
        assert!(!news.are_due(&one) && news.are_due(&two) && !news.are_due(&one));
    }
}
