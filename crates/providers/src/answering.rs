//! Answers for a whole run, such as an audit: those of files first, then those of providers, if these are asked. What was answered
//! once stays so until the run ends, so that what comes out can be made again of a record.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use portcullis::{AccessAnswer, Answers, Error, ErrorKind, PolicySet, Question, Questions};

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
    username: Option<Arc<str>>,
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
        Self { recorded, live, username: None, run: Mutex::default() }
    }

    /// Says who makes the requests, if somebody knows: mutators may ask about the user.
    #[must_use]
    pub fn with_username(self, username: Option<&str>) -> Self {
        Self { username: username.map(Arc::from), ..self }
    }

    /// Who makes the requests, if somebody said so.
    #[must_use]
    pub fn username(&self) -> Option<&Arc<str>> {
        self.username.as_ref()
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
            for question in questions.iter() {
                if !answers.answers(question) && !answers.take_over(question, &run.answers) {
                    // As many as there were before.
                    let _ = open.ask(question.clone());
                }
            }
        }
        let fresh = match &self.live {
            Some(live) if !open.is_empty() => live.answer(&open, deadline),
            _ => Answers::new(),
        };
        let mut run = self.run();
        for question in open.iter() {
            // Somebody may have been told otherwise meanwhile: the first counts.
            if answers.take_over(question, &run.answers) {
                continue;
            }
            if answers.take_over(question, &fresh) {
                let bytes = 128 + question.bytes() + weight_of(question, &fresh);
                if run.bytes.saturating_add(bytes) <= MOST_BYTES {
                    run.bytes += bytes;
                    run.answers.take_over(question, &fresh);
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
        all.extend(Recorded::new(self.run().answers.clone()));
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
        let rights: Vec<String> = run.missing.access().map(ToString::to_string).collect();
        if !rights.is_empty() {
            let mut named = rights.clone();
            named.sort_unstable();
            named.truncate(NAMED);
            let more = match rights.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let message = format!("nobody says {}{more}", named.join(", "));
            let hint = "only a cluster knows that; give answers by `--provider-answers FILE`, below `access`";
            problems.push(Error::new(ErrorKind::Unanswered, message).hint(hint));
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

/// What the answer to a question takes.
fn weight_of(question: &Question, answers: &Answers) -> usize {
    match question {
        Question::ExternalData { provider, key } => answers.external_data(provider, key).map_or(0, weight),
        Question::Access(question) => answers.access(question).map_or(0, |answer| match answer {
            AccessAnswer::Decided { allowed: _, reason, error } => reason.len() + error.len(),
            AccessAnswer::Failure(why) => why.len(),
        }),
    }
}
