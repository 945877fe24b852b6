//! Lists and sets.

use std::cmp::Ordering;

use super::operators::{has, inserted, is_comparable};
use super::{Args, Context, Outcome};
use crate::error::Fault;
use crate::functions::{Declaration, Function};
use crate::types::Type;
use crate::value::{CelValue, Equality, List, compare, equals};

pub(super) fn run(
    context: &mut Context<'_, '_, '_>,
    declaration: &Declaration,
    overload: usize,
    args: Args,
) -> Outcome {
    use CelValue as V;
    use Function as F;
    let function = declaration.function;
    if function == F::MapInsert {
        return insert(context, args);
    }
    if function == F::Range {
        let [V::Int(count)] = args.as_slice() else { return Err(Fault::no_overload()) };
        let count = (*count).max(0);
        context.budget.make_items(usize::try_from(count).unwrap_or(usize::MAX))?;
        return Ok(V::list((0..count).map(V::Int).collect()));
    }
    let Some(V::List(list)) = args.first() else {
        let given = args.first().map_or("", V::type_name);
        return Err(match function {
            F::Flatten => {
                let given = if given == "map" { "map(dyn, dyn)" } else { given };
                let depth = args.get(1).map_or("", V::type_name);
                Fault::error(format!("no such overload: {given}.flatten({depth})"))
            }
            F::Sort | F::SortByKeys => match args.first() {
                Some(V::String(_) | V::Timestamp(_) | V::Duration(_)) => Fault::no_overload(),
                _ => Fault::error(format!("no such overload: {}", declaration.name)),
            },
            _ => Fault::no_overload(),
        });
    };
    context.budget.step(list.len() as u64)?;
    let second = args.get(1);
    Ok(match function {
        F::IsSorted => V::Bool(is_sorted(list)?),
        F::Sum => {
            let zero = match declaration.overloads.get(overload).map(|overload| &overload.result) {
                Some(Type::Uint) => V::Uint(0),
                Some(Type::Double) => V::Double(0.0),
                Some(Type::Duration) => V::Duration(0),
                _ => V::Int(0),
            };
            sum(zero, list)?
        }
        F::Max => best(list, "max", Ordering::Less)?,
        F::Min => best(list, "min", Ordering::Greater)?,
        F::IndexOf | F::LastIndexOf => {
            let Some(wanted) = second else { return Err(Fault::no_overload()) };
            let mut found = -1;
            for (place, item) in list.iter().enumerate() {
                if equals(context.budget, &item, wanted)? == Equality::Same {
                    found = i64::try_from(place).unwrap_or(i64::MAX);
                    if function == F::IndexOf {
                        break;
                    }
                }
            }
            V::Int(found)
        }
        F::SetsContains => V::Bool(contains_all(context, list, other(second)?)?),
        F::SetsEquivalent => {
            let other = other(second)?;
            V::Bool(contains_all(context, list, other)? && contains_all(context, other, list)?)
        }
        F::SetsIntersects => {
            let other = other(second)?;
            let mut found = false;
            for item in list.iter() {
                if has(context, other, &item)? {
                    found = true;
                    break;
                }
            }
            V::Bool(found)
        }
        F::Slice => slice(context, list, second, args.get(2))?,
        F::Flatten => {
            let depth = match second {
                None => 1,
                Some(V::Int(depth)) if *depth < 0 => return Err(Fault::error("level must be non-negative")),
                Some(V::Int(depth)) => *depth,
                Some(other) => {
                    let message = format!("no such overload: list.flatten({})", other.type_name());
                    return Err(Fault::error(message));
                }
            };
            let mut items = Vec::new();
            flatten(context, list, depth, &mut items)?;
            V::list(items)
        }
        F::Sort => sorted(context, list, list)?,
        F::SortByKeys => sorted(context, list, other(second)?)?,
        F::Reverse => {
            context.budget.make_items(list.len())?;
            let mut items: Vec<CelValue> = list.iter().collect();
            items.reverse();
            V::list(items)
        }
        F::Distinct => {
            let mut items: Vec<CelValue> = Vec::new();
            'items: for item in list.iter() {
                for known in &items {
                    if equals(context.budget, &item, known)? == Equality::Same {
                        continue 'items;
                    }
                }
                context.budget.make_items(1)?;
                items.push(item);
            }
            V::list(items)
        }
        F::First => list.get(0).map_or(V::Optional(None), V::some),
        F::Last => {
            list.len().checked_sub(1).and_then(|last| list.get(last)).map_or(V::Optional(None), V::some)
        }
        _ => {
            let mut items = Vec::new();
            for item in list.iter() {
                match item {
                    V::Optional(Some(value)) => {
                        context.budget.make_items(1)?;
                        items.push(value.opened()?);
                    }
                    V::Optional(None) => {}
                    other => return Err(Fault::error(format!("value {other} is not optional"))),
                }
            }
            V::list(items)
        }
    })
}

fn other(value: Option<&CelValue>) -> Result<&List, Fault> {
    if let Some(CelValue::List(list)) = value { Ok(list) } else { Err(Fault::no_overload()) }
}

fn insert(context: &mut Context<'_, '_, '_>, args: Args) -> Outcome {
    let mut args = args.into_iter();
    let Some(CelValue::Map(mut map)) = args.next() else { return Err(Fault::no_overload()) };
    match (args.next(), args.next()) {
        (Some(key), Some(value)) => map = inserted(context, map, key, value)?,
        (Some(CelValue::Map(more)), None) => {
            context.budget.make_items(more.len())?;
            for (key, value) in more.entries() {
                map = inserted(context, map, key, value)?;
            }
        }
        _ => return Err(Fault::no_overload()),
    }
    Ok(CelValue::Map(map))
}

fn is_sorted(list: &List) -> Result<bool, Fault> {
    let mut before: Option<CelValue> = None;
    for item in list.iter() {
        if !is_comparable(&item) {
            return Err(Fault::no_overload());
        }
        // What cannot be compared counts as in order, as in the API server.
        if before.is_some_and(|before| compare(&before, &item) == Ok(Ordering::Greater)) {
            return Ok(false);
        }
        before = Some(item);
    }
    Ok(true)
}

fn sum(zero: CelValue, list: &List) -> Outcome {
    use CelValue as V;
    let mut total = zero;
    for item in list.iter() {
        total = match (total, item) {
            (V::Int(a), V::Int(b)) => V::Int(a.checked_add(b).ok_or("integer overflow")?),
            (V::Uint(a), V::Uint(b)) => V::Uint(a.checked_add(b).ok_or("unsigned integer overflow")?),
            (V::Double(a), V::Double(b)) => V::Double(a + b),
            (V::Duration(a), V::Duration(b)) => V::Duration(a.checked_add(b).ok_or("integer overflow")?),
            (V::Duration(a), V::Timestamp(b)) => V::Timestamp(b.plus(a)?),
            (V::Timestamp(a), V::Duration(b)) => V::Timestamp(a.plus(b)?),
            _ => return Err(Fault::no_overload()),
        };
    }
    Ok(total)
}

/// The element that no other is better than: one is if the best so far compares to it like this.
fn best(list: &List, name: &str, better: Ordering) -> Outcome {
    let mut found: Option<CelValue> = None;
    for item in list.iter() {
        if !is_comparable(&item) {
            return Err(Fault::no_overload());
        }
        found = Some(match found {
            Some(known) if compare(&known, &item) != Ok(better) => known,
            _ => item,
        });
    }
    found.ok_or_else(|| Fault::error(format!("{name} called on empty list")))
}

fn contains_all(context: &mut Context<'_, '_, '_>, list: &List, part: &List) -> Result<bool, Fault> {
    for item in part.iter() {
        if !has(context, list, &item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn slice(
    context: &mut Context<'_, '_, '_>,
    list: &List,
    start: Option<&CelValue>,
    end: Option<&CelValue>,
) -> Outcome {
    let (Some(CelValue::Int(start)), Some(CelValue::Int(end))) = (start, end) else {
        return Err(Fault::no_overload());
    };
    let wrong = |why: &str| Fault::error(format!("cannot slice({start}, {end}), {why}"));
    let (Ok(from), Ok(to)) = (usize::try_from(*start), usize::try_from(*end)) else {
        return Err(wrong("negative indexes not supported"));
    };
    if from > to {
        return Err(wrong("start index must be less than or equal to end index"));
    }
    if to > list.len() {
        return Err(wrong(&format!("list is length {}", list.len())));
    }
    context.budget.make_items(to - from)?;
    Ok(CelValue::list((from..to).filter_map(|place| list.get(place)).collect()))
}

fn flatten(
    context: &mut Context<'_, '_, '_>,
    list: &List,
    depth: i64,
    into: &mut Vec<CelValue>,
) -> Result<(), Fault> {
    for item in list.iter() {
        context.budget.make_items(1)?;
        match item {
            CelValue::List(inner) if depth > 0 => flatten(context, &inner, depth - 1, into)?,
            other => into.push(other),
        }
    }
    Ok(())
}

/// The list in the order of as many keys.
fn sorted(context: &mut Context<'_, '_, '_>, list: &List, keys: &List) -> Outcome {
    if list.len() != keys.len() {
        return Err(Fault::error(format!(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got {} and {} \
             elements respectively",
            list.len(),
            keys.len()
        )));
    }
    let Some(first) = keys.get(0) else { return Ok(CelValue::List(list.clone())) };
    if !is_comparable(&first) {
        return Err(Fault::error("list elements must be comparable"));
    }
    let size = list.len() as u64;
    context.budget.step(size.saturating_mul(u64::from(size.max(1).ilog2()) + 1))?;
    context.budget.make_items(list.len())?;
    let mut pairs: Vec<(CelValue, CelValue)> = keys.iter().zip(list.iter()).collect();
    if pairs.len() > 1 && pairs.iter().any(|(key, _)| key.type_name() != first.type_name()) {
        return Err(Fault::error("list elements must have the same type"));
    }
    for (key, _) in &pairs {
        if let CelValue::String(text) = key {
            context.budget.read_text(text.as_str().len())?;
        }
    }
    pairs.sort_by(|(a, _), (b, _)| order(a, b));
    Ok(CelValue::list(pairs.into_iter().map(|(_, value)| value).collect()))
}

/// A total order of keys of one type: what is not a number is last.
fn order(a: &CelValue, b: &CelValue) -> Ordering {
    match (a, b) {
        (CelValue::Double(a), CelValue::Double(b)) => {
            a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
        }
        _ => compare(a, b).unwrap_or(Ordering::Equal),
    }
}
