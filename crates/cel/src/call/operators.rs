//! Signs, and what is like one.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Args, Context, Outcome};
use crate::error::Fault;
use crate::functions::{Declaration, Function};
use crate::value::{AsKey, CelValue, Equality, Key, List, Map, Text, compare, equals};

const OVERFLOW: &str = "integer overflow";
const UINT_OVERFLOW: &str = "unsigned integer overflow";

/// The error for a first argument of a type that has no such operation.
fn refused(declaration: &Declaration, value: &CelValue) -> Fault {
    match value {
        CelValue::String(_) | CelValue::Timestamp(_) | CelValue::Duration(_) => Fault::no_overload(),
        _ => Fault::error(format!("no such overload: {}", declaration.name)),
    }
}

pub(super) fn run(context: &mut Context<'_, '_, '_>, declaration: &Declaration, args: Args) -> Outcome {
    use CelValue as V;
    let function = declaration.function;
    let mut args = args.into_iter();
    let Some(first) = args.next() else { return Err(Fault::no_overload()) };
    let Some(second) = args.next() else {
        return match (function, first) {
            (Function::Not, V::Bool(value)) => Ok(V::Bool(!value)),
            (Function::Not, _) | (Function::Negate, V::Bool(_)) => Err(Fault::no_overload()),
            (Function::NotStrictlyFalse, V::Bool(value)) => Ok(V::Bool(value)),
            (Function::NotStrictlyFalse, _) => Ok(V::Bool(true)),
            (Function::Negate, V::Int(value)) => Ok(V::Int(value.checked_neg().ok_or(OVERFLOW)?)),
            (Function::Negate, V::Duration(span)) => Ok(V::Duration(span.checked_neg().ok_or(OVERFLOW)?)),
            (Function::Negate, V::Double(value)) => Ok(V::Double(-value)),
            (Function::Size, value @ (V::String(_) | V::Bytes(_) | V::List(_) | V::Map(_))) => {
                if let V::String(text) = &value {
                    context.budget.read_text(text.as_str().len())?;
                }
                Ok(V::Int(i64::try_from(value.cost_size()).unwrap_or(i64::MAX)))
            }
            (_, value) => Err(refused(declaration, &value)),
        };
    };
    match function {
        Function::In => contains(context, &second, &first),
        Function::Less | Function::LessEquals | Function::Greater | Function::GreaterEquals => {
            if !is_comparable(&first) {
                return Err(refused(declaration, &first));
            }
            if let (V::String(a), V::String(b)) = (&first, &second) {
                context.budget.read_text(a.as_str().len().min(b.as_str().len()))?;
            }
            let order = compare(&first, &second)?;
            Ok(V::Bool(match function {
                Function::Less => order.is_lt(),
                Function::LessEquals => order.is_le(),
                Function::Greater => order == Ordering::Greater,
                _ => order.is_ge(),
            }))
        }
        _ => arithmetic(context, declaration, first, second),
    }
}

pub(super) const fn is_comparable(value: &CelValue) -> bool {
    matches!(
        value,
        CelValue::Bool(_)
            | CelValue::Int(_)
            | CelValue::Uint(_)
            | CelValue::Double(_)
            | CelValue::String(_)
            | CelValue::Bytes(_)
            | CelValue::Timestamp(_)
            | CelValue::Duration(_)
    )
}

/// Whether a list has an element, or a map a key.
pub(super) fn contains(context: &mut Context<'_, '_, '_>, whole: &CelValue, part: &CelValue) -> Outcome {
    match whole {
        CelValue::List(list) => Ok(CelValue::Bool(has(context, list, part)?)),
        CelValue::Map(map) => {
            context.budget.step(1)?;
            if matches!((map, Key::of(part)), (Map::Made(entries), AsKey::None) if !entries.0.is_empty()) {
                return Err(unhashable(part));
            }
            Ok(CelValue::Bool(map.get(part).is_some()))
        }
        _ => Err(Fault::no_overload()),
    }
}

/// What the API server ends with where a key can be none.
pub(crate) fn unhashable(key: &CelValue) -> Fault {
    Fault::internal(format!("runtime error: hash of unhashable type {}", key.go_type()))
}

/// Whether a list has an element that is equal.
pub(super) fn has(context: &mut Context<'_, '_, '_>, list: &List, part: &CelValue) -> Result<bool, Fault> {
    for item in list.iter() {
        if equals(context.budget, part, &item)? == Equality::Same {
            return Ok(true);
        }
    }
    Ok(false)
}

fn arithmetic(
    context: &mut Context<'_, '_, '_>,
    declaration: &Declaration,
    a: CelValue,
    b: CelValue,
) -> Outcome {
    use CelValue as V;
    let function = declaration.function;
    match a {
        V::Int(a) => {
            let V::Int(b) = b else { return Err(Fault::no_overload()) };
            let made = match function {
                Function::Add => a.checked_add(b),
                Function::Subtract => a.checked_sub(b),
                Function::Multiply => a.checked_mul(b),
                Function::Divide if b == 0 => return Err(Fault::error("division by zero")),
                Function::Divide => a.checked_div(b),
                Function::Modulo if b == 0 => return Err(Fault::error("modulus by zero")),
                _ => a.checked_rem(b),
            };
            Ok(V::Int(made.ok_or(OVERFLOW)?))
        }
        V::Uint(a) => {
            let V::Uint(b) = b else { return Err(Fault::no_overload()) };
            let made = match function {
                Function::Add => a.checked_add(b),
                Function::Subtract => a.checked_sub(b),
                Function::Multiply => a.checked_mul(b),
                Function::Divide if b == 0 => return Err(Fault::error("division by zero")),
                Function::Divide => a.checked_div(b),
                Function::Modulo if b == 0 => return Err(Fault::error("modulus by zero")),
                _ => a.checked_rem(b),
            };
            Ok(V::Uint(made.ok_or(UINT_OVERFLOW)?))
        }
        V::Double(a) if function != Function::Modulo => {
            let V::Double(b) = b else { return Err(Fault::no_overload()) };
            Ok(V::Double(match function {
                Function::Add => a + b,
                Function::Subtract => a - b,
                Function::Multiply => a * b,
                _ => a / b,
            }))
        }
        a if function == Function::Add => add(context, declaration, a, b),
        V::Duration(a) if function == Function::Subtract => match b {
            V::Duration(b) => Ok(V::Duration(a.checked_sub(b).ok_or(OVERFLOW)?)),
            _ => Err(Fault::no_overload()),
        },
        V::Timestamp(a) if function == Function::Subtract => match b {
            V::Duration(span) => Ok(V::Timestamp(a.minus(span)?)),
            V::Timestamp(b) => Ok(V::Duration(a.since(b)?)),
            _ => Err(Fault::no_overload()),
        },
        other => Err(refused(declaration, &other)),
    }
}

fn add(context: &mut Context<'_, '_, '_>, declaration: &Declaration, a: CelValue, b: CelValue) -> Outcome {
    use CelValue as V;
    match (a, b) {
        (V::String(a), V::String(b)) => {
            context.budget.make_text(a.as_str().len() + b.as_str().len())?;
            Ok(V::String(Text::from([a.as_str(), b.as_str()].concat())))
        }
        (V::Bytes(a), V::Bytes(b)) => {
            context.budget.make_text(a.len() + b.len())?;
            Ok(V::Bytes([&*a, &*b].concat().into()))
        }
        (V::List(List::Associative(a)), V::List(b)) => {
            Ok(V::List(List::Associative(Arc::new(a.plus(context.budget, &b)?))))
        }
        (V::List(a), V::List(b)) => {
            if a.is_empty() && !matches!(a, List::Made(_)) {
                return Ok(V::List(b));
            }
            Ok(V::List(joined(context, a, &b)?))
        }
        (V::Duration(a), V::Duration(b)) => Ok(V::Duration(a.checked_add(b).ok_or(OVERFLOW)?)),
        (V::Duration(span), V::Timestamp(moment)) | (V::Timestamp(moment), V::Duration(span)) => {
            Ok(V::Timestamp(moment.plus(span)?))
        }
        (a @ (V::String(_) | V::Bytes(_) | V::List(_) | V::Duration(_) | V::Timestamp(_)), _) => {
            let _ = a;
            Err(Fault::no_overload())
        }
        (other, _) => Err(refused(declaration, &other)),
    }
}

/// Two lists as one. The first is changed where nobody else has it, so that collecting elements one by one takes
/// no more than there are.
fn joined(context: &mut Context<'_, '_, '_>, a: List, b: &List) -> Result<List, Fault> {
    let mut items = match a {
        List::Made(items) if Arc::strong_count(&items) == 1 => items,
        other => {
            context.budget.make_items(other.len())?;
            Arc::new(other.iter().collect())
        }
    };
    context.budget.make_items(b.len())?;
    Arc::make_mut(&mut items).extend(b.iter());
    Ok(List::Made(items))
}

/// A map with an entry more, changed in its place where nobody else has it.
pub(super) fn inserted(
    context: &mut Context<'_, '_, '_>,
    map: Map,
    key: CelValue,
    value: CelValue,
) -> Result<Map, Fault> {
    context.budget.make_items(2)?;
    // The larger a map, the longer it takes to find the place.
    context.budget.step(u64::from(map.len().checked_ilog2().unwrap_or(0) / 4))?;
    if map.get(&key).is_some() {
        return Err(Fault::error(format!("insert failed: key {key} already exists")));
    }
    let mut entries = match map {
        Map::Made(entries) if Arc::strong_count(&entries) == 1 => entries,
        other => {
            context.budget.make_items(other.len())?;
            let mut entries = crate::value::Entries::default();
            for (key, value) in other.entries() {
                entries.insert(key, value);
            }
            Arc::new(entries)
        }
    };
    if Arc::make_mut(&mut entries).insert(key.clone(), value).is_none() {
        return Err(unhashable(&key));
    }
    Ok(Map::Made(entries))
}
