//! The schema of a template's parameters, for people: which there are, and what each is.

use std::fmt::Write as _;

use portcullis::{FieldPath, Segment};
use serde_json::Value;

use crate::index::Entry;

/// The schema of a template, and where it stands.
#[derive(Debug)]
pub struct Schema {
    /// As it is written.
    pub value: Value,
    /// The field.
    pub path: FieldPath,
}

impl Schema {
    /// Of a template; none if it has none.
    pub fn of(entry: &Entry) -> Option<Self> {
        let path = entry.template()?.schema_path()?.clone();
        let value = at(&entry.document.to_json(), &path)?.clone();
        Some(Self { value, path })
    }

    /// What it says of a parameter, by its path; a step without a name is any element.
    pub fn of_parameter(&self, parameter: &[Option<String>]) -> Option<&Value> {
        parameter
            .iter()
            .try_fold(&self.value, |schema, step| below(schema, step.as_deref()).map(|(_, below)| below))
    }

    /// The field of the document that describes a parameter.
    pub fn path_of(&self, parameter: &[Option<String>]) -> Option<FieldPath> {
        let (mut schema, mut path) = (&self.value, self.path.clone());
        for step in parameter {
            let (steps, next) = below(schema, step.as_deref())?;
            for step in steps {
                path = path.child(step);
            }
            schema = next;
        }
        Some(path)
    }

    /// The parameters below one, with what is said of each.
    pub fn below(&self, parameter: &[Option<String>]) -> Vec<(&str, &Value)> {
        let properties = self.of_parameter(parameter).and_then(|schema| schema.get("properties"));
        let properties = properties.and_then(Value::as_object).into_iter().flatten();
        properties.map(|(name, schema)| (name.as_str(), schema)).collect()
    }
}

fn below<'s>(schema: &'s Value, step: Option<&str>) -> Option<(Vec<Segment>, &'s Value)> {
    if let Some(name) = step
        && let Some(found) = schema.get("properties").and_then(|properties| properties.get(name))
    {
        return Some((vec!["properties".into(), name.into()], found));
    }
    let of_any = |key: &str| Some((vec![key.into()], schema.get(key).filter(|of| of.is_object())?));
    of_any("additionalProperties").or_else(|| step.is_none().then(|| of_any("items"))?)
}

/// The value at a path.
pub fn at<'v>(value: &'v Value, path: &FieldPath) -> Option<&'v Value> {
    path.segments().iter().try_fold(value, |value, segment| match segment {
        Segment::Key(key) => value.get(&**key).or_else(|| value.get(key.parse::<usize>().ok()?)),
        Segment::Index(index) => value.get(*index),
    })
}

/// A path of a constraint as one of a parameter: what lies below `spec.parameters`.
pub fn parameter_at(path: &FieldPath) -> Option<Vec<Option<String>>> {
    let below = path.segments().strip_prefix(&["spec".into(), "parameters".into()])?;
    Some(
        below
            .iter()
            .map(|segment| match segment {
                Segment::Key(key) => Some(key.to_string()),
                Segment::Index(_) => None,
            })
            .collect(),
    )
}

/// The type in a word.
pub fn type_of(schema: &Value) -> String {
    let name = |schema: &Value| schema.get("type").and_then(Value::as_str).unwrap_or("any").to_owned();
    match (name(schema).as_str(), schema.get("items")) {
        ("array", Some(items)) => format!("array of {}", name(items)),
        (other, _) => other.to_owned(),
    }
}

/// All that is said of a parameter, in Markdown.
pub fn described(name: &str, schema: &Value) -> String {
    let mut text = format!("```yaml\n{name}: {}\n```", type_of(schema));
    if let Some(description) = schema.get("description").and_then(Value::as_str) {
        let _ = write!(text, "\n\n{description}");
    }
    const FIELDS: &[(&str, &str)] = &[
        ("default", "default"),
        ("enum", "one of"),
        ("pattern", "pattern"),
        ("format", "format"),
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("minLength", "characters, at least"),
        ("maxLength", "characters, at most"),
        ("minItems", "items, at least"),
        ("maxItems", "items, at most"),
        ("required", "required"),
    ];
    for (key, what) in FIELDS {
        if let Some(value) = schema.get(*key) {
            let _ = write!(text, "\n\n{what}: `{value}`");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_through_lists_and_maps() {
        let value = serde_json::json!({"type": "object", "properties": {
            "repos": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
            "limits": {"type": "object", "additionalProperties": {"type": "integer", "default": 3}},
        }});
        let schema = Schema { value, path: FieldPath::parse("spec.s").unwrap() };
        let path =
            |steps: &[Option<&str>]| steps.iter().map(|step| step.map(str::to_owned)).collect::<Vec<_>>();
        let name = path(&[Some("repos"), None, Some("name")]);
        assert_eq!(
            schema.path_of(&name).unwrap().to_string(),
            "spec.s.properties.repos.items.properties.name"
        );
        assert_eq!(type_of(schema.of_parameter(&path(&[Some("repos")])).unwrap()), "array of object");
        let limit = schema.of_parameter(&path(&[Some("limits"), Some("cpu")])).unwrap();
        assert!(described("cpu", limit).contains("default: `3`"));
        assert_eq!(schema.of_parameter(&path(&[Some("nope")])), None);
        assert_eq!(schema.below(&[]).len(), 2);
    }
}
