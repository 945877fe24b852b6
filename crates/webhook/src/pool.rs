//! The threads that reviews run on: few, with deep stacks, and with a queue that ends.
//!
//! Reviews never run on the threads that move bytes, so that a policy that works hard keeps no connection waiting.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;

/// Deep documents and policies are worked on recursively, within limits that fit into a quarter of this.
pub const STACK_BYTES: usize = 8 << 20;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that wait for work. They end when the pool is dropped.
#[derive(Clone, Debug)]
pub struct Pool(SyncSender<Job>);

/// Why a piece of work has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The queue is full.
    #[error("the webhook has more requests than it can judge; try again")]
    Overloaded,
    /// The work panicked.
    #[error("the review broke off; this is a defect of the webhook, whose log says more")]
    Panicked,
}

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// If the system gives no more threads.
    pub fn start(threads: usize, queue: usize) -> io::Result<Self> {
        let (sender, receiver) = sync_channel::<Job>(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads.max(1) {
            let receiver = Arc::clone(&receiver);
            thread::Builder::new()
                .name(format!("review-{number}"))
                .stack_size(STACK_BYTES)
                .spawn(move || work(&receiver))?;
        }
        Ok(Self(sender))
    }

    /// Does something on one of the threads. A panic in it is its result, and harms no other.
    ///
    /// # Errors
    ///
    /// [`Failure::Overloaded`] at once if the queue is full.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, Failure>>, Failure> {
        let (sender, receiver) = oneshot::channel();
        let job = move || {
            // Nobody waits any more: the deadline was before its turn.
            if sender.is_closed() {
                return;
            }
            let result = catch_unwind(AssertUnwindSafe(work)).map_err(|_| Failure::Panicked);
            // Who no longer waits has been answered.
            let _ = sender.send(result);
        };
        match self.0.try_send(Box::new(job)) {
            Ok(()) => Ok(receiver),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Failure::Overloaded),
        }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        // No job runs under the lock, so nothing can poison it.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_the_result_of_its_own_work_only() {
        let pool = Pool::start(1, 8).unwrap();
        let broken = pool.run(|| assert_eq!(1, 2, "on purpose")).unwrap();
        let sound = pool.run(|| 3).unwrap();
        assert_eq!(broken.blocking_recv(), Ok(Err(Failure::Panicked)));
        assert_eq!(sound.blocking_recv(), Ok(Ok(3)));
    }

    #[test]
    fn a_full_queue_takes_nothing_more() {
        let pool = Pool::start(1, 1).unwrap();
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let (began, begun) = std::sync::mpsc::channel::<()>();
        let first = pool
            .run(move || {
                began.send(()).unwrap();
                wait.recv().unwrap();
            })
            .unwrap();
        begun.recv().unwrap();
        let second = pool.run(|| ()).unwrap();
        assert_eq!(pool.run(|| ()).unwrap_err(), Failure::Overloaded);
        release.send(()).unwrap();
        assert_eq!(first.blocking_recv(), Ok(Ok(())));
        assert_eq!(second.blocking_recv(), Ok(Ok(())));
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
        let pool = Pool::start(1, 1).unwrap();
        // More than the 2 MiB that threads have by default.
        assert_eq!(pool.run(|| deep(1_500)).unwrap().blocking_recv(), Ok(Ok(1_500)));
    }
}
