//! Builtins by examples: a call and what comes of it, one per line. And by what nobody thought of.

mod bounds;
mod rows;

use portcullis_value::{Budget, Limits, Value};
use std::collections::{BTreeMap, BTreeSet};

use portcullis_rego_syntax::ast::{Expr, ExprKind};
use portcullis_rego_syntax::{Version, parse};

use super::{Caches, Context, Failure, Outcome, Outside, find};

/// 2017-07-14 02:40:00.000000001 UTC.
const NOW: i64 = 1_500_000_000_000_000_001;

fn call(name: &str, args: &[Value], limits: Limits) -> Outcome {
    let builtin = find(name).unwrap_or_else(|| panic!("there is no builtin {name}"));
    assert_eq!(builtin.row.arity, args.len(), "arguments of {name}");
    let mut budget = Budget::new(limits, None);
    let caches = Caches::default();
    let args: Vec<&Value> = args.iter().collect();
    let mut text = String::new();
    let mut outside = Outside::default();
    let mut context = Context {
        budget: &mut budget,
        now_ns: Some(NOW),
        seed: 1,
        caches: &caches,
        outside: &mut outside,
        text: &mut text,
    };
    match builtin.ask(&mut context, &args) {
        Err(Failure::Undefined(message)) => Err(Failure::Undefined(builtin.named(&message))),
        outcome => outcome,
    }
}

fn evaluate(expr: &Expr) -> Outcome {
    let all = |items: &[Expr]| items.iter().map(evaluate).collect::<Result<Vec<_>, _>>();
    match &expr.kind {
        ExprKind::Null => Ok(Value::NULL),
        ExprKind::Bool(value) => Ok(Value::from(*value)),
        ExprKind::Number(text) => Ok(Value::from_json(text).unwrap()),
        ExprKind::String(text) => Ok(Value::from(text.as_str())),
        ExprKind::Paren(inner) => evaluate(inner),
        ExprKind::Array(items) => Ok(Value::from(all(items)?)),
        ExprKind::Set(items) => Ok(Value::from(all(items)?.into_iter().collect::<BTreeSet<_>>())),
        ExprKind::Object(entries) => {
            let entries = entries.iter().map(|entry| Ok((evaluate(&entry.key)?, evaluate(&entry.value)?)));
            Ok(Value::from(entries.collect::<Result<BTreeMap<_, _>, Failure>>()?))
        }
        ExprKind::Call(written) => {
            let name = written.name().unwrap();
            if name == "set" {
                return Ok(Value::new_set());
            }
            call(&name, &all(&written.args)?, Limits::default())
        }
        other => panic!("an example cannot have {other:?}"),
    }
}

fn read(text: &str) -> Outcome {
    let parsed = parse(&format!("package t\nx := {text}"), Version::V1);
    let rule = parsed.module.rules.first().unwrap_or_else(|| panic!("{text}"));
    evaluate(&rule.head.value.as_ref().unwrap_or_else(|| panic!("{text}")).expr)
}

/// `call -> value`, `call -> undefined`, `call -> error: sentence`, `call -> limit: sentence`.
#[track_caller]
fn examples(text: &str) {
    let mut failures = Vec::new();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let (written, wanted) = line.rsplit_once(" -> ").unwrap_or_else(|| panic!("{line}"));
        let found = read(written);
        let agrees = match (&found, wanted.split_once(": ")) {
            (Ok(value), _) if value.is_undefined() => wanted == "undefined",
            (Err(Failure::Undefined(message)), Some(("error", sentence))) => message == sentence,
            (Err(Failure::Limit(exceeded)), Some(("limit", sentence))) => exceeded.message == sentence,
            (Ok(found), _) => {
                // The texts too: sets are no arrays.
                read(wanted).is_ok_and(|wanted| wanted == *found && show(&wanted) == show(found))
            }
            _ => false,
        };
        if !agrees {
            let found = found.map(|value| show(&value));
            failures.push(format!("{line}\n  found {found:?}"));
        }
    }
    assert!(failures.is_empty(), "{} examples fail:\n{}", failures.len(), failures.join("\n"));
}

fn show(value: &Value) -> String {
    portcullis_value::text(&mut Budget::new(Limits::default(), None), value).unwrap()
}

#[test]
fn aggregates() {
    examples(include_str!("aggregates.txt"));
}

#[test]
fn collections() {
    examples(include_str!("collections.txt"));
}

#[test]
fn encodings() {
    examples(include_str!("encodings.txt"));
}

#[test]
fn numbers() {
    examples(include_str!("numbers.txt"));
}

#[test]
fn patterns() {
    examples(include_str!("patterns.txt"));
}

#[test]
fn texts() {
    examples(include_str!("texts.txt"));
}

#[test]
fn times() {
    examples(include_str!("times.txt"));
}

#[test]
fn what_needs_a_network_or_keys_is_not_there() {
    for name in [
        "http.send",
        "opa.runtime",
        "net.lookup_ip_addr",
        "io.jwt.decode_verify",
        "crypto.x509.parse_certificates",
    ] {
        assert!(find(name).is_none(), "{name}");
    }
}

#[test]
fn random_values_are_the_same_for_the_same_argument() {
    let once = |key: &str| {
        call("rand.intn", &[Value::from(key), Value::from(1_000_000)], Limits::default()).unwrap()
    };
    assert_eq!(once("a"), once("a"));
    assert_ne!(once("a"), once("b"));
    let uuid = |key: &str| call("uuid.rfc4122", &[Value::from(key)], Limits::default()).unwrap();
    assert_eq!(uuid("a"), uuid("a"));
    assert_ne!(uuid("a"), uuid("b"));
    let parsed = call("uuid.parse", &[uuid("a")], Limits::default()).unwrap();
    assert_eq!(show(&parsed), r#"{"variant": "RFC4122", "version": 4}"#);
}

#[test]
fn walking_answers_every_value_with_its_path() {
    let value = read(r#"{"a": [1, {2}], "b": {}}"#).unwrap();
    let walked = call("walk", &[value], Limits::default()).unwrap();
    let wanted = r#"[[[], {"a": [1, {2}], "b": {}}], [["a"], [1, {2}]], [["a", 0], 1], [["a", 1], {2}], [["a", 1, 2], 2], [["b"], {}]]"#;
    assert_eq!(show(&walked), wanted);
    assert_eq!(find("walk").unwrap().row.answers, portcullis_rego_syntax::builtins::Answers::Each);
}

#[test]
fn every_row_has_a_function_where_it_says_so() {
    use portcullis_rego_syntax::builtins::{Answered, all};

    for row in all() {
        let is_evaluated = row.answered == Answered::Evaluated;
        assert_eq!(find(row.name).is_some(), is_evaluated, "{}", row.name);
    }
    let calls: Vec<&str> = super::FAMILIES.iter().copied().flatten().map(|(name, _)| *name).collect();
    let distinct: BTreeSet<&str> = calls.iter().copied().collect();
    assert_eq!(calls.len(), distinct.len(), "a name has two functions");
    assert_eq!(calls.len(), super::BY_NAME.len(), "a function has no row");
}
