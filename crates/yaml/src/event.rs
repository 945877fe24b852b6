//! What a document consists of.

use std::borrow::Cow;
use std::ops::Range;

use crate::token::Style;

/// A piece of a document, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A document begins.
    DocumentStart,
    /// The document has ended; others may follow, which the clients of Kubernetes do not read.
    DocumentEnd {
        /// By a line `...`.
        marked: bool,
    },
    /// Nothing follows.
    StreamEnd,
    /// `*name`.
    Alias(&'a str),
    /// A text, number, word or nothing.
    Scalar {
        /// What is written, without quotes, escapes and indentation.
        text: Cow<'a, str>,
        /// How it is written.
        style: Style,
        /// Anchor and tag.
        properties: Properties<'a>,
    },
    /// A list begins.
    SequenceStart(Properties<'a>),
    /// A list has ended.
    SequenceEnd,
    /// A mapping begins; keys and values follow in turn.
    MappingStart(Properties<'a>),
    /// A mapping has ended.
    MappingEnd,
}

/// What may stand before a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties<'a> {
    /// The name after `&`.
    pub anchor: Option<&'a str>,
    /// The whole tag, such as `tag:yaml.org,2002:str` for `!!str`, or `!`. Of one whose directive is longer
    /// than a thousand bytes, these only.
    pub tag: Option<Cow<'a, str>>,
}

/// An event and where it is: the bytes of the node without anchor and tag. What is not written has no width;
/// nor have the start and end of a list or mapping without brackets, which start where their first item or
/// key does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<'a> {
    /// What.
    pub event: Event<'a>,
    /// Where.
    pub range: Range<usize>,
}
