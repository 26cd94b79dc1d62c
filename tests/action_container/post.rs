//! The post step as the runner runs it: nothing after a run that ended by itself, and what a killed one left is put right.
//! What becomes of its check runs is told in tests/stories/post.rs, where GitHub outlives the kill.

use super::commands::pairs;
use super::job::{Job, docker, pushed};

#[test]
fn the_post_step_puts_right_what_a_killed_run_left() {
    let Some(job) = Job::new() else { return };
    let first = job.commit("one");
    let step = job.push(&first);
    assert_eq!(step.code, 0);
    let after = job.runner.post(&pushed(&first), &job.with(), &step);
    assert_eq!((after.code, after.log.as_str()), (0, ""), "nothing is left to do");

    let second = job.commit("two");
    let mut with = job.with();
    with.retain(|(name, _)| *name != "acceptance_command");
    with.push(("acceptance_command", "echo testing $BEANLINE_PLACE; [ $BEANLINE_PLACE != candidate ] || sleep 600"));
    let running = job.runner.start(&pushed(&second), &with, &[]);
    running.until("testing candidate");
    let killed = running.kill();
    assert_eq!(killed.code, 137);
    let saved = pairs(&killed.files["save_state"]).unwrap();
    assert!(!saved.contains_key("beanline_ended"), "{saved:?}");
    let label = format!("label=io.beanline.run={}", saved["beanline_run"]);
    let containers = || docker(&["ps", "--all", "--quiet", "--filter", &label]).unwrap();
    assert!(!containers().is_empty(), "its test still runs");

    let after = job.runner.post(&pushed(&second), &with, &killed);
    assert_eq!(after.code, 0);
    assert!(after.log.contains("removed what earlier runs left on the docker engine"), "{}", after.log);
    assert!(after.log.contains("done: terminate environment shop-"), "{}", after.log);
    assert_eq!(containers(), "");
    assert_eq!(after.files["set_output"], "", "outputs are the run's");

    // Nothing stands in the next run's way.
    let step = job.push(&second);
    assert_eq!(step.code, 0);
    assert!(!step.log.contains("ended in the middle"), "{}", step.log);
    job.assert_directories_are_the_runners();
    job.end(&second);
}
