//! What the samples of a suite come to in the other language of a template that has two.

use portcullis::{ConstraintResult, Decision, Engine, Outcome, PolicySet, Verdict};
use portcullis_report::verify::{Failure, Status};
use portcullis_suite::Case;

use super::assertions::check;
use super::compiled::engine_of;
use crate::commands::second::Tally;

/// What sentences begin with about a template's other language, and about what it says.
const THE_OTHER: &str = "the template's ";
const IN_THE_OTHER: &str = "in the template's ";

/// Whether a failure is about what the other language says.
pub(super) fn is_about_other(failure: &Failure) -> bool {
    failure.message.starts_with(THE_OTHER) || failure.message.starts_with(IN_THE_OTHER)
}

/// What a case comes to in the other language of its template, where that is not what it should come to, or
/// does come to in the first.
pub(super) fn otherwise_in(
    other: &PolicySet,
    case: &Case,
    ours: &Outcome,
    theirs: &Outcome,
    tally: Option<&Tally>,
) -> Vec<Failure> {
    let language = engine_of(other).map_or("other language", |engine| match engine {
        Engine::Rego => "Rego",
        Engine::Cel => "CEL",
    });
    let decision = Decision::from(theirs);
    let mut found: Vec<Failure> = case
        .assertions
        .iter()
        .filter_map(|assertion| check(assertion, &decision))
        .map(|failure| Failure {
            message: format!("{IN_THE_OTHER}{language}: {}", failure.message),
            ..failure
        })
        .collect();
    let differs = |(ours, theirs): (&ConstraintResult, &ConstraintResult)| {
        let (here, there) = (verdict(&ours.verdict), verdict(&theirs.verdict));
        (here != there).then(|| {
            let name = &ours.key().name;
            format!("[{name}] {there} in the template's {language}, where it {here} in what is run")
        })
    };
    if found.is_empty() {
        let details: Vec<String> = ours.results.iter().zip(&theirs.results).filter_map(differs).collect();
        if !details.is_empty() {
            let message = format!("{THE_OTHER}{language} says otherwise");
            found.push(Failure { location: case.location.clone(), message, details, status: Status::Failed });
        }
    }
    if let Some(tally) = tally {
        let said = |outcome: &Outcome| -> Vec<String> {
            let decision = Decision::from(outcome);
            decision.findings.iter().map(|finding| finding.message.to_owned()).collect()
        };
        tally.count_languages(found.is_empty(), said(ours) == said(theirs));
    }
    found
}

/// What a verdict is, in a word.
fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "passes",
        Verdict::Violations(_) => "is violated",
        Verdict::Excepted { .. } => "is excepted",
        Verdict::Error(_) => "cannot be evaluated",
    }
}
