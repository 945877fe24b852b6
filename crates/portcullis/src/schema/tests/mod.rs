//! Cases from `testdata/schema`, and properties on random schemas and values.

mod cases;
mod differential;
mod properties;
mod random;

use super::{Problem, Schema};
use crate::error::{ErrorKind, Severity};
use crate::value::Value;

fn value_of(json: impl std::borrow::Borrow<serde_json::Value>) -> Value {
    crate::value::from_json(json.borrow())
}

#[test]
fn schemas_are_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Schema>();
    shared::<super::constraint::ConstraintSchema>();
}

#[test]
fn schemas_nested_too_deep_are_refused() {
    let mut schema = serde_json::json!({"type": "string"});
    for _ in 0..super::MAX_DEPTH {
        schema = serde_json::json!({"type": "array", "items": schema});
    }
    let (compiled, problems) = Schema::compile(Some(&value_of(schema)), false);
    assert!(compiled.is_none());
    assert_eq!(problems.iter().map(|problem| problem.kind).collect::<Vec<_>>(), [ErrorKind::Limit]);
}

/// Rules that are too many are said to be, also of a definition, where an API server may still take them.
#[cfg(feature = "cel")]
#[test]
fn rules_of_a_definition_that_are_too_many_are_told() {
    let rules: Vec<_> = (0..600).map(|_| serde_json::json!({"rule": "self.nope"})).collect();
    let definition = serde_json::json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "shops.example.com"},
        "spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {
            "type": "object", "x-kubernetes-validations": rules,
        }}}]},
    });
    let (documents, _) = crate::Document::read_all("crd.yaml", &definition.to_string());
    let errors = crate::definition_rules(&documents[0]);
    let told: Vec<_> = errors.iter().map(|error| (error.kind(), error.severity())).collect();
    assert_eq!(told, [(ErrorKind::Limit, crate::Severity::Warning)]);
}

#[test]
fn values_nested_too_deep_are_refused() {
    let schema = serde_json::json!({"type": "object", "additionalProperties": true});
    let (schema, _) = Schema::compile(Some(&value_of(schema)), false);
    let mut value = serde_json::json!([]);
    for _ in 0..super::MAX_DEPTH * 3 {
        value = serde_json::json!([value]);
    }
    let problems = schema.unwrap().validate(&value_of(serde_json::json!({"a": value})));
    assert_eq!(problems.iter().map(|problem| problem.kind).collect::<Vec<_>>(), [ErrorKind::Limit]);
}

#[test]
fn defaulting_shares_what_it_does_not_change() {
    let schema =
        serde_json::json!({"type": "object", "properties": {"a": {"type": "string", "default": "x"}}});
    let (schema, _) = Schema::compile(Some(&value_of(schema)), false);
    let value = value_of(serde_json::json!({"a": "y"}));
    assert!(schema.unwrap().apply_defaults(&value).is_same(&value));
}

/// `warning: kind path: message; hint`, with `.` for the root.
fn print(problem: &Problem) -> String {
    let severity = if problem.severity == Severity::Warning { "warning: " } else { "" };
    let path = if problem.path.is_root() { ".".to_owned() } else { problem.path.to_string() };
    let hint = problem.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("{severity}{} {path}: {}{hint}", problem.kind.code(), problem.message)
}
