//! Lines on their way from those who must not wait to a thread that writes them: bounded in bytes. What finds no place is counted.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a line takes besides its text.
const OVERHEAD: usize = 64;
/// Bytes that are taken at once, so that what is written is soon free for others.
const BATCH: usize = 64 << 10;

/// The queue.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    most: usize,
    /// Something is in it, or was asked for.
    changed: Condvar,
    /// It is empty, and everything is written.
    idle: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<Box<[u8]>>,
    /// Of what waits and of what is being written.
    bytes: usize,
    /// Of what is being written.
    in_work: usize,
    is_writing: bool,
    is_asked: bool,
    is_closed: bool,
    lost: u64,
}

/// What the writer has to do.
#[derive(Debug, Default)]
pub struct Batch {
    /// Pieces of one or more lines.
    pub pieces: Vec<Box<[u8]>>,
    /// Somebody called [`Queue::ask`] since the last batch.
    pub is_asked: bool,
    /// Lines that were lost since the start.
    pub lost: u64,
    /// Nothing more will come.
    pub is_last: bool,
}

impl Queue {
    /// A queue of so many bytes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { state: Mutex::default(), most, changed: Condvar::new(), idle: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody panics while it is locked; what was in it would be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts lines in, if there is room. Never waits for the writer.
    pub fn put(&self, lines: Vec<u8>) {
        let lines = lines.into_boxed_slice();
        let mut state = self.lock();
        let bytes = state.bytes.saturating_add(weight(&lines));
        if bytes > self.most {
            state.lost += count(&lines);
        } else {
            state.bytes = bytes;
            state.pieces.push_back(lines);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// For the writer: waits until there are lines, at most so long, and returns whether there are.
    pub fn wait(&self, patience: Duration) -> bool {
        let has_nothing = |state: &mut State| state.pieces.is_empty() && !state.is_closed;
        let woken = self.changed.wait_timeout_while(self.lock(), patience, has_nothing);
        !woken.unwrap_or_else(PoisonError::into_inner).0.pieces.is_empty()
    }

    /// For the writer: waits for something to do, at most so long. What it took before counts as written.
    pub fn take(&self, patience: Duration) -> Batch {
        let mut state = self.lock();
        state.is_writing = false;
        state.bytes = state.bytes.saturating_sub(std::mem::take(&mut state.in_work));
        if state.pieces.is_empty() {
            self.idle.notify_all();
            let has_nothing =
                |state: &mut State| state.pieces.is_empty() && !state.is_asked && !state.is_closed;
            let woken = self.changed.wait_timeout_while(state, patience, has_nothing);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut batch = Batch {
            is_asked: std::mem::take(&mut state.is_asked),
            lost: state.lost,
            is_last: state.is_closed && state.pieces.is_empty(),
            pieces: Vec::new(),
        };
        while state.in_work < BATCH
            && let Some(piece) = state.pieces.pop_front()
        {
            state.in_work += weight(&piece);
            batch.pieces.push(piece);
        }
        state.is_writing = !batch.pieces.is_empty() || batch.is_asked;
        batch
    }

    /// For the writer: lines that it could not write.
    pub fn lose(&self, lines: u64) -> u64 {
        let mut state = self.lock();
        state.lost += lines;
        state.lost
    }

    /// Wakes the writer for something else.
    pub fn ask(&self) {
        self.lock().is_asked = true;
        self.changed.notify_one();
    }

    /// Nothing more will be put in.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Lines that were lost since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lock().lost
    }

    /// Bytes that wait or are being written.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Waits until everything is written, at most so long.
    pub fn flush(&self, patience: Duration) {
        let is_busy = |state: &mut State| state.is_writing || !state.pieces.is_empty();
        // What is not written by then never is.
        let _ = self.idle.wait_timeout_while(self.lock(), patience, is_busy);
    }
}

fn weight(piece: &[u8]) -> usize {
    piece.len() + OVERHEAD
}

/// Lines in a piece.
#[must_use]
pub fn count(piece: &[u8]) -> u64 {
    piece.split_inclusive(|&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn it_is_bounded_in_bytes_with_what_is_being_written() {
        let queue = Queue::new(10 * 1000);
        for _ in 0..100 {
            queue.put(vec![b'x'; 1000 - OVERHEAD]);
            assert!(queue.bytes() <= 10 * 1000);
        }
        assert_eq!((queue.lost(), queue.bytes()), (90, 10_000));
        let batch = queue.take(NOW);
        assert_eq!(batch.pieces.len(), 10);
        // It is still in memory.
        queue.put(b"two\nlines\n".to_vec());
        assert_eq!(queue.lost(), 92);
        drop(batch);
        let batch = queue.take(NOW);
        assert_eq!((batch.pieces.len(), batch.lost), (0, 92));
        queue.put(b"fits\n".to_vec());
        assert_eq!(queue.take(NOW).pieces.len(), 1);
        // Nothing is larger than all of it.
        queue.put(vec![b'x'; 20_000]);
        assert_eq!(queue.take(NOW).pieces.len(), 0);
        assert_eq!(queue.lost(), 93);
        queue.ask();
        assert!(queue.take(NOW).is_asked && !queue.take(NOW).is_asked);
        queue.close();
        assert!(queue.take(NOW).is_last);
    }
}
