//! `.ebextensions/*.config`: YAML or JSON, which is all that is asked of them here.

/// Whether a file of a bundle is such a configuration file.
pub fn is_extension(path: &str) -> bool {
    let name = path.strip_prefix(".ebextensions/").and_then(|name| name.strip_suffix(".config"));
    name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

/// What is wrong with a configuration file of the version `label`, in the words of the real service.
pub fn flaw(label: &str, path: &str, text: &str) -> Option<String> {
    // JSON is YAML, but the service tells of both.
    let json = serde_json::from_str::<serde_json::Value>(text).err()?;
    let yaml = match serde_saphyr::from_str::<serde_json::Value>(text) {
        Ok(value) if value.is_object() || value.is_null() => return None,
        Ok(_) => "not a mapping".to_owned(),
        Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
    };
    Some(format!(
        "The configuration file {path} in application version {label} contains invalid YAML or JSON. YAML exception: \
         Invalid Yaml: {yaml}, JSON exception: Invalid JSON: {json}. Update the configuration file."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_file_is_yaml_or_json() {
        assert!(is_extension(".ebextensions/01-alb.config") && !is_extension(".ebextensions/a/b.config"));
        assert!(!is_extension("src/.ebextensions/01.config") && !is_extension(".ebextensions/notes.txt"));
        let flaw = |text| flaw("7", ".ebextensions/1.config", text);
        for good in ["option_settings:\n  - namespace: aws:x\n    option_name: y\n", "{\"files\": {}}", "# nothing\n"] {
            assert_eq!(flaw(good), None, "{good}");
        }
        for bad in ["option_settings: [\n", "a: b: c\n", "just words"] {
            let told = flaw(bad).unwrap();
            let start =
                "The configuration file .ebextensions/1.config in application version 7 contains invalid YAML or";
            assert!(told.starts_with(start), "{told}");
        }
    }
}
