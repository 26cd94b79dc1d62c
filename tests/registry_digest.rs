//! The real docker pushes an image to our registry, pulls it again, and gets the digest that another registry gives.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test ends where something is not as it should be")]

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use beanline::engine::retry::pause;
use beanline::inputs::secret::Secret;
use beanline::local::plane::{Plane, PlaneClient, PlaneConfig, WriteKind};
use tokio::net::{TcpListener, TcpStream};

/// Debian's registry; the set-up unpacks it and puts it on the path.
const REFERENCE_REGISTRY: &str = "docker-registry";
const PASSWORD: &str = "obvious-fake";

/// A directory, an image and a login that are gone when this is.
struct Scene {
    directory: PathBuf,
    names: Vec<String>,
    reference: Option<Child>,
}

impl Scene {
    /// A small image with two layers of bytes that no other image has.
    fn with_image() -> Self {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let directory = std::env::temp_dir().join(format!("beanline-digest-{id}"));
        std::fs::create_dir_all(directory.join("context")).unwrap();
        let noise: Vec<u8> = (0..64 * 1024).flat_map(|_| uuid::Uuid::new_v4().into_bytes()).collect();
        std::fs::write(directory.join("context/a"), &noise).unwrap();
        std::fs::write(directory.join("context/b"), &id).unwrap();
        std::fs::write(directory.join("context/Dockerfile"), "FROM scratch\nCOPY a /a\nCOPY b /b\nCMD [\"/a\"]\n")
            .unwrap();
        let name = format!("beanline-digest:{id}");
        let scene = Self { directory, names: vec![name.clone()], reference: None };
        let context = scene.directory.join("context");
        let build = scene.docker(&["build", "--quiet", "--tag", &name, context.to_str().unwrap()]);
        assert!(build.status.success(), "{}", text(&build));
        scene
    }

    /// Docker's client with a configuration of its own, so that nobody's login is touched.
    fn docker(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("docker");
        command.env("DOCKER_BUILDKIT", "0").arg("--config").arg(self.directory.join("config")).args(arguments);
        command.stdin(Stdio::null()).output().unwrap()
    }

    fn log_in(&self, registry: &str) {
        let config = self.directory.join("config");
        let mut child = Command::new("docker")
            .args(["--config", config.to_str().unwrap(), "login", registry, "--username", "AWS", "--password-stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }

    /// Gives the image another name.
    fn name(&mut self, name: &str) {
        let output = self.docker(&["tag", &self.names[0], name]);
        assert!(output.status.success(), "{}", text(&output));
        self.names.push(name.to_owned());
    }

    /// Pushes: the digest that docker prints, or its words.
    fn push(&self, name: &str) -> Result<String, String> {
        let output = self.docker(&["push", name]);
        let said = text(&output);
        let digest = said.split("digest: ").nth(1).and_then(|rest| rest.split_whitespace().next());
        if output.status.success() { digest.map(str::to_owned).ok_or(said) } else { Err(said) }
    }

    fn image_id(&self, name: &str) -> String {
        text(&self.docker(&["image", "inspect", "--format", "{{.Id}}", name])).trim().to_owned()
    }

    /// Debian's registry, on a port of loopback that was free a moment ago.
    async fn start_reference(&mut self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let config = self.directory.join("reference.yml");
        let root = self.directory.join("reference");
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
            root.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(REFERENCE_REGISTRY);
        command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        self.reference = Some(command.spawn().unwrap());
        for _ in 0..500 {
            if TcpStream::connect(address).await.is_ok() {
                return address;
            }
            pause(Duration::from_millis(20)).await;
        }
        panic!("{REFERENCE_REGISTRY} does not listen on {address}");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for name in &self.names {
            self.docker(&["image", "rm", name]);
        }
        if let Some(child) = &mut self.reference {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn has_daemon() -> bool {
    let version = Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output();
    version.is_ok_and(|output| output.status.success())
}

async fn start_plane(directory: &Path) -> (SocketAddr, PlaneClient) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = PlaneConfig {
        registry: any,
        router: any,
        admin: any,
        dns: any,
        directory: directory.join("plane"),
        ..PlaneConfig::in_container(Secret::new(PASSWORD), Secret::new("token"), i64::MAX, [])
    };
    let plane = Plane::bind(config).await.unwrap();
    let addresses = plane.addresses();
    tokio::spawn(plane.run());
    (addresses.registry, PlaneClient::new(addresses.admin.to_string(), Secret::new("token")))
}

/// Says what is not tested and why. In CI that is a failure.
fn skip(reason: &str) {
    assert!(std::env::vars().all(|(name, value)| name != "CI" || value != "true"), "CI=true, and {reason}");
    eprintln!("skipped: {reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn docker_pushes_and_pulls_and_the_digest_is_that_of_another_registry() {
    if !has_daemon() {
        return skip("no docker daemon answers");
    }
    let mut scene = Scene::with_image();
    let (registry, client) = start_plane(&scene.directory).await;
    let (shop, copy) = (format!("{registry}/team/shop:1"), format!("{registry}/copy:1"));
    scene.name(&shop);
    let id = scene.image_id(&shop);

    let refused = scene.push(&shop).unwrap_err();
    assert!(refused.contains("no basic auth credentials") || refused.contains("authentication"), "{refused}");
    scene.log_in(&registry.to_string());
    let refused = scene.push(&shop).unwrap_err();
    assert!(refused.contains("'team/shop' does not exist"), "{refused}");
    assert!(client.registry_log().await.unwrap().is_empty());

    client.create_repository("team/shop", false).await.unwrap();
    let digest = scene.push(&shop).unwrap();
    let again = scene.push(&shop).unwrap();
    assert_eq!(digest, again);
    let log = client.registry_log().await.unwrap();
    assert_eq!(log.iter().filter(|write| write.kind == WriteKind::Blob).count(), 3);
    let manifests: Vec<_> = log.iter().filter(|write| write.kind == WriteKind::Manifest).collect();
    assert!(manifests.iter().all(|write| write.reference == "1") && manifests.len() == 2);
    let images = client.images("team/shop").await.unwrap().unwrap();
    assert_eq!((images[0].digest.as_str(), images[0].tags.as_slice()), (digest.as_str(), &["1".to_owned()][..]));

    client.create_repository("copy", false).await.unwrap();
    scene.name(&copy);
    assert_eq!(scene.push(&copy).unwrap(), digest);
    let mounted = client.registry_log().await.unwrap().into_iter().filter(|write| write.method == "POST").count();
    assert!(mounted > 0, "no layer was mounted from the other repository");

    for name in scene.names.clone() {
        scene.docker(&["image", "rm", &name]);
    }
    let pulled = scene.docker(&["pull", &shop]);
    assert!(pulled.status.success() && text(&pulled).contains(&digest), "{}", text(&pulled));
    assert_eq!(scene.image_id(&shop), id);

    if Command::new(REFERENCE_REGISTRY).arg("--version").output().is_err() {
        return skip("there is no docker-registry to compare with");
    }
    let other = format!("{}/team/shop:1", scene.start_reference().await);
    scene.names[0] = shop;
    scene.name(&other);
    assert_eq!(scene.push(&other).unwrap(), digest);
}
