//! Evaluates a program with its input known in part, every way there is, and says where the evaluation is
//! another one.

use portcullis_rego::{Environment, Evaluation, Input, Program, Workspace};
use portcullis_value::{Limits, Value, View};

/// The evaluation of a program: given as a value, by its entries, and specialised for each of them, with the
/// limits of the environment, and with just as many steps as it takes and one fewer; each in the room of the
/// one before.
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

fn same(found: &Evaluation, wanted: &Evaluation, how: &str) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{how}: {found:?}\nas it is: {wanted:?}")) }
}
