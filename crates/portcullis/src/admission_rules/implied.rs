//! What one constraint needs to be sent because of what comes of it: objects that imply what it is about.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::kinds::{Kinds, guess};
use super::needs::{Needs, operations};
use super::room::Room;
use super::{ANY, AdmissionTarget};
use crate::api::Operation;
use crate::enforcement::EnforcementPoint;
use crate::error::{Error, ErrorKind};
use crate::expansion::ExpansionSet;
use crate::policy::CompiledConstraint;
use crate::scope::Scope;

type Names = BTreeSet<Arc<str>>;

/// What goes away implies nothing, and nobody connects to what will be.
pub(super) fn needs(
    constraint: &CompiledConstraint,
    expansions: &ExpansionSet,
    kinds: &Kinds,
    room: &mut Room,
) -> Needs {
    let mut needs = Needs::default();
    let is_asked = !constraint.info.enforcement().actions(EnforcementPoint::Webhook).is_empty();
    if !is_asked || !constraint.matcher.takes_generated() {
        return needs;
    }
    let mut asked = operations(constraint);
    asked.retain(|operation| matches!(operation, Operation::Create | Operation::Update));
    let note = |message: String, hint: &str| {
        let info = &constraint.info;
        let warning = Error::warning(ErrorKind::WebhookRules, message).hint(hint);
        warning.about(info.key().to_string()).at(info.location().clone())
    };
    for (groups, names) in sources(constraint, expansions) {
        let mut want = |target: AdmissionTarget| {
            needs.wanted.extend(asked.iter().map(|operation| (target.clone(), *operation)));
        };
        if !room.takes(Some(&groups), names.iter().map(|name| &**name)) {
            want(AdmissionTarget::new(ANY, ANY, None, Scope::ByObject));
            let message = "expansion templates name too many kinds in too many groups: all kinds are sent";
            needs.notes.push(note(message.to_owned(), "name fewer in `spec.applyTo`"));
            continue;
        }
        for group in &groups {
            for name in &names {
                if let Some(known) = kinds.get(group, name) {
                    want(AdmissionTarget::new(group, &known.resource, None, known.scope));
                    continue;
                }
                needs.guesses = true;
                let resource = guess(name);
                want(AdmissionTarget::new(group, &resource, None, Scope::ByObject));
                let message = format!(
                    "the kind `{name}` of `{group}`, which is expanded, is not known: its resource is taken to be `{resource}`"
                );
                needs.notes.push(note(message, "give its CustomResourceDefinition beside the policies"));
            }
        }
    }
    needs
}

/// The groups and kinds of which something comes that a constraint is about.
pub(super) fn sources(
    constraint: &CompiledConstraint,
    expansions: &ExpansionSet,
) -> BTreeSet<(Names, Names)> {
    let leading = expansions.leading_to(|implied| constraint.concerns(implied));
    let owned = |list: &[Arc<str>]| list.iter().cloned().collect::<Names>();
    leading.map(|(groups, kinds)| (owned(groups), owned(kinds))).collect()
}
