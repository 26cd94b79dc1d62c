//! Source bundles, as an instance reads them (developer guide, "Docker platform branch").

mod extensions;

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use base64::Engine as _;
use serde::Deserialize;

use super::work::Cause;

/// More than this of a file in a bundle is not read.
const FILE_LIMIT: u64 = 1 << 20;

/// `Dockerrun.aws.json`, version 1.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Dockerrun {
    #[serde(rename = "AWSEBDockerrunVersion")]
    version: serde_json::Value,
    /// The image to run.
    pub image: Option<Image>,
    /// Where the login for a private registry lies.
    pub authentication: Option<Authentication>,
    #[serde(default)]
    ports: Vec<Port>,
    /// Words that replace the image's entrypoint.
    pub entrypoint: Option<String>,
    /// Words that replace the image's command.
    pub command: Option<String>,
}

/// The image to run.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Image {
    /// Its name, as docker takes it.
    pub name: String,
    #[serde(default)]
    update: Option<serde_json::Value>,
}

/// An object that holds docker's configuration with logins.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Authentication {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Port {
    container_port: serde_json::Value,
}

impl Dockerrun {
    /// The image, and the port that it listens on: the first one listed, the others are not used.
    ///
    /// # Errors
    /// [`Cause::BadBundle`] when either is missing: both are needed to run an image.
    pub fn image_and_port(&self) -> Result<(&Image, u16), Cause> {
        let image = self.image.as_ref().ok_or(Cause::BadBundle)?;
        let port = self.ports.first().ok_or(Cause::BadBundle)?;
        let port = as_text(&port.container_port).parse().map_err(|_| Cause::BadBundle)?;
        Ok((image, port))
    }
}

impl Image {
    /// The name with `:latest` when it has neither tag nor digest.
    pub fn reference(&self) -> String {
        let last = self.name.rsplit('/').next().unwrap_or_default();
        if last.contains(':') { self.name.clone() } else { format!("{}:latest", self.name) }
    }

    /// Whether the image is pulled even when one of its name is there. It is unless the bundle says otherwise.
    pub fn is_always_pulled(&self) -> bool {
        self.update.as_ref().is_none_or(|update| as_text(update) != "false")
    }
}

/// Numbers come as numbers or as texts.
fn as_text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Reads a bundle: a zip, or a `Dockerrun.aws.json` by itself.
///
/// # Errors
/// The cause that the instance reports.
pub fn read(bytes: &[u8]) -> Result<Dockerrun, Cause> {
    let json = if bytes.starts_with(b"PK") { unzip(bytes)? } else { bytes.to_vec() };
    let dockerrun: Dockerrun = serde_json::from_slice(&json).map_err(|_| match json.trim_ascii_start().first() {
        // A Dockerfile may be uploaded by itself too.
        Some(b'{') | None => Cause::BadBundle,
        Some(_) => Cause::NotBuilt,
    })?;
    if as_text(&dockerrun.version) == "1" { Ok(dockerrun) } else { Err(Cause::BadBundle) }
}

/// What is wrong with the configuration files of the version `label`; what is no zip has none.
pub fn flaw(label: &str, bytes: &[u8]) -> Option<String> {
    let files = Files::open(bytes).ok()?;
    let mut paths = files.names.iter().filter(|path| extensions::is_extension(path));
    paths.find_map(|path| extensions::flaw(label, path, &files.text(path)?))
}

/// The login for an image's registry in docker's configuration, as docker writes it and the platform wants it: host,
/// user name, password. A configuration that points to a credential store has none.
pub fn login(configuration: &[u8], image: &str) -> Option<(String, String, String)> {
    #[derive(Deserialize)]
    struct Configuration {
        auths: BTreeMap<String, Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        auth: String,
    }
    let configuration: Configuration = serde_json::from_slice(configuration).ok()?;
    let host = match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    };
    let is_for_host = |key: &str| {
        let key = key.trim_start_matches("https://").trim_start_matches("http://");
        let key = key.split('/').next().unwrap_or_default();
        key == host || (host == "docker.io" && key == "index.docker.io")
    };
    let entry = configuration.auths.iter().find(|(key, _)| is_for_host(key))?.1;
    let decoded = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(&entry.auth).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((host.to_owned(), user.to_owned(), password.to_owned()))
}

/// The files of a zip.
struct Files<'a> {
    archive: zip::ZipArchive<Cursor<&'a [u8]>>,
    names: Vec<String>,
}

impl<'a> Files<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, Cause> {
        let archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|_| Cause::BadBundle)?;
        let names = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
        Ok(Self { archive, names })
    }

    fn has(&self, wanted: &str) -> bool {
        self.names.iter().any(|name| name == wanted)
    }

    /// The beginning of a file; `None` when there is none that can be read.
    fn text(&self, name: &str) -> Option<String> {
        let mut archive = self.archive.clone();
        let file = archive.by_name(name).ok()?;
        let mut bytes = Vec::new();
        file.take(FILE_LIMIT).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn unzip(bytes: &[u8]) -> Result<Vec<u8>, Cause> {
    let files = Files::open(bytes)?;
    // A Dockerfile wins over the image that a Dockerrun names, and is built; compose files may build as well.
    if files.has("Dockerfile") || files.has("docker-compose.yml") {
        return Err(Cause::NotBuilt);
    }
    if !files.has("Dockerrun.aws.json") {
        return Err(Cause::NothingInBundle);
    }
    files.text("Dockerrun.aws.json").map(String::into_bytes).ok_or(Cause::BadBundle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::control::beanstalk::tests::zipped;

    const RUN: &str = r#"{"AWSEBDockerrunVersion":"1","Image":{"Name":"127.0.0.1:5000/shop:1","Update":"true"},
        "Ports":[{"ContainerPort":"8080"},{"ContainerPort":9}]}"#;

    #[test]
    fn a_bundle_is_a_zip_or_the_one_file() {
        for bytes in [RUN.as_bytes().to_vec(), zipped(&[("a/b", ""), ("Dockerrun.aws.json", RUN)])] {
            let run = read(&bytes).unwrap();
            let (image, port) = run.image_and_port().unwrap();
            assert_eq!((image.reference().as_str(), port), ("127.0.0.1:5000/shop:1", 8080));
            assert!(image.is_always_pulled());
        }
        let plain = Image { name: "127.0.0.1:5000/shop".into(), update: Some("false".into()) };
        assert_eq!(plain.reference(), "127.0.0.1:5000/shop:latest");
        assert!(!plain.is_always_pulled());
    }

    #[test]
    fn a_login_is_found_by_the_images_registry() {
        let configuration = br#"{"auths":{"https://index.docker.io/v1/":{"auth":"bWU6b2J2aW91cy1mYWtl"}}}"#;
        let found = Some(("docker.io".to_owned(), "me".to_owned(), "obvious-fake".to_owned()));
        assert_eq!(login(configuration, "team/shop:1"), found);
        assert_eq!(login(configuration, "quay.io/team/shop:1"), None);
        assert_eq!(login(br#"{"credsStore":"desktop"}"#, "team/shop:1"), None);
    }

    #[test]
    fn what_is_wrong_with_a_bundle_is_told_as_the_instance_tells_it() {
        let cause = |bytes: &[u8]| read(bytes).err();
        assert_eq!(cause(&zipped(&[("Dockerfile", "FROM x"), ("Dockerrun.aws.json", RUN)])), Some(Cause::NotBuilt));
        assert_eq!(cause(b"FROM x"), Some(Cause::NotBuilt));
        assert_eq!(cause(&zipped(&[("shop/Dockerrun.aws.json", RUN)])), Some(Cause::NothingInBundle));
        assert_eq!(cause(b"PK nonsense"), Some(Cause::BadBundle));
        assert_eq!(cause(br#"{"AWSEBDockerrunVersion":2}"#), Some(Cause::BadBundle));
        assert_eq!(read(br#"{"AWSEBDockerrunVersion":1}"#).unwrap().image_and_port().err(), Some(Cause::BadBundle));
    }
}
