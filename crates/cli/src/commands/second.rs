//! `--cross-check`: a second evaluator is asked as well, and what it says otherwise is an error.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis::{
    ConstraintResult, Error, ErrorKind, Inventory, Location, Outcome, PolicySet, Review, World,
};
use portcullis_cross_check::{Comparison, CrossCheck, Engines};

/// How many evaluations were compared, in a run.
#[derive(Debug, Default)]
pub struct Tally {
    same: AtomicUsize,
    different: AtomicUsize,
    not_compared: AtomicUsize,
    /// Reviews by both languages of a template: that agree word by word, in other words, and that do not.
    same_words: AtomicUsize,
    other_words: AtomicUsize,
    other_verdict: AtomicUsize,
}

impl Tally {
    fn count(&self, comparison: &Comparison) {
        let counter = match comparison {
            Comparison::Same => &self.same,
            Comparison::Different { .. } => &self.different,
            Comparison::NotCompared(_) => &self.not_compared,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a review by both languages of a template.
    pub fn count_languages(&self, agree: bool, in_the_same_words: bool) {
        let counter = match (agree, in_the_same_words) {
            (false, _) => &self.other_verdict,
            (true, true) => &self.same_words,
            (true, false) => &self.other_words,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A line or two for people, on standard error: it is about the run, and no part of the report.
    pub fn write(&self) {
        let number = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let all = number(&self.same) + number(&self.different) + number(&self.not_compared);
        // Only a courtesy: what differs is in the report.
        let _ = writeln!(
            anstream::stderr(),
            "cross-check by regorus: {} of {all} evaluations agree, {} differ, {} not compared",
            number(&self.same),
            number(&self.different),
            number(&self.not_compared)
        );
        let (same, other) = (number(&self.same_words), number(&self.other_words));
        let different = number(&self.other_verdict);
        if same + other + different > 0 {
            let _ = writeln!(
                anstream::stderr(),
                "templates in CEL and Rego: {} of {} cases agree in both ({other} in other words), {different} differ",
                same + other,
                same + other + different
            );
        }
    }
}

/// The second evaluator of a policy set, if it is to be asked.
pub struct Second<'a> {
    engines: Engines,
    tally: &'a Tally,
}

impl<'a> Second<'a> {
    /// Compiles the policies once more.
    pub fn new(policies: &PolicySet, timeout: Duration, tally: &'a Tally) -> Self {
        Self { engines: Engines::new(policies, timeout), tally }
    }

    /// What counts its answers.
    pub const fn tally(&self) -> &'a Tally {
        self.tally
    }

    /// Gives it what policies may compare with.
    pub fn with(&self, inventory: &Inventory) -> Opinion<'a> {
        Opinion { check: self.engines.with(inventory), tally: self.tally }
    }
}

/// The second evaluator, ready to be asked.
pub struct Opinion<'a> {
    check: CrossCheck,
    tally: &'a Tally,
}

impl Opinion<'_> {
    /// Asks again for every result of an outcome. What differs is an error at `place`; what cannot be
    /// compared is a warning, the same for all objects if it is the template that the other evaluator does
    /// not take.
    pub fn problems(
        &self,
        policies: &PolicySet,
        review: &Review,
        world: &World<'_>,
        outcome: &Outcome,
        place: Option<&Location>,
    ) -> Vec<Error> {
        let problem = |result: &ConstraintResult| {
            let comparison = self.check.compare(policies, review, world, result);
            self.tally.count(&comparison);
            let error = match comparison {
                Comparison::Same => return None,
                Comparison::Different { ours, theirs } => {
                    let message = format!("regorus says {theirs}, where Portcullis says {ours}");
                    let hint = "one of them does not evaluate Rego as OPA does: `opa eval` tells which; please report it";
                    let error = Error::new(ErrorKind::CrossCheck, message).hint(hint);
                    match place {
                        Some(place) => error.at(place.clone()),
                        None => error,
                    }
                }
                Comparison::NotCompared(why) => {
                    Error::warning(ErrorKind::CrossCheck, format!("not compared with regorus: {why}"))
                        .at(result.constraint.location().clone())
                }
            };
            Some(error.about(result.key().to_string()))
        };
        outcome.results.iter().filter_map(problem).collect()
    }
}

/// What the second evaluator is not asked about must not look as if it agreed.
pub fn not_compared(what: &str) -> Error {
    let message = format!("`--cross-check` does not compare {what}: only templates are evaluated twice");
    Error::warning(ErrorKind::Unsupported, message)
}
