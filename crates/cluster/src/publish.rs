//! The one writer: events of all watches in, snapshots out.
//!
//! ```text
//! watches ──events──> Writer { PolicyStore, InventoryStore, what is watched } ──settle──> Snapshot, Report
//!                        └── decides which kinds are needed, and starts and ends their watches
//! ```
//!
//! A snapshot is published only if it is whole: the first when every list that it needs is in, also of kinds that became needed while
//! starting; after that, changed policies only when the kinds that they read are in, and until then the last ones stay in force over
//! an inventory that moves on. A kind is replaced as a whole by a new list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use portcullis::{
    Change, ConstraintKey, Document, Error, Gvk, Inventory, InventoryRead, InventoryStore, Limits, Object,
    ObjectKey, PolicySet, PolicyStore, Resource, Severity, Source, TemplateInfo, TemplateName,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::connect::Cluster;
use crate::discovery::Discovery;
use crate::error::ClusterError;
use crate::feed::{FeedOptions, PolicyError, PolicyState, Problem, Report, Snapshot, Unlistable};
use crate::pages::source_name;
use crate::policy_text::PolicyText;
use crate::resource::ApiResource;
use crate::wanted::Wanted;
use crate::watch::{self as watching, As, Content, Event, Item, Name, WatchTask};

/// How often the kinds are asked for again while some of them are not known.
const ASK_AGAIN: Duration = Duration::from_secs(20);

/// What a watch is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Purpose {
    Templates,
    Configs,
    SyncSets,
    Namespaces,
    /// Of one kind, as the template spells it.
    Constraints(Arc<str>),
    Inventory(ApiResource),
    /// Of a kind of Gatekeeper's that nothing is done for, to say so.
    Unsupported(ApiResource),
}

/// How far a watch is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Progress {
    /// What is known of it, if anything, is not what there is.
    Listing,
    /// Everything is known.
    Complete,
    /// Counts as complete, because the caller said so.
    GivenUp,
}

#[derive(Debug)]
struct Watched {
    id: u64,
    _task: WatchTask,
    resource: ApiResource,
    progress: Progress,
    /// The last failure, until something works again.
    failing: Option<String>,
    failures: u32,
}

/// A policy object that was seen.
#[derive(Debug)]
struct Known {
    resource: ApiResource,
    text: PolicyText,
    /// What the store knows it as; `None` if it could not be read so far.
    identity: Option<Identity>,
    /// The object as it is now.
    document: Option<Document>,
    /// What is wrong with it.
    errors: Vec<Error>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Identity {
    Template(TemplateName, Arc<str>),
    Constraint(ConstraintKey),
    Config(Arc<str>),
    SyncSet(Arc<str>),
}

/// Where a policy object is: the kind of its objects, and its name.
type Place = (Purpose, Name);

#[expect(clippy::struct_excessive_bools, reason = "each says that one thing is to be done")]
pub(crate) struct Writer {
    cluster: Cluster,
    options: FeedOptions,
    events: mpsc::Receiver<(u64, Event)>,
    sender: mpsc::Sender<(u64, Event)>,
    asked: mpsc::Receiver<Result<Discovery, ClusterError>>,
    ask_sender: mpsc::Sender<Result<Discovery, ClusterError>>,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    reports: watch::Sender<Arc<Report>>,
    stop: watch::Receiver<bool>,

    watched: BTreeMap<Purpose, Watched>,
    purposes: BTreeMap<u64, Purpose>,
    next_id: u64,
    discovery: Option<Discovery>,
    /// Why the kinds could not be asked for, the last time.
    discovery_error: Option<String>,
    ask_at: Option<Instant>,
    asking: bool,

    known: BTreeMap<Place, Known>,
    policies: PolicyStore,
    templates: BTreeMap<TemplateName, Resource>,
    inventory: InventoryStore,
    namespaces: BTreeMap<Arc<str>, Object>,
    /// The Config alone, to ask what it keeps out of the inventory; `None` if there is none.
    config: Option<PolicySet>,
    /// What the cluster has of Gatekeeper's kinds that nothing is done for.
    unsupported: BTreeMap<ApiResource, BTreeSet<Name>>,
    /// Objects that could not be read, by where they are.
    unreadable: BTreeMap<(Purpose, Name), String>,
    /// The policies as they are now; what is published may be older.
    candidate: PolicySet,
    /// Whether the policies in force read what the candidate does not.
    leaving: bool,
    policies_changed: bool,
    objects_changed: bool,
    report_changed: bool,
}

impl Writer {
    pub(crate) fn new(
        cluster: Cluster,
        options: FeedOptions,
        snapshots: watch::Sender<Option<Arc<Snapshot>>>,
        reports: watch::Sender<Arc<Report>>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let (sender, events) = mpsc::channel(256);
        let (ask_sender, asked) = mpsc::channel(1);
        Self {
            cluster,
            options,
            events,
            sender,
            asked,
            ask_sender,
            snapshots,
            reports,
            stop,
            watched: BTreeMap::new(),
            purposes: BTreeMap::new(),
            next_id: 0,
            discovery: None,
            discovery_error: None,
            ask_at: Some(Instant::now()),
            asking: false,
            known: BTreeMap::new(),
            policies: PolicyStore::new(),
            templates: BTreeMap::new(),
            inventory: InventoryStore::new(),
            namespaces: BTreeMap::new(),
            config: None,
            unsupported: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            candidate: PolicySet::empty(),
            leaving: false,
            policies_changed: true,
            objects_changed: false,
            report_changed: true,
        }
    }

    /// Works until it is stopped.
    pub(crate) async fn run(mut self) {
        for purpose in [Purpose::Templates, Purpose::Configs, Purpose::SyncSets, Purpose::Namespaces] {
            self.watch(purpose);
        }
        let (mut due, mut latest): (Option<Instant>, Option<Instant>) = (None, None);
        loop {
            if self.ask_at.is_some_and(|at| at <= Instant::now()) {
                self.ask_for_kinds();
            }
            let wake = [due, self.ask_at.filter(|_| !self.asking)].into_iter().flatten().min();
            let far = Instant::now() + Duration::from_hours(1);
            tokio::select! {
                biased;
                _ = self.stop.changed() => return,
                event = self.events.recv() => {
                    let Some((id, event)) = event else { return };
                    self.take(id, event);
                }
                found = self.asked.recv() => self.take_kinds(found),
                () = sleep_until(wake.unwrap_or(far)) => {
                    if due.is_some_and(|due| due <= Instant::now()) {
                        self.settle();
                        (due, latest) = (None, None);
                    }
                }
            }
            // Settling may leave something to settle: kinds that only the policies before needed.
            if self.policies_changed || self.objects_changed || self.report_changed {
                let now = Instant::now();
                let end = *latest.get_or_insert(now + self.options.debounce * 10);
                due = Some((now + self.options.debounce).min(end));
                if end <= now {
                    self.settle();
                    (due, latest) = (None, None);
                }
            }
        }
    }

    fn watch(&mut self, purpose: Purpose) {
        let (resource, wanted) = match &purpose {
            Purpose::Templates => (ApiResource::templates(), As::Texts),
            Purpose::Configs => (ApiResource::configs(), As::Texts),
            Purpose::SyncSets => (ApiResource::sync_sets(), As::Texts),
            Purpose::Namespaces => (ApiResource::namespaces(), As::Objects),
            Purpose::Constraints(kind) => (ApiResource::constraints(kind), As::Texts),
            Purpose::Inventory(resource) => (resource.clone(), As::Objects),
            Purpose::Unsupported(resource) => (resource.clone(), As::Texts),
        };
        let id = self.next_id;
        self.next_id += 1;
        let (cluster, sender) = (self.cluster.clone(), self.sender.clone());
        let task = watching::start(cluster, resource.clone(), wanted, self.options.page, id, sender);
        let watched =
            Watched { id, _task: task, resource, progress: Progress::Listing, failing: None, failures: 0 };
        if let Some(before) = self.watched.insert(purpose.clone(), watched) {
            self.purposes.remove(&before.id);
        }
        self.purposes.insert(id, purpose);
        self.report_changed = true;
    }

    fn unwatch(&mut self, purpose: &Purpose) {
        if let Some(watched) = self.watched.remove(purpose) {
            self.purposes.remove(&watched.id);
        }
        self.unreadable.retain(|(other, _), _| other != purpose);
        self.report_changed = true;
    }

    fn ask_for_kinds(&mut self) {
        self.ask_at = None;
        self.asking = true;
        let (cluster, sender) = (self.cluster.clone(), self.ask_sender.clone());
        tokio::spawn(async move {
            let found = Discovery::of(&cluster).await;
            // Nobody receives any more only if the writer has ended.
            let _ = sender.send(found).await;
        });
    }

    fn take_kinds(&mut self, found: Option<Result<Discovery, ClusterError>>) {
        self.asking = false;
        match found {
            Some(Ok(discovery)) => {
                self.discovery = Some(discovery);
                self.discovery_error = None;
                self.policies_changed = true;
            }
            Some(Err(error)) => {
                self.discovery_error = Some(error.to_string());
                self.ask_at = Some(Instant::now() + self.cluster.backoff().wait(3, error.retry_after()));
                self.report_changed = true;
            }
            None => {}
        }
    }

    fn take(&mut self, id: u64, event: Event) {
        // A watch that has been ended may have said something before.
        let Some(purpose) = self.purposes.get(&id).cloned() else { return };
        let Some(watched) = self.watched.get_mut(&purpose) else { return };
        match event {
            Event::Failing(error) => {
                watched.failing = Some(error.to_string());
                watched.failures = watched.failures.saturating_add(1);
                // Without templates or constraints there would be nothing to judge by.
                let gives_up = match (self.options.unlistable, &purpose) {
                    (Unlistable::GiveUp { after }, Purpose::Inventory(_)) => watched.failures > after,
                    _ => false,
                };
                if gives_up && watched.progress == Progress::Listing {
                    watched.progress = Progress::GivenUp;
                    self.policies_changed = true;
                }
                self.report_changed = true;
            }
            Event::Watching => {
                if watched.failing.take().is_some() {
                    self.report_changed = true;
                }
                watched.failures = 0;
            }
            Event::Listed(items) => {
                let is_news = watched.progress != Progress::Complete || watched.failing.is_some();
                watched.progress = Progress::Complete;
                watched.failing = None;
                // What is not supported changes nothing of what is in force.
                match purpose {
                    Purpose::Unsupported(_) => self.report_changed |= is_news,
                    _ => self.policies_changed |= is_news,
                }
                self.replace(&purpose, items);
            }
            Event::NotServed => self.take_not_served(&purpose),
            Event::Changed(item) => self.change(&purpose, item),
            Event::Removed(name) => self.remove(&purpose, &name),
        }
    }

    /// A kind that is not served has no objects. That is believed where nothing was known of it: of what is in force, nothing is
    /// given up because an API server that begins to work does not know its kinds yet.
    fn take_not_served(&mut self, purpose: &Purpose) {
        let is_known = self.known.keys().any(|(other, _)| other == purpose);
        let Some(watched) = self.watched.get_mut(purpose) else { return };
        let may_be_absent = match purpose {
            Purpose::Constraints(_) | Purpose::Configs | Purpose::SyncSets => !is_known,
            // Asked for again, and if the kind is gone, its watch ends.
            Purpose::Inventory(_) | Purpose::Unsupported(_) => {
                self.ask_at.get_or_insert_with(Instant::now);
                false
            }
            Purpose::Templates | Purpose::Namespaces => false,
        };
        if may_be_absent {
            self.policies_changed |= watched.progress != Progress::Complete || watched.failing.is_some();
            watched.progress = Progress::Complete;
            watched.failing = None;
        } else {
            let hint = if *purpose == Purpose::Templates { "; install Gatekeeper's CRDs" } else { "" };
            watched.failing = Some(format!("the API server does not serve this kind{hint}"));
        }
        self.report_changed = true;
    }

    fn replace(&mut self, purpose: &Purpose, items: Vec<Item>) {
        match purpose {
            Purpose::Namespaces => {
                self.namespaces.clear();
                self.unreadable.retain(|(other, _), _| other != purpose);
                for item in items {
                    self.change(purpose, item);
                }
                self.objects_changed = true;
            }
            Purpose::Inventory(resource) => {
                self.unreadable.retain(|(other, _), _| other != purpose);
                let mut objects = Vec::with_capacity(items.len());
                for item in items {
                    if let Some(object) = self.read(purpose, item)
                        && !self.is_kept_out(&object)
                    {
                        objects.push(object);
                    }
                }
                self.inventory.replace_kind(&resource.gvk, objects);
                self.objects_changed = true;
            }
            Purpose::Unsupported(resource) => {
                let names = items.into_iter().map(|item| item.name).collect();
                self.unsupported.insert(resource.clone(), names);
                self.report_changed = true;
            }
            _ => {
                let listed: BTreeSet<Name> = items.iter().map(|item| item.name.clone()).collect();
                let gone: Vec<Name> = self
                    .known
                    .keys()
                    .filter(|(other, name)| other == purpose && !listed.contains(name))
                    .map(|(_, name)| name.clone())
                    .collect();
                for name in gone {
                    self.remove(purpose, &name);
                }
                for item in items {
                    self.change(purpose, item);
                }
            }
        }
    }

    fn change(&mut self, purpose: &Purpose, item: Item) {
        match purpose {
            Purpose::Namespaces => {
                let name = item.name.1.clone();
                match self.read(purpose, item) {
                    Some(object) => {
                        self.namespaces.insert(object.name().clone(), object);
                    }
                    // The one that was known is not the one that there is.
                    None => {
                        self.namespaces.remove(&*name);
                    }
                }
                self.objects_changed = true;
            }
            Purpose::Inventory(resource) => {
                let key = object_key(&resource.gvk, &item.name);
                match self.read(purpose, item).filter(|object| !self.is_kept_out(object)) {
                    Some(object) => self.inventory.upsert(object),
                    None => self.inventory.remove(&key),
                }
                self.objects_changed = true;
            }
            Purpose::Unsupported(resource) => {
                self.unsupported.entry(resource.clone()).or_default().insert(item.name);
                self.report_changed = true;
            }
            _ => {
                if let Content::Text(text) = item.content {
                    self.change_policy(purpose, item.name, &text);
                }
            }
        }
    }

    fn remove(&mut self, purpose: &Purpose, name: &Name) {
        match purpose {
            Purpose::Namespaces => {
                self.namespaces.remove(&*name.1);
                self.objects_changed = true;
            }
            Purpose::Inventory(resource) => {
                self.inventory.remove(&object_key(&resource.gvk, name));
                self.unreadable.remove(&(purpose.clone(), name.clone()));
                self.objects_changed = true;
            }
            Purpose::Unsupported(resource) => {
                if let Some(names) = self.unsupported.get_mut(resource) {
                    names.remove(name);
                }
                self.report_changed = true;
            }
            _ => {
                let known = self.known.remove(&(purpose.clone(), name.clone()));
                if let Some(identity) = known.and_then(|known| known.identity) {
                    self.forget(identity);
                }
                self.policies_changed = true;
            }
        }
    }

    fn forget(&mut self, identity: Identity) {
        let change = match identity {
            Identity::Template(name, _) => {
                self.templates.remove(&name);
                Change::RemoveTemplate(name)
            }
            Identity::Constraint(key) => Change::RemoveConstraint(key),
            Identity::Config(name) => {
                self.config = None;
                self.list_inventory_again();
                Change::RemoveConfig(name)
            }
            Identity::SyncSet(name) => Change::RemoveSyncSet(name),
        };
        self.policies.apply(change);
    }

    /// Reads an object of a watch, or remembers why it cannot be read.
    fn read(&mut self, purpose: &Purpose, item: Item) -> Option<Object> {
        let place = (purpose.clone(), item.name);
        let Content::Object(read) = item.content else { return None };
        match read {
            Ok(object) => {
                self.unreadable.remove(&place);
                Some(object)
            }
            Err(error) => {
                self.unreadable.insert(place, error.to_string());
                self.report_changed = true;
                None
            }
        }
    }

    /// Whether a Config keeps an object out of the inventory.
    fn is_kept_out(&self, object: &Object) -> bool {
        self.config.as_ref().is_some_and(|config| config.keeps_out(object))
    }

    /// After a change of what is kept out: what was kept out is not in memory.
    fn list_inventory_again(&mut self) {
        let purposes: Vec<Purpose> =
            self.watched.keys().filter(|purpose| matches!(purpose, Purpose::Inventory(_))).cloned().collect();
        for purpose in purposes {
            self.watch(purpose);
        }
    }

    fn change_policy(&mut self, purpose: &Purpose, name: Name, text: &str) {
        let Some(resource) = self.watched.get(purpose).map(|watched| watched.resource.clone()) else {
            return;
        };
        let text = PolicyText::of(text);
        let place = (purpose.clone(), name);
        if let Some(known) = self.known.get_mut(&place)
            && known.text.policy == text.policy
            && known.text.uid == text.uid
        {
            self.report_changed |= known.text != text;
            known.text = text;
            return;
        }
        if *purpose == Purpose::Configs && place.1 != (self.options.namespace.clone(), "config".to_owned()) {
            let message = format!(
                "this Config is not looked at: only `config` in the namespace `{}` is",
                self.options.namespace
            );
            let error = Error::warning(portcullis::ErrorKind::InvalidValue, message);
            self.known
                .insert(place, Known { resource, text, identity: None, document: None, errors: vec![error] });
            self.report_changed = true;
            return;
        }
        let before = self.known.remove(&place).and_then(|known| known.identity);
        let source = Source::new(source_name(&resource, &text.policy), text.policy.as_str());
        let read = Document::read_object(&source, &Limits::default());
        let (identity, errors) = match &read {
            Ok(document) => self.apply(&place, document, before.as_ref()),
            Err(error) => (None, vec![error.clone()]),
        };
        // What cannot be read is not in force; what was there before it is.
        let identity = identity.or(before);
        self.known.insert(place, Known { resource, text, identity, document: read.ok(), errors });
        self.policies_changed = true;
    }

    fn apply(
        &mut self,
        place: &Place,
        document: &Document,
        before: Option<&Identity>,
    ) -> (Option<Identity>, Vec<Error>) {
        let (resource, mut errors) = Resource::read(document);
        let Some(resource) = resource else { return (None, errors) };
        let identity = identity(&resource);
        let is_own = match &identity {
            // A template that defines another kind than its name says must not touch the one that has it.
            Some(Identity::Template(name, _)) => name.as_str() == place.1.1,
            Some(_) => true,
            None => false,
        };
        if !is_own {
            return (None, errors);
        }
        if let Some(before) = before
            && Some(before) != identity.as_ref()
        {
            self.forget(before.clone());
        }
        let template = match &identity {
            Some(Identity::Template(name, _)) => Some(name.clone()),
            _ => None,
        };
        if matches!(identity, Some(Identity::Config(_))) {
            self.config = Some(PolicySet::from_resources([resource.clone()]).0);
            self.list_inventory_again();
        }
        let problems = self.policies.apply(Change::Upsert(resource.clone()));
        let (own, of_constraints): (Vec<Error>, Vec<Error>) = match &template {
            None => (problems, Vec::new()),
            Some(name) => {
                let subject = format!("ConstraintTemplate/{name}");
                problems.into_iter().partition(|error| error.subject().is_none_or(|about| about == subject))
            }
        };
        errors.extend(own);
        errors.retain(|error| !error.kind().is_style());
        let is_sound = !errors.iter().any(|error| error.severity() == Severity::Error);
        if let Some(name) = template.filter(|_| is_sound) {
            self.compiled_anew(&name, &of_constraints);
            self.templates.insert(name, resource);
        }
        (identity, errors)
    }

    /// A template was compiled, and its constraints against it: what is wrong with them is what is wrong with them now.
    fn compiled_anew(&mut self, template: &TemplateName, errors: &[Error]) {
        for known in self.known.values_mut() {
            let Some(Identity::Constraint(key)) = &known.identity else { continue };
            if TemplateName::of_kind(&key.kind) == *template {
                let subject = key.to_string();
                let own = errors.iter().filter(|error| error.subject() == Some(&subject));
                known.errors = own.cloned().collect();
            }
        }
    }

    /// Brings what is watched and what is published up to date.
    fn settle(&mut self) {
        let changed = std::mem::take(&mut self.policies_changed);
        if changed {
            self.candidate = self.policies.snapshot();
            self.plan_constraints();
            self.plan_unsupported();
        }
        let wanted = self.plan_inventory(changed);
        let waiting = self.waiting(&wanted);
        let published = self.snapshots.borrow().clone();
        let policies = match (&published, waiting.is_empty()) {
            (None, false) => None,
            (_, true) => Some(self.candidate.clone()),
            // The last ones stay in force.
            (Some(published), false) => Some(published.policies.clone()),
        };
        let objects_changed = std::mem::take(&mut self.objects_changed);
        if let Some(policies) = policies
            && (published.is_none() || changed || objects_changed || self.was_held_back(&waiting))
        {
            let templates = match (&published, waiting.is_empty()) {
                (Some(published), false) => published.templates.clone(),
                _ => Arc::new(self.templates.clone()),
            };
            let inventory = if objects_changed || published.is_none() || changed {
                self.inventory.snapshot()
            } else {
                published.as_ref().map_or_else(Inventory::empty, |published| published.inventory.clone())
            };
            let namespaces = match &published {
                Some(published) if !objects_changed => published.namespaces.clone(),
                _ => Arc::new(self.namespaces.clone()),
            };
            let (mut policies_revision, mut objects_revision) = published
                .as_ref()
                .map_or((0, 0), |published| (published.policies_revision, published.objects_revision));
            policies_revision += u64::from(
                waiting.is_empty() && (changed || published.is_none() || self.was_held_back(&waiting)),
            );
            objects_revision += u64::from(objects_changed || published.is_none());
            let snapshot =
                Snapshot { policies, inventory, namespaces, templates, policies_revision, objects_revision };
            self.snapshots.send_replace(Some(Arc::new(snapshot)));
            self.policies_changed |= waiting.is_empty() && std::mem::take(&mut self.leaving);
        }
        self.report_changed = false;
        self.report(&wanted, waiting);
    }

    fn was_held_back(&self, waiting: &[String]) -> bool {
        waiting.is_empty() && !self.reports.borrow().waiting.is_empty()
    }

    /// Watches the constraints of every kind that a template defines, also of one that is broken.
    fn plan_constraints(&mut self) {
        let mut kinds: BTreeMap<TemplateName, Arc<str>> = BTreeMap::new();
        for known in self.known.values() {
            if let Some(Identity::Template(name, kind)) = &known.identity {
                kinds.insert(name.clone(), kind.clone());
            }
        }
        let wanted: BTreeSet<Purpose> = kinds.into_values().map(Purpose::Constraints).collect();
        let watched: BTreeSet<Purpose> = self
            .watched
            .keys()
            .filter(|purpose| matches!(purpose, Purpose::Constraints(_)))
            .cloned()
            .collect();
        for purpose in wanted.difference(&watched) {
            self.watch(purpose.clone());
        }
        for purpose in watched.difference(&wanted) {
            self.unwatch(purpose);
            let gone: Vec<Name> = self
                .known
                .keys()
                .filter(|(other, _)| other == purpose)
                .map(|(_, name)| name.clone())
                .collect();
            for name in gone {
                self.remove(purpose, &name);
            }
            self.candidate = self.policies.snapshot();
        }
    }

    /// Watches what the cluster serves of the kinds that nothing is done for, to say which there are.
    fn plan_unsupported(&mut self) {
        let Some(discovery) = &self.discovery else { return };
        let kinds: BTreeSet<_> = portcullis::unsupported_kinds().map(|gvk| gvk.group_kind()).collect();
        let served = discovery.preferred().filter(|resource| kinds.contains(&resource.gvk.group_kind()));
        let wanted: BTreeSet<Purpose> = served.cloned().map(Purpose::Unsupported).collect();
        let watched: BTreeSet<Purpose> = self
            .watched
            .keys()
            .filter(|purpose| matches!(purpose, Purpose::Unsupported(_)))
            .cloned()
            .collect();
        for purpose in wanted.difference(&watched) {
            self.watch(purpose.clone());
        }
        for purpose in watched.difference(&wanted) {
            self.unwatch(purpose);
            if let Purpose::Unsupported(resource) = purpose {
                self.unsupported.remove(resource);
            }
        }
    }

    /// Watches the kinds that are needed, and no others.
    fn plan_inventory(&mut self, changed: bool) -> Wanted {
        let Some(discovery) = &self.discovery else { return Wanted::default() };
        let published = self.snapshots.borrow().clone();
        let coming = reads(&self.candidate);
        // What only the policies read that are going to be replaced is needed until then.
        let leaving = published.map(|published| reads(&published.policies)).unwrap_or_default();
        self.leaving = leaving.iter().any(|read| !coming.contains(read));
        let reads: Vec<(String, InventoryRead)> = coming.into_iter().chain(leaving).collect();
        let wanted = Wanted::of(&self.candidate, &reads, discovery);
        let is_whole =
            wanted.unknown.is_empty() && wanted.notes.is_empty() && discovery.problems().is_empty();
        if !is_whole && self.ask_at.is_none() && !self.asking {
            self.ask_at = Some(Instant::now() + ASK_AGAIN);
        }
        if !changed {
            return wanted;
        }
        let watched: BTreeSet<ApiResource> = self
            .watched
            .keys()
            .filter_map(|purpose| match purpose {
                Purpose::Inventory(resource) => Some(resource.clone()),
                _ => None,
            })
            .collect();
        for resource in wanted.kinds.keys() {
            if !watched.contains(resource) {
                self.watch(Purpose::Inventory(resource.clone()));
            }
        }
        for resource in watched {
            if !wanted.kinds.contains_key(&resource) {
                self.unwatch(&Purpose::Inventory(resource.clone()));
                self.inventory.replace_kind(&resource.gvk, []);
                self.objects_changed = true;
            }
        }
        wanted
    }

    /// What is missing before the policies as they are now can be published; empty if nothing is.
    fn waiting(&self, wanted: &Wanted) -> Vec<String> {
        let mut waiting = Vec::new();
        if self.discovery.is_none() {
            waiting.push(match &self.discovery_error {
                Some(error) => format!("the kinds of the cluster: {error}"),
                None => "the kinds of the cluster: they are being asked for".to_owned(),
            });
        }
        waiting.extend(wanted.unknown.iter().cloned());
        let is_started = self.snapshots.borrow().is_some();
        for (purpose, watched) in &self.watched {
            // Of what is not supported nothing is waited for.
            if watched.progress != Progress::Listing || matches!(purpose, Purpose::Unsupported(_)) {
                continue;
            }
            // After the start, what is only listed somewhere holds nothing back: no policy in force reads it.
            if let Purpose::Inventory(resource) = purpose
                && is_started
                && wanted.kinds.get(resource) == Some(&false)
            {
                continue;
            }
            waiting.push(match &watched.failing {
                Some(error) => format!("{}: {error}", watched.resource),
                None => format!("{}: being listed", watched.resource),
            });
        }
        waiting
    }

    fn report(&self, wanted: &Wanted, waiting: Vec<String>) {
        let published = self.snapshots.borrow().clone();
        let mut problems: Vec<Problem> = Vec::new();
        for watched in self.watched.values() {
            let subject = watched.resource.to_string();
            if let Some(error) = &watched.failing {
                let message = match watched.progress {
                    Progress::Listing => format!("cannot be listed: {error}"),
                    Progress::Complete => format!("changes are not seen at the moment: {error}"),
                    Progress::GivenUp => format!("taken for empty, because it cannot be listed: {error}"),
                };
                problems.push(Problem { subject, message });
            }
        }
        if let Some(discovery) = &self.discovery {
            problems.extend(
                discovery
                    .problems()
                    .iter()
                    .map(|problem| Problem { subject: "discovery".to_owned(), message: problem.to_string() }),
            );
        }
        problems.extend(
            wanted
                .notes
                .iter()
                .map(|note| Problem { subject: "inventory".to_owned(), message: note.clone() }),
        );
        problems.extend(self.unreadable.values().map(|error| Problem {
            subject: "inventory".to_owned(),
            message: format!("an object cannot be read, and is not there for policies: {error}"),
        }));
        let in_force: BTreeSet<ConstraintKey> = published
            .iter()
            .flat_map(|published| published.policies.constraints())
            .map(|constraint| constraint.key().clone())
            .collect();
        let pending = self.policies.pending();
        let mut policies = Vec::new();
        for ((_, (namespace, name)), known) in &self.known {
            let mut errors = known.errors.clone();
            let mut enforced = errors.iter().all(|error| error.severity() != Severity::Error);
            if let Some(Identity::Constraint(key)) = &known.identity {
                enforced = in_force.contains(key);
                let subject = key.to_string();
                let own = pending.iter().filter(|error| error.subject() == Some(&subject));
                errors.extend(own.cloned());
                errors.sort();
                errors.dedup();
            }
            policies.push(PolicyState {
                resource: known.resource.clone(),
                namespace: namespace.clone(),
                name: name.clone(),
                uid: known.text.uid.clone(),
                generation: known.text.generation,
                enforced,
                errors: errors
                    .into_iter()
                    .map(|error| PolicyError::new(error, known.document.as_ref()))
                    .collect(),
                by_pod: known.text.by_pod.clone(),
                created: known.text.created,
            });
        }
        let unsupported = self.unsupported.iter().flat_map(|(resource, names)| {
            names.iter().map(|(_, name)| {
                format!(
                    "{} `{name}` of Gatekeeper is not supported: nothing is done for it",
                    resource.gvk.kind
                )
            })
        });
        let unsupported = unsupported.collect();
        let report = Report { ready: published.is_some(), waiting, problems, policies, unsupported };
        self.reports.send_if_modified(|last| {
            let changed = **last != report;
            if changed {
                *last = Arc::new(report);
            }
            changed
        });
    }
}

/// What policies read, with the kind of the template that does.
fn reads(policies: &PolicySet) -> Vec<(String, InventoryRead)> {
    let of = |template: &TemplateInfo| -> Vec<(String, InventoryRead)> {
        template.inventory_reads().iter().map(|read| (template.kind().to_owned(), read.clone())).collect()
    };
    policies.templates().flat_map(of).collect()
}

fn identity(resource: &Resource) -> Option<Identity> {
    match resource {
        Resource::Template(template) => {
            Some(Identity::Template(TemplateName::of_kind(template.kind()), template.kind().into()))
        }
        Resource::Constraint(constraint) => Some(Identity::Constraint(constraint.key().clone())),
        Resource::Config(config) => Some(Identity::Config(config.name.clone())),
        Resource::SyncSet(sync_set) => Some(Identity::SyncSet(sync_set.name.clone())),
        Resource::Rejected(resource) => identity(resource),
        _ => None,
    }
}

fn object_key(gvk: &Gvk, (namespace, name): &Name) -> ObjectKey {
    ObjectKey { gvk: gvk.clone(), namespace: namespace.as_str().into(), name: name.as_str().into() }
}
