//! Values with something else at a path. Nothing is changed in place: what is on the way is made anew.

use std::sync::Arc;

use crate::path::{FieldPath, Segment};
use crate::value::{self, Value, View};

/// The value at a path.
pub(super) fn at<'v>(value: &'v Value, path: &[Segment]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, segment| match segment {
        Segment::Key(key) => value::get(value, key),
        Segment::Index(index) => value.as_array()?.get(*index),
    })
}

/// How many steps of a path there are.
pub(super) fn depth(value: &Value, path: &[Segment]) -> usize {
    (1..=path.len()).take_while(|depth| at(value, path.get(..*depth).unwrap_or_default()).is_some()).count()
}

/// With a value at a path. Objects on the way that are not there, or null, are made; the place behind the last element
/// of a list is one, too. None where the path goes through something else.
pub(super) fn with(value: &Value, path: &[Segment], new: &Value) -> Option<Value> {
    let Some((first, rest)) = path.split_first() else { return Some(new.clone()) };
    match (first, value.view()) {
        (Segment::Key(key), View::Object(_) | View::Null) => {
            let below = with(value::get(value, key).unwrap_or(&Value::NULL), rest, new)?;
            let kept = value::entries(value).filter(|(name, _)| *name != &**key);
            let kept = kept.map(|(name, value)| (Arc::<str>::from(name), value.clone()));
            Some(value::object(kept.chain([(key.clone(), below)])))
        }
        (Segment::Index(0), View::Null) => Some([with(&Value::NULL, rest, new)?].into_iter().collect()),
        (Segment::Index(index), View::Array(items)) if *index <= items.len() => {
            let below = with(items.get(*index).unwrap_or(&Value::NULL), rest, new)?;
            let before = items.get(..*index)?.iter().cloned();
            let behind = items.get(*index + 1..).unwrap_or_default().iter().cloned();
            Some(before.chain([below]).chain(behind).collect())
        }
        _ => None,
    }
}

/// Without what is at a path; none if nothing is there.
pub(super) fn without(value: &Value, path: &[Segment]) -> Option<Value> {
    let (last, parents) = path.split_last()?;
    let parent = at(value, parents)?;
    let left = match (last, parent.view()) {
        (Segment::Key(key), View::Object(_)) => {
            value::get(parent, key)?;
            let kept = value::entries(parent).filter(|(name, _)| *name != &**key);
            value::object(kept.map(|(name, value)| (Arc::<str>::from(name), value.clone())))
        }
        (Segment::Index(index), View::Array(items)) => {
            items.get(*index)?;
            let kept = items.iter().enumerate().filter(|(position, _)| position != index);
            kept.map(|(_, item)| item.clone()).collect()
        }
        _ => return None,
    };
    with(value, parents, &left)
}

pub(super) fn is_scalar(value: &Value) -> bool {
    matches!(value.view(), View::Bool(_) | View::Number(_) | View::String(_))
}

/// The last key of a path.
pub(super) fn last_key(path: &FieldPath) -> Option<&str> {
    path.segments().iter().rev().find_map(|segment| match segment {
        Segment::Key(key) => Some(&**key),
        Segment::Index(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(path: &str, new: serde_json::Value, wanted: serde_json::Value) {
        let value = value::from_json(&json!({"a": [1, {"b": null}], "c": {"d": true}}));
        let path = FieldPath::parse(path).unwrap();
        let made = with(&value, path.segments(), &value::from_json(&new)).map(|made| value::to_json(&made));
        assert_eq!(made.unwrap_or_default(), wanted);
    }

    #[test]
    fn values_are_put_at_paths() {
        check("c.d", json!(false), json!({"a": [1, {"b": null}], "c": {"d": false}}));
        check("c.e.f", json!(1), json!({"a": [1, {"b": null}], "c": {"d": true, "e": {"f": 1}}}));
        check("a[1].b.x", json!(1), json!({"a": [1, {"b": {"x": 1}}], "c": {"d": true}}));
        check("a[2]", json!(1), json!({"a": [1, {"b": null}, 1], "c": {"d": true}}));
        check("e[0]", json!(1), json!({"a": [1, {"b": null}], "c": {"d": true}, "e": [1]}));
        check("a[3]", json!(1), json!(null));
        check("c.d.e", json!(1), json!(null));
    }

    #[test]
    fn values_are_taken_from_paths() {
        let value = value::from_json(&json!({"a": [1, 2], "c": {"d": true}}));
        let taken = |path: &str| {
            let path = FieldPath::parse(path).unwrap();
            without(&value, path.segments()).map(|left| value::to_json(&left))
        };
        assert_eq!(taken("a[0]"), Some(json!({"a": [2], "c": {"d": true}})));
        assert_eq!(taken("c.d"), Some(json!({"a": [1, 2], "c": {}})));
        assert_eq!(taken("c.e"), None);
        assert_eq!(taken("a[2]"), None);
    }
}
