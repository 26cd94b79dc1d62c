//! What a request asks for, by a name that is the same in every run.

use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;
use http::Method;
use http::request::Parts;

/// Whom the binary speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// The docker daemon.
    Docker,
    /// The control plane of the local cloud.
    Cloud,
    /// GitHub.
    Github,
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Docker, Self::Cloud, Self::Github];
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Peer::Docker => "docker",
            Peer::Cloud => "cloud",
            Peer::Github => "github",
        })
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Who is asked.
    pub peer: Peer,
    /// What is asked for, without ids.
    pub name: String,
    /// Whether it may change something.
    pub is_mutating: bool,
}

/// Names that were given to ids in the answers so far.
pub type Names = HashMap<String, String>;

impl Call {
    /// Reads a request. The body is needed where the action is in it, or a name.
    pub fn of(peer: Peer, parts: &Parts, body: &Bytes, names: &Names) -> Self {
        let (name, only_reads) = match peer {
            Peer::Docker => docker(parts, names),
            Peer::Cloud => cloud(parts, body),
            Peer::Github => (github(parts, body, names), false),
        };
        let may_change = !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        Self { peer, name, is_mutating: may_change && !only_reads }
    }
}

/// The path of the engine's API without its version.
pub fn engine_path(path: &str) -> &str {
    match path.strip_prefix("/v1.").and_then(|rest| rest.split_once('/')) {
        Some((version, _)) => &path["/v1.".len() + version.len()..],
        None => path,
    }
}

/// A value of the query.
pub fn in_query(parts: &Parts, name: &str) -> Option<String> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(parts.uri.query()?).ok()?;
    pairs.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn docker(parts: &Parts, names: &Names) -> (String, bool) {
    let path = engine_path(parts.uri.path());
    let named: Vec<String> = path.split('/').map(|part| names.get(part).cloned().unwrap_or(part.to_owned())).collect();
    let more = ["name", "tag"].iter().find_map(|key| in_query(parts, key)).map(|value| format!(" {}", plain(&value)));
    let last = path.rsplit('/').next().unwrap_or_default();
    let only_reads = match path.split('/').nth(1) {
        Some("auth" | "session" | "grpc" | "exec") => true,
        Some("containers") => ["attach", "wait", "exec", "resize"].contains(&last),
        _ => false,
    };
    (format!("{} {}{}", parts.method, plain(&named.join("/")), more.unwrap_or_default()), only_reads)
}

/// Beanstalk and STS name the action in a form, ECR in a header; what has neither is S3.
fn cloud(parts: &Parts, body: &Bytes) -> (String, bool) {
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let form = serde_urlencoded::from_bytes::<Vec<(String, String)>>(body).unwrap_or_default();
    let in_form = form.into_iter().find(|(name, _)| name == "Action").map(|(_, action)| action);
    match target.map(|target| target.rsplit('.').next().unwrap_or(target).to_owned()).or(in_form) {
        Some(action) => {
            let reads = ["Describe", "List", "Check", "Get", "BatchGet", "BatchCheck", "AssumeRole", "Retrieve"];
            let only_reads = reads.iter().any(|verb| action.starts_with(verb));
            (action, only_reads)
        }
        None => (format!("{} s3:/{}", parts.method, plain(parts.uri.path())), false),
    }
}

/// Check runs are named as on the commit, with what becomes of them.
fn github(parts: &Parts, body: &Bytes, names: &Names) -> String {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let told = ["name", "conclusion", "status", "state"].iter().filter_map(|field| json[*field].as_str());
    let path: Vec<_> =
        parts.uri.path().split('/').skip(4).map(|part| names.get(part).map_or(part, |name| name)).collect();
    let path = path.iter().map(|part| plain(part)).collect::<Vec<_>>().join("/");
    [&format!("{} {path}", parts.method)[..]].into_iter().chain(told).collect::<Vec<_>>().join(" ")
}

/// A text without what differs between two runs: ids, hashes, revisions, ports.
pub fn plain(text: &str) -> String {
    let is_id = |word: &str| {
        let (hex, digits) = (|c: char| c.is_ascii_hexdigit(), |c: char| c.is_ascii_digit());
        (word.len() >= 8 && word.chars().all(hex)) || (word.len() >= 5 && word.chars().all(digits))
    };
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    words
        .map(|word| {
            let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            if is_id(bare) { format!("*{}", &word[bare.len()..]) } else { word.to_owned() }
        })
        .collect()
}

#[test]
fn calls_have_the_same_name_in_every_run() {
    let names =
        Names::from([("0123456789ab".to_owned(), "beanline-unit-*".to_owned()), ("7".into(), "shop / build".into())]);
    let name = |peer, method: Method, uri: &str, body: &'static str| {
        let (parts, ()) = http::Request::builder().method(method).uri(uri).body(()).unwrap().into_parts();
        let call = Call::of(peer, &parts, &Bytes::from_static(body.as_bytes()), &names);
        (call.name, call.is_mutating)
    };
    let cases = [
        (
            Peer::Docker,
            Method::POST,
            "/v1.51/containers/create?name=beanline-unit-1f0c2aa5",
            "",
            "POST /containers/create beanline-unit-*",
            true,
        ),
        (
            Peer::Docker,
            Method::POST,
            "/v1.51/containers/0123456789ab/start",
            "",
            "POST /containers/beanline-unit-*/start",
            true,
        ),
        (
            Peer::Docker,
            Method::POST,
            "/v1.51/containers/0123456789ab/wait",
            "",
            "POST /containers/beanline-unit-*/wait",
            false,
        ),
        (Peer::Docker, Method::POST, "/v1.51/session", "", "POST /session", false),
        (Peer::Docker, Method::GET, "/_ping", "", "GET /_ping", false),
        (
            Peer::Docker,
            Method::POST,
            "/images/127.0.0.1:32768/shop/push?tag=1f0c2aa5",
            "",
            "POST /images/127.0.0.1:*/shop/push *",
            true,
        ),
        (Peer::Cloud, Method::POST, "/", "Action=DescribeEvents&Version=1", "DescribeEvents", false),
        (Peer::Cloud, Method::POST, "/", "Action=SwapEnvironmentCNAMEs", "SwapEnvironmentCNAMEs", true),
        (Peer::Cloud, Method::PUT, "/bucket/shop/1f0c2aa51f0c2aa5.zip", "PK", "PUT s3://bucket/shop/*.zip", true),
        (
            Peer::Github,
            Method::PATCH,
            "/repos/octo/shop/check-runs/7",
            r#"{"conclusion":"success","status":"completed"}"#,
            "PATCH check-runs/shop / build success completed",
            true,
        ),
    ];
    for (peer, method, uri, body, expected, is_mutating) in cases {
        assert_eq!(name(peer, method, uri, body), (expected.to_owned(), is_mutating), "{uri}");
    }
}
