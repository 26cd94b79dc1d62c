//! `Dockerrun.aws.json`: version 1 names the image; version 3 holds a login, beside a compose file (developer guide,
//! "Docker configuration").

use serde_json::{Map, Value, json};

use super::{Authentication, COMPOSE, DOCKERRUN, Names};
use crate::fault::Fault;

/// A run of the image, version 1: what the template says, and what it must say for an image. `Update` makes every node
/// pull the name anew; it is text, not a boolean, as in the platform's own examples.
///
/// # Errors
/// When the template is not of version 1, or names another image.
pub(super) fn for_image(
    template: Option<&str>,
    names: &Names<'_>,
    login: Option<&Authentication>,
) -> Result<String, Fault> {
    let mut run = parse(template.unwrap_or("{}"), names)?;
    let version = run.get("AWSEBDockerrunVersion").map(as_text);
    match version.as_deref() {
        Some("1") => {}
        None if template.is_none() => {}
        other => return Err(of_another_version(other)),
    }
    run.insert("AWSEBDockerrunVersion".into(), json!("1"));
    let image = member(&mut run, "Image", || json!({}))?;
    match image.get("Name").map(as_text) {
        None => {}
        // It may be written out by the name that people know it by.
        Some(name) if names.are_of(&name) || (Names { image: names.known_as, ..*names }).are_of(&name) => {}
        Some(name) => {
            return Err(Fault::new(format!("the bundle's {DOCKERRUN} names another image"))
                .cause(format!("it names {name}, this run deploys {}", names.image))
                .hint(r#"write "Name": "{image}" there"#));
        }
    }
    image.insert("Name".into(), json!(names.image.to_string()));
    let update = image.get("Update").map_or_else(|| "true".to_owned(), as_text);
    image.insert("Update".into(), json!(update));
    if run.get("Ports").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        run.insert("Ports".into(), json!([{ "ContainerPort": names.port }]));
    }
    if let Some(Authentication { bucket, key }) = login
        && !run.contains_key("Authentication")
    {
        run.insert("Authentication".into(), json!({ "Bucket": bucket, "Key": key }));
    }
    written(&run)
}

/// A carrier of a login, version 3, beside a compose file: the one in the bundle, or one for `login`.
///
/// # Errors
/// When the one in the bundle is of another version: both files would name an image.
pub(super) fn beside_compose(
    template: Option<&str>,
    names: &Names<'_>,
    login: Option<&Authentication>,
) -> Result<Option<String>, Fault> {
    let Some(template) = template else {
        let carrier = login.map(|Authentication { bucket, key }| {
            let login = json!({ "bucket": bucket, "key": key });
            Map::from_iter([("AWSEBDockerrunVersion".into(), json!("3")), ("Authentication".into(), login)])
        });
        return carrier.map(|run| written(&run)).transpose();
    };
    let run = parse(template, names)?;
    match run.get("AWSEBDockerrunVersion").map(as_text).as_deref() {
        Some("3") => written(&run).map(Some),
        version => Err(Fault::new(format!("the bundle has a {COMPOSE} and a {DOCKERRUN}"))
            .cause(format!("the second is of version {}; both would name an image", version.unwrap_or("none")))
            .hint("keep the one that names the image; beside a compose file only version 3 may stand, for a login")),
    }
}

fn parse(template: &str, names: &Names<'_>) -> Result<Map<String, Value>, Fault> {
    // The text itself is not shown: somebody may have written a login into it.
    let refused = |why: String| Fault::new(format!("the bundle's {DOCKERRUN} cannot be read")).cause(why);
    match serde_json::from_str(&names.fill(template)) {
        Ok(Value::Object(run)) => Ok(run),
        Ok(_) => Err(refused("it is no JSON object".into())),
        Err(error) => Err(refused(format!("it is no JSON (line {})", error.line()))
            .hint("placeholders in it are {image}, {repository}, {tag}, {digest}, {port} and {version_label}")),
    }
}

fn of_another_version(version: Option<&str>) -> Fault {
    let (shown, why) = match version {
        Some("2") => ("2", "that is for the ECS platform, which runs task definitions"),
        Some("3") => ("3", "it only carries a login beside a docker-compose.yml, and there is none"),
        Some(_) => ("unknown", "the platform knows 1, 2 and 3"),
        None => ("missing", "the platform takes no file without it"),
    };
    Fault::new(format!("the bundle's {DOCKERRUN} is not of version 1"))
        .cause(format!("AWSEBDockerrunVersion is {shown}: {why}"))
        .hint(r#"write "AWSEBDockerrunVersion": "1", or leave the file out: it is made then"#)
}

/// An object inside of one, made if it is missing.
fn member<'a>(
    run: &'a mut Map<String, Value>,
    key: &str,
    missing: impl FnOnce() -> Value,
) -> Result<&'a mut Map<String, Value>, Fault> {
    let value = run.entry(key).or_insert_with(missing);
    value.as_object_mut().ok_or_else(|| Fault::new(format!("{key} in the bundle's {DOCKERRUN} is no object")))
}

/// Numbers and booleans are written as such or as texts.
fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn written(run: &Map<String, Value>) -> Result<String, Fault> {
    let text = serde_json::to_string_pretty(run);
    text.map(|text| text + "\n").map_err(|error| Fault::new(format!("could not write {DOCKERRUN}")).because(error))
}
