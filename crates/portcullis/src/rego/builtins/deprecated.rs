//! Builtins that Rego v1 has no more, and v0 still has. `re_match` is with the other regular expressions.

use std::collections::BTreeSet;
use std::net::IpAddr;

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
    Builtin { name: "net.cidr_overlap", arity: 2, call: cidr_overlap },
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

/// Whether the first block holds all of the second block or address; OPA has it as another name of
/// `net.cidr_contains`.
fn cidr_overlap(args: &[Value], _: &State) -> Outcome {
    let [Value::String(block), Value::String(other)] = args else { return Err(Failure::Undefined) };
    let block = Block::parse(block).ok_or(Failure::Undefined)?;
    let other = match other.parse() {
        Ok(address) => Block::single(address),
        Err(_) => Block::parse(other).ok_or(Failure::Undefined)?,
    };
    Ok(Value::Bool(block.contains(&other)))
}

/// A block of addresses, as the bits of its first one.
#[derive(Debug)]
struct Block {
    bits: u128,
    /// How many bits an address has.
    width: u32,
    /// How many of them are fixed.
    prefix: u32,
}

impl Block {
    fn single(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self { bits: address.to_bits().into(), width: 32, prefix: 32 },
            IpAddr::V6(address) => Self { bits: address.to_bits(), width: 128, prefix: 128 },
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let (bits, width) = match address {
            IpAddr::V4(address) => (address.to_bits().into(), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix: u32 = prefix.parse().ok().filter(|prefix| is_number && *prefix <= width)?;
        Some(Self { bits, width, prefix })
    }

    fn contains(&self, other: &Self) -> bool {
        let fixed = |bits: u128| bits.checked_shr(self.width - self.prefix).unwrap_or(0);
        self.width == other.width && other.prefix >= self.prefix && fixed(self.bits) == fixed(other.bits)
    }
}
