//! What a mutation comes to: the object as it is now, and who changed what; or why it could not be mutated.

use std::fmt;
use std::sync::Arc;

use portcullis_value::Questions;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::compiled::MutatorInfo;
use super::patch::{self, PatchOperation};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::names::MutatorKey;
use crate::object::Object;
use crate::path::{FieldPath, Segment};
use crate::source::Location;
use crate::value::{self, Value};

/// An object that was mutated, or that no mutator changed.
#[derive(Clone, Debug)]
pub struct Mutation {
    pub(super) original: Object,
    pub(super) object: Object,
    pub(super) changes: Vec<Change>,
    pub(super) applied: Vec<Arc<MutatorInfo>>,
    /// What did not work and does not count: a sentence for each.
    pub(super) ignored: Vec<String>,
    pub(super) passes: usize,
    /// The admission policies that changed it before: `policy/binding`.
    pub(super) policies: Vec<Arc<str>>,
}

impl Mutation {
    pub(super) fn unchanged(object: Object, passes: usize) -> Self {
        let (changes, applied, ignored, policies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { original: object.clone(), object, changes, applied, ignored, passes, policies }
    }

    /// The same of an object that admission policies of an API server's changed before the mutators, and may have changed
    /// once more after them: what it was before all of them, what it is after, and which policies they were
    /// (`policy/binding`). What a policy overwrote is no change of a mutator any more.
    #[must_use]
    pub fn among_policies(
        mut self,
        original: Object,
        object: Object,
        policies: impl IntoIterator<Item = String>,
    ) -> Self {
        if object.value() != self.object.value() {
            self.changes.retain(|change| at(object.value(), &change.path) == Some(&change.new));
        }
        let policies = policies.into_iter().map(Into::into).collect();
        Self { original, object, policies, ..self }
    }

    /// The admission policies that changed the object beside the mutators, as `policy/binding`.
    pub fn policies(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(|policy| &**policy)
    }

    /// The object as the mutators left it. It keeps the document it was read from, so that what is found in it
    /// is placed at the nearest part of what was written.
    #[must_use]
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// The object as it was.
    #[must_use]
    pub fn original(&self) -> &Object {
        &self.original
    }

    /// What is different and which mutator made it so, by path. A mutator whose change another one undid has
    /// none.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether the object is another one.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.original.value() != self.object.value()
    }

    /// The mutators that did their work, in their order; none if they left all as it was. For Gatekeeper an
    /// object is mutated if there is one: it counts one that set a number to what it was, as numbers of values
    /// are floats.
    pub fn applied(&self) -> impl Iterator<Item = &MutatorInfo> {
        self.applied.iter().map(|info| &**info)
    }

    /// What did not work and does not count, since the `failurePolicy` of a mutator or of an admission policy says so: what a
    /// provider did not answer as it should, or an expression that failed. A sentence for each, which begins with who it
    /// was.
    pub fn ignored(&self) -> impl Iterator<Item = &str> {
        self.ignored.iter().map(|what| &**what)
    }

    /// The same mutation, of which something else did not work and does not count.
    #[must_use]
    pub fn ignoring(mut self, more: impl IntoIterator<Item = String>) -> Self {
        self.ignored.splice(0..0, more);
        self
    }

    /// How often all mutators were gone through, the last time of which changed nothing; 0 if no mutator is about
    /// the kind.
    #[must_use]
    pub fn passes(&self) -> usize {
        self.passes
    }

    /// The JSON patch (RFC 6902) that makes the object of the original: as few operations as there are
    /// different parts, in the order of their paths.
    #[must_use]
    pub fn json_patch(&self) -> Vec<PatchOperation> {
        patch::between(self.original.value(), self.object.value())
    }

    /// The same for an object that was put where it lives before it was mutated: the patch that makes of what
    /// was written the mutated object, which names the namespace that was written, or none.
    ///
    /// Cost: beside the comparison a copy of the outermost fields and those of `metadata`, if the namespace is
    /// another one.
    #[must_use]
    pub fn json_patch_from(&self, written: &Object) -> Vec<PatchOperation> {
        let (from, to) = (written.value(), self.object.value());
        let [written, settled] = [from, self.original.value()].map(namespace_of);
        if written == settled {
            return patch::between(from, to);
        }
        patch::between(from, &with_namespace_of(from, to))
    }
}

/// What a value has at a path.
fn at<'a>(value: &'a Value, path: &FieldPath) -> Option<&'a Value> {
    path.segments().iter().try_fold(value, |value, segment| match segment {
        Segment::Key(key) => value::get(value, key),
        Segment::Index(index) => value::items(value).nth(*index),
    })
}

fn namespace_of(object: &Value) -> Option<&Value> {
    value::get(value::get(object, "metadata")?, "namespace")
}

/// A value with the namespace of another one. `metadata` that only held the namespace goes with it.
fn with_namespace_of(written: &Value, value: &Value) -> Value {
    let owned = |(key, value): (&str, &Value)| (Arc::<str>::from(key), value.clone());
    let metadata = value::get(value, "metadata").unwrap_or(&Value::NULL);
    let kept = value::entries(metadata).filter(|(key, _)| *key != "namespace").map(owned);
    let named = namespace_of(written).map(|name| (Arc::from("namespace"), name.clone()));
    let metadata = value::object(kept.chain(named));
    let metadata = match value::get(written, "metadata") {
        None if value::entries(&metadata).next().is_none() => None,
        Some(before) if before.is_null() && value::entries(&metadata).next().is_none() => {
            Some(before.clone())
        }
        _ => Some(metadata),
    };
    let fields = value::entries(value).filter(|(key, _)| *key != "metadata").map(owned);
    value::object(fields.chain(metadata.map(|metadata| (Arc::from("metadata"), metadata))))
}

/// A part of an object that a mutator changed. Printed as `spec.hostPID: true -> false (Assign/no-host-pid)`.
#[derive(Clone, Debug)]
pub struct Change {
    pub(super) mutator: Arc<MutatorInfo>,
    pub(super) path: FieldPath,
    pub(super) old: Option<Value>,
    pub(super) new: Value,
    /// The object's document, and where it has what was changed or would have it.
    pub(super) written: Option<(Document, FieldPath)>,
}

impl Change {
    /// Which mutator changed it last.
    #[must_use]
    pub fn mutator(&self) -> &MutatorInfo {
        &self.mutator
    }

    /// What was changed, as a path in the object.
    #[must_use]
    pub fn path(&self) -> &FieldPath {
        &self.path
    }

    /// What was there; `None` if nothing was. Cost: a copy.
    #[must_use]
    pub fn before(&self) -> Option<serde_json::Value> {
        self.old.as_ref().map(value::to_json)
    }

    /// What the mutator put there. Cost: a copy.
    #[must_use]
    pub fn after(&self) -> serde_json::Value {
        value::to_json(&self.new)
    }

    /// Where the object's text has what was changed, or the nearest part that it has, if it was read from a
    /// document.
    #[must_use]
    pub fn location(&self) -> Option<Location> {
        self.written.as_ref().map(|(document, path)| document.locate_nearest(path).0)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path)?;
        match &self.old {
            Some(old) => write!(f, "{}", Shown(old))?,
            None => f.write_str("nothing")?,
        }
        write!(f, " -> {} ({})", Shown(&self.new), self.mutator.key)
    }
}

/// A value in a sentence.
struct Shown<'a>(&'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 120;
        let text = self.0.to_string();
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => write!(f, "{}…", text.get(..end).unwrap_or_default()),
            None => f.write_str(&text),
        }
    }
}

/// `{mutator, path, before, after}`; `before` is left out if nothing was there.
impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("mutator", &self.mutator.key.to_string())?;
        map.serialize_entry("path", &self.path.to_string())?;
        if let Some(old) = &self.old {
            map.serialize_entry("before", old)?;
        }
        map.serialize_entry("after", &self.new)?;
        map.end()
    }
}

/// Why an object could not be mutated. Nothing of it was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MutationError {
    pub(super) kind: MutationFailure,
    pub(super) object: Box<str>,
    pub(super) mutator: Option<MutatorKey>,
    pub(super) path: Option<FieldPath>,
    pub(super) message: Box<str>,
    pub(super) location: Option<Location>,
    pub(super) passes: usize,
    pub(super) questions: Questions,
}

/// The kinds of a [`MutationError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MutationFailure {
    /// It is not known whether a mutator applies.
    Match,
    /// The object has something else where a mutator's location goes than it says.
    Mismatch,
    /// The mutators change it for ever.
    NotConverging,
    /// It takes more than the [limits](MutationLimits) allow.
    Limit,
    /// A mutator made something of it that is no Kubernetes object.
    NotAnObject,
    /// A mutator asks what nobody answered: [`MutationError::questions`], or who the user is.
    Unanswered,
    /// A provider does not answer as it should.
    Provider,
}

impl MutationError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> MutationFailure {
        self.kind
    }

    /// The mutator that could not do its work, if it is one.
    #[must_use]
    pub fn mutator(&self) -> Option<&MutatorKey> {
        self.mutator.as_ref()
    }

    /// What mutators ask of the world outside and is not answered.
    #[must_use]
    pub fn questions(&self) -> &Questions {
        &self.questions
    }

    /// How often all mutators were gone through until then, or had been begun with.
    #[must_use]
    pub fn passes(&self) -> usize {
        self.passes
    }

    /// Where in the object it broke off.
    #[must_use]
    pub fn path(&self) -> Option<&FieldPath> {
        self.path.as_ref()
    }

    /// Where that is in the object's text, or the nearest part, if it was read from a document.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }
}

impl fmt::Display for MutationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be mutated", self.object)?;
        if let Some(mutator) = &self.mutator {
            write!(f, " by {mutator}")?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(path) = self.path.as_ref().filter(|path| !path.is_root()) {
            write!(f, " (at `{path}`)")?;
        }
        Ok(())
    }
}

impl std::error::Error for MutationError {}

/// As a problem of the input.
impl From<MutationError> for Error {
    fn from(error: MutationError) -> Self {
        let by = error.mutator.map(|mutator| format!(" by {mutator}")).unwrap_or_default();
        let message = format!("the object cannot be mutated{by}: {}", error.message);
        let problem = Self::new(ErrorKind::Mutation, message).about(error.object.into_string());
        let problem = match error.location {
            Some(location) => problem.at(location),
            None => problem,
        };
        match error.path {
            Some(path) => problem.in_field(path),
            None => problem,
        }
    }
}

/// What mutating one object may take. Steps and memory are counted, not measured: the same on every run and
/// machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MutationLimits {
    /// Most steps: mutators asked, fields and elements looked at, copied or compared.
    pub steps: u64,
    /// Most bytes of all that is made, also of what is thrown away again.
    pub memory: u64,
}

impl Default for MutationLimits {
    fn default() -> Self {
        Self { steps: 1_000_000, memory: 32 << 20 }
    }
}
