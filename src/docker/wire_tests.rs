//! A daemon that answers by script: what is sent again, and what is looked up before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::image::{Digest, Repository, Tag, TaggedRef};

/// What becomes of a request.
enum Reply {
    /// It is answered.
    Say(u16, String),
    /// The connection closes without an answer.
    Close,
    /// The connection closes in the middle of the answer.
    Half,
}

use Reply::{Close, Half, Say};

/// A daemon and what it was asked: `POST /containers/create`, without version and query.
struct Fake {
    docker: Docker,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// One that answers as `script` says, which hears a request and how often it came, from 1 on.
    async fn start(mut script: impl FnMut(&str, u32) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = format!("tcp://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        tokio::spawn(async move {
            let mut times = HashMap::<String, u32>::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = request(&mut stream).await;
                let count = times.entry(request.clone()).or_default();
                *count += 1;
                let reply = match request.as_str() {
                    "GET /version" => Say(200, r#"{"ApiVersion":"1.44","Os":"linux","Arch":"amd64"}"#.into()),
                    "GET /_ping" => Say(200, "OK".into()),
                    other => script(other, *count),
                };
                log.lock().unwrap().push(request);
                let (status, body, sent) = match &reply {
                    Close => continue,
                    Half => (200, "[{}]", 1),
                    Say(status, body) => (*status, body.as_str(), body.len()),
                };
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                // Who hangs up early is one of the cases.
                let _ = stream.write_all(format!("{head}{}", &body[..sent]).as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        let env = DaemonEnv { docker_host: Some(host), ..DaemonEnv::default() };
        Self { docker: Docker::connect(&env).await.unwrap(), asked }
    }

    fn count(&self, request: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == request).count()
    }
}

/// Reads a request with its body, and gives what it asks for.
async fn request(stream: &mut tokio::net::TcpStream) -> String {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                let mut words = head.split(' ');
                let (method, target) = (words.next().unwrap(), words.next().unwrap());
                let path = target.split('?').next().unwrap();
                let bare = path.strip_prefix("/v1.44").unwrap_or(path);
                return format!("{method} {bare}");
            }
        }
        match stream.read(&mut chunk).await.unwrap() {
            0 => return String::new(),
            count => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

fn missing() -> Reply {
    Say(404, r#"{"message":"No such thing"}"#.into())
}

fn spec() -> ContainerSpec {
    ContainerSpec { name: "c".into(), image: "i".into(), labels: labels("r1"), ..ContainerSpec::default() }
}

fn labels(run: &str) -> Labels {
    Labels::from([("io.beanline.run".into(), run.into())])
}

fn container(run: &str, status: &str) -> Reply {
    let state = format!(r#"{{"Status":"{status}","Running":{}}}"#, status == "running");
    Say(200, format!(r#"{{"Id":"c1","State":{state},"Config":{{"Labels":{{"io.beanline.run":"{run}"}}}}}}"#))
}

const CREATE: &str = "POST /containers/create";
const INSPECT: &str = "GET /containers/c/json";

#[tokio::test]
async fn a_container_whose_creation_was_not_answered_is_looked_up_and_not_made_twice() {
    let lost = Fake::start(|asked, _| if asked == CREATE { Close } else { container("r1", "created") }).await;
    assert_eq!(lost.docker.create(&spec()).await.unwrap(), "c1");
    assert_eq!(lost.count(CREATE), 1);

    let refused = Fake::start(|asked, count| match (asked, count) {
        (CREATE, 1) => Say(503, r#"{"message":"busy"}"#.into()),
        (CREATE, _) => Say(201, r#"{"Id":"c2","Warnings":[]}"#.into()),
        _ => missing(),
    });
    assert_eq!(refused.await.docker.create(&spec()).await.unwrap(), "c2");

    // It took effect after the look.
    let late = Fake::start(|asked, count| match (asked, count) {
        (CREATE, 1) => Close,
        (CREATE, _) => Say(409, r#"{"message":"Conflict. The name is in use"}"#.into()),
        (_, 1) => missing(),
        _ => container("r1", "created"),
    });
    assert_eq!(late.await.docker.create(&spec()).await.unwrap(), "c1");

    let anothers = Fake::start(|asked, count| match (asked, count) {
        (CREATE, 1) => Close,
        (CREATE, _) => Say(409, r#"{"message":"Conflict. The name is in use"}"#.into()),
        _ => container("r2", "created"),
    });
    assert!(anothers.await.docker.create(&spec()).await.unwrap_err().to_string().contains("Conflict"));
    let taken = Fake::start(|_, _| Say(409, r#"{"message":"Conflict. The name is in use"}"#.into())).await;
    assert!(taken.docker.create(&spec()).await.is_err());
    assert_eq!(taken.count(CREATE), 1);
}

#[tokio::test]
async fn a_container_that_has_started_is_not_started_again() {
    for status in ["running", "exited"] {
        let fake = Fake::start(|asked, _| if asked == INSPECT { container("r1", status) } else { Close }).await;
        fake.docker.start("c").await.unwrap();
        assert_eq!(fake.count("POST /containers/c/start"), 1, "{status}");
    }
    let fake = Fake::start(|asked, count| match (asked, count) {
        (INSPECT, _) => container("r1", "created"),
        (_, 1) => Close,
        _ => Say(204, String::new()),
    });
    let fake = fake.await;
    fake.docker.start("c").await.unwrap();
    assert_eq!(fake.count("POST /containers/c/start"), 2);
}

#[tokio::test]
async fn questions_are_asked_until_they_are_answered_and_what_is_gone_is_removed() {
    let fake = Fake::start(|asked, count| match (asked, count) {
        (INSPECT, 1) => Close,
        (INSPECT, 2) => Half,
        (INSPECT, 3) => Say(502, String::new()),
        (INSPECT, _) => container("r1", "running"),
        ("DELETE /containers/c", 1) => Close,
        ("DELETE /containers/c", _) => missing(),
        ("DELETE /containers/d", 1) => Say(500, r#"{"message":"driver failed"}"#.into()),
        ("DELETE /containers/d", _) => {
            Say(409, r#"{"message":"removal of container d is already in progress"}"#.into())
        }
        ("POST /containers/c/wait", 1 | 2) => Close,
        ("POST /containers/c/wait", _) => Say(200, r#"{"StatusCode":3}"#.into()),
        other => panic!("{other:?}"),
    })
    .await;
    assert!(fake.docker.container("c").await.unwrap().unwrap().running);
    fake.docker.remove_container("c").await.unwrap();
    fake.docker.remove_container("d").await.unwrap();
    assert_eq!(fake.docker.wait("c").await.unwrap(), 3);
}

#[tokio::test]
async fn a_network_whose_creation_was_not_answered_is_found_by_its_labels() {
    let fake = Fake::start(|asked, count| match (asked, count) {
        ("GET /networks", 1) => Say(200, "[]".into()),
        ("GET /networks", _) => Say(200, r#"[{"Name":"n","Labels":{"io.beanline.run":"r1"}}]"#.into()),
        _ => Close,
    })
    .await;
    fake.docker.create_network("n", &labels("r1")).await.unwrap();
    assert_eq!(fake.count("POST /networks/create"), 1);
}

#[tokio::test]
async fn a_push_that_broke_is_begun_again_and_one_that_was_refused_is_not() {
    let digest = Digest::of(b"x");
    let done = format!("{{\"status\":\"1: digest: {digest} size: 9\"}}\n");
    let reset = "{\"errorDetail\":{\"message\":\"read: connection reset by peer\"},\"error\":\"read: connection reset by peer\"}\n";
    let fake = Fake::start(move |_, count| match count {
        1 => Close,
        2 => Say(200, reset.into()),
        _ => Say(200, done.clone()),
    });
    let reference =
        TaggedRef { repository: Repository::parse("shop", "127.0.0.1:1").unwrap(), tag: Tag::parse("1").unwrap() };
    let pushed = fake.await.docker.push(&reference, None, &|_| ()).await;
    assert_eq!(pushed.map_err(|fault| fault.to_string()), Ok(digest));

    let denied = "{\"errorDetail\":{\"message\":\"denied: no\"},\"error\":\"denied: no\"}\n";
    let fake = Fake::start(move |_, _| Say(200, denied.into())).await;
    assert!(fake.docker.push(&reference, None, &|_| ()).await.is_err());
    assert_eq!(fake.count("POST /images/127.0.0.1:1/shop/push"), 1);
}

#[tokio::test]
async fn a_push_whose_login_ran_out_under_it_is_begun_again_and_follows_its_layers() {
    let digest = Digest::of(b"x");
    let layer = "{\"status\":\"Pushed\",\"progressDetail\":{},\"id\":\"aaa\"}\r\n";
    let expired = format!("{layer}{{\"error\":\"unauthorized: authentication required\"}}\r\n");
    let there = "{\"status\":\"Layer already exists\",\"progressDetail\":{},\"id\":\"aaa\"}\r\n";
    let done =
        format!("{there}{{\"progressDetail\":{{}},\"aux\":{{\"Tag\":\"1\",\"Digest\":\"{digest}\",\"Size\":9}}}}\r\n");
    let fake = Fake::start(move |_, count| Say(200, if count == 1 { expired.clone() } else { done.clone() })).await;
    let reference =
        TaggedRef { repository: Repository::parse("shop", "127.0.0.1:1").unwrap(), tag: Tag::parse("1").unwrap() };
    let said = std::cell::RefCell::new(Vec::new());
    let pushed = fake.docker.push(&reference, None, &|line| said.borrow_mut().push(line)).await;
    assert_eq!(pushed.map_err(|fault| fault.to_string()), Ok(digest));
    let said = said.into_inner();
    assert!(said[0].contains("is begun again") && said[1] == "1 of 1 layer sent (0.0 MB), 0 there already", "{said:?}");
}

#[tokio::test]
async fn an_image_that_a_container_uses_stays_or_is_asked_for_until_that_is_gone() {
    const REMOVE: &str = "DELETE /images/i";
    let used = || Say(409, r#"{"message":"conflict: container c1 is using its referenced image"}"#.into());
    let fake = Fake::start(move |_, count| if count < 3 { used() } else { Say(200, "[]".into()) }).await;
    fake.docker.remove_image("i").await.unwrap();
    assert_eq!(fake.count(REMOVE), 1);
    fake.docker.remove_freed_image("i").await.unwrap();
    assert_eq!(fake.count(REMOVE), 3);

    let refusing = Fake::start(|_, _| Say(400, r#"{"message":"no such name"}"#.into())).await;
    assert!(refusing.docker.remove_freed_image("i").await.unwrap_err().to_string().contains("no such name"));
    let gone = Fake::start(|_, _| missing()).await;
    gone.docker.remove_freed_image("i").await.unwrap();
}
