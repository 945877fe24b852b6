//! The book of watches: which there are, how far each is, and since when one fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use portcullis::{Gvk, MutatorKind};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::connect::Cluster;
use crate::error::ClusterError;
use crate::published::{Awaited, Patience};
use crate::resource::ApiResource;
use crate::watch::{self as watching, As, Event, WatchTask};

/// What a watch is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    Templates,
    Configs,
    SyncSets,
    Exceptions,
    Namespaces,
    /// CRDs, by name: when kinds come and go.
    Definitions,
    /// Of one kind, as the template spells it.
    Constraints(Arc<str>),
    Inventory(ApiResource),
    Mutators(MutatorKind),
    ExpansionTemplates,
    Providers,
    /// Of a kind of Gatekeeper's that nothing is done for, to say so.
    Unsupported(ApiResource),
}

/// Purposes that are planned together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Fixed,
    Constraints,
    Inventory,
    /// What changes objects, makes others of them, or is asked by policies: each in the version that is served.
    Mutation,
    Unsupported,
}

impl Purpose {
    pub(super) const FIXED: [Self; 6] = [
        Self::Templates,
        Self::Configs,
        Self::SyncSets,
        Self::Exceptions,
        Self::Namespaces,
        Self::Definitions,
    ];

    pub(super) fn family(&self) -> Family {
        match self {
            Self::Templates
            | Self::Configs
            | Self::SyncSets
            | Self::Exceptions
            | Self::Namespaces
            | Self::Definitions => Family::Fixed,
            Self::Constraints(_) => Family::Constraints,
            Self::Inventory(_) => Family::Inventory,
            Self::Mutators(_) | Self::ExpansionTemplates | Self::Providers => Family::Mutation,
            Self::Unsupported(_) => Family::Unsupported,
        }
    }

    /// What is watched, in the version that is usual.
    pub(super) fn resource(&self) -> ApiResource {
        match self {
            Self::Templates => ApiResource::templates(),
            Self::Configs => ApiResource::configs(),
            Self::SyncSets => ApiResource::sync_sets(),
            Self::Exceptions => ApiResource::exceptions(),
            Self::Namespaces => ApiResource::namespaces(),
            Self::Definitions => ApiResource::definitions(),
            Self::Constraints(kind) => ApiResource::constraints(kind),
            Self::Mutators(kind) => ApiResource::mutators(*kind),
            Self::ExpansionTemplates => ApiResource::expansion_templates(),
            Self::Providers => ApiResource::providers(),
            Self::Inventory(resource) | Self::Unsupported(resource) => resource.clone(),
        }
    }

    fn wanted(&self) -> As {
        match self {
            Self::Namespaces | Self::Inventory(_) => As::Objects,
            Self::Definitions | Self::Unsupported(_) => As::Names,
            Self::Templates
            | Self::Configs
            | Self::SyncSets
            | Self::Exceptions
            | Self::Constraints(_)
            | Self::Mutators(_)
            | Self::ExpansionTemplates
            | Self::Providers => As::Texts,
        }
    }

    /// Whether it can be given up: what is not known of it then is an error of who reads it. Policies and ExpansionTemplates cannot;
    /// without them it is not known what to judge by. Mutators can while nothing is known of them: nothing is mutated then, and what was
    /// known stays in force, as of policies. So can Providers: who asks one that is not known gets no answer. Exceptions can at any time: none is in force then, so that what they let pass is denied. One
    /// that was taken away and is not seen to be must not let pass for ever.
    fn may_be_given_up(&self, progress: Progress) -> bool {
        match self {
            Self::Namespaces | Self::Inventory(_) | Self::Exceptions => true,
            Self::Mutators(_) | Self::Providers => progress == Progress::Listing,
            Self::Templates
            | Self::Configs
            | Self::SyncSets
            | Self::Definitions
            | Self::Constraints(_)
            | Self::ExpansionTemplates
            | Self::Unsupported(_) => false,
        }
    }
}

/// How much is known of what is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing yet.
    Listing,
    /// All that there is, or was when it last could be seen.
    Known,
    /// There is no such kind, so there is nothing.
    Absent,
}

/// A failure that lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The last one.
    pub(super) why: String,
    cause: Cause,
    /// The first one.
    since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Rights are missing, or the kind is not served.
    Denied,
    /// The API server says something else.
    Refused,
    /// It says nothing.
    Silent,
}

#[derive(Debug)]
pub(super) struct Watched {
    id: u64,
    _task: WatchTask,
    pub(super) resource: ApiResource,
    pub(super) progress: Progress,
    /// Until something works again.
    pub(super) failing: Option<Failure>,
    /// Why it was given up, until it could be listed again.
    pub(super) given_up: Option<String>,
}

impl Watched {
    /// Whether it has to be waited for: neither known nor given up.
    pub(super) fn is_awaited(&self) -> bool {
        self.progress == Progress::Listing && self.given_up.is_none()
    }

    /// What it is that is awaited.
    pub(super) fn awaited(&self) -> Awaited {
        match &self.failing {
            Some(failure) => Awaited::ListFailed(self.resource.clone(), failure.why.clone()),
            None => Awaited::Listing(self.resource.clone()),
        }
    }

    /// How long the failure may last. Of an API server that is gone for everybody nothing is concluded: it sends no requests either.
    fn bears(&self, cause: Cause, patience: &Patience, others_work: bool) -> Option<Duration> {
        match (self.progress, cause) {
            (Progress::Known, Cause::Denied) => Some(patience.denied),
            (Progress::Known, Cause::Refused) => Some(patience.failing),
            (Progress::Known, Cause::Silent) => others_work.then_some(patience.failing),
            (_, Cause::Denied) => Some(Duration::ZERO),
            (_, Cause::Refused | Cause::Silent) => Some(patience.listing),
        }
    }
}

/// All watches, by what they are for.
#[derive(Debug)]
pub(super) struct Watches {
    cluster: Cluster,
    page: u32,
    sender: mpsc::Sender<(u64, Event)>,
    all: BTreeMap<Purpose, Watched>,
    purposes: BTreeMap<u64, Purpose>,
    next_id: u64,
}

impl Watches {
    pub(super) fn new(cluster: Cluster, page: u32, sender: mpsc::Sender<(u64, Event)>) -> Self {
        Self { cluster, page, sender, all: BTreeMap::new(), purposes: BTreeMap::new(), next_id: 0 }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Purpose, &Watched)> {
        self.all.iter()
    }

    pub(super) fn get(&self, purpose: &Purpose) -> Option<&Watched> {
        self.all.get(purpose)
    }

    /// What an event is about; `None` if its watch has ended, which may have said something before.
    pub(super) fn purpose(&self, id: u64) -> Option<Purpose> {
        self.purposes.get(&id).cloned()
    }

    /// Begins a watch. One that there is begins anew, with a list: what is known stays until that has come.
    pub(super) fn start(&mut self, purpose: Purpose) {
        let resource = self.all.get(&purpose).map(|watched| watched.resource.clone());
        let resource = resource.unwrap_or_else(|| purpose.resource());
        self.start_as(purpose, resource);
    }

    /// The same, of the kind in this version.
    pub(super) fn start_as(&mut self, purpose: Purpose, resource: ApiResource) {
        let wanted = purpose.wanted();
        let id = self.next_id;
        self.next_id += 1;
        let (cluster, sender) = (self.cluster.clone(), self.sender.clone());
        let task = watching::start(cluster, resource.clone(), wanted, self.page, id, sender);
        let before = self.all.remove(&purpose);
        if let Some(before) = &before {
            self.purposes.remove(&before.id);
        }
        let (progress, failing, given_up) = match before {
            Some(before) => (before.progress, before.failing, before.given_up),
            None => (Progress::Listing, None, None),
        };
        self.all.insert(purpose.clone(), Watched { id, _task: task, resource, progress, failing, given_up });
        self.purposes.insert(id, purpose);
    }

    /// Makes the watches of a family those that are wanted, and returns those that ended.
    pub(super) fn plan(&mut self, family: Family, wanted: &BTreeSet<Purpose>) -> Vec<Purpose> {
        let there: BTreeSet<Purpose> =
            self.all.keys().filter(|purpose| purpose.family() == family).cloned().collect();
        for purpose in wanted.difference(&there) {
            self.start(purpose.clone());
        }
        let ended: Vec<Purpose> = there.difference(wanted).cloned().collect();
        for purpose in &ended {
            if let Some(watched) = self.all.remove(purpose) {
                self.purposes.remove(&watched.id);
            }
        }
        ended
    }

    /// Remembers a failure.
    pub(super) fn failed(&mut self, purpose: &Purpose, error: &ClusterError) {
        let cause = match error {
            _ if error.is_forbidden() || error.is_not_found() => Cause::Denied,
            ClusterError::Unreachable { .. } => Cause::Silent,
            _ => Cause::Refused,
        };
        self.fail(purpose, error.to_string(), cause);
    }

    /// Remembers that the API server does not serve the kind, where that cannot be all there is to it.
    pub(super) fn not_served(&mut self, purpose: &Purpose, hint: &str) {
        // A kind that is new is served in a moment.
        let is_known = self.all.get(purpose).is_some_and(|watched| watched.progress == Progress::Known);
        let is_new = purpose.family() == Family::Mutation || (*purpose == Purpose::Exceptions && !is_known);
        let cause = if is_new { Cause::Refused } else { Cause::Denied };
        self.fail(purpose, format!("the API server does not serve this kind{hint}"), cause);
    }

    fn fail(&mut self, purpose: &Purpose, why: String, cause: Cause) {
        if let Some(watched) = self.all.get_mut(purpose) {
            let since = watched.failing.as_ref().map_or_else(Instant::now, |failure| failure.since);
            watched.failing = Some(Failure { why, cause, since });
        }
    }

    /// For how long it has failed.
    pub(super) fn fails_for(&self, purpose: &Purpose) -> Duration {
        let failing = self.all.get(purpose).and_then(|watched| watched.failing.as_ref());
        failing.map_or(Duration::ZERO, |failure| failure.since.elapsed())
    }

    /// Something works again. Returns whether that is news.
    pub(super) fn works(&mut self, purpose: &Purpose) -> bool {
        self.all.get_mut(purpose).is_some_and(|watched| watched.failing.take().is_some())
    }

    /// All there is has come, or there is nothing. Returns whether that changes what is known.
    pub(super) fn settled(&mut self, purpose: &Purpose, progress: Progress) -> bool {
        let Some(watched) = self.all.get_mut(purpose) else { return false };
        let is_news = watched.progress != progress || watched.failing.is_some() || watched.given_up.is_some();
        (watched.progress, watched.failing, watched.given_up) = (progress, None, None);
        is_news
    }

    /// Gives up what has failed for too long. Returns whether there was any, and when to look again.
    pub(super) fn give_up(&mut self, now: Instant, patience: &Patience) -> (bool, Option<Instant>) {
        let others_work =
            self.all.values().any(|watched| watched.progress == Progress::Known && watched.failing.is_none());
        let (mut changed, mut next) = (false, None::<Instant>);
        for (purpose, watched) in &mut self.all {
            let Some(failure) = watched.failing.as_ref().filter(|_| watched.given_up.is_none()) else {
                continue;
            };
            let Some(bears) = watched.bears(failure.cause, patience, others_work) else { continue };
            if !purpose.may_be_given_up(watched.progress) {
                continue;
            }
            let end = failure.since + bears;
            if end <= now {
                watched.given_up = Some(failure.why.clone());
                changed = true;
            } else {
                next = Some(next.map_or(end, |next| next.min(end)));
            }
        }
        (changed, next)
    }

    /// Of which kinds of the inventory it is not known what objects there are, and why. One that is being listed is among them: until
    /// its list has come, nothing that reads it may be judged.
    pub(super) fn unreadable(&self) -> BTreeMap<Gvk, Arc<str>> {
        let kinds = self.all.iter().filter(|(purpose, _)| purpose.family() == Family::Inventory);
        kinds
            .filter_map(|(_, watched)| {
                let why = match (&watched.given_up, watched.progress) {
                    (Some(why), _) => why.as_str().into(),
                    (None, Progress::Listing) => "it is being listed".into(),
                    (None, Progress::Known | Progress::Absent) => return None,
                };
                Some((watched.resource.gvk.clone(), why))
            })
            .collect()
    }
}
