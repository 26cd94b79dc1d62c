//! What GitHub refuses in the body of a check run: first by its schema, then by its model.

use axum::response::Response;
use serde_json::Value;

use crate::local::github::answer;
use crate::local::github::state::Annotation;

const STATUSES: [&str; 3] = ["queued", "in_progress", "completed"];
const CONCLUSIONS: [&str; 7] =
    ["action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"];
/// Both for characters, by the schema, and for bytes, by the model.
const LONGEST_TEXT: usize = 65_535;
const MOST_ANNOTATIONS: usize = 50;
const LARGEST_MESSAGE: usize = 64 * 1024;
const LONGEST_ANNOTATION_TITLE: usize = 255;
/// Lines are kept in 32 bits with a sign.
const LAST_LINE: u64 = i32::MAX as u64;

/// A refusal; boxed, since answers are large and rare.
type Refused = Box<Response>;

/// The body, if GitHub would take it.
pub fn checked(bytes: &[u8], creating: bool) -> Result<Value, Refused> {
    let body: Value = serde_json::from_slice(bytes).map_err(|_| refused(400, "Problems parsing JSON"))?;
    if !body.is_object() {
        return Err(refused(400, "Body should be a JSON object"));
    }
    if creating {
        supplied(&body, &["name", "head_sha"])?;
    }
    for member in ["name", "head_sha", "external_id", "details_url", "status", "conclusion"] {
        if body.get(member).is_some_and(|value| !value.is_string()) {
            return Err(invalid(&format!("For 'properties/{member}', {} is not a string.", body[member])));
        }
    }
    state(&body)?;
    if body["output"].is_object() {
        output(&body["output"], creating)?;
    } else if body.get("output").is_some() {
        return Err(invalid(&format!("For 'properties/output', {} is not an object.", body["output"])));
    }
    actions(&body)?;
    let sha = body["head_sha"].as_str().unwrap_or_default();
    if creating && !(matches!(sha.len(), 40 | 64) && sha.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Err(Box::new(answer::refused(422, &format!("No commit found for SHA: {sha}"))));
    }
    Ok(body)
}

fn state(body: &Value) -> Result<(), Refused> {
    one_of(body, "status", &STATUSES)?;
    one_of(body, "conclusion", &CONCLUSIONS)?;
    let completes = body["status"] == "completed" || body.get("completed_at").is_some();
    if completes && body.get("conclusion").is_none() {
        return Err(invalid("No subschema in \"anyOf\" matched.\n\"conclusion\" wasn't supplied."));
    }
    for member in ["started_at", "completed_at"] {
        let is_time = |value: &Value| value.as_str().is_some_and(|t| chrono::DateTime::parse_from_rfc3339(t).is_ok());
        if body.get(member).is_some_and(|value| !is_time(value)) {
            return Err(invalid(&format!("For 'properties/{member}', {} is not a valid date-time.", body[member])));
        }
    }
    Ok(())
}

fn output(output: &Value, creating: bool) -> Result<(), Refused> {
    supplied(output, if creating { &["title", "summary"] } else { &["summary"] })?;
    for member in ["summary", "text"] {
        let text = output[member].as_str().unwrap_or_default();
        let characters = text.chars().count();
        if characters > LONGEST_TEXT {
            let sentence = format!("Only {LONGEST_TEXT} characters are allowed; {characters} were supplied.");
            return Err(invalid(&sentence));
        }
        if text.len() > LONGEST_TEXT {
            let message = format!("{member} exceeds a maximum bytesize of {LONGEST_TEXT}");
            return Err(Box::new(answer::invalid_field("CheckRun", member, "invalid", &message)));
        }
    }
    let annotations = output["annotations"].as_array().map_or(&[][..], Vec::as_slice);
    if annotations.len() > MOST_ANNOTATIONS {
        let sentence =
            format!("No more than {MOST_ANNOTATIONS} items are allowed; {} were supplied.", annotations.len());
        return Err(invalid(&sentence));
    }
    // One bad annotation refuses all, and GitHub does not say which.
    if !annotations.iter().all(is_annotation) {
        return Err(Box::new(answer::invalid_field("CheckRun", "annotations", "invalid", "")));
    }
    Ok(())
}

fn is_annotation(value: &Value) -> bool {
    let Ok(annotation) = serde_json::from_value::<Annotation>(value.clone()) else { return false };
    let columns = match (annotation.start_column, annotation.end_column) {
        (None, None) => true,
        (Some(start), Some(end)) => annotation.start_line == annotation.end_line && (1..=end).contains(&start),
        _ => false,
    };
    let path = &annotation.path;
    columns
        && !path.is_empty()
        && !path.starts_with('/')
        && (1..=annotation.end_line).contains(&annotation.start_line)
        && annotation.end_line <= LAST_LINE
        && ["notice", "warning", "failure"].contains(&annotation.annotation_level.as_str())
        && (1..=LARGEST_MESSAGE).contains(&annotation.message.len())
        && annotation.title.is_none_or(|title| title.chars().count() <= LONGEST_ANNOTATION_TITLE)
        && annotation.raw_details.is_none_or(|details| details.len() <= LARGEST_MESSAGE)
}

/// The annotations of an output that was checked.
pub fn annotations(output: &Value) -> Vec<Annotation> {
    serde_json::from_value(output["annotations"].clone()).unwrap_or_default()
}

fn actions(body: &Value) -> Result<(), Refused> {
    let actions = body["actions"].as_array().map_or(&[][..], Vec::as_slice);
    if actions.len() > 3 {
        return Err(invalid(&format!("No more than 3 items are allowed; {} were supplied.", actions.len())));
    }
    for action in actions {
        supplied(action, &["label", "description", "identifier"])?;
        for (member, longest) in [("label", 20), ("description", 40), ("identifier", 20)] {
            let characters = action[member].as_str().unwrap_or_default().chars().count();
            if characters > longest {
                return Err(invalid(&format!("Only {longest} characters are allowed; {characters} were supplied.")));
            }
        }
    }
    Ok(())
}

fn supplied(body: &Value, members: &[&str]) -> Result<(), Refused> {
    let missing: Vec<String> =
        members.iter().filter(|member| body.get(member).is_none()).map(|member| format!("\"{member}\"")).collect();
    match missing.len() {
        0 => Ok(()),
        1 => Err(invalid(&format!("{} wasn't supplied.", missing[0]))),
        _ => Err(invalid(&format!("{} weren't supplied.", missing.join(", ")))),
    }
}

fn one_of(body: &Value, member: &str, known: &[&str]) -> Result<(), Refused> {
    match body[member].as_str() {
        Some(value) if !known.contains(&value) => {
            let known = known.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(", ");
            Err(invalid(&format!("For 'properties/{member}', \"{value}\" is not a member of [{known}].")))
        }
        _ => Ok(()),
    }
}

fn invalid(sentence: &str) -> Refused {
    Box::new(answer::invalid_request(sentence))
}

fn refused(status: u16, message: &str) -> Refused {
    Box::new(answer::refused(status, message))
}
