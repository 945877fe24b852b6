//! What one mutator needs to be sent: `applyTo`, or where it has none `match.kinds`.
//!
//! A request that is not sent is not mutated, so needs are never too few: of a kind that is not known all resources of its group are sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::kinds::Kinds;
use super::{ANY, AdmissionTarget, NeededBy};
use crate::api::Operation;
use crate::mutation::MutatorInfo;
use crate::scope::Scope;
use crate::value::{self, Value};

/// The operations that are mutated.
const OPERATIONS: [Operation; 2] = [Operation::Create, Operation::Update];

type All = BTreeMap<(AdmissionTarget, Operation), BTreeSet<NeededBy>>;

/// Adds what a mutator needs. Returns whether a kind of it is not known.
pub(super) fn want(mutator: &MutatorInfo, kinds: &Kinds, all: &mut All) -> bool {
    let object = mutator.object().value();
    // What is generated is no request.
    if value::str_at(object, &["spec", "match", "source"]) == Some("Generated") {
        return false;
    }
    let mut wanting = Wanting { mutator, kinds, all, guesses: false };
    match value::get_path(object, &["spec", "applyTo"]) {
        Some(entries) => value::items(entries).for_each(|entry| wanting.applied_to(entry)),
        None => wanting.matched(object),
    }
    wanting.guesses
}

struct Wanting<'a> {
    mutator: &'a MutatorInfo,
    kinds: &'a Kinds,
    all: &'a mut All,
    guesses: bool,
}

impl Wanting<'_> {
    /// Names are exact here; `*` is none.
    fn applied_to(&mut self, entry: &Value) {
        let said: BTreeSet<&str> = texts(entry, "operations").collect();
        let takes = |operation: &Operation| {
            said.is_empty() || said.contains(ANY) || said.contains(operation.as_str())
        };
        let operations: Vec<Operation> = OPERATIONS.into_iter().filter(takes).collect();
        for group in texts(entry, "groups") {
            for kind in texts(entry, "kinds") {
                self.want_kind(group, kind, &operations);
            }
        }
    }

    /// By criteria on kinds; an empty list is any, and so is `*`.
    fn matched(&mut self, object: &Value) {
        let entries: Vec<&Value> =
            value::get_path(object, &["spec", "match", "kinds"]).into_iter().flat_map(value::items).collect();
        if entries.is_empty() {
            return self.want_all(ANY);
        }
        for entry in entries {
            let [groups, kinds] = ["apiGroups", "kinds"].map(|field| {
                let names: BTreeSet<&str> = texts(entry, field).collect();
                Some(names).filter(|names| !names.is_empty() && !names.contains(ANY))
            });
            match (groups, kinds) {
                (None, None) => self.want_all(ANY),
                (Some(groups), None) => groups.into_iter().for_each(|group| self.want_all(group)),
                (Some(groups), Some(kinds)) => {
                    for group in groups {
                        for kind in &kinds {
                            self.want_kind(group, kind, &OPERATIONS);
                        }
                    }
                }
                (None, Some(kinds)) => {
                    for kind in kinds {
                        let groups = self.kinds.groups_of(kind);
                        if groups.is_empty() {
                            self.guesses = true;
                            self.want_all(ANY);
                        }
                        for group in &groups {
                            self.want_kind(group, kind, &OPERATIONS);
                        }
                    }
                }
            }
        }
    }

    fn want_kind(&mut self, group: &str, kind: &str, operations: &[Operation]) {
        let known = self.kinds.get(group, kind).map(|known| (known.resource, known.scope));
        self.guesses |= known.is_none();
        let (resource, scope) = known.unwrap_or_else(|| (Arc::from(ANY), Scope::ByObject));
        self.want(AdmissionTarget::new(group, &resource, None, scope), operations);
    }

    fn want_all(&mut self, group: &str) {
        self.want(AdmissionTarget::new(group, ANY, None, Scope::ByObject), &OPERATIONS);
    }

    fn want(&mut self, target: AdmissionTarget, operations: &[Operation]) {
        for operation in operations {
            let by = self.all.entry((target.clone(), *operation)).or_default();
            by.insert(NeededBy::Mutator(self.mutator.key().clone()));
        }
    }
}

/// The texts of a list.
fn texts<'v>(entry: &'v Value, field: &str) -> impl Iterator<Item = &'v str> {
    value::get(entry, field).into_iter().flat_map(value::items).filter_map(value::as_str)
}
