//! What one constraint needs to be sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::kinds::{Kinds, guess};
use super::parts::{self, CHANGES, SENT, Sent};
use super::room::Room;
use super::{ANY, AdmissionTarget};
use crate::analysis::Mention;
use crate::api::Operation;
use crate::api::admission_policy::{Rule, RuleScope};
use crate::api::matching::Scope as MatchScope;
use crate::enforcement::EnforcementPoint;
use crate::error::{Error, ErrorKind, did_you_mean};
use crate::matcher::Names;
use crate::names::Gvk;
use crate::policy::CompiledConstraint;
use crate::program::Base;
use crate::scope::{self, Scope};
use crate::value::{self, Value};

/// The needs of a constraint, and what is to be said about it.
#[derive(Default)]
pub(super) struct Needs {
    pub(super) wanted: BTreeSet<(AdmissionTarget, Operation)>,
    pub(super) notes: Vec<Error>,
    /// Whether a resource was guessed, because its kind is not known.
    pub(super) guesses: bool,
}

impl Needs {
    pub(super) fn of(constraint: &CompiledConstraint, kinds: &Kinds, room: &mut Room) -> Self {
        let matcher = &constraint.matcher;
        let mut needs = Self::default();
        // It is not asked at the webhook, or about nothing that is sent to it: what is generated is not.
        if constraint.info.enforcement().actions(EnforcementPoint::Webhook).is_empty()
            || !matcher.takes_originals()
        {
            return needs;
        }
        if let Some(bound) = &constraint.policy {
            needs.of_policy(bound.rules());
            return needs;
        }
        let about =
            CHANGES.iter().map(|changes| changes.fields.iter().any(|field| is_about(constraint, field)));
        let about = about.collect();
        let mut asking =
            Asking { constraint, kinds, operations: operations(constraint), about, needs: &mut needs };
        let entries: Vec<_> = matcher.entries().collect();
        if entries.is_empty() {
            asking.entry(None, None, &entries);
        }
        for (groups, names) in &entries {
            if asking.fits(*groups, *names, room) {
                asking.entry(*groups, *names, &entries);
            } else {
                asking.widened(*groups, *names, room);
            }
        }
        asking.doubt_connections();
        asking.doubt_scaling();
        needs.notes.sort();
        needs.notes.dedup();
        needs
    }
}

impl Needs {
    /// Those of an admission policy, which says itself what it is about.
    fn of_policy(&mut self, rules: &[Rule]) {
        const ALL: [Operation; 4] =
            [Operation::Create, Operation::Update, Operation::Delete, Operation::Connect];
        for rule in rules {
            let scope = match rule.scope {
                RuleScope::Any => Scope::ByObject,
                RuleScope::Cluster => Scope::Cluster,
                RuleScope::Namespaced => Scope::Namespaced,
            };
            let is_asked = |operation: &Operation| {
                rule.operations.iter().any(|word| [ANY, operation.as_str()].contains(&&**word))
            };
            for (group, resource) in rule
                .groups
                .iter()
                .flat_map(|group| rule.resources.iter().map(move |resource| (group, resource)))
            {
                let (name, part) = match resource.split_once('/') {
                    None => (&**resource, None),
                    Some((name, part)) => (name, Some(part)),
                };
                let whole = (part == Some(ANY)).then_some(None);
                for part in [part].into_iter().chain(whole) {
                    let target = AdmissionTarget::new(group, name, part, scope);
                    let wanted = ALL.into_iter().filter(is_asked);
                    self.wanted.extend(wanted.map(|operation| (target.clone(), operation)));
                }
            }
        }
    }
}

/// Whether what a constraint says may rest on a part of the review; `*` is any step.
fn rests_on(constraint: &CompiledConstraint, path: &[&str]) -> bool {
    let steps = path.iter().map(|step| (*step != ANY).then_some(*step));
    let path: Vec<Option<&str>> = std::iter::once(Some("review")).chain(steps).collect();
    constraint.template.program.may_rest_on(Base::Input, &path)
}

/// Whether it may rest on a field of the object, or of the old one.
fn rests_on_field(constraint: &CompiledConstraint, field: &[&str]) -> bool {
    ["object", "oldObject"].iter().any(|object| rests_on(constraint, &[&[*object], field].concat()))
}

/// Whether the constraint is about a field: whether it may rest on it, and names it or comes to it by a name
/// that is worked out. One that compares the whole object with the old one rests on everything, and is about
/// nothing of it.
fn is_about(constraint: &CompiledConstraint, field: &[&str]) -> bool {
    let program = &constraint.template.program;
    let words = &program.told().operation_use().words;
    let name = field.last().copied().unwrap_or_default();
    // `spec[sprintf("%vContainers", [sort])]`
    let tail = name.find(char::is_uppercase).and_then(|start| name.get(start..)).unwrap_or(name);
    let is_named = ["walk", name].iter().any(|word| words.contains(*word))
        || (tail != name && words.iter().any(|word| word.ends_with(tail)));
    let is_computed = |read: &[Option<Box<str>>]| {
        let mut steps = read.iter().zip(field);
        // Which field of the whole object is worked out is no hint.
        read.first().is_some_and(Option::is_some)
            && steps.all(|(step, name)| *name == ANY || step.as_deref().is_none_or(|step| step == *name))
            && read.iter().zip(field).any(|(step, name)| *name != ANY && step.is_none())
    };
    (is_named || program.told().reads().object.iter().any(|read| is_computed(read)))
        && rests_on_field(constraint, field)
}

/// Whether it is about who asks, and about nothing of the object.
fn is_about_who(constraint: &CompiledConstraint) -> bool {
    let words = &constraint.template.program.told().operation_use().words;
    let names =
        |field: &str| (words.contains(field) || words.contains("walk")) && rests_on(constraint, &[field]);
    names("userInfo") && !names("object") && !names("oldObject")
}

/// The operations that a constraint is about.
pub(super) fn operations(constraint: &CompiledConstraint) -> BTreeSet<Operation> {
    let declared = constraint.template.operations();
    if !declared.is_empty() {
        return declared.iter().copied().collect();
    }
    let mut wanted = BTreeSet::from([Operation::Create, Operation::Update]);
    let found = constraint.template.program.told().operation_use();
    let (mut deletes, mut connects) = (found.deletes, found.connects);
    // What hands `input` on as a whole rests on all of it, and is about what it names.
    let is_named = |name: &str| found.words.contains(name) || found.words.contains("walk");
    let is_hidden =
        found.mention == Mention::Nowhere && is_named("operation") && rests_on(constraint, &["operation"]);
    if found.mention == Mention::Open || is_hidden {
        // It is compared with what may be anything: with what the template names or the parameters say, else
        // with all.
        let mut names: BTreeSet<String> = found.words.iter().map(|word| word.to_uppercase()).collect();
        texts(&constraint.parameters, &mut |text| {
            names.insert(text.to_uppercase());
        });
        let says = |operation: Operation| names.contains(operation.as_str());
        let all = [Operation::Create, Operation::Update, Operation::Delete, Operation::Connect];
        let says_any = all.into_iter().any(says);
        deletes |= says(Operation::Delete) || !says_any;
        connects |= says(Operation::Connect) || !says_any;
    }
    if found.mention <= Mention::Printed && !is_hidden {
        // What is only about the old object, or about who asks, holds for deletions as it does for changes.
        deletes |=
            (is_named("oldObject") && rests_on(constraint, &["oldObject"])) || is_about_who(constraint);
        connects |= is_about_who(constraint);
    }
    if deletes {
        wanted.insert(Operation::Delete);
    }
    if connects {
        wanted.insert(Operation::Connect);
    }
    wanted
}

/// All texts in a value. Recursion is as deep as the document is nested, which its reader bounds.
fn texts(value: &Value, each: &mut impl FnMut(&str)) {
    if let Some(text) = value::as_str(value) {
        each(text);
    }
    value::items(value).for_each(|item| texts(item, each));
    for (key, item) in value::entries(value) {
        each(key);
        texts(item, each);
    }
}

struct Asking<'a> {
    constraint: &'a CompiledConstraint,
    kinds: &'a Kinds,
    operations: BTreeSet<Operation>,
    /// Which of [`CHANGES`] the constraint is about.
    about: Vec<bool>,
    needs: &'a mut Needs,
}

impl Asking<'_> {
    fn entry(&mut self, groups: Names<'_>, names: Names<'_>, all: &[(Names<'_>, Names<'_>)]) {
        let of_text = self.constraint.template.program.told().operation_use().kinds.as_ref();
        match (names, of_text) {
            (None, None) => self.any_kind(groups),
            (None, Some(kinds)) => {
                for kind in kinds {
                    self.kind(groups, kind, all);
                }
            }
            (Some(names), _) => {
                for name in names {
                    self.kind(groups, name, all);
                }
            }
        }
    }

    /// Whether each kind of an entry can be looked at in each of its groups.
    fn fits(&self, groups: Names<'_>, names: Names<'_>, room: &mut Room) -> bool {
        let of_text = self.constraint.template.program.told().operation_use().kinds.as_ref();
        match (names, of_text) {
            (None, None) => room.takes(groups, std::iter::once(ANY)),
            (None, Some(kinds)) => room.takes(groups, kinds.iter().map(|kind| &**kind)),
            (Some(names), _) => room.takes(groups, names.iter().map(|name| &**name)),
        }
    }

    /// All kinds of an entry's groups instead of those that it names, so that nothing is left out.
    fn widened(&mut self, groups: Names<'_>, names: Names<'_>, room: &mut Room) {
        let groups = groups.filter(|_| room.takes(groups, std::iter::once(ANY)));
        self.any_kind(groups);
        for sent in SENT {
            let takes = |names: Names<'_>, name: &str| names.is_none_or(|names| names.contains(name));
            if takes(groups, sent.group) && takes(names, sent.kind) {
                self.sent(sent);
            }
        }
        let of = if groups.is_some() { "of these groups" } else { "of all groups" };
        self.note(
            format!("it names too many kinds in too many groups to ask for each: all kinds {of} are sent"),
            "name fewer in `match.kinds`, or use `*`",
        );
    }

    /// All kinds of some groups.
    fn any_kind(&mut self, groups: Names<'_>) {
        let groups: Vec<Arc<str>> = match groups {
            None => vec![ANY.into()],
            Some(groups) => groups.iter().cloned().collect(),
        };
        for group in groups {
            self.whole(&group, ANY, ANY, Scope::ByObject);
            for sent in SENT {
                let fits = &*group == ANY || &*group == sent.group;
                if fits && self.means(sent) {
                    self.sent(sent);
                }
            }
        }
    }

    /// Whether a constraint without kinds is about what comes by a part of a resource.
    fn means(&self, sent: &Sent) -> bool {
        let constraint = self.constraint;
        let words = &constraint.template.program.told().operation_use().words;
        let names = |word: Option<&str>| word.is_some_and(|word| words.contains(word));
        let connects = sent.operation == Operation::Connect && self.operations.contains(&Operation::Connect);
        connects
            || is_about_who(constraint)
            || (names(Some(sent.kind))
                && (rests_on(constraint, &["kind"]) || rests_on_field(constraint, &["kind"])))
            || (names(sent.part) && rests_on(constraint, &["subResource"]))
    }

    /// One kind, in some groups or in any.
    fn kind(&mut self, groups: Names<'_>, kind: &str, all: &[(Names<'_>, Names<'_>)]) {
        let mut is_found = false;
        for sent in SENT.iter().filter(|sent| sent.kind == kind) {
            if groups.is_none_or(|groups| groups.contains(sent.group)) {
                self.sent(sent);
                is_found = true;
            }
        }
        let known: Vec<Arc<str>> = match groups {
            None => self.kinds.groups_of(kind),
            Some(groups) => {
                groups.iter().filter(|group| self.kinds.get(group, kind).is_some()).cloned().collect()
            }
        };
        for group in &known {
            is_found = true;
            let takes = |successor: &str| {
                all.iter().any(|(groups, names)| {
                    groups.is_none_or(|groups| groups.contains(successor))
                        && names.is_none_or(|names| names.contains(kind))
                })
            };
            if parts::is_never_sent(group, kind) {
                self.note(format!("an API server asks no webhook about `{kind}` objects"), "audits see them");
                continue;
            }
            if parts::is_gone(group, kind) {
                let successor = parts::successor(group, kind);
                if !successor.is_some_and(takes) {
                    let hint = successor.map_or_else(
                        || "nothing matches it".to_owned(),
                        |successor| format!("name the group `{successor}`"),
                    );
                    self.note(format!("no API server serves `{kind}` of `{group}` any more"), &hint);
                }
                continue;
            }
            if let Some(known) = self.kinds.get(group, kind) {
                self.whole(group, kind, &known.resource, known.scope);
            }
        }
        // Somebody's own group may have the kind as well; those of Kubernetes are known.
        let own = groups.into_iter().flatten().filter(|group| !scope::is_built_in(group));
        let guessed: Vec<&Arc<str>> = own.filter(|group| !known.contains(group)).collect();
        for group in guessed {
            if !is_found {
                self.guessed(kind, Some(group));
            }
            self.whole(group, kind, &guess(kind), Scope::ByObject);
            is_found = true;
        }
        if is_found {
            return;
        }
        match groups {
            None => {
                self.guessed(kind, None);
                self.whole(ANY, kind, &guess(kind), Scope::ByObject);
            }
            Some(groups) => {
                let (message, hint) = self.nowhere(groups, kind);
                self.note(message, &hint);
                for group in groups {
                    self.whole(group, kind, &guess(kind), Scope::ByObject);
                }
            }
        }
    }

    fn nowhere(&self, groups: &BTreeSet<Arc<str>>, kind: &str) -> (String, String) {
        let shown: Vec<String> = groups.iter().map(|group| format!("`{group}`")).collect();
        let message = format!("Kubernetes has no kind `{kind}` in {}", shown.join(", "));
        let elsewhere = self.kinds.groups_of(kind);
        let known = scope::resources().filter(|(group, ..)| groups.contains(*group));
        let hint = match (elsewhere.first(), did_you_mean(kind, known.map(|(_, kind, _)| kind))) {
            (Some(group), _) => format!("it is in `{group}`"),
            (None, Some(name)) => format!("did you mean `{name}`?"),
            (None, None) => "nothing matches it".to_owned(),
        };
        (message, hint)
    }

    fn guessed(&mut self, kind: &str, group: Option<&str>) {
        self.needs.guesses = true;
        let of = group.map(|group| format!(" of `{group}`")).unwrap_or_default();
        self.note(
            format!("the kind `{kind}`{of} is not known: its resource is taken to be `{}`", guess(kind)),
            "give its CustomResourceDefinition beside the policies",
        );
    }

    /// Objects of a kind as a whole, and by the parts that change what the constraint may rest on.
    fn whole(&mut self, group: &str, kind: &str, plural: &str, scope: Scope) {
        let Some(scope) = self.narrowed(scope) else { return };
        let only_created = kind != ANY && parts::is_only_sent(group, kind);
        for operation in self.operations.clone() {
            // Nobody connects to a whole object.
            if operation == Operation::Connect || (only_created && operation != Operation::Create) {
                continue;
            }
            self.want(AdmissionTarget::new(group, plural, None, scope), operation);
        }
        if only_created || !self.operations.contains(&Operation::Update) {
            return;
        }
        for (index, changes) in CHANGES.iter().enumerate() {
            // Any kind may be the one that has the part.
            let (of_group, of_kind) = (
                if group == ANY { changes.group } else { group },
                if kind == ANY { changes.kind } else { kind },
            );
            if !parts::has_part(changes, of_group, of_kind) {
                continue;
            }
            if !self.about.get(index).copied().unwrap_or(true) {
                continue;
            }
            let (resource, scope) = match self.kinds.get(of_group, of_kind) {
                Some(known) => (known.resource, self.narrowed(known.scope)),
                None => (plural.into(), Some(scope)),
            };
            if let Some(scope) = scope {
                let target = AdmissionTarget::new(of_group, &resource, Some(changes.part), scope);
                self.want(target, Operation::Update);
            }
        }
    }

    /// Where the objects live of a kind that the constraint may match; none if it matches none of them.
    fn narrowed(&self, scope: Scope) -> Option<Scope> {
        match (self.constraint.matcher.scope(), scope) {
            (MatchScope::Any, scope) => Some(scope),
            (MatchScope::Cluster, Scope::Namespaced) | (MatchScope::Namespaced, Scope::Cluster) => None,
            (MatchScope::Cluster, _) => Some(Scope::Cluster),
            (MatchScope::Namespaced, _) => Some(Scope::Namespaced),
        }
    }

    fn sent(&mut self, sent: &Sent) {
        let declared = self.constraint.template.operations();
        if !declared.is_empty() && !declared.contains(&sent.operation) {
            return;
        }
        // What comes only in one way is meant, whatever the text says of operations.
        let scope = match sent.resource {
            ANY => Scope::ByObject,
            "nodes" => Scope::Cluster,
            _ => Scope::Namespaced,
        };
        if let Some(scope) = self.narrowed(scope) {
            let target = AdmissionTarget::new(sent.to_group, sent.resource, sent.part, scope);
            self.want(target, sent.operation);
            if (sent.group, sent.kind) == ("", "Binding") {
                self.want(AdmissionTarget::new("", "bindings", None, scope), sent.operation);
            }
        }
    }

    /// A condition on CONNECT of a constraint whose kinds never come so.
    fn doubt_connections(&mut self) {
        let connects = self.constraint.template.program.told().operation_use().connects;
        let is_sent = self.needs.wanted.iter().any(|(_, operation)| *operation == Operation::Connect);
        if connects && !is_sent {
            let kinds: Vec<_> = SENT.iter().filter(|sent| sent.operation == Operation::Connect).collect();
            let kinds: Vec<String> = kinds.iter().map(|sent| format!("`{}`", sent.kind)).collect();
            self.note(
                "the policy is about CONNECT, but no kind that the constraint names comes with it".to_owned(),
                &format!("what is sent then is of the kinds {}", kinds.join(", ")),
            );
        }
    }

    /// Replicas that are judged where they are written, and not where they are scaled.
    fn doubt_scaling(&mut self) {
        const SCALED: [(&str, &str); 4] = [
            ("", "ReplicationController"),
            ("apps", "Deployment"),
            ("apps", "ReplicaSet"),
            ("apps", "StatefulSet"),
        ];
        let reads = &self.constraint.template.program.told().reads().object;
        let is_read = |read: &[Option<Box<str>>]| matches!(read, [Some(spec), Some(replicas), ..] if &**spec == "spec" && &**replicas == "replicas");
        let matches = |group: &str, kind: &str| {
            let gvk = Gvk { group: group.into(), version: "v1".into(), kind: kind.into() };
            self.constraint.matcher.concerns(&gvk)
        };
        let scaled = SCALED.iter().find(|(group, kind)| matches(group, kind));
        if let Some((_, kind)) = scaled
            && reads.iter().any(|read| is_read(read))
            && !matches("autoscaling", "Scale")
        {
            self.note(
                format!("`spec.replicas` of a `{kind}` is also changed by its part `scale`, which the constraint is not about"),
                "what is sent then is of the kind `Scale` of `autoscaling`; name it in `match.kinds`",
            );
        }
    }

    fn want(&mut self, target: AdmissionTarget, operation: Operation) {
        self.needs.wanted.insert((target, operation));
    }

    fn note(&mut self, message: String, hint: &str) {
        let info = &self.constraint.info;
        self.needs.notes.push(
            Error::warning(ErrorKind::WebhookRules, message)
                .hint(hint)
                .about(info.key().to_string())
                .at(info.location().clone()),
        );
    }
}
