//! `sprintf`: OPA's conversion of the arguments to Go's types, then Go's formatting.

use regorus::Value;

use super::go_fmt::{self, Arg, Big, Output};
use super::operand::{array, text};
use super::{Context, Failure, Outcome, number};
use crate::limits::Budget;
use crate::term;

table!["sprintf" / 2 => sprintf];

fn sprintf(context: &mut Context<'_, '_>, args: &[Value]) -> Outcome {
    let (format, values) = (text(args, 1)?, array(args, 2)?);
    context.budget.read_text(format.len())?;
    let mut converted = Vec::new();
    for value in values {
        context.budget.make_items(1)?;
        converted.push(arg(context.budget, value)?);
    }
    let mut out = Output::within(context.budget);
    let written = go_fmt::sprintf(&mut out, format, &converted);
    out.value(context.budget, written)
}

fn arg(budget: &mut Budget<'_>, value: &Value) -> Result<Arg, Failure> {
    match value {
        Value::String(text) => {
            budget.make_text(text.len())?;
            Ok(Arg::Str((**text).into()))
        }
        Value::Number(_) => {
            if let Some(int) = number::small(value) {
                return Ok(Arg::Int(int));
            }
            if let Some(float) = number::fraction(value) {
                return Ok(Arg::Float(float));
            }
            let Some(integer) = number::integer(value) else {
                return Ok(Arg::Str(term::number_text(value).into()));
            };
            let words = integer.bits() / 64;
            budget.step(words * words / 8 + 1)?;
            budget.take(usize::try_from(words * 128).unwrap_or(usize::MAX))?;
            let digits = |radix| integer.magnitude().to_str_radix(radix);
            Ok(Arg::Big(Big {
                negative: integer.sign() == num_bigint::Sign::Minus,
                binary: digits(2),
                octal: digits(8),
                decimal: digits(10),
                hexadecimal: digits(16),
            }))
        }
        other => Ok(Arg::Str(term::text(budget, other)?.into())),
    }
}
