//! Collections that are made within the budget, element by element.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_value::{Budget, Set, Value};

use super::{Failure, Outcome};

/// An array of values that there are already.
pub(super) fn array<'v>(budget: &mut Budget<'_>, items: impl Iterator<Item = &'v Value>) -> Outcome {
    let mut array = Vec::new();
    for item in items {
        budget.make_items(1)?;
        array.push(item.clone());
    }
    Ok(Value::from(array))
}

/// A set of values that exist already.
pub(super) fn set<'v>(budget: &mut Budget<'_>, items: impl Iterator<Item = &'v Value>) -> Outcome {
    let mut found = Vec::new();
    for item in items {
        budget.make_items(1)?;
        portcullis_value::weigh(budget, item)?;
        found.push(item.clone());
    }
    // Made at once, which is fast for what is in order already.
    Ok(Value::from(found.into_iter().collect::<Set>()))
}

/// Puts a value into a set; whether it is new.
pub(super) fn insert(
    budget: &mut Budget<'_>,
    set: &mut BTreeSet<Value>,
    item: Value,
) -> Result<bool, Failure> {
    budget.make_items(1)?;
    portcullis_value::weigh(budget, &item)?;
    Ok(set.insert(item))
}

/// Puts an entry into an object.
pub(super) fn put(
    budget: &mut Budget<'_>,
    object: &mut BTreeMap<Value, Value>,
    key: Value,
    value: Value,
) -> Result<(), Failure> {
    budget.make_items(2)?;
    portcullis_value::weigh(budget, &key)?;
    object.insert(key, value);
    Ok(())
}
