//! Source bundles, as an instance reads them (developer guide, "Docker platform branch").

mod compose;
mod extensions;

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use base64::Engine as _;
use serde::Deserialize;

use super::work::Cause;
pub use compose::Properties;

/// More than this of a file in a bundle is not read.
const FILE_LIMIT: u64 = 1 << 20;

/// What an instance runs.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The container that serves.
    pub service: Service,
    /// Where the login for a private registry lies.
    pub authentication: Option<Authentication>,
}

/// A container that serves.
#[derive(Clone, Debug)]
pub struct Service {
    /// The image to run.
    pub image: Image,
    /// The port that it listens on; 0 when nothing leads there.
    pub port: u16,
    /// Replaces the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Its environment variables.
    pub variables: Vec<(String, String)>,
}

/// `Dockerrun.aws.json`, version 1, or version 3, which has nothing but a login.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Dockerrun {
    #[serde(rename = "AWSEBDockerrunVersion")]
    version: serde_json::Value,
    image: Option<Image>,
    authentication: Option<Authentication>,
    #[serde(default)]
    ports: Vec<Port>,
    entrypoint: Option<String>,
    command: Option<String>,
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
    /// Its bucket; version 3 writes small letters.
    #[serde(alias = "bucket")]
    pub bucket: String,
    /// Its key.
    #[serde(alias = "key")]
    pub key: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Port {
    container_port: serde_json::Value,
}

impl Dockerrun {
    fn parse(json: &[u8], version: &str) -> Result<Self, Cause> {
        let run: Self = serde_json::from_slice(json).map_err(|_| Cause::BadBundle)?;
        if as_text(&run.version) == version { Ok(run) } else { Err(Cause::BadBundle) }
    }

    /// The image and the port that it listens on, which are both needed; the first port listed, the others are not used.
    fn bundle(self, properties: &Properties) -> Result<Bundle, Cause> {
        let port = self.ports.first().ok_or(Cause::BadBundle)?;
        let service = Service {
            image: self.image.ok_or(Cause::BadBundle)?,
            port: as_text(&port.container_port).parse().map_err(|_| Cause::BadBundle)?,
            entrypoint: self.entrypoint.as_deref().map(words),
            command: self.command.as_deref().map(words),
            variables: properties.clone().into_iter().collect(),
        };
        Ok(Bundle { service, authentication: self.authentication })
    }
}

/// `Entrypoint` and `Command` are one text each.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
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

/// Reads a bundle: a zip, or a `Dockerrun.aws.json` or `docker-compose.yml` by itself, for an environment with these
/// properties.
///
/// # Errors
/// The cause that the instance reports.
pub fn read(bytes: &[u8], properties: &Properties) -> Result<Bundle, Cause> {
    if bytes.starts_with(b"PK") {
        return unzip(bytes, properties);
    }
    match bytes.trim_ascii_start().first() {
        Some(b'{') | None => Dockerrun::parse(bytes, "1")?.bundle(properties),
        Some(_) => {
            let text = String::from_utf8_lossy(bytes);
            // A Dockerfile may be uploaded by itself too.
            if !compose::is_compose(&text) {
                return Err(Cause::NotBuilt);
            }
            Ok(Bundle { service: compose::read(&text, properties, &|_| None)?, authentication: None })
        }
    }
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

fn unzip(bytes: &[u8], properties: &Properties) -> Result<Bundle, Cause> {
    let files = Files::open(bytes)?;
    if flaw("", bytes).is_some() {
        return Err(Cause::BadBundle);
    }
    let dockerrun = files.text("Dockerrun.aws.json");
    if let Some(text) = files.text("docker-compose.yml") {
        let service = compose::read(&text, properties, &|name| files.text(name))?;
        let run = dockerrun.map(|json| Dockerrun::parse(json.as_bytes(), "3")).transpose()?;
        return Ok(Bundle { service, authentication: run.and_then(|run| run.authentication) });
    }
    // A Dockerfile wins over the image that a Dockerrun names, and is built.
    if files.has("Dockerfile") {
        return Err(Cause::NotBuilt);
    }
    Dockerrun::parse(dockerrun.ok_or(Cause::NothingInBundle)?.as_bytes(), "1")?.bundle(properties)
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
            let properties = Properties::from([("A".to_owned(), "b".to_owned())]);
            let service = read(&bytes, &properties).unwrap().service;
            assert_eq!((service.image.reference().as_str(), service.port), ("127.0.0.1:5000/shop:1", 8080));
            assert!(service.image.is_always_pulled());
            assert_eq!(service.variables, [("A".to_owned(), "b".to_owned())]);
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
        let cause = |bytes: &[u8]| read(bytes, &Properties::new()).err();
        assert_eq!(cause(&zipped(&[("Dockerfile", "FROM x"), ("Dockerrun.aws.json", RUN)])), Some(Cause::NotBuilt));
        assert_eq!(cause(b"FROM x"), Some(Cause::NotBuilt));
        assert_eq!(cause(&zipped(&[("shop/Dockerrun.aws.json", RUN)])), Some(Cause::NothingInBundle));
        assert_eq!(cause(b"PK nonsense"), Some(Cause::BadBundle));
        assert_eq!(cause(br#"{"AWSEBDockerrunVersion":2}"#), Some(Cause::BadBundle));
        assert_eq!(cause(br#"{"AWSEBDockerrunVersion":1}"#), Some(Cause::BadBundle));
        let bad = [("Dockerrun.aws.json", RUN), (".ebextensions/1.config", "a: [")];
        assert_eq!(cause(&zipped(&bad)), Some(Cause::BadBundle));
        let hooks =
            [("Dockerrun.aws.json", RUN), (".ebextensions/1.config", "a: 1"), (".platform/hooks/prebuild/1", "#!")];
        assert_eq!(cause(&zipped(&hooks)), None);
    }

    #[test]
    fn a_compose_file_may_have_its_login_beside_it() {
        let compose = ("docker-compose.yml", "services: {web: {image: quay.io/shop, ports: ['80:8080']}}");
        let login = r#"{"AWSEBDockerrunVersion":"3","Authentication":{"bucket":"b","key":"k"}}"#;
        let bundle = read(&zipped(&[compose, ("Dockerrun.aws.json", login)]), &Properties::new()).unwrap();
        let place = bundle.authentication.unwrap();
        assert_eq!((place.bucket.as_str(), place.key.as_str(), bundle.service.port), ("b", "k", 8080));
        assert!(read(compose.1.as_bytes(), &Properties::new()).is_ok(), "the one file alone");
        let other = zipped(&[compose, ("Dockerrun.aws.json", RUN)]);
        assert_eq!(read(&other, &Properties::new()).err(), Some(Cause::BadBundle), "version 1 has no place beside it");
    }
}
