//! Reaching a daemon, or not.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};

use super::*;
use crate::inputs::Recipe;

fn at(host: &str) -> DaemonEnv {
    DaemonEnv { docker_host: Some(host.into()), ..DaemonEnv::default() }
}

async fn fault(env: &DaemonEnv) -> Fault {
    Docker::connect(env).await.map(|_| ()).unwrap_err()
}

#[tokio::test]
async fn each_way_of_having_no_daemon_has_its_own_words() {
    let missing = fault(&at("unix:///no/such/docker.sock")).await;
    assert_eq!(missing.what(), "there is no docker daemon at /no/such/docker.sock");
    assert!(missing.hints().iter().any(|hint| hint.contains("-v /var/run/docker.sock:/var/run/docker.sock")));
    assert_eq!(fault(&at("tcp://127.0.0.1:1")).await.what(), "no docker daemon answers at tcp://127.0.0.1:1");
    assert!(fault(&at("ssh://me@host")).await.to_string().contains("behind ssh is not supported"));
    for odd in ["npipe:////./pipe/docker_engine", "/var/run/docker.sock", "unix://var/run", "tcp://"] {
        assert_eq!(fault(&at(odd)).await.what(), format!("cannot use DOCKER_HOST={odd}"));
    }
    let tls = |path: Option<&str>| DaemonEnv {
        tls_verify: Some("1".into()),
        cert_path: path.map(str::to_owned),
        ..at("tcp://127.0.0.1:1")
    };
    assert!(fault(&tls(None)).await.to_string().contains("DOCKER_CERT_PATH is not set"));
    assert!(fault(&tls(Some("/no/such"))).await.what().contains("/no/such/ca.pem"));
}

#[tokio::test]
async fn something_else_that_answers_is_no_daemon() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("tcp://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n").await.unwrap();
    });
    let fault = fault(&at(&host)).await;
    assert_eq!(fault.what(), format!("what answers at {host} is no docker daemon"));
    server.await.unwrap();
}

#[tokio::test]
async fn a_daemon_behind_tcp_builds_and_runs_as_one_behind_a_socket() {
    with_daemon(async |bench| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = format!("tcp://{}", listener.local_addr().unwrap());
        let relay = tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut far = UnixStream::connect("/var/run/docker.sock").await.unwrap();
                    // Either end may leave first.
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        let docker = Docker::connect(&at(&host)).await.unwrap();
        assert!(docker.is_on_this_machine());
        let image = bench.image().await;
        let context = std::env::temp_dir().join(bench.name("context"));
        std::fs::create_dir(&context).unwrap();
        let text = format!("FROM {image}\nENV PATH=/bin\nRUN [\"/bin/busybox\", \"true\"]\n");
        std::fs::write(context.join("Dockerfile"), text).unwrap();
        let request = BuildRequest {
            recipe: Recipe { context: context.clone(), dockerfile: "Dockerfile".into(), ..Recipe::default() },
            labels: bench.labels().into_iter().collect(),
            reference: format!("{}:1", bench.name("built")),
            ..BuildRequest::default()
        };
        let built = docker.build(&request, &|_| ()).await;
        std::fs::remove_dir_all(&context).unwrap();
        let spec = bench.shell("far", &built.unwrap().to_string(), "echo far");
        docker.create(&spec).await.unwrap();
        let heard = Heard::default();
        assert_eq!(docker.run_to_end(&spec.name, &heard.line()).await.unwrap().code, 0);
        assert_eq!(heard.lines(), ["far"]);
        relay.abort();
    })
    .await;
}

#[tokio::test]
async fn a_dynamic_executable_is_refused_before_it_becomes_an_image() {
    with_daemon(async |bench| {
        let executable = std::env::current_exe().unwrap();
        match bench.docker.import_executable(&executable, &bench.labels()).await {
            Err(fault) => assert!(fault.to_string().contains("dynamically linked"), "{fault}"),
            Ok(own) => {
                bench.docker.remove_image(&own.reference).await.unwrap();
                assert!(own.imported, "the tests themselves were built static");
            }
        }
        let script = bench.docker.import_executable(Path::new("/proc/self/status"), &bench.labels()).await;
        assert!(script.unwrap_err().to_string().contains("no 64-bit Linux program"));
    })
    .await;
}

#[tokio::test]
async fn two_stages_that_need_our_own_image_at_the_same_time_make_one() {
    with_daemon(async |bench| {
        let labels = Labels::from([("io.beanline.expires".into(), bench.id.clone())]);
        let import = || bench.docker.import_executable(Path::new(BUSYBOX), &labels);
        let (one, other) = tokio::join!(import(), import());
        let name = one.unwrap().reference;
        assert_eq!(name, other.unwrap().reference);
        let filter = HashMap::from([("label".to_owned(), vec![format!("io.beanline.expires={}", bench.id)])]);
        let options = ListImagesOptions { all: true, filters: Some(filter), ..Default::default() };
        let images = bench.docker.client.list_images(Some(options)).await.unwrap();
        for image in &images {
            let force = RemoveImageOptions { force: true, ..Default::default() };
            bench.docker.client.remove_image(&image.id, Some(force), None).await.unwrap();
        }
        assert_eq!(images.len(), 1, "the name of all but the last is gone");
    })
    .await;
}

#[tokio::test]
async fn calls_can_be_made_from_any_task() {
    fn is_send<T: Send>(call: T) -> T {
        call
    }
    with_daemon(async |bench| {
        let (docker, labels, name) = (bench.docker.clone(), bench.labels(), bench.name("nothing"));
        let calls = is_send(async move {
            docker.stop(&name, Duration::ZERO).await?;
            docker.remove_container(&name).await?;
            docker.remove_network(&name).await?;
            docker.remove_image(&name).await?;
            assert!(docker.container(&name).await?.is_none() && docker.image(&name).await?.is_none());
            let refused = [
                docker.pull("127.0.0.1:1/none:1", None).await.is_err(),
                docker.create(&ContainerSpec { name: name.clone(), labels, ..ContainerSpec::default() }).await.is_err(),
                docker.last_lines(&name, 1).await.is_err(),
                docker.attach_pipe(&name).await.is_err(),
                docker.exec_pipe(&name, &["true"]).await.is_err(),
            ];
            assert_eq!(refused, [true; 5]);
            docker.get_files(&name, "/", 1).await
        });
        assert!(tokio::spawn(calls).await.unwrap().unwrap().is_none());
    })
    .await;
}
