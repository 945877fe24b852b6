//! Builtins that Rego v1 has no more, and v0 still has. `re_match` is with the other regular
//! expressions, `net.cidr_overlap` with the addresses.

use std::collections::BTreeSet;

use super::{Builtin, Failure, Outcome, State, term};
use crate::value::Value;

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin { name: "all", arity: 1, call: all },
    Builtin { name: "any", arity: 1, call: any },
    Builtin { name: "cast_array", arity: 1, call: cast_array },
    Builtin { name: "cast_boolean", arity: 1, call: cast_boolean },
    Builtin { name: "cast_null", arity: 1, call: cast_null },
    Builtin { name: "cast_object", arity: 1, call: cast_object },
    Builtin { name: "cast_set", arity: 1, call: cast_set },
    Builtin { name: "cast_string", arity: 1, call: cast_string },
    Builtin { name: "set_diff", arity: 2, call: set_diff },
];

/// Only `true` counts: everything else, `null` and texts too, is not true.
fn is_true(value: &Value) -> bool {
    matches!(value, Value::Bool(true))
}

fn all(args: &[Value], _: &State) -> Outcome {
    match args {
        [Value::Array(items)] => Ok(Value::Bool(items.iter().all(is_true))),
        [Value::Set(items)] => Ok(Value::Bool(items.iter_sorted().all(is_true))),
        _ => Err(Failure::Undefined),
    }
}

fn any(args: &[Value], _: &State) -> Outcome {
    match args {
        [Value::Array(items)] => Ok(Value::Bool(items.iter().any(is_true))),
        [Value::Set(items)] => Ok(Value::Bool(items.iter_sorted().any(is_true))),
        _ => Err(Failure::Undefined),
    }
}

fn set_diff(args: &[Value], _: &State) -> Outcome {
    let [Value::Set(left), Value::Set(right)] = args else { return Err(Failure::Undefined) };
    let kept: BTreeSet<Value> = left.iter_sorted().filter(|item| !right.contains(item)).cloned().collect();
    Ok(Value::from(kept))
}

fn cast_array(args: &[Value], _: &State) -> Outcome {
    match args {
        [array @ Value::Array(_)] => Ok(array.clone()),
        [Value::Set(set)] => {
            let mut items: Vec<Value> = set.iter_sorted().cloned().collect();
            items.sort_by(term::compare);
            Ok(Value::from(items))
        }
        _ => Err(Failure::Undefined),
    }
}

fn cast_set(args: &[Value], _: &State) -> Outcome {
    match args {
        [set @ Value::Set(_)] => Ok(set.clone()),
        [Value::Array(items)] => Ok(Value::from(items.iter().cloned().collect::<BTreeSet<Value>>())),
        _ => Err(Failure::Undefined),
    }
}

fn cast_boolean(args: &[Value], _: &State) -> Outcome {
    keep(args, |value| matches!(value, Value::Bool(_)))
}

fn cast_null(args: &[Value], _: &State) -> Outcome {
    keep(args, |value| matches!(value, Value::Null))
}

fn cast_object(args: &[Value], _: &State) -> Outcome {
    keep(args, |value| matches!(value, Value::Object(_)))
}

fn cast_string(args: &[Value], _: &State) -> Outcome {
    keep(args, |value| matches!(value, Value::String(_)))
}

fn keep(args: &[Value], is_wanted: fn(&Value) -> bool) -> Outcome {
    args.first().filter(|value| is_wanted(value)).cloned().ok_or(Failure::Undefined)
}
