//! What an evaluation asks of the world outside, as a value: nothing here and nothing that evaluates does I/O.
//!
//! ```text
//! evaluation --Questions--> adapter --asks--> providers
//!     ^                        |
//!     \-------- Answers -------/        evaluated again: the same answers give the same evaluation
//! ```
//!
//! A kind of question is a variant of [`Question`], and a map of [`Answers`] that has its answers.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use crate::access::{AccessAnswer, AccessQuestion};
use crate::{Value, quote};

/// Something that an evaluation cannot know by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// What a provider of external data says of a key.
    ExternalData {
        /// The name of the provider.
        provider: Arc<str>,
        /// The key.
        key: Arc<str>,
    },
    /// What somebody may do in the cluster.
    Access(Arc<AccessQuestion>),
}

impl Question {
    /// What it takes to keep it, about, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        const OVERHEAD: usize = 128;
        match self {
            Self::ExternalData { provider, key } => OVERHEAD + provider.len() + key.len(),
            Self::Access(question) => OVERHEAD + 2 * question.bytes(),
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExternalData { provider, key } => {
                write!(f, "provider {} for key {}", quote(provider), quote(key))
            }
            Self::Access(question) => question.fmt(f),
        }
    }
}

/// Questions, each once, in the order in which they were asked. Bounded in number and bytes.
///
/// Most evaluations ask nothing: then it is a null pointer.
#[derive(Clone, Default)]
pub struct Questions(Option<Box<Asked>>);

#[derive(Clone, Default)]
struct Asked {
    order: Vec<Question>,
    known: HashSet<Question>,
    bytes: usize,
}

/// There is no room for another question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {} questions, or {} KiB of them, are asked of providers at once", Questions::MOST, Questions::MOST_BYTES >> 10)]
pub struct TooManyQuestions;

impl Questions {
    /// Most questions.
    pub const MOST: usize = 4_096;
    /// Most bytes that they take, about.
    pub const MOST_BYTES: usize = 1 << 20;

    /// Puts a question behind the others, if it is not among them.
    ///
    /// # Errors
    ///
    /// If there is no room for it.
    pub fn ask(&mut self, question: Question) -> Result<(), TooManyQuestions> {
        let asked = self.0.get_or_insert_default();
        if asked.known.contains(&question) {
            return Ok(());
        }
        let bytes = asked.bytes.saturating_add(question.bytes());
        if asked.order.len() >= Self::MOST || bytes > Self::MOST_BYTES {
            return Err(TooManyQuestions);
        }
        asked.bytes = bytes;
        asked.known.insert(question.clone());
        asked.order.push(question);
        Ok(())
    }

    /// The questions, in the order in which they were asked.
    pub fn iter(&self) -> impl Iterator<Item = &Question> {
        self.0.iter().flat_map(|asked| &asked.order)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |asked| asked.order.len())
    }

    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys that are asked of each provider of external data: providers sorted by name, keys in the order in
    /// which they were asked.
    #[must_use]
    pub fn external_data(&self) -> BTreeMap<&Arc<str>, Vec<&Arc<str>>> {
        let mut providers: BTreeMap<&Arc<str>, Vec<&Arc<str>>> = BTreeMap::new();
        for question in self.iter() {
            match question {
                Question::ExternalData { provider, key } => providers.entry(provider).or_default().push(key),
                Question::Access(_) => {}
            }
        }
        providers
    }

    /// What is asked about rights, in the order in which it was asked.
    pub fn access(&self) -> impl Iterator<Item = &Arc<AccessQuestion>> {
        self.iter().filter_map(|question| match question {
            Question::Access(question) => Some(question),
            Question::ExternalData { .. } => None,
        })
    }
}

impl PartialEq for Questions {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Questions {}

impl fmt::Debug for Questions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A sentence that names the first few.
impl fmt::Display for Questions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        f.write_str("the policy asks ")?;
        for (number, question) in self.iter().take(SHOWN).enumerate() {
            let separator = if number > 0 { ", " } else { "" };
            write!(f, "{separator}{question}")?;
        }
        if self.len() > SHOWN {
            write!(f, " and {} more", self.len() - SHOWN)?;
        }
        f.write_str(", and nobody answered")
    }
}

/// What is known of the world outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    external_data: BTreeMap<Arc<str>, BTreeMap<Arc<str>, ProviderAnswer>>,
    access: BTreeMap<Arc<AccessQuestion>, AccessAnswer>,
}

/// What a provider said of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderAnswer {
    /// It replied.
    Reply {
        /// What it says of the key: one item, unless the provider is mistaken.
        items: Arc<[ProviderItem]>,
        /// The status of HTTP; 0 if the reply was kept from another question.
        status_code: u16,
        /// What the reply says of all of it; mostly empty.
        system_error: Arc<str>,
        /// Whether the provider says that the answer does not depend on when and how often it is asked: mutators ask for
        /// that.
        is_idempotent: bool,
    },
    /// There is no reply, or none that can be read.
    Failure {
        /// What stands for the status of HTTP.
        status_code: u16,
        /// What happened.
        system_error: Arc<str>,
    },
}

impl ProviderAnswer {
    /// How it is no answer: a policy that does not look at what says so must not take it for one. An error of the key is
    /// an answer.
    #[must_use]
    pub fn failure(&self) -> Option<ProviderFailure> {
        match self {
            Self::Failure { .. } => Some(ProviderFailure::OfAll),
            Self::Reply { items, status_code, system_error, is_idempotent: _ } => {
                if !system_error.is_empty() || !matches!(status_code, 0 | 200..=299) {
                    Some(ProviderFailure::OfAll)
                } else if items.is_empty() || items.contains(&ProviderItem::Silent) {
                    Some(ProviderFailure::Silence)
                } else {
                    None
                }
            }
        }
    }
}

/// How what a provider said is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderFailure {
    /// There is no reply, or it says that it is none: `system_error` and `status_code` of the call say so.
    OfAll,
    /// The reply says nothing of the key: `errors` of the call says so.
    Silence,
}

/// One thing that a provider says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderItem {
    /// A value.
    Value(Value),
    /// Why there is none; not empty.
    Error(Arc<str>),
    /// Nothing, though it was asked.
    Silent,
}

impl ProviderItem {
    /// What is told of a key of which a provider said nothing.
    pub const SILENT: &'static str = "the provider said nothing of this key";
}

impl Answers {
    /// Answers to nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is answered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.external_data.is_empty() && self.access.is_empty()
    }

    /// Says what a provider said of a key, in the place of what was known of it.
    pub fn set_external_data(
        &mut self,
        provider: impl Into<Arc<str>>,
        key: impl Into<Arc<str>>,
        answer: ProviderAnswer,
    ) {
        self.external_data.entry(provider.into()).or_default().insert(key.into(), answer);
    }

    /// What a provider said of a key, if that is known.
    #[must_use]
    pub fn external_data(&self, provider: &str, key: &str) -> Option<&ProviderAnswer> {
        self.external_data.get(provider)?.get(key)
    }

    /// Says what a cluster said of somebody's rights, in the place of what was known of it.
    pub fn set_access(&mut self, question: impl Into<Arc<AccessQuestion>>, answer: AccessAnswer) {
        self.access.insert(question.into(), answer);
    }

    /// What a cluster said of somebody's rights, if that is known.
    #[must_use]
    pub fn access(&self, question: &AccessQuestion) -> Option<&AccessAnswer> {
        self.access.get(question)
    }

    /// All that a cluster said of rights, sorted.
    pub fn all_access(&self) -> impl Iterator<Item = (&Arc<AccessQuestion>, &AccessAnswer)> {
        self.access.iter()
    }

    /// All that providers said: provider, key, answer, sorted.
    pub fn all_external_data(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, &ProviderAnswer)> {
        let of_provider = |(provider, answers)| {
            let answers: &BTreeMap<Arc<str>, ProviderAnswer> = answers;
            answers.iter().map(move |(key, answer)| (provider, key, answer))
        };
        self.external_data.iter().flat_map(of_provider)
    }

    /// Takes over what others say to a question. Whether they say anything.
    pub fn take_over(&mut self, question: &Question, others: &Self) -> bool {
        match question {
            Question::ExternalData { provider, key } => match others.external_data(provider, key) {
                Some(answer) => self.set_external_data(provider.clone(), key.clone(), answer.clone()),
                None => return false,
            },
            Question::Access(question) => match others.access(question) {
                Some(answer) => self.set_access(question.clone(), answer.clone()),
                None => return false,
            },
        }
        true
    }

    /// Takes over what others say; of what both know, what the others say.
    pub fn extend(&mut self, others: Self) {
        for (provider, answers) in others.external_data {
            self.external_data.entry(provider).or_default().extend(answers);
        }
        self.access.extend(others.access);
    }

    /// Whether a question is answered.
    #[must_use]
    pub fn answers(&self, question: &Question) -> bool {
        match question {
            Question::ExternalData { provider, key } => self.external_data(provider, key).is_some(),
            Question::Access(question) => self.access(question).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(provider: &str, key: &str) -> Question {
        Question::ExternalData { provider: provider.into(), key: key.into() }
    }

    #[test]
    fn each_is_asked_once_in_order_and_they_end() {
        let mut questions = Questions::default();
        for key in ["b", "a", "b"] {
            questions.ask(question("p", key)).unwrap();
        }
        questions.ask(question("o", "c")).unwrap();
        let asked = questions.external_data();
        let asked: Vec<(&str, Vec<&str>)> = asked
            .iter()
            .map(|(provider, keys)| (&***provider, keys.iter().map(|key| &***key).collect()))
            .collect();
        assert_eq!(asked, [("o", vec!["c"]), ("p", vec!["b", "a"])]);
        assert_eq!(
            questions.to_string(),
            r#"the policy asks provider "p" for key "b", provider "p" for key "a", provider "o" for key "c", and nobody answered"#
        );
        let mut many = Questions::default();
        let added =
            (0..10_000).take_while(|number| many.ask(question("p", &number.to_string())).is_ok()).count();
        assert_eq!((added, many.len()), (Questions::MOST, Questions::MOST));
        let mut large = Questions::default();
        let long = "x".repeat(1 << 19);
        large.ask(question("p", &long)).unwrap();
        assert_eq!(large.ask(question("q", &long)), Err(TooManyQuestions));
        assert_eq!(large.ask(question("p", &long)), Ok(()));
    }
}
