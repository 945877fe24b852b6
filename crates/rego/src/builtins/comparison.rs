//! Comparisons by their names.

use std::cmp::Ordering;

use portcullis_value::Value;

use super::operand::value;
use super::{Context, Failure, Outcome, aggregates};

table![
    "equal" => equal,
    "gt" => gt,
    "gte" => gte,
    "lt" => lt,
    "lte" => lte,
    "neq" => neq,
];

fn equal(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(Value::from(aggregates::is_equal(context.budget, value(args, 1)?, value(args, 2)?)?))
}

fn neq(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(Value::from(!aggregates::is_equal(context.budget, value(args, 1)?, value(args, 2)?)?))
}

fn gt(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(Value::from(order(context, args)?.is_gt()))
}

fn gte(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(Value::from(order(context, args)?.is_ge()))
}

fn lt(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(Value::from(order(context, args)?.is_lt()))
}

fn lte(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(Value::from(order(context, args)?.is_le()))
}

fn order(context: &mut Context<'_, '_>, args: &[&Value]) -> Result<Ordering, Failure> {
    let (left, right) = (value(args, 1)?, value(args, 2)?);
    portcullis_value::weigh(context.budget, left)?;
    portcullis_value::weigh(context.budget, right)?;
    Ok(left.cmp(right))
}
