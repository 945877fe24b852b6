//! What is wrong with a text, as a rule and a place. Sentences are for the caller to make.

/// A rule of YAML that a text breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The rule.
    pub rule: Rule,
    /// Byte offset of the place where the reader noticed.
    pub at: usize,
    /// Byte offset of the key, scalar, collection or directive that it is about.
    pub start: usize,
}

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Rule {
    Control,
    ByteOrderMark,
    /// No token begins with this character.
    Character,
    KeyWithoutColon,
    EntryNotAllowed,
    KeyNotAllowed,
    ValueNotAllowed,
    TooDeep,
    DirectiveName,
    DirectiveValue,
    DirectiveEnd,
    DuplicateDirective,
    Version,
    AnchorName,
    Tag,
    TagEnd,
    TagHandle,
    BlockHeader,
    BlockIndentationZero,
    BlockTab,
    QuoteUnclosed,
    /// `---` or `...` inside of a quoted text.
    QuoteIndicator,
    Escape,
    EscapeDigits,
    EscapeCharacter,
    PlainTab,
    DocumentStart,
    NodeExpected,
    BlockEntryExpected,
    BlockKeyExpected,
    FlowSequenceSeparator,
    FlowMappingSeparator,
}
