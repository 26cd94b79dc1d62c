//! What comes right after a run that was killed: its job's post step, before any other run.

use super::killed::{JOB, kill_in};
use super::support::{App, World, check_runs, conclusions, docker, open_check_runs};

const FIRST: &str = "7878787878787878787878787878787878787878";
const SECOND: &str = "9090909090909090909090909090909090909090";
const THIRD: &str = "abababababababababababababababababababab";

#[test]
fn what_a_killed_run_left_is_put_right_and_told() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    world.ship(FIRST, &[]).expect(0);

    // Before the swap the candidate goes; after it, live is what it was.
    for (revision, version, place) in [(SECOND, "two", "candidate"), (THIRD, "three", "live")] {
        world.app(&App::version(version));
        kill_in(&world, revision, place);
        let shown = check_runs(&world.github, revision).len();
        assert!(!open_check_runs(&world.github, revision).is_empty(), "the killed run could complete none");

        let other = [("GITLAB_CI", "true"), ("CI_JOB_ID", "78"), ("CI_PROJECT_PATH", "octo/shop")];
        world.post_with(revision, &[], &other).expect(0).never_says("done:").never_says("removed what");
        assert!(!open_check_runs(&world.github, revision).is_empty(), "they are another job's");

        let post = world.post_with(revision, &[], &JOB).expect(0);
        post.says("removed what earlier runs left on the docker engine").says("done: terminate environment shop-");
        assert_eq!(world.live("/").as_deref(), Some("one"));
        assert_eq!(world.environments().len(), 1, "{:?}", world.environments());
        assert_eq!(open_check_runs(&world.github, revision), Vec::<String>::new());
        assert_eq!(conclusions(&world.github, revision)["beanline"], "cancelled");
        assert_eq!(check_runs(&world.github, revision).len(), shown, "it opens none of its own");
        let of_the_job = ["ps", "--all", "--quiet", "--filter", "label=io.beanline.job=GitLab CI/octo/shop/77"];
        assert_eq!(docker(&of_the_job).as_deref(), Some(""));
        world.post_with(revision, &[], &JOB).expect(0).never_says("done:").never_says("removed what");
    }

    // After a run that ended by itself there is nothing to look for.
    world.post_with(FIRST, &[], &[("STATE_beanline_ended", "true")]).expect(0).never_says("clean up");
    world.end();
}
