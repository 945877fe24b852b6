//! Which fields objects have and how lists and maps are merged: of the kinds of Kubernetes by a table, of others by
//! their definition.
//!
//! The table, [`TABLE`], has a line for each kind (`= apps/v1 Deployment TYPE`) and one for each type: its name and
//! its fields. A `!` before a name is one of which all is replaced at once.
//!
//! | type | meaning |
//! |---|---|
//! | `s` `t` `y` | a text; one that is a moment, or bytes |
//! | `i` `f` `b` | an integer, a float, a truth value |
//! | `u` | a text or a number |
//! | `a` | anything |
//! | `{}T` `!{}T` | a map of texts to values, merged by its keys, or replaced |
//! | `[key,…]T` | a list whose elements are told apart by fields; `key=value` where that is usual |
//! | `<>T` | a list without duplicates |
//! | `!T` | a list that is replaced |

use std::collections::HashMap;
use std::sync::Arc;

use crate::names::Gvk;
use crate::program::{FieldType, KindType, Naming, ObjectType};
use crate::value::{self, Value, View};

/// The types of an API server of 1.36, in the stable versions.
const TABLE: &str = include_str!("types.txt");

/// All types. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Types(Arc<Tables>);

#[derive(Debug)]
struct Tables {
    /// By `apiVersion kind`.
    kinds: HashMap<String, &'static str>,
    /// The fields by the name of the type, and whether it is replaced.
    types: HashMap<&'static str, (&'static str, bool)>,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Type<'a> {
    Text,
    Number,
    Bool,
    TextOrNumber,
    /// Maps are merged by their keys, lists are replaced.
    Any,
    /// Fields that are known.
    Fields {
        fields: Fields<'a>,
        is_replaced: bool,
    },
    Map {
        of: Inner<'a>,
        is_replaced: bool,
    },
    List {
        of: Inner<'a>,
        merge: Merge<'a>,
    },
}

/// Where fields stand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fields<'a> {
    Table(&'static str),
    /// A structural schema.
    Schema(&'a Value),
}

/// A type that is not worked out yet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inner<'a> {
    Table(&'static str),
    Schema(&'a Value),
    Any,
}

impl<'a> Inner<'a> {
    /// What a schema says of it for people.
    pub(super) fn description(self) -> Option<&'a str> {
        match self {
            Self::Schema(schema) => value::str_at(schema, &["description"]),
            Self::Table(_) | Self::Any => None,
        }
    }
}

/// How a list is merged.
#[derive(Clone, Copy, Debug)]
pub(super) enum Merge<'a> {
    Replaced,
    Set,
    ByKeys(Keys<'a>),
}

/// The fields that tell elements apart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keys<'a> {
    Table(&'static str),
    Schema(&'a Value),
}

impl<'a> Keys<'a> {
    /// The names, and what is meant if there is none.
    pub(super) fn names(self) -> Vec<(&'a str, Option<&'a str>)> {
        match self {
            Self::Table(text) => {
                let names = text.split(',');
                names
                    .map(|name| {
                        name.split_once('=').map_or((name, None), |(name, usual)| (name, Some(usual)))
                    })
                    .collect()
            }
            Self::Schema(list) => {
                value::items(list).filter_map(value::as_str).map(|name| (name, None)).collect()
            }
        }
    }
}

impl Types {
    pub(super) fn new() -> Self {
        let (mut kinds, mut types) = (HashMap::new(), HashMap::new());
        for line in TABLE.lines() {
            let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
            if name == "=" {
                if let Some((kind, ty)) = rest.rsplit_once(' ') {
                    kinds.insert(kind.to_owned(), ty);
                }
                continue;
            }
            match name.strip_prefix('!') {
                Some(name) => types.insert(name, (rest, true)),
                None => types.insert(name, (rest, false)),
            };
        }
        Self(Arc::new(Tables { kinds, types }))
    }

    /// All kinds of Kubernetes, in order.
    pub(super) fn kinds(&self) -> Vec<Gvk> {
        let named = self.0.kinds.keys().filter_map(|name| name.split_once(' '));
        let mut all: Vec<Gvk> = named.map(|(api_version, kind)| Gvk::new(api_version, kind)).collect();
        all.sort();
        all
    }

    /// The type of a kind of Kubernetes.
    pub(super) fn of_kind(&self, gvk: &Gvk) -> Option<Inner<'static>> {
        self.0.kinds.get(&format!("{} {}", gvk.api_version(), gvk.kind)).map(|ty| Inner::Table(ty))
    }

    /// What the objects of a kind of Kubernetes are.
    pub(super) fn described(&self, gvk: &Gvk) -> Option<KindType> {
        let Inner::Table(ty) = self.of_kind(gvk)? else { return None };
        let mut objects = Vec::new();
        let whole = self.field_type(ty, &gvk.kind, &mut objects, 0);
        Some(KindType { whole, objects })
    }

    /// What those of a custom kind are, by the schema of its definition.
    pub(super) fn described_by(&self, gvk: &Gvk, schema: &Value) -> Option<KindType> {
        let mut objects = Vec::new();
        let whole = custom_type(schema, &gvk.kind, &mut objects)?;
        let metadata = self.field_type("ObjectMeta", &format!("{}.metadata", gvk.kind), &mut objects, 0);
        // Whatever the schema says of them, these are there.
        let fields = &mut objects.iter_mut().find(|object| *object.name == *gvk.kind)?.fields;
        fields.retain(|(field, _)| !["apiVersion", "kind", "metadata"].contains(&field.as_str()));
        fields.extend([("apiVersion".to_owned(), FieldType::Text), ("kind".to_owned(), FieldType::Text)]);
        fields.push(("metadata".to_owned(), metadata));
        Some(KindType { whole, objects })
    }

    fn field_type(
        &self,
        text: &'static str,
        name: &str,
        objects: &mut Vec<ObjectType>,
        depth: usize,
    ) -> FieldType {
        /// Types of Kubernetes that are nested deeper are those that hold themselves.
        const DEEPEST: usize = 16;
        match text {
            "s" => return FieldType::Text,
            "t" => return FieldType::Moment,
            "y" => return FieldType::Bytes,
            "i" => return FieldType::Integer,
            "f" => return FieldType::Float,
            "b" => return FieldType::Bool,
            "u" | "a" => return FieldType::Any,
            _ => {}
        }
        let of_map = text.strip_prefix("!{}").or_else(|| text.strip_prefix("{}"));
        if let Some(of) = of_map {
            let of = self.field_type(of, &format!("{name}.@elem"), objects, depth + 1);
            return FieldType::Map(Box::new(of));
        }
        let of_list = text.strip_prefix("<>").or_else(|| text.strip_prefix('!'));
        let of_list = of_list.or_else(|| Some(text.strip_prefix('[')?.split_once(']')?.1));
        if let Some(of) = of_list {
            let of = self.field_type(of, &format!("{name}.@idx"), objects, depth + 1);
            return FieldType::List(Box::new(of));
        }
        match self.0.types.get(text) {
            Some((fields, _)) if *fields != "*" && depth <= DEEPEST => {
                let fields = fields.split(' ').filter_map(|field| field.split_once('='));
                let fields: Vec<(String, FieldType)> = fields
                    .map(|(field, ty)| {
                        let of = self.field_type(ty, &format!("{name}.{field}"), objects, depth + 1);
                        (field.to_owned(), of)
                    })
                    .collect();
                objects.push(ObjectType { name: name.to_owned(), fields, naming: Naming::AsWritten });
                FieldType::Object(name.to_owned())
            }
            _ => FieldType::Any,
        }
    }

    /// The names in the table that it does not explain.
    #[cfg(test)]
    pub(super) fn unknown_names(&self) -> Vec<String> {
        let fields = self.0.types.values().flat_map(|(fields, _)| fields.split(' '));
        let named = fields.filter_map(|field| field.split_once('=')).map(|(_, ty)| {
            let behind = ty.rsplit_once([']', '}', '>', '!']).map_or(ty, |(_, name)| name);
            behind.to_owned()
        });
        let named = named.chain(self.0.kinds.values().map(|ty| (*ty).to_owned()));
        let is_known = |name: &String| {
            ["s", "t", "y", "i", "f", "b", "u", "a"].contains(&name.as_str())
                || self.0.types.contains_key(name.as_str())
        };
        named.filter(|name| !is_known(name)).collect()
    }

    pub(super) fn open<'a>(&self, inner: Inner<'a>) -> Type<'a> {
        match inner {
            Inner::Any => Type::Any,
            Inner::Table(text) => self.parsed(text),
            Inner::Schema(schema) => schema_type(schema),
        }
    }

    fn parsed(&self, text: &'static str) -> Type<'static> {
        match text {
            "s" | "t" | "y" => return Type::Text,
            "i" | "f" => return Type::Number,
            "b" => return Type::Bool,
            "u" => return Type::TextOrNumber,
            "a" => return Type::Any,
            _ => {}
        }
        if let Some(of) = text.strip_prefix("{}") {
            return Type::Map { of: Inner::Table(of), is_replaced: false };
        }
        if let Some(of) = text.strip_prefix("!{}") {
            return Type::Map { of: Inner::Table(of), is_replaced: true };
        }
        if let Some(of) = text.strip_prefix("<>") {
            return Type::List { of: Inner::Table(of), merge: Merge::Set };
        }
        if let Some((keys, of)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
            return Type::List { of: Inner::Table(of), merge: Merge::ByKeys(Keys::Table(keys)) };
        }
        if let Some(of) = text.strip_prefix('!') {
            return Type::List { of: Inner::Table(of), merge: Merge::Replaced };
        }
        match self.0.types.get(text) {
            None | Some(("*", _)) => Type::Any,
            Some((fields, is_replaced)) => {
                Type::Fields { fields: Fields::Table(fields), is_replaced: *is_replaced }
            }
        }
    }
}

/// What a value of a schema is; none if it says no type: then expressions cannot select the field, as in an API server.
/// Recursive, as deep as the schema is.
fn custom_type(schema: &Value, name: &str, objects: &mut Vec<ObjectType>) -> Option<FieldType> {
    /// Most objects of a schema that have types of their own.
    const MOST: usize = 10_000;
    let text = |key: &str| value::str_at(schema, &[key]);
    if is_true(schema, "x-kubernetes-int-or-string") || objects.len() >= MOST {
        return Some(FieldType::Any);
    }
    Some(match (text("type")?, text("format")) {
        ("string", Some("byte")) => FieldType::Bytes,
        ("string", Some("date" | "date-time")) => FieldType::Moment,
        ("string", Some("duration")) => FieldType::Duration,
        ("string", _) => FieldType::Text,
        ("integer", _) => FieldType::Integer,
        ("number", _) => FieldType::Float,
        ("boolean", _) => FieldType::Bool,
        ("array", _) => {
            let of = custom_type(value::get(schema, "items")?, &format!("{name}.@idx"), objects)?;
            FieldType::List(Box::new(of))
        }
        ("object", _) => {
            let of = value::get(schema, "additionalProperties");
            if let Some(of) = of.filter(|of| matches!(of.view(), View::Object(_))) {
                let of = custom_type(of, &format!("{name}.@elem"), objects)?;
                return Some(FieldType::Map(Box::new(of)));
            }
            let properties = value::get(schema, "properties");
            let mut fields = Vec::new();
            for (field, schema) in properties.into_iter().flat_map(value::entries) {
                let of = custom_type(schema, &format!("{name}.{field}"), objects);
                fields.extend(of.map(|of| (field.to_owned(), of)));
            }
            objects.push(ObjectType { name: name.to_owned(), fields, naming: Naming::Escaped });
            FieldType::Object(name.to_owned())
        }
        _ => return None,
    })
}

/// The type of a field; none if there is no such field.
pub(super) fn field<'a>(fields: Fields<'a>, name: &str) -> Option<Inner<'a>> {
    match fields {
        Fields::Table(text) => {
            let mut all = text.split(' ').filter_map(|field| field.split_once('='));
            all.find(|(known, _)| *known == name).map(|(_, ty)| Inner::Table(ty))
        }
        Fields::Schema(schema) => {
            let known = value::get(schema, "properties").and_then(|fields| value::get(fields, name));
            let is_open = is_true(schema, "x-kubernetes-preserve-unknown-fields").then_some(Inner::Any);
            known.map(Inner::Schema).or(is_open)
        }
    }
}

/// The type of a custom kind as a whole: its schema does not say what every object has.
pub(super) fn envelope(name: &str) -> Option<Inner<'static>> {
    match name {
        "apiVersion" | "kind" => Some(Inner::Table("s")),
        "metadata" => Some(Inner::Table("ObjectMeta")),
        _ => None,
    }
}

pub(super) fn is_true(schema: &Value, key: &str) -> bool {
    matches!(value::get(schema, key).map(Value::view), Some(View::Bool(true)))
}

fn schema_type(schema: &Value) -> Type<'_> {
    let text = |key: &str| value::str_at(schema, &[key]);
    if is_true(schema, "x-kubernetes-int-or-string") {
        return Type::TextOrNumber;
    }
    match text("type") {
        Some("string") => Type::Text,
        Some("integer" | "number") => Type::Number,
        Some("boolean") => Type::Bool,
        Some("array") => {
            let merge =
                match (text("x-kubernetes-list-type"), value::get(schema, "x-kubernetes-list-map-keys")) {
                    (Some("set"), _) => Merge::Set,
                    (Some("map"), Some(keys)) => Merge::ByKeys(Keys::Schema(keys)),
                    _ => Merge::Replaced,
                };
            Type::List { of: value::get(schema, "items").map_or(Inner::Any, Inner::Schema), merge }
        }
        Some("object") => {
            let is_replaced = text("x-kubernetes-map-type") == Some("atomic");
            match value::get(schema, "additionalProperties") {
                Some(of) if value::get(schema, "properties").is_none() => {
                    Type::Map { of: Inner::Schema(of), is_replaced }
                }
                _ => Type::Fields { fields: Fields::Schema(schema), is_replaced },
            }
        }
        _ => Type::Any,
    }
}
