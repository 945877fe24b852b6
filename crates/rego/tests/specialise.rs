//! Programs for inputs of which one entry is known: when there is one, and when it is used.

#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

use portcullis_rego::{Environment, Input, Program, Query, Unit};
use portcullis_rego_syntax::{Version, parse, resolve};
use portcullis_testkit::specialised;
use portcullis_value::Value;

const EXEMPT: &str = r#"package p
violation contains msg if {
	some container in input.review.containers
	not exempt(container)
	msg := sprintf("%v is not allowed", [container.image])
}
exempt(container) if {
	images := object.get(object.get(input, "parameters", {}), "exempt", [])
	image := container.image
	some exemption in images
	startswith(image, lower(exemption))
}
"#;

fn program(text: &str) -> Program {
    let parsed = parse(text, Version::V1);
    let names = resolve(&parsed.module);
    let unit = Unit { module: &parsed.module, names: &names };
    Program::compile(&[unit], &Query::Path(&["p", "violation"])).unwrap()
}

fn json(text: &str) -> Value {
    Value::from_json(text).unwrap()
}

fn input(parameters: &str) -> [(Value, Value); 2] {
    let review = r#"{"containers": [{"image": "a/b:1"}, {"image": "c/d:2"}, {"name": "none"}]}"#;
    [(Value::from("parameters"), json(parameters)), (Value::from("review"), json(review))]
}

#[test]
fn parameters_decide_once_and_answers_stay() {
    let program = program(EXEMPT);
    for parameters in ["{}", r#"{"exempt": []}"#, r#"{"exempt": ["A/"]}"#, r#"{"exempt": [1]}"#, "[]", "null"]
    {
        let entries = input(parameters);
        assert!(program.specialise("parameters", &json(parameters)).is_some(), "{parameters}");
        let input = Input::Value(Value::object(entries));
        specialised::evaluate(&program, &Environment { input, ..Environment::default() }).unwrap();
    }
}

#[test]
fn what_does_not_depend_on_them_is_not_made_again() {
    let untouched = program("package p\nviolation contains x if some x in input.review.containers");
    assert!(untouched.specialise("parameters", &json("{}")).is_none());
    // What is known may be something else within `with`.
    let replaced = program(
        "package p\nviolation contains x if { x := q with input.parameters as {\"a\": 2} }\nq := input.parameters.a",
    );
    assert!(replaced.specialise("parameters", &json(r#"{"a": 1}"#)).is_none());
}

#[test]
fn it_is_used_for_its_own_program_and_input_only() {
    let (one, other) = (program(EXEMPT), program(&EXEMPT.replace("not exempt", "exempt")));
    let parameters = json(r#"{"exempt": ["a/"]}"#);
    let special = one.specialise("parameters", &parameters).unwrap();
    let entries = input(r#"{"exempt": ["a/"]}"#);
    let known = |entries| Environment {
        input: Input::Entries(entries),
        special: Some(&special),
        ..Environment::default()
    };
    let plain = |entries| Environment { input: Input::Entries(entries), ..Environment::default() };
    // An object that is equal only is not known to be.
    assert_eq!(one.evaluate(&known(&entries)), one.evaluate(&plain(&entries)));
    let same = [(Value::from("parameters"), parameters), entries[1].clone()];
    assert_eq!(one.evaluate(&known(&same)), one.evaluate(&plain(&same)));
    let third = input(r#"{"exempt": ["c/"]}"#);
    assert_eq!(one.evaluate(&known(&third)), one.evaluate(&plain(&third)));
    assert_eq!(other.evaluate(&known(&same)), other.evaluate(&plain(&same)));
    assert_ne!(one.evaluate(&plain(&same)).result, other.evaluate(&plain(&same)).result);
}

#[test]
fn together_they_have_a_bound_and_give_back_what_they_had() {
    let program = program(EXEMPT);
    let make =
        |number: usize| program.specialise("parameters", &json(&format!(r#"{{"exempt": ["{number}"]}}"#)));
    let kept: Vec<_> = (0..1_000_000).map_while(make).collect();
    assert!((100..100_000).contains(&kept.len()), "{}", kept.len());
    assert!(make(7).is_none());
    drop(kept);
    assert!(make(7).is_some());
}

#[test]
fn what_is_worked_out_ahead_has_a_bound() {
    use std::fmt::Write as _;

    let mut text =
        String::from("package p\nviolation contains \"x\" if { input.review.containers; 1 == 2 }\n");
    for number in 0..2_000 {
        let _ = writeln!(
            text,
            "r{number} := split(concat(\"{number}\", split(sprintf(\"%v%1000d\", [input.parameters.a, {number}]), \"0\")), \" \")"
        );
    }
    let program = program(&text);
    let special = program.specialise("parameters", &json(r#"{"a": "0000"}"#)).unwrap();
    // A list of one of them takes some ten kilobytes.
    assert!(format!("{special:?}").len() < 6 << 20);
    let entries = input(r#"{"a": "0000"}"#);
    let environment = Environment { input: Input::Value(Value::object(entries)), ..Environment::default() };
    specialised::evaluate(&program, &environment).unwrap();
}

#[test]
fn a_value_that_is_made_once_is_compared_for_as_many_steps_as_one_that_is_made_twice() {
    let text =
        "package p\nviolation contains r if r\nr := [input.parameters] if some x in input.review.containers";
    let input = Input::Value(Value::object(input(r#"["a", ["b"]]"#)));
    specialised::evaluate(&program(text), &Environment { input, ..Environment::default() }).unwrap();
    let again = "package p\nviolation contains 1 if f(input.review.containers[_]) == f(1)\nf(_) := [input.parameters]";
    let input = Input::Value(Value::object(self::input(r#"["a", ["b"]]"#)));
    specialised::evaluate(&program(again), &Environment { input, ..Environment::default() }).unwrap();
}
