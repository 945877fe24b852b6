//! Answers for a whole run, such as an audit: those of files first, then those of providers, if these are asked. What was answered
//! once stays so until the run ends, so that what comes out can be made again of a record.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use portcullis::{Answers, Error, ErrorKind, PolicySet, Question, Questions};

use crate::cache::weight;
use crate::recorded::Recorded;
use crate::runtime::BlockingProviders;

/// Most bytes of what is remembered of a run.
const MOST_BYTES: usize = 64 << 20;
/// So many keys of a provider are named that nobody answered.
const NAMED: usize = 100;

/// Answers, and what nobody answered.
#[derive(Debug, Default)]
pub struct Answering {
    recorded: Recorded,
    live: Option<BlockingProviders>,
    run: Mutex<Run>,
}

#[derive(Debug, Default)]
struct Run {
    /// What was answered.
    answers: Answers,
    bytes: usize,
    is_full: bool,
    missing: Questions,
    is_cut: bool,
}

impl Answering {
    /// From records, and from providers if there are any.
    #[must_use]
    pub fn new(recorded: Recorded, live: Option<BlockingProviders>) -> Self {
        Self { recorded, live, run: Mutex::default() }
    }

    fn run(&self) -> std::sync::MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of some questions, and what providers say of the others until a deadline.
    #[must_use]
    pub fn answer(&self, questions: &Questions, deadline: Option<Instant>) -> Answers {
        let mut answers = self.recorded.answer(questions);
        let mut open = Questions::default();
        {
            let run = self.run();
            for question in
                questions.iter().filter(|question| !answers.answers(question)).cloned().collect::<Vec<_>>()
            {
                let Question::ExternalData { provider, key } = &question;
                match run.answers.external_data(provider, key) {
                    Some(answer) => {
                        answers.set_external_data(provider.clone(), key.clone(), answer.clone());
                    }
                    None => {
                        // As many as there were before.
                        let _ = open.ask(question);
                    }
                }
            }
        }
        let fresh = match &self.live {
            Some(live) if !open.is_empty() => live.answer(&open, deadline),
            _ => Answers::new(),
        };
        let mut run = self.run();
        for question in open.iter() {
            let Question::ExternalData { provider, key } = question;
            // Somebody may have been told otherwise meanwhile: the first counts.
            if let Some(answer) = run.answers.external_data(provider, key) {
                answers.set_external_data(provider.clone(), key.clone(), answer.clone());
            } else if let Some(answer) = fresh.external_data(provider, key) {
                let bytes = 256 + provider.len() + key.len() + weight(answer);
                answers.set_external_data(provider.clone(), key.clone(), answer.clone());
                if run.bytes.saturating_add(bytes) <= MOST_BYTES {
                    run.bytes += bytes;
                    run.answers.set_external_data(provider.clone(), key.clone(), answer.clone());
                } else {
                    run.is_full = true;
                }
            } else if run.missing.ask(question.clone()).is_err() {
                run.is_cut = true;
            }
        }
        answers
    }

    /// All answers that something needs: `ask` says what it asks that some answers do not have, and is asked again with
    /// more of them, until it asks nothing or nobody knows more.
    pub fn gather(&self, deadline: Option<Instant>, mut ask: impl FnMut(&Answers) -> Questions) -> Answers {
        let mut answers = Answers::new();
        let mut rounds = 0;
        while rounds < PolicySet::MAX_ROUNDS {
            let questions = ask(&answers);
            if questions.is_empty() {
                break;
            }
            let found = self.answer(&questions, deadline);
            if found.is_empty() {
                break;
            }
            answers.extend(found);
            // One that had no room for all questions is not one of a policy.
            rounds += usize::from(questions.len() < Questions::MOST);
        }
        answers
    }

    /// What was answered in this run, by whomever.
    #[must_use]
    pub fn record(&self) -> Recorded {
        let mut all = self.recorded.clone();
        all.extend(self.run().answers.clone());
        all
    }

    /// Errors for what nobody answered, one a provider; and for a record that is not whole.
    #[must_use]
    pub fn problems(&self) -> Vec<Error> {
        let run = self.run();
        let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (provider, keys) in run.missing.external_data() {
            missing.entry(provider).or_default().extend(keys.iter().map(|key| &***key));
        }
        let mut problems: Vec<Error> = Vec::new();
        for (provider, mut keys) in missing {
            keys.sort_unstable();
            let named: Vec<String> = keys.iter().take(NAMED).map(|key| format!("`{key}`")).collect();
            let more = match keys.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let message =
                format!("nobody says what provider `{provider}` answers of {}{more}", named.join(", "));
            problems.push(Error::new(ErrorKind::Unanswered, message).hint(
                "give answers by `--provider-answers FILE`, or ask the providers by `--live-providers`",
            ));
        }
        if run.is_cut {
            let message = "more was asked of providers and not answered than is listed";
            problems.push(Error::new(ErrorKind::Unanswered, message));
        }
        if run.is_full {
            let message =
                format!("providers said more than the {} MiB that are remembered of a run", MOST_BYTES >> 20);
            problems
                .push(Error::warning(ErrorKind::Limit, message).hint("a record of this run is not whole"));
        }
        problems
    }

    /// The counts of what was asked, if providers are.
    #[must_use]
    pub fn live(&self) -> Option<&BlockingProviders> {
        self.live.as_ref()
    }
}
