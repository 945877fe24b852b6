//! What the statements of one body say about the same value, and whether they contradict each other.

use std::collections::BTreeMap;

use super::constant::Constant;

/// What a statement says about a value.
#[derive(Clone, Debug)]
pub(super) enum Fact {
    /// It is this constant.
    Is(Constant),
    /// It is not this constant.
    IsNot(Constant),
    /// It is there, and not `false`.
    Holds,
    /// It is `false` or not there.
    Fails,
}

/// The facts of a body, by the key of the value that they are about.
#[derive(Debug, Default)]
pub(super) struct Facts(BTreeMap<String, Vec<Fact>>);

impl Facts {
    /// Adds a fact; the earlier one that it contradicts, if there is one.
    pub(super) fn add(&mut self, key: String, fact: Fact) -> Option<Fact> {
        let facts = self.0.entry(key).or_default();
        let earlier = facts.iter().find(|earlier| contradict(earlier, &fact)).cloned();
        facts.push(fact);
        earlier
    }
}

fn contradict(one: &Fact, other: &Fact) -> bool {
    let is_false = |constant: &Constant| matches!(constant, Constant::Bool(false));
    match (one, other) {
        (Fact::Is(a), Fact::Is(b)) => a.differs(b),
        (Fact::Is(a), Fact::IsNot(b)) | (Fact::IsNot(a), Fact::Is(b)) => a.is(b),
        (Fact::Is(a), Fact::Holds) | (Fact::Holds, Fact::Is(a)) => is_false(a),
        (Fact::Is(a), Fact::Fails) | (Fact::Fails, Fact::Is(a)) => !is_false(a),
        (Fact::Holds, Fact::Fails) | (Fact::Fails, Fact::Holds) => true,
        _ => false,
    }
}
