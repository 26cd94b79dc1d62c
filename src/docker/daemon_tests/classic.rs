//! A daemon without BuildKit: the real one, behind somebody who lets no session pass.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};

use super::builds::Source;
use super::*;

/// Lets everything pass but what asks for a session, as proxies do that guard a docker socket.
async fn guard(listener: TcpListener) {
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut head = vec![0; 4096];
            let count = near.read(&mut head).await.unwrap();
            if String::from_utf8_lossy(&head[..count]).contains("/session HTTP/1.1") {
                let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 12\r\nConnection: close\r\n\r\nnot for you\n";
                near.write_all(refusal.as_bytes()).await.unwrap();
                return;
            }
            let mut far = UnixStream::connect("/var/run/docker.sock").await.unwrap();
            far.write_all(&head[..count]).await.unwrap();
            // Either end may leave first.
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        });
    }
}

#[tokio::test]
async fn the_classic_builder_builds_where_there_is_no_session_and_refuses_what_it_would_drop() {
    with_daemon(async |bench| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = format!("tcp://{}", listener.local_addr().unwrap());
        let guard = tokio::spawn(guard(listener));
        let env = DaemonEnv { docker_host: Some(host), ..DaemonEnv::default() };
        let docker = Docker::connect(&env).await.unwrap();

        let source = Source::with("ARG WHO\nRUN echo hello $WHO\n");
        std::fs::write(source.0.join(".dockerignore"), "*\n!busybox\n").unwrap();
        let mut request = bench.request(&source);
        request.recipe.args = vec![("WHO".into(), bench.id.clone())];
        let heard = Heard::default();
        let id = docker.build(&request, &heard.line()).await.unwrap();
        assert!(heard.lines()[0].contains("does not offer BuildKit") && heard.lines()[0].contains("not for you"));
        assert!(heard.lines().contains(&format!("hello {}", bench.id)), "{:#?}", heard.lines());
        let facts = docker.image(&request.reference).await.unwrap().unwrap();
        assert_eq!((facts.id, facts.labels), (id, bench.labels()));

        let failing = Source::with("RUN echo almost; exit 3\n");
        let fault = docker.build(&bench.request(&failing), &|_| ()).await.unwrap_err();
        assert!(fault.to_string().contains("exit 3"), "{fault}");
        assert!(fault.last_lines().iter().any(|line| line == "almost"), "{fault}");

        request.recipe.secrets = vec![("token".into(), Secret::new("obvious-fake"))];
        let fault = docker.build(&request, &|_| ()).await.unwrap_err().to_string();
        assert!(fault.contains("`build_secrets` needs BuildKit"), "{fault}");
        guard.abort();
    })
    .await;
}
