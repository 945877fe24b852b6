//! Values of CEL. Objects, lists and texts of an input are not copied: they stay the values that they are
//! ([`portcullis_value::Value`]), and are looked into.

mod associative;
mod held;
mod key;
mod order;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use portcullis_value::{Budget, Exceeded, Value, View};

pub use associative::Associative;
pub(crate) use held::Held;
pub(crate) use key::{AsKey, Key, int_of};
pub(crate) use order::{Equality, compare, equals};

use crate::ast::Literal;
use crate::library::{Cidr, Format, Quantity, Semver, Url};
use crate::rights::Rights;
use crate::time::{Timestamp, duration_text};
use crate::types::Type;

/// Deepest nesting of what an expression comes to: as deep as lists can be written. It may be a variable of
/// another, which nests it again, and so on; values are compared and dropped recursively.
pub(crate) const MAX_VALUE_NESTING: u32 = 250;

/// A value that an expression has, or is evaluated on.
///
/// ```
/// use portcullis_cel::CelValue;
/// use portcullis_value::{Budget, Exceeded, Value};
///
/// let pod = Value::from_json(r#"{"metadata": {"name": "web"}}"#).unwrap();
/// assert_eq!(CelValue::from(pod).type_name(), "map");
/// assert_eq!(CelValue::from("web").as_str(), Some("web"));
/// ```
#[derive(Clone, Debug)]
pub enum CelValue {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer without a sign.
    Uint(u64),
    /// A float.
    Double(f64),
    /// A text.
    String(Text),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// A moment.
    Timestamp(Timestamp),
    /// A span of time in nanoseconds.
    Duration(i64),
    /// A list.
    List(List),
    /// A map.
    Map(Map),
    /// A value or none.
    Optional(Option<Arc<CelValue>>),
    /// A type, by its name.
    Type(Arc<str>),
    /// An address.
    Ip(IpAddr),
    /// A network.
    Cidr(Cidr),
    /// A URL.
    Url(Arc<Url>),
    /// A quantity.
    Quantity(Arc<Quantity>),
    /// A version.
    Semver(Arc<Semver>),
    /// A named format.
    Format(Format),
    /// Something whose fields the [`Activation`](crate::Activation) knows, by its name.
    Object(Arc<str>),
    /// What somebody may do, as far as it is asked for, or what was decided.
    Rights(Arc<Rights>),
    /// A value that was made for a patch: of a type `Object…`, or an operation of the type `JSONPatch`.
    Typed(Arc<Typed>),
    /// What the API server puts into an optional value and cannot take out of it again: the message.
    Unreadable(Arc<str>),
}

/// A value of a named type, with the fields that were given.
#[derive(Clone, Debug)]
pub struct Typed {
    /// The type: `Object.spec`.
    pub name: Arc<str>,
    /// Its fields.
    pub fields: BTreeMap<Arc<str>, CelValue>,
}

/// A text: one of the input, or one that was made.
#[derive(Clone)]
pub struct Text(Value);

impl Text {
    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str().unwrap_or_default()
    }

    /// The same as a value of an input.
    pub(crate) const fn value(&self) -> &Value {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Value::from(text))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Value::from(text))
    }
}

/// A list: one of the input, or one that was made.
#[derive(Clone, Debug)]
pub enum List {
    /// An array of the input.
    Input(Value),
    /// Elements that were put together.
    Made(Arc<Vec<CelValue>>),
    /// Elements whose order says nothing.
    Associative(Arc<Associative>),
}

impl List {
    /// The elements, if it is none of the input.
    pub(crate) fn made(&self) -> Option<&[CelValue]> {
        match self {
            Self::Input(_) => None,
            Self::Made(items) => Some(items),
            Self::Associative(list) => Some(list.items()),
        }
    }

    /// How many elements it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Input(value) => value.count().unwrap_or(0),
            Self::Made(items) => items.len(),
            Self::Associative(list) => list.items().len(),
        }
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at a place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<CelValue> {
        match self {
            Self::Input(value) => value.as_array()?.get(place).map(|item| CelValue::from(item.clone())),
            Self::Made(items) => items.get(place).cloned(),
            Self::Associative(list) => list.items().get(place).cloned(),
        }
    }

    /// The elements in their order.
    pub fn iter(&self) -> impl Iterator<Item = CelValue> + '_ {
        (0..self.len()).filter_map(|place| self.get(place))
    }
}

impl From<Vec<CelValue>> for List {
    fn from(items: Vec<CelValue>) -> Self {
        Self::Made(Arc::new(items))
    }
}

/// A map: an object of the input, or one that was made.
#[derive(Clone, Debug)]
pub enum Map {
    /// An object of the input.
    Input(Value),
    /// Entries that were put together.
    Made(Arc<Entries>),
}

/// The entries of a map that was made, in the order of their keys.
#[derive(Clone, Debug, Default)]
pub struct Entries(pub(crate) BTreeMap<Key, (CelValue, CelValue)>);

/// So many entries are looked at one by one.
const MOST_SCANNED: usize = 8;

impl Map {
    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Input(value) => value.count().unwrap_or(0),
            Self::Made(entries) => entries.0.len(),
        }
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key. Numbers are equal by what they are worth.
    #[must_use]
    pub fn get(&self, key: &CelValue) -> Option<CelValue> {
        match self {
            Self::Input(value) => {
                let CelValue::String(text) = key else { return None };
                value.as_object()?.get_str(text.as_str()).map(|value| CelValue::from(value.clone()))
            }
            Self::Made(entries) => Self::at(entries, key).cloned(),
        }
    }

    /// The value of a key of one that was made, where it is.
    pub(crate) fn at<'e>(entries: &'e Entries, key: &CelValue) -> Option<&'e CelValue> {
        let AsKey::Is(key) = Key::of(key) else { return None };
        let found = key.with_equals().into_iter().find_map(|key| entries.0.get(&key));
        found.map(|(_, value)| value)
    }

    /// The first entry.
    fn first(&self) -> Option<(CelValue, CelValue)> {
        match self {
            Self::Input(value) => {
                let (key, value) = value.as_object()?.iter().next()?;
                Some((key.clone().into(), value.clone().into()))
            }
            Self::Made(entries) => entries.0.values().next().cloned(),
        }
    }

    /// Keys and values, in the order of the keys.
    #[must_use]
    pub fn entries(&self) -> Vec<(CelValue, CelValue)> {
        match self {
            Self::Input(value) => {
                let entries = value.as_object().into_iter().flat_map(portcullis_value::Object::iter);
                entries.map(|(key, value)| (key.clone().into(), value.clone().into())).collect()
            }
            Self::Made(entries) => entries.0.values().cloned().collect(),
        }
    }
}

impl From<Entries> for Map {
    fn from(entries: Entries) -> Self {
        Self::Made(Arc::new(entries))
    }
}

impl Entries {
    /// The value of a key that is a text, where it is.
    pub(crate) fn text(&self, key: &str) -> Option<&CelValue> {
        let is_it = |place: &Key| matches!(place, Key::Text(text) if text.as_str() == key);
        if self.0.len() <= MOST_SCANNED {
            return self.0.iter().find(|(place, _)| is_it(place)).map(|(_, (_, value))| value);
        }
        self.0.get(&Key::Text(key.into())).map(|(_, value)| value)
    }

    /// Puts an entry in; of those with the same key the last one counts. None if the key can be none.
    pub fn insert(&mut self, key: CelValue, value: CelValue) -> Option<()> {
        let place = match Key::of(&key) {
            AsKey::Is(place) => place,
            AsKey::Unique => Key::Unique(self.0.len()),
            AsKey::None => return None,
        };
        self.0.insert(place, (key, value));
        Some(())
    }
}

impl CelValue {
    /// The name of its type.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Optional(_) => "optional_type",
            Self::Type(_) => "type",
            Self::Ip(_) => "net.IP",
            Self::Cidr(_) => "net.CIDR",
            Self::Url(_) => "kubernetes.URL",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Semver(_) => "kubernetes.Semver",
            Self::Format(_) => "kubernetes.NamedFormat",
            Self::Object(name) => name,
            Self::Rights(rights) => rights.type_name(),
            Self::Typed(typed) => &typed.name,
            Self::Unreadable(_) => "error",
        }
    }

    /// What Go's `%T` prints of it, which some messages have.
    pub(crate) fn go_type(&self) -> &'static str {
        match self {
            Self::Null => "types.Null",
            Self::Bool(_) => "types.Bool",
            Self::Int(_) => "types.Int",
            Self::Uint(_) => "types.Uint",
            Self::Double(_) => "types.Double",
            Self::String(_) => "types.String",
            Self::Bytes(_) => "types.Bytes",
            Self::Timestamp(_) => "types.Timestamp",
            Self::Duration(_) => "types.Duration",
            Self::List(_) => "*types.baseList",
            Self::Map(_) => "*types.baseMap",
            Self::Optional(_) => "*types.Optional",
            Self::Type(_) => "*types.Type",
            Self::Ip(_) => "cel.IP",
            Self::Cidr(_) => "cel.CIDR",
            Self::Url(_) => "cel.URL",
            Self::Quantity(quantity) if quantity.is_computed() => "*cel.Quantity",
            Self::Quantity(_) => "cel.Quantity",
            Self::Semver(_) => "cel.Semver",
            Self::Format(_) => "cel.Format",
            Self::Object(_) => "object",
            Self::Rights(_) => "library.authorizerVal",
            Self::Typed(_) => "*dynamic.ObjectVal",
            Self::Unreadable(_) => "*types.Err",
        }
    }

    /// What a value of an optional becomes when the optional is read: the API server turns it into a value of Go
    /// and back, which some do not survive.
    pub(crate) fn read_back(&self) -> Self {
        let lost =
            |ty: &str| Self::Unreadable(format!("unsupported conversion to ref.Val: ({ty}){self}").into());
        match self {
            Self::Type(name) => Self::from(&**name),
            Self::Ip(_) => lost("netip.Addr"),
            Self::Cidr(_) => lost("netip.Prefix"),
            Self::Url(_) => lost("*url.URL"),
            Self::Quantity(_) => lost("*resource.Quantity"),
            Self::Semver(_) => lost("semver.Version"),
            Self::Optional(None) => Self::Null,
            Self::Optional(Some(value)) => value.read_back(),
            other => other.clone(),
        }
    }

    /// The value, if it can be read.
    pub(crate) fn opened(&self) -> Result<Self, crate::error::Fault> {
        match self {
            Self::Unreadable(message) => Err(crate::error::Fault::error(&**message)),
            other => Ok(other.clone()),
        }
    }

    /// As [`Self::go_type`], of a value that was read and not yet used.
    pub(crate) fn native_type(&self) -> &'static str {
        match self {
            Self::List(List::Input(_)) => "[]interface {}",
            Self::Map(Map::Input(_)) => "map[string]interface {}",
            Self::Null => "<nil>",
            other => other.go_type(),
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text.as_str()) } else { None }
    }

    /// The truth value, if it is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// A list.
    #[must_use]
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(items.into())
    }

    /// The moment that a text of RFC 3339 says; none if it says none.
    #[must_use]
    pub fn timestamp(text: &str) -> Option<Self> {
        Timestamp::parse(text).ok().map(Self::Timestamp)
    }

    pub(crate) fn some(value: Self) -> Self {
        Self::Optional(Some(Arc::new(value)))
    }

    /// Whether it may be an argument of a type when it is evaluated: of lists and maps the first element
    /// decides.
    pub(crate) fn is_of(&self, ty: &Type) -> bool {
        match (ty, self) {
            (Type::Dyn | Type::Param(_), _)
            | (Type::Bool, Self::Bool(_))
            | (Type::Int, Self::Int(_))
            | (Type::String, Self::String(_)) => true,
            (Type::List(of), Self::List(list)) => list.get(0).is_none_or(|first| first.is_of(of)),
            (Type::Map(of), Self::Map(map)) => {
                let first = map.first();
                first.is_none_or(|(key, value)| key.is_of(&of.0) && value.is_of(&of.1))
            }
            _ => ty.runtime_name() == self.type_name(),
        }
    }

    /// Whether what was made is nested no more than so many deep. What is there twice is looked at twice.
    pub(crate) fn is_within(&self, budget: &mut Budget<'_>, depth: u32) -> Result<bool, Exceeded> {
        budget.step(1)?;
        let Some(below) = depth.checked_sub(1) else { return Ok(false) };
        match self {
            Self::List(List::Made(items)) => {
                for item in items.iter() {
                    if !item.is_within(budget, below)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Map(Map::Made(entries)) => {
                for (_, value) in entries.0.values() {
                    if !value.is_within(budget, below)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Optional(Some(value)) => value.is_within(budget, below),
            Self::Typed(typed) => {
                for value in typed.fields.values() {
                    if !value.is_within(budget, below)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            _ => Ok(true),
        }
    }

    /// Its size, as costs are reckoned: characters, bytes, elements, entries; 1 of all others.
    pub(crate) fn cost_size(&self) -> u64 {
        match self {
            Self::String(text) => text.as_str().chars().count() as u64,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::List(list) => list.len() as u64,
            Self::Map(map) => map.len() as u64,
            Self::Optional(Some(value)) => value.cost_size(),
            other => other.size_in_bytes().unwrap_or(1),
        }
    }

    /// As [`Self::cost_size`], without looking into optional values.
    pub(crate) fn plain_size(&self) -> u64 {
        if let Self::Optional(_) = self { 1 } else { self.cost_size() }
    }

    fn size_in_bytes(&self) -> Option<u64> {
        match self {
            Self::Ip(IpAddr::V4(_)) => Some(4),
            Self::Ip(IpAddr::V6(_)) => Some(16),
            Self::Cidr(cidr) => Some(u64::from(cidr.bits.div_ceil(8))),
            _ => None,
        }
    }

    /// Whether it is the empty one of its type.
    pub(crate) fn is_zero(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(value) => !value,
            Self::Int(value) | Self::Duration(value) => *value == 0,
            Self::Uint(value) => *value == 0,
            Self::Double(value) => *value == 0.0,
            Self::String(text) => text.as_str().is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Timestamp(moment) => moment.is_first(),
            Self::List(list) => list.is_empty(),
            Self::Map(map) => map.is_empty(),
            Self::Typed(typed) => typed.fields.is_empty(),
            _ => false,
        }
    }
}

/// As Go prints it in messages.
impl fmt::Display for CelValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("0"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Uint(value) => write!(f, "{value}"),
            Self::Double(value) => f.write_str(&crate::go_text::shortest(*value)),
            Self::String(text) => f.write_str(text.as_str()),
            Self::Bytes(bytes) => write!(f, "{bytes:?}"),
            Self::Timestamp(moment) => write!(f, "{moment}"),
            Self::Duration(span) => f.write_str(&duration_text(*span)),
            Self::List(list) => write!(f, "[{} elements]", list.len()),
            Self::Map(map) => write!(f, "{{{} entries}}", map.len()),
            Self::Optional(None) => f.write_str("optional.none()"),
            Self::Optional(Some(value)) => write!(f, "optional({value})"),
            Self::Type(name) | Self::Object(name) | Self::Unreadable(name) => f.write_str(name),
            Self::Typed(typed) => f.write_str(&typed.name),
            Self::Rights(rights) => f.write_str(rights.type_name()),
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Cidr(cidr) => write!(f, "{cidr}"),
            Self::Url(url) => write!(f, "{url}"),
            Self::Quantity(quantity) => write!(f, "{quantity}"),
            Self::Semver(version) => write!(f, "{version}"),
            Self::Format(format) => f.write_str(format.name()),
        }
    }
}

impl From<Value> for CelValue {
    fn from(value: Value) -> Self {
        match value.view() {
            View::Undefined | View::Null => Self::Null,
            View::Bool(value) => Self::Bool(value),
            View::Number(number) => match (number.as_float(), number.as_i64()) {
                (None, Some(integer)) => Self::Int(integer),
                // API servers keep integers of more than 64 bits as floats.
                _ => Self::Double(number.to_f64()),
            },
            View::String(_) => Self::String(Text(value)),
            View::Array(_) => Self::List(List::Input(value)),
            View::Object(_) => Self::Map(Map::Input(value)),
            View::Set(set) => {
                Self::list(set.as_slice().iter().map(|item| Self::from(item.clone())).collect())
            }
        }
    }
}

impl From<&str> for CelValue {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for CelValue {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<bool> for CelValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&Literal> for CelValue {
    fn from(literal: &Literal) -> Self {
        match literal {
            Literal::Null => Self::Null,
            Literal::Bool(value) => Self::Bool(*value),
            Literal::Int(value) => Self::Int(*value),
            Literal::Uint(value) => Self::Uint(*value),
            Literal::Double(value) => Self::Double(*value),
            Literal::String(text) => Self::from(&**text),
            Literal::Bytes(bytes) => Self::Bytes(bytes.clone()),
        }
    }
}
