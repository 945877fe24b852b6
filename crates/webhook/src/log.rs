//! The log: one JSON object per line, in the keys that Gatekeeper's log has, so that alerts on them keep working.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use crate::queue::Queue;

/// Bytes of lines that may wait.
pub const WAITING: usize = 8 << 20;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Normal.
    Info,
    /// Works, but somebody should look.
    Warn,
    /// Does not work.
    Error,
}

#[derive(Serialize)]
struct Line<'a, F> {
    level: Level,
    /// Seconds since 1970.
    ts: f64,
    msg: &'a str,
    #[serde(flatten)]
    fields: &'a F,
}

fn encode(level: Level, msg: &str, fields: &impl Serialize) -> Vec<u8> {
    let ts = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    // Texts and numbers always have a JSON form.
    let mut line = serde_json::to_vec(&Line { level, ts, msg, fields }).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Lines that were made somewhere else than where they are written.
#[derive(Clone, Debug, Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Adds one. `fields` is an object or null.
    pub fn add(&mut self, level: Level, msg: &str, fields: &impl Serialize) {
        self.0.extend(encode(level, msg, fields));
    }
}

/// Where lines go. Cheap to clone.
#[derive(Clone)]
pub struct Log(Out);

#[derive(Clone)]
enum Out {
    Stream(Arc<Mutex<dyn Write + Send>>),
    Queue(Arc<Queue>),
}

impl Log {
    /// A log on some stream.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self(Out::Stream(Arc::new(Mutex::new(out))))
    }

    /// A log on a stream that is written to by a thread of its own: who reads the log too slowly, or not at all, must not stop
    /// reviews. Lines that find no place are lost, and the log says how many.
    ///
    /// # Errors
    ///
    /// If the system gives no more threads.
    pub fn in_background(out: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(WAITING));
        let of_thread = Arc::clone(&queue);
        thread::Builder::new().name("log".to_owned()).spawn(move || copy(&of_thread, out))?;
        Ok(Self(Out::Queue(queue)))
    }

    /// Writes a line. `fields` is an object or null.
    pub fn write(&self, level: Level, msg: &str, fields: &Value) {
        self.write_lines(Lines(encode(level, msg, fields)));
    }

    /// Writes lines.
    pub fn write_lines(&self, lines: Lines) {
        if lines.0.is_empty() {
            return;
        }
        match &self.0 {
            // In one piece, so that lines of several threads do not mix. A log that is gone must not stop the webhook.
            Out::Stream(out) => {
                let _ = out.lock().unwrap_or_else(PoisonError::into_inner).write_all(&lines.0);
            }
            Out::Queue(queue) => queue.put(lines.0),
        }
    }

    /// Lines that were lost since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        match &self.0 {
            Out::Stream(_) => 0,
            Out::Queue(queue) => queue.lost(),
        }
    }

    /// Waits, not for ever, until the lines are written.
    pub fn flush(&self) {
        const PATIENCE: Duration = Duration::from_secs(1);
        match &self.0 {
            // As above.
            Out::Stream(out) => {
                let _ = out.lock().unwrap_or_else(PoisonError::into_inner).flush();
            }
            Out::Queue(queue) => queue.flush(PATIENCE),
        }
    }
}

fn copy(queue: &Queue, mut out: impl Write) {
    const LOOK: Duration = Duration::from_mins(1);
    let mut told = 0;
    loop {
        let batch = queue.take(LOOK);
        if batch.lost > told {
            let fields = serde_json::json!({"lines": batch.lost - told});
            let line =
                encode(Level::Warn, "lines of the log were lost: nobody reads it fast enough", &fields);
            if out.write_all(&line).is_ok() {
                told = batch.lost;
            }
        }
        for piece in &batch.pieces {
            // A log that is gone must not stop the webhook.
            if out.write_all(piece).is_err() {
                queue.lose(crate::queue::count(piece));
            }
        }
        let _ = out.flush();
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object() {
        struct Shared(Arc<Mutex<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let bytes = Arc::default();
        let log = Log::new(Shared(Arc::clone(&bytes)));
        log.write(Level::Warn, "two\nlines", &serde_json::json!({"details": {"a": [1]}}));
        log.write(Level::Info, "nothing more", &Value::Null);
        let text = String::from_utf8(bytes.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["msg"], "two\nlines");
        assert_eq!(lines[0]["level"], "warn");
        assert_eq!(lines[0]["details"]["a"][0], 1);
        assert_eq!(lines[1]["msg"], "nothing more");
    }

    #[test]
    fn a_log_that_nobody_reads_stops_nothing() {
        let (reader, writer) = io::pipe().unwrap();
        let log = Log::in_background(writer).unwrap();
        let line = "x".repeat(100_000);
        for _ in 0..500 {
            log.write(Level::Info, &line, &Value::Null);
            let Out::Queue(queue) = &log.0 else { panic!() };
            assert!(queue.bytes() <= WAITING);
        }
        assert!(log.lost() > 400);
        let reading = thread::spawn(move || {
            use std::io::BufRead as _;
            io::BufReader::new(reader).lines().map(Result::unwrap).find(|line| line.contains("were lost"))
        });
        while !reading.is_finished() {
            log.write(Level::Info, "one more", &Value::Null);
            thread::sleep(Duration::from_millis(1));
        }
        assert!(reading.join().unwrap().is_some());
    }
}
