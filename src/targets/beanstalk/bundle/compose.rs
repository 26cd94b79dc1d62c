//! `docker-compose.yml`: nodes run what it says, so it may name images and may not build any (developer guide, "Docker
//! platform branch"; Compose specification).

use serde_json::{Map, Value};

use super::{COMPOSE, Names};
use crate::fault::Fault;

/// The template with its placeholders filled, when it runs this image and builds nothing.
///
/// # Errors
/// When it cannot be read; when a service builds, or what it does cannot be known from this file; when not exactly one
/// service runs the image.
pub(super) fn for_image(template: &str, names: &Names<'_>) -> Result<String, Fault> {
    let text = names.fill(template);
    let file = parse(&text)?;
    if file.contains_key("include") {
        return Err(unknowable("it has `include:`"));
    }
    let services = file.get("services").and_then(Value::as_object).filter(|services| !services.is_empty());
    let services = services.ok_or_else(|| Fault::new(format!("the bundle's {COMPOSE} has no `services:`")))?;
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for (name, service) in services {
        let image = image_of(name, service)?;
        match names.are_of(image) {
            true => ours.push(name.as_str()),
            false if names.are_of_repository(image) => {
                return Err(Fault::new(format!("service {name} in the bundle's {COMPOSE} runs another image"))
                    .cause(format!("it names {image}, this run deploys {}", names.image))
                    .hint("write image: \"{image}\" there"));
            }
            false => others.push(image),
        }
    }
    match ours.as_slice() {
        [_] => Ok(text),
        [] => Err(Fault::new(format!("no service in the bundle's {COMPOSE} runs the image"))
            .cause(format!("they name {}, this run deploys {}", others.join(", "), names.image))
            .hint("write image: \"{image}\" in the one that is the application")),
        several => Err(Fault::new(format!("several services in the bundle's {COMPOSE} run the image"))
            .cause(format!("they are {}", several.join(", ")))
            .hint("keep one: which of them is the application cannot be told")),
    }
}

fn parse(text: &str) -> Result<Map<String, Value>, Fault> {
    let refused = |why: String| Fault::new(format!("the bundle's {COMPOSE} cannot be read")).cause(why);
    // A snippet of the text may hold what must not be shown.
    let options = serde_saphyr::options! { with_snippet: false };
    match serde_saphyr::from_str_with_options(text, options) {
        Ok(Value::Object(file)) => Ok(file),
        Ok(_) => Err(refused("it is no YAML mapping".into())),
        Err(error) => Err(refused(error.to_string())
            .hint("placeholders in it are {image}, {repository}, {tag}, {digest}, {port} and {version_label}")),
    }
}

/// The image that a service runs.
fn image_of<'a>(name: &str, service: &'a Value) -> Result<&'a str, Fault> {
    if service.get("build").is_some() {
        return Err(Fault::new(format!(
            "service {name} in the bundle's {COMPOSE} has `build:`, so every node would build an image of its own"
        ))
        .hint("name an image there: nodes run the image that was built and tested once"));
    }
    // In the same file, the service that it extends is looked at as well.
    if service.get("extends").is_some_and(|extends| extends.get("file").is_some()) {
        return Err(unknowable(&format!("service {name} has `extends:` with a file")));
    }
    let image = service.get("image").and_then(Value::as_str);
    image.ok_or_else(|| {
        Fault::new(format!("service {name} in the bundle's {COMPOSE} names no image"))
            .hint("name one there, also where it extends another service")
    })
}

fn unknowable(why: &str) -> Fault {
    Fault::new(format!("what the bundle's {COMPOSE} runs cannot be told from it alone"))
        .cause(why)
        .hint("write out what is needed in this one file")
}
