//! One object, watched by its name: what it is now, whatever becomes of it or of the connection.
//!
//! The list and the watch ask for the one name, so that roles can be limited to it: API servers take a list with this field selector for one
//! of that object. Failures are reported and tried again, at the latest after [`MOST`]; readers see what was known last.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::connect::{Ask, Cluster, WATCH};
use crate::error::{ClusterError, Status};
use crate::resource::{ApiResource, escape};
use crate::write::at;

/// API servers end watches themselves after some minutes; this says when.
const WATCH_TIME: Duration = Duration::from_secs(290);
/// How much longer a connection may be silent that should have ended.
const GRACE: Duration = Duration::from_secs(20);
/// A watch that was open for longer is no failure, also if nothing came.
const LASTING: Duration = Duration::from_secs(2);
/// Longest wait between two tries: it is one small request.
const MOST: Duration = Duration::from_secs(5);

/// What is known of the object.
#[derive(Clone, Debug, Default)]
pub enum Found {
    /// Nothing yet.
    #[default]
    Unknown,
    /// There is none.
    Absent,
    /// It is this.
    Present(Arc<Value>),
}

/// What is known, and what keeps it from being up to date.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What was seen last.
    pub found: Found,
    /// Why changes are not seen at the moment.
    pub problem: Option<String>,
}

/// A watch of one object. It ends when this is dropped.
#[derive(Debug)]
pub struct NamedWatch {
    known: watch::Receiver<Known>,
    task: AbortHandle,
}

impl NamedWatch {
    /// Begins. The namespace is `None` for kinds that are in none.
    #[must_use]
    pub fn start(cluster: &Cluster, resource: &ApiResource, namespace: Option<&str>, name: &str) -> Self {
        let (sender, known) = watch::channel(Known::default());
        let task = Task {
            cluster: cluster.clone(),
            path: resource.path(namespace, None),
            selector: escape(&format!("metadata.name={name}")),
            name: name.to_owned(),
            backoff: Backoff { most: MOST, ..cluster.backoff() },
            known: sender,
        };
        Self { known, task: tokio::spawn(task.run()).abort_handle() }
    }

    /// What is known, from now on.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Known> {
        self.known.clone()
    }
}

impl Drop for NamedWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Task {
    cluster: Cluster,
    path: String,
    selector: String,
    name: String,
    backoff: Backoff,
    known: watch::Sender<Known>,
}

/// What a line of a watch says.
enum Line {
    Found(Found, String),
    Bookmark(String),
}

impl Task {
    async fn run(self) {
        let mut failures = 0;
        loop {
            if let Err(error) = self.round(&mut failures).await {
                let asked = error.retry_after().map(|asked| asked.min(MOST));
                self.known.send_if_modified(|known| {
                    let problem = Some(error.to_string());
                    let is_new = known.problem != problem;
                    known.problem = problem;
                    is_new
                });
                sleep(self.backoff.wait(failures, asked)).await;
                failures = failures.saturating_add(1);
            }
        }
    }

    /// A list, and watches from it on, until something fails or the place is too old.
    async fn round(&self, failures: &mut u32) -> Result<(), ClusterError> {
        let mut version = self.list().await?;
        loop {
            let start = Instant::now();
            let ended = self.watch(&mut version, failures).await;
            let is_lasting = start.elapsed() > LASTING;
            if is_lasting {
                *failures = 0;
            }
            match ended {
                Ok(()) if is_lasting => {}
                Ok(()) => {
                    sleep(self.backoff.wait(*failures, None)).await;
                    *failures = failures.saturating_add(1);
                }
                // The place is too old, which is nobody's fault.
                Err(error) if error.is_expired() => {
                    sleep(self.backoff.wait(*failures, None)).await;
                    *failures = failures.saturating_add(1);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn tell(&self, found: Found) {
        self.known.send_modify(|known| *known = Known { found, problem: None });
    }

    async fn list(&self) -> Result<String, ClusterError> {
        let path = format!("{}?fieldSelector={}", self.path, self.selector);
        let list = self.cluster.get_json(&path).await?;
        let version = at(&list, &["metadata", "resourceVersion"]).as_str();
        let (Some(version), Some(items)) = (version, at(&list, &["items"]).as_array()) else {
            return Err(self.unreadable("expected a list with a version"));
        };
        let ours = items.iter().find(|item| at(item, &["metadata", "name"]) == &*self.name);
        self.tell(ours.map_or(Found::Absent, |item| Found::Present(Arc::new(item.clone()))));
        Ok(version.to_owned())
    }

    fn unreadable(&self, message: impl Into<String>) -> ClusterError {
        ClusterError::unreadable(format!("watch {}/{}", self.path, self.name), message)
    }

    /// Until the watch ends as it should.
    async fn watch(&self, version: &mut String, failures: &mut u32) -> Result<(), ClusterError> {
        let path = format!(
            "{}?watch=true&allowWatchBookmarks=true&fieldSelector={}&timeoutSeconds={}&resourceVersion={}",
            self.path,
            self.selector,
            WATCH_TIME.as_secs(),
            escape(version)
        );
        let ask = Ask { accept: WATCH, ..Ask::get(&path) };
        let mut lines = self.cluster.open(&ask).await?;
        loop {
            let line = timeout(WATCH_TIME + GRACE, lines.next()).await;
            let line =
                line.map_err(|_| self.unreadable("the connection is silent, and should have ended"))?;
            let Some(line) = line? else { return Ok(()) };
            *failures = 0;
            match self.read(&line)? {
                Line::Found(found, now) => {
                    self.tell(found);
                    *version = now;
                }
                Line::Bookmark(now) => *version = now,
            }
        }
    }

    fn read(&self, line: &[u8]) -> Result<Line, ClusterError> {
        let event: Value = serde_json::from_slice(line)
            .map_err(|error| self.unreadable(format!("expected an event as JSON: {error}")))?;
        let object = at(&event, &["object"]);
        let kind = at(&event, &["type"]).as_str().unwrap_or_default();
        if kind == "ERROR" {
            let doing = format!("watch {}/{}", self.path, self.name);
            let status = Status::read(200, object.to_string().as_bytes(), None);
            return Err(ClusterError::Refused { doing, status });
        }
        let version = at(object, &["metadata", "resourceVersion"]).as_str();
        let version = version.ok_or_else(|| self.unreadable("an event without a version"))?.to_owned();
        match kind {
            "BOOKMARK" => Ok(Line::Bookmark(version)),
            // Somebody who does not know the selector sends others as well.
            _ if at(object, &["metadata", "name"]) != &*self.name => Ok(Line::Bookmark(version)),
            "ADDED" | "MODIFIED" => Ok(Line::Found(Found::Present(Arc::new(object.clone())), version)),
            "DELETED" => Ok(Line::Found(Found::Absent, version)),
            other => Err(self.unreadable(format!("an event of the unknown type `{other}`"))),
        }
    }
}
