//! Rego text in, the same module laid out as `opa fmt` does it out.
//!
//! ```text
//! text --parse--> Module --rules, bodies, terms--> page --finish--> text --parse, same--> the same?
//! ```
//!
//! Where lines break is up to the author: a list, a body or a `with` that goes over lines in the source
//! goes over lines in the result. Everything else is decided here: indentation by tabs, blank lines,
//! spaces, brackets or dots, parentheses, the order of imports. Comments stay beside or above what they
//! were beside or above.
//!
//! Formatting never changes what a module says. The result is parsed and compared with the source, tree
//! for tree and comment for comment; on any difference there is an error and no text.
//!
//! Where `opa fmt` itself would change the meaning, move a comment out of its rule, or not come to rest
//! after one run, this differs from it on purpose.

mod bodies;
mod page;
mod rules;
mod same;
mod terms;
mod upgrade;

use std::fmt;

use crate::ast::{Head, Import, Module, Version};
use crate::diagnostic::Diagnostic;
use crate::parse::parse;

use page::Page;
pub use upgrade::upgrade;

/// Why a text was not formatted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// It is not a module of the language: all findings of the parser, in text order; never empty.
    Syntax(Vec<Diagnostic>),
    /// The result would not have said the same as the text. A fault of the formatter, caught by it.
    WouldChange,
    /// It has something that there is not in v1: all findings, in text order; never empty. Only of [`upgrade`].
    NotInV1(Vec<Diagnostic>),
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(diagnostics) | Self::NotInV1(diagnostics) => match diagnostics.first() {
                Some(diagnostic) => write!(f, "{diagnostic}"),
                None => f.write_str("not a module"),
            },
            Self::WouldChange => f.write_str(
                "formatting would change what the module says, so it is left as it is; please report it",
            ),
        }
    }
}

impl std::error::Error for FormatError {}

/// Formats one module as `opa fmt` does: v1 as by default, v0 as with `--v0-compatible`.
///
/// The result ends in one line break and has no carriage returns but those in raw strings.
///
/// # Errors
///
/// [`FormatError::Syntax`] if the text is not a module of that version.
///
/// # Cost
///
/// Linear in the text for all but hostile nesting of comments, where it is times
/// [`MAX_NESTING`](crate::MAX_NESTING).
///
/// ```
/// use portcullis_rego_syntax::{Version, format};
///
/// let text = "package k\nallow if{input.x==1 # why\n}";
/// assert_eq!(format::format(text, Version::V1).unwrap(), "package k\n\nallow if input.x == 1 # why\n");
/// ```
pub fn format(text: &str, version: Version) -> Result<String, FormatError> {
    let (mut module, diagnostics) = parse(text, version);
    if !diagnostics.is_empty() {
        return Err(FormatError::Syntax(diagnostics));
    }
    let style = Style::of(&module);
    let keeps = |import: &Import| style.keeps(import);
    let is_strict = module.strict;
    let form = same::normal_form(&module, is_strict, keeps);
    let comments = same::comments(&module, text);
    let mut last = text.to_owned();
    for _ in 0..MAX_RUNS {
        let next = write(&last, &module, style).ok_or(FormatError::WouldChange)?;
        if next == last {
            return Ok(next);
        }
        let (again, diagnostics) = parse(&next, version);
        let is_same = diagnostics.is_empty()
            && same::normal_form(&again, is_strict, keeps) == form
            && same::comments(&again, &next) == comments;
        if !is_same {
            return Err(FormatError::WouldChange);
        }
        (last, module) = (next, again);
    }
    Err(FormatError::WouldChange)
}

/// A comment that finds a better place in one run may let its surroundings be laid out in the next. That
/// ends soon: each such run has one more line break or one fewer comment within a line.
const MAX_RUNS: usize = 16;

fn write(text: &str, module: &Module, style: Style) -> Option<String> {
    let mut printer = Printer { page: Page::new(text, module), style, is_behind_if: false };
    printer.module(module).ok()?;
    Some(printer.page.finish())
}

/// Writes nodes of a tree to a page.
struct Printer<'m> {
    page: Page<'m>,
    style: Style,
    /// The next statement is the first behind `if {`.
    is_behind_if: bool,
}

/// What the module as a whole says about how its rules are written.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "facts about a module, each on its own")]
struct Style {
    /// Rego v1.
    v1: bool,
    /// Bodies are written with `if`.
    ifs: bool,
    /// Sets are written with `contains`.
    contains: bool,
    /// `import rego.v1` makes all imports of keywords superfluous.
    imports_rego_v1: bool,
    /// In v1, that import is superfluous, too.
    is_upgraded: bool,
    /// Some rule's head has so many segments that all are written with dots.
    has_long_heads: bool,
    /// The words that came with v1 and are keywords here: `contains`, `every`, `if`, `in`.
    keywords: [bool; 4],
}

const FUTURE: [&str; 4] = ["contains", "every", "if", "in"];

impl Style {
    fn of(module: &Module) -> Self {
        let v1 = module.version == Version::V1;
        let mut style = Self {
            v1,
            ifs: v1,
            contains: v1,
            imports_rego_v1: false,
            is_upgraded: false,
            has_long_heads: module.rules.iter().any(|rule| is_long(&rule.head)),
            keywords: [v1; 4],
        };
        for import in &module.imports {
            match import.segments().as_slice() {
                ["rego", "v1"] => {
                    style.imports_rego_v1 = true;
                    style.ifs = true;
                    style.contains = true;
                }
                ["future", "keywords"] => {
                    style.ifs = true;
                    style.contains = true;
                }
                ["future", "keywords", keyword] => {
                    style.ifs |= *keyword == "if";
                    style.contains |= *keyword == "contains";
                    for (known, is_keyword) in FUTURE.iter().zip(style.keywords.iter_mut()) {
                        *is_keyword |= known == keyword;
                    }
                }
                _ => {}
            }
        }
        style
    }

    /// The same module in v1.
    const fn upgraded(self) -> Self {
        Self { v1: true, ifs: true, contains: true, is_upgraded: true, keywords: [true; 4], ..self }
    }

    /// Whether a string is bracketed as a segment if it was so: `x["if"]`.
    fn is_keyword(&self, text: &str) -> bool {
        const ALWAYS: [&str; 11] =
            ["as", "default", "else", "false", "import", "not", "null", "package", "some", "true", "with"];
        ALWAYS.contains(&text)
            || FUTURE.iter().zip(self.keywords).any(|(known, is_keyword)| is_keyword && *known == text)
    }

    /// Whether an import stays.
    fn keeps(&self, import: &Import) -> bool {
        match import.path.first().map(|root| root.text.as_str()) {
            Some("future") => !(self.imports_rego_v1 || self.is_upgraded),
            Some("rego") => !self.is_upgraded,
            _ => true,
        }
    }
}

fn is_long(head: &Head) -> bool {
    head.path.len() > 1 || head.path.len() == 1 && head.key.is_some()
}
