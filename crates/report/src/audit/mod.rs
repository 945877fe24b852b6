//! The plain data that a finished audit is reported from. Whoever writes a form of report reads this and nothing else.
//!
//! ```text
//! AuditReport ─┬─ policies   one per constraint, with its template's text
//!              ├─ findings   violations and what could not be evaluated, in the order of the objects; may be read again and again
//!              ├─ totals     passes, violations and unknowns: all, by policy, by namespace, by action
//!              ├─ coverage   kinds and objects: judged, skipped, excluded, unread and why
//!              ├─ problems   what is wrong with policies and input: one by one, and by cause
//!              └─ completion whether the audit saw everything
//! ```
//!
//! Findings are read through [`Findings`] instead of being a list: there may be more of them than memory.

mod problems;
mod time;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use portcullis::{Actions, ConstraintKey, EnforcementAction, Location};
use serde::{Deserialize, Serialize};

use crate::Region;

pub use problems::{Cause, Example, MOST_PROBLEMS, Problem, Problems};
pub use time::Timestamp;

/// Everything a report of an audit is made of.
pub struct AuditReport<'a> {
    /// When it began; in RFC 3339 it is the audit's id, as in Gatekeeper.
    pub started: Timestamp,
    /// When it ended, or was ended.
    pub ended: Timestamp,
    /// SHA-256 of the policies that were used, 64 hexadecimal digits: equal for equal policies in any order and layout.
    pub policy_digest: String,
    /// Whether it saw everything that it should.
    pub completion: Completion,
    /// One per constraint that is audited, by key. Findings and totals name them by their index.
    pub policies: Vec<Policy>,
    /// Everything that is not a pass.
    pub findings: &'a dyn Findings,
    /// What was looked at and what was not.
    pub coverage: Coverage,
    /// How many of each there are.
    pub totals: Totals,
    /// What is wrong with policies and input.
    pub problems: Problems,
}

impl AuditReport<'_> {
    /// The audit's id: the start in RFC 3339, UTC, to the second.
    pub fn id(&self) -> String {
        self.started.to_string()
    }

    /// What the audit says as a whole. Only [`Standing::Clean`] may look green.
    pub fn standing(&self) -> Standing {
        let unsure = self.completion != Completion::Complete
            || self.totals.all.unknown > 0
            || self.problems.errors() > 0;
        let denied = self.totals.by_action.get(&Action(EnforcementAction::Deny));
        match (unsure, denied.is_some_and(|tally| tally.violations > 0)) {
            (true, _) => Standing::Incomplete,
            (false, true) => Standing::Denied,
            (false, false) if self.totals.all.violations > 0 => Standing::Noted,
            (false, false) if self.totals.all.passes > 0 => Standing::Clean,
            (false, false) => Standing::Unjudged,
        }
    }

    /// Why nothing was judged, if that is what the audit says as a whole.
    pub fn unjudged(&self) -> Option<Unjudged> {
        let seen = self.coverage.objects().seen;
        (self.standing() == Standing::Unjudged).then_some(match seen {
            _ if self.policies.is_empty() => Unjudged::NoPolicy,
            0 => Unjudged::NoObject,
            seen => Unjudged::NoneApplies { seen },
        })
    }
}

/// What an audit says as a whole, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Everything was seen, something was judged, and nothing was found.
    Clean,
    /// Everything was seen, and what was found warns or is only noted.
    Noted,
    /// Everything was seen, and something is denied.
    Denied,
    /// Everything was seen, but no constraint applied to any object: that says nothing of the objects.
    Unjudged,
    /// Something was not seen or could not be judged, whatever else was found.
    Incomplete,
}

impl Standing {
    /// All of them, the best first.
    pub const ALL: [Self; 5] = [Self::Clean, Self::Noted, Self::Denied, Self::Unjudged, Self::Incomplete];

    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Noted => "noted",
            Self::Denied => "denied",
            Self::Unjudged => "unjudged",
            Self::Incomplete => "incomplete",
        }
    }
}

/// Why nothing was judged although everything was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unjudged {
    /// There is no constraint that is audited.
    NoPolicy,
    /// There is no object.
    NoObject,
    /// There are both, but no constraint applies to any object.
    NoneApplies {
        /// How many objects there are.
        seen: u64,
    },
}

impl Unjudged {
    /// What to do about it.
    pub const fn help(self) -> &'static str {
        match self {
            Self::NoPolicy => "give ConstraintTemplates and constraints of their kinds",
            Self::NoObject => "name files or directories with objects, or pipe them in",
            Self::NoneApplies { .. } => {
                "look at the `match` of the constraints and at the kinds of the objects; a Config may exclude namespaces"
            }
        }
    }
}

/// The sentence in reports.
impl fmt::Display for Unjudged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPolicy => f.write_str("there are no constraints to audit by"),
            Self::NoObject => f.write_str("there were no objects to audit"),
            Self::NoneApplies { seen: 1 } => {
                f.write_str("no constraint applies to the one object that was seen")
            }
            Self::NoneApplies { seen } => {
                write!(f, "no constraint applies to any of the {seen} objects that were seen")
            }
        }
    }
}

/// Whether an audit saw everything that it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// It did, as far as objects go; what could not be evaluated is in the totals.
    Complete,
    /// It went to the end, but some of it could not be read: see [`Coverage`].
    Partial,
    /// It was ended before it had seen everything.
    Unfinished {
        /// Why, as a sentence for people.
        reason: String,
    },
}

impl Completion {
    /// The word in reports: `complete`, `partial`, `unfinished`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Unfinished { .. } => "unfinished",
        }
    }
}

/// A constraint, with what its template says about it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Kind and name of the constraint.
    #[serde(serialize_with = "display")]
    pub key: ConstraintKey,
    /// The template's title, if it has one.
    pub title: Option<String>,
    /// The template's description, if it has one.
    pub description: Option<String>,
    /// From the annotation of the constraint, or else of the template.
    pub severity: Option<Severity>,
    /// What its violations lead to in an audit, the gravest first.
    pub actions: Vec<Action>,
    /// `spec.enforcementAction`: a word, or `scoped`.
    pub declared: &'static str,
    /// The annotations of the constraint, without what `kubectl apply` keeps there.
    pub annotations: BTreeMap<String, String>,
    /// Where the constraint stands.
    pub place: Place,
    /// What judges.
    pub template: Template,
}

/// A template, as reports show it.
#[derive(Clone, Debug, Serialize)]
pub struct Template {
    /// Its name: the kind of the constraint, in lower case.
    pub name: String,
    /// Its Rego, without libraries.
    pub rego: Arc<str>,
    /// Where the Rego starts.
    pub place: Place,
}

/// How grave the authors of a policy think it is, the gravest first: the annotation `metadata.gatekeeper.sh/severity`, or
/// `policies.kyverno.io/severity`, in the words of policy reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// `critical`.
    Critical,
    /// `high`.
    High,
    /// `medium`.
    Medium,
    /// `low`.
    Low,
    /// `info`.
    Info,
}

impl Severity {
    /// All of them, the gravest first.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Info];

    /// The annotations that hold it, in the order in which they count.
    pub const ANNOTATIONS: [&'static str; 2] =
        ["metadata.gatekeeper.sh/severity", "policies.kyverno.io/severity"];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
        }
    }

    /// From the word, in any case.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str().eq_ignore_ascii_case(word.trim()))
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
    /// The namespace that the object counts for in totals: its own name for a Namespace, empty for the cluster's other objects.
    pub fn home(&self) -> &Arc<str> {
        if self.group.is_empty() && &*self.kind == "Namespace" { &self.name } else { &self.namespace }
    }
}

/// `Kind namespace/name`.
impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(if self.name.is_empty() { "(without a name)" } else { &self.name })
    }
}

/// A place in a file or in the cluster; written as an object, or as null.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Place {
    /// In a file, or in standard input (`<stdin>`).
    File {
        /// As it was named.
        file: Arc<str>,
        /// From 1; 0 for the file as a whole.
        line: u32,
        /// From 1, in characters; 0 for the file as a whole.
        column: u32,
        /// Behind the last character that is meant in this line.
        #[serde(rename = "endColumn")]
        end_column: u32,
    },
    /// In the cluster, by name.
    Cluster,
}

impl Place {
    /// The first line of what a location marks.
    pub fn of(location: &Location) -> Self {
        let file = location.file().clone();
        if location.source().text().is_empty() {
            return Self::File { file, line: 0, column: 0, end_column: 0 };
        }
        let Region { line, column, end_column } = Region::of(location);
        Self::File { file, line, column, end_column }
    }
}

/// `file:line:column`, `file` if there is no line, or `cluster`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line: 0, .. } => f.write_str(file),
            Self::File { file, line, column, .. } => write!(f, "{file}:{line}:{column}"),
            Self::Cluster => f.write_str("cluster"),
        }
    }
}

/// One violation, or one constraint that could not be evaluated for an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The object.
    pub object: ObjectName,
    /// The labels of the object.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Arc<BTreeMap<String, String>>,
    /// The number of the object in the order in which it was read, from 0: what an object's findings have in common.
    pub ordinal: u64,
    /// Where the object, or the field that it is about, was read.
    pub place: Place,
    /// The field that it is about, such as `spec.hostPID`; empty for the object as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// The index of the constraint in [`AuditReport::policies`].
    pub policy: usize,
    /// What it leads to, the gravest first; never empty.
    pub actions: Vec<Action>,
    /// Violation or unknown.
    pub verdict: Verdict,
    /// As the policy says it; of an unknown, why it could not be told.
    pub message: String,
    /// The policy's `details`, `{}` if it gave none.
    pub details: serde_json::Value,
}

impl Finding {
    /// The gravest of its actions.
    pub fn action(&self) -> Action {
        self.actions.iter().min().copied().unwrap_or(Action(EnforcementAction::Deny))
    }
}

/// What a finding is. Passes are only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The object does not satisfy the constraint.
    Violation,
    /// It could not be told. Never a pass.
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
pub trait Findings {
    /// Reads them from the first to the last. One that cannot be read any more, such as from a full disk, is an error.
    fn read(&self) -> io::Result<Box<dyn Iterator<Item = io::Result<Finding>> + '_>>;
}

impl Findings for Vec<Finding> {
    fn read(&self) -> io::Result<Box<dyn Iterator<Item = io::Result<Finding>> + '_>> {
        Ok(Box::new(self.as_slice().iter().cloned().map(Ok)))
    }
}

/// Three-valued counts. A *judgement* is one object and one constraint that applies to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Judgements without a violation.
    pub passes: u64,
    /// Judgements with at least one violation.
    pub violating: u64,
    /// Violations; one judgement can have several.
    pub violations: u64,
    /// Judgements that could not be made.
    pub unknown: u64,
}

impl Tally {
    /// Adds another count to this one.
    pub fn add(&mut self, other: Self) {
        self.passes += other.passes;
        self.violating += other.violating;
        self.violations += other.violations;
        self.unknown += other.unknown;
    }
}

/// How many judgements came out how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All of them.
    pub all: Tally,
    /// By the index of the constraint; as long as [`AuditReport::policies`].
    pub by_policy: Vec<Tally>,
    /// By the namespace of the object; empty for what has none. A Namespace counts for itself.
    pub by_namespace: BTreeMap<Arc<str>, Tally>,
    /// By action; a judgement with several counts for each.
    pub by_action: BTreeMap<Action, Tally>,
}

/// What was looked at and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// By group, version and kind.
    pub kinds: Vec<KindCoverage>,
    /// Objects and documents that could not be read, and sources that ended before their end. Why is among the problems.
    pub unread_objects: u64,
    /// Bytes that were read, unpacked; 0 from a cluster.
    pub bytes: u64,
}

impl Coverage {
    /// The sum over all kinds.
    pub fn objects(&self) -> Objects {
        self.kinds.iter().fold(Objects::default(), |mut sum, kind| {
            sum.add(kind.objects);
            sum
        })
    }
}

/// What became of the objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KindCoverage {
    /// API group, empty for the core group.
    pub group: Arc<str>,
    /// API version.
    pub version: Arc<str>,
    /// Kind.
    pub kind: Arc<str>,
    /// How many objects.
    #[serde(flatten)]
    pub objects: Objects,
    /// Why its objects, or some of them, could not be listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// How many objects there were and what became of them: `seen` is the sum of `judged`, `unmatched`, `skipped` and `excluded`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Objects {
    /// Were read.
    pub seen: u64,
    /// At least one constraint applies.
    pub judged: u64,
    /// No constraint applies.
    pub unmatched: u64,
    /// Were read, but their kind is not to be audited.
    pub skipped: u64,
    /// A Config keeps the audit away from their namespace.
    pub excluded: u64,
    /// Came a second time under the same name; they are judged again.
    pub duplicates: u64,
}

impl Objects {
    /// Adds another count to this one.
    pub fn add(&mut self, other: Self) {
        self.seen += other.seen;
        self.judged += other.judged;
        self.unmatched += other.unmatched;
        self.skipped += other.skipped;
        self.excluded += other.excluded;
        self.duplicates += other.duplicates;
    }
}

fn display<T: fmt::Display, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
