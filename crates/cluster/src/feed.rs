//! What a webhook or an audit lives on: the policies and the inventory of a cluster, always whole, always the newest.
//!
//! [`Feed::start`] begins to list and to watch; [`Feed::snapshot`] is what there is; [`Feed::report`] is how it is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portcullis::{Document, Error, Inventory, Object, PolicySet, Resource, TemplateName};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::connect::Cluster;
use crate::publish::Writer;
use crate::resource::ApiResource;

/// Stack of the thread that compiles policies: deep documents and policies are worked on recursively.
const STACK_BYTES: usize = 8 << 20;

/// How a feed works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedOptions {
    /// Our own namespace: the one whose Config counts.
    pub namespace: String,
    /// How long it has to be quiet before changes are published; ten times as long is the most that a change waits.
    pub debounce: Duration,
    /// What a kind is worth that cannot be listed.
    pub unlistable: Unlistable,
    /// Objects per page of a list.
    pub page: u32,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self {
            namespace: "gatekeeper-system".to_owned(),
            debounce: Duration::from_millis(50),
            unlistable: Unlistable::default(),
            page: 500,
        }
    }
}

/// What happens if a kind that is needed cannot be listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unlistable {
    /// The feed is not ready until it can.
    #[default]
    Wait,
    /// It counts as empty after so many failures, as in Gatekeeper: verdicts that compare with its objects rest on nothing.
    GiveUp {
        /// Failures that are waited for.
        after: u32,
    },
}

/// What reviews are judged by. Immutable and whole: nothing in it is half read.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The compiled policies.
    pub policies: PolicySet,
    /// The objects that policies compare with: those of the kinds that they read, or that Configs and SyncSets list.
    pub inventory: Inventory,
    /// All Namespaces, also those that a Config keeps out of the inventory.
    pub namespaces: Arc<BTreeMap<Arc<str>, Object>>,
    /// The templates in force as resources, to check constraints by.
    pub templates: Arc<BTreeMap<TemplateName, Resource>>,
    /// Counts the changes of the policies that were published.
    pub policies_revision: u64,
    /// Counts the changes of the inventory and the Namespaces.
    pub objects_revision: u64,
}

/// How a feed is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Whether there has been a snapshot.
    pub ready: bool,
    /// What is missing before the policies as they are now can be published; the ones before stay in force meanwhile.
    pub waiting: Vec<String>,
    /// What goes wrong, beside what is wrong with policies.
    pub problems: Vec<Problem>,
    /// Every policy object of the cluster, and what is wrong with it.
    pub policies: Vec<PolicyState>,
    /// What there is of Gatekeeper's that nothing is done for, a line each.
    pub unsupported: Vec<String>,
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

/// A template, constraint, Config or SyncSet of the cluster, as its status should say.
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
    /// Of a constraint: whether a version of it is in force. Of others: whether it has no errors.
    pub enforced: bool,
    /// What is wrong with it. A version from before may be in force all the same.
    pub errors: Vec<PolicyError>,
    /// `status.byPod` as it is in the cluster.
    pub by_pod: Vec<Value>,
    /// `status.created` as it is in the cluster.
    pub created: bool,
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

/// The feed has ended: a defect of the program. What it gave last is still whole, and no longer new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the watches of the cluster broke off; this is a defect, and changes are not seen until a restart")]
pub struct FeedEnded;

/// A running feed. It ends when this is dropped.
#[derive(Debug)]
pub struct Feed {
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    reports: watch::Receiver<Arc<Report>>,
    stop: watch::Sender<bool>,
}

impl Feed {
    /// Begins to list and to watch. Returns at once; must be called on a tokio runtime, which it keeps using.
    ///
    /// # Errors
    ///
    /// If there is no thread for it.
    pub fn start(cluster: &Cluster, options: FeedOptions) -> std::io::Result<Self> {
        let (snapshot_sender, snapshots) = watch::channel(None);
        let (report_sender, reports) = watch::channel(Arc::new(Report::default()));
        let (stop, stopped) = watch::channel(false);
        let writer = Writer::new(cluster.clone(), options, snapshot_sender, report_sender, stopped);
        let runtime = Handle::current();
        // Compiling takes long and recurses deep, so that it has a thread and a stack of its own.
        std::thread::Builder::new()
            .name("policies".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || runtime.block_on(writer.run()))?;
        Ok(Self { snapshots, reports, stop })
    }

    /// What there is; `None` until everything that is needed was listed once.
    #[must_use]
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshots.borrow().clone()
    }

    /// How it is.
    #[must_use]
    pub fn report(&self) -> Arc<Report> {
        self.reports.borrow().clone()
    }

    /// Waits for the first snapshot.
    ///
    /// # Errors
    ///
    /// [`FeedEnded`].
    pub async fn ready(&mut self) -> Result<Arc<Snapshot>, FeedEnded> {
        loop {
            if let Some(snapshot) = self.snapshots.borrow_and_update().clone() {
                return Ok(snapshot);
            }
            self.snapshots.changed().await.map_err(|_| FeedEnded)?;
        }
    }

    /// Two receivers, for tasks that follow the feed: new snapshots, and new reports.
    #[must_use]
    pub fn follow(&self) -> (watch::Receiver<Option<Arc<Snapshot>>>, watch::Receiver<Arc<Report>>) {
        (self.snapshots.clone(), self.reports.clone())
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // It has ended already if nobody receives.
        let _ = self.stop.send(true);
    }
}
