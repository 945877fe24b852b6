//! The record of decisions: one JSON object per line for each request to `/v1/admit`, what it was, what it was judged by, and what each
//! constraint said. Replays stand on it, so its form is described in README.md and has a version.
//!
//! ```text
//! review thread: Draft (digests, results, no secrets) ──> answer ──> Recorder ──(bounded queue)──> its thread ──> file
//! ```
//!
//! Who cannot write records loses them, and no request: how many is in the metrics and in the log.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat};
use portcullis::{EnforcementAction, Outcome, Verdict};
use serde_json::{Map, Value, json};

use crate::admission::{Answer, Envelope, Serving};
use crate::digest;
use crate::log::{Level, Log};
use crate::redact::{Pattern, Secrets};

/// The version of the form. Keys are added without another one.
const VERSION: u32 = 1;
/// Records that may wait, and their bytes.
const WAITING: usize = 8192;
const WAITING_BYTES: usize = 32 << 20;
/// How often lost records are told about.
const TELL: Duration = Duration::from_mins(1);

/// What is recorded besides decisions, and what is not.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Whether the requests are.
    pub requests: bool,
    /// Fields that are secret besides the data of Secrets.
    pub redact: Vec<Pattern>,
}

/// The part of a record that is known when the review ends.
#[derive(Clone, Debug, Default)]
pub struct Draft(Map<String, Value>);

impl Draft {
    /// Of a request that was judged, or could not be: then without what is not known.
    #[must_use]
    pub fn new(
        content: &Content,
        body: &[u8],
        envelope: &Envelope,
        answer: &Answer,
        serving: &Serving,
        now_ns: i64,
    ) -> Self {
        let mut request = serde_json::from_slice::<Value>(body)
            .ok()
            .and_then(|mut review| review.get_mut("request").map(Value::take))
            .unwrap_or_default();
        let secrets = match (&request, &answer.outcome) {
            // It was judged, so there is a request; only its secrets could not be found.
            (Value::Null, Some(_)) => Secrets::Unknown,
            _ => Secrets::hide(&mut request, &content.redact),
        };
        let mut fields = Map::new();
        let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
        put("version", VERSION.into());
        put(
            "time",
            DateTime::from_timestamp_nanos(now_ns).to_rfc3339_opts(SecondsFormat::Nanos, true).into(),
        );
        put("uid", envelope.uid().into());
        put("requestDigest", if body.is_empty() { Value::Null } else { digest::of_bytes(body).into() });
        put("policies", (*serving.policies_digest).into());
        put("inventory", (*serving.inventory_digest).into());
        put("user", envelope.user().into());
        put("operation", envelope.operation().into());
        let [group, version, kind] = envelope.kind();
        put("kind", json!({"group": group, "version": version, "kind": kind}));
        put("subResource", envelope.sub_resource().into());
        put("namespace", envelope.namespace().into());
        put("name", envelope.name().into());
        put("dryRun", envelope.is_dry_run().into());
        put("message", secrets.mask(answer.message()).into());
        put("results", answer.outcome.as_ref().map_or(Value::Null, |outcome| results(outcome, &secrets)));
        if content.requests {
            put("request", request);
        }
        Self(fields)
    }

    /// Adds how it ended, and makes a line of it.
    fn line(mut self, answer: &Answer, took: Duration) -> Vec<u8> {
        let mut put = |key: &str, value: Value| self.0.insert(key.to_owned(), value);
        put("allowed", answer.is_allowed().into());
        put("code", answer.code().into());
        put("seconds", took.as_secs_f64().into());
        let mut line = Value::Object(self.0).to_string().into_bytes();
        line.push(b'\n');
        line
    }
}

fn results(outcome: &Outcome, secrets: &Secrets) -> Value {
    let results = outcome.results.iter().map(|result| {
        let key = result.key();
        let actions: Vec<&str> = result.actions.iter().map(EnforcementAction::as_str).collect();
        let (outcome, more) = match &result.verdict {
            Verdict::Pass => ("pass", None),
            Verdict::Violations(violations) => {
                let list = violations.iter().map(|violation| {
                    json!({
                        "message": secrets.mask(&violation.message),
                        "details": secrets.mask_value(&violation.details()),
                    })
                });
                ("violation", Some(("violations", list.collect())))
            }
            Verdict::Error(error) => ("error", Some(("error", secrets.mask(&error.message).into()))),
        };
        let mut fields = Map::new();
        fields.insert("kind".to_owned(), (*key.kind).into());
        fields.insert("name".to_owned(), (*key.name).into());
        fields.insert("actions".to_owned(), actions.into());
        fields.insert("outcome".to_owned(), outcome.into());
        fields.insert("steps".to_owned(), result.steps.into());
        fields.extend(more.map(|(key, value)| (key.to_owned(), value)));
        Value::Object(fields)
    });
    results.collect()
}

/// Takes records; cheap to clone. The thread behind it writes them in order.
#[derive(Clone, Debug)]
pub struct Recorder {
    /// What is recorded.
    pub content: Content,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something is in the queue, or was asked for.
    changed: Condvar,
    /// The queue is empty, and everything is written.
    idle: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lines that found no place or could not be written, since the start.
    lost: u64,
    reopen: bool,
    is_writing: bool,
}

/// Where records go.
enum Sink {
    File(PathBuf, BufWriter<File>),
    Stream(BufWriter<Box<dyn Write + Send>>),
}

impl Recorder {
    /// Opens the file, which only its owner may read, and starts the thread. `-` is standard output.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or the system gives no more threads.
    pub fn start(path: &Path, content: Content, log: Log) -> io::Result<Self> {
        let sink = if path == Path::new("-") {
            if portcullis_sources::stdout_is_closed() {
                return Err(portcullis_sources::closed_stdout());
            }
            Sink::Stream(BufWriter::new(Box::new(io::stdout())))
        } else {
            Sink::File(path.to_owned(), open(path)?)
        };
        Self::run(sink, content, log)
    }

    /// A recorder on some stream.
    ///
    /// # Errors
    ///
    /// If the system gives no more threads.
    pub fn to_stream(out: impl Write + Send + 'static, content: Content, log: Log) -> io::Result<Self> {
        Self::run(Sink::Stream(BufWriter::new(Box::new(out))), content, log)
    }

    fn run(sink: Sink, content: Content, log: Log) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let writer = Writer { sink, is_broken: false, log, told: None, reported: 0 };
        let of_thread = Arc::clone(&shared);
        thread::Builder::new().name("decisions".to_owned()).spawn(move || writer.run(&of_thread))?;
        Ok(Self { content, shared })
    }

    /// Records a decision. Never waits.
    pub fn record(&self, draft: Draft, answer: &Answer, took: Duration) {
        let line = draft.line(answer, took);
        let mut queue = self.shared.lock();
        if queue.lines.len() >= WAITING || queue.bytes.saturating_add(line.len()) > WAITING_BYTES {
            queue.lost += 1;
        } else {
            queue.bytes += line.len();
            queue.lines.push_back(line);
        }
        drop(queue);
        self.shared.changed.notify_one();
    }

    /// Opens the file again, as after its rotation.
    pub fn reopen(&self) {
        self.shared.lock().reopen = true;
        self.shared.changed.notify_one();
    }

    /// Records that were lost since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.lock().lost
    }

    /// Waits, not for ever, until everything is written.
    pub fn flush(&self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        let queue = self.shared.lock();
        let is_busy = |queue: &mut Queue| queue.is_writing || !queue.lines.is_empty();
        // If it is not written by then, it never is.
        let _ = self.shared.idle.wait_timeout_while(queue, PATIENCE, is_busy);
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> io::Result<BufWriter<File>> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(BufWriter::new)
}

struct Writer {
    sink: Sink,
    /// The last line may have been written in part.
    is_broken: bool,
    log: Log,
    told: Option<Instant>,
    /// Lost lines that the log knows of.
    reported: u64,
}

impl Writer {
    fn run(mut self, shared: &Shared) {
        loop {
            let mut queue = shared.lock();
            while queue.lines.is_empty() && !queue.reopen {
                queue.is_writing = false;
                shared.idle.notify_all();
                // Also lines that were lost since are told about one day.
                let woken = shared.changed.wait_timeout(queue, TELL);
                queue = woken.unwrap_or_else(PoisonError::into_inner).0;
                self.tell(queue.lost, None);
            }
            queue.is_writing = true;
            let reopen = std::mem::take(&mut queue.reopen);
            let lines = std::mem::take(&mut queue.lines);
            queue.bytes = 0;
            drop(queue);
            let (mut failed, mut error) = (0, None);
            if reopen && let Err(reason) = self.reopen() {
                error = Some(reason);
            }
            for line in &lines {
                if let Err(reason) = self.write(line) {
                    failed += 1;
                    error = Some(reason);
                }
            }
            // What a file has taken is in it when nobody waits any more.
            if let Err(reason) = self.out().flush() {
                self.is_broken = true;
                error = Some(reason);
                // Which of them are in it already cannot be told.
                failed = lines.len() as u64;
            }
            let mut queue = shared.lock();
            queue.lost += failed;
            let lost = queue.lost;
            drop(queue);
            self.tell(lost, error);
        }
    }

    fn out(&mut self) -> &mut dyn Write {
        match &mut self.sink {
            Sink::File(_, file) => file,
            Sink::Stream(stream) => stream,
        }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_broken {
            self.out().write_all(b"\n")?;
            self.is_broken = false;
        }
        self.out().write_all(line).inspect_err(|_| self.is_broken = true)
    }

    /// If the file cannot be opened the old one is written on.
    fn reopen(&mut self) -> io::Result<()> {
        if let Sink::File(path, file) = &mut self.sink {
            file.flush()?;
            *file = open(path)?;
            self.is_broken = false;
        }
        Ok(())
    }

    fn tell(&mut self, lost: u64, error: Option<io::Error>) {
        let is_news = lost > self.reported || error.is_some();
        if !is_news || self.told.is_some_and(|told| told.elapsed() < TELL) {
            return;
        }
        self.told = Some(Instant::now());
        let fields = json!({"lost": lost - self.reported, "error": error.map(|error| error.to_string())});
        self.reported = lost;
        self.log.write(Level::Error, "decisions could not be recorded", &fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent() -> Log {
        Log::new(io::sink())
    }

    fn draft(text: &str) -> Draft {
        Draft(Map::from_iter([("text".to_owned(), text.into())]))
    }

    fn lines(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_file_is_opened_again_after_its_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let (now, old) = (directory.path().join("d.ndjson"), directory.path().join("d.1"));
        let recorder = Recorder::start(&now, Content::default(), silent()).unwrap();
        let answer = Answer::failed("no");
        recorder.record(draft("first"), &answer, Duration::from_millis(1));
        recorder.flush();
        std::fs::rename(&now, &old).unwrap();
        recorder.record(draft("second"), &answer, Duration::ZERO);
        recorder.flush();
        recorder.reopen();
        recorder.record(draft("third"), &answer, Duration::ZERO);
        recorder.flush();
        let texts = |path| lines(path).iter().map(|line| line["text"].clone()).collect::<Vec<_>>();
        assert_eq!(texts(&old), ["first", "second"]);
        assert_eq!(texts(&now), ["third"]);
        assert_eq!(lines(&old)[0]["code"], 500);
        assert_eq!(recorder.lost(), 0);
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&now).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn records_that_nobody_takes_are_counted_and_stop_nothing() {
        let (reader, writer) = io::pipe().unwrap();
        let recorder = Recorder::to_stream(writer, Content::default(), silent()).unwrap();
        let answer = Answer::failed("no");
        let large = "x".repeat(10_000);
        for _ in 0..5000 {
            recorder.record(draft(&large), &answer, Duration::ZERO);
        }
        assert!(recorder.lost() > 0);
        // A reader that went away is lost for all that follows, and the recorder goes on.
        drop(reader);
        recorder.flush();
        let before = recorder.lost();
        recorder.record(draft("late"), &answer, Duration::ZERO);
        recorder.flush();
        assert!(recorder.lost() > before);
    }
}
