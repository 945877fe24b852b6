//! All mutators applied to an object, again and again until nothing changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portcullis_value::{Answers, Budget, Exceeded, Limits, Questions, Watch, weigh};

use super::compiled::Compiled;
use super::outcome::{Change, Mutation, MutationError, MutationFailure, MutationLimits};
use super::placeholders::{Placeholders, Resolved, Unresolved};
use super::store::{Inner, MutatorSet};
use super::walk::{Failure, Walk, Walked, Write, is_identical};
use crate::api::Operation;
use crate::error::Error;
use crate::matcher::{Home, Source, Subject};
use crate::names::MutatorKey;
use crate::object::Object;
use crate::path::{FieldPath, Segment};
use crate::value::{self, Value, View};

/// An object to be mutated, with what is known about it.
///
/// ```
/// use portcullis::{Mutable, MutationLimits, MutatorSet, Object, Operation};
///
/// let pod = Object::from_yaml("{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}}").unwrap();
/// let shop = Object::from_yaml("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}").unwrap();
/// let mutable = Mutable::new(pod).with_namespace(shop).with_operation(Operation::Create);
/// assert!(!MutatorSet::empty().mutate(&mutable, MutationLimits::default(), None)?.is_changed());
/// # Ok::<(), portcullis::MutationError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mutable {
    object: Object,
    namespace: Option<Object>,
    operation: Operation,
    source: Source,
    username: Option<Arc<str>>,
    annotated: Option<Arc<str>>,
}

impl Mutable {
    /// An object that lives where its own field says, and that somebody wrote. What is put where it lives
    /// first is that of [`crate::Places`].
    #[must_use]
    pub fn new(object: Object) -> Self {
        let (operation, source) = (Operation::None, Source::Original);
        Self { object, namespace: None, operation, source, username: None, annotated: None }
    }

    /// Takes away what an API server takes away before it asks anybody: labels and annotations that are null, as
    /// in `annotations:` with nothing behind it. For objects from files.
    ///
    /// Cost: if there are such, a copy of its outermost fields and those of `metadata`.
    #[must_use]
    pub fn as_sent(self) -> Self {
        let is_kept =
            |(key, value): &(&str, &Value)| !(["labels", "annotations"].contains(key) && value.is_null());
        let Some(metadata) = value::get(self.object.value(), "metadata") else { return self };
        if value::entries(metadata).all(|entry| is_kept(&entry)) {
            return self;
        }
        let owned = |(key, value): (&str, &Value)| (Arc::<str>::from(key), value.clone());
        let metadata = value::object(value::entries(metadata).filter(is_kept).map(owned));
        let fields = value::entries(self.object.value()).filter(|(key, _)| *key != "metadata").map(owned);
        let value = value::object(fields.chain([(Arc::from("metadata"), metadata)]));
        match self.object.with_value(value) {
            Ok(object) => Self { object, ..self },
            Err(_) => self,
        }
    }

    /// Adds the Namespace that it lives in. Without it, what asks for its labels cannot be decided.
    #[must_use]
    pub fn with_namespace(self, namespace: Object) -> Self {
        Self { namespace: Some(namespace), ..self }
    }

    /// Says what is being done; nothing unless said. Without it a mutator applies only if it does for all
    /// operations.
    #[must_use]
    pub fn with_operation(self, operation: Operation) -> Self {
        Self { operation, ..self }
    }

    /// Says how the object came to be.
    #[must_use]
    pub fn with_source(self, source: Source) -> Self {
        Self { source, ..self }
    }

    /// Says who makes the request; nobody knows unless said. A mutator that asks a provider about the user is an error then.
    #[must_use]
    pub fn with_username(self, username: impl Into<Arc<str>>) -> Self {
        Self { username: Some(username.into()), ..self }
    }

    /// Has the mutators noted in annotations of the object if there are any, and the mutation by this id.
    #[must_use]
    pub fn annotated(self, id: &str) -> Self {
        Self { annotated: Some(id.into()), ..self }
    }

    /// The object.
    #[must_use]
    pub fn object(&self) -> &Object {
        &self.object
    }

    fn home(&self) -> Home<'_> {
        match (&self.namespace, &**self.object.namespace()) {
            (Some(namespace), _) => Home::Namespace { name: namespace.name(), object: Some(namespace) },
            (None, "") => Home::Cluster,
            (None, name) => Home::Namespace { name, object: None },
        }
    }
}

impl MutatorSet {
    /// Applies the mutators to an object in their order, again and again until nothing changes.
    ///
    /// Cost: for an object that no mutator concerns, a look-up of its kind; else for each pass a matcher and a
    /// walk for each mutator of the kind, and copies of what is on the way to what changes.
    ///
    /// # Errors
    ///
    /// If a mutator cannot do its work, or it takes more than `limits` or the `watch` allow, or the mutators
    /// never come to an end, or one asks a provider of external data. Nothing of the object is changed then.
    pub fn mutate(
        &self,
        mutable: &Mutable,
        limits: MutationLimits,
        watch: Option<&dyn Watch>,
    ) -> Result<Mutation, MutationError> {
        self.mutate_answered(mutable, limits, watch, &Answers::new())
    }

    /// As [`MutatorSet::mutate`], with what is known of the world outside. What mutators ask and is not among it is
    /// in [`MutationError::questions`]; with answers to these, it is mutated again. As they ask when all are done, one round
    /// is enough, unless there are more than [`Questions::MOST`].
    ///
    /// # Errors
    ///
    /// As for [`MutatorSet::mutate`]; and if a provider does not answer as it should, and the `failurePolicy` of the mutator is
    /// `Fail`.
    pub fn mutate_answered(
        &self,
        mutable: &Mutable,
        limits: MutationLimits,
        watch: Option<&dyn Watch>,
        answers: &Answers,
    ) -> Result<Mutation, MutationError> {
        if self.inner().index.has_none(&mutable.object.gvk().kind) {
            return Ok(Mutation::unchanged(mutable.object.clone(), 0));
        }
        let limits = Limits { steps: limits.steps, memory: limits.memory, ..Limits::default() };
        let mut run = Run {
            inner: self.inner(),
            mutable,
            budget: Budget::new(limits, watch),
            object: mutable.object.clone(),
            writes: BTreeMap::new(),
            applied: BTreeSet::new(),
            placeholders: Placeholders::default(),
            begun: 0,
        };
        let result = run.passes().and_then(|is_mutated| run.finish(is_mutated, answers));
        result.map_err(|stop| stop.into_error(mutable, run.begun))
    }
}

/// Why a run broke off.
struct Stop {
    kind: MutationFailure,
    mutator: Option<MutatorKey>,
    path: Option<FieldPath>,
    message: String,
    questions: Questions,
}

impl Stop {
    fn new(kind: MutationFailure, message: impl Into<String>) -> Self {
        let questions = Questions::default();
        Self { kind, mutator: None, path: None, message: message.into(), questions }
    }

    fn by(self, mutator: &Compiled) -> Self {
        Self { mutator: Some(mutator.info.key.clone()), ..self }
    }

    fn into_error(self, mutable: &Mutable, passes: usize) -> MutationError {
        let path = self.path.unwrap_or_else(FieldPath::root);
        let document = mutable.object.document();
        MutationError {
            kind: self.kind,
            object: mutable.object.to_string().into(),
            mutator: self.mutator,
            location: document.map(|document| document.locate_nearest(&path).0),
            path: Some(path).filter(|path| !path.is_root()),
            message: self.message.into(),
            passes,
            questions: self.questions,
        }
    }
}

impl From<Exceeded> for Stop {
    fn from(limit: Exceeded) -> Self {
        // What takes too much is named as that of policies is.
        Self::new(MutationFailure::Limit, limit.message.replacen("the evaluation", "mutating it", 1))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Mismatch { path, message } => {
                Self { path: Some(path), ..Self::new(MutationFailure::Mismatch, message) }
            }
            Failure::Limit(limit) => limit.into(),
        }
    }
}

struct Run<'r> {
    inner: &'r Inner,
    mutable: &'r Mutable,
    budget: Budget<'r>,
    /// The object as it is now.
    object: Object,
    /// What was changed last at a path, and by which mutator.
    writes: BTreeMap<FieldPath, (usize, Value)>,
    /// The mutators that did their work in the passes that changed something.
    applied: BTreeSet<usize>,
    /// What stands for answers.
    placeholders: Placeholders,
    /// Passes that were begun.
    begun: usize,
}

impl Run<'_> {
    /// Applies all mutators until a pass changes nothing. Whether the object is mutated, as Gatekeeper has it.
    fn passes(&mut self) -> Result<bool, Stop> {
        let most = self.inner.mutators.len() + 1;
        for number in 1..=most {
            self.begun = number;
            let before = self.object.value().clone();
            let applied = self.pass()?;
            let is_done = applied.is_empty() || is_identical(&mut self.budget, &before, self.object.value())?;
            if is_done {
                return Ok(number > 1);
            }
            self.applied.extend(applied);
        }
        let message = format!("the mutators still change it after {most} passes over all of them");
        Err(Stop::new(MutationFailure::NotConverging, message))
    }

    /// Applies all mutators once. Those that did their work, changed or not.
    fn pass(&mut self) -> Result<Vec<usize>, Stop> {
        let mut applied = Vec::new();
        let mut from = 0;
        // The kind is asked anew each time: a mutator may change it.
        while let Some(position) = self.inner.index.next(&self.object.gvk().kind, from) {
            from = position + 1;
            let Some(mutator) = self.inner.mutators.get(position) else { break };
            self.budget.step(mutator.asking)?;
            if !mutator.applies_to(self.object.gvk(), self.mutable.operation) {
                continue;
            }
            let home = self.mutable.home();
            let subject = Subject { object: &self.object, home, source: self.mutable.source };
            let matched = mutator.matcher.matches(&subject);
            if !matched.map_err(|error| Stop::new(MutationFailure::Match, error.to_string()).by(mutator))? {
                continue;
            }
            let walk = Walk::run((position, mutator), &self.object, &mut self.budget, &mut self.placeholders);
            let (walked, writes) = walk.map_err(|failure| Stop::from(failure).by(mutator))?;
            match walked {
                Walked::Left => continue,
                Walked::Same => {}
                Walked::Changed(value) => {
                    self.object =
                        self.object.with_value(value).map_err(|error| not_an_object(&error).by(mutator))?;
                    for write in writes {
                        self.note(position, write);
                    }
                }
            }
            applied.push(position);
        }
        Ok(applied)
    }

    /// What is written anew takes with it what was written below.
    fn note(&mut self, mutator: usize, write: Write) {
        let below: Vec<FieldPath> = self
            .writes
            .range(write.path.clone()..)
            .map(|(path, _)| path)
            .take_while(|path| path.segments().starts_with(write.path.segments()))
            .cloned()
            .collect();
        for path in below {
            self.writes.remove(&path);
        }
        self.writes.insert(write.path, (mutator, write.new));
    }

    /// What comes in the place of placeholders.
    fn resolve(&mut self, answers: &Answers) -> Result<Resolved, Stop> {
        let username = self.mutable.username.as_deref();
        let object = self.object.value();
        let unresolved = match self.placeholders.resolve(&mut self.budget, object, username, answers) {
            Ok(resolved) => return Ok(resolved),
            Err(unresolved) => unresolved,
        };
        let (kind, mutator, path, message, questions) = match unresolved {
            Unresolved::Limit(limit) => return Err(limit.into()),
            Unresolved::Open { mutator, path, questions } => {
                // What is asked is named as that of policies is.
                let message = questions.to_string().replacen("the policy asks", "it asks", 1);
                (MutationFailure::Unanswered, mutator, path, message, questions)
            }
            Unresolved::Failed { mutator, path, message } => {
                (MutationFailure::Provider, mutator, path, message, Questions::default())
            }
            Unresolved::NoUser { mutator, path } => {
                let message = "it asks a provider about the user, and nobody says who that is".to_owned();
                (MutationFailure::Unanswered, mutator, path, message, Questions::default())
            }
            Unresolved::TooLarge { mutator, path, bytes } => {
                let message = format!(
                    "the key that it asks a provider about has {bytes} bytes, more than the {} KiB of all questions",
                    Questions::MOST_BYTES >> 10
                );
                (MutationFailure::Limit, mutator, path, message, Questions::default())
            }
        };
        let stop = Stop { path: Some(path), questions, ..Stop::new(kind, message) };
        Err(match self.inner.mutators.get(mutator) {
            Some(mutator) => stop.by(mutator),
            None => stop,
        })
    }

    fn finish(&mut self, is_mutated: bool, answers: &Answers) -> Result<Mutation, Stop> {
        let original = self.mutable.object.clone();
        if !is_mutated {
            return Ok(Mutation::unchanged(original, self.begun));
        }
        let resolved = self.resolve(answers)?;
        let mut value = plain(&mut self.budget, self.object.value(), &resolved)?;
        let applied: Vec<_> = self
            .applied
            .iter()
            .filter_map(|position| self.inner.mutators.get(*position))
            .map(|mutator| mutator.info.clone())
            .collect();
        if let Some(id) = &self.mutable.annotated {
            let mut names: Vec<String> = applied
                .iter()
                .map(|info| format!("{}//{}:{}", info.key.kind, info.key.name, info.generation))
                .collect();
            names.sort();
            value = annotated(&value, &names.join(", "), id);
        }
        let object = original.with_value(value).map_err(|error| not_an_object(&error))?;
        let mut changes = Vec::new();
        for (path, (position, new)) in std::mem::take(&mut self.writes) {
            let Some(mutator) = self.inner.mutators.get(position) else { continue };
            let new = plain(&mut self.budget, &new, &resolved)?;
            let old = at(original.value(), &path).cloned();
            weigh(&mut self.budget, &new)?;
            if old.as_ref() != Some(&new) {
                let written = object.document().map(|document| (document.clone(), object.written(&path)));
                changes.push(Change { mutator: mutator.info.clone(), path, old, new, written });
            }
        }
        let ignored = resolved.ignored.into_iter().filter_map(|(position, why)| {
            let key = &self.inner.mutators.get(position)?.info.key;
            Some(format!("{key}: {why}"))
        });
        let (ignored, policies) = (ignored.collect(), Vec::new());
        Ok(Mutation { original, object, changes, applied, ignored, passes: self.begun, policies })
    }
}

fn not_an_object(error: &Error) -> Stop {
    let path = error.path().cloned();
    Stop { path, ..Stop::new(MutationFailure::NotAnObject, error.message().to_owned()) }
}

fn at<'v>(value: &'v Value, path: &FieldPath) -> Option<&'v Value> {
    path.segments().iter().try_fold(value, |value, segment| match segment {
        Segment::Key(key) => value::get(value, key),
        Segment::Index(index) => value.as_array()?.get(*index),
    })
}

/// The value with numbers in their usual forms: floats without a fraction are integers again, and
/// answers in the place of what stands for them. What has none of these stays shared.
fn plain(budget: &mut Budget<'_>, value: &Value, resolved: &Resolved) -> Result<Value, Exceeded> {
    Ok(replaced(budget, value, resolved)?.unwrap_or_else(|| value.clone()))
}

/// The value in its usual form, if it is in another one.
fn replaced(budget: &mut Budget<'_>, value: &Value, resolved: &Resolved) -> Result<Option<Value>, Exceeded> {
    budget.step(1)?;
    match value.view() {
        View::Number(number) => {
            let plain = number.as_float().map(portcullis_value::Number::from);
            Ok(plain.filter(|plain| plain.as_float().is_none()).map(Value::from))
        }
        View::Array(items) => {
            let mut list: Option<Vec<Value>> = None;
            for (position, item) in items.iter().enumerate() {
                let Some(new) = replaced(budget, item, resolved)? else { continue };
                if list.is_none() {
                    budget.make_items(items.len())?;
                }
                if let Some(slot) = list.get_or_insert_with(|| items.to_vec()).get_mut(position) {
                    *slot = new;
                }
            }
            Ok(list.map(Value::from))
        }
        View::Object(fields) => {
            if let Some(answer) = resolved.get(value) {
                budget.take(answer.as_str().map_or(0, str::len))?;
                return Ok(Some(answer.clone()));
            }
            let mut list: Option<Vec<(Value, Value)>> = None;
            for (position, (_, item)) in fields.iter().enumerate() {
                let Some(new) = replaced(budget, item, resolved)? else { continue };
                if list.is_none() {
                    budget.make_items(2 * fields.len())?;
                }
                let owned = || fields.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                if let Some(slot) = list.get_or_insert_with(owned).get_mut(position) {
                    slot.1 = new;
                }
            }
            Ok(list.map(|entries| Value::from(portcullis_value::Object::of_sorted(entries))))
        }
        _ => Ok(None),
    }
}

/// The object with what Gatekeeper notes in annotations.
fn annotated(object: &Value, mutators: &str, id: &str) -> Value {
    let set = |of: Option<&Value>, entries: Vec<(&str, Value)>| {
        let kept =
            of.into_iter().flat_map(value::entries).map(|(key, value)| (Value::from(key), value.clone()));
        let new = entries.into_iter().map(|(key, value)| (Value::from(key), value));
        // Of the same key twice, the last counts.
        Value::object(kept.chain(new))
    };
    let metadata = value::get(object, "metadata");
    let annotations = set(
        metadata.and_then(|metadata| value::get(metadata, "annotations")),
        vec![(MUTATIONS, Value::from(mutators)), (MUTATION_ID, Value::from(id))],
    );
    let metadata = set(metadata, vec![("annotations", annotations)]);
    set(Some(object), vec![("metadata", metadata)])
}

/// The annotation with the mutators that did their work.
const MUTATIONS: &str = "gatekeeper.sh/mutations";
/// The annotation with the id of the mutation.
const MUTATION_ID: &str = "gatekeeper.sh/mutation-id";
