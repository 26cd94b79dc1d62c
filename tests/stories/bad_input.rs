//! Bad input gets one clear error and changes nothing.

use super::support::{App, World};

const SHA: &str = "cccccccccccccccccccccccccccccccccccccccc";

#[test]
fn every_problem_is_told_at_once() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    let bad = [("image", "Shop:latest"), ("ready_timeout", "soon"), ("environment", ""), ("services", "db: {}")];
    let run = world.ship(SHA, &bad).expect(2).says("nothing was changed");
    for name in ["BEANLINE_IMAGE", "BEANLINE_READY_TIMEOUT", "BEANLINE_ENVIRONMENT", "BEANLINE_SERVICES"] {
        assert!(run.output.contains(name), "{name} is missing in:\n{}", run.output);
    }
    world.ship(SHA, &[("dockerfil", "x")]).expect(2).says("BEANLINE_DOCKERFILE");
    world.ship(SHA, &[("run", "fly")]).expect(2).says("pipeline");
    assert!(world.environments_or_none().is_none(), "no local cloud was made for bad input");
    world.end();
}

#[test]
fn what_is_not_there_is_named() {
    let Some(world) = World::new() else { return };
    world.app(&App::version("one"));
    world
        .ship(SHA, &[("dockerfile", "Dockerfile.missing")])
        .expect(3)
        .says("Dockerfile.missing")
        .says("nothing was changed");
    world.ship(SHA, &[("create", "false")]).expect(3).says("shop").says("create");
    let refused = world.ship_with(SHA, &[], &[("DOCKER_HOST", "unix:///nowhere/docker.sock")]);
    refused.expect(3).says("/nowhere/docker.sock").says("nothing was changed");
    let ssh =
        world.ship_with(SHA, &[("cloud", "aws"), ("aws_region", "eu-west-1")], &[("DOCKER_HOST", "ssh://somewhere")]);
    ssh.expect(3).says("ssh");
    world.end();
}
