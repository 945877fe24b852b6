//! The compiled form of a schema, and the position of a walk through a schema or a value.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_value::pattern::Pattern;

use super::format::Format;
use super::kind::{Kind, Type};
use crate::cel::Program;
use crate::path::{FieldPath, Segment};
use crate::value::Value;

/// One schema of the tree. The default value is a schema that accepts any scalar and has no fields.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub kind: Kind,
    pub nullable: bool,
    /// Fields that `properties` does not name are kept, and are not unknown.
    pub preserve_unknown: bool,
    /// The value is an object with `apiVersion`, `kind` and `metadata`, whatever `properties` says.
    pub embedded_resource: bool,
    /// Never null: a null default is not a default.
    pub default: Option<Value>,
    pub properties: BTreeMap<Arc<str>, Arc<Node>>,
    pub additional: Option<Additional>,
    pub items: Option<Arc<Node>>,
    pub list: List,
    pub rules: Rules,
    /// What a text is in rules of CEL.
    pub spoken: Spoken,
    pub validations: Validations,
}

/// The rules in CEL of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Validations {
    pub own: Vec<Rule>,
    /// Whether there are any here or below.
    pub anywhere: bool,
}

/// A rule in CEL: `x-kubernetes-validations`.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub text: Arc<str>,
    pub program: Program,
    pub message: Option<Arc<str>>,
    pub message_expression: Option<Program>,
    /// Where below the value the problem is that it tells: names of fields, and keys.
    pub place: Box<[Arc<str>]>,
    /// What `oldSelf` is where there is no older value.
    pub old: Old,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Old {
    /// It is not read.
    Unread,
    /// The rule says nothing of a value that is new.
    Needed,
    /// It is an optional value, and there is none.
    Optional,
}

/// What a text of a format is in rules of CEL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Spoken {
    #[default]
    Text,
    /// A day: the moment at which it begins.
    Date,
    /// A moment.
    Time,
    /// A span of time.
    Duration,
    /// Bytes, written in base64.
    Bytes,
}

impl Node {
    /// Accepts everything.
    pub(super) fn permissive() -> Self {
        Self { preserve_unknown: true, ..Self::default() }
    }

    /// The schemas of its parts.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Arc<Self>> {
        let each = match &self.additional {
            Some(Additional::Each(each)) => Some(each),
            _ => None,
        };
        self.properties.values().chain(&self.items).chain(each)
    }

    pub(super) fn is_object(&self) -> bool {
        self.kind == Kind::One(Type::Object)
    }
}

/// The value of `additionalProperties`.
#[derive(Clone, Debug)]
pub(super) enum Additional {
    /// `false`: no further keys.
    Closed,
    /// `true`: any key. What is below it is undescribed, so that pruning empties objects there.
    Open,
    Each(Arc<Node>),
}

/// The value of `x-kubernetes-list-type`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum List {
    #[default]
    Atomic,
    /// No element twice.
    Set,
    /// No two elements with the same values of these keys.
    Map(Vec<Arc<str>>),
}

/// Everything that restricts a value besides its type.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// Empty: no restriction.
    pub allowed: Vec<Value>,
    pub minimum: Option<Bound>,
    pub maximum: Option<Bound>,
    pub multiple_of: Option<Value>,
    pub length: Range,
    pub pattern: Option<Pattern>,
    pub format: Option<Format>,
    pub item_count: Range,
    pub property_count: Range,
    pub required: Vec<Arc<str>>,
    pub all_of: Vec<Node>,
    pub any_of: Vec<Node>,
    pub one_of: Vec<Node>,
    pub not: Option<Arc<Node>>,
}

impl Rules {
    /// The schemas in `allOf`, `anyOf`, `oneOf` and `not`, with their keyword.
    pub(super) fn nested(&self) -> impl Iterator<Item = (&'static str, &Node)> {
        let tagged = |keyword| move |node| (keyword, node);
        (self.all_of.iter().map(tagged("allOf")))
            .chain(self.any_of.iter().map(tagged("anyOf")))
            .chain(self.one_of.iter().map(tagged("oneOf")))
            .chain(self.not.iter().map(|node| ("not", &**node)))
    }
}

/// A smallest or largest number.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub value: Value,
    pub exclusive: bool,
}

/// How many there may be; both ends are inclusive.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Range {
    pub min: Option<u64>,
    pub max: Option<u64>,
}

/// Where a walk is. Lives on the stack; a path is built only when there is a problem to report.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    Root,
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl<'a> At<'a> {
    pub(super) fn key(&'a self, key: &'a str) -> Self {
        At::Key(self, key)
    }

    pub(super) fn index(&'a self, index: usize) -> Self {
        At::Index(self, index)
    }

    pub(super) fn path(&self) -> FieldPath {
        let mut segments = Vec::new();
        let mut here = self;
        loop {
            here = match here {
                At::Root => break,
                At::Key(parent, key) => {
                    segments.push(Segment::from(*key));
                    parent
                }
                At::Index(parent, index) => {
                    segments.push(Segment::from(*index));
                    parent
                }
            };
        }
        segments.into_iter().rev().collect()
    }
}
