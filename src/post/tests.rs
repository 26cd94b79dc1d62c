//! The post step of a run whose inputs cannot be read any more.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const COMMIT: &str = "1212121212121212121212121212121212121212";

/// Stands for the docker engine and for GitHub, which have nothing; gives its address and what it was asked.
async fn nothing_there() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 8192];
            let Ok(count) = stream.read(&mut head).await else { continue };
            let line = String::from_utf8_lossy(&head[..count]).lines().next().unwrap_or_default().to_owned();
            let body = match line.as_str() {
                line if line.contains("/version") => r#"{"ApiVersion":"1.41","Os":"linux","Arch":"amd64"}"#,
                line if line.contains("/check-runs") => r#"{"total_count":0,"check_runs":[]}"#,
                line if line.contains("/volumes") => r#"{"Volumes":[],"Warnings":[]}"#,
                _ => "[]",
            };
            log.lock().unwrap().push(line);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length:";
            // Who hangs up early has seen enough.
            let _ = stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (address, asked)
}

fn environment(address: &str, more: &[(&str, &str)]) -> Environment {
    let (daemon, github) = (format!("tcp://{address}"), format!("http://{address}"));
    let job = [("GITLAB_CI", "true"), ("CI_JOB_ID", "77"), ("CI_PROJECT_PATH", "octo/shop")];
    let report = [("BEANLINE_REPORT", "checks"), ("BEANLINE_GITHUB_TOKEN", "obvious-fake")];
    let commit = [("BEANLINE_REPOSITORY", "octo/shop"), ("BEANLINE_SHA", COMMIT), ("BEANLINE_RUN", "nonsense")];
    let places = [("DOCKER_HOST", daemon.as_str()), ("GITHUB_API_URL", github.as_str())];
    let all = job.into_iter().chain(report).chain(commit).chain(places).chain(more.iter().copied());
    all.map(|(name, value)| (name.into(), value.into())).collect()
}

#[tokio::test]
async fn engine_and_check_runs_are_put_right_although_the_inputs_cannot_be_read() {
    let (address, asked) = nothing_there().await;
    assert_eq!(run(environment(&address, &[])).await, Exit::Done, "no run of this job has begun");
    assert!(asked.lock().unwrap().is_empty());

    assert_eq!(run(environment(&address, &[("STATE_beanline_run", "1f0c2aa1")])).await, Exit::BadInput);
    let asked = asked.lock().unwrap().clone();
    for part in ["/containers/json?", "/images/json", COMMIT] {
        assert!(asked.iter().any(|line| line.contains(part)), "{part}: {asked:?}");
    }
}

#[test]
fn a_run_that_left_something_does_not_say_that_nothing_is_left_to_do() {
    let file = std::env::temp_dir().join(format!("beanline-state-{}", uuid::Uuid::new_v4().simple()));
    let environment = vec![("GITHUB_STATE".into(), file.clone().into_os_string())];
    note_end(&environment, Exit::Done, &[Undo::RemoveImage { reference: "beanline-run:1.2.3".into() }]);
    note_end(&environment, Exit::NeedsHuman, &[]);
    assert!(!file.exists());
    note_end(&environment, Exit::Done, &[]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "beanline_ended=true\n");
    std::fs::remove_file(file).unwrap();
}
