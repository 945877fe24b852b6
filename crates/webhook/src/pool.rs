//! The threads that reviews run on: few, with deep stacks, and with a queue that ends.
//!
//! Reviews never run on the threads that move bytes, so that a policy that works hard keeps no connection waiting. Work says how much
//! memory it takes, and begins when there is as much. What takes little goes before what takes much, unless that has waited for longer,
//! and one thread works on nothing else: a few large requests do not hold up the small ones.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Deep documents and policies are worked on recursively, within limits that fit into a quarter of this.
pub const STACK_BYTES: usize = 8 << 20;

/// What takes at most this is small: usual requests take a tenth of it.
pub const SMALL_BYTES: usize = 1 << 20;

/// Threads that wait for work. They end when the pool is dropped.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Handle>);

/// How large a pool is.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Threads that do any work; there is one more for what is small.
    pub threads: usize,
    /// Pieces of work that may wait.
    pub queue: usize,
    /// Bytes that all work may take together.
    pub memory: usize,
    /// Bytes that each piece may take besides what it says.
    pub each: usize,
}

/// Why a piece of work has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The queue is full.
    #[error("the webhook has more requests than it can judge; try again")]
    Overloaded,
    /// It takes more than there is.
    #[error(
        "the request is made of so many parts that it takes more memory to judge it than `--max-review-memory` allows"
    )]
    TooLarge,
    /// The work panicked.
    #[error("the review broke off; this is a defect of the webhook, whose log says more")]
    Panicked,
    /// It was given up before its turn.
    #[error("the review was given up before its turn")]
    GivenUp,
}

#[derive(Debug)]
struct Handle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    terms: Terms,
    start: Instant,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    small: BTreeMap<Turn, Job>,
    large: BTreeMap<Turn, Job>,
    /// Bytes that running work takes.
    used: usize,
    next: u64,
    is_over: bool,
}

/// When somebody's turn is: the time when it came, and a while that depends on what it takes. Then the order in which they came.
type Turn = (Duration, u64);

struct Job {
    bytes: usize,
    work: Box<dyn FnOnce() + Send>,
    /// Nobody waits any more if nothing is behind it: the deadline was before its turn.
    waited_for: Weak<()>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// The result of work, when it has ended. To drop it is to give the work up, unless it has begun.
#[derive(Debug)]
pub struct Pending<T> {
    result: oneshot::Receiver<Result<T, Failure>>,
    _waits: Arc<()>,
}

impl<T> Future for Pending<T> {
    type Output = Result<T, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.result).poll(context).map(|result| result.unwrap_or(Err(Failure::GivenUp)))
    }
}

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// If the system gives no more threads.
    pub fn start(terms: Terms) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            terms: Terms { threads: terms.threads.max(1), ..terms },
            start: Instant::now(),
            queue: Mutex::default(),
            changed: Condvar::new(),
        });
        let handle = Handle(Arc::clone(&shared));
        for number in 0..=shared.terms.threads {
            let takes = if number == 0 { Takes::Small } else { Takes::Any };
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name(format!("review-{number}"))
                .stack_size(STACK_BYTES)
                .spawn(move || shared.work(takes))?;
        }
        Ok(Self(Arc::new(handle)))
    }

    /// The threads that work, all of them.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.0.0.terms.threads + 1
    }

    /// Does something that takes about so many bytes on one of the threads. A panic in it is its result, and harms no other.
    ///
    /// # Errors
    ///
    /// [`Failure::Overloaded`] at once if the queue is full, [`Failure::TooLarge`] if its turn would never come.
    pub fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Pending<T>, Failure> {
        let shared = &self.0.0;
        let claim = bytes.saturating_add(shared.terms.each);
        if claim > shared.most(Takes::Any) && bytes > SMALL_BYTES {
            return Err(Failure::TooLarge);
        }
        let (sender, result) = oneshot::channel();
        let waits = Arc::new(());
        let work = move || {
            let result = catch_unwind(AssertUnwindSafe(work)).map_err(|_| Failure::Panicked);
            // Who no longer waits has been answered.
            let _ = sender.send(result);
        };
        let job = Job { bytes: claim, work: Box::new(work), waited_for: Arc::downgrade(&waits) };
        shared.put(bytes, job)?;
        Ok(Pending { result, _waits: waits })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Small,
    Any,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No job runs under the lock, so nothing can poison it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes that work on such a thread may take: something is left for what is small.
    fn most(&self, takes: Takes) -> usize {
        let reserve = self.terms.each.saturating_add(SMALL_BYTES);
        match takes {
            Takes::Small => self.terms.memory,
            Takes::Any => self.terms.memory.saturating_sub(reserve),
        }
    }

    fn put(&self, bytes: usize, job: Job) -> Result<(), Failure> {
        /// What takes as much as this waits for a second longer.
        const BYTES_PER_SECOND: f64 = (64 << 20) as f64;
        let mut queue = self.lock();
        if queue.small.len() + queue.large.len() >= self.terms.queue {
            queue.forget_given_up();
        }
        if queue.small.len() + queue.large.len() >= self.terms.queue {
            return Err(Failure::Overloaded);
        }
        #[expect(clippy::cast_precision_loss, reason = "it is an estimate")]
        let later = Duration::from_secs_f64(bytes as f64 / BYTES_PER_SECOND);
        let turn = (self.start.elapsed().saturating_add(later), queue.next);
        queue.next += 1;
        let line = if bytes > SMALL_BYTES { &mut queue.large } else { &mut queue.small };
        line.insert(turn, job);
        drop(queue);
        // Not every thread takes everything.
        self.changed.notify_all();
        Ok(())
    }

    fn work(&self, takes: Takes) {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.next(takes, self.most(takes)) {
                let Job { bytes, work, waited_for } = job;
                if waited_for.strong_count() == 0 {
                    continue;
                }
                queue.used += bytes;
                drop(queue);
                work();
                queue = self.lock();
                queue.used -= bytes;
                self.changed.notify_all();
            } else if queue.is_over {
                return;
            } else {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl Queue {
    /// The work whose turn it is, if there is room for it. Who is first is waited for: work that takes much would never begin otherwise.
    fn next(&mut self, takes: Takes, most: usize) -> Option<Job> {
        let small = self.small.first_key_value().map(|(turn, job)| (*turn, job.bytes));
        let large = self.large.first_key_value().map(|(turn, job)| (*turn, job.bytes));
        let large = large.filter(|_| takes == Takes::Any);
        let is_small = match (small, large) {
            (Some((small, _)), Some((large, _))) => small < large,
            (small, _) => small.is_some(),
        };
        let (_, bytes) = if is_small { small } else { large }?;
        // What runs alone may always run.
        if self.used > 0 && self.used.saturating_add(bytes) > most {
            return None;
        }
        let line = if is_small { &mut self.small } else { &mut self.large };
        line.pop_first().map(|(_, job)| job)
    }

    fn forget_given_up(&mut self) {
        self.small.retain(|_, job| job.waited_for.strong_count() > 0);
        self.large.retain(|_, job| job.waited_for.strong_count() > 0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn start(threads: usize, queue: usize) -> Pool {
        Pool::start(Terms { threads, queue, memory: 100 << 20, each: 0 }).unwrap()
    }

    fn wait<T>(pending: Pending<T>) -> Result<T, Failure> {
        pending.result.blocking_recv().unwrap_or(Err(Failure::GivenUp))
    }

    /// Keeps threads busy until what is returned is dropped.
    fn occupy(pool: &Pool, threads: usize, bytes: usize) -> (mpsc::Sender<()>, Vec<Pending<()>>) {
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let (began, begun) = mpsc::channel();
        let work = (0..threads).map(|_| {
            let (held, began) = (Arc::clone(&held), began.clone());
            let work = move || {
                began.send(()).unwrap();
                let _ = held.lock().unwrap().recv();
            };
            let work = pool.run(bytes, work).unwrap();
            begun.recv().unwrap();
            work
        });
        let work = work.collect();
        (release, work)
    }

    #[test]
    fn a_panic_is_the_result_of_its_own_work_only() {
        let pool = start(1, 8);
        let broken = pool.run(0, || assert_eq!(1, 2, "on purpose")).unwrap();
        let sound = pool.run(0, || 3).unwrap();
        assert_eq!(wait(broken), Err(Failure::Panicked));
        assert_eq!(wait(sound), Ok(3));
    }

    #[test]
    fn a_full_queue_takes_nothing_more_unless_somebody_gave_up() {
        let pool = start(1, 1);
        let (release, busy) = occupy(&pool, 2, 0);
        let second = pool.run(0, || ()).unwrap();
        assert_eq!(pool.run(0, || ()).unwrap_err(), Failure::Overloaded);
        drop(second);
        let third = pool.run(0, || 3).unwrap();
        drop(release);
        for work in busy {
            assert_eq!(wait(work), Ok(()));
        }
        assert_eq!(wait(third), Ok(3));
    }

    #[test]
    fn large_work_leaves_a_thread_and_memory_to_what_is_small() {
        let pool = start(2, 100);
        let (release, large) = occupy(&pool, 1, 60 << 20);
        // There is a thread for it, but no memory.
        let waiting = pool.run(60 << 20, || ()).unwrap();
        for number in 0..10 {
            assert_eq!(wait(pool.run(1000, move || number).unwrap()), Ok(number));
        }
        assert_eq!(pool.run(100 << 20, || ()).unwrap_err(), Failure::TooLarge);
        drop(release);
        for work in large.into_iter().chain([waiting]) {
            assert_eq!(wait(work), Ok(()));
        }
    }

    #[test]
    fn whose_turn_it_is_depends_on_what_it_takes_and_on_how_long_it_waited() {
        let mut queue = Queue::default();
        let job = |bytes| Job { bytes, work: Box::new(|| ()), waited_for: Weak::new() };
        let at = Duration::from_secs;
        queue.large.insert((at(3), 0), job(50));
        queue.small.insert((at(2), 1), job(1));
        queue.small.insert((at(4), 2), job(2));
        let mut next = |takes, most| queue.next(takes, most).map(|job| job.bytes);
        assert_eq!(next(Takes::Any, 100), Some(1));
        assert_eq!(next(Takes::Small, 100), Some(2));
        assert_eq!(next(Takes::Small, 100), None);
        assert_eq!(next(Takes::Any, 10), Some(50), "it runs alone");
        queue.used = 60;
        queue.large.insert((at(5), 3), job(50));
        queue.small.insert((at(6), 4), job(3));
        let mut next = |takes, most| queue.next(takes, most).map(|job| job.bytes);
        assert_eq!(next(Takes::Any, 100), None, "it waits until there is room");
        assert_eq!(next(Takes::Small, 100), Some(3));
    }

    #[test]
    fn stacks_are_deep() {
        fn deep(levels: usize) -> usize {
            let frame = std::hint::black_box([levels; 64]);
            if levels == 0 {
                frame[0]
            } else {
                deep(levels - 1) + std::hint::black_box(frame)[1] - levels + 1
            }
        }
        let pool = start(1, 1);
        // More than the 2 MiB that threads have by default.
        assert_eq!(wait(pool.run(0, || deep(1_500)).unwrap()), Ok(1_500));
    }
}
