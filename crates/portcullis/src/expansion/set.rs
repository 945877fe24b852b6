//! The compiled templates, and objects expanded by them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portcullis_value::Questions;

use super::bounds::{DEPTH, MAX_BYTES, MAX_RESULTANTS, PART};
use super::cycles::in_cycles;
use super::error::{ExpansionError, Reason};
use super::generate::{self, Parent};
use super::resultant::Resultant;
use super::template::Template;
use super::workloads;
use crate::document::Document;
use crate::names::Gvk;
use crate::object::Object;
use crate::path::FieldPath;
use crate::value::{self, Value};

/// Changes what was generated, before it is expanded further; or says why it cannot be.
pub(super) type Mutating<'a> = &'a dyn Fn(Object) -> Result<Changed, NotMutated>;

/// An object as a cluster creates it.
pub(super) struct Changed {
    pub(super) object: Object,
    /// What did not work and does not count, as `failurePolicy` says.
    pub(super) ignored: Vec<String>,
}

/// Why what was generated cannot be changed.
pub(super) struct NotMutated {
    pub(super) message: String,
    /// What has to be answered first.
    pub(super) questions: Questions,
}

/// Compiled expansion templates: immutable, cheap to clone, `Send + Sync`.
///
/// ```
/// use portcullis::{Document, Expansion, ExpansionSet, Object};
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
/// let (expansions, errors) = ExpansionSet::compile(documents);
/// assert!(errors.is_empty());
///
/// let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}, spec: {template: {}}}";
/// let resultants = Expansion::new(&expansions).expand(&Object::from_yaml(deployment)?, None, None)?;
/// assert_eq!(resultants[0].object()?.to_string(), "Pod shop/web-pod");
/// assert_eq!(resultants[0].template(), "deployments");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ExpansionSet(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    names: Vec<Arc<str>>,
    /// All of them, and what Kubernetes does without one, where that is applied.
    templates: Vec<Arc<Template>>,
    cycles: BTreeSet<Arc<str>>,
    /// The templates that are applied, by each kind that they apply to, in order of their names.
    index: BTreeMap<Arc<str>, Vec<Arc<Template>>>,
}

impl ExpansionSet {
    /// What results name instead of a template, where [`ExpansionSet::with_workloads`] implies something.
    pub const WORKLOADS: &'static str = workloads::NAME;

    /// A set without templates: nothing implies anything.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    pub(super) fn of(templates: BTreeMap<Arc<str>, Arc<Template>>) -> Self {
        let cycles = in_cycles(&templates);
        let mut index: BTreeMap<Arc<str>, Vec<Arc<Template>>> = BTreeMap::new();
        for template in templates.values().filter(|template| !cycles.contains(&template.name)) {
            let kinds: BTreeSet<&Arc<str>> =
                template.apply_to.iter().flat_map(|entry| &entry.kinds).collect();
            for kind in kinds {
                index.entry(kind.clone()).or_default().push(template.clone());
            }
        }
        let (names, templates) = templates.into_iter().unzip();
        Self(Arc::new(Inner { names, templates, cycles, index }))
    }

    /// These templates, and beside them what Kubernetes itself makes of its workloads: Pods. A kind of which
    /// Pods come by these templates is left to them, so that nothing is implied twice.
    #[must_use]
    pub fn with_workloads(&self) -> Self {
        let mut set = Inner {
            names: self.0.names.clone(),
            templates: self.0.templates.clone(),
            cycles: self.0.cycles.clone(),
            index: self.0.index.clone(),
        };
        set.names.push(workloads::NAME.into());
        for workload in workloads::ALL {
            let template = Arc::new(workload.template());
            if !set.makes(workload.gvks(), |gvk| *gvk == template.generated) {
                set.index.entry(workload.kind.into()).or_default().push(template.clone());
                set.templates.push(template);
            }
        }
        Self(Arc::new(set))
    }

    /// The names of the templates, those in circles among them.
    pub fn templates(&self) -> impl Iterator<Item = &str> {
        self.0.names.iter().map(|name| &**name)
    }

    /// The templates as they were written, those in circles among them, in the order of their names. What
    /// Kubernetes does without one is not among them.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.0.templates.iter().filter_map(|template| template.object.as_ref())
    }

    /// The groups and kinds of which objects may imply, in any number of steps, one of a kind that is wanted: for
    /// each entry of `applyTo` of the templates that are applied.
    pub(crate) fn leading_to(
        &self,
        wanted: impl Fn(&Gvk) -> bool,
    ) -> impl Iterator<Item = (&[Arc<str>], &[Arc<str>])> {
        let applied = self.0.templates.iter().filter(|template| !self.0.cycles.contains(&template.name));
        let leads = move |template: &&Arc<Template>| {
            wanted(&template.generated) || self.0.makes([template.generated.clone()], &wanted)
        };
        let entries = applied.filter(leads).flat_map(|template| &template.apply_to);
        entries.map(|entry| (&*entry.groups, &*entry.kinds))
    }

    /// The names of the templates that are in a circle with others, and so not applied.
    pub fn in_cycles(&self) -> impl Iterator<Item = &str> {
        self.0.cycles.iter().map(|name| &**name)
    }

    /// True if nothing is expanded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.index.is_empty()
    }

    /// Whether objects of a kind may imply, in any number of steps, one of a kind that is wanted.
    #[must_use]
    pub fn may_imply(&self, gvk: &Gvk, wanted: impl Fn(&Gvk) -> bool) -> bool {
        self.0.makes([gvk.clone()], wanted)
    }

    /// What controllers will make of an object: what is deeper comes first, then by the templates' names.
    ///
    /// What is generated lives in `namespace` if there is one, else in the namespace that the parent names.
    /// It is changed by `mutating` before it is expanded itself.
    ///
    /// Cost: a look-up by the object's kind; for each resultant a copy of its outermost fields and of those of
    /// its `metadata`, and a walk over it.
    ///
    /// # Errors
    ///
    /// If a template that applies does not fit an object, or more would be generated than is allowed. Then
    /// nothing of it is known.
    pub(super) fn expand(
        &self,
        object: &Object,
        namespace: Option<&str>,
        mutating: Option<Mutating<'_>>,
    ) -> Result<Vec<Resultant>, ExpansionError> {
        let mut expanding = Expanding {
            set: self,
            namespace,
            mutating,
            document: object.document(),
            left: MAX_RESULTANTS,
            room: MAX_BYTES,
            open: None,
        };
        let mut resultants = Vec::new();
        let expanded = expanding.expand(object.value(), object.within(), 0, &mut resultants);
        // What is asked is asked first: what fails is the same then, in whatever rounds answers come.
        match expanding.open {
            Some(open) => Err(open),
            None => expanded.map(|()| resultants),
        }
    }
}

impl Inner {
    fn applying(&self, gvk: &Gvk) -> impl Iterator<Item = &Arc<Template>> {
        let candidates = self.index.get(&gvk.kind).into_iter().flatten();
        candidates.filter(|template| template.applies_to(gvk))
    }

    /// Whether objects of a kind come of one of these, in any number of steps.
    fn makes(&self, from: impl IntoIterator<Item = Gvk>, wanted: impl Fn(&Gvk) -> bool) -> bool {
        let mut waiting: Vec<Gvk> = from.into_iter().collect();
        let mut seen: BTreeSet<Gvk> = BTreeSet::new();
        while let Some(gvk) = waiting.pop() {
            for template in self.applying(&gvk) {
                if wanted(&template.generated) {
                    return true;
                }
                if seen.insert(template.generated.clone()) {
                    waiting.push(template.generated.clone());
                }
            }
        }
        false
    }
}

/// What all levels of an expansion share.
struct Expanding<'a> {
    set: &'a ExpansionSet,
    namespace: Option<&'a str>,
    mutating: Option<Mutating<'a>>,
    document: Option<&'a Document>,
    /// How many more may be generated.
    left: usize,
    /// How many more bytes.
    room: usize,
    /// What was asked so far, with what asked first.
    open: Option<ExpansionError>,
}

impl Expanding<'_> {
    /// Recursive, [`DEPTH`] levels at most.
    fn expand(
        &mut self,
        parent: &Value,
        within: &FieldPath,
        depth: usize,
        into: &mut Vec<Resultant>,
    ) -> Result<(), ExpansionError> {
        if depth >= DEPTH {
            return Err(self.error(Reason::TooDeep, None, within));
        }
        let gvk = generate::gvk_of(parent);
        let mut children = Vec::new();
        for template in self.set.0.applying(&gvk) {
            match self.child(parent, template, within) {
                Ok(child) => children.push(child),
                // What is beside it may ask as well: all that is asked at once.
                Err(error) if !error.questions().is_empty() => match &mut self.open {
                    Some(open) => open.ask(&error),
                    None => self.open = Some(error),
                },
                Err(error) => return Err(error),
            }
        }
        for child in &children {
            self.expand(child.value(), child.within(), depth + 1, into)?;
        }
        into.extend(children);
        Ok(())
    }

    fn child(
        &mut self,
        parent: &Value,
        template: &Template,
        within: &FieldPath,
    ) -> Result<Resultant, ExpansionError> {
        let at = within.join(&template.source_path());
        let fails = |this: &Self, reason| this.error(reason, Some(template), &at);
        self.left = self.left.checked_sub(1).ok_or_else(|| fails(self, Reason::TooMany))?;
        let parent = Parent { value: parent, namespace: self.namespace };
        let value = generate::generate(&parent, template).map_err(|reason| fails(self, reason))?;
        let takes = |value: &Value, room: &mut usize| value::takes_at_most(value, PART, room);
        let before = self.room;
        takes(&value, &mut self.room).ok_or_else(|| fails(self, Reason::TooLarge))?;
        let mut object = Object::generated(value.clone(), self.document.cloned(), at.clone());
        if let Some(mutating) = self.mutating {
            let name = || generate::name_of(&value).to_owned();
            let mutated = match object {
                Ok(object) => mutating(object),
                Err(error) => Err(NotMutated { message: error.to_string(), questions: Questions::default() }),
            };
            let changed = mutated.map_err(|NotMutated { message, questions }| ExpansionError {
                questions,
                ..fails(self, Reason::NotMutated { name: name(), reason: message })
            })?;
            let Changed { object: mutated, ignored } = changed;
            // Mutators may have made more of it.
            self.room = before;
            takes(mutated.value(), &mut self.room).ok_or_else(|| fails(self, Reason::TooLarge))?;
            let value = mutated.value().clone();
            return Ok(Resultant::new(template, value, Ok(mutated), at).ignoring(ignored));
        }
        if let Err(error) = &mut object {
            *error = error.clone().about(format!("ExpansionTemplate/{}", template.name));
        }
        Ok(Resultant::new(template, value, object, at))
    }

    fn error(&self, reason: Reason, template: Option<&Template>, path: &FieldPath) -> ExpansionError {
        let nearest = self.document.map(|document| document.locate_nearest(path));
        let (location, path) =
            nearest.map_or((None, path.clone()), |(location, path)| (Some(location), path));
        let template = template.map_or_else(|| "".into(), |template| template.name.clone());
        ExpansionError { reason, template, location, path, questions: Questions::default() }
    }
}
