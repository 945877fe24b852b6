//! Events: what `kubectl get events` shows. Best effort: what is too much is counted, and nothing waits for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::connect::Cluster;
use crate::error::ClusterError;
use crate::resource::ApiResource;
use crate::time::second_time;
use crate::write::{Written, set};

/// Events that wait to be written, and their bytes; more are dropped, and counted.
const QUEUE: usize = 1024;
const QUEUE_BYTES: usize = 4 << 20;
/// Events that a burst may have, and how often one more may come. API servers keep every Event for an hour.
const BURST: u32 = 100;
const EVERY: Duration = Duration::from_millis(200);
/// For how long the same event is counted up instead of written anew.
const SAME: Duration = Duration::from_mins(10);
/// Different events that are remembered for that, and their bytes.
const REMEMBERED: usize = 4096;
const REMEMBERED_BYTES: usize = 4 << 20;
/// Longest message that API servers take.
const MESSAGE_BYTES: usize = 1024;
/// Longest of the other texts: names are the request's to choose.
const TEXT_BYTES: usize = 1024;

/// Something that happened to an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// A word, such as `FailedAdmission`.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// The namespace in which the Event is written.
    pub namespace: String,
    /// The object that it is about.
    pub regarding: Regarding,
    /// More about it.
    pub annotations: BTreeMap<String, String>,
}

impl Event {
    /// As it is written: no text is longer than API servers take it.
    fn bound(mut self) -> Self {
        let cut = |text: &mut String, most| {
            if text.len() > most {
                *text = crate::status::cut(text, most);
                text.shrink_to_fit();
            }
        };
        cut(&mut self.message, MESSAGE_BYTES);
        let about = &mut self.regarding;
        let texts =
            [&mut about.api_version, &mut about.kind, &mut about.namespace, &mut about.name, &mut about.uid];
        let texts = texts.into_iter().chain([&mut self.reason, &mut self.namespace]);
        texts.chain(self.annotations.values_mut()).for_each(|text| cut(text, TEXT_BYTES));
        self
    }

    /// What it takes in memory, roughly.
    fn bytes(&self) -> usize {
        const EACH: usize = 64;
        let about = &self.regarding;
        let texts = [&self.reason, &self.message, &self.namespace, &about.api_version, &about.kind];
        let texts = texts.into_iter().chain([&about.namespace, &about.name, &about.uid]);
        let texts = texts.chain(self.annotations.iter().flat_map(|(key, text)| [key, text]));
        texts.map(|text| text.len() + EACH).sum()
    }
}

/// The object that an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Regarding {
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty if there is none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid; empty if it is not known.
    pub uid: String,
}

/// Takes events and writes them in the background. Cheap to clone.
#[derive(Clone)]
pub struct EventRecorder {
    queue: mpsc::Sender<Event>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Of what waits.
    bytes: AtomicUsize,
    dropped: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl EventRecorder {
    /// Starts to write. `component` is the program, `host` the pod. Must be called on a tokio runtime.
    #[must_use]
    pub fn start(cluster: &Cluster, component: &str, host: &str) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            cluster: cluster.clone(),
            source: json!({"component": component, "host": host}),
            written: BTreeMap::new(),
            shared: Arc::clone(&shared),
            number: 0,
        };
        tokio::spawn(writer.run(receiver));
        Self { queue, shared }
    }

    /// Takes an event. Never waits: what is too much is dropped.
    pub fn record(&self, event: Event) {
        let event = event.bound();
        let bytes = event.bytes();
        // Counted first, so that those who come together do not both find the last place.
        let waiting = self.shared.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if waiting > QUEUE_BYTES || self.queue.try_send(event).is_err() {
            self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Events that were dropped, because there were too many or they could not be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Why the last event that could not be written was not.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.shared.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for EventRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventRecorder({} dropped)", self.dropped())
    }
}

struct Writer {
    cluster: Cluster,
    source: Value,
    /// The Event object of each event, when it was written first, and how often it has happened.
    written: BTreeMap<Event, (String, Instant, u64)>,
    shared: Arc<Shared>,
    number: u64,
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Event>) {
        let mut due = Instant::now();
        while let Some(event) = queue.recv().await {
            self.shared.bytes.fetch_sub(event.bytes(), Ordering::Relaxed);
            let now = Instant::now();
            if due > now + EVERY * BURST {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            due = due.max(now) + EVERY;
            if let Err(error) = self.write(event).await {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                *self.shared.last_error.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(error.to_string());
            }
        }
    }

    async fn write(&mut self, event: Event) -> Result<(), ClusterError> {
        let events = ApiResource::new("v1", "Event", "events", true);
        let now = second_time(SystemTime::now());
        self.written.retain(|_, (_, since, _)| since.elapsed() < SAME);
        if let Some((name, _, count)) = self.written.get_mut(&event) {
            *count += 1;
            let patch = json!({"count": *count, "lastTimestamp": now});
            let path = events.path(Some(&event.namespace), Some(name));
            let written = self.cluster.change(&path, "", |_| Some(patch.clone())).await?;
            if written != Written::Missing {
                return Ok(());
            }
            self.written.remove(&event);
        }
        self.number += 1;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // Names of Events are the object's with a number that nobody else has, as everywhere.
        let name = format!("{}.{:x}{:x}", dns_name(&event.regarding.name), since.as_nanos(), self.number);
        let about = &event.regarding;
        let mut involved = json!({"apiVersion": about.api_version, "kind": about.kind, "name": about.name});
        for (key, value) in [("namespace", &about.namespace), ("uid", &about.uid)] {
            if !value.is_empty() {
                set(&mut involved, &[key], json!(value));
            }
        }
        let object = json!({"apiVersion": "v1", "kind": "Event", "type": "Warning",
            "metadata": {"name": name, "namespace": event.namespace, "annotations": event.annotations},
            "involvedObject": involved, "reason": event.reason,
            "message": event.message,
            "source": self.source, "firstTimestamp": now, "lastTimestamp": now, "count": 1});
        self.cluster.create(&events.path(Some(&event.namespace), None), &object).await?;
        let bytes: usize = self.written.keys().map(Event::bytes).sum();
        if self.written.len() < REMEMBERED && bytes + event.bytes() <= REMEMBERED_BYTES {
            self.written.insert(event, (name, Instant::now(), 1));
        }
        Ok(())
    }
}

/// A text as the beginning of an object's name.
fn dns_name(text: &str) -> String {
    const MOST: usize = 200;
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c.to_ascii_lowercase() } else { '-' }
    };
    let name: String = text.chars().take(MOST).map(plain).collect();
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() { "unnamed".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_takes_no_more_than_api_servers_do() {
        let large = "x".repeat(1 << 20);
        let about = Regarding { name: large.clone(), kind: large.clone(), ..Regarding::default() };
        let annotations = (0..13).map(|number| (format!("key-{number}"), large.clone())).collect();
        let event = Event {
            reason: large.clone(),
            message: large.clone(),
            namespace: large,
            regarding: about,
            annotations,
        };
        let event = event.bound();
        assert!(event.bytes() < 32 << 10, "{}", event.bytes());
        assert!(event.message.len() <= MESSAGE_BYTES);
        assert_eq!(event.clone().bound(), event);
    }
}
