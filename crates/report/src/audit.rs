//! What a finished audit is reported from.
//!
//! ```text
//! AuditReport ─┬─ policies   one per constraint, with its template's text
//!              ├─ findings   violations and what could not be evaluated, in the order of the objects; may be read again and again
//!              ├─ totals     passes, violations and unknowns: all, by policy, by namespace, by action
//!              ├─ coverage   kinds and objects: judged, excluded, unread and why
//!              ├─ problems   what is wrong with policies and input: one by one, and by cause
//!              └─ completion whether the audit saw everything
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use portcullis::EnforcementAction;
use serde::{Deserialize, Serialize};

use crate::{Action, Findings, Policy, Problems, Timestamp};

/// Everything a report of an audit is made of.
pub struct AuditReport {
    /// When it began; in RFC 3339 it is the audit's id, as in Gatekeeper.
    pub started: Timestamp,
    /// When it ended, or was ended.
    pub ended: Timestamp,
    /// SHA-256 of the policies that were used, 64 hexadecimal digits: equal for equal policies in any order
    /// and layout.
    pub policy_digest: String,
    /// Whether it saw everything that it should.
    pub completion: Completion,
    /// One per constraint that is audited, by key. Findings and totals name them by their index.
    pub policies: Vec<Policy>,
    /// Everything that is not a pass.
    pub findings: Box<dyn Findings>,
    /// What was looked at and what was not.
    pub coverage: Coverage,
    /// How many of each there are.
    pub totals: Totals,
    /// What is wrong with policies and input.
    pub problems: Problems,
    /// How much of it goes into the status of a constraint.
    pub status_limits: StatusLimits,
    /// Of how many violations it is told why, if that was asked for.
    pub explanations: Option<Explanations>,
}

/// Of how many violations it is told why: of those of a constraint the first ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanations {
    /// Most violations of one constraint that are explained.
    pub of_each: u64,
    /// How many are explained.
    pub told: u64,
    /// How many of the first ones are not: what the policy looked at may be secret, or it was too much.
    pub untold: u64,
    /// How many there are beyond those.
    pub left_out: u64,
}

/// The sentence in reports.
impl fmt::Display for Explanations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of_each, told, untold, left_out } = self;
        write!(f, "{told} explained, at most {of_each} of each constraint")?;
        if *untold > 0 {
            write!(f, "; {untold} not explained, where it says why")?;
        }
        if *left_out > 0 {
            write!(f, "; {left_out} without an explanation")?;
        }
        Ok(())
    }
}

/// How much of an audit goes into the status of one constraint.
#[derive(Clone, Copy, Debug)]
pub struct StatusLimits {
    /// Most violations.
    pub violations: usize,
    /// Most bytes of a message; 0 for no limit.
    pub message: usize,
}

/// As in Gatekeeper.
impl Default for StatusLimits {
    fn default() -> Self {
        Self { violations: 20, message: 256 }
    }
}

impl AuditReport {
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

/// Three-valued counts. A *judgement* is one object and one constraint that applies to it, or to something that
/// it implies: what is found there is found in the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Judgements without a violation.
    pub passes: u64,
    /// Judgements with at least one violation.
    pub violating: u64,
    /// Violations; one judgement can have several.
    pub violations: u64,
    /// Judgements that could not be made. Where it is not known of several of the things that an object implies,
    /// each counts.
    pub unknown: u64,
    /// Judgements whose violations an exception lets pass.
    #[serde(default, skip_serializing_if = "is_none")]
    pub excepted: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Tally {
    /// Adds another count to this one.
    pub fn add(&mut self, other: Self) {
        self.passes += other.passes;
        self.violating += other.violating;
        self.violations += other.violations;
        self.unknown += other.unknown;
        self.excepted += other.excepted;
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
    /// How many findings have the action of the expansion template that implies what they are found in, by the
    /// index of the constraint and by that action.
    pub overridden: BTreeMap<(usize, Action), u64>,
}

/// What was looked at and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// By group, version and kind.
    pub kinds: Vec<KindCoverage>,
    /// Objects and documents that could not be read, and sources that ended before their end. Why is among
    /// the problems.
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

/// How many objects there were and what became of them: `seen` is the sum of `judged`, `unmatched` and
/// `excluded`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objects {
    /// Were read.
    pub seen: u64,
    /// At least one constraint applies.
    pub judged: u64,
    /// No constraint applies.
    pub unmatched: u64,
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
        self.excluded += other.excluded;
        self.duplicates += other.duplicates;
    }
}
