//! The YAML cases. All differences are collected, so that one run shows everything.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{print, value_of};
use crate::schema::constraint::ConstraintSchema;
use crate::schema::{PathCheck, Problem, Schema};
use crate::value::Value;

type Json = serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    schema: Option<Json>,
    #[serde(default)]
    legacy: bool,
    #[serde(default)]
    schema_problems: Vec<String>,
    #[serde(default)]
    values: Vec<Example>,
    #[serde(default)]
    paths: BTreeMap<String, Expected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    value: Json,
    defaulted: Option<Json>,
    #[serde(default)]
    problems: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Allowed(bool),
    Unknown { at: usize, suggestion: Option<String> },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormatCase {
    format: String,
    r#type: Option<String>,
    good: Vec<Json>,
    bad: Vec<Json>,
}

/// Reads one file of `testdata/schema`.
fn read<T: for<'de> Deserialize<'de>>(file: &str) -> Vec<T> {
    let path = format!("{}/../../testdata/schema/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn compare(&mut self, what: &str, expected: &[String], found: &[Problem]) {
        let found: Vec<String> = found.iter().map(print).collect();
        for line in expected.iter().filter(|line| !found.contains(line)) {
            self.0.push(format!("{what}\n  missing:    {line}"));
        }
        for line in found.iter().filter(|line| !expected.contains(line)) {
            self.0.push(format!("{what}\n  unexpected: {line}"));
        }
    }

    #[track_caller]
    fn report(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

/// `complete` makes the value that is checked from the one in the case.
fn run(
    file: &str,
    check: impl Fn(&Schema, &Value) -> (Value, Vec<Problem>),
    complete: impl Fn(Json) -> Json,
) {
    let mut differences = Differences::default();
    for case in read::<Case>(file) {
        let schema = case.schema.map(value_of);
        let (schema, problems) = Schema::compile(schema.as_ref(), case.legacy);
        differences.compare(&case.name, &case.schema_problems, &problems);
        let must_fail = case.schema_problems.iter().any(|line| !line.starts_with("warning: "));
        assert_eq!(schema.is_none(), must_fail, "{}: whether it is usable", case.name);
        for example in case.values {
            let Some(schema) = &schema else { panic!("{}: values for an unusable schema", case.name) };
            let what = format!("{}: {}", case.name, example.value);
            let defaulted = complete(example.defaulted.unwrap_or_else(|| example.value.clone()));
            let (found, problems) = check(schema, &value_of(complete(example.value)));
            differences.compare(&what, &example.problems, &problems);
            if found != value_of(defaulted) {
                differences.0.push(format!("{what}\n  defaulted:  {found}"));
            }
        }
        for (path, expected) in case.paths {
            let Some(schema) = &schema else { panic!("{}: paths in an unusable schema", case.name) };
            let steps: Vec<Option<&str>> = path
                .split('.')
                .filter(|step| !step.is_empty())
                .map(|step| (step != "*").then_some(step))
                .collect();
            let expected = match expected {
                Expected::Allowed(true) => PathCheck::Allowed,
                Expected::Allowed(false) => panic!("{}: say where `{path}` leads nowhere", case.name),
                Expected::Unknown { at, suggestion } => PathCheck::Unknown { at, suggestion },
            };
            let found = schema.allows(&steps);
            if found != expected {
                differences.0.push(format!("{}: {path}\n  found {found:?}", case.name));
            }
        }
    }
    differences.report();
}

fn parameters(schema: &Schema, value: &Value) -> (Value, Vec<Problem>) {
    let defaulted = schema.apply_defaults(value);
    let problems = schema.validate(&defaulted);
    (defaulted, problems)
}

fn constraint(schema: &Schema, value: &Value) -> (Value, Vec<Problem>) {
    let schema = ConstraintSchema::new(schema);
    let defaulted = schema.apply_defaults(value);
    let problems = schema.validate(&defaulted);
    (defaulted, problems)
}

/// Adds what every constraint has, where the case does not say otherwise.
fn complete_constraint(mut value: Json) -> Json {
    let common = serde_json::json!({
        "apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "K8sTest", "metadata": {"name": "test"},
    });
    let (Json::Object(value_fields), Json::Object(common)) = (&mut value, common) else { return value };
    for (name, field) in common {
        value_fields.entry(name).or_insert(field);
    }
    value
}

#[test]
fn keywords() {
    run("keywords.yaml", parameters, |value| value);
}

#[test]
fn schemas() {
    run("schemas.yaml", parameters, |value| value);
}

#[test]
fn fields() {
    run("fields.yaml", parameters, |value| value);
}

#[test]
fn paths() {
    run("paths.yaml", parameters, |value| value);
}

#[test]
fn constraints() {
    run("constraints.yaml", constraint, complete_constraint);
}

#[test]
fn formats() {
    let mut differences = Differences::default();
    for case in read::<FormatCase>("formats.yaml") {
        let kind = case.r#type.as_deref().unwrap_or("string");
        let schema = serde_json::json!({"type": kind, "format": case.format});
        let (schema, problems) = Schema::compile(Some(&value_of(schema)), false);
        differences.compare(&case.format, &[], &problems);
        let schema = schema.unwrap();
        let valid = |value: &Json| {
            // YAML has numbers where a case means a text.
            let value =
                if kind == "string" && !value.is_string() { value.to_string().into() } else { value.clone() };
            schema.validate(&value_of(value)).is_empty()
        };
        for value in case.good.iter().filter(|value| !valid(value)) {
            differences.0.push(format!("{}: refuses {value}", case.format));
        }
        for value in case.bad.iter().filter(|value| valid(value)) {
            differences.0.push(format!("{}: accepts {value}", case.format));
        }
    }
    differences.report();
}
