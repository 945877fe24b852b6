//! The loop: one thread reads messages, one does what takes longer, and this one answers.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use lsp_server::Message;

use crate::checks::Checks;
use crate::framing::{self, Read};
use crate::jobs::{Job, Report};
use crate::session::Session;

/// How long nobody writes before all is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// Most messages that wait: the rest waits in the stream.
const MOST_WAITING: usize = 256;

/// Parsers work recursively, within limits that fit into a quarter of this.
const STACK_BYTES: usize = 8 << 20;

/// Something that happens.
#[derive(Debug)]
enum Event {
    Message(Box<Message>),
    NoMessage(String),
    /// The stream ended, perhaps because of something.
    End(Option<String>),
    Report(Box<Report>),
}

/// Serves one editor on two streams, to the end, which is its exit code.
///
/// # Errors
///
/// If messages cannot be written, or a thread cannot be started.
pub fn serve(
    from: impl BufRead + Send + 'static,
    to: impl Write + Send + 'static,
    checks: Arc<dyn Checks>,
) -> std::io::Result<i32> {
    let (events, happening) = sync_channel(MOST_WAITING);
    let reading = events.clone();
    // It may wait for a stream that never ends, and is not waited for.
    thread::Builder::new().name("messages".to_owned()).spawn(move || read(from, &reading))?;
    let (jobs, waiting) = channel();
    let worker = checks.clone();
    thread::Builder::new().name("checks".to_owned()).stack_size(STACK_BYTES).spawn(move || {
        work(&waiting, &events, worker.as_ref());
    })?;
    let serving = thread::Builder::new()
        .name("server".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || answer(&happening, &jobs, to, checks))?;
    serving.join().unwrap_or(Ok(1))
}

fn read(mut from: impl BufRead, events: &SyncSender<Event>) {
    loop {
        let event = match framing::read(&mut from) {
            Ok(Read::Message(message)) => Event::Message(Box::new(message)),
            Ok(Read::NoMessage(why)) => Event::NoMessage(why),
            Ok(Read::End) => Event::End(None),
            Err(error) => Event::End(Some(error.to_string())),
        };
        let is_end = matches!(event, Event::End(_));
        if events.send(event).is_err() || is_end {
            return;
        }
    }
}

fn work(waiting: &Receiver<Job>, events: &SyncSender<Event>, checks: &dyn Checks) {
    while let Ok(job) = waiting.recv() {
        if events.send(Event::Report(Box::new(job.run(checks)))).is_err() {
            return;
        }
    }
}

fn answer(
    happening: &Receiver<Event>,
    jobs: &Sender<Job>,
    mut to: impl Write,
    checks: Arc<dyn Checks>,
) -> std::io::Result<i32> {
    let mut session = Session::new(checks);
    let mut is_over = false;
    // One thing is done at a time: what waits may be cancelled, or known before it is its turn.
    let mut is_busy = false;
    // Since when nothing changed, and until when that is waited for.
    let (mut changes, mut due) = (0, Instant::now());
    loop {
        if session.changes() != changes {
            (changes, due) = (session.changes(), Instant::now() + PAUSE);
        }
        let next = if session.is_stale() && !is_busy {
            match happening.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(1),
            }
        } else {
            match happening.recv() {
                Ok(event) => Some(event),
                Err(_) => return Ok(1),
            }
        };
        // All that has come, before any text is looked at.
        for event in next.into_iter().chain(happening.try_iter().take(MOST_WAITING)) {
            match event {
                Event::Message(message) => session.message(*message),
                Event::NoMessage(why) => session.log(&why),
                Event::End(why) => {
                    if let Some(why) = why {
                        session.log(&why);
                    }
                    is_over = true;
                }
                Event::Report(report) => {
                    is_busy = false;
                    session.report(*report);
                }
            }
            if session.ended().is_some() {
                break;
            }
        }
        if session.ended().is_none() {
            session.settle();
        }
        if !is_busy && session.ended().is_none() {
            let is_due = session.is_stale() && session.changes() == changes && Instant::now() >= due;
            let job = if is_due { Some(session.look()) } else { session.next_job() };
            is_busy = job.is_some();
            // Its thread ends when this one does.
            job.map(|job| jobs.send(job));
        }
        for message in session.take_messages() {
            framing::write(&message, &mut to)?;
        }
        to.flush()?;
        if let Some(code) = session.ended() {
            return Ok(code);
        }
        if is_over {
            // As if it had said `exit` without `shutdown`.
            return Ok(1);
        }
    }
}
