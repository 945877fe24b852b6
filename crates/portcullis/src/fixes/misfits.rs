//! Values that are not what their field holds, such as a text in the place of a list: the same said in the form of the
//! field, or the field without it.
//!
//! An API server takes no object that has one, so nothing that runs is changed by them. What is said in another form is
//! still what was written; to leave it out is for the author to say.

use crate::admission_policy::{Shape, shape};
use crate::names::Gvk;
use crate::path::{FieldPath, Segment};
use crate::value::{self, Value, View};

use super::edit::{Class, Edit};
use super::place;

/// Fields without which nothing is left of an object.
const ESSENTIAL: &[&str] = &[
    "backend",
    "containers",
    "data",
    "effect",
    "jobTemplate",
    "metadata",
    "operator",
    "roleRef",
    "rules",
    "scaleTargetRef",
    "schedule",
    "selector",
    "spec",
    "template",
    "value",
    "verbs",
];

/// Whether a value is of the shape that its field has.
pub(super) fn is_misfit(shape: Shape, there: &Value) -> bool {
    match (shape, there.view()) {
        (_, View::Null | View::Undefined) | (Shape::Any, _) => false,
        (Shape::Text, view) => !matches!(view, View::String(_)),
        (Shape::Number, view) => !matches!(view, View::Number(_)),
        (Shape::Bool, view) => !matches!(view, View::Bool(_)),
        (Shape::TextOrNumber, view) => !matches!(view, View::String(_) | View::Number(_)),
        (Shape::List, view) => !matches!(view, View::Array(_)),
        (Shape::Fields | Shape::Map, view) => !matches!(view, View::Object(_)),
    }
}

/// Edits of a value that is not of its field's shape.
pub(super) fn edits(gvk: &Gvk, path: &FieldPath, there: &Value, shape: Shape) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut form = |new: Value| edits.push(Edit::set(path.clone(), &new, Class::Form));
    if let Some(alone) = alone(there).filter(|alone| shape != Shape::List && !is_misfit(shape, alone)) {
        form(alone.clone());
    }
    match (shape, there.view()) {
        (Shape::Text, View::Number(_) | View::Bool(_)) => {
            form(Value::from(there.to_string()));
        }
        (Shape::Number | Shape::TextOrNumber, View::String(text)) => {
            if let Ok(number) = text.trim().parse::<i64>() {
                form(Value::from(number));
            }
        }
        (Shape::Bool, View::String("true")) => form(Value::TRUE),
        (Shape::Bool, View::String("false")) => form(Value::FALSE),
        _ => {}
    }
    match (shape, there.view()) {
        (Shape::Bool, _) => {
            for value in [Value::TRUE, Value::FALSE] {
                edits.push(Edit::set(path.clone(), &value, Class::Flip));
            }
        }
        (Shape::List, _) => {
            let of = self::shape(gvk, &path.child(0));
            let is_known = |key: &str| self::shape(gvk, &path.child(0).child(key)).is_some();
            let is_one = value::entries(there).all(|(key, _)| is_known(key));
            if of.is_some_and(|of| of != Shape::Any && !is_misfit(of, there)) && is_one {
                edits.push(Edit::set(path.clone(), &[there.clone()].into_iter().collect(), Class::Form));
            }
        }
        _ => {}
    }
    let is_element = matches!(path.segments().last(), Some(Segment::Index(_)));
    let is_essential = place::last_key(path).is_none_or(|key| ESSENTIAL.contains(&key));
    if is_volume_source(path) {
        // A volume without a source is none.
    } else if is_element {
        // An element that is nothing of the kind says nothing; of what has to be there it is perhaps the only one.
        if !is_essential {
            edits.push(Edit { is_placeholder: true, ..Edit::gone(path.clone(), Class::Element) });
        }
    } else if !is_essential && !is_identity(path) {
        if matches!(shape, Shape::Fields | Shape::Map) {
            edits.push(Edit {
                is_placeholder: true,
                ..Edit::set(path.clone(), &Value::new_object(), Class::Form)
            });
        }
        edits.push(Edit { is_placeholder: true, ..Edit::gone(path.clone(), Class::Removal) });
    }
    edits
}

/// The one element of a list.
fn alone(there: &Value) -> Option<&Value> {
    match there.as_array()? {
        [one] => Some(one),
        _ => None,
    }
}

fn is_volume_source(path: &FieldPath) -> bool {
    let volumes = Segment::from("volumes");
    matches!(path.segments(), [.., list, Segment::Index(_), Segment::Key(_)] if *list == volumes)
}

fn is_identity(path: &FieldPath) -> bool {
    let is_of_metadata = path.segments().iter().any(|segment| *segment == Segment::from("metadata"));
    let is_open = place::last_key(path).is_some_and(|key| ["annotations", "labels"].contains(&key));
    let is_name = place::last_key(path).is_some_and(|key| ["host", "image", "kind", "name"].contains(&key));
    is_name || is_of_metadata && !is_open
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(path: &str, there: serde_json::Value, wanted: &[serde_json::Value], may_go: bool) {
        let gvk = Gvk::new("v1", "Pod");
        let path = FieldPath::parse(path).unwrap();
        let edits = edits(&gvk, &path, &value::from_json(&there), shape(&gvk, &path).unwrap());
        let set: Vec<_> = edits.iter().filter_map(|edit| edit.new.as_ref().map(value::to_json)).collect();
        assert_eq!(set, wanted);
        assert_eq!(edits.iter().any(|edit| edit.new.is_none()), may_go);
    }

    #[test]
    fn the_same_is_said_in_the_form_of_the_field() {
        check("spec.containers[0].resources.limits.cpu", json!(["1"]), &[json!("1")], true);
        check("spec.runtimeClassName", json!(["gvisor"]), &[json!("gvisor")], true);
        check("metadata.annotations.x", json!(4711), &[json!("4711")], false);
        check("spec.containers[0].securityContext.capabilities.drop", json!("ALL"), &[json!(["ALL"])], true);
        check("spec.volumes", json!({"name": "a"}), &[json!([{"name": "a"}])], true);
        check("spec.hostPID", json!("yes"), &[json!(true), json!(false)], true);
        check("spec.hostPID", json!("false"), &[json!(false), json!(true), json!(false)], true);
        check("spec.securityContext", json!("none"), &[json!({})], true);
        check("spec.volumes[0]", json!("data"), &[], true);
    }

    #[test]
    fn what_makes_an_object_stays() {
        check("spec", json!("text"), &[], false);
        check("spec.containers", json!("text"), &[], false);
        check("spec.containers", json!({"name": "a"}), &[json!([{"name": "a"}])], false);
        check("spec.containers[0]", json!("nginx"), &[], false);
        check("spec.containers[0].image", json!(42), &[json!("42")], false);
        check("metadata", json!("text"), &[], false);
        check("spec.volumes[0].hostPath", json!("/etc"), &[], false);
        check("spec.volumes", json!({"data": {}}), &[], true);
    }
}
