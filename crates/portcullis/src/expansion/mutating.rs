//! How what is generated is changed, and whether its parent was.

use portcullis_value::Watch;

use super::error::ExpansionError;
use super::resultant::Resultant;
use super::set::ExpansionSet;
use crate::matcher::Source;
use crate::mutation::{Mutable, MutationLimits, MutatorSet};
use crate::object::Object;

/// By what objects are expanded: the templates, and the mutators of what is generated.
#[derive(Clone, Copy, Debug)]
pub struct Expansion<'a> {
    templates: &'a ExpansionSet,
    mutators: Option<&'a MutatorSet>,
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
        Self { templates, mutators: None, parent: Parent::Mutated, annotated: None }
    }

    /// With mutators, which are applied to what is generated.
    #[must_use]
    pub const fn with_mutators(self, mutators: &'a MutatorSet) -> Self {
        Self { mutators: Some(mutators), ..self }
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
        let Some(mutators) = mutators.filter(|_| !self.templates.is_empty()) else {
            return self.templates.expand(object, namespace, None);
        };
        let mutated = |object: Object, source: Source| {
            let mutable = Mutable::new(object).with_source(source);
            let mutable = match known {
                Some(namespace) => mutable.with_namespace(namespace.clone()),
                None => mutable,
            };
            let mutable = match self.annotated {
                Some(id) => mutable.annotated(id),
                None => mutable,
            };
            mutators.mutate(&mutable, MutationLimits::default(), watch)
        };
        let parent = match self.parent {
            Parent::Mutated => object.clone(),
            Parent::AsWritten => mutated(object.clone(), Source::Original)
                .map_err(|error| ExpansionError::of_parent(object, &error))?
                .object()
                .clone(),
        };
        let mutating = |object: Object| match mutated(object, Source::Generated) {
            Ok(mutation) => Ok(mutation.object().clone()),
            Err(error) => Err(error.to_string()),
        };
        self.templates.expand(&parent, namespace, Some(&mutating))
    }
}
