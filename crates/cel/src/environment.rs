//! What an expression may name: variables with their types, and the fields of objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::types::Type;

/// What an expression may name, besides the functions that there always are.
///
/// ```
/// use portcullis_cel::{Environment, Type};
///
/// let environment = Environment::default()
///     .with_variable("object", Type::Dyn)
///     .with_object("admission.Request", [("operation", Type::String), ("dryRun", Type::Bool)])
///     .with_variable("request", Type::object("admission.Request"));
/// assert!(environment.variable("request").is_some());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<Arc<str>, Type>,
    objects: BTreeMap<Arc<str>, Fields>,
    has_patches: bool,
}

/// The fields of a type, each with how many there were before it.
type Fields = BTreeMap<Arc<str>, (Type, u32)>;

/// The type of an operation of a JSON patch.
pub(crate) const JSON_PATCH: &str = "JSONPatch";
/// The function that there only is where patches are made.
pub(crate) const ESCAPE_KEY: &str = "jsonpatch.escapeKey";

/// Whether values of a type are made for patches: `JSONPatch`, `Object`, `Object.spec`, …
pub(crate) fn is_patch_type(name: &str) -> bool {
    name == JSON_PATCH
        || name == "Object"
        || name.strip_prefix("Object.").is_some_and(|rest| !rest.is_empty())
}

/// A field of such a type. Those of objects may be any: what they are of, the object knows that is changed.
fn patch_field(name: &str, field: &str) -> Option<Type> {
    match (name, field) {
        (JSON_PATCH, "op" | "path" | "from") => Some(Type::String),
        (JSON_PATCH, "value") => Some(Type::Dyn),
        (JSON_PATCH, _) => None,
        _ => Some(Type::Dyn),
    }
}

impl Environment {
    /// The same with a variable more. Its name may have dots.
    #[must_use]
    pub fn with_variable(mut self, name: &str, ty: Type) -> Self {
        self.variables.insert(name.into(), ty);
        self
    }

    /// The same with the fields of a named type: no others may be selected of its values.
    #[must_use]
    pub fn with_object<'f>(mut self, name: &str, fields: impl IntoIterator<Item = (&'f str, Type)>) -> Self {
        self.objects.insert(name.into(), Fields::new());
        for (field, ty) in fields {
            self.add_field(name, field, ty);
        }
        self
    }

    /// The same for expressions that make patches: with the types `JSONPatch`, `Object` and below that `Object.spec`
    /// and so on, and the function `jsonpatch.escapeKey`.
    ///
    /// ```
    /// use portcullis_cel::{Environment, Program, Type};
    ///
    /// let environment = Environment::default().with_patches();
    /// let text = "Object{spec: Object.spec{replicas: 3}}";
    /// assert_eq!(Program::compile(text, &environment).unwrap().result(), &Type::object("Object"));
    /// assert!(Program::compile(text, &Environment::default()).is_err());
    /// ```
    #[must_use]
    pub fn with_patches(self) -> Self {
        Self { has_patches: true, ..self }
    }

    /// Whether a name is that of a type that is made for patches, and there are such.
    pub(crate) fn has_patch_type(&self, name: &str) -> bool {
        self.has_patches && is_patch_type(name)
    }

    /// Whether there is a function of this name.
    pub(crate) fn has_function(&self, name: &str) -> bool {
        self.has_patches || name != ESCAPE_KEY
    }

    /// The type of a field of a named type; none if it has no such field.
    pub(crate) fn field(&self, object: &str, field: &str) -> Option<Type> {
        match self.fields(object) {
            Some(fields) => fields.get(field).map(|(ty, _)| ty.clone()),
            None if self.has_patch_type(object) => patch_field(object, field),
            None => None,
        }
    }

    /// Whether it is known which fields a named type has.
    pub(crate) fn is_resolved(&self, object: &str) -> bool {
        self.fields(object).is_some() || self.has_patch_type(object)
    }

    /// Adds a field to a named type, or gives it another type. Cost: a look-up, however many there are.
    pub fn add_field(&mut self, object: &str, field: &str, ty: Type) {
        let fields = match self.objects.get_mut(object) {
            Some(fields) => fields,
            None => self.objects.entry(object.into()).or_default(),
        };
        let place = u32::try_from(fields.len()).unwrap_or(u32::MAX);
        let place = fields.get(field).map_or(place, |(_, place)| *place);
        fields.insert(field.into(), (ty, place));
    }

    /// How many fields were added to the type of a variable before this one.
    pub(crate) fn place(&self, variable: &str, field: &str) -> Option<u32> {
        let Type::Object(object) = self.variables.get(variable)? else { return None };
        self.fields(object)?.get(field).map(|(_, place)| *place)
    }

    /// Takes a variable out.
    pub fn remove_variable(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// The type of a variable.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&Type> {
        self.variables.get(name)
    }

    /// The fields of a named type, if it has a list of them.
    fn fields(&self, object: &str) -> Option<&Fields> {
        self.objects.get(object)
    }
}

/// The one value of an enumeration that there is: an integer.
pub(crate) const NULL_VALUE: &str = "google.protobuf.NullValue.NULL_VALUE";

/// The type that a name stands for, if it is the name of one.
pub(crate) fn named_type(name: &str) -> Option<Type> {
    Some(match name {
        "bool" => Type::Bool,
        "bytes" => Type::Bytes,
        "double" => Type::Double,
        "google.protobuf.Duration" => Type::Duration,
        "int" => Type::Int,
        "list" => Type::list(Type::Param(0)),
        "map" => Type::map(Type::Param(0), Type::Param(1)),
        "null_type" => Type::Null,
        "string" => Type::String,
        "google.protobuf.Timestamp" => Type::Timestamp,
        "type" => Type::Type(None),
        "uint" => Type::Uint,
        // By its name alone, it is of nothing in particular.
        "optional_type" => Type::Opaque("optional_type"),
        "net.IP" => Type::Opaque("net.IP"),
        "net.CIDR" => Type::Opaque("net.CIDR"),
        _ => Message::named(name)?.ty(),
    })
}

/// Messages of protobuf that may be written, and become plain values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Bool,
    Bytes,
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    String,
    Duration,
    Timestamp,
    Struct,
    Value,
    List,
}

impl Message {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name.strip_prefix("google.protobuf.")? {
            "BoolValue" => Self::Bool,
            "BytesValue" => Self::Bytes,
            "DoubleValue" => Self::Double,
            "FloatValue" => Self::Float,
            "Int32Value" => Self::Int32,
            "Int64Value" => Self::Int64,
            "UInt32Value" => Self::Uint32,
            "UInt64Value" => Self::Uint64,
            "StringValue" => Self::String,
            "Duration" => Self::Duration,
            "Timestamp" => Self::Timestamp,
            "Struct" => Self::Struct,
            "Value" => Self::Value,
            "ListValue" => Self::List,
            _ => return None,
        })
    }

    /// What it holds, if it only wraps a primitive.
    fn wrapped(self) -> Option<Type> {
        Some(match self {
            Self::Bool => Type::Bool,
            Self::Bytes => Type::Bytes,
            Self::Double | Self::Float => Type::Double,
            Self::Int32 | Self::Int64 => Type::Int,
            Self::Uint32 | Self::Uint64 => Type::Uint,
            Self::String => Type::String,
            Self::Duration | Self::Timestamp | Self::Struct | Self::Value | Self::List => return None,
        })
    }

    pub(crate) fn ty(self) -> Type {
        match self {
            Self::Duration => Type::Duration,
            Self::Timestamp => Type::Timestamp,
            Self::Struct => Type::map(Type::String, Type::Dyn),
            Self::List => Type::list(Type::Dyn),
            _ => self.wrapped().map_or(Type::Dyn, |of| Type::Nullable(Arc::new(of))),
        }
    }

    pub(crate) fn field(self, name: &str) -> Option<Type> {
        if let Some(of) = self.wrapped() {
            return (name == "value").then_some(of);
        }
        match (self, name) {
            (Self::Duration | Self::Timestamp, "seconds" | "nanos") => Some(Type::Int),
            (Self::Struct, "fields") | (Self::Value, "struct_value") => {
                Some(Type::map(Type::String, Type::Dyn))
            }
            (Self::List, "values") | (Self::Value, "list_value") => Some(Type::list(Type::Dyn)),
            (Self::Value, "null_value") => Some(Type::Null),
            (Self::Value, "number_value") => Some(Type::Double),
            (Self::Value, "string_value") => Some(Type::String),
            (Self::Value, "bool_value") => Some(Type::Bool),
            _ => None,
        }
    }
}
