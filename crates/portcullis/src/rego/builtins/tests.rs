//! The cases of `testdata/builtins`: an expression, or a module with a rule `p`, and what comes of it.

use std::path::Path;

use proptest::prelude::*;
use regorus::Engine;
use serde::Deserialize;
use serde_json::Value as Json;

use super::go_fmt::{self, Arg};
use super::{Failure, State, called, register, units, uses};
use crate::api::template::RegoVersion;
use crate::rego::{engine_error::EngineError, new_engine};
use crate::value::Value;

/// What comes of an evaluation.
#[derive(Debug, PartialEq)]
enum Evaluated {
    Value(Value),
    Undefined,
    Error(String),
}

/// Evaluates `rule`, a path from `data`, as a template's program does.
fn evaluate(module: &str, rule: &str, version: RegoVersion, data: &Json, input: &Json) -> Evaluated {
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
        prepared.add_data(Value::from(data.clone()))?;
        let mut engine = prepared.clone();
        engine.set_input(Value::from(input.clone()));
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
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/builtins");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let none = serde_json::json!({});
    let (mut count, mut failures) = (0, Vec::new());
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
            let found = evaluate(&format!("package t\n{text}"), "data.t.p", RegoVersion::V0, &none, &none);
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

/// OPA's own cases, where they lie beside the repository. A case that differs for a known reason is listed.
#[test]
fn cases_of_opa() {
    const TOPICS: &[&str] =
        &["sprintf", "regex", "numbersrange", "casts", "netcidr", "aggregates", "units_parse"];
    const WORDS: &[&str] =
        &["sprintf(", "any(", "all(", "re_match(", "set_diff(", "cast_", "regex.", "strings.count("];
    /// The engine reads no float that is larger than an `f64`.
    const DIFFERENT: &[&str] = &["strings/sprintf: float too big"];
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut paths = above.map(|folder| folder.join("shared/opa-compliance/cases.jsonl"));
    let Some(text) = paths.find_map(|path| std::fs::read_to_string(path).ok()) else {
        eprintln!("SKIPPED: there is no shared/opa-compliance/cases.jsonl beside the repository");
        return;
    };
    let (mut count, mut failures) = (0, Vec::new());
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let modules = case["modules"].as_array().map(Vec::as_slice).unwrap_or_default();
        let note = case["note"].as_str().unwrap_or_default();
        let ([module], Some(query)) = (modules, case["query"].as_str()) else { continue };
        let (module, Some(rule)) = (module.as_str().unwrap(), query.strip_suffix(" = x")) else { continue };
        let is_ours = TOPICS.iter().any(|topic| note.starts_with(topic))
            || WORDS.iter().any(|word| module.contains(word));
        // A template with a builtin that there is not is refused.
        let parsed = portcullis_rego_syntax::parse(module, portcullis_rego_syntax::Version::V1).module;
        let names = portcullis_rego_syntax::resolve(&parsed);
        let is_refused = uses(&parsed, &names).iter().any(|used| called::wrong(used).is_some());
        if !is_ours || is_refused || case["input_term"].is_string() {
            continue;
        }
        count += 1;
        let value = |key: &str| case.get(key).cloned().unwrap_or_else(|| serde_json::json!({}));
        let found = evaluate(module, rule, RegoVersion::V1, &value("data"), &value("input"));
        let wanted = case["want_result"].get(0).map(|result| &result["x"]);
        let agrees = match (&found, wanted) {
            (Evaluated::Value(found), Some(wanted)) => {
                serde_json::to_value(found).is_ok_and(|found| found == *wanted)
            }
            (Evaluated::Undefined, None) => true,
            (Evaluated::Error(_), None) => case.get("want_error_code").is_some(),
            _ => false,
        };
        if agrees == DIFFERENT.contains(&note) {
            failures.push(format!("{note}: wanted {wanted:?}, found {found:?}\n{module}"));
        }
    }
    assert!(failures.is_empty(), "{} of {count} cases differ:\n{}", failures.len(), failures.join("\n"));
    eprintln!("{count} cases agree");
}

fn directive() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        Just(String::new()),
        Just("*".to_owned()),
        (0_usize..40).prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
        "\\[[0-9]{0,2}\\]?\\*?",
    ];
    let precision = prop_oneof![Just(String::new()), number.clone().prop_map(|number| format!(".{number}"))];
    ("[-+# 0]{0,3}", number, precision, "[a-zA-Z%é\\[\\]]?")
        .prop_map(|(flags, width, precision, verb)| format!("%{flags}{width}{precision}{verb}"))
}

fn arg() -> impl Strategy<Value = Arg> {
    prop_oneof![
        any::<i64>().prop_map(Arg::Int),
        (-9_i64..9).prop_map(Arg::Int),
        any::<f64>().prop_map(Arg::Float),
        (-100.0..100.0).prop_map(Arg::Float),
        any::<String>().prop_map(|text| Arg::Str(text.into())),
    ]
}

/// What the engine's own builtin of that name gives.
fn in_engine(builtin: &str, text: &str) -> Value {
    let mut engine = new_engine(RegoVersion::V1);
    engine.add_policy("0".into(), format!("package t\np := {builtin}(input)")).unwrap();
    engine.set_input(Value::from(text));
    engine.eval_rule("data.t.p".to_owned()).unwrap()
}

fn ours(builtin: &str, text: &str) -> Result<Value, Failure> {
    let ours = units::BUILTINS.iter().find(|ours| ours.name == builtin).unwrap();
    (ours.call)(&[Value::from(text)], &State::default())
}

proptest! {
    #[test]
    fn any_quantity_has_a_bounded_number(
        text in prop_oneof![
            any::<String>(),
            "[-+]?[0-9]{0,3}\\.?[0-9]{0,120}([eE][-+]?[0-9]{0,9})?\"?[kmgtpeKMGTPE]?[iI]?[bB]?",
            "[-+.eE0-9mMkKiIbB]{0,12}",
        ],
        zeros in prop_oneof![Just(0_usize), 0_usize..100_000],
    ) {
        let text = format!("{}{text}", "0".repeat(zeros));
        for builtin in ["units.parse", "units.parse_bytes"] {
            if let Ok(value) = ours(builtin, &text) {
                prop_assert!(value.to_string().len() <= 140, "{value}");
            }
        }
    }

    /// But for fractions of bytes, which the engine rounds, for more than ten decimal places, and for fractions that an
    /// `f64` has no room for.
    #[test]
    fn quantities_are_as_the_engine_has_them(
        amount in "-?(0|[1-9][0-9]{0,11})(\\.[0-9]{0,2}[1-9])?",
        exponent in prop_oneof![Just(String::new()), "e\\+?[0-9]", "[eE]-[0-2]"],
        unit in "([kKMgGtTpPeE]i?|m?)",
        decimal in "[kKmMgGtTpPeE][bB]?",
        integer in "0|[1-9][0-9]{0,18}",
        binary in "([kKmMgGtTpPeE][iI][bB]?)?",
    ) {
        let text = format!("{amount}{exponent}{unit}");
        prop_assert_eq!(ours("units.parse", &text).unwrap(), in_engine("units.parse", &text));
        let whole = exponent.replace('-', "");
        for text in [format!("{amount}{whole}{decimal}"), format!("{integer}{binary}")] {
            prop_assert_eq!(ours("units.parse_bytes", &text).unwrap(), in_engine("units.parse_bytes", &text));
        }
    }

    #[test]
    fn any_format_has_a_bounded_text(
        format in prop_oneof![
            any::<String>(),
            prop::collection::vec(prop_oneof![directive(), "[a-z%]{0,3}"], 0..6).prop_map(|parts| parts.concat()),
        ],
        args in prop::collection::vec(arg(), 0..5),
    ) {
        if let Ok(text) = go_fmt::sprintf(&format, &args, 2000) {
            prop_assert!(text.len() <= 2000);
        }
    }

    #[test]
    fn numbers_are_as_rust_has_them(int in any::<i64>(), float in any::<f64>(), width in 0_usize..30) {
        let args = [Arg::Int(int), Arg::Float(float)];
        let format = format!("%{width}d|%-{width}d|%0{width}d|%.{width}f|%v");
        let order = [0, 0, 0, 1, 1].map(|position| match &args[position] {
            Arg::Int(int) => Arg::Int(*int),
            _ => Arg::Float(float),
        });
        let text = go_fmt::sprintf(&format, &order, 5000).unwrap();
        let parts: Vec<&str> = text.split('|').collect();
        prop_assert_eq!(parts[0], format!("{int:width$}"));
        prop_assert_eq!(parts[1], format!("{int:<width$}"));
        prop_assert_eq!(parts[2], format!("{int:0width$}"));
        if float.is_finite() {
            prop_assert_eq!(parts[3], format!("{float:.width$}"));
            prop_assert_eq!(parts[4].parse::<f64>().unwrap().to_bits(), float.to_bits());
        }
    }
}
