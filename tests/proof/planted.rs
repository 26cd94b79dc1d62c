//! The proof is proven: what is planted is found.

use super::made::Made;
use super::scene::Scene;
use super::seen::{Seen, Standing};
use super::support::{World, docker};

#[test]
fn what_is_planted_in_a_finished_world_is_found() {
    if !World::has_docker() {
        return;
    }
    let scene = Scene::new(100);
    let (job, before) = (scene.job(), Seen::of(&scene));
    scene.desk.forget_made();
    scene.ship(&job, None).unwrap_or_else(|output| panic!("{output}")).expect(0);
    let after = Seen::of(&scene);
    assert_eq!(before.becomes_finished(&after, &job), [""; 0]);
    assert!(!before.stays(&after, &job).is_empty(), "a deployment is no clean slate");
    assert_eq!(before.stays(&before, &job), [""; 0]);
    assert!(scene.left_by(&job).is_empty());

    let spoilt = |spoil: &dyn Fn(&mut Seen)| {
        let mut spoilt = after.clone();
        spoil(&mut spoilt);
        assert!(!before.becomes_finished(&spoilt, &job).is_empty(), "not noticed: {spoilt:?}");
    };
    spoilt(&|seen| seen.versions.push(job.revision.clone()));
    spoilt(&|seen| seen.templates.push("beanline-template".to_owned()));
    spoilt(&|seen| seen.objects.extend(["bucket/another.zip".to_owned()]));
    spoilt(&|seen| seen.tags.extend([("another".to_owned(), String::new())]));
    spoilt(&|seen| seen.tags.values_mut().for_each(|digest| digest.push('0')));
    spoilt(&|seen| seen.answer = None);
    spoilt(&|seen| {
        let one = Standing { status: "Ready".into(), cname: "shop-2".into(), label: job.revision.clone() };
        seen.environments.insert("e-another".to_owned(), one);
    });

    let name = format!("beanline-planted-{}", job.id);
    let label = format!("io.beanline.job=GitLab CI/octo/shop/{}", job.id);
    let image = format!("{}/shop:eb-{}", scene.world.local("REGISTRY"), job.revision);
    docker(&["container", "create", "--name", &name, "--label", &label, &image]).expect("a container can be made");
    let planted = Made::Container(name);
    assert_eq!(scene.left_by(&job).into_iter().collect::<Vec<_>>(), [planted]);
    assert!(scene.mend(&job), "the next run goes well once the container is gone");
    assert!(scene.left_by(&job).is_empty());
}
