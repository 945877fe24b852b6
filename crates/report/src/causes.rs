//! What is wrong with policies and input: one by one, as many as there is room for, and by cause, all of
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use portcullis::{ErrorKind, Severity};
use serde::Serialize;

use crate::{ObjectName, Place, Problem, count};

/// How many problems of one severity a report lists, and how many causes it lists; the rest is only counted.
pub const MAX_PROBLEMS: usize = 1000;

/// All problems of an audit. Takes memory for [`MAX_PROBLEMS`] of each severity, however many there are.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    errors: OfSeverity,
    warnings: OfSeverity,
}

#[derive(Clone, Debug, Default)]
struct OfSeverity {
    all: u64,
    listed: Vec<Problem>,
    causes: Vec<Cause>,
    by_text: BTreeMap<Text, usize>,
}

/// Code, message and help: what problems of one cause have in common.
type Text = (ErrorKind, String, Option<String>);

/// What problems that say the same have in common, and how many there are.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// As [`Problem::severity`].
    #[serde(rename = "isError", serialize_with = "crate::problem::is_error")]
    pub severity: Severity,
    /// As [`Problem::kind`].
    #[serde(rename = "code", serialize_with = "crate::problem::code")]
    pub kind: ErrorKind,
    /// As [`Problem::message`].
    pub message: String,
    /// As [`Problem::help`].
    pub help: Option<String>,
    /// How many problems there are; of those about objects, how many objects.
    pub times: u64,
    /// The kinds of the objects, as `Kind.group`; at most [`MAX_PROBLEMS`].
    pub kinds: BTreeSet<String>,
    /// The namespaces of those objects that have one; at most [`MAX_PROBLEMS`].
    #[serde(serialize_with = "number")]
    pub namespaces: BTreeSet<Arc<str>>,
    /// The first of them, at most [`Cause::EXAMPLES`].
    #[serde(skip)]
    pub examples: Vec<Example>,
}

/// One problem of a cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The object, if it is about one.
    pub object: Option<ObjectName>,
    /// Where, if it has a place.
    pub place: Option<Place>,
}

impl Cause {
    /// How many examples there are at most.
    pub const EXAMPLES: usize = 3;

    /// How many there are and of what, such as `132 objects of 4 kinds in 3 namespaces`.
    pub fn extent(&self) -> String {
        let times = usize::try_from(self.times).unwrap_or(usize::MAX);
        let at_least = |number: usize| if number < MAX_PROBLEMS { "" } else { "at least " };
        let kinds = format!("{}{}", at_least(self.kinds.len()), count(self.kinds.len(), "kind", "kinds"));
        let namespaces = count(self.namespaces.len(), "namespace", "namespaces");
        let namespaces = format!("{}{namespaces}", at_least(self.namespaces.len()));
        match (self.kinds.is_empty(), self.namespaces.is_empty()) {
            (true, _) => count(times, "time", "times"),
            (false, true) => format!("{} of {kinds}", count(times, "object", "objects")),
            (false, false) => format!("{} of {kinds} in {namespaces}", count(times, "object", "objects")),
        }
    }

    /// How many have no example.
    pub fn more(&self) -> u64 {
        self.times.saturating_sub(self.examples.len() as u64)
    }

    fn of(problem: &Problem) -> Self {
        Self {
            severity: problem.severity,
            kind: problem.kind,
            message: problem.message.clone(),
            help: problem.help.clone(),
            times: 0,
            kinds: BTreeSet::new(),
            namespaces: BTreeSet::new(),
            examples: Vec::new(),
        }
    }

    fn add(&mut self, problem: &Problem) {
        self.times += 1;
        if let Some(object) = &problem.object {
            let dot = if object.group.is_empty() { "" } else { "." };
            if self.kinds.len() < MAX_PROBLEMS {
                self.kinds.insert(format!("{}{dot}{}", object.kind, object.group));
            }
            if !object.namespace.is_empty() && self.namespaces.len() < MAX_PROBLEMS {
                self.namespaces.insert(object.namespace.clone());
            }
        }
        if self.examples.len() < Self::EXAMPLES {
            self.examples.push(Example { object: problem.object.clone(), place: problem.place.clone() });
        }
    }
}

/// `Kind namespace/name (file:line:column)`, or what of it there is.
impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.object, &self.place) {
            (Some(object), Some(Place::Cluster) | None) => object.fmt(f),
            (Some(object), Some(place)) => write!(f, "{object} ({place})"),
            (None, Some(place)) => place.fmt(f),
            (None, None) => Ok(()),
        }
    }
}

/// As one line: a problem that there is once as itself, others as
/// `message; help: 3 objects of 1 kind: example, example, …`.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let help = self.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        if self.times <= 1 {
            if let Some(Example { object, place }) = self.examples.first() {
                place.iter().try_for_each(|place| write!(f, "{place}: "))?;
                object.iter().try_for_each(|object| write!(f, "{object}: "))?;
            }
            return write!(f, "{}{help}", self.message);
        }
        write!(f, "{}{help}: {}", self.message, self.extent())?;
        let examples = self.examples.iter().map(Example::to_string).filter(|example| !example.is_empty());
        let examples: Vec<_> = examples.collect();
        if examples.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", examples.join(", "))?;
        if self.more() > 0 { write!(f, " and {} more", self.more()) } else { Ok(()) }
    }
}

impl Problems {
    /// One more.
    pub fn push(&mut self, problem: Problem) {
        let of = if problem.is_error() { &mut self.errors } else { &mut self.warnings };
        of.push(problem.kept());
    }

    /// How many errors there are.
    pub fn errors(&self) -> u64 {
        self.errors.all
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> u64 {
        self.warnings.all
    }

    /// One by one, errors first, each severity in the order in which they came; at most [`MAX_PROBLEMS`] of
    /// each.
    pub fn listed(&self) -> impl Iterator<Item = &Problem> {
        self.errors.listed.iter().chain(&self.warnings.listed)
    }

    /// How many are not [`listed`](Self::listed): errors, warnings.
    pub fn unlisted(&self) -> (u64, u64) {
        (self.errors.unlisted(), self.warnings.unlisted())
    }

    /// By cause, errors first, each severity in the order in which the causes came; at most [`MAX_PROBLEMS`]
    /// of each. What is the same for many objects is here once.
    pub fn causes(&self) -> impl Iterator<Item = &Cause> {
        self.errors.causes.iter().chain(&self.warnings.causes)
    }

    /// How many problems are of none of the [`causes`](Self::causes): errors, warnings.
    pub fn without_cause(&self) -> (u64, u64) {
        (self.errors.without_cause(), self.warnings.without_cause())
    }
}

impl OfSeverity {
    fn push(&mut self, problem: Problem) {
        self.all += 1;
        let text = (problem.kind, problem.message.clone(), problem.help.clone());
        let index = self.by_text.get(&text).copied().or_else(|| {
            let index = self.causes.len();
            (index < MAX_PROBLEMS).then(|| {
                self.causes.push(Cause::of(&problem));
                self.by_text.insert(text, index);
                index
            })
        });
        if let Some(cause) = index.and_then(|index| self.causes.get_mut(index)) {
            cause.add(&problem);
        }
        if self.listed.len() < MAX_PROBLEMS {
            self.listed.push(problem);
        }
    }

    fn unlisted(&self) -> u64 {
        self.all.saturating_sub(self.listed.len() as u64)
    }

    fn without_cause(&self) -> u64 {
        self.all.saturating_sub(self.causes.iter().map(|cause| cause.times).sum())
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<T: IntoIterator<Item = Problem>>(problems: T) -> Self {
        let mut all = Self::default();
        problems.into_iter().for_each(|problem| all.push(problem));
        all
    }
}

fn number<T, S: serde::Serializer>(set: &BTreeSet<T>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(set.len() as u64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics when it fails")]

    use super::*;

    #[test]
    fn long_texts_are_cut_and_say_so() {
        let mut all = Problems::default();
        let long = "é".repeat(5000);
        all.push(Problem { help: Some(long.clone()), ..warning(&long, None) });
        let listed: Vec<_> = all.listed().collect();
        assert!(listed[0].message.ends_with("é… (8976 bytes more)"), "{}", listed[0].message);
        assert!(listed[0].message.len() < Problem::MAX_TEXT + 64);
        assert!(listed[0].help.as_ref().unwrap().len() < Problem::MAX_TEXT + 64);
    }

    fn warning(message: &str, object: Option<(&str, &str, &str)>) -> Problem {
        let object = object.map(|(kind, namespace, name)| ObjectName {
            version: "v1".into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
            ..ObjectName::default()
        });
        Problem { object, ..Problem::warning(ErrorKind::Limit, message) }
    }

    #[test]
    fn equal_texts_are_one_cause() {
        let problems: Problems = [
            warning("too large", Some(("Pod", "shop", "a"))),
            warning("too many", None),
            warning("too large", Some(("Pod", "blog", "a"))),
            warning("too large", Some(("Node", "", "n"))),
            Problem { severity: Severity::Error, ..warning("too large", Some(("Pod", "shop", "a"))) },
            warning("too large", Some(("Pod", "shop", "b"))),
        ]
        .into_iter()
        .collect();
        assert_eq!((problems.errors(), problems.warnings(), problems.unlisted()), (1, 5, (0, 0)));
        let causes: Vec<_> = problems.causes().map(|cause| (cause.severity, cause.to_string())).collect();
        let expected = [
            (Severity::Error, "Pod shop/a: too large"),
            (
                Severity::Warning,
                "too large: 4 objects of 2 kinds in 2 namespaces: Pod shop/a, Pod blog/a, Node n and 1 more",
            ),
            (Severity::Warning, "too many"),
        ];
        assert_eq!(causes, expected.map(|(severity, text)| (severity, text.to_owned())));
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let mut problems = Problems::default();
        for number in 0..MAX_PROBLEMS + 500 {
            problems.push(warning(&format!("the line {number} is too long"), None));
        }
        // One of a cause that is there is counted with it.
        problems.push(warning("the line 7 is too long", None));
        assert_eq!((problems.causes().count(), problems.listed().count()), (MAX_PROBLEMS, MAX_PROBLEMS));
        assert_eq!((problems.unlisted().1, problems.without_cause().1), (501, 500));
        assert_eq!(problems.causes().nth(7).unwrap().to_string(), "the line 7 is too long: 2 times");
    }
}
