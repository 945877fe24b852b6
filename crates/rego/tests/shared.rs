//! Documents that evaluations with the same entry of `input` have in common: which they are, and that sharing
//! them changes nothing.

#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

use portcullis_rego::{Environment, Input, Program, Query, Unit, Workspace};
use portcullis_rego_syntax::{Version, parse, resolve};
use portcullis_value::{Limits, Value};

fn program(text: &str) -> Program {
    let parsed = parse(text, Version::V1);
    assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
    let names = resolve(&parsed.module);
    let unit = Unit { module: &parsed.module, names: &names };
    Program::compile(&[unit], &Query::Path(&["p", "violation"])).unwrap()
}

fn json(text: &str) -> Value {
    Value::from_json(text).unwrap()
}

fn entries(parameters: &str) -> [(Value, Value); 2] {
    let review = json(
        r#"{"kind": "Pod", "object": {"containers": [{"name": "a", "image": "x/a"}, {"name": "b"}], "init": [{"name": "c", "image": "y/c"}]}}"#,
    );
    [(Value::from("parameters"), json(parameters)), (Value::from("review"), review)]
}

/// The documents that are kept after each of some programs was evaluated, each with other parameters.
fn kept(programs: &[&str]) -> Vec<usize> {
    let mut all = entries("{}");
    let mut room = Workspace::of_input("review", all[1].1.clone());
    let mut counts = Vec::new();
    for (number, text) in programs.iter().enumerate() {
        all[0].1 = json(&format!(r#"{{"number": {number}, "prefix": "x/"}}"#));
        let program = program(text);
        for round in 0..2 {
            let environment = Environment { input: Input::Entries(&all), ..Environment::default() };
            let alone = program.evaluate(&environment);
            assert!(alone.result.is_ok(), "{text}: {:?}", alone.result);
            assert_eq!(program.evaluate_in(&mut room, &environment), alone, "{text}, round {round}");
            for limits in [
                Limits { steps: alone.steps - 1, ..Limits::default() },
                Limits { memory: alone.memory.saturating_sub(1), ..Limits::default() },
                Limits { depth: 2, ..Limits::default() },
                Limits { depth: 3, ..Limits::default() },
                Limits { depth: 4, ..Limits::default() },
            ] {
                let environment = Environment { limits, ..environment.clone() };
                let alone = program.evaluate(&environment);
                assert_eq!(program.evaluate_in(&mut room, &environment), alone, "{text}, {limits:?}");
            }
        }
        counts.push(room.shared_documents());
    }
    counts
}

const ALL: &str = "all contains c if some c in input.review.object.containers
all contains c if some c in input.review.object.init
";

#[test]
fn what_says_the_same_is_made_once_whatever_it_is_called() {
    let first = format!("package p\n{ALL}\nviolation contains c.name if some c in all");
    let second = format!(
        "package p\nviolation contains msg if {{\n  some c in all\n  startswith(c.image, input.parameters.prefix)\n  msg := c.image\n}}\n{ALL}"
    );
    let third = second.replace("all", "every_container").replace("c in", "container in");
    let third = third.replace("c.image", "container.image").replace("contains c ", "contains container ");
    // Of the first, the violations depend on the review only, too.
    assert_eq!(kept(&[&first, &second, &third]), [2, 2, 2]);
}

#[test]
fn what_depends_on_anything_else_is_not_shared() {
    for text in [
        "package p\nviolation contains x if x := input.parameters.number",
        "package p\nviolation contains x if x := object.get(input, \"parameters\", {}).number",
        "package p\nviolation contains x if { some x in input; is_object(x) }",
        "package p\nviolation contains x if x := data.inventory",
        "package p\nviolation contains x if { print(input.review.kind); x := 1 }",
        "package p\nviolation contains x if x := q with input.review as {\"kind\": 7}\nq := input.review.kind",
        "package p\nviolation contains x if x := f(input.review.kind)\nf(k) := [k, input.parameters.number]",
        "package p\nviolation contains x if x := q\nq := input.parameters.number",
    ] {
        // `q` itself is asked for where the input is another one.
        assert_eq!(kept(&[text]), [0], "{text}");
    }
}

#[test]
fn what_others_need_is_charged_once_in_whatever_order_it_is_asked_for() {
    let rules = "names contains c.name if some c in input.review.object.containers
images := [c.image | some c in input.review.object.containers]
both := {\"names\": names, \"images\": images, \"again\": names}
";
    let programs: Vec<String> = [
        "violation contains x if { x := both }",
        "violation contains x if { x := [names, both, input.parameters.number] }",
        "violation contains x if { x := [both, images, input.parameters.number] }",
        "violation contains x if { count(images) > 0; x := {\"b\": both, \"n\": input.parameters.number} }",
        "violation contains x if { x := [input.parameters.number, names] }",
    ]
    .iter()
    .map(|rule| format!("package p\n{rules}{rule}"))
    .collect();
    for first in 0..programs.len() {
        let mut order: Vec<&str> = programs.iter().map(String::as_str).collect();
        order.rotate_left(first);
        kept(&order);
        order.reverse();
        kept(&order);
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let many: Vec<String> = (0..100).map(|n| format!("d{n} := [{n}, input.review.kind]")).collect();
    let all: Vec<String> = (0..100).map(|n| format!("d{n}")).collect();
    let many = format!("package p\n{}\nviolation contains x if x := [{}]", many.join("\n"), all.join(", "));
    assert!(kept(&[&many])[0] <= 32);
    let large = "package p\nlarge := [n | some n in numbers.range(1, 5000); input.review.kind]
violation contains x if x := count(large) + input.parameters.number";
    assert_eq!(kept(&[large]), [0]);
}

/// What documents have in common is worked out in a review, which nobody is charged for: it has an end.
#[test]
fn what_documents_are_is_worked_out_of_so_many_operations_only() {
    let base: Vec<String> = (0..40).map(|n| format!("input.review.k{n}")).collect();
    let each: Vec<String> = (0..2_000).map(|n| format!("d{n:04} := [count(base), {n}]")).collect();
    let text = format!(
        "package p\nbase := {{x | some x in [input.review.kind]; not [{}]}}\n{}\nviolation contains x if x := [d0000, d1999, input.parameters.number]",
        base.join(", "),
        each.join("\n")
    );
    // Of `base`, the first and the last one, at least one comes too late; nothing else differs.
    assert!(kept(&[&text])[0] < 3);
}
