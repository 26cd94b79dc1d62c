//! What the first process of a container inherits.

use std::time::{Duration, Instant};

use super::job::{Job, busybox, docker};

/// Longest time for the orphan to end and to be waited for.
const LIMIT: Duration = Duration::from_secs(30);

/// Ends the container, whatever the test comes to.
struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", "--volumes", &self.0]);
    }
}

/// The children of `docker exec` belong to the first process when their parents are gone; each would stay a zombie.
#[test]
fn what_others_leave_behind_in_our_container_is_waited_for() {
    let Some(job) = Job::new() else { return };
    // It waits for questions on a standard input that nobody closes.
    let container = Container(docker(&["run", "--detach", "--interactive", &job.runner.image, "probe"]).unwrap());
    let id = container.0.as_str();
    docker(&["cp", busybox(), &format!("{id}:/busybox")]).unwrap();
    let shell = |script: &str| docker(&["exec", id, "/busybox", "sh", "-c", script]);
    // The shell ends at once, and its child has no parent any more.
    let orphan = shell("/busybox sleep 1 > /dev/null 2>&1 & echo $!").unwrap();
    let began = Instant::now();
    // A zombie keeps its number.
    while let Ok(status) = shell(&format!("/busybox cat /proc/{orphan}/stat")) {
        assert!(began.elapsed() < LIMIT, "nobody waited for it: {status}");
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(container);
    docker(&["rmi", &job.runner.image]).unwrap();
}
