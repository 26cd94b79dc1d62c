//! An environment on the docker daemon of this machine. Without one the test says so and passes.

use std::net::{Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use super::*;
use crate::docker::{DaemonEnv, Labels};
use crate::image::{Repository, Tag, TaggedRef};
use crate::inputs::secret::Secret;
use crate::local::control::beanstalk::Pace;
use crate::local::control::state::Store;
use crate::local::control::{ControlPlane, Settings};
use crate::local::plane::{Plane, PlaneAddresses, PlaneConfig};

const BUSYBOX: &str = "/bin/busybox";
const SERVES: &str =
    "mkdir /www; echo $GREETING > /www/index.html; exec /bin/busybox httpd -f -p 8080 -h /www; # a server";
const ENDS: &str = "echo 'no database'; exit 3";

/// A world with nodes. What it makes carries its label and is removed at its end, however that comes.
struct World {
    docker: Docker,
    id: String,
    directory: PathBuf,
    addresses: PlaneAddresses,
    login: Login,
    plane: PlaneClient,
    control: ControlPlane,
    tasks: Vec<JoinHandle<()>>,
}

#[expect(clippy::print_stdout, reason = "a test that did not run must not look as if it had")]
fn skipped(why: &str) {
    println!("skipped: {why}");
}

async fn with_world(test: impl AsyncFnOnce(&World)) {
    let Ok(docker) = Docker::connect(&DaemonEnv::default()).await else { return skipped("no docker daemon") };
    if !std::path::Path::new(BUSYBOX).exists() {
        return skipped("no static busybox");
    }
    let world = World::start(docker).await;
    let outcome = AssertUnwindSafe(test(&world)).catch_unwind().await;
    world.remove_everything().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

impl World {
    async fn start(docker: Docker) -> Self {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let directory = std::env::temp_dir().join(format!("beanline-nodes-{id}"));
        std::fs::create_dir(&directory).unwrap();
        let store = Store::open(&directory.join("state.json"), &id).unwrap();
        let (password, token) =
            store.read(|s| (Secret::new(s.registry_password.as_str()), Secret::new(s.admin_token.as_str())));
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = PlaneConfig {
            registry: free,
            router: free,
            admin: free,
            dns: free,
            directory: directory.join("registry"),
            ..PlaneConfig::in_container(password.clone(), token.clone(), i64::MAX, [])
        };
        let data_plane = Plane::bind(config).await.unwrap();
        let addresses = data_plane.addresses();
        let plane = PlaneClient::new(addresses.admin.to_string(), token);
        let registry = addresses.registry.to_string();
        let step = Duration::from_millis(20);
        let pace = Pace { step, ask_every: step, ..Pace::default() };
        let settings = Settings {
            port: 0,
            directory: directory.clone(),
            store,
            pace,
            plane: plane.clone(),
            registry: registry.clone(),
        };
        let control = ControlPlane::start(settings).await.unwrap();
        let network = format!("beanline-test-{id}");
        docker.create_network(&network, &Labels::from([(WORLD.into(), id.clone())])).await.unwrap();
        let login = Login { host: registry, username: "AWS".into(), password };
        let ground = Ground { world: id.clone(), network, dns: Vec::new(), registry: login.clone() };
        let nodes = Nodes::new(control.beanstalk().clone(), docker.clone(), plane.clone(), ground);
        // It runs until its task is ended; if it breaks, the requests of the test do.
        let served = tokio::spawn(async move { drop(data_plane.run().await) });
        let tasks = vec![served, tokio::spawn(nodes.run())];
        Self { docker, id, directory, addresses, login, plane, control, tasks }
    }

    async fn remove_everything(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        for container in self.containers().await {
            self.docker.remove_container(&container).await.unwrap();
        }
        self.docker.remove_network(&format!("beanline-test-{}", self.id)).await.unwrap();
        for tag in ["1", "2"] {
            self.docker.remove_image(&self.image(tag).to_string()).await.unwrap();
        }
        std::fs::remove_dir_all(&self.directory).unwrap();
    }

    async fn containers(&self) -> Vec<String> {
        let found = self.docker.containers_labelled(&format!("{WORLD}={}", self.id)).await.unwrap();
        found.into_iter().map(|container| container.id).collect()
    }

    fn image(&self, tag: &str) -> TaggedRef {
        let repository = Repository::parse("shop", &self.login.host).unwrap();
        TaggedRef { repository, tag: Tag::parse(tag).unwrap() }
    }

    /// An image that runs `script` goes to the registry and from the daemon, and a version that runs it is made.
    async fn version(&self, tag: &str, script: &str) {
        let mut tar = ::tar::Builder::new(Vec::new());
        tar.append_path_with_name(BUSYBOX, "bin/busybox").unwrap();
        for name in ["sh", "mkdir", "echo"] {
            let mut link = ::tar::Header::new_gnu();
            link.set_entry_type(::tar::EntryType::Symlink);
            link.set_size(0);
            tar.append_link(&mut link, format!("bin/{name}"), "busybox").unwrap();
        }
        let tar = Bytes::from(tar.into_inner().unwrap());
        let (image, labels) = (self.image(tag), Labels::from([(WORLD.into(), self.id.clone())]));
        self.docker.import(tar, &image.to_string(), &labels, &["/bin/sh", "-c", script]).await.unwrap();
        self.docker.push(&image, Some(&self.login), &|_| ()).await.unwrap();
        self.docker.remove_image(&image.to_string()).await.unwrap();
        let bundle = format!(
            r#"{{"AWSEBDockerrunVersion":"1","Image":{{"Name":"{image}"}},"Ports":[{{"ContainerPort":8080}}]}}"#
        );
        let objects = self.control.beanstalk().objects();
        objects.make_bucket("bundles").await.unwrap();
        objects.put("bundles", tag, bundle.into_bytes()).await.unwrap();
        self.call(&format!(
            "CreateApplicationVersion&ApplicationName=shop&VersionLabel={tag}&AutoCreateApplication=true\
             &SourceBundle.S3Bucket=bundles&SourceBundle.S3Key={tag}"
        ))
        .await;
    }

    async fn call(&self, form: &str) -> String {
        let response = self.control.beanstalk().answer(&format!("Action={form}")).await;
        let (status, body) = (response.status(), response.into_body());
        let body = String::from_utf8(axum::body::to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
        assert!(status.is_success(), "{form}: {body}");
        body
    }

    /// Waits until the environment is described with `text`.
    async fn reaches(&self, text: &str) -> String {
        let mut body = String::new();
        for _ in 0..600 {
            body = self.call("DescribeEnvironments&EnvironmentNames.member.1=shop-a").await;
            if body.contains(text) {
                return body;
            }
            pause(Duration::from_millis(100)).await;
        }
        let events = self.call("DescribeEvents&EnvironmentName=shop-a").await;
        panic!("no {text}: {body}\n{events}");
    }

    /// What the router answers for the environment's name.
    async fn served(&self) -> String {
        let mut stream = tokio::net::TcpStream::connect(self.addresses.router).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: shop.local.elasticbeanstalk.com\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[tokio::test]
async fn instances_are_containers_that_run_what_the_bundle_names() {
    with_world(async |world| {
        world.plane.create_repository("shop", false).await.unwrap();
        world.version("1", SERVES).await;
        world.version("2", ENDS).await;
        let mut form = "CreateEnvironment&ApplicationName=shop&EnvironmentName=shop-a&CNAMEPrefix=shop&VersionLabel=1\
                        &SolutionStackName=64bit+Amazon+Linux+2023+v4.13.5+running+Docker"
            .to_owned();
        let options = [
            ("aws:autoscaling:launchconfiguration", "IamInstanceProfile", "ec2"),
            ("aws:autoscaling:asg", "MinSize", "2"),
            ("aws:elasticbeanstalk:application:environment", "GREETING", "hello"),
            ("aws:elasticbeanstalk:healthreporting:system", "SystemType", "enhanced"),
        ];
        for (index, (namespace, name, value)) in options.into_iter().enumerate() {
            let option = format!("OptionSettings.member.{}", index + 1);
            form += &format!("&{option}.Namespace={namespace}&{option}.OptionName={name}&{option}.Value={value}");
        }
        world.call(&form).await;
        world.reaches("<Status>Ready</Status>").await;
        world.reaches("<Health>Green</Health>").await;
        assert_eq!(world.containers().await.len(), 2);
        // Routes follow health by one question.
        pause(Duration::from_millis(500)).await;
        assert!(world.served().await.ends_with("hello\n"), "{}", world.served().await);

        let update = world.call("UpdateEnvironment&EnvironmentName=shop-a&VersionLabel=2").await;
        let body = world.reaches("<Status>Ready</Status>").await;
        assert!(body.contains("<VersionLabel>1</VersionLabel>"), "{body}");
        world.reaches("<Health>Red</Health>").await;
        let events = world.call("DescribeEvents&EnvironmentName=shop-a&Severity=ERROR").await;
        assert!(events.contains("The Docker container unexpectedly ended after it was started."), "{events}");
        let between = |text: &str, start: &str, end: &str| {
            text.split(start).nth(1).unwrap().split(end).next().unwrap().to_owned()
        };
        let (id, request) = (between(&update, "<EnvironmentId>", "<"), between(&update, "<RequestId>", "<"));
        let key = format!("resources/environments/logs/deployments/{id}/eb-deployment-{request}.log");
        let log = world.control.beanstalk().objects().get(&beanstalk::bucket(), &key).await.unwrap();
        assert!(String::from_utf8_lossy(&log).contains("] no database"), "{}", String::from_utf8_lossy(&log));

        world.call("RequestEnvironmentInfo&EnvironmentName=shop-a&InfoType=tail").await;
        world.call("TerminateEnvironment&EnvironmentName=shop-a").await;
        world.reaches("<Status>Terminated</Status>").await;
        assert_eq!(world.containers().await, Vec::<String>::new());
        for _ in 0..50 {
            if world.docker.image(&world.image("2").to_string()).await.unwrap().is_none() {
                break;
            }
            pause(Duration::from_millis(100)).await;
        }
        for tag in ["1", "2"] {
            assert!(world.docker.image(&world.image(tag).to_string()).await.unwrap().is_none(), "image {tag} is left");
        }
    })
    .await;
}
