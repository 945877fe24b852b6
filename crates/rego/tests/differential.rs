//! Random well-formed policies and inputs: our evaluator against the model, and against the interpreter of
//! regorus on what that is known to get right.
//!
//! `PROPTEST_CASES=100000 cargo test --release -p portcullis-rego --test differential` for more.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test says that it fails"
)]

use std::cell::Cell;

use portcullis_rego::{Environment, EvalErrorKind, Program, Query, Unit};
use portcullis_rego_syntax::{Parsed, Version, parse, resolve};
use portcullis_testkit::specialised;
use portcullis_value::Value;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::RngSeed;

#[path = "model/generate.rs"]
mod generate;
#[path = "model/mod.rs"]
mod model;

use generate::{Subset, Writer};
use model::{Model, Stop};

/// What an evaluator says of the package `p`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Value(Value),
    Conflict,
    /// It does not take the policy, though it is well-formed.
    Refused(String),
    /// It says nothing that can be compared.
    Silence(String),
}

struct Policy {
    text: String,
    input: Value,
    parsed: Parsed,
}

fn policy(tape: &[u8], subset: Subset) -> Policy {
    let mut writer = Writer::new(tape, subset);
    let input = Value::from_json(&writer.input()).expect("an input");
    let text = writer.module();
    let parsed = parse(&text, Version::V1);
    assert!(parsed.diagnostics.is_empty(), "{:?} in\n{text}", parsed.diagnostics);
    Policy { text, input, parsed }
}

fn ours(policy: &Policy) -> Answer {
    let names = resolve(&policy.parsed.module);
    assert!(names.diagnostics.is_empty(), "{:?} in\n{}", names.diagnostics, policy.text);
    let unit = Unit { module: &policy.parsed.module, names: &names };
    let program = match Program::compile(&[unit], &Query::Path(&["p"])) {
        Ok(program) => program,
        Err(errors) => return Answer::Refused(format!("{errors:?}")),
    };
    let environment = Environment { input: policy.input.clone().into(), ..Environment::default() };
    let first = program.evaluate(&environment);
    let second = specialised::evaluate(&program, &environment)
        .unwrap_or_else(|differs| panic!("{differs}\nof {}\nin\n{}", policy.input, policy.text));
    assert_eq!(first, second, "in\n{}", policy.text);
    match first.result {
        Ok(value) => Answer::Value(value),
        Err(error) if error.kind == EvalErrorKind::Conflict => Answer::Conflict,
        Err(error) => Answer::Silence(error.message),
    }
}

fn modelled(policy: &Policy) -> Answer {
    let fuel = Cell::new(200_000);
    match Model::new(&policy.parsed.module, policy.input.clone(), &fuel).package() {
        Ok(value) => Answer::Value(value),
        Err(Stop::Conflict) => Answer::Conflict,
        Err(Stop::Fuel) => Answer::Silence("it takes too long".to_owned()),
    }
}

fn engine(policy: &Policy) -> Answer {
    let ask = || -> Result<Value, String> {
        let mut engine = regorus::Engine::new();
        engine.set_strict_builtin_errors(false);
        engine.add_policy("p".to_owned(), policy.text.clone()).map_err(|error| error.to_string())?;
        engine.set_input((&policy.input).into());
        let results = engine.eval_query("data.p".to_owned(), false).map_err(|error| error.to_string())?;
        let result =
            results.result.into_iter().next().and_then(|result| result.expressions.into_iter().next());
        Ok(result.map_or(Value::UNDEFINED, |expression| Value::from(&expression.value)))
    };
    match ask() {
        Ok(value) => Answer::Value(value),
        Err(error) => Answer::Silence(error),
    }
}

/// Compares, unless one of them has no answer: an evaluator that does less may not meet a conflict, so that
/// the model's conflicts say nothing of it.
fn agree(found: &Answer, wanted: &Answer, policy: &Policy) -> Result<(), TestCaseError> {
    if matches!(wanted, Answer::Conflict | Answer::Silence(_)) {
        return Ok(());
    }
    prop_assert_eq!(found, wanted, "\n{}\ninput: {}\n", &policy.text, &policy.input);
    Ok(())
}

fn tape() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..160)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1_000),
        failure_persistence: None,
        // The same on every run, so that nobody's build fails for a case that somebody else's would; another
        // seed with PROPTEST_RNG_SEED.
        rng_seed: RngSeed::Fixed(
            std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7),
        ),
        ..ProptestConfig::default()
    })]

    #[test]
    fn programs_do_as_the_model_does(tape in tape()) {
        let policy = policy(&tape, Subset::Model);
        agree(&ours(&policy), &modelled(&policy), &policy)?;
    }

    #[test]
    fn programs_do_as_the_interpreter_does(tape in tape()) {
        let policy = policy(&tape, Subset::Engine);
        // The interpreter takes the first of two values where there is a conflict.
        if !matches!(modelled(&policy), Answer::Value(_)) {
            return Ok(());
        }
        agree(&ours(&policy), &engine(&policy), &policy)?;
    }

    /// The model is worth what it says only if somebody else says the same.
    #[test]
    fn the_model_does_as_the_interpreter_does(tape in tape()) {
        let policy = policy(&tape, Subset::Engine);
        let found = modelled(&policy);
        if !matches!(found, Answer::Conflict | Answer::Silence(_)) {
            agree(&found, &engine(&policy), &policy)?;
        }
    }
}

#[test]
fn most_policies_that_are_written_have_a_value_and_many_an_interesting_one() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut values, mut interesting) = (0, 0);
    for _ in 0..300 {
        let tape = tape().new_tree(&mut runner).expect("a tape").current();
        if let Answer::Value(value) = modelled(&policy(&tape, Subset::Model)) {
            values += 1;
            interesting += usize::from(value.as_object().is_some_and(|package| package.len() > 1));
        }
    }
    assert!(values > 150 && interesting > 80, "{values} values, {interesting} of them interesting");
}
