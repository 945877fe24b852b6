//! `sprintf`: OPA's conversion of the arguments to Go's types, then Go's formatting.

use portcullis_value::{Budget, Value, View};

use super::go_fmt::{self, Arg, Big};
use super::operand::{array, text};
use super::{Context, Failure, Outcome};

table!["sprintf" => sprintf];

fn sprintf(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (format, values) = (text(args, 1)?, array(args, 2)?);
    context.budget.read_text(format.len())?;
    let mut converted = Vec::with_capacity(values.len().min(8));
    for value in values {
        context.budget.make_items(1)?;
        converted.push(arg(context.budget, value)?);
    }
    context.write(|out| go_fmt::sprintf(out, format, &converted))
}

fn arg<'v>(budget: &mut Budget<'_>, value: &'v Value) -> Result<Arg<'v>, Failure> {
    match value.view() {
        View::String(text) => {
            budget.make_text(text.len())?;
            Ok(Arg::Str(text.into()))
        }
        View::Number(number) => {
            if let Some(int) = number.as_i64() {
                return Ok(Arg::Int(int));
            }
            if let Some(float) = number.fraction() {
                return Ok(Arg::Float(float));
            }
            let Some(integer) = number.to_integer() else {
                return Ok(Arg::Str(number.text().into()));
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
        _ => Ok(Arg::Str(portcullis_value::text(budget, value)?.into())),
    }
}
