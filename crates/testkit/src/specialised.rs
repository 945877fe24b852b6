//! Evaluates a program with its input known in part, every way there is, and says where the evaluation is
//! another one.

use portcullis_rego::{Environment, Evaluation, Input, Program, Workspace};
use portcullis_value::{Limits, Value, View};

/// The evaluation of a program: given as a value, by its entries, and specialised for each of them, with the
/// limits of the environment, and with just as many steps as it takes and one fewer; each in the room of the
/// one before, and among evaluations that share what depends on that entry only.
///
/// # Errors
///
/// How two of these differ, in answer, prints, steps or memory.
pub fn evaluate(program: &Program, environment: &Environment<'_>) -> Result<Evaluation, String> {
    let first = program.evaluate(environment);
    let mut room = Workspace::default();
    let mut again = |environment: &Environment<'_>| program.evaluate_in(&mut room, environment);
    let Input::Value(input) = &environment.input else { return Ok(first) };
    let View::Object(object) = input.view() else { return Ok(first) };
    let entries: Vec<(Value, Value)> =
        object.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    if entries.is_empty() {
        return Ok(first);
    }
    let by_entries = Environment { input: Input::Entries(&entries), ..environment.clone() };
    same(&again(&by_entries), &first, "by its entries")?;
    for (key, value) in &entries {
        share(program, &by_entries, &first, key, value)?;
        let Some(special) = key.as_str().and_then(|key| program.specialise(key, value)) else { continue };
        let known = Environment { special: Some(&special), ..by_entries.clone() };
        same(&again(&known), &first, &format!("with {key} known"))?;
        for steps in [first.steps, first.steps.saturating_sub(1)] {
            let limits = Limits { steps, ..environment.limits };
            let plain = again(&Environment { limits, ..by_entries.clone() });
            let known = again(&Environment { limits, ..known.clone() });
            same(&known, &plain, &format!("with {key} known and {steps} steps"))?;
        }
    }
    Ok(first)
}

/// Evaluations that share their documents: the first one makes them, and others with less or more to use take
/// them over.
fn share(
    program: &Program,
    environment: &Environment<'_>,
    first: &Evaluation,
    key: &Value,
    value: &Value,
) -> Result<(), String> {
    let Some(name) = key.as_str() else { return Ok(()) };
    let mut room = Workspace::of_input(name, value.clone());
    for how in ["makes what depends on", "takes over what depends on"] {
        same(&program.evaluate_in(&mut room, environment), first, &format!("{how} {name}"))?;
    }
    let Limits { steps, memory, depth, .. } = environment.limits;
    let least = [
        Limits { steps: first.steps, ..environment.limits },
        Limits { steps: first.steps.saturating_sub(1), ..environment.limits },
        Limits { memory: first.memory, ..environment.limits },
        Limits { memory: first.memory.saturating_sub(1), ..environment.limits },
    ];
    let shallow = (1..=6).map(|depth| Limits { steps, memory, depth, ..environment.limits });
    for limits in least.into_iter().chain(shallow.filter(|limits| limits.depth < depth)) {
        let environment = Environment { limits, ..environment.clone() };
        let shared = program.evaluate_in(&mut room, &environment);
        same(&shared, &program.evaluate(&environment), &format!("shares {name} within {limits:?}"))?;
    }
    Ok(())
}

fn same(found: &Evaluation, wanted: &Evaluation, how: &str) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{how}: {found:?}\nas it is: {wanted:?}")) }
}
