//! Items in, results out in the order of the items, worked on by all cores in bounded memory.
//!
//! ```text
//!            Budget: the reader waits here
//!                  v
//! Feed ── batches ──> bounded queue ──> workers ──> results, put into order ──> merge
//! (one thread)                         (n threads)                            (the caller's thread)
//! ```

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use portcullis::Gvk;
#[cfg(feature = "kube")]
use portcullis_cluster::Page;
use portcullis_report::Problem;

use crate::memory::{Budget, Ceiling, Turns};
use crate::source::Text;

/// Something to be worked on.
#[derive(Debug)]
pub enum Item {
    /// The text of a document of a file.
    Text {
        /// As messages call it.
        file: Arc<str>,
        /// The text and where it stands.
        text: Text,
    },
    /// An object of a page of a list.
    #[cfg(feature = "kube")]
    Listed {
        /// The page, shared by its objects.
        page: Arc<Page>,
        /// Which of them.
        index: usize,
    },
    /// An object or a part of a source that could not be read.
    Unread(Problem),
    /// A kind that could not be listed, or not to its end.
    FailedKind(Gvk, String),
}

impl Item {
    /// About how many bytes of memory it takes while it is worked on.
    fn weight(&self) -> u64 {
        match self {
            Self::Text { text, .. } => Ceiling::cost(&text.bytes),
            #[cfg(feature = "kube")]
            Self::Listed { page, index } => (page.object_bytes(*index) as u64 + 256) * Ceiling::FACTOR,
            Self::Unread(problem) => 1024 + problem.message.len() as u64,
            Self::FailedKind(_, why) => 1024 + why.len() as u64,
        }
    }
}

/// Where items come from, in an order that does not change.
pub trait Feed: Send {
    /// The next one.
    fn next_item(&mut self) -> Option<Item>;

    /// How many bytes were read so far.
    fn bytes(&self) -> u64;
}

/// What came of a batch.
pub trait Weighed {
    /// About how many bytes of memory it takes.
    fn weight(&self) -> u64;

    /// It is not the whole batch, because the work was stopped.
    fn is_cut(&self) -> bool;
}

/// How the work is done.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// How many threads judge.
    pub threads: usize,
    /// How much may be in work.
    pub budget: &'a Budget,
    /// Set from outside to end early.
    pub stop: &'a AtomicBool,
}

/// Deep documents and policies are worked on recursively, within limits that fit into a quarter of this.
const STACK_BYTES: usize = 8 << 20;
/// Items and bytes of a batch: enough that handing it over costs nothing beside the work.
const BATCH_ITEMS: usize = 64;
const BATCH_WEIGHT: u64 = 4 << 20;

struct Batch {
    number: u64,
    weight: u64,
    items: Vec<Item>,
}

/// What came of a batch, or of a part of one.
enum Done<R> {
    /// Something.
    Part(R),
    /// All of it, which took so much, or the work on it broke off.
    End { weight: u64, broke: bool },
}

/// What is done with a batch: what comes of it is handed to the second argument.
pub type Judging<'a, R> = &'a (dyn Fn(Vec<Item>, &mut dyn FnMut(R)) + Sync);

/// Works through a feed, to its end or until it is asked to stop. `judge` hands on what comes of a batch, in parts if it is much. Results
/// come in order; after one that is cut, none. An error of `merge` ends the work. Returns how many bytes the feed has read.
///
/// # Errors
///
/// Of `merge`, and if the system gives no threads.
pub fn run<R: Weighed + Send>(
    feed: &mut dyn Feed,
    work: Work<'_>,
    judge: Judging<'_, R>,
    mut merge: impl FnMut(R, u64) -> io::Result<()>,
) -> io::Result<u64> {
    let threads = work.threads.max(1);
    let (queue, jobs) = sync_channel::<Batch>(threads * 2);
    let (results, done) = channel::<(u64, Done<R>)>();
    // What comes of the work waits in a part of what the work may take.
    let turns = Turns::new(work.budget.most() / 4);
    let jobs = Mutex::new(jobs);
    // Set when nobody wants results any more.
    let ended = AtomicBool::new(false);
    let progress = std::sync::atomic::AtomicU64::new(0);
    thread::scope(|scope| {
        let builder = |name: String| thread::Builder::new().name(name).stack_size(STACK_BYTES);
        let (ended, progress, jobs, turns) = (&ended, &progress, &jobs, &turns);
        let mut started = Ok(());
        for number in 0..threads {
            let results = results.clone();
            let worker = move || work_off(work, jobs, &results, turns, judge);
            started = started.and(builder(format!("judge-{number}")).spawn_scoped(scope, worker).map(|_| ()));
        }
        drop(results);
        ended.store(started.is_err(), Ordering::Relaxed);
        let reader = move || {
            read(feed, work, queue, ended, progress);
            progress.load(Ordering::Relaxed)
        };
        let reader = builder("read".to_owned()).spawn_scoped(scope, reader);
        let mut merged = started;
        let mut waiting: BTreeMap<u64, Vec<Done<R>>> = BTreeMap::new();
        let mut next = 0;
        for (number, result) in done {
            waiting.entry(number).or_default().push(result);
            while let Some(results) = waiting.get_mut(&next) {
                let mut is_over = false;
                for result in results.drain(..) {
                    let freed = match result {
                        Done::Part(result) => {
                            let (freed, is_cut) = (result.weight(), result.is_cut());
                            if merged.is_ok() && !ended.load(Ordering::Relaxed) {
                                merged = merge(result, progress.load(Ordering::Relaxed));
                            }
                            ended.fetch_or(is_cut || merged.is_err(), Ordering::Relaxed);
                            turns.leave(next, freed);
                            freed
                        }
                        Done::End { weight, broke } => {
                            is_over = true;
                            if broke && merged.is_ok() && !ended.swap(true, Ordering::Relaxed) {
                                let text = "the work on a batch broke off: a defect of portcullis";
                                merged = Err(io::Error::other(text));
                            }
                            weight
                        }
                    };
                    work.budget.release(freed);
                }
                if !is_over {
                    break;
                }
                waiting.remove(&next);
                next += 1;
                turns.turn(next);
            }
        }
        let bytes = reader?.join().map_err(|_| io::Error::other("the thread that reads broke off"))?;
        merged.map(|()| bytes)
    })
}

fn read(
    feed: &mut dyn Feed,
    work: Work<'_>,
    queue: SyncSender<Batch>,
    ended: &AtomicBool,
    progress: &std::sync::atomic::AtomicU64,
) {
    let mut number = 0;
    let is_over = || work.stop.load(Ordering::Relaxed) || ended.load(Ordering::Relaxed);
    loop {
        let (mut items, mut weight) = (Vec::new(), 0);
        while items.len() < BATCH_ITEMS && weight < BATCH_WEIGHT && !is_over() {
            let Some(item) = feed.next_item() else { break };
            weight += item.weight();
            items.push(item);
        }
        progress.store(feed.bytes(), Ordering::Relaxed);
        if items.is_empty() {
            return;
        }
        work.budget.take(weight);
        if queue.send(Batch { number, weight, items }).is_err() {
            return;
        }
        number += 1;
    }
}

fn work_off<R: Weighed>(
    work: Work<'_>,
    jobs: &Mutex<Receiver<Batch>>,
    results: &Sender<(u64, Done<R>)>,
    turns: &Turns,
    judge: Judging<'_, R>,
) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Batch { number, weight, items }) = job else { return };
        let mut hand_on = |result: R| {
            let bytes = result.weight();
            turns.enter(number, bytes);
            work.budget.charge(bytes);
            // Who does not want it any more has ended.
            let _ = results.send((number, Done::Part(result)));
        };
        // A batch that never comes back would be waited for.
        let broke = catch_unwind(AssertUnwindSafe(|| judge(items, &mut hand_on))).is_err();
        if results.send((number, Done::End { weight, broke })).is_err() {
            return;
        }
    }
}
