//! What assertions say of what was found.

use portcullis::Decision;
use portcullis_report::verify::{Failure, Status};
use portcullis_suite::Assertion;

/// Whether an assertion holds; if not, what came instead.
pub(in crate::commands) fn check(assertion: &Assertion, decision: &Decision<'_>) -> Option<Failure> {
    let said = decision.findings.iter().map(|finding| {
        let message = finding.message.to_owned();
        let line = if finding.is_error() {
            let name = &finding.result.key().name;
            format!("[{name}] could not be evaluated, which counts as a violation: {message}")
        } else {
            finding.line()
        };
        Said { message, line }
    });
    check_said(assertion, &said.collect::<Vec<_>>())
}

/// A violation, as it is counted and as it is shown.
pub(super) struct Said {
    pub(super) message: String,
    pub(super) line: String,
}

/// The same of violations that are no findings of constraints.
pub(super) fn check_said(assertion: &Assertion, said: &[Said]) -> Option<Failure> {
    let message = assertion.unmet(said.iter().map(|said| said.message.as_str()))?;
    Some(Failure {
        location: assertion.location.clone(),
        message,
        details: said.iter().map(|said| said.line.clone()).collect(),
        status: Status::Failed,
    })
}
