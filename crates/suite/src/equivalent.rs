//! The list of a suite of those mutants that mean the same as the policy.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use portcullis::{Error, ErrorKind, Location, Node};

/// How many entries a list may have.
const MOST_ENTRIES: usize = 1_000;
/// How many bytes each text of an entry may have.
const MOST_BYTES: usize = 4_096;

/// Changes of a template that mean the same as the template: no case can notice them, and somebody says why.
#[derive(Clone, Debug)]
pub struct EquivalentMutant {
    /// The change, as `verify --mutate` prints it; all changes of the rule, if absent.
    pub change: Option<Arc<str>>,
    /// The name of the rule or function that is changed, since lines move.
    pub rule: Arc<str>,
    /// How many such mutants there are.
    pub count: Wanted,
    /// Why they mean the same.
    pub reason: Arc<str>,
    /// Where the entry stands.
    pub location: Location,
}

/// How many mutants an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// So many: as the entry says, or one where it names a change and no number.
    Exactly(NonZeroUsize),
    /// Any number but none, where it names a whole rule.
    Some,
}

impl Wanted {
    /// Whether so many are as many as there should be.
    #[must_use]
    pub fn is(self, found: usize) -> bool {
        match self {
            Self::Exactly(wanted) => wanted.get() == found,
            Self::Some => found > 0,
        }
    }

    /// Whether there should be fewer.
    #[must_use]
    pub fn is_exceeded_by(self, found: usize) -> bool {
        matches!(self, Self::Exactly(wanted) if wanted.get() < found)
    }
}

impl EquivalentMutant {
    /// The entries of `equivalentMutants`; of a list that is too long, none.
    pub(crate) fn read_all(suite: &Node<'_>, errors: &mut Vec<Error>) -> Vec<Self> {
        const FIELD: &str = "equivalentMutants";
        let items = suite.list(FIELD, errors);
        if let Some(field) = suite.field(FIELD).filter(|_| items.len() > MOST_ENTRIES) {
            let message = format!("expected at most {MOST_ENTRIES} entries, found {}", items.len());
            let hint =
                "an entry without `change` covers a whole rule, one with `count` several equal changes";
            errors.push(field.error(ErrorKind::InvalidValue, message).hint(hint));
            return Vec::new();
        }
        let mut before: BTreeMap<(Arc<str>, Option<Arc<str>>), Location> = BTreeMap::new();
        let mut entries = Vec::new();
        for item in items {
            let Some(entry) = Self::read(&item, errors) else { continue };
            let same = (entry.rule.clone(), entry.change.clone());
            if let Some(first) = before.get(&same) {
                let message = format!("the same change of the same rule is listed at {first}");
                let hint = "`count` says how many equal changes of a rule there are";
                errors.push(item.error(ErrorKind::Suite, message).hint(hint));
                continue;
            }
            before.insert(same, entry.location.clone());
            entries.push(entry);
        }
        entries
    }

    fn read(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Self> {
        node.check_fields(&["change", "rule", "count", "reason"], errors);
        let change = node.field("change").map(|field| text(&field, errors));
        let rule = node.required("rule", errors).and_then(|field| text(&field, errors));
        let reason = node.required("reason", errors).and_then(|field| text(&field, errors));
        let count = match (node.field("count"), &change) {
            (Some(field), _) => number(&field, errors).map(Wanted::Exactly),
            (None, Some(_)) => Some(Wanted::Exactly(NonZeroUsize::MIN)),
            (None, None) => Some(Wanted::Some),
        };
        let change = match change {
            // It is there and wrong, which is not the same as absent.
            Some(change) => Some(change?),
            None => None,
        };
        Some(Self { change, rule: rule?, count: count?, reason: reason?, location: node.location() })
    }
}

/// A text that says something, and not too much.
fn text(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Arc<str>> {
    let text = node.text(errors)?;
    let error = match text.len() {
        _ if text.trim().is_empty() => node.expected("a text that says something"),
        bytes if bytes > MOST_BYTES => {
            let message = format!("expected at most {MOST_BYTES} bytes, found {bytes}");
            node.error(ErrorKind::InvalidValue, message)
        }
        _ => return Some(text),
    };
    errors.push(error);
    None
}

fn number(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<NonZeroUsize> {
    let number = node.to_json().as_u64().and_then(|number| usize::try_from(number).ok());
    let number = number.and_then(NonZeroUsize::new);
    if number.is_none() {
        errors.push(node.expected("a number from 1"));
    }
    number
}
