//! The book of policies: every policy object that was seen, what it was read as, and what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use portcullis::{
    Change, ConstraintKey, Document, Error, ExpansionChange, ExpansionSet, ExpansionStore, Limits,
    MutatorKey, MutatorSet, MutatorStore, PolicySet, PolicySettings, PolicyStore, Resource, Severity, Source,
    TemplateName, Uses,
};

use super::policy_text::PolicyText;
use super::watches::{Family, Purpose};
use crate::pages::{Name, source_name};
use crate::published::{Ingested, Ingestion};
use crate::resource::ApiResource;
use crate::watch::Item;

/// A policy object that was seen.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) resource: ApiResource,
    pub(super) text: PolicyText,
    /// What the store knows it as; `None` if it could not be read so far.
    pub(super) identity: Option<Identity>,
    /// The object as it is now.
    pub(super) document: Option<Document>,
    /// What is wrong with it.
    pub(super) errors: Vec<Error>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    Template(TemplateName, Arc<str>),
    Constraint(ConstraintKey),
    Config(Arc<str>),
    SyncSet(Arc<str>),
    Exception(Arc<str>),
    Mutator(MutatorKey),
    ExpansionTemplate(Arc<str>),
    Provider(Arc<str>),
}

impl Identity {
    fn of(resource: &Resource) -> Option<Self> {
        match resource {
            Resource::Template(template) => {
                Some(Self::Template(TemplateName::of_kind(template.kind()), template.kind().into()))
            }
            Resource::Constraint(constraint) => Some(Self::Constraint(constraint.key().clone())),
            Resource::Config(config) => Some(Self::Config(config.name.clone())),
            Resource::SyncSet(sync_set) => Some(Self::SyncSet(sync_set.name.clone())),
            Resource::Exception(exception) => Some(Self::Exception(exception.name().clone())),
            Resource::Mutator(mutator) => Some(Self::Mutator(mutator.key().clone())),
            Resource::ExpansionTemplate(template) => Some(Self::ExpansionTemplate(template.name().clone())),
            Resource::Provider(provider) => Some(Self::Provider(provider.name.clone())),
            Resource::Rejected(resource) => Self::of(resource),
            _ => None,
        }
    }

    /// What errors about it call it.
    pub(super) fn subject(&self) -> String {
        match self {
            Self::Template(name, _) => format!("ConstraintTemplate/{name}"),
            Self::Constraint(key) => key.to_string(),
            Self::Config(name) => format!("Config/{name}"),
            Self::SyncSet(name) => format!("SyncSet/{name}"),
            Self::Exception(name) => format!("PolicyException/{name}"),
            Self::Mutator(key) => key.to_string(),
            Self::ExpansionTemplate(name) => format!("ExpansionTemplate/{name}"),
            Self::Provider(name) => format!("Provider/{name}"),
        }
    }
}

/// Where a policy object is: the kind of its objects, and its name.
type Place = (Purpose, Name);

/// What changed of the policies, or has to be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) policies: bool,
    /// Mutators or expansion templates.
    pub(super) mutation: bool,
}

impl News {
    /// What an object of a kind is about.
    fn of(purpose: &Purpose) -> Self {
        // Providers are there for policies.
        let mutation = purpose.family() == Family::Mutation && *purpose != Purpose::Providers;
        Self { policies: !mutation, mutation }
    }

    const fn or(self, other: Self) -> Self {
        Self { policies: self.policies || other.policies, mutation: self.mutation || other.mutation }
    }
}

/// All policy objects, and the policies that they make.
#[derive(Debug)]
pub(super) struct Policies {
    known: BTreeMap<Place, Known>,
    uses: Uses,
    store: PolicyStore,
    mutator_store: MutatorStore,
    expansion_store: ExpansionStore,
    /// The sound templates.
    templates: BTreeMap<TemplateName, Resource>,
    /// The policies as they are now; what is published may be older.
    latest: PolicySet,
    /// The same of mutators and expansion templates.
    mutators: MutatorSet,
    expansions: ExpansionSet,
    /// What changed since.
    news: News,
}

impl Policies {
    pub(super) fn new(settings: &PolicySettings, uses: Uses) -> Self {
        Self {
            known: BTreeMap::new(),
            uses,
            store: PolicyStore::with_settings(settings),
            mutator_store: MutatorStore::new(),
            expansion_store: ExpansionStore::new(),
            templates: BTreeMap::new(),
            latest: PolicySet::empty(),
            mutators: MutatorSet::empty(),
            expansions: ExpansionSet::empty(),
            news: News { policies: true, mutation: true },
        }
    }

    pub(super) fn latest(&self) -> &PolicySet {
        &self.latest
    }

    pub(super) fn mutators(&self) -> &MutatorSet {
        &self.mutators
    }

    pub(super) fn expansions(&self) -> &ExpansionSet {
        &self.expansions
    }

    pub(super) fn templates(&self) -> &BTreeMap<TemplateName, Resource> {
        &self.templates
    }

    pub(super) fn is_changed(&self) -> bool {
        self.news != News::default()
    }

    pub(super) fn known(&self) -> impl Iterator<Item = (&Name, &Known)> {
        self.known.iter().map(|((_, name), known)| (name, known))
    }

    /// Whether anything was seen of a kind.
    pub(super) fn has_any(&self, purpose: &Purpose) -> bool {
        self.known.keys().any(|(other, _)| other == purpose)
    }

    /// What is wrong beside what is wrong with an object alone: templates that are missing, Configs that do not count, mutators that
    /// contradict each other, expansion templates in circles.
    pub(super) fn problems_together(&self) -> Vec<Error> {
        let mut problems = self.store.pending();
        problems.extend(self.store.ignored_configs());
        problems.extend(self.mutators.conflicts());
        problems.extend(self.expansion_store.cycles());
        problems
    }

    /// Works out the policies as they are now, as far as they changed, and returns what did.
    pub(super) fn refresh(&mut self) -> News {
        let news = std::mem::take(&mut self.news);
        if news.policies {
            self.latest = self.store.snapshot();
        }
        if news.mutation {
            self.mutators = self.mutator_store.snapshot();
            self.expansions = self.expansion_store.snapshot();
        }
        news
    }

    /// The kinds of constraints: of every template, also of one that is broken.
    pub(super) fn constraint_kinds(&self) -> BTreeSet<Purpose> {
        let mut kinds: BTreeMap<&TemplateName, &Arc<str>> = BTreeMap::new();
        for known in self.known.values() {
            if let Some(Identity::Template(name, kind)) = &known.identity {
                kinds.insert(name, kind);
            }
        }
        kinds.into_values().cloned().map(Purpose::Constraints).collect()
    }

    /// What is cached follows from this: the Config that counts, as it was last read.
    pub(super) fn config_text(&self) -> Option<&str> {
        let counted = self.latest.config()?;
        let config = self
            .known
            .values()
            .find(|known| matches!(&known.identity, Some(Identity::Config(name)) if **name == *counted));
        config.map(|known| &*known.text.policy)
    }

    /// Takes a whole list of a kind.
    pub(super) fn replace(
        &mut self,
        purpose: &Purpose,
        resource: &ApiResource,
        items: Vec<(Name, String)>,
        ingested: &mut Vec<Ingestion>,
    ) {
        let listed: BTreeSet<Name> = items.iter().map(|(name, _)| name.clone()).collect();
        let is_gone = |(other, name): &&Place| other == purpose && !listed.contains(name);
        let gone: Vec<Name> = self.known.keys().filter(is_gone).map(|(_, name)| name.clone()).collect();
        for name in gone {
            self.remove(purpose, &name);
        }
        for (name, text) in items {
            self.change(purpose, resource, name, &text, ingested);
        }
    }

    /// Forgets everything of a kind.
    pub(super) fn remove_all(&mut self, purpose: &Purpose) {
        let of_kind = self.known.keys().filter(|(other, _)| other == purpose);
        let gone: Vec<Name> = of_kind.map(|(_, name)| name.clone()).collect();
        for name in gone {
            self.remove(purpose, &name);
        }
    }

    pub(super) fn remove(&mut self, purpose: &Purpose, name: &Name) {
        let known = self.known.remove(&(purpose.clone(), name.clone()));
        if let Some(identity) = known.and_then(|known| known.identity) {
            self.forget(identity);
        }
        self.has_news_of(purpose);
    }

    fn has_news_of(&mut self, purpose: &Purpose) {
        self.news = self.news.or(News::of(purpose));
    }

    fn forget(&mut self, identity: Identity) {
        let change = match identity {
            Identity::Template(name, _) => {
                self.templates.remove(&name);
                Change::RemoveTemplate(name)
            }
            Identity::Constraint(key) => Change::RemoveConstraint(key),
            Identity::Config(name) => Change::RemoveConfig(name),
            Identity::SyncSet(name) => Change::RemoveSyncSet(name),
            Identity::Exception(name) => Change::RemoveException(name),
            Identity::Provider(name) => Change::RemoveProvider(name),
            Identity::Mutator(key) => return self.mutator_store.remove(&key),
            Identity::ExpansionTemplate(name) => {
                self.expansion_store.apply(ExpansionChange::Remove(name));
                return;
            }
        };
        self.store.apply(change);
    }

    /// Takes an object as it is now. A status that comes back compiles nothing.
    pub(super) fn change(
        &mut self,
        purpose: &Purpose,
        resource: &ApiResource,
        name: Name,
        text: &str,
        ingested: &mut Vec<Ingestion>,
    ) {
        let text = match purpose {
            Purpose::Mutators(_) => PolicyText::of_mutator(text),
            _ => PolicyText::of(text),
        };
        let place = (purpose.clone(), name);
        if let Some(known) = self.known.get_mut(&place)
            && known.text.policy == text.policy
            && known.text.uid == text.uid
        {
            known.text = text;
            return;
        }
        let before = self.known.remove(&place).and_then(|known| known.identity);
        let source = Source::new(source_name(resource, &text.policy), text.policy.as_str());
        let start = Instant::now();
        let read = Document::read_object(&source, &Limits::default());
        let (identity, errors) = match &read {
            Ok(document) => self.apply(&place, document, before.as_ref()),
            Err(error) => (None, vec![error.clone()]),
        };
        let of = match purpose {
            Purpose::Templates => Some(Ingested::Template),
            Purpose::Mutators(_) => Some(Ingested::Mutator),
            _ => None,
        };
        if let Some(of) = of {
            let is_sound = !errors.iter().any(|error| error.severity() == Severity::Error);
            ingested.push(Ingestion { of, took: start.elapsed(), is_sound });
        }
        let identity = match (identity, before) {
            // An exception loosens: what cannot be read of it lets nothing pass, and neither does what it said before.
            (None, Some(before @ Identity::Exception(_))) => {
                self.forget(before);
                None
            }
            // What cannot be read is not in force; what was there before it is.
            (identity, before) => identity.or(before),
        };
        let known = Known { resource: resource.clone(), text, identity, document: read.ok(), errors };
        self.known.insert(place, known);
        self.has_news_of(purpose);
    }

    fn apply(
        &mut self,
        place: &Place,
        document: &Document,
        before: Option<&Identity>,
    ) -> (Option<Identity>, Vec<Error>) {
        let (resource, mut errors) = Resource::read_for(document, self.uses);
        let Some(resource) = resource else { return (None, errors) };
        let identity = Identity::of(&resource);
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
        let problems = match &identity {
            Some(Identity::Mutator(_)) => self.mutator_store.upsert(&resource),
            Some(Identity::ExpansionTemplate(_)) => {
                self.expansion_store.apply(ExpansionChange::Upsert(resource.clone()))
            }
            _ => self.store.apply(Change::Upsert(resource.clone())),
        };
        let (own, of_constraints): (Vec<Error>, Vec<Error>) = match &identity {
            Some(identity @ Identity::Template(..)) => {
                let subject = identity.subject();
                problems.into_iter().partition(|error| error.subject().is_none_or(|about| about == subject))
            }
            _ => (problems, Vec::new()),
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
}

/// The texts of a list of policy objects.
pub(super) fn texts(items: Vec<Item>) -> Vec<(Name, String)> {
    items.into_iter().filter_map(|item| Some((item.name, item.content.text()?))).collect()
}

/// Compilations that nobody has counted yet are kept up to this number.
pub(super) const MAX_INGESTED: usize = 10_000;
