//! The cases of `testdata/builtins`: an expression, or a module with a rule `p`, and what comes of it.

use std::path::Path;

use regorus::Engine;
use serde::Deserialize;

use super::{register, uses};
use crate::api::template::RegoVersion;
use crate::rego::{engine_error::EngineError, new_engine};
use crate::value::Value;

/// What comes of an evaluation.
#[derive(Debug, PartialEq)]
pub(super) enum Evaluated {
    Value(Value),
    Undefined,
    Error(String),
}

/// Evaluates `rule`, a path from `data`, as a template's program does.
pub(super) fn evaluate(module: &str, rule: &str, version: RegoVersion, data: Option<Value>) -> Evaluated {
    let syntax = match version {
        RegoVersion::V0 => portcullis_rego_syntax::Version::V0,
        RegoVersion::V1 => portcullis_rego_syntax::Version::V1,
    };
    let parsed = portcullis_rego_syntax::parse(module, syntax);
    let names = portcullis_rego_syntax::resolve(&parsed.module);
    let mut prepared = new_engine(version);
    let builtins = register(&mut prepared, &uses(&parsed.module, &names)).unwrap();
    let run = |prepared: &mut Engine| {
        prepared.add_policy("0".into(), module.into())?;
        if let Some(data) = data {
            prepared.add_data(data)?;
        }
        let mut engine = prepared.clone();
        engine.set_input(Value::new_object());
        engine.eval_rule(rule.to_owned())
    };
    let result = run(&mut prepared);
    match (result, builtins.take_exceeded()) {
        (Ok(_), Some(limit)) => Evaluated::Error(limit),
        (Ok(Value::Undefined), None) => Evaluated::Undefined,
        (Ok(value), None) => Evaluated::Value(value),
        (Err(error), _) => Evaluated::Error(EngineError::parse(&error.to_string()).message),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    expr: Option<String>,
    module: Option<String>,
    #[serde(default, deserialize_with = "present")]
    value: Option<serde_json::Value>,
    #[serde(default)]
    undefined: bool,
    error: Option<String>,
}

/// `value: null` is a value.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(from).map(Some)
}

#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/builtins");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut failures = Vec::new();
    let mut count = 0;
    for file in files {
        let cases: Vec<Case> = serde_yaml::from_str(&std::fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for case in cases {
            count += 1;
            let text = match (&case.expr, &case.module) {
                (Some(expr), None) => format!("p = x {{ x := {expr} }}"),
                (None, Some(module)) => module.clone(),
                _ => panic!("a case of {} needs `expr` or `module`", file.display()),
            };
            let found = evaluate(&format!("package t\n{text}"), "data.t.p", RegoVersion::V0, None);
            let agrees = match (&found, &case.value, case.undefined, &case.error) {
                (Evaluated::Value(found), Some(value), false, None) => {
                    serde_json::to_value(found).is_ok_and(|found| found == *value)
                }
                (Evaluated::Undefined, None, true, None) => true,
                (Evaluated::Error(found), None, false, Some(error)) => found == error,
                _ => false,
            };
            if !agrees {
                let wanted = case.value.map(|value| value.to_string()).or(case.error);
                failures.push(format!("{text}\n  wanted {wanted:?}\n  found  {found:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count} cases fail:\n{}", failures.len(), failures.join("\n"));
}
