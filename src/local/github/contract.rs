//! Holds what was sent and answered against GitHub's published description, where a copy of it lies beside the project.
//!
//! Knows as much of JSON Schema as that copy uses: type, nullable, enum, required, properties, additionalProperties,
//! oneOf, anyOf, allOf, items, maxItems, maxLength, `$ref`. Formats are not checked.

use std::path::Path;

use serde_json::Value;

use super::Logged;

/// The description.
pub struct Contract(Value);

impl Contract {
    /// The copy beside the project, if there is one.
    pub fn beside_the_project() -> Option<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/contracts/github-openapi-subset.json");
        let text = std::fs::read(file).ok()?;
        Some(Self(serde_json::from_slice(&text).expect("the description is JSON")))
    }

    /// What is wrong with a request and its answer; empty when nothing is.
    pub fn problems(&self, logged: &Logged) -> Vec<String> {
        let Some(operation) = self.operation(logged) else {
            return vec![format!("{} {} is not described", logged.method, logged.path)];
        };
        let mut problems = Vec::new();
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        if !schema.is_null() {
            self.check(schema, &logged.body, "request", &mut problems);
        }
        let status = logged.status.to_string();
        let answer = self.resolved(&operation["responses"][&status]);
        let schema = &answer["content"]["application/json"]["schema"];
        if logged.status < 300 && schema.is_null() {
            problems.push(format!("status {status} is not described for {} {}", logged.method, logged.path));
        }
        self.check(schema, &logged.answer, "answer", &mut problems);
        problems
    }

    fn operation(&self, logged: &Logged) -> Option<&Value> {
        let parts: Vec<&str> = logged.path.split('/').collect();
        let is_it = |path: &str| {
            let known: Vec<&str> = path.split('/').collect();
            known.len() == parts.len() && known.iter().zip(&parts).all(|(k, p)| k.starts_with('{') || k == p)
        };
        let paths = self.0["paths"].as_object()?;
        let (_, path) = paths.iter().find(|(path, _)| is_it(path))?;
        path.get(logged.method.to_lowercase())
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).expect("references lead somewhere"),
            None => schema,
        }
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
        let schema = self.resolved(schema);
        if schema.is_null() || (value.is_null() && schema["nullable"] == true) {
            return;
        }
        if let Some(name) = schema["type"].as_str()
            && !is_of_type(value, name)
        {
            problems.push(format!("{at}: {value} is no {name}"));
            return;
        }
        if let Some(known) = schema["enum"].as_array()
            && !known.contains(value)
        {
            problems.push(format!("{at}: {value} is none of {known:?}"));
        }
        self.check_members(schema, value, at, problems);
        self.check_sizes(schema, value, at, problems);
        for all in schema["allOf"].as_array().into_iter().flatten() {
            self.check(all, value, at, problems);
        }
        for (word, exactly) in [("anyOf", false), ("oneOf", true)] {
            let Some(several) = schema[word].as_array() else { continue };
            let fits = |schema: &&Value| {
                let mut inner = Vec::new();
                self.check(schema, value, at, &mut inner);
                inner.is_empty()
            };
            let fitting = several.iter().filter(fits).count();
            if fitting == 0 || (exactly && fitting > 1) {
                problems.push(format!("{at}: {fitting} of {word} fit"));
            }
        }
    }

    fn check_members(&self, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
        let Some(members) = value.as_object() else { return };
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                problems.push(format!("{at}: {name} is missing"));
            }
        }
        let known = schema["properties"].as_object();
        for (name, member) in members {
            match known.and_then(|known| known.get(name)) {
                Some(schema) => self.check(schema, member, &format!("{at}.{name}"), problems),
                None if schema["additionalProperties"] == false => problems.push(format!("{at}: {name} is unknown")),
                // A member that is not described is a mistake of ours, even where the description would let it pass.
                None if known.is_some() && schema["additionalProperties"].is_null() => {
                    problems.push(format!("{at}: {name} is not described"));
                }
                None => {}
            }
        }
    }

    fn check_sizes(&self, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            self.check(&schema["items"], item, &format!("{at}[{index}]"), problems);
        }
        let sizes = [
            ("maxItems", value.as_array().map(Vec::len)),
            ("maxLength", value.as_str().map(|text| text.chars().count())),
        ];
        for (word, size) in sizes {
            if let (Some(limit), Some(size)) = (schema[word].as_u64(), size)
                && size as u64 > limit
            {
                problems.push(format!("{at}: {size} is above {word} {limit}"));
            }
        }
    }
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => false,
    }
}
