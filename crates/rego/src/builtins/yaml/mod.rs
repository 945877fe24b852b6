//! YAML, as Kubernetes reads and writes it.

mod read;
mod write;

use regorus::Value;

use super::go_fmt::Output;
use super::operand::{text, value};
use super::{Context, Failure, Outcome};
use crate::term;

table![
    "yaml.is_valid" / 1 => is_valid,
    "yaml.marshal" / 1 => marshal,
    "yaml.unmarshal" / 1 => unmarshal,
];

fn unmarshal(context: &mut Context<'_, '_>, args: &[Value]) -> Outcome {
    read::read(context.budget, text(args, 1)?)
}

fn is_valid(context: &mut Context<'_, '_>, args: &[Value]) -> Outcome {
    let Value::String(text) = value(args, 1)? else { return Ok(Value::Bool(false)) };
    match read::read(context.budget, text) {
        Ok(_) => Ok(Value::Bool(true)),
        Err(Failure::Undefined(_)) => Ok(Value::Bool(false)),
        Err(limit) => Err(limit),
    }
}

fn marshal(context: &mut Context<'_, '_>, args: &[Value]) -> Outcome {
    term::weigh(context.budget, value(args, 1)?)?;
    let mut out = Output::within(context.budget);
    let written = write::write(&mut out, value(args, 1)?);
    out.value(context.budget, written)
}
