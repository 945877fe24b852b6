//! Blocks of addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portcullis_value::{Budget, Value, View, quote};

use super::operand::{text, value};
use super::{Context, Failure, Outcome, collect, undefined};

table![
    "net.cidr_contains" => contains,
    "net.cidr_contains_matches" => contains_matches,
    "net.cidr_expand" => expand,
    "net.cidr_intersects" => intersects,
    "net.cidr_is_valid" => is_valid,
    "net.cidr_merge" => merge,
    "net.cidr_overlap" => contains,
];

/// The set of all addresses of a block.
fn expand(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let block = Block::parse(read(context.budget, args, 1)?)?;
    let count = 1_u128.checked_shl(block.width - block.prefix).unwrap_or(u128::MAX);
    let budget = &mut *context.budget;
    let items = usize::try_from(count).unwrap_or(usize::MAX);
    budget.make_items(items)?;
    // The longest of the texts.
    budget.make_text(items.saturating_mul(if block.width == 32 { 15 } else { 39 }))?;
    let first = block.first();
    let addresses = (0..count).map(|position| Value::from(block.address(first | position)));
    Ok(Value::from(addresses.collect::<BTreeSet<Value>>()))
}

/// Whether two blocks have addresses in common.
fn intersects(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let left = Block::parse(read(context.budget, args, 1)?)?;
    let right = Block::parse(read(context.budget, args, 2)?)?;
    Ok(Value::from(left.contains(&right) || right.contains(&left)))
}

/// Whether the first block holds all of the second block or address. `net.cidr_overlap` is an old name of it.
fn contains(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (block, other) = (read(context.budget, args, 1)?, read(context.budget, args, 2)?);
    Ok(Value::from(Block::parse(block)?.contains(&Block::of_either(other)?)))
}

/// A text that is read whole.
fn read<'v>(budget: &mut Budget<'_>, args: &[&'v Value], position: usize) -> Result<&'v str, Failure> {
    let text = text(args, position)?;
    budget.step(text.len() as u64 / 64)?;
    Ok(text)
}

/// The pairs of a block and of an address or block that it holds, by their indexes, keys, or what they are.
fn contains_matches(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let blocks = indexed(context.budget, args, 1)?;
    let mut matches = BTreeSet::new();
    if blocks.is_empty() {
        // Nobody looks at the others.
        return Ok(Value::from(matches));
    }
    let others = indexed(context.budget, args, 2)?;
    if others.is_empty() {
        return Ok(Value::from(matches));
    }
    let mut parsed = Vec::new();
    for (position, (block, block_index)) in blocks.iter().enumerate() {
        let block = Block::parse(read(context.budget, &[*block], 1)?)?;
        if position == 0 {
            for (other, index) in &others {
                context.budget.make_items(1)?;
                let texts = [&Value::NULL, *other];
                parsed.push((Block::of_either(read(context.budget, &texts, 2)?)?, index));
            }
        }
        for (other, other_index) in &parsed {
            context.budget.step(1)?;
            if block.contains(other) {
                let pair = Value::from(vec![block_index.clone(), (*other_index).clone()]);
                collect::insert(context.budget, &mut matches, pair)?;
            }
        }
    }
    Ok(Value::from(matches))
}

/// The blocks of an argument, each with what stands for it.
fn indexed<'v>(
    budget: &mut Budget<'_>,
    args: &[&'v Value],
    position: usize,
) -> Result<Vec<(&'v Value, Value)>, Failure> {
    let block = |element: &'v Value| match element.view() {
        View::String(_) => Ok(element),
        View::Array(items) if !items.is_empty() => Ok(items.first().unwrap_or(element)),
        _ => Err(undefined(format!("operand {position}: element must be string or non-empty array"))),
    };
    let mut blocks = Vec::new();
    let value = value(args, position)?;
    match value.view() {
        View::String(_) => blocks.push((value, value.clone())),
        View::Array(items) => {
            budget.make_items(items.len())?;
            for (index, item) in items.iter().enumerate() {
                blocks.push((block(item)?, Value::from(index)));
            }
        }
        View::Set(items) => {
            budget.make_items(items.len())?;
            for item in items {
                blocks.push((block(item)?, item.clone()));
            }
        }
        View::Object(object) => {
            budget.make_items(object.len())?;
            for (key, item) in object.iter() {
                blocks.push((block(item)?, key.clone()));
            }
        }
        _ => {}
    }
    Ok(blocks)
}

fn is_valid(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    if !matches!(value(args, 1)?.view(), View::String(_)) {
        return Ok(Value::FALSE);
    }
    Ok(Value::from(Block::parse(read(context.budget, args, 1)?).is_ok()))
}

/// The fewest blocks for the same addresses. An address without a prefix is taken as the network of its
/// class.
fn merge(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let Some(elements) = portcullis_value::elements(context.budget, value(args, 1)?)? else {
        return Err(undefined("operand must be an array"));
    };
    let mut ranges = Vec::new();
    for element in elements {
        context.budget.make_items(4)?;
        let View::String(text) = element.view() else { return Err(undefined("element must be string")) };
        context.budget.step(text.len() as u64 / 64)?;
        let block = match text.parse() {
            Ok(address) => Block::of_class(address)?,
            Err(_) => Block::parse(text)?,
        };
        ranges.push(Range {
            first: block.mapped(block.first()),
            last: block.mapped(block.last()),
            block: Some(block),
        });
    }
    ranges.sort_by_key(|range| (range.last, range.first));
    let mut merged: Vec<Range> = Vec::new();
    for mut range in ranges.into_iter().rev() {
        // From the highest down: `merged` ends with the range that is next above.
        if let Some(above) = merged.pop_if(|above| above.first <= range.last.saturating_add(1)) {
            range = Range { first: range.first.min(above.first), last: above.last, block: None };
        }
        merged.push(range);
    }
    let mut blocks = BTreeSet::new();
    for range in merged {
        match range.block {
            Some(block) => {
                let text = format!("{}/{}", block.address(block.bits), block.prefix);
                collect::insert(context.budget, &mut blocks, Value::from(text))?;
            }
            None => range.split(context.budget, &mut blocks)?,
        }
    }
    Ok(Value::from(blocks))
}

/// Addresses from one to another, those of IPv4 as IPv6 has them.
#[derive(Debug)]
struct Range {
    first: u128,
    last: u128,
    /// The block that it was, if nothing has been merged into it.
    block: Option<Block>,
}

/// `::ffff:0:0`.
const MAPPED: u128 = 0xffff << 32;

impl Range {
    /// Into the fewest blocks.
    fn split(&self, budget: &mut Budget<'_>, blocks: &mut BTreeSet<Value>) -> Result<(), Failure> {
        let is_v4 = self.first >> 32 == MAPPED >> 32 && self.last >> 32 == MAPPED >> 32;
        let (width, mask) = if is_v4 { (32, u128::from(u32::MAX)) } else { (128, u128::MAX) };
        let mut next = Some(self.first & mask);
        let last = self.last & mask;
        while let Some(first) = next.filter(|first| *first <= last) {
            // The largest block that begins here and does not go too far.
            let mut size = first.trailing_zeros().min(width);
            while size > 0 && last - first < u128::MAX.checked_shr(128 - size).unwrap_or(0) {
                size -= 1;
            }
            let block = Block { bits: first, width, prefix: width - size };
            let text = format!("{}/{}", block.address(first), block.prefix);
            collect::insert(budget, blocks, Value::from(text))?;
            next = 1_u128.checked_shl(size).and_then(|count| first.checked_add(count));
        }
        Ok(())
    }
}

/// A block of addresses, as the bits of one of them.
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

    /// A block, or an address by itself.
    fn of_either(text: &str) -> Result<Self, Failure> {
        match text.parse() {
            Ok(address) => Ok(Self::single(address)),
            Err(_) => Self::parse(text).map_err(|_| {
                let shown: String = text.chars().take(60).collect();
                undefined(format!("not a valid textual representation of an IP address or CIDR: {shown}"))
            }),
        }
    }

    /// The network that an address belonged to when there were classes of them.
    fn of_class(address: IpAddr) -> Result<Self, Failure> {
        let block = Self::single(address);
        if block.width != 32 {
            return Err(undefined("IPv6 invalid: needs prefix length"));
        }
        let prefix = match block.bits >> 24 {
            0..=127 => 8,
            128..=191 => 16,
            192..=223 => 24,
            _ => return Err(undefined("the address is of no network")),
        };
        Ok(Self { prefix, ..block })
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let error = || {
            let shown: String = text.chars().take(60).collect();
            undefined(format!("invalid CIDR address: {}", quote(&shown).trim_matches('"')))
        };
        Self::read(text).ok_or_else(error)
    }

    fn read(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let (bits, width) = match address {
            IpAddr::V4(address) => (address.to_bits().into(), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix: u32 = prefix.parse().ok().filter(|prefix| is_number && *prefix <= width)?;
        let block = Self { bits, width, prefix };
        let bits = block.first();
        // Go has one form of address for both.
        if width == 128 && prefix >= 96 && bits >> 32 == MAPPED >> 32 {
            return Some(Self { bits: bits & u128::from(u32::MAX), width: 32, prefix: prefix - 96 });
        }
        Some(Self { bits, width, prefix })
    }

    /// The bits that are not fixed.
    fn rest(&self) -> u128 {
        u128::MAX.checked_shr(128 - (self.width - self.prefix)).unwrap_or(0)
    }

    fn first(&self) -> u128 {
        self.bits & !self.rest()
    }

    fn last(&self) -> u128 {
        self.bits | self.rest()
    }

    fn mapped(&self, bits: u128) -> u128 {
        if self.width == 32 { bits | MAPPED } else { bits }
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
