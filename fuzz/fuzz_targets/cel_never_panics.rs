//! Any expression, and after a line `---` any JSON as its object: reading, checking and evaluating end without a
//! panic and soon, within small limits, and the second time with the same answer and cost. Evaluating without counting is
//! sure of nothing else, and of no less cost. Every problem has its place in the text.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use portcullis_cel::{
    Allowance, BYTES_OF_UNIT, COST_OF_UNIT, CelValue, Desk, Environment, EvalErrorKind, PER_CALL_LIMIT, Program,
    STEPS_OF_UNIT, Stop, Type, Variables,
};
use portcullis_value::{Budget, Limits, Value};

const LIMITS: Limits = Limits { steps: 100_000, memory: 4 << 20, depth: 64, output: 64 << 10 };

fuzz_target!(|text: &str| {
    let (text, object) = text.split_once("\n---\n").unwrap_or((text, "{}"));
    let object = Value::from_json(object).unwrap_or_else(|_| Value::new_object());
    let environment = Environment::default()
        .with_variable("object", Type::Dyn)
        .with_variable("i", Type::Int)
        .with_variable("s", Type::String)
        .with_variable("l", Type::list(Type::Int))
        .with_variable("m", Type::map(Type::String, Type::Dyn))
        .with_variable("o", Type::optional(Type::String));
    let variables = Variables::default()
        .with("object", object.clone().into())
        .with("i", CelValue::Int(i64::MAX))
        .with("s", CelValue::from("\u{e9}a b"))
        .with("l", CelValue::list(vec![CelValue::Int(3), CelValue::Int(-1), CelValue::Int(3)]))
        .with("m", object.into())
        .with("o", CelValue::Optional(None));
    let started = Instant::now();
    let program = match Program::compile(text, &environment) {
        Ok(program) => program,
        Err(wrong) => {
            assert!(!wrong.is_empty());
            assert!(wrong.is_sorted_by_key(|wrong| wrong.at), "{wrong:?}");
            for wrong in wrong {
                assert!(text.is_char_boundary(wrong.at as usize), "{wrong:?}");
            }
            return;
        }
    };
    // What is read is a variable that there is.
    assert!(program.reads().iter().all(|read| environment.variable(&read.variable).is_some()));
    let evaluate = || {
        let mut budget = Budget::new(LIMITS, None);
        let evaluation = program.evaluate(&variables, &mut budget);
        (evaluation, budget.steps(), budget.memory())
    };
    let (first, steps, memory) = evaluate();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    match &first.result {
        Ok(value) => {
            assert!(first.cost <= PER_CALL_LIMIT, "{}", first.cost);
            // What was found when it was compiled holds: a condition is a boolean.
            if program.result() == &Type::Bool {
                assert!(value.as_bool().is_some(), "{value:?}");
            }
        }
        Err(error) => assert!(text.is_char_boundary(error.at as usize), "{error:?}"),
    }
    let (again, steps_again, _) = evaluate();
    assert_eq!(format!("{:?}", first.result), format!("{:?}", again.result));
    assert_eq!((first.cost, steps), (again.cost, steps_again));
    let desk = Desk::default();
    let allowance = Allowance::within(&desk, PER_CALL_LIMIT, LIMITS.steps, LIMITS.memory);
    let all = allowance.left();
    let started = Instant::now();
    let brief = program.evaluate_briefly(&&variables, &allowance);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    match (&brief, &first.result) {
        (Err(Stop::Unsure), _) => return,
        (Err(Stop::NoValue), Err(error)) => assert_eq!(error.kind, EvalErrorKind::Evaluation, "{error:?}"),
        (Ok(brief), Ok(value)) => {
            let brief = brief.to_value();
            assert_eq!((brief.type_name(), brief.to_string()), (value.type_name(), value.to_string()));
        }
        (brief, result) => panic!("{result:?}, and briefly {brief:?}"),
    }
    let units = all - allowance.left();
    assert!(first.cost <= units * COST_OF_UNIT, "{} of {units}", first.cost);
    assert!(steps <= units * STEPS_OF_UNIT, "{steps} of {units}");
    assert!(memory <= units * BYTES_OF_UNIT, "{memory} of {units}");
});
