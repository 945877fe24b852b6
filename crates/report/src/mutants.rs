//! What suites notice of small changes of their templates.

use std::sync::Arc;

use portcullis::Location;

use crate::count;

/// What suites noticed of the mutants of their templates.
#[derive(Debug)]
pub struct MutationResult {
    /// Mutants for which a case comes out otherwise.
    pub killed: usize,
    /// Mutants for which verdicts are the same, and only messages or details others, which nobody asserts.
    pub said: usize,
    /// Mutants that no case notices, and of which suites say why they mean the same.
    pub accepted: usize,
    /// Changes that do not compile, and so could not be made by mistake.
    pub refused: usize,
    /// All other mutants that no case notices, in the order of their places.
    pub survivors: Vec<Survivor>,
    /// Percent that have to be noticed, if somebody said so; all if not.
    pub least: Option<f64>,
}

/// A mutant that no case notices.
#[derive(Debug)]
pub struct Survivor {
    /// Where the change is.
    pub location: Location,
    /// What sort of change it is, in a word.
    pub kind: &'static str,
    /// What is changed, as a part of a sentence.
    pub what: String,
    /// The rule whose text is changed.
    pub rule: Arc<str>,
    /// In how many more templates the same text stands.
    pub copies: usize,
    /// A case that comes to something else, but does not assert it.
    pub nearly: Option<String>,
}

impl MutationResult {
    /// Mutants that cases should notice.
    pub fn mutants(&self) -> usize {
        self.killed + self.survivors.len()
    }

    /// Percent of the mutants that are noticed; 100 if there are none.
    pub fn percent(&self) -> f64 {
        crate::covered::percent(self.killed, self.mutants())
    }

    /// Whether fewer are noticed than have to be.
    pub fn is_too_little(&self) -> bool {
        match self.least {
            Some(least) => self.percent() < least,
            None => !self.survivors.is_empty(),
        }
    }

    /// `24 mutants: 20 noticed (83.3 %), 4 not`, and what else there was.
    pub fn line(&self) -> String {
        let all = count(self.mutants(), "mutant", "mutants");
        let less = match self.least.filter(|_| self.is_too_little()) {
            Some(least) => format!(", less than the {least} % that have to be"),
            None => String::new(),
        };
        let (percent, survived) = (self.percent(), self.survivors.len());
        let more = [
            (self.accepted, "more is accepted", "more are accepted"),
            (self.said, "more changes only what is said", "more change only what is said"),
            (self.refused, "does not compile", "do not compile"),
        ];
        let more = more.into_iter().filter(|(number, ..)| *number > 0);
        let more = more.flat_map(|(number, one, many)| ["; ".to_owned(), count(number, one, many)]);
        let more: String = more.collect();
        format!("{all}: {} noticed ({percent:.1} %{less}), {survived} not{more}", self.killed)
    }
}
