//! The one writer: events of all watches in, snapshots out.
//!
//! ```text
//! watches ──events──> Writer ──settle──> Snapshot, Report
//!                       │ policies.rs  what policies there are, and what is wrong with each
//!                       │ mutation.rs  mutators and expansion templates: in which version they are watched, and whether they are known
//!                       │ watches.rs   what is watched, how far that is, since when it fails
//!                       │ objects.rs   what policies compare with; broken.rs what of it cannot be read
//!                       └ needs.rs     which kinds policies read; watches follow it
//! ```
//!
//! The first snapshot comes when all policies were listed and every kind that they read was listed or given up. Afterwards each template
//! stands for itself: one that reads a kind which is still being listed waits, and the version before stays in force; one that reads a
//! kind which cannot be read is in force, and its constraints are errors, which the inventory sees to. No policy waits for another's kinds.
//! Mutators and expansion templates that there are not are none only where their kind is not installed.

mod broken;
mod mutation;
pub(crate) mod needs;
mod objects;
mod policies;
mod policy_text;
mod report;
mod watches;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use portcullis::{PolicySet, TemplateName};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::connect::Cluster;
use crate::discovery::Discovery;
use crate::error::ClusterError;
use crate::pages::Name;
use crate::parts::{field, string};
use crate::published::{Awaited, FeedOptions, Ingestion, Report, Snapshot, Templates, Unreadable};
use crate::resource::ApiResource;
use crate::watch::{Event, Item};

use needs::Needs;
use objects::Objects;
use policies::{MAX_INGESTED, News, Policies, texts};
use watches::{Family, Progress, Purpose, Watches};

/// How often the kinds are asked for again while some of them are not known.
const ASK_AGAIN: Duration = Duration::from_secs(20);
/// The least time between two such questions, however many CRDs come.
const ASK_LEAST: Duration = Duration::from_millis(500);

/// Where the writer's work goes, and what ends it.
pub(crate) struct Outlets {
    pub(crate) snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    pub(crate) reports: watch::Sender<Arc<Report>>,
    pub(crate) ingested: Arc<Mutex<Vec<Ingestion>>>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// What is known of the kinds of the cluster.
struct Kinds {
    discovery: Option<Discovery>,
    /// Why they could not be asked for, the last time.
    error: Option<String>,
    ask_at: Option<Instant>,
    asked_at: Option<Instant>,
    is_asking: bool,
    answers: mpsc::Receiver<Result<Discovery, ClusterError>>,
    sender: mpsc::Sender<Result<Discovery, ClusterError>>,
}

/// A CRD, as far as its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crd {
    There,
    /// It is being deleted.
    Going,
}

/// Which templates are not in force as they are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    /// Those that wait, and for what.
    waiting: BTreeMap<TemplateName, Vec<Awaited>>,
    /// Those that read what cannot be read and are therefore not served.
    ignored: BTreeSet<TemplateName>,
    /// Why no exception is in force: it is not known which there are.
    unknown_exceptions: Option<Arc<str>>,
}

/// What there is to be done when it is quiet.
#[derive(Default)]
struct Due {
    /// What is watched, or what is published, may have to change.
    plan: bool,
    /// Only the report.
    report: bool,
}

pub(crate) struct Writer {
    cluster: Cluster,
    options: FeedOptions,
    events: mpsc::Receiver<(u64, Event)>,
    outlets: Outlets,
    watches: Watches,
    kinds: Kinds,
    policies: Policies,
    objects: Objects,
    definitions: BTreeMap<String, Crd>,
    /// Those that have come or changed since they were looked after.
    changed_definitions: BTreeSet<String>,
    /// What the cluster has of Gatekeeper's kinds that nothing is done for.
    unsupported: BTreeMap<Purpose, BTreeSet<Name>>,
    needs: Needs,
    /// The Config that the inventory was filled by.
    config: Option<String>,
    held: Held,
    /// Since when templates wait.
    waiting_since: BTreeMap<TemplateName, SystemTime>,
    /// The templates as they were last published.
    templates: Templates,
    due: Due,
}

impl Writer {
    pub(crate) fn new(cluster: Cluster, options: FeedOptions, outlets: Outlets) -> Self {
        let (sender, events) = mpsc::channel(256);
        let (ask_sender, answers) = mpsc::channel(1);
        Self {
            watches: Watches::new(cluster.clone(), options.page, sender),
            kinds: Kinds {
                discovery: None,
                error: None,
                ask_at: Some(Instant::now()),
                asked_at: None,
                is_asking: false,
                answers,
                sender: ask_sender,
            },
            policies: Policies::new(&options.settings, options.uses),
            objects: Objects::new(),
            definitions: BTreeMap::new(),
            changed_definitions: BTreeSet::new(),
            unsupported: BTreeMap::new(),
            needs: Needs::default(),
            config: None,
            held: Held::default(),
            waiting_since: BTreeMap::new(),
            templates: Templates::default(),
            due: Due { plan: true, report: true },
            cluster,
            options,
            events,
            outlets,
        }
    }

    /// Works until it is stopped.
    pub(crate) async fn run(mut self) {
        for purpose in Purpose::FIXED {
            self.watches.start(purpose);
        }
        // When to settle, at the latest when, and when to look whether something has failed for too long.
        let (mut due, mut latest, mut look): (Option<Instant>, Option<Instant>, Option<Instant>);
        (due, latest, look) = (None, None, None);
        loop {
            let now = Instant::now();
            if self.kinds.ask_at.is_some_and(|at| at <= now) && !self.kinds.is_asking {
                self.ask_for_kinds(now);
            }
            // Settling may leave something to settle: kinds that only the policies before needed.
            if self.due.plan || self.due.report || self.policies.is_changed() || self.objects.is_changed() {
                let end = *latest.get_or_insert(now + self.options.debounce * 10);
                due = Some((now + self.options.debounce).min(end));
            }
            let asking = self.kinds.ask_at.filter(|_| !self.kinds.is_asking);
            let wake = [due, asking, look].into_iter().flatten().min();
            if wake.is_some_and(|wake| wake <= now) && asking.is_none_or(|at| at > now) {
                look = self.settle(now);
                (due, latest) = (None, None);
                continue;
            }
            let far = now + Duration::from_hours(1);
            tokio::select! {
                biased;
                _ = self.outlets.stop.changed() => return,
                event = self.events.recv() => {
                    let Some((id, event)) = event else { return };
                    self.take(id, event);
                }
                found = self.kinds.answers.recv() => self.take_kinds(found),
                () = sleep_until(wake.unwrap_or(far)) => {
                    let now = Instant::now();
                    if [due, look].into_iter().flatten().any(|at| at <= now) {
                        look = self.settle(now);
                        (due, latest) = (None, None);
                    }
                }
            }
        }
    }

    fn ask_for_kinds(&mut self, now: Instant) {
        let kinds = &mut self.kinds;
        (kinds.ask_at, kinds.asked_at, kinds.is_asking) = (None, Some(now), true);
        let (cluster, sender) = (self.cluster.clone(), kinds.sender.clone());
        tokio::spawn(async move {
            let found = Discovery::of(&cluster).await;
            // Nobody receives any more only if the writer has ended.
            let _ = sender.send(found).await;
        });
    }

    /// Has the kinds asked for soon.
    fn ask_soon(&mut self) {
        let soonest = self.kinds.asked_at.map_or_else(Instant::now, |asked| asked + ASK_LEAST);
        self.kinds.ask_at = Some(self.kinds.ask_at.map_or(soonest, |at| at.min(soonest)));
    }

    fn take_kinds(&mut self, found: Option<Result<Discovery, ClusterError>>) {
        let Some(found) = found else { return };
        self.kinds.is_asking = false;
        match found {
            Ok(discovery) => {
                (self.kinds.discovery, self.kinds.error) = (Some(discovery), None);
                self.due.plan = true;
            }
            Err(error) => {
                self.kinds.error = Some(error.to_string());
                let wait = self.cluster.backoff().wait(3, error.retry_after());
                self.kinds.ask_at = Some(Instant::now() + wait);
                self.due.report = true;
            }
        }
    }

    fn take(&mut self, id: u64, event: Event) {
        let Some(purpose) = self.watches.purpose(id) else { return };
        match event {
            Event::Failing(error) => {
                self.watches.failed(&purpose, &error);
                self.due.plan = true;
            }
            Event::Watching => {
                self.due.report |= self.watches.works(&purpose);
                // What was given up is known again once it was listed, which a watch that goes on does not do.
                if self.watches.get(&purpose).is_some_and(|watched| watched.given_up.is_some()) {
                    self.watches.start(purpose);
                }
            }
            Event::Listed(items) => {
                self.due.plan |= self.watches.settled(&purpose, Progress::Known);
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
        let may_be_absent = match purpose {
            Purpose::Configs | Purpose::SyncSets => !self.policies.has_any(purpose),
            // Where its CRD is there, it is going to be served in a moment, and whether it has constraints is not known. A CRD that never
            // comes to that holds up nobody for long.
            Purpose::Constraints(kind) => {
                let is_tried = self.watches.fails_for(purpose) >= self.options.patience.listing;
                !self.policies.has_any(purpose)
                    && (is_tried || self.has_definition(&ApiResource::constraints(kind)) == Some(false))
            }
            // Asked for again, and if the kind is gone, its watch ends.
            Purpose::Inventory(_) | Purpose::Unsupported(_) => {
                self.ask_soon();
                false
            }
            Purpose::Exceptions | Purpose::Mutators(_) | Purpose::ExpansionTemplates | Purpose::Providers => {
                self.may_be_absent(purpose)
            }
            Purpose::Templates | Purpose::Namespaces | Purpose::Definitions => false,
        };
        if may_be_absent {
            self.due.plan |= self.watches.settled(purpose, Progress::Absent);
        } else {
            let hint = if *purpose == Purpose::Templates { "; install Gatekeeper's CRDs" } else { "" };
            self.watches.not_served(purpose, hint);
            self.due.plan = true;
        }
    }

    /// Whether there is a CRD of a kind; `None` if that is not known yet.
    fn has_definition(&self, resource: &ApiResource) -> Option<bool> {
        let definitions = self.watches.get(&Purpose::Definitions)?;
        match (definitions.progress, &definitions.failing) {
            // They cannot be seen, so that they are no help.
            (Progress::Listing, Some(_)) => Some(false),
            (Progress::Listing, None) => None,
            (Progress::Known | Progress::Absent, _) => {
                Some(self.definitions.contains_key(&resource.definition_name()))
            }
        }
    }

    fn replace(&mut self, purpose: &Purpose, items: Vec<Item>) {
        match purpose {
            Purpose::Namespaces => self.objects.replace_namespaces(items),
            Purpose::Inventory(resource) => {
                self.objects.replace(resource, items, self.policies.latest());
            }
            Purpose::Unsupported(_) => {
                let names = items.into_iter().map(|item| item.name).collect();
                self.unsupported.insert(purpose.clone(), names);
                self.due.report = true;
            }
            Purpose::Definitions => {
                let before = std::mem::take(&mut self.definitions);
                for (name, text) in texts(items) {
                    let crd = Crd::of(&text);
                    if before.get(&name.1) != Some(&crd) {
                        self.changed_definitions.insert(name.1.clone());
                    }
                    self.definitions.insert(name.1, crd);
                }
                self.due.report = true;
            }
            Purpose::Templates
            | Purpose::Configs
            | Purpose::SyncSets
            | Purpose::Exceptions
            | Purpose::Constraints(_)
            | Purpose::Mutators(_)
            | Purpose::ExpansionTemplates
            | Purpose::Providers => {
                let Some(watched) = self.watches.get(purpose) else { return };
                let resource = watched.resource.clone();
                let mut ingested = Vec::new();
                self.policies.replace(purpose, &resource, texts(items), &mut ingested);
                self.ingest(ingested);
            }
        }
    }

    fn change(&mut self, purpose: &Purpose, item: Item) {
        match purpose {
            Purpose::Namespaces => self.objects.change_namespace(item),
            Purpose::Inventory(resource) => self.objects.change(resource, item, self.policies.latest()),
            Purpose::Unsupported(_) => {
                self.unsupported.entry(purpose.clone()).or_default().insert(item.name);
                self.due.report = true;
            }
            Purpose::Definitions => {
                let Some(text) = item.content.text() else { return };
                self.changed_definitions.insert(item.name.1.clone());
                self.definitions.insert(item.name.1, Crd::of(&text));
                self.due.report = true;
            }
            Purpose::Templates
            | Purpose::Configs
            | Purpose::SyncSets
            | Purpose::Exceptions
            | Purpose::Constraints(_)
            | Purpose::Mutators(_)
            | Purpose::ExpansionTemplates
            | Purpose::Providers => {
                let Some(watched) = self.watches.get(purpose) else { return };
                let (resource, mut ingested) = (watched.resource.clone(), Vec::new());
                if let Some(text) = item.content.text() {
                    self.policies.change(purpose, &resource, item.name, &text, &mut ingested);
                }
                self.ingest(ingested);
            }
        }
    }

    fn remove(&mut self, purpose: &Purpose, name: &Name) {
        match purpose {
            Purpose::Namespaces => self.objects.remove_namespace(name),
            Purpose::Inventory(resource) => self.objects.remove(resource, name),
            Purpose::Unsupported(_) => {
                if let Some(names) = self.unsupported.get_mut(purpose) {
                    names.remove(name);
                }
                self.due.report = true;
            }
            Purpose::Definitions => {
                self.definitions.remove(&name.1);
                self.ask_if_wanting();
                self.due.report = true;
            }
            Purpose::Templates
            | Purpose::Configs
            | Purpose::SyncSets
            | Purpose::Exceptions
            | Purpose::Constraints(_)
            | Purpose::Mutators(_)
            | Purpose::ExpansionTemplates
            | Purpose::Providers => {
                self.policies.remove(purpose, name);
            }
        }
    }

    fn ingest(&mut self, ingested: Vec<Ingestion>) {
        self.due.report = true;
        let mut all = self.outlets.ingested.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(ingested);
        let first = all.len().saturating_sub(MAX_INGESTED);
        all.drain(..first);
    }

    /// CRDs have come or changed since the last time. Their kinds may be served from now on: who waits for one need not wait until it
    /// looks again. A CRD changes some times while it is young, and is looked after once for all of them.
    fn follow_definitions(&mut self) {
        let changed = std::mem::take(&mut self.changed_definitions);
        if changed.is_empty() {
            return;
        }
        let waits = |watched: &watches::Watched| {
            changed.contains(&watched.resource.definition_name())
                && (watched.progress != Progress::Known || watched.failing.is_some())
        };
        let watches = self.watches.iter().filter(|(_, watched)| waits(watched));
        let waiting: Vec<Purpose> = watches.map(|(purpose, _)| purpose.clone()).collect();
        for purpose in waiting {
            self.watches.start(purpose);
        }
        self.ask_if_wanting();
    }

    /// A kind that policies read or that is listed may be among those that have come.
    fn ask_if_wanting(&mut self) {
        if !self.needs.notes.is_empty() || !self.needs.unknown.is_empty() {
            self.ask_soon();
        }
    }

    /// Brings what is watched and what is published up to date. Returns when to look again, whatever happens.
    fn settle(&mut self, now: Instant) -> Option<Instant> {
        self.due = Due::default();
        self.plan_mutation();
        let news = self.policies.refresh();
        if news.policies {
            self.plan_constraints();
            self.follow_config();
        }
        let (_, look) = self.watches.give_up(now, &self.options.patience);
        self.plan_unsupported();
        self.plan_inventory();
        for purpose in self.objects.take_to_list() {
            if self.watches.get(&purpose).is_some() {
                self.watches.start(purpose);
            }
        }
        self.follow_definitions();
        if news.policies {
            // What new policies read and is not known may have come since the kinds were asked for.
            self.ask_if_wanting();
        }
        self.objects.set_unreadable(self.unreadable());
        let published = self.outlets.snapshots.borrow().clone();
        let held = self.held_back();
        let at_start = self.awaited_at_start();
        if published.is_some() || at_start.is_empty() {
            self.publish(published.as_deref(), held, news);
        } else {
            self.held = held;
        }
        self.remember_waiting();
        self.report(if published.is_some() { Vec::new() } else { at_start });
        look
    }

    /// Watches the constraints of every kind that a template defines, also of one that is broken.
    fn plan_constraints(&mut self) {
        let ended = self.watches.plan(Family::Constraints, &self.policies.constraint_kinds());
        for purpose in &ended {
            self.policies.remove_all(purpose);
        }
        if !ended.is_empty() {
            self.policies.refresh();
        }
    }

    /// Watches what the cluster serves of the kinds that nothing is done for, to say which there are.
    fn plan_unsupported(&mut self) {
        let Some(discovery) = &self.kinds.discovery else { return };
        let kinds: BTreeSet<_> =
            portcullis::unsupported_kinds(self.options.uses).map(|gvk| gvk.group_kind()).collect();
        let served = discovery.preferred().filter(|resource| kinds.contains(&resource.gvk.group_kind()));
        let wanted = served.cloned().map(Purpose::Unsupported).collect();
        for purpose in self.watches.plan(Family::Unsupported, &wanted) {
            self.unsupported.remove(&purpose);
        }
    }

    /// Watches the kinds that are needed, and no others: by the policies as they are now, and by those in force, until they are replaced.
    fn plan_inventory(&mut self) {
        let Some(discovery) = &self.kinds.discovery else { return };
        let published = self.outlets.snapshots.borrow().clone();
        let sets = published.iter().map(|published| &published.policies).chain([self.policies.latest()]);
        self.needs = Needs::of(sets, discovery);
        let is_whole =
            self.needs.unknown.is_empty() && self.needs.notes.is_empty() && discovery.problems().is_empty();
        if !is_whole && self.kinds.ask_at.is_none() && !self.kinds.is_asking {
            self.kinds.ask_at = Some(Instant::now() + ASK_AGAIN);
        }
        let wanted = self.needs.kinds.keys().cloned().map(Purpose::Inventory).collect();
        for purpose in self.watches.plan(Family::Inventory, &wanted) {
            if let Purpose::Inventory(resource) = &purpose {
                self.objects.remove_kind(resource);
            }
        }
    }

    /// After a change of what is kept out of the inventory: what is kept out from now on goes at once; what was kept out is not in memory,
    /// and is listed again.
    fn follow_config(&mut self) {
        let config = self.policies.config_text();
        if self.config.as_deref() == config {
            return;
        }
        self.config = config.map(str::to_owned);
        self.objects.keep_out(self.policies.latest());
        let kinds = self.watches.iter().map(|(purpose, _)| purpose);
        let kinds: Vec<Purpose> =
            kinds.filter(|purpose| purpose.family() == Family::Inventory).cloned().collect();
        for purpose in kinds {
            self.watches.start(purpose);
        }
    }

    /// Of which kinds it is not known what objects there are.
    fn unreadable(&self) -> BTreeMap<portcullis::Gvk, Arc<str>> {
        let mut unreadable = self.objects.broken().kinds();
        unreadable.extend(self.watches.unreadable());
        unreadable.extend(self.needs.unknown.clone());
        unreadable
    }

    /// What is missing before there can be a first snapshot.
    fn awaited_at_start(&self) -> Vec<Awaited> {
        let mut awaited = Vec::new();
        if self.kinds.discovery.is_none() {
            awaited.push(match &self.kinds.error {
                Some(error) => Awaited::KindsFailed(error.clone()),
                None => Awaited::Kinds,
            });
        }
        let watches = self.watches.iter().filter(|(purpose, watched)| {
            watched.is_awaited() && !matches!(purpose, Purpose::Unsupported(_) | Purpose::Definitions)
        });
        awaited.extend(watches.map(|(_, watched)| watched.awaited()));
        awaited
    }

    /// The templates that cannot be in force as they are now.
    fn held_back(&self) -> Held {
        let latest = self.policies.latest();
        let mut held = Held::default();
        for template in latest.templates() {
            let inventory = self.needs.of_template(template.name()).cloned().map(Purpose::Inventory);
            let purposes = inventory.chain([Purpose::Constraints(template.kind().into())]);
            let watches = purposes.filter_map(|purpose| self.watches.get(&purpose));
            let awaited: Vec<Awaited> =
                watches.filter(|watched| watched.is_awaited()).map(watches::Watched::awaited).collect();
            if !awaited.is_empty() {
                held.waiting.insert(template.name().clone(), awaited);
            }
        }
        if self.options.unreadable == Unreadable::Ignore {
            let unreadable = self.objects.unreadable();
            held.ignored = latest.unjudgeable(unreadable).into_keys().collect();
        }
        held.unknown_exceptions = self.unknown_exceptions();
        held
    }

    /// Why it is not known which exceptions there are, if it is not. Of an exception nothing is taken for granted: where it may have been
    /// taken away, it lets nothing pass.
    fn unknown_exceptions(&self) -> Option<Arc<str>> {
        let watched = self.watches.get(&Purpose::Exceptions)?;
        match (&watched.given_up, watched.progress) {
            (Some(why), _) => Some(why.as_str().into()),
            (None, Progress::Listing) => Some("they are being listed".into()),
            (None, Progress::Known | Progress::Absent) => None,
        }
    }

    fn publish(&mut self, published: Option<&Snapshot>, held: Held, news: News) {
        let objects_changed = self.objects.is_changed() || published.is_none();
        let are_others_held =
            !held.waiting.keys().eq(self.held.waiting.keys()) || held.ignored != self.held.ignored;
        let are_others_held =
            are_others_held || held.unknown_exceptions.is_some() != self.held.unknown_exceptions.is_some();
        let policies_changed = news.policies || are_others_held || published.is_none();
        self.held = held;
        let mutators = self.known_mutators();
        // Of two sets it is not told whether they are the same.
        let is_unknown_otherwise =
            published.is_none_or(|published| published.mutators.as_ref().err() != mutators.as_ref().err());
        let mutation_changed = news.mutation || is_unknown_otherwise;
        if !policies_changed && !objects_changed && !mutation_changed {
            return;
        }
        let none = PolicySet::empty();
        let policies = match published {
            Some(published) if !policies_changed => published.policies.clone(),
            published => {
                let before = published.map_or(&none, |published| &published.policies);
                let waiting = self.held.waiting.keys().cloned().collect();
                let latest = self.policies.latest().holding_back(&waiting, before);
                let policies = latest.holding_back(&self.held.ignored, &none);
                if self.held.unknown_exceptions.is_some() { policies.without_exceptions() } else { policies }
            }
        };
        if news.policies || published.is_none() {
            self.templates = Templates(Arc::new(self.policies.templates().clone()));
        }
        let (inventory, namespaces) = match published {
            Some(published) if !objects_changed => {
                (published.inventory.clone(), published.namespaces.clone())
            }
            _ => self.objects.snapshot(),
        };
        let revision = |of: fn(&Snapshot) -> u64, changed| published.map_or(0, of) + u64::from(changed);
        let snapshot = Snapshot {
            inventory,
            namespaces,
            expansions: self.policies.expansions().clone(),
            mutators,
            templates: self.templates.0.clone(),
            policies_revision: revision(|snapshot| snapshot.policies_revision, policies_changed),
            objects_revision: revision(|snapshot| snapshot.objects_revision, objects_changed),
            mutation_revision: revision(|snapshot| snapshot.mutation_revision, mutation_changed),
            policies,
        };
        self.outlets.snapshots.send_replace(Some(Arc::new(snapshot)));
        // Kinds that only the policies before needed can go now.
        self.due.plan |= policies_changed;
    }

    fn remember_waiting(&mut self) {
        self.waiting_since.retain(|name, _| self.held.waiting.contains_key(name));
        for name in self.held.waiting.keys() {
            self.waiting_since.entry(name.clone()).or_insert_with(SystemTime::now);
        }
    }
}

impl Crd {
    fn of(text: &str) -> Self {
        let metadata = field(text, "metadata").unwrap_or_default();
        if string(metadata, "deletionTimestamp").is_some() { Self::Going } else { Self::There }
    }
}
