//! How what is generated is changed, and whether its parent was.

use portcullis_value::{Limits, Watch};

use super::error::ExpansionError;
use super::resultant::Resultant;
use super::set::ExpansionSet;
use crate::admission_policy::{AdmissionMutators, Surroundings};
use crate::inventory::Inventory;
use crate::matcher::Source;
use crate::mutation::{Mutable, MutationError, MutationLimits, MutatorSet};
use crate::object::Object;

/// By what objects are expanded: the templates, and the mutators and admission policies that change what is generated.
#[derive(Clone, Copy, Debug)]
pub struct Expansion<'a> {
    templates: &'a ExpansionSet,
    mutators: Option<&'a MutatorSet>,
    /// The API server's own mutating policies, and the objects that they look at.
    policies: Option<(&'a AdmissionMutators, &'a Inventory)>,
    parent: Parent,
    /// The id of the mutation, if mutators are to be noted in annotations.
    annotated: Option<&'a str>,
}

/// What mutators have done to an object before it is expanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parent {
    /// It is as a cluster has it: they changed it before anybody judges it.
    #[default]
    Mutated,
    /// It is as somebody wrote it. They change it first, and it is judged as it was written all the same:
    /// gator has it so.
    AsWritten,
}

impl<'a> Expansion<'a> {
    /// By templates alone.
    #[must_use]
    pub const fn new(templates: &'a ExpansionSet) -> Self {
        Self { templates, mutators: None, policies: None, parent: Parent::Mutated, annotated: None }
    }

    /// With mutators, which are applied to what is generated.
    #[must_use]
    pub const fn with_mutators(self, mutators: &'a MutatorSet) -> Self {
        Self { mutators: Some(mutators), ..self }
    }

    /// With mutating admission policies of the API server's, which are applied to what is generated as it is
    /// created: before mutators, and those that ask for it once more after them. They look at these objects: their
    /// parameters, and definitions of custom kinds.
    #[must_use]
    pub const fn with_policies(self, policies: &'a AdmissionMutators, inventory: &'a Inventory) -> Self {
        Self { policies: Some((policies, inventory)), ..self }
    }

    /// Says what mutators have done to the objects; all, if nothing is said.
    #[must_use]
    pub const fn of_parents(self, parent: Parent) -> Self {
        Self { parent, ..self }
    }

    /// Has the mutators noted in annotations of what is generated, and the mutation by this id.
    #[must_use]
    pub const fn annotated(self, id: &'a str) -> Self {
        Self { annotated: Some(id), ..self }
    }

    /// What controllers will make of an object that lives in a namespace, as far as that is known: its name,
    /// and the Namespace itself, which mutators may ask for. What is deeper comes first, then by the templates'
    /// names.
    ///
    /// Cost: a look-up by the object's kind; for each resultant a copy of its outermost fields and of those of
    /// its `metadata`, a walk over it, and what mutators take.
    ///
    /// # Errors
    ///
    /// If a template that applies does not fit an object, if mutators cannot do their work, or more would be
    /// generated than is allowed. Then nothing of it is known.
    pub fn expand(
        &self,
        object: &Object,
        namespace: Option<&str>,
        known: Option<&Object>,
    ) -> Result<Vec<Resultant>, ExpansionError> {
        self.expand_watched(object, namespace, known, None)
    }

    /// The same, with somebody who may end the work of mutators.
    pub(crate) fn expand_watched(
        &self,
        object: &Object,
        namespace: Option<&str>,
        known: Option<&Object>,
        watch: Option<&dyn Watch>,
    ) -> Result<Vec<Resultant>, ExpansionError> {
        let mutators = self.mutators.filter(|mutators| !mutators.is_empty());
        let policies = self.policies.filter(|(policies, _)| !policies.is_empty());
        if self.templates.is_empty() || mutators.is_none() && policies.is_none() {
            return self.templates.expand(object, namespace, None);
        }
        let mutated = |object: &Object, source: Source| {
            let Some(mutators) = mutators else { return Ok(object.clone()) };
            let mutable = Mutable::new(object.clone()).with_source(source);
            let mutable = match known {
                Some(namespace) => mutable.with_namespace(namespace.clone()),
                None => mutable,
            };
            let mutable = match self.annotated {
                Some(id) => mutable.annotated(id),
                None => mutable,
            };
            let mutation = mutators.mutate(&mutable, MutationLimits::default(), watch)?;
            Ok(mutation.object().clone())
        };
        let data = policies.map(|(_, inventory)| inventory.for_policies());
        let created = |object: &Object, source: Source| {
            let by_mutators = |object: &Object| {
                mutated(object, source).map_err(|error: MutationError| Unchanged::ByMutators(Box::new(error)))
            };
            let Some(((policies, _), inventory)) = policies.zip(data.as_ref()) else {
                return by_mutators(object);
            };
            let around = Surroundings { namespace: known, inventory, limits: Limits::default(), watch };
            let home = namespace.unwrap_or_else(|| object.namespace());
            policies.mutate_created(object, home, &around, by_mutators, Unchanged::Denied)
        };
        let parent = match self.parent {
            Parent::Mutated => object.clone(),
            Parent::AsWritten => created(object, Source::Original).map_err(|why| why.of_parent(object))?,
        };
        let mutating = |object: Object| created(&object, Source::Generated).map_err(Unchanged::into_message);
        self.templates.expand(&parent, namespace, Some(&mutating))
    }
}

/// Why an object could not be changed as a cluster would change it.
enum Unchanged {
    ByMutators(Box<MutationError>),
    /// Admission policies deny the request.
    Denied(String),
}

impl Unchanged {
    fn of_parent(self, object: &Object) -> ExpansionError {
        match self {
            Self::ByMutators(error) => ExpansionError::of_parent(object, &error),
            Self::Denied(message) => ExpansionError::of_denied_parent(object, message),
        }
    }

    fn into_message(self) -> String {
        match self {
            Self::ByMutators(error) => error.to_string(),
            Self::Denied(message) => message,
        }
    }
}
