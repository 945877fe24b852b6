//! What evaluating costs, in the units of the API server.

use portcullis_value::{Budget, Exceeded};

use crate::error::Fault;
use crate::functions::Function;
use crate::value::{CelValue, Held, List};

/// The most that one evaluation may cost in the API server.
pub const PER_CALL_LIMIT: u64 = 1_000_000;

/// What selecting or reading a variable costs.
pub(crate) const SELECT: u64 = 1;
pub(crate) const MAKE_LIST: u64 = 10;
pub(crate) const MAKE_MAP: u64 = 30;
pub(crate) const MAKE_MESSAGE: u64 = 40;

/// How the cost of a call is reckoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    One,
    /// One for each element of the second argument.
    Elements,
    /// A tenth of the size of the first argument, so many times.
    Text(u64),
    /// Two tenths of the size of the result.
    Result,
    /// A tenth of the sizes of both arguments.
    Both,
    /// A tenth of the lesser of both sizes.
    Least,
    /// As [`Rule::Least`], but one for Kubernetes' own types.
    Equality,
    /// A text against a pattern.
    Pattern,
    /// A text in a text.
    Part,
    /// All that a value is made of.
    Traversal,
    /// An address or a network in a network: whether it is a text, and whether it is a network.
    Network {
        text: bool,
        network: bool,
    },
    Validate,
    /// One for each element that is made.
    Made,
    Flatten,
    /// Each element of an argument with each other.
    EachOther(usize),
    /// Each element of one with each of the other, so many times.
    Sets(u64),
    Check,
    Selector,
}

/// The rule for a call: by the overload, where it is known which one it is.
#[expect(clippy::match_same_arms, reason = "in the order in which the API server looks")]
pub(crate) fn rule(function: Function, overload: Option<&str>) -> Rule {
    use Function as F;
    let is = |id: &str| overload == Some(id);
    match function {
        F::Slice | F::Range | F::Reverse if overload.is_some() => Rule::Made,
        F::Flatten if overload.is_some() => Rule::Flatten,
        F::Distinct | F::Sort if overload.is_some() => Rule::EachOther(0),
        F::SortByKeys if overload.is_some() => Rule::EachOther(1),
        F::SetsContains | F::SetsIntersects if overload.is_some() => Rule::Sets(1),
        F::SetsEquivalent if overload.is_some() => Rule::Sets(2),
        F::Check => Rule::Check,
        F::FieldSelector | F::LabelSelector => Rule::Selector,
        F::IsSorted | F::Sum | F::Max | F::Min | F::IndexOf | F::LastIndexOf => Rule::Traversal,
        F::Url
        | F::LowerAscii
        | F::UpperAscii
        | F::Substring
        | F::Trim
        | F::EscapeKey
        | F::Cidr
        | F::IsIp
        | F::IsCidr
        | F::Quantity
        | F::IsQuantity
        | F::Semver
        | F::IsSemver => Rule::Text(1),
        F::Ip if is("cidr_ip") => Rule::One,
        F::Ip => Rule::Text(1),
        F::Replace | F::Split | F::IsCanonical => Rule::Text(2),
        F::Join => Rule::Result,
        F::Find | F::FindAll => Rule::Pattern,
        F::ContainsIp => Rule::Network { text: is("cidr_contains_ip_string"), network: false },
        F::ContainsCidr => Rule::Network { text: is("cidr_contains_cidr_string"), network: true },
        F::Validate => Rule::Validate,
        F::Equals => Rule::Equality,
        F::NotEquals => Rule::Least,
        F::StartsWith | F::EndsWith | F::Quote | F::Format if overload.is_some() => Rule::Text(1),
        F::Bytes | F::String if is("string_to_bytes") || is("bytes_to_string") => Rule::Text(1),
        F::In if is("in_list") => Rule::Elements,
        F::Less | F::LessEquals | F::Greater | F::GreaterEquals
            if overload.is_some_and(|id| id.ends_with("_string") || id.ends_with("_bytes")) =>
        {
            Rule::Least
        }
        F::Add if is("add_string") || is("add_bytes") => Rule::Both,
        F::Matches if is("matches_string") => Rule::Pattern,
        F::Contains if overload.is_some() => Rule::Part,
        _ => Rule::One,
    }
}

/// So many tenths, rounded up.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "as the API server reckons"
)]
fn tenths(size: u64, times: u64) -> u64 {
    (size as f64 * times as f64 * 0.1).ceil() as u64
}

/// The cost of a pattern by its length.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "as the API server reckons"
)]
fn pattern(text: u64, length: u64) -> u64 {
    ((1.0 + text as f64) * 0.1).ceil() as u64 * (length as f64 * 0.25).ceil() as u64
}

/// Which arguments of a call are errors, by their places. A function has few.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing(u32);

impl Missing {
    pub(crate) fn of(missing: impl Iterator<Item = bool>) -> Self {
        let mut all = Self::default();
        missing.enumerate().filter(|(_, is_missing)| *is_missing).for_each(|(place, _)| all.add(place));
        all
    }

    pub(crate) fn add(&mut self, place: usize) {
        self.0 |= 1 << place.min(31);
    }

    const fn has(self, place: usize) -> bool {
        self.0 != 0 && place < 32 && self.0 & (1 << place) != 0
    }
}

/// What a call is given.
#[derive(Clone, Copy)]
struct Given<'a, 'h> {
    args: &'a [Held<'h>],
    missing: Missing,
}

impl<'h> Given<'_, 'h> {
    fn get(self, place: usize) -> Option<Held<'h>> {
        self.args.get(place).copied().filter(|_| !self.missing.has(place))
    }

    /// The size of an argument; an error counts as one.
    fn size(self, place: usize) -> u64 {
        self.get(place).map_or(1, Held::cost_size)
    }
}

/// The cost of a call, of which each argument is a value or an error.
pub(crate) fn of(
    budget: &mut Budget<'_>,
    rule: Rule,
    args: &[Held<'_>],
    missing: Missing,
    result: Option<Held<'_>>,
) -> Result<u64, Fault> {
    if rule == Rule::One {
        return Ok(1);
    }
    let given = Given { args, missing };
    for text in (0..args.len()).filter_map(|place| given.get(place)).chain(result).filter_map(Held::as_str) {
        // Its characters are counted.
        budget.step(text.len() as u64 / 4096)?;
    }
    let size = |place: usize| given.size(place);
    let plain = |place: usize| given.get(place).map_or(1, Held::plain_size);
    let made = result.map_or(1, Held::plain_size);
    let list = |place: usize| match given.get(place).map(Held::to_value) {
        Some(CelValue::List(list)) => Ok(list),
        other => {
            let given = other.as_ref().map_or("*types.Err", CelValue::go_type);
            let missing = match other {
                Some(
                    CelValue::Int(_)
                    | CelValue::Uint(_)
                    | CelValue::Double(_)
                    | CelValue::String(_)
                    | CelValue::Bytes(_)
                    | CelValue::Timestamp(_)
                    | CelValue::Duration(_),
                ) => "Contains",
                _ => "Add",
            };
            let message =
                format!("interface conversion: {given} is not traits.Lister: missing method {missing}");
            Err(Fault::internal(message))
        }
    };
    Ok(match rule {
        Rule::One => 1,
        Rule::Elements => size(1),
        Rule::Text(times) => tenths(plain(0), times),
        Rule::Result => tenths(made, 2),
        Rule::Both => tenths(size(0) + size(1), 1),
        Rule::Equality if is_kubernetes(given) => 1,
        Rule::Least | Rule::Equality => tenths(size(0).min(size(1)), 1),
        Rule::Pattern => pattern(size(0), size(1)),
        Rule::Part => tenths(size(0), 1).saturating_mul(tenths(size(1), 1)),
        Rule::Traversal => match given.get(0) {
            Some(value) => traversal(budget, &value.to_value())?,
            None => 1,
        },
        Rule::Network { text, network } => {
            let bytes = plain(0);
            let mut cost = tenths(bytes + bytes, 1);
            if network {
                cost += tenths(bytes, 1) + 1;
            }
            if text {
                cost += tenths(plain(1), 1);
            }
            cost
        }
        Rule::Validate => match given.get(0) {
            Some(Held::Made(CelValue::Format(format))) => pattern(plain(1), format.pattern_size()),
            _ => 1,
        },
        Rule::Made => made.saturating_add(1 + MAKE_LIST),
        Rule::Flatten => {
            let depth = match args.get(1).copied() {
                None => 1,
                Some(Held::Int(depth)) => depth,
                Some(_) => {
                    let message = "interface conversion: ref.Val is *types.Err, not types.Int";
                    return Err(Fault::internal(message));
                }
            };
            let elements = plain(0).cast_signed().saturating_mul(depth).cast_unsigned();
            elements.wrapping_add(1 + MAKE_LIST)
        }
        Rule::EachOther(place) => each_other(&list(place)?),
        Rule::Sets(times) => plain(0).saturating_mul(plain(1)).saturating_mul(times).saturating_add(1),
        Rule::Check => 350_000,
        Rule::Selector => {
            let requirements = plain(1).div_ceil(2);
            MAKE_LIST + tenths(plain(1), 1) + requirements * (MAKE_LIST + MAKE_MESSAGE)
        }
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "as the API server reckons"
)]
fn each_other(list: &List) -> u64 {
    let size = list.len() as u64;
    let is_text = matches!(list.get(0), Some(CelValue::String(_) | CelValue::Bytes(_)));
    let factor = if is_text { 2.1 } else { 2.0 };
    ((size.saturating_mul(size)) as f64 * factor) as u64 + 1 + MAKE_LIST
}

fn is_kubernetes(given: Given<'_, '_>) -> bool {
    let Some(Held::Made(first)) = given.get(0) else { return false };
    matches!(
        first,
        CelValue::Quantity(_)
            | CelValue::Ip(_)
            | CelValue::Cidr(_)
            | CelValue::Format(_)
            | CelValue::Url(_)
            | CelValue::Semver(_)
    )
}

/// What going over all of a value costs. What is in it twice is gone over twice, which a few lists in each other
/// make a very long way.
fn traversal(budget: &mut Budget<'_>, value: &CelValue) -> Result<u64, Exceeded> {
    budget.step(1)?;
    Ok(match value {
        CelValue::String(text) => text.as_str().len() as u64 / 10,
        CelValue::Bytes(bytes) => bytes.len() as u64 / 10,
        CelValue::List(list) => {
            let mut cost: u64 = 0;
            for item in list.iter() {
                cost = cost.saturating_add(traversal(budget, &item)?);
            }
            cost
        }
        CelValue::Map(map) => {
            budget.step(map.len() as u64)?;
            let mut cost: u64 = 0;
            for (key, value) in map.entries() {
                cost = cost.saturating_add(traversal(budget, &key)?);
                cost = cost.saturating_add(traversal(budget, &value)?);
            }
            cost
        }
        _ => 1,
    })
}

/// Which parts have been evaluated and not yet used: by it the API server decides whether a call is charged. Of
/// parts that nothing asks about there is nothing in it.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    /// A part, and where below it the same part is.
    parts: Vec<(u32, u32)>,
    /// By part, where in `parts` the last one of it is.
    last: Vec<u32>,
}

/// No place.
const NOWHERE: u32 = u32::MAX;

impl Stack {
    /// An empty one for parts up to a number.
    pub(crate) fn clear(&mut self, parts: usize) {
        self.parts.clear();
        self.last.clear();
        self.last.resize(parts, NOWHERE);
    }

    /// How many parts it has room for.
    pub(crate) fn capacity(&self) -> usize {
        self.parts.capacity().max(self.last.capacity())
    }

    #[inline]
    pub(crate) fn push(&mut self, part: u32) {
        let Some(last) = self.last.get_mut(part as usize) else { return };
        let place = u32::try_from(self.parts.len()).unwrap_or(NOWHERE);
        self.parts.push((part, std::mem::replace(last, place)));
    }

    /// How much is on it, to go [back to](Self::back_to).
    #[inline]
    pub(crate) fn mark(&self) -> usize {
        self.parts.len()
    }

    /// Takes away what came after a mark.
    #[inline]
    pub(crate) fn back_to(&mut self, mark: usize) {
        while self.parts.len() > mark {
            let Some((part, below)) = self.parts.pop() else { break };
            if let Some(last) = self.last.get_mut(part as usize) {
                *last = below;
            }
        }
    }

    /// Takes the last of a part away, with all that came after it. Whether there was one.
    #[inline]
    pub(crate) fn drop(&mut self, part: u32) -> bool {
        let place = self.last.get(part as usize).copied().unwrap_or(NOWHERE);
        if place == NOWHERE {
            return false;
        }
        self.back_to(place as usize);
        true
    }

    /// Takes parts away, the last one first, until one is not there. Whether all were.
    pub(crate) fn drop_all(&mut self, parts: impl DoubleEndedIterator<Item = u32>) -> bool {
        for part in parts.rev() {
            if !self.drop(part) {
                return false;
            }
        }
        true
    }
}
