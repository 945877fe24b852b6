//! What is published of a cluster that is followed, and what is asked for: plain data, without what makes it.
//!
//! ```text
//! FeedOptions ──> publish ──> Snapshot: what requests are judged by
//!                        └──> Report: how it is, and how each policy is (PolicyState)
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use portcullis::{
    Document, Error, ExpansionSet, Inventory, MutatorKind, MutatorSet, Object, PolicySet, PolicySettings,
    Resource, TemplateName, Unjudgeable, Uses,
};
use serde_json::Value;

use crate::resource::ApiResource;
use crate::time::second_time;

/// How a feed works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedOptions {
    /// Which Config counts, and which program of templates is run.
    pub settings: PolicySettings,
    /// How long it has to be quiet before changes are published; ten times as long is the most that a change
    /// waits.
    pub debounce: Duration,
    /// What becomes of policies that read a kind which cannot be read.
    pub unreadable: Unreadable,
    /// How long what fails is waited for.
    pub patience: Patience,
    /// Objects per page of a list.
    pub page: u32,
    /// Whether mutators and expansion templates are followed. What is not is reported as not supported.
    pub uses: Uses,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self {
            settings: PolicySettings::default(),
            debounce: Duration::from_millis(50),
            unreadable: Unreadable::default(),
            patience: Patience::default(),
            page: 500,
            uses: Uses::POLICIES,
        }
    }
}

/// What becomes of the constraints of a template that reads a kind which cannot be read. All other policies
/// go on either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unreadable {
    /// They are errors, each with its own action: unknown is not a pass.
    #[default]
    Error,
    /// They are not in force, and said not to be.
    Ignore,
}

/// How long a failure is waited for before what it is about counts as unreadable. Of what was never listed
/// and may not be, that is at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Of a kind that was never listed and whose list fails.
    pub listing: Duration,
    /// Of a kind that is known and may not be listed or watched any more. A watch that is open is not ended
    /// when rights are withdrawn: API servers end it after some minutes.
    pub denied: Duration,
    /// Of a kind that is known and whose watch fails in another way.
    pub failing: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            listing: Duration::from_secs(5),
            denied: Duration::from_secs(15),
            failing: Duration::from_mins(5),
        }
    }
}

/// What reviews are judged by. Immutable and whole: nothing in it is half read.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The compiled policies.
    pub policies: PolicySet,
    /// The objects that policies compare with: those of the kinds that they read, or that Configs and
    /// SyncSets list.
    pub inventory: Inventory,
    /// All Namespaces, also those that a Config keeps out of the inventory.
    pub namespaces: Arc<BTreeMap<Arc<str>, Object>>,
    /// By which objects are judged by what they imply, too. Those in circles with others are not applied.
    pub expansions: ExpansionSet,
    /// The mutators; those that contradict others are not applied. If it is not known which there are, why.
    pub mutators: Result<MutatorSet, Arc<str>>,
    /// The sound templates as resources, to check constraints by; also those that wait for kinds.
    pub templates: Arc<BTreeMap<TemplateName, Resource>>,
    /// Counts the changes of the policies that were published.
    pub policies_revision: u64,
    /// Counts the changes of the inventory and the Namespaces.
    pub objects_revision: u64,
    /// Counts the changes of mutators and expansion templates.
    pub mutation_revision: u64,
}

/// How a feed is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Whether there has been a snapshot.
    pub ready: bool,
    /// What is missing before anything can be judged by, or before a policy as it is now can; the one before
    /// stays in force meanwhile.
    pub waiting: Vec<Awaited>,
    /// Watches that fail at the moment.
    pub failing_watches: usize,
    /// Kinds of which it is not known what objects there are, and why: policies that read them are errors.
    pub unreadable: BTreeMap<String, String>,
    /// Why it is not known which exceptions there are: none is in force.
    pub unknown_exceptions: Option<String>,
    /// What goes wrong, beside what is wrong with policies.
    pub problems: Vec<Problem>,
    /// Every policy object of the cluster, and what is wrong with it.
    pub policies: Vec<PolicyState>,
    /// What there is of Gatekeeper's that nothing is done for, a line each.
    pub unsupported: Vec<String>,
    /// The sound templates, whose CRDs there should be.
    pub templates: Templates,
}

impl Report {
    /// How many policies are not in force as they are now, by the state that says why.
    #[must_use]
    pub fn not_served(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::from([("waiting", 0), ("rejected", 0), ("unjudgeable", 0)]);
        for policy in &self.policies {
            if let Some(count) = counts.get_mut(policy.standing.word()) {
                *count += 1;
            }
        }
        counts
    }
}

/// Templates as resources, shared. Equal to itself only: telling whether two are the same is not worth
/// looking through them.
#[derive(Clone, Debug, Default)]
pub struct Templates(pub Arc<BTreeMap<TemplateName, Resource>>);

impl PartialEq for Templates {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Templates {}

/// Something that is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Awaited {
    /// Which kinds the cluster has is being asked for.
    Kinds,
    /// It could not be asked for; this is why.
    KindsFailed(String),
    /// A kind is being listed.
    Listing(ApiResource),
    /// A kind could not be listed; this is why.
    ListFailed(ApiResource, String),
    /// All that there is to be read.
    Everything,
}

impl Awaited {
    /// Whether nothing is wrong: it takes its time.
    #[must_use]
    pub const fn is_on_its_way(&self) -> bool {
        matches!(self, Self::Kinds | Self::Listing(_) | Self::Everything)
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kinds => f.write_str("the kinds of the cluster: they are being asked for"),
            Self::KindsFailed(why) => write!(f, "the kinds of the cluster: {why}"),
            Self::Listing(resource) => write!(f, "{resource}: being listed"),
            Self::ListFailed(resource, why) => write!(f, "{resource}: {why}"),
            Self::Everything => f.write_str("what else there is to be read"),
        }
    }
}

/// How it stands with a policy as it is in the cluster now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is in force.
    Served,
    /// It is in force, and all that it says is an error: it reads what cannot be read.
    Unjudgeable(Unjudgeable),
    /// It will be in force once something is known. A version from before may be meanwhile.
    Waiting {
        /// For what.
        kinds: Vec<Awaited>,
        /// Since when.
        since: SystemTime,
    },
    /// It is not in force as it is, and will not be. A version from before may be.
    Rejected {
        /// What is wrong with it.
        why: String,
    },
}

impl Standing {
    /// A word for it: `served`, `unjudgeable`, `waiting` or `rejected`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Unjudgeable(_) => "unjudgeable",
            Self::Waiting { .. } => "waiting",
            Self::Rejected { .. } => "rejected",
        }
    }

    /// As a text, without why a kind cannot be read, which [`Report::problems`] say once for all policies.
    #[must_use]
    pub fn brief(&self) -> String {
        match self {
            Self::Unjudgeable(why) => format!("cannot be judged by: {}", why.what()),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Served => f.write_str("in force"),
            Self::Unjudgeable(why) => write!(f, "cannot be judged by: {why}"),
            Self::Waiting { kinds, since } => {
                write!(f, "waits since {} for ", second_time(*since))?;
                for (number, kind) in kinds.iter().enumerate() {
                    let separator = if number > 0 { "; " } else { "" };
                    write!(f, "{separator}{kind}")?;
                }
                Ok(())
            }
            Self::Rejected { why } => write!(f, "not in force: {why}"),
        }
    }
}

/// How it stands with the CRD of a template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Definition {
    /// It is not known whether there is one.
    #[default]
    Unknown,
    /// There is none.
    Missing,
    /// It is being deleted: another can be made when it is gone.
    Going,
    /// There is one.
    There,
    /// There is one, and its constraints can be listed.
    Served,
}

/// What is compiled and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingested {
    /// A ConstraintTemplate.
    Template,
    /// A mutator of any kind.
    Mutator,
}

/// A template or a mutator that was compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ingestion {
    /// Which of them.
    pub of: Ingested,
    /// How long that took.
    pub took: Duration,
    /// Whether it is sound.
    pub is_sound: bool,
}

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The kind, such as `pods.v1`, or the part of the feed.
    pub subject: String,
    /// What.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.message)
    }
}

/// A template, constraint, Config, SyncSet, exception, mutator or ExpansionTemplate of the cluster, as its status should say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyState {
    /// Its kind.
    pub resource: ApiResource,
    /// Empty if it is in none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`: which version of it the rest is about.
    pub generation: u64,
    /// Of a constraint, a mutator or an ExpansionTemplate: whether a version of it is in force. Of others:
    /// whether it has no errors.
    pub enforced: bool,
    /// How it stands with this version of it.
    pub standing: Standing,
    /// Of a template: how it stands with its CRD.
    pub definition: Definition,
    /// What is wrong with it. A version from before may be in force all the same.
    pub errors: Vec<PolicyError>,
    /// `status.byPod` as it is in the cluster.
    pub by_pod: Vec<Value>,
    /// `status.created` as it is in the cluster.
    pub created: bool,
}

impl PolicyState {
    /// Whether it is a mutator, in any version.
    #[must_use]
    pub fn is_mutator(&self) -> bool {
        let gvk = &self.resource.gvk;
        let mutators = |kind| ApiResource::mutators(kind).gvk.group_kind();
        MutatorKind::named(&gvk.kind).is_some_and(|kind| gvk.group_kind() == mutators(kind))
    }

    /// Whether it is an ExpansionTemplate, in any version.
    #[must_use]
    pub fn is_expansion_template(&self) -> bool {
        self.resource.gvk.group_kind() == ApiResource::expansion_templates().gvk.group_kind()
    }
}

/// What is wrong with a policy of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// What is wrong. Its location is in the JSON that the API server sent, which nobody sees.
    pub error: Error,
    /// Line and column from 1 in the text of its field, if that is a text of several lines, such as Rego.
    pub line: Option<(u32, u32)>,
}

impl PolicyError {
    pub(crate) fn new(error: Error, document: Option<&Document>) -> Self {
        let place = error.location().zip(document).and_then(|(at, document)| document.line_in_text(at));
        Self { error, line: place.map(|(line, column, _)| (line, column)) }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = self.error.path().filter(|path| !path.is_root()) {
            write!(f, "{path}: ")?;
        }
        if let Some((line, column)) = self.line {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(self.error.message())?;
        self.error.help().map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}
