//! Scalars in the kinds that the compose crate reads. People write `5432` and `"5432"` for the same, and a variable that
//! is filled in is always text.

use serde_json::{Map, Number, Value};

/// A service's value as the crate reads it.
pub(super) fn of(key: &str, value: Value) -> Value {
    let texts = texts(value);
    match (key, texts) {
        ("init", value) => boolean(value),
        ("healthcheck", Value::Object(check)) => each(check, |key, value| match key {
            "retries" => number(value),
            "disable" => boolean(value),
            _ => value,
        }),
        ("ports", Value::Array(ports)) => Value::Array(ports.into_iter().map(port).collect()),
        ("depends_on", Value::Object(others)) => each(others, |_, other| match other {
            Value::Object(other) => each(other, |key, value| if key == "condition" { value } else { boolean(value) }),
            other => other,
        }),
        (_, value) => value,
    }
}

fn each(map: Map<String, Value>, one: impl Fn(&str, Value) -> Value) -> Value {
    Value::Object(map.into_iter().map(|(key, value)| (key.clone(), one(&key, value))).collect())
}

/// The long form as the short one, since the crate reads no list of both. What the port is on the host has no meaning here.
fn port(value: Value) -> Value {
    let target = value.get("target").and_then(Value::as_str);
    let protocol = value.get("protocol").and_then(Value::as_str).unwrap_or("tcp");
    match target {
        Some(target) => Value::String(format!("{target}/{protocol}")),
        None => value,
    }
}

/// Numbers and booleans as text.
fn texts(value: Value) -> Value {
    match value {
        Value::Bool(is) => Value::String(is.to_string()),
        Value::Number(number) => Value::String(written(&number)),
        Value::Array(list) => Value::Array(list.into_iter().map(texts).collect()),
        Value::Object(map) => each(map, |_, value| texts(value)),
        other => other,
    }
}

/// A number as compose writes it: `1e3` is `1000`.
fn written(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float.to_string(),
        _ => number.to_string(),
    }
}

/// What is no boolean stays, and is refused with its place.
fn boolean(value: Value) -> Value {
    match value.as_str() {
        Some("true") => Value::Bool(true),
        Some("false") => Value::Bool(false),
        _ => value,
    }
}

fn number(value: Value) -> Value {
    match value.as_str().and_then(|text| text.parse::<i64>().ok()) {
        Some(number) => number.into(),
        None => value,
    }
}
