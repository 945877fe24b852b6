//! `walk`: every value in a value, with its path.

use portcullis_value::{Budget, MAX_NESTING, Value, View, too_deep};

use super::operand::value;
use super::{Context, Failure, Outcome};

table!["walk" => walk];

/// The answers, as an array of `[path, value]`.
fn walk(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let mut answers = Vec::new();
    visit(context.budget, &mut Vec::new(), value(args, 1)?, &mut answers)?;
    Ok(Value::from(answers))
}

fn visit(
    budget: &mut Budget<'_>,
    path: &mut Vec<Value>,
    value: &Value,
    answers: &mut Vec<Value>,
) -> Result<(), Failure> {
    if path.len() > MAX_NESTING {
        return Err(too_deep().into());
    }
    budget.make_items(path.len() + 3)?;
    answers.push(Value::from(vec![Value::from(path.clone()), value.clone()]));
    let mut enter = |budget: &mut Budget<'_>, key: Value, value: &Value| {
        path.push(key);
        visit(budget, path, value, answers)?;
        path.pop();
        Ok::<(), Failure>(())
    };
    match value.view() {
        View::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                enter(budget, Value::from(index), item)?;
            }
        }
        View::Object(object) => {
            budget.step(object.len() as u64)?;
            object.keys().try_for_each(|key| portcullis_value::weigh(budget, key))?;
            for (key, value) in object.iter() {
                enter(budget, key.clone(), value)?;
            }
        }
        View::Set(_) => {
            for item in portcullis_value::elements(budget, value)?.unwrap_or_default() {
                enter(budget, item.clone(), item)?;
            }
        }
        _ => {}
    }
    Ok(())
}
