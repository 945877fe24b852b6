//! The parameters of a template, by the schema of its custom resource definition.

use serde_json::Value;

/// Deepest schema that is told.
const DEEPEST: usize = 16;
/// Most parameters that are told of a template.
const MOST: usize = 500;

/// A parameter, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its path: `images`, `ports[].min`, `labels.*`.
    pub path: String,
    /// Its type in words: `list of strings`.
    pub ty: String,
    /// Whether a constraint has to have it.
    pub is_required: bool,
    /// What it is if a constraint does not say, as JSON.
    pub default: Option<String>,
    /// The values that it may have, as JSON.
    pub one_of: Vec<String>,
    /// What it is for.
    pub description: Option<String>,
}

/// Those of the definition of a kind, and whether there are more than are told.
pub(super) fn of(crd: &Value) -> (Vec<Parameter>, bool) {
    let version = crd.pointer("/spec/versions").and_then(Value::as_array).and_then(|all| {
        let is_stored = |version: &&Value| version.get("storage") == Some(&Value::Bool(true));
        all.iter().find(is_stored).or(all.first())
    });
    let schema = version
        .and_then(|version| version.pointer("/schema/openAPIV3Schema/properties/spec/properties/parameters"));
    let (mut found, mut is_cut) = (Vec::new(), false);
    if let Some(schema) = schema {
        fields(schema, "", 0, &mut found, &mut is_cut);
    }
    (found, is_cut)
}

fn fields(schema: &Value, before: &str, depth: usize, found: &mut Vec<Parameter>, is_cut: &mut bool) {
    if depth > DEEPEST {
        *is_cut |= schema.get("properties").is_some();
        return;
    }
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let mut names: Vec<&String> = properties.keys().collect();
    names.sort();
    for name in names {
        if found.len() >= MOST {
            *is_cut = true;
            return;
        }
        let Some(property) = properties.get(name) else { continue };
        let path = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
        let json = |value: &Value| value.to_string();
        found.push(Parameter {
            ty: type_of(property, 0),
            is_required: required.contains(&name.as_str()),
            default: property.get("default").map(json),
            one_of: property
                .get("enum")
                .and_then(Value::as_array)
                .map(|values| values.iter().map(json).collect())
                .unwrap_or_default(),
            description: property
                .get("description")
                .and_then(Value::as_str)
                .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")),
            path: path.clone(),
        });
        // What is in lists of lists, and in maps, has a path as well.
        let (mut inner, mut path) = (property, path);
        for _ in 0..DEEPEST {
            if let Some(items) = inner.get("items") {
                path.push_str("[]");
                inner = items;
            } else if let Some(values) = inner.get("additionalProperties").filter(|one| one.is_object()) {
                path.push_str(".*");
                inner = values;
            } else {
                break;
            }
        }
        fields(inner, &path, depth + 1, found, is_cut);
    }
}

/// A type in words.
fn type_of(schema: &Value, depth: usize) -> String {
    let of = |key: &str| schema.get(key).filter(|one| one.is_object());
    let plural = |one: String| match one.as_str() {
        "anything" => "anything".to_owned(),
        one if one.starts_with("list of ") => one.replacen("list", "lists", 1),
        one if one.starts_with("map of ") => one.replacen("map", "maps", 1),
        one => format!("{one}s"),
    };
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        return "integer or string".to_owned();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("array") if depth < DEEPEST => match of("items") {
            Some(items) => format!("list of {}", plural(type_of(items, depth + 1))),
            None => "list".to_owned(),
        },
        Some("object") if depth < DEEPEST => match of("additionalProperties") {
            Some(values) => format!("map of {}", plural(type_of(values, depth + 1))),
            None => "object".to_owned(),
        },
        Some("array") => "list".to_owned(),
        Some(ty) => ty.to_owned(),
        None => "anything".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test panics when it fails")]

    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_have_paths_and_types_in_words() {
        let schema = json!({"type": "object", "required": ["images"], "properties": {
            "images": {"type": "array", "items": {"type": "string"}, "default": []},
            "ports": {"type": "array", "items": {"type": "object", "properties": {
                "min": {"type": "integer", "description": "The\n first."},
            }}},
            "labels": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
            "mode": {"type": "string", "enum": ["a", "b"]},
            "size": {"x-kubernetes-int-or-string": true},
            "free": {},
        }});
        let crd = json!({"spec": {"versions": [{"storage": true, "schema": {"openAPIV3Schema":
            {"properties": {"spec": {"properties": {"parameters": schema}}}}}}]}});
        let (found, is_cut) = of(&crd);
        assert!(!is_cut);
        let told: Vec<(&str, &str)> = found.iter().map(|one| (&*one.path, &*one.ty)).collect();
        assert_eq!(
            told,
            [
                ("free", "anything"),
                ("images", "list of strings"),
                ("labels", "map of lists of strings"),
                ("mode", "string"),
                ("ports", "list of objects"),
                ("ports[].min", "integer"),
                ("size", "integer or string"),
            ]
        );
        assert!(found[1].is_required && found[1].default.as_deref() == Some("[]"));
        assert_eq!(found[3].one_of, ["\"a\"", "\"b\""]);
        assert_eq!(found[5].description.as_deref(), Some("The first."));
    }
    #[test]
    fn what_is_left_out_is_known() {
        let mut schema = json!({"type": "string"});
        for _ in 0..40 {
            schema = json!({"type": "object", "properties": {"p": schema}});
        }
        let crd = json!({"spec": {"versions": [{"schema": {"openAPIV3Schema":
            {"properties": {"spec": {"properties": {"parameters": schema}}}}}}]}});
        assert!(of(&crd).1);
    }
}
