//! An SSH agent that a build step asks.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::builds::Source;
use super::*;

/// Asks an agent for its keys.
const PROGRAM: &str = "/usr/bin/ssh-add";

/// The program and the libraries that it is linked to, as `ldd` names them.
fn files_of(program: &str) -> Option<Vec<String>> {
    let told = std::process::Command::new("ldd").arg(program).output().ok().filter(|told| told.status.success())?;
    let told = String::from_utf8(told.stdout).unwrap();
    let libraries = told.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned);
    Some(std::iter::once(program.to_owned()).chain(libraries).collect())
}

/// An agent without keys. It answers one question: which keys it has (draft-miller-ssh-agent, messages 11 and 12).
async fn agent(listener: UnixListener) {
    loop {
        let (mut line, _) = listener.accept().await.unwrap();
        let mut question = [0; 5];
        while line.read_exact(&mut question).await.is_ok() {
            assert_eq!(question, [0, 0, 0, 1, 11]);
            line.write_all(&[0, 0, 0, 5, 12, 0, 0, 0, 0]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_step_reaches_the_agent_and_one_that_was_not_given_is_named() {
    with_daemon(async |bench| {
        let Some(files) = Path::new(PROGRAM).exists().then(|| files_of(PROGRAM)).flatten() else {
            return skipped("no ssh-add");
        };
        let copied = files.iter().map(|file| format!("COPY .{file} {file}\n")).collect::<String>();
        // Its own words, so that no earlier run's answer is taken.
        let ask = format!("RUN --mount=type=ssh,id=git,required=true ssh-add -l || [ $? = 1 ] # {}\n", bench.id);
        let source = Source::with(&format!("ENV PATH=/bin:/usr/bin\n{copied}{ask}"));
        for file in &files {
            let to = source.0.join(&file[1..]);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(file, to).unwrap();
        }
        let socket = source.0.join("agent.sock");
        let agent = tokio::spawn(agent(UnixListener::bind(&socket).unwrap()));
        let mut request = bench.request(&source);
        request.recipe.session.agents = vec![("git".into(), socket)];
        let heard = Heard::default();
        bench.docker.build(&request, &heard.line()).await.unwrap();
        assert!(heard.has("The agent has no identities."), "{:#?}", heard.lines());
        agent.abort();

        request.recipe.session.agents.clear();
        request.recipe.no_cache = true;
        let fault = bench.docker.build(&request, &|_| ()).await.unwrap_err();
        assert!(fault.to_string().contains("git") && fault.hints()[0].contains("build_ssh"), "{fault}");
    })
    .await;
}
