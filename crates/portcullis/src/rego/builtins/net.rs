//! Blocks of addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Builtin, Failure, MOST_ELEMENTS, Outcome, State};
use crate::value::Value;

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin { name: "net.cidr_expand", arity: 1, call: cidr_expand },
    Builtin { name: "net.cidr_intersects", arity: 2, call: cidr_intersects },
    Builtin { name: "net.cidr_overlap", arity: 2, call: cidr_overlap },
];

/// The set of all addresses of a block.
fn cidr_expand(args: &[Value], _: &State) -> Outcome {
    let [Value::String(block)] = args else { return Err(Failure::Undefined) };
    let block = Block::parse(block).ok_or(Failure::Undefined)?;
    let count = 1_u128.checked_shl(block.width - block.prefix).filter(|count| *count <= MOST_ELEMENTS);
    let Some(count) = count else {
        return Err(Failure::Limit(format!("`net.cidr_expand` makes more than {MOST_ELEMENTS} elements")));
    };
    let first = block.bits & !(count - 1);
    let addresses = (0..count).map(|position| Value::from(block.address(first | position)));
    Ok(Value::from(addresses.collect::<BTreeSet<Value>>()))
}

/// Whether two blocks have addresses in common.
fn cidr_intersects(args: &[Value], _: &State) -> Outcome {
    let [Value::String(left), Value::String(right)] = args else { return Err(Failure::Undefined) };
    let left = Block::parse(left).ok_or(Failure::Undefined)?;
    let right = Block::parse(right).ok_or(Failure::Undefined)?;
    Ok(Value::Bool(left.contains(&right) || right.contains(&left)))
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

    fn address(&self, bits: u128) -> String {
        match u32::try_from(bits) {
            Ok(bits) if self.width == 32 => Ipv4Addr::from_bits(bits).to_string(),
            _ => Ipv6Addr::from_bits(bits).to_string(),
        }
    }

    fn contains(&self, other: &Self) -> bool {
        let fixed = |bits: u128| bits.checked_shr(self.width - self.prefix).unwrap_or(0);
        self.width == other.width && other.prefix >= self.prefix && fixed(self.bits) == fixed(other.bits)
    }
}
