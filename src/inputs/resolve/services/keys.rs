//! Which keys are understood. Everything else is refused by name: what is dropped in silence is missed at night.

use serde_json::{Map, Value};

use crate::inputs::problem::{Wrong, shown};
use crate::inputs::raw::distance;

/// Keys of a service that have their effect.
const SUPPORTED: &[&str] = &[
    "image",
    "pull_policy",
    "environment",
    "command",
    "entrypoint",
    "ports",
    "expose",
    "healthcheck",
    "depends_on",
    "tmpfs",
    "networks",
    "hostname",
    "user",
    "working_dir",
    "shm_size",
    "mem_limit",
    "init",
    "labels",
];

/// Keys that compose knows and that have a better answer than to be left out.
const INSTEAD: &[(&str, &str)] = &[
    ("build", "name an image that is in a registry or on the engine; here only the one under test is built"),
    ("configs", FILES),
    ("container_name", "its name on the network is the service's; write further names as networks.default.aliases"),
    ("deploy", "leave it out; write mem_limit for a limit of memory"),
    ("env_file", "write the variables as environment; a bare name takes its value from this run's environment"),
    ("extends", "write out what is needed, or use a YAML anchor"),
    ("links", "leave it out: services reach each other by name; write further names as networks.default.aliases"),
    ("network_mode", "leave it out: the services of a stage and its tests share a network of their own"),
    ("platform", "leave it out: services run on the engine's own platform"),
    ("privileged", "leave it out: no container of a run gets rights over the machine"),
    ("profiles", "keep the services that the tests need, and leave it out"),
    ("restart", "leave it out: a service that ends is an error, with its last lines"),
    ("scale", "leave it out: there is one container of each service"),
    (
        "secrets",
        "write it as a bare name in environment: its value comes from this run's environment and is never shown",
    ),
    ("stop_grace_period", GONE),
    ("stop_signal", GONE),
    (
        "volumes",
        "leave it out: nothing is mounted, and data goes with the container; use tmpfs to keep it in memory, and \
                 put files into the image",
    ),
    ("volumes_from", "leave it out: nothing is mounted"),
];

const FILES: &str = "put the file into the image, or write what it says as environment or command";
const GONE: &str = "leave it out: services are removed at once when their stage ends";

/// Further keys that compose knows (Compose specification, "Services").
const KNOWN: &str = "annotations attach blkio_config cap_add cap_drop cgroup cgroup_parent cpu_count cpu_percent cpu_period \
    cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset credential_spec develop device_cgroup_rules devices dns \
    dns_opt dns_search domainname driver_opts external_links extra_hosts gpus group_add ipc isolation label_file logging \
    mac_address mem_reservation mem_swappiness memswap_limit models oom_kill_disable oom_score_adj pid pids_limit \
    post_start pre_stop provider read_only runtime security_opt stdin_open storage_opt sysctls tty ulimits \
    use_api_socket userns_mode uts";

/// Keys at the top of a whole compose file, with what to do about those that are not understood.
const TOP: &[(&str, Option<&str>)] = &[
    ("services", None),
    ("version", None),
    ("name", None),
    ("configs", Some(FILES)),
    ("include", Some("write out the services that the tests need")),
    ("models", Some("leave it out")),
    ("networks", Some("leave it out: the services of a stage and its tests share a network of their own")),
    ("secrets", Some("leave it out; a bare name in a service's environment takes its value from this run's")),
    ("volumes", Some("leave it out: nothing is mounted, and data goes with the container; use tmpfs where it is slow")),
];

/// What compose itself ignores (Compose specification, "Extensions").
fn is_extension(key: &str) -> bool {
    key.starts_with("x-")
}

/// Whether a mapping is a whole compose file, and not the services alone.
pub(super) fn is_document(map: &Map<String, Value>) -> bool {
    let known = |key: &str| is_extension(key) || TOP.iter().any(|(known, _)| *known == key);
    map.contains_key("services") && map.keys().all(|key| known(key))
}

/// What is wrong with the keys at the top of a compose file.
pub(super) fn at_the_top(map: &Map<String, Value>) -> Vec<Wrong> {
    let wrong = |(key, instead): &(&str, Option<&str>)| {
        let value = map.get(*key).filter(|value| !is_empty(value))?;
        let is_plain = *key == "networks"
            && value
                .as_object()
                .is_some_and(|map| map.values().all(is_empty) && map.keys().all(|key| key == "default"));
        instead.filter(|_| !is_plain).map(|instead| Wrong::new(format!("has {key}, which is not supported"), instead))
    };
    TOP.iter().filter_map(wrong).collect()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// Takes extensions and keys without a value off a service, and says what is wrong with the keys that are left.
pub(super) fn of_service(service: &str, map: &mut Map<String, Value>) -> Vec<Wrong> {
    map.retain(|key, value| !is_extension(key) && !value.is_null());
    let mut wrongs: Vec<Wrong> = map.keys().filter_map(|key| unknown(&format!("{service}."), key)).collect();
    for (key, value) in map.iter_mut() {
        let place = format!("{service}.{key}");
        match (key.as_str(), value) {
            ("healthcheck", Value::Object(check)) => {
                check.retain(|key, value| !is_extension(key) && !value.is_null());
                wrongs.extend(only(&place, check, HEALTH_CHECK));
            }
            ("depends_on", Value::Object(others)) => {
                for (name, other) in others.iter().filter_map(|(name, other)| Some((name, other.as_object()?))) {
                    wrongs.extend(only(&format!("{place}.{name}"), other, DEPENDENCY));
                }
            }
            ("ports", Value::Array(ports)) => {
                for port in ports.iter().filter_map(Value::as_object) {
                    wrongs.extend(only(&place, port, PORT));
                }
            }
            ("networks", value) => wrongs.extend(of_networks(&place, value)),
            _ => {}
        }
    }
    wrongs
}

const HEALTH_CHECK: &[&str] = &["test", "interval", "timeout", "retries", "start_period", "disable"];
const DEPENDENCY: &[&str] = &["condition", "required", "restart"];
const PORT: &[&str] = &["target", "published", "host_ip", "protocol", "mode", "name", "app_protocol"];

/// Why a service cannot have a key.
fn unknown(before: &str, key: &str) -> Option<Wrong> {
    if SUPPORTED.contains(&key) {
        return None;
    }
    let instead = INSTEAD.iter().find(|(known, _)| *known == key).map(|(_, instead)| *instead);
    let is_known = instead.is_some() || KNOWN.split_whitespace().any(|known| known == key);
    let place = shown(&format!("{before}{key}"));
    if is_known {
        return Some(Wrong::new(format!("has {place}, which is not supported"), instead.unwrap_or("leave it out")));
    }
    Some(Wrong::new(format!("has {place}, which compose does not know"), nearest(key, SUPPORTED)))
}

fn nearest(key: &str, known: &[&str]) -> String {
    match known.iter().map(|known| (distance(key, known), *known)).min() {
        Some((distance, known)) if distance <= (key.len() / 3).max(2) => format!("did you mean {known}?"),
        _ => format!("known are {}", known.join(", ")),
    }
}

/// Refuses keys that are not among these.
fn only(place: &str, map: &Map<String, Value>, known: &[&str]) -> Vec<Wrong> {
    let others = map.keys().filter(|key| !known.contains(&key.as_str()) && !is_extension(key));
    let wrong = |key: &String| {
        let place = shown(&format!("{place}.{key}"));
        match key.as_str() {
            "start_interval" => Wrong::new(
                format!("has {place}, which older engines do not know"),
                "leave it out, and write a short interval",
            ),
            _ => Wrong::new(format!("has {place}, which is not known there"), nearest(key, known)),
        }
    };
    others.map(wrong).collect()
}

/// There is one network, with aliases on it.
fn of_networks(place: &str, networks: &Value) -> Vec<Wrong> {
    let instead = "leave it out: there is one network, which compose calls default; it may have aliases";
    let refused =
        |name: &str| Wrong::new(format!("has {}, which is not supported", shown(&format!("{place}.{name}"))), instead);
    match networks {
        Value::Array(names) => {
            names.iter().filter_map(Value::as_str).filter(|name| *name != "default").map(refused).collect()
        }
        Value::Object(map) => {
            let others = map.keys().filter(|name| *name != "default").map(|name| refused(name));
            let settings = map.get("default").and_then(Value::as_object);
            let unknown = settings.map(|settings| only(&format!("{place}.default"), settings, &["aliases"]));
            others.chain(unknown.unwrap_or_default()).collect()
        }
        _ => Vec::new(),
    }
}
