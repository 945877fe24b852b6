//! What may stand where in an object of Kubernetes, for who changes one.

use std::sync::LazyLock;

use super::merge::fits;
use super::types::{Inner, Type, Types, envelope, field};
use crate::names::Gvk;
use crate::path::{FieldPath, Segment};
use crate::value::Value;

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    Number,
    Bool,
    TextOrNumber,
    /// An object with fields that are known.
    Fields,
    /// An object with any keys.
    Map,
    List,
    /// It is not known.
    Any,
}

/// Read once: the table is the same for all.
static TYPES: LazyLock<Types> = LazyLock::new(Types::new);

/// What may stand at a path of a kind of Kubernetes; `Any` in kinds that are not known, and none where the kind has no
/// such field.
pub(crate) fn shape(gvk: &Gvk, path: &FieldPath) -> Option<Shape> {
    let Some(mut ty) = TYPES.of_kind(gvk) else { return Some(Shape::Any) };
    for (depth, segment) in path.segments().iter().enumerate() {
        ty = match (TYPES.open(ty), segment) {
            (Type::Any, _) => return Some(Shape::Any),
            (Type::Fields { fields, .. }, Segment::Key(key)) => {
                let known = field(fields, key);
                if depth == 0 { envelope(key).or(known)? } else { known? }
            }
            (Type::Map { of, .. }, Segment::Key(_)) | (Type::List { of, .. }, Segment::Index(_)) => of,
            _ => return None,
        };
    }
    Some(of_type(ty))
}

fn of_type(ty: Inner<'_>) -> Shape {
    match TYPES.open(ty) {
        Type::Text => Shape::Text,
        Type::Number => Shape::Number,
        Type::Bool => Shape::Bool,
        Type::TextOrNumber => Shape::TextOrNumber,
        Type::Any => Shape::Any,
        Type::Fields { .. } => Shape::Fields,
        Type::Map { .. } => Shape::Map,
        Type::List { .. } => Shape::List,
    }
}

/// Whether all fields of an object are those of its kind; so is whatever is of a kind that is not known.
pub(crate) fn is_of_its_kind(gvk: &Gvk, object: &Value) -> bool {
    TYPES.of_kind(gvk).is_none_or(|ty| fits(&TYPES, ty, object, &gvk.kind).is_ok())
}

/// Whether a kind is one of Kubernetes, in a version that it has.
pub(crate) fn is_known(gvk: &Gvk) -> bool {
    TYPES.of_kind(gvk).is_some()
}
