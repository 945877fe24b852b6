//! YAML, as Kubernetes reads and writes it.

mod read;
mod write;

use super::operand::{text, value};
use super::{Context, Failure, Outcome};
use portcullis_value::{Value, View};

table![
    "yaml.is_valid" => is_valid,
    "yaml.marshal" => marshal,
    "yaml.unmarshal" => unmarshal,
];

fn unmarshal(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    read::read(context.budget, text(args, 1)?)
}

fn is_valid(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let View::String(text) = value(args, 1)?.view() else { return Ok(Value::FALSE) };
    match read::read(context.budget, text) {
        Ok(_) => Ok(Value::TRUE),
        Err(Failure::Undefined(_)) => Ok(Value::FALSE),
        Err(limit) => Err(limit),
    }
}

fn marshal(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    portcullis_value::weigh(context.budget, value(args, 1)?)?;
    let value = value(args, 1)?;
    context.write(|out| write::write(out, value))
}
