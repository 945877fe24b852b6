//! The record of decisions: one JSON object per line for each request to `/v1/admit`, what it was, what it was judged by, and what each
//! constraint said. Replays stand on it, so its form is described in docs/webhook.md and has a version.
//!
//! ```text
//! review thread: Draft (digests, results, no secrets) ──> answer ──> Recorder ──(bounded queue)──> its thread ──> file
//! ```
//!
//! Who cannot write records loses them, and no request: how many is in the metrics and in the log.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat};
use portcullis::{ConstraintResult, Decision, EnforcementAction, Finding, Outcome, Verdict};
use portcullis_sources::json_bytes;
use serde_json::{Map, Value, json};

use crate::admission::{Answer, Envelope, Explanation};
use crate::bounds::{self, cut, fit};
use crate::digest;
use crate::files::{self, Access, OpenError};
use crate::log::{Level, Log};
use crate::queue::Queue;
use crate::redact::Redaction;
use crate::serving::Serving;

/// The version of the form. Keys are added without another one.
const VERSION: u32 = 1;
/// Bytes of records that may wait or are being written.
const WAITING: usize = 32 << 20;
/// How often lost records are reported.
const TELL: Duration = Duration::from_mins(1);

/// What is recorded besides decisions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Content {
    /// Whether the requests are.
    pub requests: bool,
    /// Whether it is told why constraints deny.
    pub explanations: bool,
}

/// The part of a record that is known when the review ends: the beginning of its line.
#[derive(Clone, Debug, Default)]
pub struct Draft(Vec<u8>);

impl Draft {
    /// Of a request that was judged, or could not be: then without what is not known.
    #[must_use]
    pub fn new(
        body: &[u8],
        envelope: &Envelope,
        answer: &Answer,
        serving: &Serving,
        now_ns: i64,
        redaction: &Redaction,
    ) -> Self {
        let mut draft = Self(b"{".to_vec());
        let name = |text: &str| cut(text, bounds::NAME).into_owned();
        draft.put("version", &VERSION.into());
        let time = DateTime::from_timestamp_nanos(now_ns).to_rfc3339_opts(SecondsFormat::Nanos, true);
        draft.put("time", &time.into());
        draft.put("uid", &name(envelope.uid()).into());
        // Of a request that differs from others in a short secret only, a digest would tell that.
        let is_told = !body.is_empty() && !redaction.has_secrets();
        draft.put("requestDigest", &is_told.then(|| digest::of_bytes(body)).into());
        draft.put("policies", &(*serving.policies_digest).into());
        draft.put("inventory", &(*serving.inventory_digest).into());
        draft.put("user", &name(envelope.user()).into());
        draft.put("operation", &name(envelope.operation()).into());
        let [group, version, kind] = envelope.kind().map(name);
        draft.put("kind", &json!({"group": group, "version": version, "kind": kind}));
        draft.put("subResource", &name(envelope.sub_resource()).into());
        draft.put("namespace", &name(envelope.namespace()).into());
        draft.put("name", &name(envelope.name()).into());
        draft.put("dryRun", &envelope.is_dry_run().into());
        if let Some(outcome) = &answer.outcome {
            draft.put("message", &message(outcome, redaction).into());
            draft.put("results", &results(answer, outcome, redaction));
        } else {
            draft.put("message", &redaction.refusal(answer).into());
            draft.put("results", &Value::Null);
        }
        if let Some(request) = redaction.request() {
            draft.put_bytes("request", request);
        }
        draft
    }

    fn put(&mut self, key: &str, value: &Value) {
        self.put_bytes(key, value.to_string().as_bytes());
    }

    fn put_bytes(&mut self, key: &str, value: &[u8]) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        // Keys are plain words.
        self.0.extend([b"\"", key.as_bytes(), b"\":", value].concat());
    }

    /// Adds how it ended, and makes a line of it.
    fn line(mut self, answer: &Answer, took: Duration) -> Vec<u8> {
        self.put("allowed", &answer.is_allowed().into());
        self.put("code", &answer.code().into());
        self.put("seconds", &took.as_secs_f64().into());
        self.0.extend(b"}\n");
        self.0
    }
}

/// What the user saw, as far as it may be recorded.
fn message(outcome: &Outcome, redaction: &Redaction) -> String {
    let decision = Decision::from(outcome);
    let denies = |finding: &&Finding<'_>| finding.actions().contains(EnforcementAction::Deny);
    let line =
        |finding: &Finding<'_>| format!("[{}] {}", finding.result.key().name, redaction.message(finding));
    let lines = decision.findings.iter().filter(denies).map(line);
    fit(lines, "violations", bounds::TOLD).join("\n")
}

fn results(answer: &Answer, outcome: &Outcome, redaction: &Redaction) -> Value {
    let mut room = bounds::FINDINGS;
    outcome.results.iter().map(|result| result_of(answer, result, redaction, &mut room)).collect()
}

fn result_of(answer: &Answer, result: &ConstraintResult, redaction: &Redaction, room: &mut usize) -> Value {
    let key = result.key();
    let actions: Vec<&str> = result.actions.iter().map(EnforcementAction::as_str).collect();
    let mut fields = Map::new();
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    put("kind", (*key.kind).into());
    put("name", (*key.name).into());
    put("actions", actions.into());
    put("steps", result.steps.into());
    let findings: Vec<_> = Finding::of(result).into_iter().chain(Finding::excepted(result)).collect();
    let outcome = match &result.verdict {
        Verdict::Pass => "pass",
        Verdict::Violations(violations) | Verdict::Excepted { violations, .. } => {
            let mut list = Vec::new();
            for finding in &findings {
                let mut entry = json!({
                    "message": redaction.message(finding),
                    "details": redaction.details(finding),
                });
                let is_it = |one: &&Explanation| one.constraint == *key && one.message == finding.message;
                let why = answer
                    .explanations
                    .iter()
                    .flat_map(|all| &all.0)
                    .find(is_it)
                    .filter(|_| result.implied_by.is_none());
                if let (Some(why), Some(fields)) = (why, entry.as_object_mut()) {
                    fields.insert("why".to_owned(), redaction.why(key, &why.ways));
                }
                let Some(left) = room.checked_sub(json_bytes(&entry)) else { break };
                *room = left;
                list.push(entry);
            }
            if list.len() < violations.len() {
                put("violationsLeftOut", (violations.len() - list.len()).into());
            }
            put("violations", list.into());
            if let Verdict::Excepted { by, .. } = &result.verdict {
                put("exception", by.name().into());
                "excepted"
            } else {
                "violation"
            }
        }
        Verdict::Error(_) => {
            let error = findings.first().map(|finding| Value::from(redaction.message(finding)));
            let left = room.checked_sub(error.as_ref().map_or(0, json_bytes));
            *room = left.unwrap_or(0);
            put(
                "error",
                left.map_or_else(|| bounds::left_out("findings", bounds::FINDINGS).into(), |_| error.into()),
            );
            "error"
        }
    };
    put("outcome", outcome.into());
    Value::Object(fields)
}

/// Takes records; cheap to clone. The thread behind it writes them in order.
#[derive(Clone, Debug)]
pub struct Recorder {
    /// What is recorded.
    pub content: Content,
    queue: Arc<Queue>,
}

/// Where records go.
enum Sink {
    File(PathBuf, Access, File),
    Stream(Box<dyn Write + Send>),
}

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file is none to record in.
    #[error(transparent)]
    File(#[from] OpenError),
    /// There are no more threads, or standard output is closed.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl Recorder {
    /// Opens the file and starts the thread. `-` is standard output.
    ///
    /// # Errors
    ///
    /// If the file is none to record in, or the system gives no more threads.
    pub fn start(path: &Path, access: Access, content: Content, log: Log) -> Result<Self, StartError> {
        let sink = if path == Path::new("-") {
            if portcullis_sources::stdout_is_closed() {
                return Err(portcullis_sources::closed_stdout().into());
            }
            Sink::Stream(Box::new(io::stdout()))
        } else {
            Sink::File(path.to_owned(), access, files::append(path, access)?)
        };
        Ok(Self::run(sink, content, log)?)
    }

    /// A recorder on some stream.
    ///
    /// # Errors
    ///
    /// If the system gives no more threads.
    pub fn to_stream(out: impl Write + Send + 'static, content: Content, log: Log) -> io::Result<Self> {
        Self::run(Sink::Stream(Box::new(out)), content, log)
    }

    fn run(sink: Sink, content: Content, log: Log) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(WAITING));
        let writer = Writer { sink, is_broken: false, log, told: None, reported: 0 };
        let of_thread = Arc::clone(&queue);
        thread::Builder::new().name("decisions".to_owned()).spawn(move || writer.run(&of_thread))?;
        Ok(Self { content, queue })
    }

    /// Records a decision. Never waits.
    pub fn record(&self, draft: Draft, answer: &Answer, took: Duration) {
        self.queue.put(draft.line(answer, took));
    }

    /// Opens the file again, as after its rotation.
    pub fn reopen(&self) {
        self.queue.ask();
    }

    /// Records that were lost since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.queue.lost()
    }

    /// Waits, not for ever, until everything is written.
    pub fn flush(&self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        self.queue.flush(PATIENCE);
    }
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
    fn run(mut self, queue: &Queue) {
        loop {
            // Also lines that were lost since are reported one day.
            let batch = queue.take(TELL);
            let (mut failed, mut error) = (0, None);
            if batch.is_asked
                && let Err(reason) = self.reopen()
            {
                error = Some(format!("the file could not be opened again: {reason}"));
            }
            for line in &batch.pieces {
                if let Err(reason) = self.write(line) {
                    failed += 1;
                    error = Some(reason.to_string());
                }
            }
            // What a stream has taken is in it when nobody waits any more; a file has it already.
            if let Err(reason) = self.out().flush() {
                self.is_broken = true;
                error = Some(reason.to_string());
                // Which of them are in it already is not known.
                failed = batch.pieces.len() as u64;
            }
            self.tell(queue.lose(failed), error);
        }
    }

    fn out(&mut self) -> &mut dyn Write {
        match &mut self.sink {
            Sink::File(_, _, file) => file,
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
    fn reopen(&mut self) -> Result<(), OpenError> {
        if let Sink::File(path, access, file) = &mut self.sink {
            *file = files::append(path, *access)?;
            self.is_broken = false;
        }
        Ok(())
    }

    fn tell(&mut self, lost: u64, error: Option<String>) {
        let is_news = lost > self.reported || error.is_some();
        if !is_news || self.told.is_some_and(|told| told.elapsed() < TELL) {
            return;
        }
        self.told = Some(Instant::now());
        let fields = json!({"lost": lost - self.reported, "error": error});
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
        let mut draft = Draft(b"{".to_vec());
        draft.put("text", &text.into());
        draft
    }

    fn lines(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_file_is_opened_again_after_its_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let (now, old) = (directory.path().join("d.ndjson"), directory.path().join("d.1"));
        let recorder = Recorder::start(&now, Access::Private, Content::default(), silent()).unwrap();
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
            assert!(recorder.queue.bytes() <= WAITING);
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
