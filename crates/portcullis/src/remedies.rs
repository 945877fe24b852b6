//! Findings that have one obvious [`Remedy`], and files with all of these put in.
//!
//! ```text
//! problems of a file ── their remedies ──> edits ──> new text ── read again ──> the same but for its Rego
//! ```
//!
//! A remedy changes no verdict: it takes out what nothing uses, or gives what is used its newer name. All that
//! may change what a policy does is left to its author.

use std::sync::Arc;

use portcullis_rego_syntax::parse;
use serde_json::Value;

use crate::document::Document;
use crate::error::{Error, Remedy, Severity};
use crate::layout::{Edit, edited, embedded, put};
use crate::limits::Limits;
use crate::source::Source;

/// A file with the remedies of its problems put in.
#[derive(Clone, Debug)]
pub struct Remedied {
    source: Arc<Source>,
    text: Option<String>,
    done: Vec<Error>,
    left: Vec<(Error, &'static str)>,
}

const SHARES_ITS_LINE: &str = "there is more on its line";
const ELSEWHERE: &str = "it is written in a form that is not edited";
const TOUCHED: &str = "another finding is about the same text";
const UNREAD: &str = "the edited file would not be read as it should be";

impl Remedied {
    /// Puts the remedies of problems into the file that they are about. Others are passed over.
    #[must_use]
    pub fn new(source: &Arc<Source>, problems: &[Error], limits: &Limits) -> Self {
        let mut remedied = Self { source: source.clone(), text: None, done: Vec::new(), left: Vec::new() };
        let text = source.text();
        let mut edits: Vec<Edit> = Vec::new();
        for problem in problems {
            let (Some(remedy), Some(location)) = (problem.remedy(), problem.location()) else { continue };
            if location.file() != source.name() {
                continue;
            }
            match edit(text, location.range().start as usize..location.range().end as usize, remedy) {
                Ok(edit) if edits.iter().any(|other| overlap(other, &edit)) => {
                    remedied.left.push((problem.clone(), TOUCHED));
                }
                Ok(edit) => {
                    edits.push(edit);
                    remedied.done.push(problem.clone());
                }
                Err(why) => remedied.left.push((problem.clone(), why)),
            }
        }
        if edits.is_empty() {
            return remedied;
        }
        let new = edited(text, edits);
        if is_same_but_for_rego(source, &new, limits) {
            remedied.text = Some(new);
        } else {
            let done = std::mem::take(&mut remedied.done);
            remedied.left.extend(done.into_iter().map(|problem| (problem, UNREAD)));
        }
        remedied
    }

    /// The text that was given.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The text with the remedies; none if there is none that could be put in.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The problems whose remedies are in the text.
    #[must_use]
    pub fn done(&self) -> &[Error] {
        &self.done
    }

    /// Those whose remedies are not, and why.
    #[must_use]
    pub fn left(&self) -> &[(Error, &'static str)] {
        &self.left
    }
}

fn overlap(a: &Edit, b: &Edit) -> bool {
    a.range.start < b.range.end && b.range.start < a.range.end
}

/// The edit that a remedy is, at its place in a file.
fn edit(text: &str, range: std::ops::Range<usize>, remedy: &Remedy) -> Result<Edit, &'static str> {
    let old = text.get(range.clone()).filter(|old| !old.is_empty()).ok_or(ELSEWHERE)?;
    match remedy {
        Remedy::Write(new) => {
            // What was found is a name; anything else is not where it seems to be.
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
            if old.chars().all(is_name) { Ok(Edit { range, new: new.clone() }) } else { Err(ELSEWHERE) }
        }
        Remedy::TakeOut => {
            let start = text.get(..range.start).ok_or(ELSEWHERE)?.rfind('\n').map_or(0, |end| end + 1);
            let rest = text.get(range.end..).ok_or(ELSEWHERE)?;
            let mut end = rest.find('\n').map_or(text.len(), |end| range.end + end + 1);
            let line = text.get(start..end).ok_or(ELSEWHERE)?;
            if line.trim() != old {
                return Err(if old.contains('\n') { ELSEWHERE } else { SHARES_ITS_LINE });
            }
            // No two blank lines where one stood before and one behind.
            let before = text.get(..start).unwrap_or_default().lines().next_back();
            let behind = text.get(end..).unwrap_or_default().split_inclusive('\n').next().unwrap_or_default();
            if before.is_none_or(|line| line.trim().is_empty()) && behind.trim().is_empty() {
                end += behind.len();
            }
            Ok(Edit { range: start..end, new: String::new() })
        }
    }
}

/// Whether a text is read as the one that it was made of, but for its Rego; and that is Rego still.
fn is_same_but_for_rego(source: &Arc<Source>, new: &str, limits: &Limits) -> bool {
    let plain = |source: &Arc<Source>| {
        let (documents, problems) = Document::read_source(source, limits);
        let is_read = problems.iter().all(|problem| problem.severity() != Severity::Error);
        let mut is_rego = true;
        let documents: Vec<Value> = documents
            .iter()
            .map(|document| {
                let mut value = document.to_json();
                for found in embedded(&value, &mut Vec::new(), document) {
                    is_rego &= parse(&found.text, found.version.into()).diagnostics.is_empty();
                    put(&mut value, &found.path, "");
                }
                value
            })
            .collect();
        (documents, is_read, is_rego)
    };
    let (before, ..) = plain(source);
    let (after, is_read, is_rego) = plain(&Source::new(source.name().clone(), new));
    is_read && is_rego && before == after
}
