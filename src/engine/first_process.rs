//! As the first process of a container we inherit what others leave behind: children of `docker exec`, for one. The kernel
//! keeps each as a zombie until it is waited for.

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use tokio::signal::unix::{SignalKind, signal};

use crate::fault::Fault;

/// From now on to the end of the program, waits for every child that ends. Does nothing unless we are the first process:
/// the program starts none itself, and elsewhere init takes the orphans.
///
/// # Errors
/// When the operating system does not let us install a handler.
pub fn reap() -> Result<(), Fault> {
    if std::process::id() != 1 {
        return Ok(());
    }
    let mut ended =
        signal(SignalKind::child()).map_err(|error| Fault::new("could not install a signal handler").because(error))?;
    tokio::spawn(async move {
        loop {
            reap_all();
            // One signal may stand for several children.
            if ended.recv().await.is_none() {
                return;
            }
        }
    });
    Ok(())
}

fn reap_all() {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return,
            Ok(_) | Err(Errno::EINTR) => {}
            // There is no child.
            Err(_) => return,
        }
    }
}
