//! Application versions and the tags that are theirs alone.

use serde_json::{Value, json};

use super::*;
use crate::docker::Login;
use crate::inputs::Secret;
use crate::registry::EcrRepository;

/// The manifest that the small ECR holds.
const MANIFEST: &str = r#"{"schemaVersion":2}"#;

/// The same image in a repository of ECR's.
fn in_ecr() -> ImageToDeploy {
    let ecr = EcrRepository { registry_id: None, region: "local".into(), name: "shop".into() };
    let home = Home { ecr: Some(ecr), login: None };
    ImageToDeploy { digest: Digest::of(MANIFEST.as_bytes()), home, ..image() }
}

/// What a small ECR and a small Elastic Beanstalk remember.
#[derive(Default)]
struct Shelf {
    /// What the tag `eb-2` names.
    tag: Option<Digest>,
    puts_are_denied: bool,
    version_is_refused: bool,
    /// Label, description, key.
    versions: Vec<(String, String, String)>,
    deleted: Vec<String>,
    status: &'static str,
    environments: Vec<String>,
}

type Shared = Arc<Mutex<Shelf>>;

fn shelf(shelf: Shelf) -> Shared {
    Arc::new(Mutex::new(shelf))
}

async fn world_with(shelf: &Shared) -> (SdkConfig, Arc<Mutex<World>>) {
    let shelf = shelf.clone();
    world(move |fields| shelf.lock().unwrap().answer(fields)).await
}

impl Shelf {
    fn answer(&mut self, fields: &Fields) -> (u16, String) {
        let body: Value = fields.get("Body").map(|body| serde_json::from_str(body).unwrap()).unwrap_or_default();
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        match fields["Action"].as_str() {
            "BatchGetImage" => (200, self.image(&body["imageIds"][0]).to_string()),
            "PutImage" if self.puts_are_denied => {
                (400, json!({ "__type": "AccessDeniedException", "message": "arn:x may not ecr:PutImage" }).to_string())
            }
            "PutImage" => {
                assert_eq!((&body["imageTag"], &body["imageManifest"]), (&json!("eb-2"), &json!(MANIFEST)));
                self.tag = Some(Digest::of(MANIFEST.as_bytes()));
                (200, "{}".into())
            }
            "BatchDeleteImage" => {
                self.deleted.push(body["imageIds"][0]["imageTag"].as_str().unwrap().to_owned());
                self.tag = None;
                (200, "{}".into())
            }
            "CreateStorageLocation" => ok("CreateStorageLocation", "<S3Bucket>bundles</S3Bucket>"),
            "CreateApplicationVersion" if self.version_is_refused => error("AccessDenied", "not allowed"),
            "CreateApplicationVersion" => {
                self.versions.insert(0, (field("VersionLabel"), field("Description"), field("SourceBundle.S3Key")));
                ok("CreateApplicationVersion", "")
            }
            "DeleteApplicationVersion" => {
                let label = field("VersionLabel");
                self.versions.retain(|version| version.0 != label);
                self.deleted.push(label);
                ok("DeleteApplicationVersion", "")
            }
            "DescribeApplicationVersions" => self.described(&field("VersionLabels.member.1")),
            "DescribeEnvironments" => environments(&self.environments),
            "DescribeEvents" => ok(
                "DescribeEvents",
                "<Events><member><Severity>ERROR</Severity><Message>a.config is no YAML</Message></member></Events>",
            ),
            action => ok(action, ""),
        }
    }

    fn image(&self, id: &Value) -> Value {
        let ours = Digest::of(MANIFEST.as_bytes());
        let other = json!({ "images": [{ "imageManifest": "{}" }] });
        match (id["imageDigest"].as_str(), id["imageTag"].as_str(), &self.tag) {
            (_, Some("eb-7"), _) | (Some(_), _, _) => json!({ "images": [{ "imageManifest": MANIFEST }] }),
            (_, Some("eb-2"), Some(held)) if *held == ours => json!({ "images": [{ "imageManifest": MANIFEST }] }),
            (_, Some("eb-2"), Some(_)) => other,
            _ => json!({ "failures": [{ "failureCode": "ImageNotFound" }] }),
        }
    }

    fn described(&self, wanted: &str) -> (u16, String) {
        let asked = self.versions.iter().filter(|version| wanted.is_empty() || version.0 == wanted);
        let members = asked.map(|(label, description, key)| {
            format!(
                "<member><ApplicationName>shop</ApplicationName><VersionLabel>{label}</VersionLabel><Description>\
                 {description}</Description><SourceBundle><S3Bucket>bundles</S3Bucket><S3Key>{key}</S3Key>\
                 </SourceBundle><Status>{}</Status></member>",
                self.status
            )
        });
        let all = members.collect::<String>();
        ok("DescribeApplicationVersions", &format!("<ApplicationVersions>{all}</ApplicationVersions>"))
    }
}

fn other() -> Digest {
    Digest::of(b"{}")
}

async fn make(site: &Beanstalk) -> Result<String, String> {
    let made = staged(async |cx| site.make_version(cx, &in_ecr(), &bundle::Bundle::default()).await).await.0;
    made.map(|()| site.pulled_as().unwrap().tag.to_string())
}

#[tokio::test]
async fn on_ecr_a_version_gets_a_tag_of_its_own_and_has_it_once() {
    let shelf = shelf(Shelf::default());
    let (sdk, world) = world_with(&shelf).await;
    assert_eq!(make(&site(&sdk)).await, Ok("eb-2".into()));
    // The next run finds both; when the tag was lost meanwhile, it is given again.
    assert_eq!(make(&site(&sdk)).await, Ok("eb-2".into()));
    shelf.lock().unwrap().tag = None;
    assert_eq!(make(&site(&sdk)).await, Ok("eb-2".into()));
    let count = |action: &str| world.lock().unwrap().asked.iter().filter(|asked| *asked == action).count();
    assert_eq!((count("PutImage"), count("CreateApplicationVersion")), (2, 1));
    let moved = Some(other());
    shelf.lock().unwrap().tag = moved;
    let refused = make(&site(&sdk)).await.unwrap_err();
    assert!(refused.contains(in_ecr().digest.as_str()) && refused.contains(other().as_str()), "{refused}");
}

#[tokio::test]
async fn who_may_not_put_images_names_the_tag_that_people_use() {
    let shelf = shelf(Shelf { puts_are_denied: true, ..Shelf::default() });
    let (sdk, _world) = world_with(&shelf).await;
    let site = site(&sdk);
    let bundle = bundle::Bundle::default();
    let said = warnings(async |cx| site.make_version(cx, &in_ecr(), &bundle).await).await;
    let [warning] = said.as_slice() else { panic!("one warning: {said:?}") };
    assert!(warning.contains("ecr:PutImage") && warning.contains("\"Effect\":\"Allow\""), "{warning}");
    assert_eq!(site.pulled_as().unwrap().tag.to_string(), "2");
    let key = shelf.lock().unwrap().versions[0].2.clone();
    // Who may by now still finds the version that is there.
    shelf.lock().unwrap().puts_are_denied = false;
    assert_eq!(make(&self::site(&sdk)).await, Ok("2".into()));
    assert_eq!(shelf.lock().unwrap().versions[0].2, key);
}

#[tokio::test]
async fn a_tag_that_no_version_came_to_name_is_taken_away_again() {
    let shelf = shelf(Shelf { version_is_refused: true, ..Shelf::default() });
    let (sdk, _world) = world_with(&shelf).await;
    let site = site(&sdk);
    assert!(make(&site).await.is_err());
    assert!(shelf.lock().unwrap().tag.is_some());
    let undo = in_ecr().home.ecr.unwrap().remove_tag("eb-2");
    assert!(undo.command().ends_with(
        "--repository-name shop --image-ids imageTag=eb-2  # while `beanline local` runs, with what it prints"
    ));
    shelf.lock().unwrap().versions.push(("2".into(), String::new(), String::new()));
    assert!(site.perform(&undo, &Receipt::default()).await.is_ok());
    assert!(shelf.lock().unwrap().deleted.is_empty(), "a version has it for its own");
    shelf.lock().unwrap().versions.clear();
    assert!(site.perform(&undo, &Receipt::default()).await.is_ok());
    assert_eq!(shelf.lock().unwrap().deleted, ["eb-2"]);
}

#[tokio::test]
async fn a_bundle_that_the_platform_refuses_is_a_fault_in_its_words() {
    let directory = std::env::temp_dir().join(format!("beanline-extensions-{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir_all(directory.join(".ebextensions")).unwrap();
    std::fs::write(directory.join(".ebextensions/a.config"), "{").unwrap();
    let read = bundle::Bundle::read(Some(&directory)).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    for (status, wanted) in [("PROCESSED", None), ("FAILED", Some("a.config is no YAML"))] {
        let shelf = shelf(Shelf { status, ..Shelf::default() });
        let (sdk, _world) = world_with(&shelf).await;
        let site = site(&sdk);
        let made = staged(async |cx| site.make_version(cx, &image(), &read).await).await.0;
        assert_eq!(made.is_ok(), wanted.is_none());
        let said = wanted.is_none_or(|wanted| made.unwrap_err().contains(wanted));
        assert!(said && shelf.lock().unwrap().versions.is_empty() == wanted.is_some());
    }
}

#[tokio::test]
async fn the_label_may_hold_the_hash_of_the_bundle() {
    let (sdk, _world) = world(|fields| ok(&fields["Action"], "")).await;
    let label = |image: &ImageToDeploy| {
        let site = site_with(&sdk, BeanstalkPlan { version_label: "{bundle}".into(), ..live::tests::plan() });
        assert!(site.label_is_open());
        site.bundle_of(image).unwrap();
        site.label().to_owned()
    };
    let first = label(&image());
    assert_eq!(first.len(), 12);
    assert_eq!(label(&image()), first);
    assert_ne!(label(&ImageToDeploy { digest: other(), ..image() }), first);
    assert_ne!(label(&ImageToDeploy { port: 81, ..image() }), first);
}

#[tokio::test]
async fn an_image_for_another_processor_is_refused() {
    let (sdk, _world) = world(|fields| ok(&fields["Action"], "")).await;
    let survey = Survey { architectures: vec!["arm64".into()], ..in_flight::survey("shop-0b0b0b0b") };
    let check = |image: &[&str]| {
        let image: Vec<String> = image.iter().map(|name| (*name).to_owned()).collect();
        site(&sdk).check_architecture(&survey, &image)
    };
    let refused = check(&["amd64"]).unwrap_err();
    assert_eq!(
        refused.to_string().split(": ").next(),
        Some("the image is for amd64, and the instances of e-blue are arm64")
    );
    assert!(refused.hints()[0].starts_with("set build_platform to linux/arm64"));
    assert!(check(&["amd64", "arm64"]).is_ok() && check(&[]).is_ok());
}

#[tokio::test]
async fn the_login_for_another_registry_is_written_for_the_instances_and_named() {
    let (sdk, world) = world(|fields| match fields["Action"].as_str() {
        "CreateStorageLocation" => ok("CreateStorageLocation", "<S3Bucket>bundles</S3Bucket>"),
        action => ok(action, "<ApplicationVersions/>"),
    })
    .await;
    let login = Login { host: "registry.test".into(), username: "me".into(), password: Secret::new("obvious-fake") };
    let image = ImageToDeploy { home: Home { ecr: None, login: Some(login) }, ..image() };
    let site = site(&sdk);
    let (sender, mut receiver) = events();
    let engine = Engine::new(sender, Cancel::never(), Rc::new(|_, _| Box::pin(async { Ok(()) })));
    let bundle = bundle::Bundle::default();
    let place = site.login_of(&image, &bundle, "bundles").unwrap();
    assert!(place.key.starts_with("shop/beanline/registry-auth-registry.test-"), "{}", place.key);
    let made = engine
        .stage(Stage::Deploy, Duration::from_secs(60), async |cx| site.make_version(cx, &image, &bundle).await)
        .await;
    assert!(made.is_ok());
    drop(engine);
    let mut notes = String::new();
    while let Some(event) = receiver.next().await {
        if let EventKind::StageNote { text, .. } = event.kind {
            notes.push_str(&text);
        }
    }
    assert!(notes.contains(&format!("log in to registry.test with s3://bundles/{}", place.key)), "{notes}");
    assert!(!notes.contains("obvious-fake") && site.pulled_as() == Some(image.image));
    let put = world.lock().unwrap().put.clone();
    let (_, encryption, bytes) = put.iter().find(|put| put.0.ends_with(&place.key)).unwrap();
    assert_eq!(encryption, "AES256");
    // `me:obvious-fake`, as docker writes it.
    let written: Value = serde_json::from_slice(bytes).unwrap();
    assert_eq!(written, json!({ "auths": { "registry.test": { "auth": "bWU6b2J2aW91cy1mYWtl" } } }));
}

#[tokio::test]
async fn old_versions_go_with_their_tags_and_none_that_is_needed() {
    let ours = |label: &str| {
        let description = format!("127.0.0.1:5000/shop:{label}@{}", Digest::of(MANIFEST.as_bytes()));
        (label.to_owned(), description, format!("shop/{label}.zip"))
    };
    let versions: Vec<_> = ["9", "8", "7", "6", "2"].map(ours).into();
    let shelf = shelf(Shelf {
        versions: [versions, vec![("theirs".into(), "by hand".into(), String::new())]].concat(),
        tag: Some(Digest::of(MANIFEST.as_bytes())),
        environments: vec![environment("e-blue", "shop", "")],
        ..Shelf::default()
    });
    let (sdk, _world) = world_with(&shelf).await;
    // The environment runs version 2, as the run does; 1 has nothing to do with it.
    let site = site_with(&sdk, BeanstalkPlan { version_label: "1".into(), ..live::tests::plan() });
    let prune = async |dry| staged(async |cx| site.prune_versions(cx, 1, dry).await).await.0;
    assert_eq!(prune(true).await, Ok(["8", "7", "6"].map(str::to_owned).into()));
    assert_eq!(prune(false).await, Ok(Vec::new()), "without a journal nobody knows which were good");
    assert!(shelf.lock().unwrap().deleted.is_empty());
    let directory = std::env::temp_dir().join(format!("beanline-old-{}", uuid::Uuid::new_v4().simple()));
    let mut site = site_with(&sdk, BeanstalkPlan { version_label: "1".into(), ..live::tests::plan() });
    let place = directory.clone();
    site.context.journals = Some(Rc::new(move |application, live| {
        Arc::new(crate::local::journal::JournalFile::new(&place, application, live))
    }));
    let pruned = staged(async |cx| {
        site.own(cx, "shop.local.elasticbeanstalk.com").await?;
        let good = good("8");
        site.book.get().unwrap().change(|journal| journal.remember(good.clone())).await?;
        // Another site of the application: what it needs stays, and so does everything while that is not known.
        let beside = site.context.journals.as_ref().unwrap()("shop", "prod.local.elasticbeanstalk.com");
        let broken = beside.write("{", None).await.ok().unwrap();
        assert_eq!(site.prune_versions(cx, 1, false).await?, Vec::<String>::new());
        let mut journal: journal::SiteJournal = site.book.get().unwrap().look().await?;
        journal.good = vec![self::good("6")];
        beside.write(&serde_json::to_string(&journal).unwrap(), broken.as_ref()).await.ok().unwrap();
        site.prune_versions(cx, 1, false).await
    });
    let pruned = pruned.await.0;
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(pruned, Ok(vec!["7".to_owned()]));
    assert_eq!(shelf.lock().unwrap().deleted, ["7", "eb-7"]);
    let left: Vec<String> = shelf.lock().unwrap().versions.iter().map(|version| version.0.clone()).collect();
    assert_eq!(left, ["9", "8", "6", "2", "theirs"]);
}

#[tokio::test]
async fn the_tag_that_live_pulls_by_is_not_moved_under_another_label() {
    let name = image().image;
    let digest = Digest::of(MANIFEST.as_bytes());
    let version = |name: &str| ("1".to_owned(), format!("{name}@{digest} revision 1"), String::new());
    let released = async |recorded: &str, pulled: &TaggedRef| {
        let shelf = shelf(Shelf { versions: vec![version(recorded)], ..Shelf::default() });
        let (sdk, _world) = world_with(&shelf).await;
        let site = site_with(&sdk, BeanstalkPlan { version_label: "{bundle}".into(), ..live::tests::plan() });
        let survey = Survey { application_exists: true, ..in_flight::survey("shop-0b0b0b0b") };
        staged(async |cx| site.released(cx, &survey, pulled).await).await.0.unwrap()
    };
    assert_eq!(released(&name.to_string(), &name).await, Some(digest.clone()));
    assert_eq!(released("registry.test/shop:another", &name).await, None);
}

fn good(label: &str) -> Good {
    let text = |text: &str| text.to_owned();
    Good {
        version_label: text(label),
        image: text("shop"),
        digest: text(""),
        environment_id: text("e-1"),
        key: text("k"),
        run: text("r"),
        at: 0,
        is_withdrawn: false,
    }
}
