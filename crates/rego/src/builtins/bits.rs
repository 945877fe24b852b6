//! Bits of integers, which are as long as they have to be, and in two's complement.

use num_bigint::{BigInt, Sign};
use portcullis_value::{MAX_BITS, Value, View};

use super::number::{self, too_many_bits};
use super::operand::{not_an_integer, value, wrong_type};
use super::{Context, Failure, Outcome, undefined};

table![
    "bits.and" => and,
    "bits.lsh" => lsh,
    "bits.negate" => negate,
    "bits.or" => or,
    "bits.rsh" => rsh,
    "bits.xor" => xor,
];

fn and(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let result = operand(context, 1, args)? & operand(context, 2, args)?;
    number::from_integer(context.budget, result)
}

fn or(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let result = operand(context, 1, args)? | operand(context, 2, args)?;
    number::from_integer(context.budget, result)
}

fn xor(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let result = operand(context, 1, args)? ^ operand(context, 2, args)?;
    number::from_integer(context.budget, result)
}

fn negate(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let result = !operand(context, 1, args)?;
    number::from_integer(context.budget, result)
}

fn lsh(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (integer, shift) = (operand(context, 1, args)?, shift(args)?);
    if integer.sign() == Sign::NoSign {
        return Ok(Value::from(0));
    }
    let shift = shift.filter(|shift| *shift <= MAX_BITS).ok_or_else(too_many_bits)?;
    number::from_integer(context.budget, integer << shift)
}

fn rsh(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (integer, shift) = (operand(context, 1, args)?, shift(args)?);
    // Nothing is left of any integer.
    let shift = shift.unwrap_or(u64::MAX).min(MAX_BITS * 8);
    number::from_integer(context.budget, integer >> shift)
}

/// The second argument; none if it has more than 64 bits.
fn shift(args: &[&Value]) -> Result<Option<u64>, Failure> {
    let shift = integer(args, 2)?;
    if shift.sign() == Sign::Minus {
        return Err(undefined("operand 2 must be an unsigned integer number but got a negative integer"));
    }
    Ok(u64::try_from(shift).ok())
}

/// An integer, which is read whole.
fn operand(context: &mut Context<'_, '_>, position: usize, args: &[&Value]) -> Result<BigInt, Failure> {
    context.budget.step(value(args, position)?.as_number().map_or(0, number::bytes) as u64 / 64)?;
    integer(args, position)
}

pub(super) fn integer(args: &[&Value], position: usize) -> Result<BigInt, Failure> {
    let value = value(args, position)?;
    if !matches!(value.view(), View::Number(_)) {
        return Err(wrong_type(position, value, &["integer"]));
    }
    number::integer(value).ok_or_else(|| not_an_integer(position))
}
