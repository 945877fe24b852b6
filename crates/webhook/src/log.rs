//! The log: one JSON object per line, in the keys that Gatekeeper's log has, so that alerts on them keep working.

use std::fmt;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

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
pub struct Log(Arc<Mutex<dyn Write + Send>>);

impl Log {
    /// A log on some stream.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(out)))
    }

    /// Writes a line. `fields` is an object or null.
    pub fn write(&self, level: Level, msg: &str, fields: &Value) {
        self.write_lines(&Lines(encode(level, msg, fields)));
    }

    /// Writes lines.
    pub fn write_lines(&self, lines: &Lines) {
        if !lines.0.is_empty() {
            // In one piece, so that lines of several threads do not mix. A log that is gone must not stop the webhook.
            let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&lines.0);
        }
    }

    /// Waits, not for ever, until the lines are written.
    pub fn flush(&self) {
        // As above.
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).flush();
    }
}

/// A stream that is written to by a thread of its own: who reads the log too slowly, or not at all, must not stop reviews. Lines that
/// find no place are lost, and the log says how many.
#[derive(Debug)]
pub struct Background {
    sender: SyncSender<Entry>,
    lost: u64,
}

#[derive(Debug)]
enum Entry {
    Lines(Vec<u8>),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

impl Background {
    /// Pieces of one or more lines that may wait.
    const WAITING: usize = 4096;

    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// If the system gives no more threads.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(Self::WAITING);
        thread::Builder::new().name("log".to_owned()).spawn(move || copy(&receiver, out))?;
        Ok(Self { sender, lost: 0 })
    }

    fn put(&mut self, line: Vec<u8>) -> bool {
        match self.sender.try_send(Entry::Lines(line)) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

impl Write for Background {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lost > 0 {
            let fields = serde_json::json!({"lines": self.lost});
            if self.put(encode(
                Level::Warn,
                "lines of the log were lost: nobody reads it fast enough",
                &fields,
            )) {
                self.lost = 0;
            }
        }
        if !self.put(line.to_owned()) {
            self.lost += line.split_inclusive(|&byte| byte == b'\n').count() as u64;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        const PATIENCE: Duration = Duration::from_secs(1);
        let (written, wait) = sync_channel(1);
        if self.sender.try_send(Entry::Flush(written)).is_ok() {
            // If they are not written by then, nobody reads.
            let _ = wait.recv_timeout(PATIENCE);
        }
        Ok(())
    }
}

fn copy(entries: &Receiver<Entry>, mut out: impl Write) {
    while let Ok(entry) = entries.recv() {
        // A log that is gone must not stop the webhook, and who asked may no longer wait.
        let _ = match entry {
            Entry::Lines(line) => out.write_all(&line),
            Entry::Flush(written) => out.flush().and_then(|()| written.send(()).map_err(io::Error::other)),
        };
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
        let log = Log::new(Background::start(writer).unwrap());
        for _ in 0..20_000 {
            log.write(Level::Info, "a line of a log", &Value::Null);
        }
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
