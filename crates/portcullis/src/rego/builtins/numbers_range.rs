//! `numbers.range` and `numbers.range_step`, of bounded length: a policy must not be able to end the process.

use super::{Builtin, Failure, MOST_ELEMENTS, Outcome, State};
use crate::value::Value;

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin { name: "numbers.range", arity: 2, call: range },
    Builtin { name: "numbers.range_step", arity: 3, call: range_step },
];

fn range(args: &[Value], _: &State) -> Outcome {
    let [from, to] = args else { return Err(Failure::Undefined) };
    numbers("numbers.range", integer(from)?, integer(to)?, 1)
}

fn range_step(args: &[Value], _: &State) -> Outcome {
    let [from, to, step] = args else { return Err(Failure::Undefined) };
    let step = integer(step)?.filter(|step| *step > 0).ok_or(Failure::Undefined)?;
    numbers("numbers.range_step", integer(from)?, integer(to)?, step.unsigned_abs())
}

/// An integer; none if it has more than 128 bits.
fn integer(value: &Value) -> Result<Option<i128>, Failure> {
    match value {
        Value::Number(number) if number.is_integer() => Ok(number.as_i128()),
        _ => Err(Failure::Undefined),
    }
}

/// Both ends are part of it, if a step reaches the last one; downwards, if that is where the last one is.
fn numbers(name: &str, from: Option<i128>, to: Option<i128>, step: u128) -> Outcome {
    let (Some(from), Some(to)) = (from, to) else {
        return Err(Failure::Limit(format!("`{name}` takes numbers of at most 128 bits")));
    };
    let count = from.abs_diff(to) / step;
    if count >= MOST_ELEMENTS {
        return Err(Failure::Limit(format!("`{name}` makes a list of more than {MOST_ELEMENTS} elements")));
    }
    let element = |position: u128| {
        let distance = position * step;
        if from <= to { from.wrapping_add_unsigned(distance) } else { from.wrapping_sub_unsigned(distance) }
    };
    Ok(Value::from((0..=count).map(|position| Value::from(element(position))).collect::<Vec<_>>()))
}
