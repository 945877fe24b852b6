//! What may stand where in an object of Kubernetes, for who changes one.

use std::sync::LazyLock;

use super::merge::fits;
use super::types::{Fields, Inner, Type, Types, envelope, field, is_true};
use crate::names::Gvk;
use crate::path::{FieldPath, Segment};
use crate::value::{self, Value};

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

/// A field of a kind of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct KubernetesField {
    /// Its name.
    pub name: &'static str,
    /// What it holds, in words: `text`, `list of objects`.
    pub holds: &'static str,
}

/// The fields that objects of a kind of Kubernetes may have at a path, in which a step without a name is any element of
/// a list or map. None of kinds that are not known, and where there are none.
///
/// ```
/// use portcullis::{Gvk, kubernetes_fields};
///
/// let pod = Gvk::new("v1", "Pod");
/// let fields = kubernetes_fields(&pod, &[Some("spec"), Some("containers"), None]);
/// assert!(fields.iter().any(|field| field.name == "image" && field.holds == "text"));
/// assert!(kubernetes_fields(&pod, &[Some("nope")]).is_empty());
/// ```
#[must_use]
pub fn kubernetes_fields(gvk: &Gvk, path: &[Option<&str>]) -> Vec<KubernetesField> {
    let Some(Type::Fields { fields: Fields::Table(fields), .. }) = Described::BuiltIn(gvk).type_at(path)
    else {
        return Vec::new();
    };
    each_of_table(fields).map(|(name, inner)| KubernetesField { name, holds: words(inner) }).collect()
}

fn each_of_table(fields: &'static str) -> impl Iterator<Item = (&'static str, Inner<'static>)> {
    let each = fields.split(' ').filter_map(|field| field.split_once('='));
    each.map(|(name, ty)| (name, Inner::Table(ty)))
}

/// What a place of an object holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holds {
    Text,
    Number,
    Bool,
    Object,
    List,
    /// It is not known, or may be several things.
    Anything,
}

/// Most fields of an object of a custom kind that one is looked for among that may have been meant: Kubernetes' own have 40.
const MOST_NAMED: usize = 500;

/// A kind whose objects have fields that are known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Described<'a> {
    /// One of Kubernetes.
    BuiltIn(&'a Gvk),
    /// One of a definition, by the schema of a version.
    Custom(&'a Value),
}

impl<'a> Described<'a> {
    fn of(self) -> Option<Inner<'a>> {
        match self {
            Self::BuiltIn(gvk) => TYPES.of_kind(gvk),
            Self::Custom(schema) => Some(Inner::Schema(schema)),
        }
    }

    /// What its objects hold at a path; a step without a name is an element, or a key that is not known. None where they
    /// have no such place, and of kinds that are not known.
    pub(crate) fn held_at(self, path: &[Option<&str>]) -> Option<Holds> {
        let mut ty = self.of()?;
        for (depth, step) in path.iter().enumerate() {
            ty = match (TYPES.open(ty), step) {
                // Which of the fields, is not known.
                (Type::Any, _) | (Type::Fields { .. }, None) => return Some(Holds::Anything),
                // An object in an object has what every object has, whatever its schema says.
                (Type::Fields { fields, .. }, Some(_)) if is_embedded(fields) => {
                    return Some(Holds::Anything);
                }
                (Type::Fields { fields, .. }, Some(key)) => {
                    let known = field(fields, key);
                    if depth == 0 { envelope(key).or(known)? } else { known? }
                }
                (Type::Map { of, .. }, _) | (Type::List { of, .. }, None) => of,
                _ => return None,
            };
        }
        Some(match TYPES.open(ty) {
            Type::Text => Holds::Text,
            Type::Number => Holds::Number,
            Type::Bool => Holds::Bool,
            Type::TextOrNumber | Type::Any => Holds::Anything,
            Type::Fields { .. } | Type::Map { .. } => Holds::Object,
            Type::List { .. } => Holds::List,
        })
    }

    /// What its objects have at a path, where that is one type.
    pub(super) fn inner_at(self, path: &[Option<&str>]) -> Option<Inner<'a>> {
        let mut ty = self.of()?;
        for (depth, step) in path.iter().enumerate() {
            ty = match (TYPES.open(ty), step) {
                (Type::Fields { fields, .. }, Some(key)) => {
                    let is_object = depth == 0 || is_embedded(fields);
                    envelope(key).filter(|_| is_object).or_else(|| field(fields, key))
                }
                (Type::Map { of, .. }, _) | (Type::List { of, .. }, None) => Some(of),
                _ => None,
            }?;
        }
        Some(ty)
    }

    /// The type of what its objects have at a path, where that is one.
    fn type_at(self, path: &[Option<&str>]) -> Option<Type<'a>> {
        Some(TYPES.open(self.inner_at(path)?))
    }

    /// The fields that its objects may have at a path, with what each holds. What every object has comes first.
    pub(super) fn each_field(self, path: &[Option<&str>]) -> impl Iterator<Item = (&'a str, Inner<'a>)> {
        let fields = match self.type_at(path) {
            Some(Type::Fields { fields, .. }) => Some(fields),
            _ => None,
        };
        let (table, schema) = match fields {
            Some(Fields::Table(table)) => (Some(table), None),
            Some(Fields::Schema(schema)) => (None, value::get(schema, "properties")),
            None => (None, None),
        };
        let is_object = fields.is_some_and(|fields| {
            matches!(fields, Fields::Schema(_)) && (path.is_empty() || is_embedded(fields))
        });
        let named = ["apiVersion", "kind", "metadata"].into_iter().filter(move |_| is_object);
        let of_any =
            named.filter_map(|name| -> Option<(&'a str, Inner<'a>)> { Some((name, envelope(name)?)) });
        let of_schema = schema.into_iter().flat_map(value::entries);
        of_any
            .chain(
                table
                    .into_iter()
                    .flat_map(each_of_table)
                    .map(|(name, inner)| -> (&'a str, Inner<'a>) { (name, inner) }),
            )
            .chain(of_schema.map(|(name, schema)| (name, Inner::Schema(schema))))
    }

    /// The names of the fields that its objects may have at a path; none of what a definition has too many of to be meant.
    pub(crate) fn fields_at(self, path: &[Option<&str>]) -> Vec<&'a str> {
        match self.type_at(path) {
            Some(Type::Fields { fields: Fields::Table(fields), .. }) => {
                fields.split(' ').filter_map(|field| Some(field.split_once('=')?.0)).collect()
            }
            Some(Type::Fields { fields: Fields::Schema(schema), .. }) => {
                let fields = value::get(schema, "properties");
                let fields = fields.filter(|fields| fields.count().is_some_and(|count| count <= MOST_NAMED));
                fields.into_iter().flat_map(value::entries).map(|(name, _)| name).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Whether they are those of an object in an object.
fn is_embedded(fields: Fields<'_>) -> bool {
    matches!(fields, Fields::Schema(schema) if is_true(schema, "x-kubernetes-embedded-resource"))
}

pub(super) fn words(ty: Inner<'_>) -> &'static str {
    match TYPES.open(ty) {
        Type::Text => "text",
        Type::Number => "number",
        Type::Bool => "truth value",
        Type::TextOrNumber => "text or number",
        Type::Any => "anything",
        Type::Fields { .. } => "object",
        Type::Map { .. } => "map",
        Type::List { of, .. } => match TYPES.open(of) {
            Type::Text => "list of texts",
            Type::Fields { .. } => "list of objects",
            _ => "list",
        },
    }
}

/// The kinds of Kubernetes, in each version that the table has.
pub(crate) fn known_kinds() -> Vec<Gvk> {
    TYPES.kinds()
}

/// Whether a kind is one of Kubernetes, in a version that it has.
pub(crate) fn is_known(gvk: &Gvk) -> bool {
    TYPES.of_kind(gvk).is_some()
}
