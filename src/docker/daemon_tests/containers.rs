//! Containers, their output, their files, networks and pipes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[tokio::test]
async fn a_container_runs_to_its_end_and_every_line_of_it_is_heard() {
    with_daemon(async |bench| {
        let image = bench.image().await;
        let mut spec = bench.shell("run", &image, "echo $A; echo err >&2; printf 'x\\ry\\r\\n\\377z'; exit 3");
        spec.env = vec![("A".into(), Secret::new("one"))];
        spec.unlogged = true;
        bench.docker.create(&spec).await.unwrap();
        let heard = Heard::default();
        let ended = bench.docker.run_to_end(&spec.name, &heard.line()).await.unwrap();
        assert_eq!(ended, Ended { code: 3, out_of_memory: false });
        let mut lines = heard.lines();
        lines.sort_unstable();
        assert_eq!(lines, ["err", "one", "y", "\u{fffd}z"]);

        let facts = bench.docker.container(&spec.name).await.unwrap().unwrap();
        assert_eq!((facts.name, facts.running, facts.exit_code), (spec.name.clone(), false, Some(3)));
        assert_eq!((facts.health, facts.labels), (None, bench.labels()));
        bench.docker.remove_container(&spec.name).await.unwrap();
        bench.docker.remove_container(&spec.name).await.unwrap();
        assert!(bench.docker.container(&spec.name).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_container_that_takes_too_much_memory_is_known_by_that() {
    with_daemon(async |bench| {
        let image = bench.image().await;
        let mut spec = bench.shell("memory", &image, "/bin/busybox tail /dev/zero");
        spec.memory = Some(16 << 20);
        bench.docker.create(&spec).await.unwrap();
        let ended = bench.docker.run_to_end(&spec.name, &|_| ()).await.unwrap();
        assert!(ended.code != 0 && ended.out_of_memory, "exit code {}", ended.code);
    })
    .await;
}

#[tokio::test]
async fn what_could_not_be_done_is_in_the_fault() {
    with_daemon(async |bench| {
        let missing = bench.shell("x", &format!("{}:1", bench.name("nowhere")), "true");
        let fault = bench.docker.create(&missing).await.unwrap_err();
        assert!(fault.to_string().starts_with(&format!("could not create container {}: ", missing.name)), "{fault}");
        let image = bench.image().await;
        let mut spec = bench.shell("x", &image, "true");
        spec.entrypoint = Some(vec!["sh".into(), "-c".into()]);
        bench.docker.create(&spec).await.unwrap();
        let taken = bench.docker.create(&spec).await.unwrap_err().to_string();
        assert!(taken.contains("already in use"), "{taken}");
        let mut bare = bench.shell("y", &image, "true");
        bare.entrypoint = Some(vec!["/no/such".into()]);
        bench.docker.create(&bare).await.unwrap();
        let fault = bench.docker.run_to_end(&bare.name, &|_| ()).await.unwrap_err();
        assert!(fault.what() == format!("could not start container {}", bare.name), "{fault}");
        assert!(fault.to_string().contains("/no/such"), "{fault}");
    })
    .await;
}

#[tokio::test]
async fn files_go_in_and_come_out_of_a_container_that_does_not_run() {
    with_daemon(async |bench| {
        let image = bench.image().await;
        let spec = bench.shell("files", &image, "true");
        bench.docker.create(&spec).await.unwrap();
        let mut tar = ::tar::Builder::new(Vec::new());
        for (name, text) in [("reports/a.xml", "<a/>"), ("reports/deep/b.xml", "<b/>")] {
            let mut header = ::tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        bench.docker.put_tar(&spec.name, "/", tar.into_inner().unwrap()).await.unwrap();

        let get = async |path: &str, limit| bench.docker.get_files(&spec.name, path, limit).await;
        let mut files = get("/reports", 1 << 20).await.unwrap().unwrap();
        files.sort();
        let expected = [("reports/a.xml".to_owned(), b"<a/>".to_vec()), ("reports/deep/b.xml".into(), b"<b/>".into())];
        assert_eq!(files, expected);
        assert_eq!(get("/reports/a.xml", 1 << 20).await.unwrap().unwrap(), [("a.xml".to_owned(), b"<a/>".to_vec())]);
        assert!(get("/nothing", 1 << 20).await.unwrap().is_none());
        assert!(get("/bin", 4096).await.unwrap_err().to_string().contains("larger than 4096 bytes"));
        let refused = bench.docker.put_tar(&spec.name, "/nothing", vec![0; 1024]).await.unwrap_err();
        assert!(refused.what().contains("into /nothing"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn containers_on_one_network_know_each_other_by_alias() {
    with_daemon(async |bench| {
        let (image, network) = (bench.image().await, bench.name("net"));
        bench.docker.create_network(&network, &bench.labels()).await.unwrap();
        assert!(bench.docker.create_network(&network, &bench.labels()).await.is_err());
        assert_eq!(bench.docker.networks_labelled(&bench.label()).await.unwrap().join(" "), network);
        let mut web = bench.shell("web", &image, "echo up; echo hi >/x; exec /bin/busybox httpd -f -p 8080");
        web.network = Some(network.clone());
        web.aliases = vec!["shop".into()];
        web.publish = vec![8080];
        let id = bench.docker.create(&web).await.unwrap();
        bench.docker.start(&web.name).await.unwrap();
        let mut client = bench.shell(
            "client",
            &image,
            "for i in 1 2 3 4 5 6 7 8 9; do /bin/busybox wget -q -O - http://shop:8080/x && exit; \
             /bin/busybox sleep 1; done; exit 1",
        );
        client.network = Some(network.clone());
        bench.docker.create(&client).await.unwrap();
        let heard = Heard::default();
        assert_eq!(bench.docker.run_to_end(&client.name, &heard.line()).await.unwrap().code, 0);
        assert!(heard.has("hi"));

        let facts = bench.docker.container(&id).await.unwrap().unwrap();
        assert!(facts.running && facts.exit_code.is_none());
        assert!(facts.addresses.contains_key(&network) && facts.ports.contains_key(&8080));
        assert_eq!(bench.docker.last_lines(&id, 10).await.unwrap(), ["up"]);
        bench.docker.stop(&id, Duration::ZERO).await.unwrap();
        bench.docker.stop(&id, Duration::ZERO).await.unwrap();
        assert_eq!(bench.docker.containers_labelled(&bench.label()).await.unwrap().len(), 2);
        bench.docker.remove_container(&id).await.unwrap();
        bench.docker.remove_container(&client.name).await.unwrap();
        bench.docker.remove_network(&network).await.unwrap();
        bench.docker.remove_network(&network).await.unwrap();
    })
    .await;
}

/// What a process answers to `sent` and the end of its input.
async fn answer(mut pipe: Pipe, sent: &[u8]) -> String {
    pipe.writer.write_all(sent).await.unwrap();
    pipe.writer.shutdown().await.unwrap();
    let mut said = String::new();
    pipe.reader.read_to_string(&mut said).await.unwrap();
    said
}

#[tokio::test]
async fn pipes_carry_standard_input_and_output_both_ways() {
    with_daemon(async |bench| {
        let image = bench.image().await;
        let mut spec = bench.shell("pipe", &image, "echo no >&2; /bin/busybox cat; exit 4");
        spec.open_stdin = true;
        bench.docker.create(&spec).await.unwrap();
        let pipe = bench.docker.attach_pipe(&spec.name).await.unwrap();
        bench.docker.start(&spec.name).await.unwrap();
        assert_eq!(answer(pipe, b"{\"a\":1}\n").await, "{\"a\":1}\n");
        assert_eq!(bench.docker.last_lines(&spec.name, 5).await.unwrap().first().unwrap(), "no");

        let idle = bench.shell("idle", &image, "exec /bin/busybox sleep 600");
        bench.docker.create(&idle).await.unwrap();
        let command = ["/bin/busybox", "sh", "-c", "echo no >&2; /bin/busybox tr a b"];
        assert!(bench.docker.exec_pipe(&idle.name, &command).await.is_err(), "it does not run yet");
        bench.docker.start(&idle.name).await.unwrap();
        let large = vec![b'a'; 300_000];
        let said = answer(bench.docker.exec_pipe(&idle.name, &command).await.unwrap(), &large).await;
        assert!(said.len() == large.len() && said.bytes().all(|byte| byte == b'b'));
    })
    .await;
}

#[tokio::test]
async fn of_a_log_without_end_the_last_lines_are_there_and_nothing_else_is_kept() {
    with_daemon(async |bench| {
        let image = bench.image().await;
        let many = format!("/bin/busybox yes {} | /bin/busybox head -n 60000; echo 'last words'", "x".repeat(100));
        let spec = bench.shell("long", &image, &many);
        bench.docker.create(&spec).await.unwrap();
        assert_eq!(bench.docker.run_to_end(&spec.name, &|_| ()).await.unwrap().code, 0);
        let lines = bench.docker.last_lines(&spec.name, 40).await.unwrap();
        assert_eq!((lines.len(), lines.last().map(String::as_str)), (40, Some("last words")));
        let kept = bench.docker.last_lines(&spec.name, 1_000_000).await.unwrap();
        assert!(kept.len() < 50_000, "{} of 60,001 lines", kept.len());
    })
    .await;
}
