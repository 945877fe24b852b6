//! What a webhook or an audit lives on: the policies and the inventory of a cluster, always whole, always the newest.
//!
//! [`Feed::start`] begins to list and to watch; [`Feed::snapshot`] is what there is; [`Feed::report`] is how it is.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::connect::Cluster;
use crate::publish::{Outlets, Writer};
use crate::published::{FeedOptions, Ingestion, Report, Snapshot};

/// Stack of the thread that compiles policies: deep documents and policies are worked on recursively.
const STACK_BYTES: usize = 8 << 20;

/// The feed has ended: a defect of the program. What it gave last is still whole, and no longer new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the watches of the cluster broke off; this is a defect, and changes are not seen until a restart")]
pub struct FeedEnded;

/// A running feed. It ends when this is dropped.
#[derive(Debug)]
pub struct Feed {
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    reports: watch::Receiver<Arc<Report>>,
    ingested: Arc<Mutex<Vec<Ingestion>>>,
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
        let ingested = Arc::default();
        let outlets = Outlets {
            snapshots: snapshot_sender,
            reports: report_sender,
            ingested: Arc::clone(&ingested),
            stop: stopped,
        };
        let writer = Writer::new(cluster.clone(), options, outlets);
        let runtime = Handle::current();
        // Compiling takes long and recurses deep, so that it has a thread and a stack of its own.
        std::thread::Builder::new()
            .name("policies".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || runtime.block_on(writer.run()))?;
        Ok(Self { snapshots, reports, ingested, stop })
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

    /// The templates and mutators that were compiled since this was asked last; of very many only the last.
    #[must_use]
    pub fn take_ingested(&self) -> Vec<Ingestion> {
        std::mem::take(&mut *self.ingested.lock().unwrap_or_else(PoisonError::into_inner))
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
