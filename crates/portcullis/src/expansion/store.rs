//! The writer's side of expansion: changes in, snapshots out.
//!
//! Whatever the order of the changes, the snapshot equals that of the templates that are left. What was good
//! stays in force when its update fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cycles::in_cycles;
use super::set::ExpansionSet;
use super::template::{CYCLE, Fault, Template, error_at, faults};
use crate::api::{ExpansionTemplate, Resource, Uses};
use crate::document::Document;
use crate::error::{Error, ErrorKind};

/// A change of the expansion templates.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExpansionChange {
    /// A resource is new or has a new text. Resources that are no expansion templates change nothing.
    Upsert(Resource),
    /// A template is gone; its name.
    Remove(Arc<str>),
}

/// Takes changes and gives out [`ExpansionSet`]s.
///
/// ```
/// use portcullis::{Document, ExpansionChange, ExpansionStore, Resource, Uses};
///
/// let (documents, _) = Document::read_all("expansion.yaml", r#"
/// apiVersion: expansion.gatekeeper.sh/v1beta1
/// kind: ExpansionTemplate
/// metadata: {name: deployments}
/// spec:
///   applyTo: [{groups: [apps], versions: [v1], kinds: [Deployment]}]
///   templateSource: spec.template
///   generatedGVK: {group: "", version: v1, kind: Pod}
/// "#);
/// let (resource, _) = Resource::read_for(&documents[0], Uses::POLICIES.with_expansions(true));
/// let mut store = ExpansionStore::new();
/// assert!(store.apply(ExpansionChange::Upsert(resource.unwrap())).is_empty());
/// assert_eq!(store.snapshot().templates().collect::<Vec<_>>(), ["deployments"]);
/// ```
#[derive(Debug, Default)]
pub struct ExpansionStore {
    templates: BTreeMap<Arc<str>, Entry>,
}

#[derive(Debug)]
struct Entry {
    api: ExpansionTemplate,
    /// The last version that can be used, as it is written and compiled.
    good: Option<(ExpansionTemplate, Arc<Template>)>,
}

impl ExpansionStore {
    /// A store without templates.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies a change and returns what is wrong with it. Circles are a matter of all templates together:
    /// [`ExpansionStore::cycles`] lists them.
    pub fn apply(&mut self, change: ExpansionChange) -> Vec<Error> {
        match change {
            ExpansionChange::Upsert(Resource::ExpansionTemplate(template)) => self.upsert(*template, true),
            ExpansionChange::Upsert(Resource::Rejected(resource)) => match *resource {
                Resource::ExpansionTemplate(template) => self.upsert(*template, false),
                _ => Vec::new(),
            },
            ExpansionChange::Upsert(_) => Vec::new(),
            ExpansionChange::Remove(name) => {
                self.templates.remove(&name);
                Vec::new()
            }
        }
    }

    fn upsert(&mut self, api: ExpansionTemplate, is_sound: bool) -> Vec<Error> {
        let faults = faults(&api);
        // Of a field that has something else in it, that has been said.
        let is_new = |fault: &&Fault| is_sound || !fault.is_about_a_field_of(&api);
        let errors = faults.iter().filter(is_new).map(|fault| fault.to_error(&api)).collect();
        let good = if faults.is_empty() && is_sound {
            Some((api.clone(), Arc::new(Template::compile(&api))))
        } else {
            self.templates.remove(&api.name).and_then(|entry| entry.good)
        };
        self.templates.insert(api.name.clone(), Entry { api, good });
        errors
    }

    /// A warning if a template of the same name is there already. For callers whose documents are all meant
    /// to hold at the same time, such as files.
    #[must_use]
    pub fn duplicate(&self, resource: &Resource) -> Option<Error> {
        let resource = match resource {
            Resource::Rejected(resource) => resource,
            resource => resource,
        };
        let Resource::ExpansionTemplate(template) = resource else { return None };
        let earlier = self.templates.get(&template.name)?.api.document.location();
        let message = format!("defined a second time; the first is at {earlier}");
        let warning = Error::warning(ErrorKind::DuplicateResource, message).hint("only the last one counts");
        Some(warning.at(template.document.location()).about(template.subject()))
    }

    /// One error for each template that is in a circle with others: none of them is applied.
    #[must_use]
    pub fn cycles(&self) -> Vec<Error> {
        let cycles = in_cycles(&self.good());
        let members = self.templates.values().filter_map(|entry| entry.good.as_ref());
        members
            .filter(|(api, _)| cycles.contains(&api.name))
            .map(|(api, template)| {
                let message = format!(
                    "it is in a circle with other expansion templates: of `{}`, which it generates, it is generated again; none of them is applied",
                    template.generated
                );
                error_at(api, ErrorKind::ExpansionCycle, "spec.generatedGVK", message)
                    .hint(format!("in a circle are {}", listed(&cycles)))
            })
            .collect()
    }

    /// Why Gatekeeper would not take the templates of these resources, in its words, if it got one after the
    /// other: the name of the first that it refuses, and the reason.
    #[must_use]
    pub fn refused_by_gatekeeper<'r>(
        resources: impl IntoIterator<Item = &'r Resource>,
    ) -> Option<(Arc<str>, String)> {
        let templates: Vec<&ExpansionTemplate> = resources
            .into_iter()
            .filter_map(|resource| match resource {
                Resource::ExpansionTemplate(template) => Some(&**template),
                _ => None,
            })
            .collect();
        let refused =
            templates.iter().find_map(|template| Some((template, faults(template).into_iter().next()?)));
        let sound: Vec<_> =
            templates.iter().take_while(|template| faults(template).is_empty()).copied().collect();
        let has_cycle = |number: usize| {
            let first = sound.iter().take(number);
            let compiled =
                first.map(|template| (template.name.clone(), Arc::new(Template::compile(template))));
            !in_cycles(&compiled.collect()).is_empty()
        };
        // The smallest number of templates that has a circle: more of them have it as well.
        let (mut without, mut with) = (0, sound.len());
        if has_cycle(with) {
            while with - without > 1 {
                let middle = usize::midpoint(without, with);
                if has_cycle(middle) { with = middle } else { without = middle }
            }
            return Some((sound.get(without)?.name.clone(), CYCLE.to_owned()));
        }
        refused.map(|(template, fault)| (template.name.clone(), fault.to_string()))
    }

    fn good(&self) -> BTreeMap<Arc<str>, Arc<Template>> {
        let good = |(name, entry): (&Arc<str>, &Entry)| Some((name.clone(), entry.good.as_ref()?.1.clone()));
        self.templates.iter().filter_map(good).collect()
    }

    /// The templates as they are now.
    #[must_use]
    pub fn snapshot(&self) -> ExpansionSet {
        ExpansionSet::of(self.good())
    }
}

impl ExpansionSet {
    /// The expansion templates among documents, with all that is wrong with them, circles too.
    #[must_use]
    pub fn compile(documents: impl IntoIterator<Item = Document>) -> (Self, Vec<Error>) {
        let (mut resources, mut errors) = (Vec::new(), Vec::new());
        for document in documents {
            let (resource, problems) = Resource::read_for(&document, Uses::POLICIES.with_expansions(true));
            // What is wrong with other kinds is for those who use them.
            if resource.as_ref().is_some_and(Resource::is_expansion) {
                errors.extend(problems);
                resources.extend(resource);
            }
        }
        let (set, problems) = Self::from_resources(resources);
        errors.extend(problems);
        errors.sort();
        (set, errors)
    }

    /// Compiles all expansion templates among some resources; others are left alone. Of two templates of the
    /// same name the last one counts.
    #[must_use]
    pub fn from_resources(resources: impl IntoIterator<Item = Resource>) -> (Self, Vec<Error>) {
        let mut store = ExpansionStore::new();
        let mut errors = Vec::new();
        for resource in resources {
            errors.extend(store.duplicate(&resource));
            errors.extend(store.apply(ExpansionChange::Upsert(resource)));
        }
        errors.extend(store.cycles());
        errors.sort();
        (store.snapshot(), errors)
    }
}

/// The first of some names.
fn listed(names: &BTreeSet<Arc<str>>) -> String {
    const MOST: usize = 5;
    let shown: Vec<String> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
