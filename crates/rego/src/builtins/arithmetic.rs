//! `+ - * / %` and rounding, exact for integers.

use std::ops::{Add, Mul, Sub};

use num_bigint::{BigInt, Sign};
use portcullis_value::{Budget, MAX_BITS, Value, View};

use super::big::BigFloat;
use super::number::{self, too_many_bits};
use super::operand::{value, wrong_type};
use super::{Context, Failure, Outcome, sets, undefined};

table![
    "abs" => abs,
    "ceil" => ceil,
    "div" => div,
    "floor" => floor,
    "minus" => minus,
    "mul" => mul,
    "plus" => plus,
    "rem" => rem,
    "round" => round,
];

fn plus(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (left, right) = operands(args)?;
    add(context.budget, left, right)
}

fn mul(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (left, right) = operands(args)?;
    multiply(context.budget, left, right)
}

/// Of numbers, and of sets.
fn minus(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (left, right) = (value(args, 1)?, value(args, 2)?);
    match (left.view(), right.view()) {
        (View::Number(_), View::Number(_)) => {
            binary(context.budget, left, right, i128::checked_sub, Sub::sub, |left, right| {
                left.add(right.negated())
            })
        }
        (View::Set(_), View::Set(_)) => sets::difference(context.budget, left, right),
        (View::Number(_), _) => Err(wrong_type(2, right, &["number"])),
        (View::Set(_), _) => Err(wrong_type(2, right, &["set"])),
        _ => Err(wrong_type(1, left, &["number", "set"])),
    }
}

/// The sum of two numbers.
pub(super) fn add(budget: &mut Budget<'_>, left: &Value, right: &Value) -> Outcome {
    binary(budget, left, right, i128::checked_add, Add::add, BigFloat::add)
}

/// The product of two numbers.
pub(super) fn multiply(budget: &mut Budget<'_>, left: &Value, right: &Value) -> Outcome {
    binary(budget, left, right, i128::checked_mul, Mul::mul, BigFloat::multiply)
}

fn binary(
    budget: &mut Budget<'_>,
    left: &Value,
    right: &Value,
    small: fn(i128, i128) -> Option<i128>,
    exact: fn(BigInt, BigInt) -> BigInt,
    float: fn(BigFloat, BigFloat) -> BigFloat,
) -> Outcome {
    if let (Some(left), Some(right)) = (number::small(left), number::small(right))
        && let Some(result) = small(left.into(), right.into())
    {
        return Ok(Value::from(result));
    }
    if let (Some(left), Some(right)) = (number::integer(left), number::integer(right)) {
        if left.bits() + right.bits() > MAX_BITS {
            return Err(too_many_bits());
        }
        budget.step((left.bits() / 64 + 1) * (right.bits() / 64 + 1) / 8 + 1)?;
        return number::from_integer(budget, exact(left, right));
    }
    let (left, right) = floats(left, right)?;
    float(left, right).value(budget)
}

fn div(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (left, right) = operands(args)?;
    if let (Some(left), Some(right)) = (number::small(left), number::small(right)) {
        let (left, right) = (i128::from(left), i128::from(right));
        if right == 0 {
            return Err(undefined("divide by zero"));
        }
        if left.checked_rem(right) == Some(0)
            && let Some(quotient) = left.checked_div(right)
        {
            return Ok(Value::from(quotient));
        }
    }
    let (left, right) = floats(left, right)?;
    if right.is_zero() {
        return Err(undefined("divide by zero"));
    }
    left.divide(right).value(context.budget)
}

fn rem(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (left, right) = operands(args)?;
    let (Some(left), Some(right)) = (number::integer(left), number::integer(right)) else {
        return Err(undefined("modulo on floating-point number"));
    };
    if right.sign() == Sign::NoSign {
        return Err(undefined("modulo by zero"));
    }
    context.budget.step((left.bits() / 64 + 1) * (right.bits() / 64 + 1) / 8 + 1)?;
    number::from_integer(context.budget, left % right)
}

fn abs(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let value = number_operand(args, 1)?;
    let View::Number(number) = value.view() else { return Ok(Value::UNDEFINED) };
    if !number.is_negative() {
        return Ok(value.clone());
    }
    context.budget.make_text(number::bytes(number))?;
    Ok(Value::from(number.abs()))
}

/// To the nearest integer, halves away from zero.
fn round(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    rounded(context.budget, number_operand(args, 1)?, |float| {
        let half = if float.is_sign_negative() { -0.5 } else { 0.5 };
        BigFloat::from_float(float).add(BigFloat::from_float(half)).truncated()
    })
}

/// OPA takes what is between -1 and 0 for 1, as its truncation has lost the sign.
fn ceil(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    rounded(context.budget, number_operand(args, 1)?, |float| {
        let whole = BigFloat::from_float(float).truncated()?;
        Ok(if whole.sign() == Sign::Minus { whole } else { whole + 1 })
    })
}

/// OPA takes what is between -1 and 0 for 0, as its truncation has lost the sign.
fn floor(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    rounded(context.budget, number_operand(args, 1)?, |float| {
        let whole = BigFloat::from_float(float).truncated()?;
        Ok(if whole.sign() == Sign::Minus { whole - 1 } else { whole })
    })
}

/// What rounding makes of a number: integers are left as they are.
fn rounded(budget: &mut Budget<'_>, value: &Value, round: fn(f64) -> Result<BigInt, Failure>) -> Outcome {
    match number::fraction(value) {
        None => Ok(value.clone()),
        Some(float) => number::from_integer(budget, round(float)?),
    }
}

fn floats(left: &Value, right: &Value) -> Result<(BigFloat, BigFloat), Failure> {
    match (BigFloat::of(left), BigFloat::of(right)) {
        (Some(left), Some(right)) => Ok((left, right)),
        (None, _) => Err(wrong_type(1, left, &["number"])),
        (_, None) => Err(wrong_type(2, right, &["number"])),
    }
}

fn operands<'v>(args: &[&'v Value]) -> Result<(&'v Value, &'v Value), Failure> {
    Ok((number_operand(args, 1)?, number_operand(args, 2)?))
}

/// The argument, which must be a number.
pub(super) fn number_operand<'v>(args: &[&'v Value], position: usize) -> Result<&'v Value, Failure> {
    let value = value(args, position)?;
    if matches!(value.view(), View::Number(_)) {
        Ok(value)
    } else {
        Err(wrong_type(position, value, &["number"]))
    }
}
