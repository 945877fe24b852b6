//! What is found in an object: the same of a test and of an audit.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::Arc;

use portcullis::{Actions, EnforcementAction, Location, Object, Precision};
use serde::{Deserialize, Serialize};

use crate::{Explanation, Place, clip};

/// One violation, or one constraint that could not be evaluated for an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The object.
    pub object: ObjectName,
    /// The labels of the object.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Arc<BTreeMap<String, String>>,
    /// The number of the object in the order in which it was read, from 0: what an object's findings have in
    /// common.
    pub ordinal: u64,
    /// Where the object, or the field that it is about, was read.
    pub place: Place,
    /// The field that it is about, such as `spec.hostPID`; empty for the object as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// The index of the constraint in [`crate::AuditReport::policies`].
    pub policy: usize,
    /// What it leads to, the gravest first; never empty.
    pub actions: Vec<Action>,
    /// Violation or unknown.
    pub verdict: Verdict,
    /// As the policy says it; of an unknown, why that is not known.
    pub message: String,
    /// The policy's `details`.
    pub details: Details,
    /// What it is found in, if that is not the object but something that the object implies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implied: Option<Box<Implied>>,
    /// Why the policy says it, of some findings of an audit, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Box<Explanation>>,
    /// The text around it, where that is in memory: audits, which may have more findings than memory, have
    /// none.
    #[serde(skip)]
    pub text: Option<Box<InText>>,
}

/// Something that an object implies: what a controller will make of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Implied {
    /// The expansion template that says so.
    pub by: String,
    /// Whether the template's action counts instead of the constraint's.
    pub overrides: bool,
}

/// What a finding is about, in the text that it was found in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InText {
    /// The place in the object, or the line that says which object it is.
    pub location: Location,
    /// How well that is known.
    pub precision: Precision,
    /// Where the policy broke, if it did and that is known.
    pub broke_at: Option<Location>,
}

impl Finding {
    /// The gravest of its actions.
    pub fn action(&self) -> Action {
        self.actions.iter().min().copied().unwrap_or(Action(EnforcementAction::Deny))
    }

    /// Whether its action is that of the template which implies what it is found in, and not the constraint's.
    pub fn is_overridden(&self) -> bool {
        self.implied.as_ref().is_some_and(|implied| implied.overrides)
    }

    /// The message, saying so if it is not the policy's.
    pub fn says(&self) -> Cow<'_, str> {
        match self.verdict {
            Verdict::Violation => Cow::Borrowed(&self.message),
            Verdict::Unknown => Cow::Owned(format!("could not be evaluated: {}", self.message)),
        }
    }
}

/// What a policy says of a violation beside its message; `{}` if nothing. Kept as a text of JSON, which takes
/// a tenth of what its values would: there may be a hundred thousand findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details(Option<Box<str>>);

impl Details {
    /// Takes a text of JSON. What is none is read as a string.
    pub fn of_json(text: String) -> Self {
        Self((text != "{}").then(|| text.into()))
    }

    /// Whether a policy gave none, or nothing in them.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The values. Cost: the text is read.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.0 {
            None => serde_json::Value::Object(serde_json::Map::new()),
            Some(text) => serde_json::from_str(text).unwrap_or_else(|_| (&**text).into()),
        }
    }
}

impl From<&serde_json::Value> for Details {
    fn from(value: &serde_json::Value) -> Self {
        Self::of_json(value.to_string())
    }
}

impl Serialize for Details {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Details {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(|value| Self::from(&value))
    }
}

/// What a finding is. Passes are only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The object does not satisfy the constraint.
    Violation,
    /// Nobody knows whether it does. Never a pass.
    Unknown,
}

impl Verdict {
    /// `violation`, `unknown`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Violation => "violation",
            Self::Unknown => "unknown",
        }
    }
}

/// Findings that can be read any number of times, in the order of the objects, then as decisions order them.
/// They are read instead of being a list: there may be more of them than memory.
pub trait Findings {
    /// Reads them from the first to the last. One that cannot be read any more, such as from a full disk, is
    /// an error.
    fn read(&self) -> io::Result<Reading<'_>>;

    /// The namespaces that have findings, in order; empty for the cluster's own objects.
    fn namespaces(&self) -> Vec<Arc<str>>;

    /// Reads those of a namespace.
    fn of_namespace<'a>(&'a self, namespace: &'a str) -> Reading<'a>;
}

/// Findings, one by one.
pub type Reading<'a> = Box<dyn Iterator<Item = io::Result<Finding>> + 'a>;

impl Findings for Vec<Finding> {
    fn read(&self) -> io::Result<Reading<'_>> {
        Ok(Box::new(self.iter().cloned().map(Ok)))
    }

    fn namespaces(&self) -> Vec<Arc<str>> {
        let all: BTreeSet<_> = self.iter().map(|finding| finding.object.home().clone()).collect();
        all.into_iter().collect()
    }

    fn of_namespace<'a>(&'a self, namespace: &'a str) -> Reading<'a> {
        let of = self.iter().filter(move |finding| **finding.object.home() == *namespace);
        Box::new(of.cloned().map(Ok))
    }
}

/// An enforcement action that can be a key and be written: the word of the constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Action(pub EnforcementAction);

impl Action {
    /// The actions of a set, the gravest first.
    pub fn list(actions: Actions) -> Vec<Self> {
        actions.iter().map(Self).collect()
    }

    /// `error`, `warning`, or what the form calls that which is only noted.
    pub const fn level(self, noted: &'static str) -> &'static str {
        match self.0 {
            EnforcementAction::Deny => "error",
            EnforcementAction::Warn => "warning",
            EnforcementAction::Dryrun => noted,
        }
    }

    /// The word: `deny`, `warn`, `dryrun`.
    pub const fn as_str(self) -> &'static str {
        self.0.as_str()
    }
}

impl Serialize for Action {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let all = [EnforcementAction::Deny, EnforcementAction::Warn, EnforcementAction::Dryrun];
        let action = all.into_iter().find(|action| action.as_str() == word);
        action.map(Self).ok_or_else(|| serde::de::Error::custom("expected an enforcement action"))
    }
}

/// An object, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectName {
    /// API group, empty for the core group.
    pub group: Arc<str>,
    /// API version, without the group.
    pub version: Arc<str>,
    /// Kind.
    pub kind: Arc<str>,
    /// `metadata.namespace`, empty if there is none.
    pub namespace: Arc<str>,
    /// `metadata.name`; of an object that has none yet, `metadata.generateName` and a `*`.
    pub name: Arc<str>,
}

impl ObjectName {
    /// Most bytes of a part that is shown.
    const MAX_PART: usize = 512;

    /// How reports call an object.
    pub fn of(object: &Object) -> Self {
        let gvk = object.gvk();
        let name = match (&**object.name(), object.generate_name()) {
            ("", generated) if !generated.is_empty() => format!("{generated}*").into(),
            _ => object.name().clone(),
        };
        Self {
            group: gvk.group.clone(),
            version: gvk.version.clone(),
            kind: gvk.kind.clone(),
            namespace: object.namespace().clone(),
            name,
        }
    }

    /// `group/version`, or the version alone for the core group.
    pub fn api_version(&self) -> String {
        match &*self.group {
            "" => self.version.to_string(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// The namespace that the object counts for in totals: its own name for a Namespace, empty for the
    /// cluster's other objects.
    pub fn home(&self) -> &Arc<str> {
        if self.group.is_empty() && &*self.kind == "Namespace" { &self.name } else { &self.namespace }
    }
}

/// `Kind namespace/name`, as the core shows objects: long parts are cut.
impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |text| clip::text(text, Self::MAX_PART);
        write!(f, "{} ", part(&self.kind))?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", part(&self.namespace))?;
        }
        if self.name.is_empty() { f.write_str("(without a name)") } else { f.write_str(&part(&self.name)) }
    }
}
