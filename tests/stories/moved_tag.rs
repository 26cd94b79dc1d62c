//! Somebody re-pushes the human tag between our push and the nodes' pull: the run stops, or the nodes run what was tested.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use beanline::local::plane::WriteKind;

use super::support::{App, World, docker};

const GOOD: &str = "dddddddddddddddddddddddddddddddddddddddd";
const MOVED: &str = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";

#[test]
fn an_untested_image_under_the_tag_does_not_become_live() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("good"));
    world.ship(GOOD, &[]).expect(0);
    let registry = world.local("REGISTRY");
    let (user, password) = world.registry_login();
    let tag = format!("{registry}/shop:{MOVED}");
    // The name by which live's instance has pulled it.
    let intruder = format!("{registry}/shop:eb-{GOOD}");
    assert!(docker(&["login", "--username", &user, "--password", &password, &registry]).is_some());
    world.app(&App::version("tested"));
    let done = AtomicBool::new(false);
    let run = std::thread::scope(|scope| {
        scope.spawn(|| {
            let tested_is_there = || {
                let writes = world.registry_writes();
                writes.iter().any(|write| write.kind == WriteKind::Manifest && write.reference == MOVED)
            };
            while !tested_is_there() && !done.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
            // The run takes the name off the daemon after its own push, perhaps between these two.
            let moved = || docker(&["tag", &intruder, &tag]).and_then(|_| docker(&["push", "--quiet", &tag])).is_some();
            assert!((0..20).any(|_| moved()), "the other image could not be pushed under the tag");
        });
        let run = world.ship(MOVED, &[]);
        done.store(true, Ordering::Relaxed);
        run
    });
    let served = world.live("/").unwrap();
    match run.code {
        // The version has a tag of its own, which nobody moved.
        0 => assert_eq!(served, "tested"),
        // It was moved before the registry was asked.
        13 => {
            run.says("no longer names the tested image");
            assert_eq!(served, "good");
        }
        code => panic!("exit code {code}"),
    }
    docker(&["logout", &registry]);
    docker(&["rmi", &tag]);
    world.end();
}
