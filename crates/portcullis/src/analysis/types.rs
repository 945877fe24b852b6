//! What the types of a template's values say: that it can never work. OPA refuses such templates, and so
//! Gatekeeper does.

use portcullis_rego_syntax::types;
use portcullis_rego_syntax::{DiagnosticCode, Module, Names};

use super::call_graph::ParsedModule;
use super::template_rules::locate;
use crate::document::Document;
use crate::error::{Error, ErrorKind};

/// Most findings of one template.
const MAX_SHOWN: usize = 100;

/// Checks the modules of a template together. Each must be sound by itself, and no rule may need itself.
pub(super) fn check(modules: &[ParsedModule<'_>], document: &Document) -> Vec<Error> {
    let units: Vec<(&Module, &Names)> =
        modules.iter().map(|parsed| (&parsed.module, &parsed.names)).collect();
    let checked = types::check(&units);
    let mut errors = Vec::new();
    for (number, finding) in checked.findings.iter().take(MAX_SHOWN) {
        let kind = match finding.code {
            DiagnosticCode::Type => ErrorKind::TypeError,
            _ => ErrorKind::Rego,
        };
        let message = format!("{}: {}", finding.code.class(), finding.message);
        let location = modules.get(*number).and_then(|parsed| locate(document, parsed.text, finding.span));
        errors.push(Error::new(kind, message).maybe_hint(finding.hint.clone()).at(location));
    }
    let left_out = checked.findings.len().saturating_sub(MAX_SHOWN);
    if left_out > 0 {
        let message = format!("{left_out} more errors of this kind are not shown");
        errors.push(Error::new(ErrorKind::TypeError, message).at(document.location()));
    }
    if !checked.is_complete {
        let message = "finding the types of this template's values takes too much work";
        let hint = "make it smaller: comprehensions within comprehensions and large tables cost most";
        errors.push(Error::new(ErrorKind::Limit, message).hint(hint).at(document.location()));
    }
    errors
}

/// The findings that say something else than the errors of the types: not those of the same lines, nor what
/// follows from them.
#[cfg(feature = "lint")]
pub(super) fn without_repeats(found: Vec<Error>, errors: &[Error]) -> Vec<Error> {
    let wrong: Vec<_> = errors
        .iter()
        .filter(|error| error.kind() == ErrorKind::TypeError)
        .filter_map(|error| error.location())
        .collect();
    if wrong.is_empty() {
        return found;
    }
    let is_repeated = |error: &Error| {
        let Some(location) = error.location() else { return false };
        let overlaps = |other: &crate::source::Location| {
            let (a, b) = (location.range(), other.range());
            location.source() == other.source()
                && a.start < b.end.max(b.start + 1)
                && b.start < a.end.max(a.start + 1)
        };
        error.kind() == ErrorKind::NeverFires || wrong.iter().any(|other| overlaps(other))
    };
    found.into_iter().filter(|error| !is_repeated(error)).collect()
}
