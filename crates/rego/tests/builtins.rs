//! The cases of `testdata/builtins`: an expression, or a module with a rule `p`, and what comes of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

use std::path::Path;

use portcullis_rego::{Environment, Program, Query, Unit};
use portcullis_rego_syntax::{Version, parse, resolve};
use portcullis_value::Value;
use serde::Deserialize;
use serde_json::Value as Json;

/// What comes of an evaluation.
#[derive(Debug, PartialEq)]
enum Evaluated {
    Value(Value),
    Undefined,
    Error(String),
}

/// Evaluates `data.t.p`.
fn evaluate(module: &str) -> Evaluated {
    let parsed = parse(module, Version::V0);
    assert!(parsed.diagnostics.is_empty(), "{module}: {:?}", parsed.diagnostics);
    let names = resolve(&parsed.module);
    let unit = Unit { module: &parsed.module, names: &names };
    let program = match Program::compile(&[unit], &Query::Path(&["t", "p"])) {
        Ok(program) => program,
        Err(errors) => return Evaluated::Error(errors.first().unwrap().message.clone()),
    };
    match program.evaluate(&Environment::default()).result {
        Ok(value) if value.is_undefined() => Evaluated::Undefined,
        Ok(value) => Evaluated::Value(value),
        Err(error) => Evaluated::Error(error.message),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    expr: Option<String>,
    module: Option<String>,
    #[serde(default, deserialize_with = "present")]
    value: Option<Json>,
    #[serde(default)]
    undefined: bool,
    error: Option<String>,
}

/// `value: null` is a value.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(from).map(Some)
}

#[test]
fn builtins_answer_as_the_cases_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/builtins");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut count, mut failures) = (0, Vec::new());
    for file in files {
        let cases: Vec<Case> = serde_yaml::from_str(&std::fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for case in cases {
            count += 1;
            let text = match (&case.expr, &case.module) {
                (Some(expr), None) => format!("p = x {{ x := {expr} }}"),
                (None, Some(module)) => module.clone(),
                _ => panic!("{}: a case has an `expr` or a `module`", file.display()),
            };
            let found = evaluate(&format!("package t\n{text}"));
            let holds = match (&case.value, case.undefined, &case.error) {
                // Sets are arrays in JSON.
                (Some(value), false, None) => match &found {
                    Evaluated::Value(found) => {
                        // Sets are arrays there.
                        Value::from_json(&found.to_json()).unwrap()
                            == Value::from_json(&value.to_string()).unwrap()
                    }
                    _ => false,
                },
                (None, true, None) => found == Evaluated::Undefined,
                (None, false, Some(part)) => {
                    matches!(&found, Evaluated::Error(message) if message.contains(part))
                }
                _ => panic!("{}: {text}: a case has one outcome", file.display()),
            };
            if !holds {
                failures.push(format!("{}: {text}: {found:?}", file.display()));
            }
        }
    }
    assert!(count > 200, "only {count} cases were found");
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
}
