//! Arguments by their types, and what OPA says when they have another.

use portcullis_value::{Budget, Value, View};

use super::{Failure, undefined};

/// The argument at a position, counted from 1. There are as many as the arity says.
pub(super) fn value<'v>(args: &[&'v Value], position: usize) -> Result<&'v Value, Failure> {
    let index = position.saturating_sub(1);
    args.get(index).copied().ok_or_else(|| undefined(format!("operand {position} is missing")))
}

/// `operand 1 must be string but got number`.
pub(super) fn wrong_type<'v>(position: usize, got: impl Into<View<'v>>, wanted: &[&str]) -> Failure {
    let got = got.into().ty().name();
    undefined(match wanted {
        [wanted] => format!("operand {position} must be {wanted} but got {got}"),
        _ => format!("operand {position} must be one of {{{}}} but got {got}", wanted.join(", ")),
    })
}

/// `operand 1 must be array of strings but got array containing number`.
pub(super) fn wrong_element(position: usize, whole: &Value, got: &Value, wanted: &str) -> Failure {
    let (whole, got) = (whole.ty().name(), got.ty().name());
    undefined(format!("operand {position} must be {whole} of {wanted}s but got {whole} containing {got}"))
}

pub(super) fn text<'v>(args: &[&'v Value], position: usize) -> Result<&'v str, Failure> {
    match value(args, position)?.view() {
        View::String(text) => Ok(text),
        other => Err(wrong_type(position, other, &["string"])),
    }
}

pub(super) fn array<'v>(args: &[&'v Value], position: usize) -> Result<&'v [Value], Failure> {
    match value(args, position)?.view() {
        View::Array(array) => Ok(array),
        other => Err(wrong_type(position, other, &["array"])),
    }
}

/// The elements of an array or a set, the latter in OPA's order.
pub(super) fn elements<'v>(
    budget: &mut Budget<'_>,
    args: &[&'v Value],
    position: usize,
) -> Result<&'v [Value], Failure> {
    let value = value(args, position)?;
    match portcullis_value::elements(budget, value)? {
        Some(elements) => Ok(elements),
        None => Err(wrong_type(position, value, &["set", "array"])),
    }
}

/// An integer of 64 bits; OPA calls everything else a float.
pub(super) fn integer(args: &[&Value], position: usize) -> Result<i64, Failure> {
    let value = value(args, position)?;
    if !matches!(value.view(), View::Number(_)) {
        return Err(wrong_type(position, value, &["number"]));
    }
    super::number::small(value).ok_or_else(|| not_an_integer(position))
}

pub(super) fn not_an_integer(position: usize) -> Failure {
    undefined(format!("operand {position} must be integer number but got floating-point number"))
}
