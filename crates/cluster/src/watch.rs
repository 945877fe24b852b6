//! One kind, listed and then watched, for ever: what there is, and every change of it.
//!
//! ```text
//! list (one state) ──> Listed ──> watch from that state ──> Changed, Removed ──┐
//!   ^                                                                          │
//!   └── 410 Gone, or the kind cannot be watched ───────────────────────────────┘
//! ```
//!
//! A list that breaks off is never passed on as a list. A watch that ends is opened again where it was; bookmarks move that place. Failures are
//! reported and waited for, longer and longer, and never given up.

use std::time::{Duration, Instant};

use portcullis::{Error, Object};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc::Sender;
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::connect::{Ask, Cluster, WATCH, WATCH_NAMES};
use crate::error::{ClusterError, Status};
use crate::pages::{Consistency, Name, Page, Pages, name, read_object};
use crate::parts::{field, string};
use crate::resource::{ApiResource, escape};

/// API servers end watches themselves after some minutes; this says when.
const WATCH_TIME: Duration = Duration::from_secs(290);
/// How much longer a connection may be silent that should have ended.
const GRACE: Duration = Duration::from_secs(20);

/// How often a page is asked for before the list has failed.
const TRIES: u32 = 3;

/// A watch that was open for longer is no failure, also if nothing came.
const LASTING: Duration = Duration::from_secs(5);

/// A watch that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct WatchTask(AbortHandle);

impl Drop for WatchTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a watch reports, under the number that it was started with.
#[derive(Debug)]
pub(crate) enum Event {
    /// All there is, at once; what was known before and is not among it is gone.
    Listed(Vec<Item>),
    /// New, or changed.
    Changed(Item),
    /// Gone.
    Removed(Name),
    /// The API server does not serve the kind, so there are no objects of it.
    NotServed,
    /// Something failed, and is tried again.
    Failing(ClusterError),
    /// Changes come.
    Watching,
}

/// An object of a watch.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) name: Name,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    /// As it came, for who wants to read it as a policy.
    Text(String),
    /// Read, without its text.
    Object(Result<Object, Error>),
}

impl Content {
    pub(crate) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Object(_) => None,
        }
    }
}

/// What is made of the objects of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum As {
    Texts,
    Objects,
    /// Texts of their metadata alone, which is all that is asked for.
    Names,
}

/// Starts a watch. It ends when the task is dropped or nobody receives any more.
pub(crate) fn start(
    cluster: Cluster,
    resource: ApiResource,
    wanted: As,
    page: u32,
    id: u64,
    events: Sender<(u64, Event)>,
) -> WatchTask {
    let watch = Watch { cluster, resource, wanted, page, id, events };
    WatchTask(tokio::spawn(watch.run()).abort_handle())
}

struct Watch {
    cluster: Cluster,
    resource: ApiResource,
    wanted: As,
    page: u32,
    id: u64,
    events: Sender<(u64, Event)>,
}

/// Nobody receives any more.
struct Closed;

/// What of a failure says how long to wait.
struct Failed {
    /// There was no answer.
    is_silent: bool,
    asked: Option<Duration>,
}

impl Failed {
    fn of(error: &ClusterError) -> Self {
        Self { is_silent: matches!(error, ClusterError::Unreachable { .. }), asked: error.retry_after() }
    }
}

/// Failures in a row, apart by what failed: how long a list was tried for says nothing about how long to wait before a watch.
#[derive(Default)]
struct Failures {
    /// The kind was not served, or not for us.
    absent: u32,
    list: u32,
    watch: u32,
}

/// Why a watch ended.
enum End {
    /// As it should, after some time.
    Normal,
    /// The place it was at is too old.
    Expired,
    /// It cannot be watched at all; it can still be listed.
    Unwatchable(ClusterError),
    Failed(ClusterError),
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    object: &'a RawValue,
}

impl Watch {
    async fn run(self) {
        let mut failures = Failures::default();
        while self.round(&mut failures).await.is_ok() {}
    }

    async fn tell(&self, event: Event) -> Result<(), Closed> {
        self.events.send((self.id, event)).await.map_err(|_| Closed)
    }

    async fn pause(&self, failures: &mut u32, asked: Option<Duration>) {
        sleep(self.cluster.backoff().wait(*failures, asked)).await;
        *failures = failures.saturating_add(1);
    }

    /// Waits after a failure, but not as long as for what is broken: for a kind that is not there yet, or may not be read, which may come
    /// at any moment by somebody's hand; and for an API server that is not there, which costs it nothing.
    async fn pause_briefly(&self, failures: &mut u32, asked: Option<Duration>) {
        const MOST: Duration = Duration::from_secs(5);
        let backoff = self.cluster.backoff();
        sleep(Backoff { most: backoff.most.min(MOST), ..backoff }.wait(*failures, asked)).await;
        *failures = failures.saturating_add(1);
    }

    async fn pause_after(&self, failures: &mut u32, error: &Failed) {
        if error.is_silent {
            /// What the API server says when it is back is a new matter.
            const MAX_COUNTED: u32 = 4;
            self.pause_briefly(failures, error.asked).await;
            *failures = (*failures).min(MAX_COUNTED);
        } else {
            self.pause(failures, error.asked).await;
        }
    }

    /// A list, and watches from it on.
    async fn round(&self, failures: &mut Failures) -> Result<(), Closed> {
        let (items, mut version) = match self.list().await {
            Ok(listed) => listed,
            Err(error) if error.is_not_found() => {
                self.tell(Event::NotServed).await?;
                self.pause_briefly(&mut failures.absent, error.retry_after()).await;
                return Ok(());
            }
            // Rights come from somebody who waits for them.
            Err(error) if error.is_forbidden() => {
                let asked = error.retry_after();
                self.tell(Event::Failing(error)).await?;
                self.pause_briefly(&mut failures.absent, asked).await;
                return Ok(());
            }
            Err(error) => {
                let failed = Failed::of(&error);
                self.tell(Event::Failing(error)).await?;
                // What it says now is not what it said before: a kind that is new is refused for a moment.
                failures.absent = 0;
                self.pause_after(&mut failures.list, &failed).await;
                return Ok(());
            }
        };
        (failures.list, failures.absent) = (0, 0);
        self.tell(Event::Listed(items)).await?;
        let failures = &mut failures.watch;
        loop {
            let start = Instant::now();
            let end = self.watch(&mut version, failures).await?;
            if start.elapsed() > LASTING {
                *failures = 0;
            }
            match end {
                End::Normal => self.pause(failures, None).await,
                End::Expired => {
                    self.pause(failures, None).await;
                    return Ok(());
                }
                End::Unwatchable(error) => {
                    self.tell(Event::Failing(error)).await?;
                    self.pause(failures, None).await;
                    return Ok(());
                }
                End::Failed(error) => {
                    let failed = Failed::of(&error);
                    self.tell(Event::Failing(error)).await?;
                    self.pause_after(failures, &failed).await;
                }
            }
        }
    }

    /// All objects of one state, and its version.
    async fn list(&self) -> Result<(Vec<Item>, String), ClusterError> {
        /// Lists in pages that became too old, after which the list is asked for in one piece: that has only one state.
        const PAGED: u32 = 2;
        let mut expired = 0;
        loop {
            let limit = if expired < PAGED { self.page } else { 0 };
            match self.list_once(limit).await {
                Err(error) if error.is_expired() && expired < PAGED => expired += 1,
                result => return result,
            }
        }
    }

    async fn list_once(&self, limit: u32) -> Result<(Vec<Item>, String), ClusterError> {
        // Failures are passed on as they are: trying again is the rounds' work.
        let cluster = self.cluster.with_tries(TRIES);
        let mut pages = Pages::new(&cluster, &self.resource, limit, Consistency::OneState);
        if self.wanted == As::Names {
            pages = pages.of_names();
        }
        let (mut items, mut version) = (Vec::new(), String::new());
        while let Some(page) = pages.next().await? {
            page.resource_version().clone_into(&mut version);
            let (resource, wanted) = (self.resource.clone(), self.wanted);
            // A page is up to some megabytes; reading it would hold up the other watches.
            let read = spawn_blocking(move || read_page(&resource, wanted, &page)).await;
            items.extend(read.map_err(|error| {
                ClusterError::unreadable(format!("GET {}", self.resource.path(None, None)), error.to_string())
            })?);
        }
        Ok((items, version))
    }

    async fn watch(&self, version: &mut String, failures: &mut u32) -> Result<End, Closed> {
        let path = format!(
            "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}",
            self.resource.path(None, None),
            WATCH_TIME.as_secs(),
            escape(version)
        );
        let accept = if self.wanted == As::Names { WATCH_NAMES } else { WATCH };
        let ask = Ask { accept, ..Ask::get(&path) };
        let mut lines = match self.cluster.open(&ask).await {
            Ok(lines) => lines,
            Err(error) => return Ok(refused(error)),
        };
        self.tell(Event::Watching).await?;
        loop {
            let line = match timeout(WATCH_TIME + GRACE, lines.next()).await {
                Ok(Ok(Some(line))) => line,
                Ok(Ok(None)) => return Ok(End::Normal),
                Ok(Err(error)) => return Ok(End::Failed(error)),
                Err(_) => {
                    let message = "the connection is silent, and should have ended".to_owned();
                    return Ok(End::Failed(ClusterError::Unreachable { doing: self.doing(), message }));
                }
            };
            match self.read_line(line, version) {
                Ok(Some(event)) => {
                    *failures = 0;
                    self.tell(event).await?;
                }
                Ok(None) => *failures = 0,
                Err(error) => return Ok(refused(error)),
            }
        }
    }

    fn doing(&self) -> String {
        format!("watch {}", self.resource.path(None, None))
    }

    /// `None` for a bookmark.
    fn read_line(&self, line: Vec<u8>, version: &mut String) -> Result<Option<Event>, ClusterError> {
        let unreadable = |message: String| ClusterError::unreadable(self.doing(), message);
        let text = String::from_utf8(line)
            .map_err(|_| unreadable("expected an event as JSON, found bytes that are no text".to_owned()))?;
        let line: Line<'_> = serde_json::from_str(&text)
            .map_err(|error| unreadable(format!("expected an event as JSON: {error}")))?;
        let object = line.object.get();
        if line.kind == "ERROR" {
            let status = Status::read(200, object.as_bytes(), None);
            return Err(ClusterError::Refused { doing: self.doing(), status });
        }
        let metadata = field(object, "metadata").unwrap_or_default();
        let now = string(metadata, "resourceVersion")
            .ok_or_else(|| unreadable(format!("a `{}` event without a version", line.kind)))?;
        let event = match &*line.kind {
            "ADDED" | "MODIFIED" => {
                Some(Event::Changed(item(&self.resource, self.wanted, object.to_owned())))
            }
            "DELETED" => Some(Event::Removed(name(object))),
            "BOOKMARK" => None,
            other => return Err(unreadable(format!("an event of the unknown type `{other}`"))),
        };
        *version = now;
        Ok(event)
    }
}

/// What a refused watch means.
fn refused(error: ClusterError) -> End {
    match error.code() {
        Some(410) => End::Expired,
        Some(400..=407) => End::Unwatchable(error),
        _ if matches!(error, ClusterError::Unreadable { .. }) => End::Unwatchable(error),
        _ => End::Failed(error),
    }
}

fn read_page(resource: &ApiResource, wanted: As, page: &Page) -> Vec<Item> {
    (0..page.len())
        .filter_map(|index| page.object_text(index))
        .map(|text| item(resource, wanted, text))
        .collect()
}

fn item(resource: &ApiResource, wanted: As, text: String) -> Item {
    let name = name(&text);
    let content = match wanted {
        As::Texts | As::Names => Content::Text(text),
        As::Objects => Content::Object(read_object(resource, &text).map(|object| object.without_document())),
    };
    Item { name, content }
}
