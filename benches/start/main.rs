//! How long a run takes from its start to its first question to anybody: the docker engine, which is a socket here that
//! takes the connection and notes the time. `cargo bench --bench start`; no time is a target, since machines differ.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench ends at its first surprise, and prints")]

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Starts that are measured, after one that is not.
const ROUNDS: usize = 20;

/// From the start of the process to its first connection.
fn first_question() -> Duration {
    let engine = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let host = format!("tcp://{}", engine.local_addr().unwrap());
    let mut beanline = Command::new(env!("CARGO_BIN_EXE_beanline"));
    beanline.env_clear().current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hello"));
    beanline.envs([("DOCKER_HOST", host.as_str()), ("BEANLINE_RUN", "test"), ("BEANLINE_IMAGE", "hello")]);
    let began = Instant::now();
    let mut process = beanline.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let connection = engine.accept().unwrap();
    let took = began.elapsed();
    process.kill().unwrap();
    process.wait().unwrap();
    drop(connection);
    took
}

fn main() {
    first_question();
    // With `cargo test` it is enough that it still works.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { ROUNDS } else { 1 };
    let mut times: Vec<Duration> = (0..rounds).map(|_| first_question()).collect();
    times.sort();
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "start to first question: {:.1} ms at best, {:.1} ms in the middle, {:.1} ms at worst, of {rounds}",
        millis(times[0]),
        millis(times[rounds / 2]),
        millis(times[rounds - 1])
    );
}
