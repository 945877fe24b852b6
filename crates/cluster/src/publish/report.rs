//! How it is: what the books say, for people, statuses and metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use portcullis::{
    ConstraintKey, Error, ErrorKind, MutatorInfo, MutatorKey, Severity, TemplateName, Unjudgeable,
};

use super::policies::{Identity, Known};
use super::watches::{Progress, Purpose};
use super::{Crd, Writer};
use crate::pages::Name;
use crate::published::{
    Awaited, Definition, PolicyError, PolicyState, Problem, Report, Snapshot, Standing, Unreadable,
};
use crate::resource::ApiResource;

/// Objects that cannot be read and are named.
const MAX_BROKEN: usize = 50;

/// What is worked out once for all policies.
struct Overall {
    in_force: BTreeSet<ConstraintKey>,
    mutators: BTreeSet<MutatorKey>,
    /// Why it is not known which mutators there are.
    unknown_mutators: Option<Arc<str>>,
    expansions: BTreeSet<String>,
    /// Why no exception is in force.
    unknown_exceptions: Option<Arc<str>>,
    unjudgeable: BTreeMap<TemplateName, Unjudgeable>,
    /// What is wrong with policies because of others.
    together: Vec<Error>,
    is_ready: bool,
}

impl Writer {
    /// Tells how it is, if that is news.
    pub(super) fn report(&self, mut waiting: Vec<Awaited>) {
        let published = self.outlets.snapshots.borrow().clone();
        let constraints = published.iter().flat_map(|published| published.policies.constraints());
        let overall = Overall {
            in_force: constraints.map(|constraint| constraint.key().clone()).collect(),
            mutators: Self::mutators_in_force(published.as_deref()),
            unknown_mutators: published.as_deref().and_then(|published| published.mutators.clone().err()),
            expansions: expansions_in_force(published.as_deref()),
            unknown_exceptions: self.held.unknown_exceptions.clone(),
            unjudgeable: self.policies.latest().unjudgeable(self.objects.unreadable()),
            together: self.policies.problems_together(),
            is_ready: published.is_some(),
        };
        let policies =
            self.policies.known().map(|(name, known)| self.policy(name, known, &overall)).collect();
        if published.is_some() {
            let kinds: BTreeSet<&Awaited> = self.held.waiting.values().flatten().collect();
            waiting.extend(kinds.into_iter().cloned());
        }
        let unsupported = self.unsupported.iter().flat_map(|(purpose, names)| {
            let kind = match purpose {
                Purpose::Unsupported(resource) => &*resource.gvk.kind,
                _ => "",
            };
            names.iter().map(move |(_, name)| {
                format!("{kind} `{name}` of Gatekeeper is not supported: nothing is done for it")
            })
        });
        let unreadable = self.objects.unreadable().iter();
        let report = Report {
            ready: published.is_some(),
            waiting,
            failing_watches: self.watches.iter().filter(|(_, watched)| watched.failing.is_some()).count(),
            unreadable: unreadable.map(|(gvk, why)| (gvk.to_string(), why.to_string())).collect(),
            unknown_exceptions: self.held.unknown_exceptions.as_deref().map(str::to_owned),
            problems: self.problems(),
            policies,
            unsupported: unsupported.collect(),
            templates: self.templates.clone(),
        };
        self.outlets.reports.send_if_modified(|last| {
            let changed = **last != report;
            if changed {
                *last = Arc::new(report);
            }
            changed
        });
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::new();
        for (purpose, watched) in self.watches.iter() {
            let (Some(failure), subject) = (&watched.failing, watched.resource.to_string()) else { continue };
            let error = &failure.why;
            let message = match (&watched.given_up, watched.progress, purpose) {
                (Some(_), _, Purpose::Mutators(_)) => {
                    format!("cannot be listed, so that nothing can be mutated: {error}")
                }
                (Some(_), _, Purpose::Exceptions) => {
                    format!("cannot be listed, so that no exception is in force: {error}")
                }
                (Some(_), ..) => format!("cannot be read, so that what reads it cannot be judged: {error}"),
                (None, _, Purpose::Definitions) => {
                    format!("cannot be watched: kinds that come late are noticed some seconds later: {error}")
                }
                (None, Progress::Listing, _) => format!("cannot be listed: {error}"),
                (None, Progress::Known | Progress::Absent, _) => {
                    format!("changes are not seen at the moment: {error}")
                }
            };
            problems.push(Problem { subject, message });
        }
        let of = |subject: &str, message: String| Problem { subject: subject.to_owned(), message };
        if let Some(discovery) = &self.kinds.discovery {
            problems.extend(discovery.problems().iter().map(|problem| of("discovery", problem.to_string())));
            problems.extend(self.kinds.error.iter().map(|error| of("discovery", error.clone())));
        }
        problems.extend(self.needs.notes.iter().map(|note| of("inventory", note.clone())));
        let broken = self.objects.broken();
        let named: Vec<&str> = broken.errors().take(MAX_BROKEN).collect();
        let more = broken.len().saturating_sub(named.len() as u64);
        problems.extend(named.into_iter().map(|error| {
            let message =
                format!("an object cannot be read, so that what reads its kind cannot be judged: {error}");
            of("inventory", message)
        }));
        problems.extend((more > 0).then(|| of("inventory", format!("{more} more objects cannot be read"))));
        problems
    }

    fn policy(&self, name: &Name, known: &Known, overall: &Overall) -> PolicyState {
        let mut errors = known.errors.clone();
        if let Some(identity) = &known.identity {
            let subject = identity.subject();
            errors.extend(overall.together.iter().filter(|error| error.subject() == Some(&subject)).cloned());
            if let (Identity::Mutator(_), Some(why)) = (identity, &overall.unknown_mutators) {
                errors.push(Error::new(ErrorKind::Unreadable, format!("it is not applied: {why}")));
            }
            errors.sort();
            errors.dedup();
        }
        let is_error = |error: &&Error| error.severity() == Severity::Error;
        let enforced = match &known.identity {
            Some(Identity::Constraint(key)) => overall.in_force.contains(key),
            Some(Identity::Mutator(key)) => overall.mutators.contains(key),
            Some(Identity::ExpansionTemplate(name)) => overall.expansions.contains(&**name),
            Some(Identity::Exception(_)) if overall.unknown_exceptions.is_some() => false,
            _ => !known.errors.iter().any(|error| is_error(&error)),
        };
        let (namespace, name) = name;
        PolicyState {
            resource: known.resource.clone(),
            namespace: namespace.clone(),
            name: name.clone(),
            uid: known.text.uid.clone(),
            generation: known.text.generation,
            enforced,
            standing: self.standing(known, &errors, enforced, overall),
            definition: self.definition(known),
            errors: errors
                .into_iter()
                .map(|error| PolicyError::new(error, known.document.as_ref()))
                .collect(),
            by_pod: known.text.by_pod.clone(),
            created: known.text.created,
        }
    }

    fn standing(&self, known: &Known, errors: &[Error], enforced: bool, overall: &Overall) -> Standing {
        let stops =
            |error: &&Error| error.severity() == Severity::Error || error.kind() == ErrorKind::IgnoredConfig;
        if let Some(error) = errors.iter().find(stops) {
            return Standing::Rejected { why: error.message().to_owned() };
        }
        let template = match &known.identity {
            Some(Identity::Template(name, _)) => name.clone(),
            Some(Identity::Constraint(key)) => TemplateName::of_kind(&key.kind),
            Some(Identity::Mutator(_) | Identity::ExpansionTemplate(_)) if !enforced => {
                let kinds = vec![Awaited::Everything];
                return Standing::Waiting { kinds, since: SystemTime::UNIX_EPOCH };
            }
            Some(Identity::Exception(_)) if let Some(why) = &overall.unknown_exceptions => {
                let kinds = vec![Awaited::ListFailed(known.resource.clone(), why.to_string())];
                return Standing::Waiting { kinds, since: SystemTime::UNIX_EPOCH };
            }
            Some(
                Identity::Config(_)
                | Identity::SyncSet(_)
                | Identity::Exception(_)
                | Identity::Provider(_)
                | Identity::Mutator(_)
                | Identity::ExpansionTemplate(_),
            )
            | None => return Standing::Served,
        };
        if let Some(kinds) = self.held.waiting.get(&template) {
            let since = self.waiting_since.get(&template).copied().unwrap_or(SystemTime::UNIX_EPOCH);
            return Standing::Waiting { kinds: kinds.clone(), since };
        }
        if let Some(why) = overall.unjudgeable.get(&template) {
            return match self.options.unreadable {
                Unreadable::Error => Standing::Unjudgeable(why.clone()),
                Unreadable::Ignore => Standing::Rejected { why: why.to_string() },
            };
        }
        let is_missing = matches!(known.identity, Some(Identity::Constraint(_))) && !enforced;
        if !overall.is_ready || is_missing {
            let kinds = vec![Awaited::Everything];
            return Standing::Waiting { kinds, since: SystemTime::UNIX_EPOCH };
        }
        Standing::Served
    }

    /// None while it is not known which mutators there are: nothing is mutated.
    fn mutators_in_force(published: Option<&Snapshot>) -> BTreeSet<MutatorKey> {
        let Some(Ok(mutators)) = published.map(|published| &published.mutators) else {
            return BTreeSet::new();
        };
        let all = mutators.mutators().map(MutatorInfo::key);
        all.filter(|key| !mutators.is_disabled(key)).cloned().collect()
    }

    fn definition(&self, known: &Known) -> Definition {
        let Some(Identity::Template(_, kind)) = &known.identity else { return Definition::Unknown };
        let constraints = self.watches.get(&Purpose::Constraints(kind.clone()));
        let is_listed = constraints
            .is_some_and(|watched| watched.progress == Progress::Known && watched.failing.is_none());
        let are_known = self.watches.get(&Purpose::Definitions);
        let are_known = are_known.is_some_and(|watched| watched.progress == Progress::Known);
        let resource = ApiResource::constraints(kind);
        match self.definitions.get(&resource.definition_name()) {
            Some(Crd::Going) => Definition::Going,
            // Whatever it comes from.
            Some(Crd::There) | None if is_listed => Definition::Served,
            Some(Crd::There) => Definition::There,
            None if are_known => Definition::Missing,
            None => Definition::Unknown,
        }
    }
}

fn expansions_in_force(published: Option<&Snapshot>) -> BTreeSet<String> {
    let Some(published) = published else { return BTreeSet::new() };
    let circles: BTreeSet<&str> = published.expansions.in_cycles().collect();
    let all = published.expansions.templates().filter(|name| !circles.contains(name));
    all.map(str::to_owned).collect()
}
