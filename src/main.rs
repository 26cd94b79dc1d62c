//! The program: reads the environment once, installs the crypto provider, runs, and turns the end into an exit code.

// As in the library: its outermost future is laid out here.
#![recursion_limit = "256"]

use std::process::ExitCode;

fn main() -> ExitCode {
    // Two providers in one tree would make rustls panic at first use; ring is the only one we build with.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (arguments, environment) = (std::env::args_os().collect(), std::env::vars_os().collect());
    let exit = match tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build() {
        Ok(runtime) => {
            let exit = runtime.block_on(beanline::command::main(arguments, environment));
            // What is left are tasks that wait for a connection nobody reads any more.
            runtime.shutdown_timeout(std::time::Duration::from_millis(200));
            exit
        }
        Err(_) => beanline::exit::Exit::Unexpected,
    };
    ExitCode::from(exit.code())
}
