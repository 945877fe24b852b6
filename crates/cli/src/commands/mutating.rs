//! Objects as mutators leave them: what `mutate` writes and `test --mutate` judges.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portcullis::{
    AdmissionMutators, Answers, Error, ErrorKind, Expansion, Inventory, InventoryStore, Location, Mutable,
    Mutation, MutationError, MutationLimits, MutatorSet, MutatorStore, Object, Operation, Place, Places,
    PolicySet, Process, Questions, Resource, Review, Settled, World,
};
use portcullis_providers::Answering;
use portcullis_report::mutate::Mutated;
use rayon::prelude::*;

use crate::commands::asking;
use crate::commands::input::{Changed, Subject, SubjectKind};
use crate::mutate_args::OperationArg;

impl From<OperationArg> for Operation {
    fn from(operation: OperationArg) -> Self {
        match operation {
            OperationArg::Create => Self::Create,
            OperationArg::Update => Self::Update,
        }
    }
}

/// The set of mutators, and what is wrong with them, conflicts included.
pub fn compile(mutators: &[Resource]) -> (MutatorSet, Vec<Error>) {
    let mut store = MutatorStore::new();
    let mut problems = Vec::new();
    for mutator in mutators {
        problems.extend(store.duplicate(mutator));
        problems.extend(store.upsert(mutator));
    }
    let set = store.snapshot();
    problems.extend(set.conflicts());
    (set, problems)
}

/// Whether a resource is a mutating admission policy of the API server's, or a binding of one.
pub fn is_admission(resource: &Resource) -> bool {
    match resource {
        Resource::AdmissionPolicy(_) | Resource::AdmissionPolicyBinding(_) => resource.is_mutator(),
        Resource::Rejected(resource) => is_admission(resource),
        _ => false,
    }
}

/// The API server's own mutating policies, and the objects that they look at.
#[derive(Clone)]
pub struct Admission {
    pub policies: AdmissionMutators,
    pub inventory: Inventory,
}

impl Admission {
    /// Those among some resources, if there are any, and all that is wrong with them.
    pub fn new(
        resources: impl IntoIterator<Item = Resource>,
        inventory: &[Object],
        places: &Places,
    ) -> (Option<Self>, Vec<Error>) {
        let (policies, problems) =
            AdmissionMutators::from_resources(resources.into_iter().filter(is_admission));
        if policies.is_empty() {
            return (None, problems);
        }
        let mut store = InventoryStore::new();
        for object in inventory.iter().filter(|object| policies.keeps(object)) {
            store.upsert(places.settle(object.clone()).object);
        }
        let inventory = store.snapshot();
        (Some(Self { policies, inventory }), problems)
    }
}

/// Objects are expanded by these as well, if there are any.
pub fn expanding<'a>(expansion: Expansion<'a>, admission: Option<&'a Admission>) -> Expansion<'a> {
    match admission {
        Some(Admission { policies, inventory }) => expansion.with_policies(policies, inventory),
        None => expansion,
    }
}

/// Mutators, and what they may look at.
pub struct Mutating<'a> {
    pub set: MutatorSet,
    /// The API server's own policies, which it asks before any mutators, and some of them after those once more.
    pub admission: Option<Admission>,
    /// For the Config, which keeps mutators away from namespaces.
    policies: &'a PolicySet,
    namespaces: BTreeMap<Arc<str>, Object>,
    operation: Operation,
    outside: Outside,
}

/// What mutators ask the world outside.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// What is known of it.
    pub answers: Answers,
    /// Who makes the requests, if somebody says so.
    pub username: Option<Arc<str>>,
}

/// Why an object is not mutated.
enum NotMutated {
    ByMutators(Box<MutationError>),
    Denied(Error, Questions),
}

impl From<NotMutated> for Error {
    fn from(why: NotMutated) -> Self {
        match why {
            NotMutated::ByMutators(error) => (*error).into(),
            NotMutated::Denied(error, _) => error,
        }
    }
}

impl<'a> Mutating<'a> {
    /// Compiles the mutators, and says what is wrong with them.
    pub fn new(
        mutators: &[Resource],
        operation: OperationArg,
        policies: &'a PolicySet,
        inventory: &[Object],
        places: &Places,
    ) -> (Self, Vec<Error>) {
        let (admission, mutators): (Vec<Resource>, Vec<Resource>) =
            mutators.iter().cloned().partition(is_admission);
        let (set, mut problems) = compile(&mutators);
        let (admission, found) = Admission::new(admission, inventory, places);
        problems.extend(found);
        (Self { admission, ..Self::of(set, operation.into(), policies, inventory) }, problems)
    }

    /// With the API server's own policies.
    pub fn with_admission(self, admission: Option<Admission>) -> Self {
        Self { admission, ..self }
    }

    /// Takes mutators that were compiled before, with the Namespaces of an inventory.
    pub fn of(set: MutatorSet, operation: Operation, policies: &'a PolicySet, inventory: &[Object]) -> Self {
        // A Namespace of the input counts, and of two of the same name the last one.
        let known = inventory.iter().filter(|object| object.is_namespace()).cloned();
        let namespaces = Inventory::empty().missing_default_namespace().into_iter().chain(known);
        let namespaces = namespaces.map(|namespace| (namespace.name().clone(), namespace)).collect();
        Self { set, admission: None, policies, namespaces, operation, outside: Outside::default() }
    }

    /// With what is known of the world outside.
    pub fn with_outside(self, outside: Outside) -> Self {
        Self { outside, ..self }
    }

    /// Asks all that mutators ask about some objects.
    pub fn ask(&mut self, answering: &Answering, objects: &[Settled]) {
        if self.may_ask() {
            let mut answers = std::mem::take(&mut self.outside.answers);
            asking::gather(answering, &mut answers, objects, |settled, known| self.questions(settled, known));
            self.outside.answers = answers;
        }
    }

    fn may_ask(&self) -> bool {
        self.set.may_ask() || self.admission.as_ref().is_some_and(|admission| admission.policies.may_ask())
    }

    /// What is known of the world outside.
    pub fn outside(&self) -> &Outside {
        &self.outside
    }

    /// What mutators ask about an object, beyond some answers.
    pub fn questions(&self, settled: &Settled, answers: &Answers) -> Questions {
        match self.mutate_by(settled, answers) {
            Err(NotMutated::ByMutators(error)) => error.questions().clone(),
            Err(NotMutated::Denied(_, questions)) => questions,
            Ok(_) => Questions::default(),
        }
    }

    /// Mutates an object where it lives.
    pub fn mutate(&self, settled: &Settled) -> Result<Mutation, Error> {
        Ok(self.mutate_by(settled, &self.outside.answers)?)
    }

    fn mutate_by(&self, settled: &Settled, answers: &Answers) -> Result<Mutation, NotMutated> {
        let further_of = |settled: &Settled| {
            self.mutate_further(settled, answers).map_err(|error| NotMutated::ByMutators(Box::new(error)))
        };
        let Some(Admission { policies, inventory }) = &self.admission else {
            return further_of(settled);
        };
        let object = &settled.object;
        let review = Review::settled(settled.clone());
        let namespace = self.namespaces.get(review.namespace_name()).filter(|_| !object.is_namespace());
        let review = match namespace {
            Some(namespace) => review.with_namespace(namespace.clone()),
            None => review,
        };
        let mut further = None;
        let world = World::new(inventory).with_answers(answers);
        let mutation = policies.mutate_around(&review, &world, |object| {
            let mutation = further_of(&Settled { object: object.clone(), place: settled.place })?;
            let object = mutation.object().clone();
            further = Some(mutation);
            Ok::<_, NotMutated>(object)
        })?;
        match further {
            Some(further) if mutation.denials.is_empty() => {
                let left = mutation.object.unwrap_or_else(|| object.clone());
                let mutated = further.among_policies(object.clone(), left, mutation.changed_by);
                Ok(mutated.ignoring(mutation.ignored))
            }
            _ => {
                let messages: Vec<&str> =
                    mutation.denials.iter().map(|denial| denial.message.as_str()).collect();
                let error = Error::new(ErrorKind::Mutation, messages.join("; ")).about(object.to_string());
                let error = match object.location() {
                    Some(location) => error.at(location),
                    None => error,
                };
                Err(NotMutated::Denied(error, mutation.questions))
            }
        }
    }

    /// What Gatekeeper's mutators do.
    fn mutate_further(&self, settled: &Settled, answers: &Answers) -> Result<Mutation, MutationError> {
        let object = &settled.object;
        let mut mutable = Mutable::new(object.clone()).with_operation(self.operation).as_sent();
        let review = Review::settled(settled.clone());
        if self.policies.excludes(Process::MutationWebhook, &review) {
            return MutatorSet::empty().mutate(&mutable, MutationLimits::default(), None);
        }
        let namespace = self.namespaces.get(review.namespace_name());
        if let Some(namespace) = namespace.filter(|_| !object.is_namespace()) {
            mutable = mutable.with_namespace(namespace.clone());
        }
        if let Some(username) = &self.outside.username {
            mutable = mutable.with_username(username.clone());
        }
        self.set.mutate_answered(&mutable, MutationLimits::default(), None, answers)
    }

    /// Mutates all objects that somebody wrote, among the subjects and in the inventory. Policies and requests
    /// stay: the first are no objects, and an API server has mutated the object of a request already. What
    /// cannot be mutated is taken out.
    pub fn mutate_all(
        &mut self,
        subjects: &mut Vec<Subject>,
        inventory: &mut Vec<Object>,
        places: &Places,
        answering: &Answering,
    ) -> Vec<Error> {
        let written = subjects.iter().filter(|subject| subject.kind == SubjectKind::Object);
        let written = written.map(|subject| places.settle(subject.object.clone()));
        if self.may_ask() {
            self.ask(answering, &written.collect::<Vec<_>>());
        }
        let mutate = |subject: &Subject| {
            if subject.kind != SubjectKind::Object {
                return Ok(None);
            }
            let settled = places.settle(subject.object.clone());
            let mutation = self.mutate(&settled)?;
            Ok(Some(Changed { place: settled.place, mutation }))
        };
        let results: Vec<Result<Option<Changed>, Error>> = subjects.par_iter().map(mutate).collect();
        let (mut problems, mut left, mut known) = (Vec::new(), Vec::new(), Vec::new());
        let mut objects = std::mem::take(inventory).into_iter();
        for (mut subject, result) in std::mem::take(subjects).into_iter().zip(results) {
            let object = if subject.kind == SubjectKind::Request { None } else { objects.next() };
            match result {
                Ok(changed) => {
                    problems.extend(changed.iter().flat_map(|changed| ignored(&changed.mutation)));
                    known
                        .extend(changed.as_ref().map(|changed| changed.mutation.object().clone()).or(object));
                    subject.mutated = changed;
                    left.push(subject);
                }
                Err(problem) => problems.push(problem),
            }
        }
        known.extend(objects);
        (*subjects, *inventory) = (left, known);
        problems
    }
}

/// A warning for each thing that did not work with an object, and does not count because its `failurePolicy` says so.
pub fn ignored(mutation: &Mutation) -> impl Iterator<Item = Error> {
    mutation.ignored().map(|what| {
        let message = format!("what does not work does not count, as `failurePolicy` says: {what}");
        let warning = Error::warning(ErrorKind::Mutation, message).about(mutation.original().to_string());
        match mutation.original().location() {
            Some(location) => warning.at(location),
            None => warning,
        }
    })
}

/// A warning for each thing that did not work with what an object implies, and does not count: each once, however much
/// is implied.
pub fn left_undone<'a>(
    object: &Object,
    location: Option<Location>,
    ignored: impl Iterator<Item = &'a str>,
) -> Vec<Error> {
    let told = ignored.collect::<BTreeSet<_>>().into_iter().map(|what| {
        let message = format!(
            "what does not work with what this implies does not count, as `failurePolicy` says: {what}"
        );
        let warning = Error::warning(ErrorKind::Mutation, message).about(object.to_string());
        warning.at(location.clone())
    });
    told.collect()
}

/// What came of an object, with the namespace that its own text names.
pub fn as_written(settled: &Settled, mutation: Mutation, written: &Object) -> Mutated {
    let object = match settled.place {
        Place::AsWritten | Place::Unknown => mutation.object().clone(),
        Place::Given | Place::Assumed => mutation.object().in_namespace(None),
        Place::Dropped => mutation.object().in_namespace(Some(&**written.namespace())),
    };
    Mutated { mutation, object }
}
