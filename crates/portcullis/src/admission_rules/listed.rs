//! Which kinds have to be listed: those that an audit judges, and those that policies compare objects with.
//! Roles are made of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::kinds::{Kinds, guess};
use super::room::Room;
use super::{ANY, implied, parts};
use crate::analysis::InventoryRead;
use crate::api::admission_policy::Rule;
use crate::enforcement::EnforcementPoint;
use crate::error::{Error, ErrorKind};
use crate::expansion::ExpansionSet;
use crate::matcher::Names;
use crate::names::{GroupKind, Gvk};
use crate::policy::{CompiledConstraint, PolicySet, TemplateInfo};
use crate::scope;
use crate::source::Location;
use crate::value;

/// Resources to list, in the order of their groups and names.
#[derive(Clone, Debug, Default)]
pub struct ListedKinds {
    /// Group and resource; `*` for all of a group, or of all groups.
    pub resources: BTreeSet<(Arc<str>, Arc<str>)>,
    /// The kinds that are known by name, in one version.
    pub kinds: BTreeSet<Gvk>,
    /// What is to be said: kinds whose resource is guessed, or that no text says.
    pub notes: Vec<Error>,
}

impl ListedKinds {
    /// What an audit lists that lists only kinds that constraints are about, as [`PolicySet::concerns`] says, and
    /// kinds that imply such, as [`ExpansionSet::may_imply`] does.
    #[must_use]
    pub fn audited(policies: &PolicySet, expansions: &ExpansionSet, kinds: &Kinds) -> Self {
        let mut listed = Self::default();
        let is_audited = |constraint: &&Arc<CompiledConstraint>| {
            !constraint.info.enforcement().actions(EnforcementPoint::Audit).is_empty()
        };
        let mut room = Room::default();
        for constraint in policies.compiled().filter(is_audited) {
            listed.add_constraint(constraint, kinds, &mut room);
            listed.add_implying(constraint, expansions, kinds, &mut room);
        }
        listed.tidied()
    }

    /// What policies compare objects with: the kinds that their Rego names, and those that Configs and
    /// SyncSets list.
    #[must_use]
    pub fn compared(policies: &PolicySet, kinds: &Kinds) -> Self {
        let mut listed = Self::default();
        for gvk in policies.synced_kinds() {
            listed.add(&gvk.group, &gvk.kind, Some(&gvk.version), kinds, None);
        }
        let mut room = Room::default();
        for template in policies.templates() {
            for read in template.inventory_reads() {
                listed.add_read(template, read, policies, kinds, &mut room);
            }
        }
        listed.tidied()
    }

    /// What implies something that a constraint is about.
    fn add_implying(
        &mut self,
        constraint: &CompiledConstraint,
        expansions: &ExpansionSet,
        kinds: &Kinds,
        room: &mut Room,
    ) {
        if !constraint.matcher.takes_generated() {
            return;
        }
        for (groups, names) in implied::sources(constraint, expansions) {
            if !room.takes(Some(&groups), names.iter().map(|name| &**name)) {
                let message = "expansion templates name too many kinds in too many groups to list each: those are left out";
                self.note(message.to_owned(), "name fewer in `spec.applyTo`", constraint.info.location());
                continue;
            }
            for group in &groups {
                for name in &names {
                    self.add(group, name, None, kinds, Some(constraint.info.location()));
                }
            }
        }
    }

    /// The kinds of an admission policy, by the resources that it names as a whole.
    fn add_rules(&mut self, rules: &[Rule], kinds: &Kinds, place: &Location) {
        for rule in rules {
            let whole = rule.resources.iter().filter_map(|resource| match resource.split_once('/') {
                None => Some(&**resource),
                Some((name, ANY)) => Some(name),
                Some(_) => None,
            });
            let whole: Vec<&str> = whole.collect();
            for group in &rule.groups {
                for resource in &whole {
                    if *resource == ANY {
                        self.all(group);
                        continue;
                    }
                    let found = kinds.of_resource(group, resource);
                    for (group, kind) in &found {
                        self.add(group, kind, None, kinds, None);
                    }
                    if found.is_empty() && (&**group == ANY || !scope::is_built_in(group)) {
                        let message = format!(
                            "it is not known of which kind the resource `{resource}` is, so that it is not listed"
                        );
                        let hint = "give its CustomResourceDefinition beside the policies";
                        self.note(message, hint, place);
                    }
                }
            }
        }
    }

    /// Kinds beyond the room are left out and reported: a role must not grant more than somebody asked for.
    fn add_constraint(&mut self, constraint: &CompiledConstraint, kinds: &Kinds, room: &mut Room) {
        if let Some(bound) = &constraint.policy {
            self.add_rules(bound.rules(), kinds, constraint.info.location());
            return;
        }
        let of_text = constraint.template.program.told().operation_use().kinds.as_ref();
        let mut add = |groups: Names<'_>, kind: Option<&str>| match (groups, kind) {
            (None, None) => self.all(ANY),
            (Some(groups), None) => groups.iter().for_each(|group| self.all(group)),
            (Some(groups), Some(kind)) => {
                let known: Vec<&Arc<str>> =
                    groups.iter().filter(|group| kinds.get(group, kind).is_some()).collect();
                let own = groups.iter().filter(|group| !scope::is_built_in(group) && !known.contains(group));
                for group in own.chain(known.iter().copied()) {
                    let place = known.is_empty().then_some(constraint.info.location());
                    self.add(group, kind, None, kinds, place);
                }
            }
            (None, Some(kind)) => {
                let groups = kinds.groups_of(kind);
                for group in &groups {
                    self.add(group, kind, None, kinds, None);
                }
                let is_part = scope::is_known(kind);
                if groups.is_empty() && !is_part {
                    self.add(ANY, kind, None, kinds, Some(constraint.info.location()));
                }
            }
        };
        let entries: Vec<_> = constraint.matcher.entries().collect();
        let entries = if entries.is_empty() { vec![(None, None)] } else { entries };
        let mut is_cut = false;
        for (groups, names) in entries {
            let fits = match (names, of_text) {
                (None, None) => room.takes(groups, std::iter::once(ANY)),
                (None, Some(kinds)) => room.takes(groups, kinds.iter().map(|kind| &**kind)),
                (Some(names), _) => room.takes(groups, names.iter().map(|name| &**name)),
            };
            if !fits {
                is_cut = true;
                continue;
            }
            match (names, of_text) {
                (None, None) => add(groups, None),
                (None, Some(kinds)) => kinds.iter().for_each(|kind| add(groups, Some(kind))),
                (Some(names), of_text) => names
                    .iter()
                    .filter(|kind| of_text.is_none_or(|kinds| kinds.contains(&***kind)))
                    .for_each(|kind| add(groups, Some(kind))),
            }
        }
        if is_cut {
            let message = format!(
                "`{}` names too many kinds in too many groups to list each: those are left out",
                constraint.info.key()
            );
            self.note(message, "name fewer in `match.kinds`, or use `*`", constraint.info.location());
        }
    }

    fn add_read(
        &mut self,
        template: &TemplateInfo,
        read: &InventoryRead,
        policies: &PolicySet,
        kinds: &Kinds,
        room: &mut Room,
    ) {
        let place = Some(template.location());
        let Some(kind) = read.kind.as_deref() else {
            return self.add_required(template, read, policies, kinds, room);
        };
        let Some(api_version) = &read.api_version else {
            let groups = kinds.groups_of(kind);
            for group in &groups {
                self.add(group, kind, None, kinds, None);
            }
            if groups.is_empty() {
                let message = format!(
                    "`{}` compares with {read}, and in which group they are is not known",
                    template.kind()
                );
                self.note(
                    message,
                    "give their CustomResourceDefinition beside the policies",
                    template.location(),
                );
            }
            return;
        };
        let gvk = Gvk::new(api_version, kind);
        self.add(&gvk.group, kind, Some(&gvk.version), kinds, place);
    }

    /// Of kinds that the text does not say, those that the template says elsewhere that it needs.
    fn add_required(
        &mut self,
        template: &TemplateInfo,
        read: &InventoryRead,
        policies: &PolicySet,
        kinds: &Kinds,
        room: &mut Room,
    ) {
        let Some(required) = required_kinds(template, room) else {
            let message = format!("`{}` says that it needs too many kinds to list each", template.kind());
            self.note(message, "name fewer in its annotation", template.location());
            return;
        };
        for GroupKind { group, kind } in &required {
            if kinds.get(group, kind).is_some() && !parts::is_gone(group, kind) {
                self.add(group, kind, None, kinds, None);
            }
        }
        if !required.is_empty() {
            return;
        }
        let message =
            format!("`{}` compares with {read} of kinds that its text does not say", template.kind());
        let hint = if policies.synced_kinds().is_empty() {
            "list the kinds that it needs in a SyncSet beside the policies, or it compares with nothing"
        } else {
            "it sees those that Configs and SyncSets list; look whether these are all that it needs"
        };
        self.note(message, hint, template.location());
    }

    fn all(&mut self, group: &str) {
        self.resources.insert((group.into(), ANY.into()));
    }

    fn add(
        &mut self,
        group: &str,
        kind: &str,
        version: Option<&str>,
        kinds: &Kinds,
        place: Option<&Location>,
    ) {
        if parts::is_gone(group, kind) || parts::is_only_sent(group, kind) {
            return;
        }
        if let Some(known) = kinds.get(group, kind) {
            self.resources.insert((group.into(), known.resource));
            let version = version.map_or(known.version, Into::into);
            self.kinds.insert(Gvk { group: group.into(), version, kind: kind.into() });
            return;
        }
        if scope::is_built_in(group) && scope::is_known(kind) {
            // What is sent to a part of a resource is nowhere to be listed.
            return;
        }
        self.resources.insert((group.into(), guess(kind).into()));
        if let Some(version) = version {
            self.kinds.insert(Gvk { group: group.into(), version: version.into(), kind: kind.into() });
        }
        if let Some(place) = place {
            let message =
                format!("the kind `{kind}` is not known: its resource is taken to be `{}`", guess(kind));
            self.note(message, "give its CustomResourceDefinition beside the policies", place);
        }
    }

    fn note(&mut self, message: String, hint: &str, place: &Location) {
        self.notes.push(Error::warning(ErrorKind::MissingInventory, message).hint(hint).at(place.clone()));
    }

    /// What is in something else is left out, and everything is put into order.
    fn tidied(mut self) -> Self {
        let all: BTreeSet<Arc<str>> = self
            .resources
            .iter()
            .filter(|(_, resource)| &**resource == ANY)
            .map(|(group, _)| group.clone())
            .collect();
        self.resources.retain(|(group, resource)| {
            let is_all = &**resource == ANY;
            (is_all || !all.contains(group)) && (&**group == ANY || !all.contains(ANY))
        });
        self.notes.sort();
        self.notes.dedup();
        self
    }
}

/// The kinds of the annotation `metadata.gatekeeper.sh/requires-sync-data`: lists of choices, of groups,
/// versions and kinds. None if they are more than there is room for.
fn required_kinds(template: &TemplateInfo, room: &mut Room) -> Option<BTreeSet<GroupKind>> {
    const ANNOTATION: &str = "metadata.gatekeeper.sh/requires-sync-data";
    let document = template.document().value();
    let text = value::str_at(document, &["metadata", "annotations", ANNOTATION]).unwrap_or_default();
    let text = text.trim_matches(['\n', '"']);
    let Ok(serde_json::Value::Array(all)) = serde_json::from_str(text) else { return Some(BTreeSet::new()) };
    let mut found = BTreeSet::new();
    for clause in all.iter().filter_map(serde_json::Value::as_array).flatten() {
        let texts = |key: &str| {
            let list = clause.get(key).and_then(serde_json::Value::as_array).into_iter().flatten();
            list.filter_map(serde_json::Value::as_str).map(Arc::<str>::from).collect::<BTreeSet<_>>()
        };
        let (groups, kinds) = (texts("groups"), texts("kinds"));
        if !room.takes(Some(&groups), kinds.iter().map(|kind| &**kind)) {
            return None;
        }
        for group in groups {
            found.extend(kinds.iter().map(|kind| GroupKind { group: group.clone(), kind: kind.clone() }));
        }
    }
    Some(found)
}
