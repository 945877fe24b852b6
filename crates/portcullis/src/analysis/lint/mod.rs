//! What is wrong with a template's Rego although it compiles: conditions that are never true, arguments that
//! do not fit, what nothing uses. Every finding is certain from the text and the template's schema alone;
//! what cannot be decided is not reported.
//!
//! ```text
//! call graph --program--> what `violation` needs, what variables stand for
//!                            |--never----> conditions that never hold, a `violation` that never fires
//!                            |--violation> elements of `violation` without a `msg`
//!                            |--calls----> patterns, formats, deprecated builtins
//!                            \--unused---> imports, locals, rules, libraries; shadowed names
//! ```

mod calls;
mod constant;
mod explain;
mod facts;
mod format;
mod never;
mod program;
mod shape;
mod unused;
mod violation;

use crate::analysis::call_graph::CallGraph;
use crate::document::Document;
use crate::error::{Error, ErrorKind, Severity};
use crate::schema::Schema;

pub use explain::Explanation;
use program::Program;

/// Checks a template. `errors` is what is known to be wrong with them: what would only follow
/// from it is left out, and what turns out to be worse than it looked becomes an error.
pub(super) fn check(
    graph: &CallGraph<'_>,
    schema: Option<&Schema>,
    document: &Document,
    errors: &mut Vec<Error>,
) {
    let program = Program::new(graph, schema, document);
    let mut found = calls::check(&program);
    found.extend(violation::check(&program));
    found.extend(never::check_parameters(&program));
    found.extend(never::check_conditions(&program));
    let never = never::check_violation(&program);
    let is_certain = never.as_ref().is_some_and(|error| error.severity() == Severity::Error);
    let is_unknown = |known: &Error| known.kind() == ErrorKind::UnknownInput;
    let is_said = errors.iter().any(|known| is_unknown(known) && known.severity() == Severity::Error);
    // That it never fires is what these mean, and they say why.
    let is_meant = errors.iter().any(is_unknown) && (is_certain || never::sees_no_review(&program));
    match (is_said, is_meant) {
        (true, _) => {}
        (false, true) => errors.iter_mut().filter(|known| is_unknown(known)).for_each(Error::make_error),
        (false, false) => found.extend(never),
    }
    // A name that is misspelt, or a rule that does not parse, leaves others without a use.
    let known = |kind| errors.iter().any(|error| error.severity() == Severity::Error && error.kind() == kind);
    if !known(ErrorKind::Rego) && !known(ErrorKind::TemplateRule) {
        found.extend(never::check_libraries(&program));
        found.extend(unused::check(&program));
    }
    let found = super::types::without_repeats(limited(found, document), errors);
    errors.extend(found);
}

/// The findings that have a place. Errors are kept without one: the policy must not be used.
fn limited(mut found: Vec<Error>, document: &Document) -> Vec<Error> {
    let all = found.len();
    found.retain(|error| error.location().is_some() || error.severity() == Severity::Error);
    let left_out = all - found.len();
    if left_out > 0 {
        let message = format!("{left_out} more findings about this template are not shown");
        let hint = "fix those that are, and look again";
        found.push(Error::warning(ErrorKind::Limit, message).hint(hint));
    }
    found
        .into_iter()
        .map(|error| if error.location().is_some() { error } else { error.at(document.location()) })
        .collect()
}
