//! How what is generated is changed, and whether its parent was.

use std::cell::RefCell;

use portcullis_value::{Answers, Limits, Questions, Watch};

use super::error::ExpansionError;
use super::resultant::Resultant;
use super::set::{Changed, ExpansionSet, NotMutated};
use crate::admission_policy::{AdmissionMutators, Surroundings};
use crate::inventory::Inventory;
use crate::matcher::Source;
use crate::mutation::{Mutable, MutationError, MutationLimits, MutatorSet};
use crate::object::Object;
use crate::program::{Asking, Counting};

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
    outside: Outside<'a>,
}

/// What mutators of what is generated may ask.
#[derive(Clone, Copy, Debug, Default)]
struct Outside<'a> {
    /// What is known of the world outside.
    answers: Option<&'a Answers>,
    /// Who made the request, if that is known.
    username: Option<&'a str>,
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
        let outside = Outside { answers: None, username: None };
        Self { templates, mutators: None, policies: None, parent: Parent::Mutated, annotated: None, outside }
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

    /// Says what is known of the world outside, such as what providers of external data say. What mutators ask beyond that is
    /// in [`ExpansionError::questions`]. A review knows that from its world.
    #[must_use]
    pub const fn with_answers(self, answers: &'a Answers) -> Self {
        Self { outside: Outside { answers: Some(answers), ..self.outside }, ..self }
    }

    /// Says who made the request: mutators of what is generated ask about that user. A review of a request knows that.
    #[must_use]
    pub const fn with_username(self, username: &'a str) -> Self {
        Self { outside: Outside { username: Some(username), ..self.outside }, ..self }
    }

    /// Whether mutators may ask providers when something is expanded.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        let may_policies_ask = || self.policies.is_some_and(|(policies, _)| policies.may_ask());
        let may_mutators_ask = || self.mutators.is_some_and(MutatorSet::may_ask);
        !self.templates.is_empty() && (may_mutators_ask() || may_policies_ask())
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
        let mutated = |object: &Object, source: Source, ignored: &RefCell<Vec<String>>| {
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
            let mutable = match self.outside.username {
                Some(username) => mutable.with_username(username),
                None => mutable,
            };
            let nothing = Answers::new();
            let answers = self.outside.answers.unwrap_or(&nothing);
            let mutation = mutators.mutate_answered(&mutable, MutationLimits::default(), watch, answers)?;
            ignored.borrow_mut().extend(mutation.ignored().map(str::to_owned));
            Ok(mutation.object().clone())
        };
        let data = policies.map(|(_, inventory)| inventory.for_policies());
        let created = |object: &Object, source: Source| -> Result<Changed, Unchanged> {
            let ignored = RefCell::default();
            let by_mutators = |object: &Object| {
                let mutated = mutated(object, source, &ignored);
                mutated.map_err(|error: MutationError| Unchanged::ByMutators(Box::new(error)))
            };
            let Some(((policies, _), inventory)) = policies.zip(data.as_ref()) else {
                return Ok(Changed { object: by_mutators(object)?, ignored: ignored.take() });
            };
            let asking = Asking::new(self.outside.answers);
            let (limits, asked) = (Limits::default(), &asking);
            let around = Surroundings {
                namespace: known,
                inventory,
                limits,
                watch,
                asking: asked,
                counting: Counting::Always,
            };
            let home = namespace.unwrap_or_else(|| object.namespace());
            let denied = |message| Unchanged::Denied(message, Questions::default());
            let created = policies.mutate_created(object, home, &around, by_mutators, denied);
            let (object, by_policies) = created.map_err(|why| match why {
                Unchanged::Denied(message, _) => Unchanged::Denied(message, asking.into_questions()),
                by_mutators @ Unchanged::ByMutators(_) => by_mutators,
            })?;
            ignored.borrow_mut().extend(by_policies);
            Ok(Changed { object, ignored: ignored.take() })
        };
        let parent = match self.parent {
            Parent::Mutated => object.clone(),
            Parent::AsWritten => {
                created(object, Source::Original).map_err(|why| why.of_parent(object))?.object
            }
        };
        let mutating = |object: Object| created(&object, Source::Generated).map_err(Unchanged::of_resultant);
        self.templates.expand(&parent, namespace, Some(&mutating))
    }
}

/// Why an object could not be changed as a cluster would change it.
enum Unchanged {
    ByMutators(Box<MutationError>),
    /// Admission policies deny the request.
    Denied(String, Questions),
}

impl Unchanged {
    fn of_parent(self, object: &Object) -> ExpansionError {
        match self {
            Self::ByMutators(error) => ExpansionError::of_parent(object, &error),
            Self::Denied(message, questions) => ExpansionError::of_denied_parent(object, message, questions),
        }
    }

    fn of_resultant(self) -> NotMutated {
        match self {
            Self::ByMutators(error) => {
                NotMutated { message: error.to_string(), questions: error.questions().clone() }
            }
            Self::Denied(message, questions) => NotMutated { message, questions },
        }
    }
}
