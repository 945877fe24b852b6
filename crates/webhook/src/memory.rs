//! The memory of bodies, and the places of requests whose body is on its way.
//!
//! Bytes count when they have come, not when they are announced, and nobody waits for memory: who finds none left takes it from who
//! has held most of it for longest, or is refused itself. So a request of usual size finds room beside any number of large or slow
//! ones, and a sender that stops in the middle loses what it holds as soon as somebody needs it. Who is refused is answered all the
//! same, see [`crate::body`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use tokio::sync::Notify;

/// The connection that a request came over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What all requests share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Mutex<Book>>);

#[derive(Debug)]
struct Book {
    most_bytes: usize,
    most_arriving: usize,
    used: usize,
    next: u64,
    requests: BTreeMap<u64, Entry>,
    /// Requests whose body is on its way, by connection, each in the order in which they came.
    arriving: BTreeMap<ConnectionId, BTreeSet<u64>>,
    arriving_number: usize,
}

#[derive(Debug)]
struct Entry {
    connection: ConnectionId,
    stage: Stage,
    since: Instant,
    held: usize,
    slot: Arc<Slot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Arriving,
    /// It is complete, and waits for a thread.
    Waiting,
    /// It is worked on, or has lost what it held.
    Fixed,
}

/// What a request was asked to give up, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// Its bytes. The rest is still read, so that its sender sees the answer.
    Bytes,
    /// Its place as well: it is answered at once.
    Place,
}

#[derive(Debug, Default)]
struct Slot {
    content: Mutex<Content>,
    told: Notify,
}

#[derive(Debug)]
enum Content {
    Growing(Vec<u8>),
    Whole(Bytes),
    Gone(Eviction),
}

impl Default for Content {
    fn default() -> Self {
        Self::Growing(Vec::new())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How much somebody takes from others: bytes by time. Somebody new counts as well.
fn weight(held: usize, since: Instant, now: Instant) -> u128 {
    const NEW: Duration = Duration::from_millis(100);
    (now.saturating_duration_since(since) + NEW).as_millis() * held as u128
}

impl Memory {
    /// Room for some bytes of bodies, and for some requests whose body is on its way.
    #[must_use]
    pub fn new(most_bytes: usize, most_arriving: usize) -> Self {
        Self(Arc::new(Mutex::new(Book {
            most_bytes,
            most_arriving: most_arriving.max(1),
            used: 0,
            next: 0,
            requests: BTreeMap::new(),
            arriving: BTreeMap::new(),
            arriving_number: 0,
        })))
    }

    /// A request has come, of which nothing is known but its head. Should there be too many, the oldest of the connection that has most
    /// of them is answered.
    #[must_use]
    pub fn enter(&self, connection: ConnectionId) -> Holding {
        let slot = Arc::new(Slot::default());
        let mut book = lock(&self.0);
        let id = book.next;
        book.next += 1;
        let entry = Entry {
            connection,
            stage: Stage::Arriving,
            since: Instant::now(),
            held: 0,
            slot: Arc::clone(&slot),
        };
        book.requests.insert(id, entry);
        book.arriving.entry(connection).or_default().insert(id);
        book.arriving_number += 1;
        if book.arriving_number > book.most_arriving {
            let crowd = book.arriving.values().max_by_key(|requests| requests.len());
            if let Some(oldest) = crowd.and_then(|requests| requests.first().copied()) {
                book.evict(oldest, Eviction::Place);
            }
        }
        Holding { memory: self.clone(), id, slot }
    }

    /// Answers everything of a connection whose body is on its way: the connection has to go.
    pub fn leave(&self, connection: ConnectionId) {
        let mut book = lock(&self.0);
        let all: Vec<u64> = book.arriving.get(&connection).into_iter().flatten().copied().collect();
        for id in all {
            book.evict(id, Eviction::Place);
        }
    }

    /// Requests of a connection whose body is on its way.
    #[must_use]
    pub fn arriving(&self, connection: ConnectionId) -> usize {
        lock(&self.0).arriving.get(&connection).map_or(0, BTreeSet::len)
    }

    /// Bytes that are held.
    #[must_use]
    pub fn used(&self) -> usize {
        lock(&self.0).used
    }
}

impl Book {
    fn grow(&mut self, id: u64, more: usize) -> bool {
        let now = Instant::now();
        loop {
            let Some(asker) = self.requests.get(&id) else { return false };
            let wanted = asker.held.saturating_add(more);
            if self.used.saturating_add(more) <= self.most_bytes {
                if let Some(asker) = self.requests.get_mut(&id) {
                    asker.held = wanted;
                    self.used += more;
                }
                return true;
            }
            let own = weight(wanted, asker.since, now);
            match self.victim(id, wanted, own, now) {
                Some(victim) => self.evict(victim, Eviction::Bytes),
                None => return false,
            }
        }
    }

    /// Who has to give way to somebody: who takes more while its body is still coming; else, of what waits, the largest that came
    /// last, if it is much larger.
    fn victim(&self, id: u64, wanted: usize, own: u128, now: Instant) -> Option<u64> {
        let others = || self.requests.iter().filter(|(other, entry)| **other != id && entry.held > 0);
        let arriving = others()
            .filter(|(_, entry)| entry.stage == Stage::Arriving)
            .map(|(id, entry)| (weight(entry.held, entry.since, now), *id))
            .max();
        if let Some((_, victim)) = arriving.filter(|(weight, _)| *weight > own) {
            return Some(victim);
        }
        let waiting = others().filter(|(_, entry)| entry.stage == Stage::Waiting);
        let largest = waiting.map(|(id, entry)| (entry.held, *id)).max();
        largest.filter(|(held, _)| *held / 2 > wanted).map(|(_, victim)| victim)
    }

    fn evict(&mut self, id: u64, eviction: Eviction) {
        let Some(entry) = self.requests.get_mut(&id) else { return };
        let was = entry.stage;
        self.used = self.used.saturating_sub(std::mem::take(&mut entry.held));
        *lock(&entry.slot.content) = Content::Gone(eviction);
        if was == Stage::Waiting || eviction == Eviction::Place {
            entry.slot.told.notify_one();
        }
        // Whose bytes are gone is still read.
        if was == Stage::Waiting || eviction == Eviction::Place {
            self.set_stage(id, Stage::Fixed);
        }
    }

    fn set_stage(&mut self, id: u64, stage: Stage) {
        let Some(entry) = self.requests.get_mut(&id) else { return };
        let was = std::mem::replace(&mut entry.stage, stage);
        if was == Stage::Arriving && stage != Stage::Arriving {
            let connection = entry.connection;
            self.arriving_number = self.arriving_number.saturating_sub(1);
            if let Some(requests) = self.arriving.get_mut(&connection) {
                requests.remove(&id);
                if requests.is_empty() {
                    self.arriving.remove(&connection);
                }
            }
        }
    }
}

/// What one request holds, from its head to its answer or, if that comes first, to the end of what works on it.
#[derive(Debug)]
pub struct Holding {
    memory: Memory,
    id: u64,
    slot: Arc<Slot>,
}

impl Holding {
    /// Keeps bytes that have come. At most `most` are ever asked for.
    ///
    /// # Errors
    ///
    /// If there is no room for them, or what came before had to go. What was kept is gone then.
    pub fn push(&self, bytes: &[u8], most: usize) -> Result<(), Eviction> {
        const LEAST: usize = 1024;
        let mut content = lock(&self.slot.content);
        let body = match &mut *content {
            Content::Growing(body) => body,
            Content::Whole(_) => return Ok(()),
            Content::Gone(eviction) => return Err(*eviction),
        };
        let length = body.len().saturating_add(bytes.len());
        let room = body.capacity();
        if length > room {
            // Ahead of what is there, so that not every piece is a move; and not far ahead of it.
            let wanted = length.max(room + room / 2).max(LEAST).min(most.max(length));
            drop(content);
            let mut book = lock(&self.memory.0);
            if !book.grow(self.id, wanted - room) {
                book.evict(self.id, Eviction::Bytes);
                return Err(Eviction::Bytes);
            }
            drop(book);
            content = lock(&self.slot.content);
            match &mut *content {
                Content::Growing(body) => body.reserve_exact(wanted - body.len()),
                Content::Whole(_) => return Ok(()),
                Content::Gone(eviction) => return Err(*eviction),
            }
        }
        if let Content::Growing(body) = &mut *content {
            body.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Gives up what is held of a body that is still coming: it will not be judged.
    pub fn forget(&self) {
        lock(&self.memory.0).evict(self.id, Eviction::Bytes);
    }

    /// The body is complete.
    ///
    /// # Errors
    ///
    /// If it had to go.
    pub fn seal(&self) -> Result<(), Eviction> {
        let mut content = lock(&self.slot.content);
        match &mut *content {
            Content::Growing(body) => *content = Content::Whole(std::mem::take(body).into()),
            Content::Whole(_) => {}
            Content::Gone(eviction) => return Err(*eviction),
        }
        Ok(())
    }

    /// The body is complete, and waits for its turn: from now on it gives way only to what is much smaller.
    ///
    /// # Errors
    ///
    /// If it had to go.
    pub fn complete(&self) -> Result<(), Eviction> {
        let mut book = lock(&self.memory.0);
        self.seal()?;
        book.set_stage(self.id, Stage::Waiting);
        Ok(())
    }

    /// Takes the complete body to work on it. From now on it cannot be lost.
    #[must_use]
    pub fn take(&self) -> Option<Bytes> {
        let mut book = lock(&self.memory.0);
        let body = self.peek()?;
        book.set_stage(self.id, Stage::Fixed);
        Some(body)
    }

    /// The complete body, if it is still there. It is lost to others while somebody has it, so nobody should for long.
    #[must_use]
    pub fn peek(&self) -> Option<Bytes> {
        match &*lock(&self.slot.content) {
            Content::Whole(body) => Some(body.clone()),
            Content::Growing(_) | Content::Gone(_) => None,
        }
    }

    /// Gives up what is held, unless it is worked on: nobody waits for it any more.
    pub fn abandon(&self) {
        let mut book = lock(&self.memory.0);
        if book.requests.get(&self.id).is_some_and(|entry| entry.stage != Stage::Fixed) {
            book.evict(self.id, Eviction::Place);
        }
    }

    /// Waits until this request has to be answered so that others find room.
    pub async fn told(&self) {
        self.slot.told.notified().await;
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut book = lock(&self.memory.0);
        book.set_stage(self.id, Stage::Fixed);
        if let Some(entry) = book.requests.remove(&self.id) {
            book.used = book.used.saturating_sub(entry.held);
        }
    }
}

/// A number of bytes that is shared by what is short-lived, without an order among those who take of it.
#[derive(Clone)]
pub struct Share(Arc<Mutex<usize>>);

/// A part of a [`Share`]. It is given back when this is dropped.
#[derive(Debug)]
pub struct Part {
    share: Share,
    bytes: usize,
}

impl Share {
    /// So many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(bytes)))
    }

    /// Takes a part, if there is as much left.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Option<Part> {
        let mut left = lock(&self.0);
        *left = left.checked_sub(bytes)?;
        Some(Part { share: self.clone(), bytes })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        *lock(&self.share.0) += self.bytes;
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Share")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1 << 20;

    fn is_told(holding: &Holding) -> bool {
        let mut told = Box::pin(holding.told());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::future::Future::poll(told.as_mut(), &mut context).is_ready()
    }

    #[test]
    fn what_is_announced_holds_nothing_and_what_came_is_given_back() {
        let memory = Memory::new(10_000, 10);
        let one = memory.enter(ConnectionId(1));
        assert_eq!(memory.used(), 0);
        one.push(&[1; 3000], MOST).unwrap();
        one.push(&[2; 10], MOST).unwrap();
        assert!((3010..=4600).contains(&memory.used()), "{}", memory.used());
        one.complete().unwrap();
        assert_eq!(one.take().unwrap().len(), 3010);
        drop(one);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn a_small_one_finds_room_beside_large_ones_and_the_largest_gives_way() {
        let memory = Memory::new(100_000, 10);
        let (large, middle) = (memory.enter(ConnectionId(1)), memory.enter(ConnectionId(2)));
        large.push(&vec![0; 60_000], MOST).unwrap();
        middle.push(&vec![0; 39_000], MOST).unwrap();
        let small = memory.enter(ConnectionId(3));
        small.push(&[0; 4000], MOST).unwrap();
        // Its bytes are gone at once; its sender hears of it when the body has come.
        assert!(memory.used() < 50_000);
        assert_eq!(large.push(&[0; 1], MOST), Err(Eviction::Bytes));
        assert_eq!(large.complete(), Err(Eviction::Bytes));
        assert!(!is_told(&large));
        assert_eq!((middle.complete(), small.complete()), (Ok(()), Ok(())));
    }

    #[test]
    fn the_newest_of_equals_is_refused() {
        let memory = Memory::new(100_000, 10);
        let full: Vec<_> = (0..2).map(|number| memory.enter(ConnectionId(number))).collect();
        for holding in &full {
            holding.push(&vec![0; 50_000], 50_000).unwrap();
            holding.complete().unwrap();
        }
        let late = memory.enter(ConnectionId(9));
        assert_eq!(late.push(&vec![0; 50_000], MOST), Err(Eviction::Bytes));
        assert!(full.iter().all(|holding| holding.peek().is_some()));
        // One that is much smaller takes the room of what would come last, and that one is asked to give it up.
        let small = memory.enter(ConnectionId(10));
        small.push(&[0; 1000], MOST).unwrap();
        assert_eq!((full[0].peek().is_some(), full[1].peek().is_some()), (true, false));
        assert!(is_told(&full[1]) && !is_told(&full[0]));
    }

    #[test]
    fn what_is_worked_on_stays() {
        let memory = Memory::new(50_000, 10);
        let busy = memory.enter(ConnectionId(1));
        busy.push(&vec![0; 50_000], 50_000).unwrap();
        busy.complete().unwrap();
        let body = busy.take();
        busy.abandon();
        let small = memory.enter(ConnectionId(2));
        assert_eq!(small.push(&[0; 1000], MOST), Err(Eviction::Bytes));
        drop((busy, body));
        assert_eq!(small.push(&[0; 1000], MOST), Err(Eviction::Bytes), "it has lost its beginning");
        memory.enter(ConnectionId(2)).push(&[0; 1000], MOST).unwrap();
    }

    #[test]
    fn the_connection_with_most_requests_gives_up_its_oldest() {
        let memory = Memory::new(1000, 4);
        let lone = memory.enter(ConnectionId(1));
        let crowd: Vec<_> = (0..3).map(|_| memory.enter(ConnectionId(2))).collect();
        let new = memory.enter(ConnectionId(3));
        assert!(is_told(&crowd[0]) && !is_told(&crowd[1]) && !is_told(&lone) && !is_told(&new));
        assert_eq!(crowd[0].complete(), Err(Eviction::Place));
        // A connection that goes has all of its requests answered.
        memory.leave(ConnectionId(2));
        assert!(is_told(&crowd[1]) && is_told(&crowd[2]));
        drop((lone, crowd, new));
        let book = lock(&memory.0);
        assert_eq!((book.requests.len(), book.arriving.len(), book.arriving_number, book.used), (0, 0, 0, 0));
    }

    #[test]
    fn parts_are_given_back() {
        let share = Share::new(10);
        let part = share.take(8).unwrap();
        assert!(share.take(3).is_none());
        drop(part);
        assert!(share.take(10).is_some());
    }
}
