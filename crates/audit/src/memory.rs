//! The ceiling: how much may be in work at once, and how much the process has taken.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};

use portcullis::Limits;

/// How the ceiling of an audit is divided. All of it follows from the ceiling alone, so that which documents are too large does not
/// depend on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling(u64);

impl Ceiling {
    /// The least that an audit can work with.
    pub const LEAST: u64 = 64 << 20;
    /// What the largest document costs while it is judged, in bytes per byte of its text: value, positions and what policies make of
    /// it.
    pub const FACTOR: u64 = 16;

    /// What a text costs while it is judged, in bytes: it may have as many scalars, lists and objects as it has characters that can
    /// begin one. Cost: one look at every byte.
    pub fn cost(text: &[u8]) -> u64 {
        /// What one costs: its value, its key, its position, and the empty places that come with them.
        const NODE: u64 = 128;
        /// Text, the copy that positions point into, and what reading it takes.
        const BYTE: u64 = 4;
        let begins = |byte: &&u8| matches!(byte, b',' | b':' | b'[' | b'{' | b'-' | b'?' | b'\n');
        let nodes = text.iter().filter(begins).count() as u64;
        (text.len() as u64 + 1024) * BYTE + nodes * NODE
    }

    /// At least [`Ceiling::LEAST`].
    pub fn new(bytes: u64) -> Self {
        Self(bytes.max(Self::LEAST))
    }

    /// All of it.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// What documents in work may take together: the rest is for the program, its policies and its outputs, and for the inventory.
    pub const fn work(self) -> u64 {
        self.0 / 4
    }

    /// What the inventory may take.
    pub const fn inventory(self) -> u64 {
        self.0 / 2
    }

    /// What all indexes over the inventory may take together.
    pub const fn indexes(self) -> u64 {
        self.0 / 8
    }

    /// Most bytes of one document.
    pub fn document(self) -> usize {
        usize::try_from(self.work() / Self::FACTOR).unwrap_or(usize::MAX)
    }

    /// Most bytes of what was unpacked before that unpacking goes back to. Zstandard's usual levels need eight mebibytes at most.
    pub const fn window(self) -> u64 {
        self.0 / 8
    }

    /// What one text may have, so that reading it stays within what a document may cost.
    pub fn reading(self) -> Limits {
        /// Bytes of text per scalar, list or object: manifests have more than twenty.
        const BYTES_PER_NODE: usize = 12;
        let default = Limits::default();
        let nodes = (self.document() / BYTES_PER_NODE).min(default.nodes);
        Limits { source_bytes: usize::MAX, nodes, alias_nodes: default.alias_nodes.min(nodes), ..default }
    }

    /// Most bytes of what is counted by namespace and by kind, together with where findings are.
    pub const fn totals(self) -> u64 {
        self.0 / 16
    }

    /// Most bytes of the findings of one object. Those of a constraint that has more are one finding that says so.
    pub const fn findings(self) -> u64 {
        self.0 / 32
    }

    /// So many bytes of what came of objects are handed on together.
    pub const fn part(self) -> u64 {
        self.0 / 64
    }

    /// What one evaluation may use when it is one of many; what needs more is evaluated once more, alone.
    pub const fn evaluation(self) -> u64 {
        self.0 / 64
    }

    /// Most bytes of what is remembered of every object, to notice one that comes twice.
    pub const fn names(self) -> u64 {
        self.0 / 16
    }
}

/// Bytes of work that may be under way at once. The reader waits; judges never do, so that it always ends.
#[derive(Debug)]
pub struct Budget {
    used: Mutex<u64>,
    freed: Condvar,
    most: u64,
}

impl Budget {
    /// So many bytes.
    pub const fn new(most: u64) -> Self {
        Self { used: Mutex::new(0), freed: Condvar::new(), most }
    }

    /// Waits until so many bytes are free. More than there are altogether are free when nothing else is under way.
    pub fn take(&self, bytes: u64) {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |used: &mut u64| *used > 0 && used.saturating_add(bytes) > self.most;
        let mut used = self.freed.wait_while(used, is_full).unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_add(bytes);
    }

    /// Counts bytes that are used already.
    pub fn charge(&self, bytes: u64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_add(bytes);
    }

    /// Most bytes.
    pub const fn most(&self) -> u64 {
        self.most
    }

    /// Frees bytes.
    pub fn release(&self, bytes: u64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_sub(bytes);
        self.freed.notify_all();
    }
}

/// Keeps what waits to be put into order within so many bytes. The thread with the batch that comes next waits only for what puts it into
/// order; all others wait until there is room or it is their turn. So it always goes on.
#[derive(Debug)]
pub struct Turns {
    state: Mutex<Waiting>,
    changed: Condvar,
    most: u64,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The batch that comes next.
    next: u64,
    /// Bytes of each batch that wait, and of all.
    of: BTreeMap<u64, u64>,
    all: u64,
}

impl Turns {
    /// So many bytes.
    pub const fn new(most: u64) -> Self {
        let state = Waiting { next: 0, of: BTreeMap::new(), all: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new(), most }
    }

    /// Waits until so many bytes of a batch may wait.
    pub fn enter(&self, batch: u64, bytes: u64) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |state: &mut Waiting| {
            let there =
                if batch <= state.next { state.of.get(&batch).copied().unwrap_or(0) } else { state.all };
            there > 0 && there.saturating_add(bytes) > self.most
        };
        let mut state = self.changed.wait_while(state, is_full).unwrap_or_else(PoisonError::into_inner);
        *state.of.entry(batch).or_default() += bytes;
        state.all += bytes;
    }

    /// They wait no longer.
    pub fn leave(&self, batch: u64, bytes: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.all = state.all.saturating_sub(bytes);
        if let Some(of) = state.of.get_mut(&batch) {
            *of = of.saturating_sub(bytes);
        }
        self.changed.notify_all();
    }

    /// Another batch comes next.
    pub fn turn(&self, next: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.next = next;
        state.of = state.of.split_off(&next);
        self.changed.notify_all();
    }
}

/// What the process has taken of the machine's memory, in bytes, if the system says.
pub fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn turns_keep_what_waits_small_and_always_go_on() {
        let turns = Turns::new(10);
        let (waits, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for batch in 0..8 {
                let (turns, waits, peak, send) = (&turns, &waits, &peak, send.clone());
                scope.spawn(move || {
                    for part in 0..50 {
                        turns.enter(batch, 3);
                        peak.fetch_max(waits.fetch_add(3, Ordering::SeqCst) + 3, Ordering::SeqCst);
                        send.send((batch, Some(part))).unwrap_or_default();
                    }
                    send.send((batch, None)).unwrap_or_default();
                });
            }
            drop(send);
            let (mut next, mut held) = (0, BTreeMap::<u64, Vec<Option<u32>>>::new());
            let mut order = Vec::new();
            for (batch, part) in receive {
                held.entry(batch).or_default().push(part);
                while let Some(parts) = held.get_mut(&next) {
                    let mut ended = false;
                    for part in parts.drain(..) {
                        match part {
                            Some(part) => {
                                order.push((next, part));
                                waits.fetch_sub(3, Ordering::SeqCst);
                                turns.leave(next, 3);
                            }
                            None => ended = true,
                        }
                    }
                    if !ended {
                        break;
                    }
                    next += 1;
                    turns.turn(next);
                }
            }
            let expected: Vec<_> = (0..8).flat_map(|batch| (0..50).map(move |part| (batch, part))).collect();
            assert_eq!(order, expected);
        });
        // As much as may wait, and as much of the batch whose turn it is.
        assert!(peak.into_inner() <= 20);
    }
}
