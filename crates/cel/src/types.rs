//! Types, and which of them go together.

use std::fmt;
use std::sync::Arc;

/// The type of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Known only when it is evaluated.
    Dyn,
    /// That of an expression that is wrong. It goes with everything, so that one mistake is reported once.
    Error,
    /// `null`.
    Null,
    /// `true` and `false`.
    Bool,
    /// Integers of 64 bits.
    Int,
    /// Integers of 64 bits without a sign.
    Uint,
    /// Floats of 64 bits.
    Double,
    /// Texts.
    String,
    /// Bytes.
    Bytes,
    /// Moments.
    Timestamp,
    /// Spans of time.
    Duration,
    /// A primitive type or null, as protobuf's wrappers are.
    Nullable(Arc<Type>),
    /// The type of a type, and of which one if that is known.
    Type(Option<Arc<Type>>),
    /// Lists of elements.
    List(Arc<Type>),
    /// Maps of keys and values.
    Map(Arc<(Type, Type)>),
    /// A value or none.
    Optional(Arc<Type>),
    /// `net.IP` and `net.CIDR`.
    Opaque(&'static str),
    /// Something with a name, and maybe fields: see [`Environment::with_object`](crate::Environment).
    Object(Arc<str>),
    /// A type that is found out when an expression is checked.
    #[doc(hidden)]
    Param(u32),
}

impl Type {
    /// Lists of such elements.
    #[must_use]
    pub fn list(of: Self) -> Self {
        Self::List(Arc::new(of))
    }

    /// Maps of such keys and values.
    #[must_use]
    pub fn map(key: Self, value: Self) -> Self {
        Self::Map(Arc::new((key, value)))
    }

    /// Such values, or none.
    #[must_use]
    pub fn optional(of: Self) -> Self {
        Self::Optional(Arc::new(of))
    }

    /// The type of this name.
    #[must_use]
    pub fn object(name: &str) -> Self {
        Self::Object(name.into())
    }

    pub(crate) fn type_of(of: Self) -> Self {
        Self::Type(Some(Arc::new(of)))
    }

    pub(crate) const fn is_dyn(&self) -> bool {
        matches!(self, Self::Dyn)
    }

    pub(crate) const fn is_dyn_or_error(&self) -> bool {
        matches!(self, Self::Dyn | Self::Error)
    }

    /// Its name when it is evaluated, without what it is made of.
    pub(crate) fn runtime_name(&self) -> &str {
        match self {
            Self::Dyn => "dyn",
            Self::Error => "error",
            Self::Null => "null_type",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::Duration => "google.protobuf.Duration",
            Self::Nullable(of) => of.runtime_name(),
            Self::Type(_) => "type",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Optional(_) => "optional_type",
            Self::Opaque(name) => name,
            Self::Object(name) => name,
            Self::Param(_) => "",
        }
    }

    /// The types that it is made of.
    pub(crate) fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Type(Some(of)) | Self::List(of) | Self::Optional(of) => vec![of],
            Self::Map(of) => vec![&of.0, &of.1],
            _ => Vec::new(),
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, left: &mut u32) -> fmt::Result {
        if *left == 0 {
            return f.write_str("...");
        }
        *left -= 1;
        let name = match self {
            Self::Duration => "duration",
            Self::Timestamp => "timestamp",
            Self::Error => "!error!",
            Self::Null => "null",
            Self::Nullable(of) => {
                f.write_str("wrapper(")?;
                of.write(f, left)?;
                return f.write_str(")");
            }
            Self::Param(0) => "A",
            Self::Param(1) => "B",
            Self::Param(number) => return write!(f, "_var{}", number - 2),
            _ => self.runtime_name(),
        };
        f.write_str(name)?;
        let parts = self.parts();
        if parts.is_empty() {
            return Ok(());
        }
        for (place, part) in parts.iter().enumerate() {
            f.write_str(if place == 0 { "(" } else { ", " })?;
            part.write(f, left)?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Parts of a type that are written: it may be far larger than what it is made of.
        const MAX_WRITTEN: u32 = 600;
        self.write(f, &mut { MAX_WRITTEN })
    }
}

/// Checking takes more work than it may.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooMuch;

/// What is known of the types that are found out, and how much work it was. Types share their parts, so that one
/// may be far larger than the text that makes it: all that goes over a type is counted.
#[derive(Clone, Debug)]
pub(crate) struct Unifier {
    found: Vec<Option<Type>>,
    /// Places of `found` that were changed, with what was there before, so that an attempt can be undone.
    changes: Vec<(u32, Option<Type>)>,
    work: u64,
}

/// Most types that are looked at for one expression.
const MAX_WORK: u64 = 2_000_000;

type Answer = Result<bool, TooMuch>;

impl Default for Unifier {
    fn default() -> Self {
        // What the types of lists and maps, as values, are of.
        Self { found: vec![None, None], changes: Vec::new(), work: 0 }
    }
}

impl Unifier {
    /// A type that is not known yet.
    pub(crate) fn fresh(&mut self) -> Type {
        let number = u32::try_from(self.found.len()).unwrap_or(u32::MAX);
        self.found.push(None);
        Type::Param(number)
    }

    fn count(&mut self) -> Result<(), TooMuch> {
        self.work += 1;
        if self.work > MAX_WORK { Err(TooMuch) } else { Ok(()) }
    }

    fn of(&self, number: u32) -> Option<&Type> {
        self.found.get(number as usize).and_then(Option::as_ref)
    }

    fn set(&mut self, number: u32, to: Type) {
        if let Some(place) = self.found.get_mut(number as usize) {
            self.changes.push((number, place.replace(to)));
        }
    }

    fn undo(&mut self, to: usize) {
        while self.changes.len() > to {
            let Some((number, before)) = self.changes.pop() else { return };
            if let Some(place) = self.found.get_mut(number as usize) {
                *place = before;
            }
        }
    }

    /// Whether a value of the first type may be where one of the second is needed. What is found out about
    /// types is kept only then.
    pub(crate) fn is_assignable(&mut self, from: &Type, to: &Type) -> Answer {
        self.are_assignable(std::slice::from_ref(from), std::slice::from_ref(to))
    }

    /// As [`Self::is_assignable`], for a list of each.
    pub(crate) fn are_assignable(&mut self, from: &[Type], to: &[Type]) -> Answer {
        let before = self.changes.len();
        let is = from.len() == to.len() && {
            let mut all = true;
            for (from, to) in from.iter().zip(to) {
                all = all && self.assignable(from, to)?;
            }
            all
        };
        if !is {
            self.undo(before);
        }
        Ok(is)
    }

    fn assignable(&mut self, one: &Type, two: &Type) -> Answer {
        self.count()?;
        if let Type::Param(_) = two {
            let (is, has_one) = self.may_be(one, two)?;
            if is || has_one {
                return Ok(is);
            }
        }
        if let Type::Param(_) = one {
            return Ok(self.may_be(two, one)?.0);
        }
        if one.is_dyn_or_error() || two.is_dyn_or_error() {
            return Ok(true);
        }
        Ok(match (one, two) {
            (Type::Null, other) | (other, Type::Null) => matches!(
                other,
                Type::Null
                    | Type::Optional(_)
                    | Type::Opaque(_)
                    | Type::Object(_)
                    | Type::Nullable(_)
                    | Type::Duration
                    | Type::Timestamp
            ),
            (Type::Type(_), Type::Type(_)) => true,
            (Type::List(one), Type::List(two)) | (Type::Optional(one), Type::Optional(two)) => {
                self.assignable(one, two)?
            }
            (Type::Map(one), Type::Map(two)) => {
                self.assignable(&one.0, &two.0)? && self.assignable(&one.1, &two.1)?
            }
            (Type::Nullable(one), Type::Nullable(two)) => one == two,
            (plain, Type::Nullable(of)) | (Type::Nullable(of), plain) => *plain == **of,
            _ => one == two,
        })
    }

    /// Whether one type may be what another, which is found out, stands for; and whether that stands for one
    /// already.
    fn may_be(&mut self, one: &Type, param: &Type) -> Result<(bool, bool), TooMuch> {
        if one == param {
            return Ok((true, true));
        }
        let Type::Param(number) = param else { return Ok((false, false)) };
        let Some(known) = self.of(*number).cloned() else {
            let is = self.is_free_of(param, one)?;
            if is {
                self.set(*number, one.clone());
            }
            return Ok((is, false));
        };
        if self.is_same(one, &known)? {
            return Ok((true, true));
        }
        if !self.assignable(one, &known)? {
            return Ok((false, true));
        }
        let general = self.most_general(one, &known)?;
        if self.is_free_of(param, &general)? {
            self.set(*number, general);
        }
        Ok((true, true))
    }

    /// Whether both are the same, with what it costs to see that.
    pub(crate) fn is_same(&mut self, one: &Type, two: &Type) -> Answer {
        self.count()?;
        let (ones, twos) = (one.parts(), two.parts());
        if ones.is_empty()
            || ones.len() != twos.len()
            || std::mem::discriminant(one) != std::mem::discriminant(two)
        {
            return Ok(ones.len() == twos.len() && one == two);
        }
        for (one, two) in ones.iter().zip(twos) {
            if !self.is_same(one, two)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a type that is found out is no part of another, so that none is a part of itself.
    fn is_free_of(&mut self, param: &Type, within: &Type) -> Answer {
        self.count()?;
        if param == within {
            return Ok(false);
        }
        if let Type::Param(number) = within {
            return match self.of(*number).cloned() {
                Some(known) => self.is_free_of(param, &known),
                None => Ok(true),
            };
        }
        for part in within.parts() {
            if !self.is_free_of(param, part)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The more general of two types that go together.
    pub(crate) fn most_general(&mut self, one: &Type, two: &Type) -> Result<Type, TooMuch> {
        Ok(if self.is_as_general(one, two)? { one.clone() } else { two.clone() })
    }

    fn is_as_general(&mut self, one: &Type, two: &Type) -> Answer {
        self.count()?;
        if matches!(one, Type::Dyn | Type::Param(_)) {
            return Ok(true);
        }
        if matches!(two, Type::Dyn | Type::Param(_)) {
            return Ok(false);
        }
        Ok(match (one, two) {
            (Type::Optional(one), Type::Optional(two)) | (Type::List(one), Type::List(two)) => {
                self.is_as_general(one, two)?
            }
            (Type::Map(one), Type::Map(two)) => {
                self.is_as_general(&one.0, &two.0)? && self.is_as_general(&one.1, &two.1)?
            }
            (Type::Type(_), Type::Type(_)) => true,
            _ => one == two,
        })
    }

    /// The type with what was found out in it; what was not becomes [`Type::Dyn`] if it is asked for.
    pub(crate) fn resolve(&mut self, ty: &Type, to_dyn: bool) -> Result<Type, TooMuch> {
        self.count()?;
        Ok(match ty {
            Type::Param(number) => match self.of(*number).cloned() {
                Some(known) => self.resolve(&known, to_dyn)?,
                None if to_dyn => Type::Dyn,
                None => ty.clone(),
            },
            Type::Type(Some(of)) => Type::type_of(self.resolve(of, to_dyn)?),
            Type::List(of) => Type::list(self.resolve(of, to_dyn)?),
            Type::Optional(of) => Type::optional(self.resolve(of, to_dyn)?),
            Type::Map(of) => Type::map(self.resolve(&of.0, to_dyn)?, self.resolve(&of.1, to_dyn)?),
            _ => ty.clone(),
        })
    }
}

/// The type with other parameters: those of an overload become types that are found out.
pub(crate) fn instantiate(ty: &Type, params: &[Type]) -> Type {
    match ty {
        Type::Param(number) => params.get(*number as usize).cloned().unwrap_or(Type::Dyn),
        Type::Type(Some(of)) => Type::type_of(instantiate(of, params)),
        Type::List(of) => Type::list(instantiate(of, params)),
        Type::Optional(of) => Type::optional(instantiate(of, params)),
        Type::Map(of) => Type::map(instantiate(&of.0, params), instantiate(&of.1, params)),
        _ => ty.clone(),
    }
}

/// A type of a signature in the table of functions: `list(A)`, `optional(map(K, V))`.
pub(crate) fn signature_type(text: &str) -> Type {
    let text = text.trim();
    if let Some((name, inside)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        return match name {
            "list" => Type::list(signature_type(inside)),
            "optional" => Type::optional(signature_type(inside)),
            "type" => Type::type_of(signature_type(inside)),
            _ => {
                let mut parts = signature_types(inside).into_iter();
                let key = parts.next().unwrap_or(Type::Dyn);
                Type::map(key, parts.next().unwrap_or(Type::Dyn))
            }
        };
    }
    match text {
        "dyn" => Type::Dyn,
        "null" => Type::Null,
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "timestamp" => Type::Timestamp,
        "duration" => Type::Duration,
        "ip" => Type::Opaque("net.IP"),
        "cidr" => Type::Opaque("net.CIDR"),
        "A" | "K" | "T" => Type::Param(0),
        "B" | "V" => Type::Param(1),
        name => Type::object(name),
    }
}

/// Types that are separated by commas.
pub(crate) fn signature_types(text: &str) -> Vec<Type> {
    let (mut types, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                types.push(signature_type(text.get(start..at).unwrap_or_default()));
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = text.get(start..).unwrap_or_default();
    if !last.trim().is_empty() {
        types.push(signature_type(last));
    }
    types
}
