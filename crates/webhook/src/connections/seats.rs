//! Who may be connected. Nobody keeps others out by doing nothing: who is in a handshake has a seat only among those who are as well,
//! and who has rested longest makes room for who comes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::memory::{ConnectionId, Memory};

/// How long a connection may ask for nothing.
#[derive(Clone, Copy, Debug)]
pub struct Rest {
    /// From its handshake to the end of the head of its first request.
    pub first: Duration,
    /// Between two requests.
    pub between: Duration,
}

/// API servers close theirs after 90 seconds. Who closes first does so without a request on its way, so the server must not be the one.
impl Default for Rest {
    fn default() -> Self {
        Self { first: Duration::from_secs(30), between: Duration::from_mins(3) }
    }
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// That have no handshake yet.
    pub shaking: usize,
    /// That may ask for something.
    pub open: usize,
    /// That were asked to end, and have a moment for their answers.
    pub leaving: usize,
}

/// The seats. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Seats(Arc<Mutex<Book>>);

#[derive(Debug)]
struct Book {
    most: Most,
    next: u64,
    /// Without a word so far.
    silent: BTreeMap<u64, Arc<Control>>,
    shaking: BTreeMap<u64, Arc<Control>>,
    open: BTreeMap<u64, Arc<Control>>,
    /// In the order in which they were asked to.
    leaving: VecDeque<(u64, Arc<Control>)>,
}

/// What a connection is asked to do, and what it does.
#[derive(Debug)]
pub(super) struct Control {
    order: AtomicU8,
    told: Notify,
    start: Instant,
    /// Requests that are worked on.
    running: AtomicUsize,
    /// Milliseconds from the start to the end of the handshake or, if there was one, the last answer.
    last: AtomicU64,
    has_asked: AtomicU8,
}

/// What a connection is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    Stay,
    /// Answer what has come, and end.
    Leave,
    /// End.
    Cut,
}

impl Control {
    fn new() -> Self {
        Self {
            order: AtomicU8::new(0),
            told: Notify::new(),
            start: Instant::now(),
            running: AtomicUsize::new(0),
            last: AtomicU64::new(0),
            has_asked: AtomicU8::new(0),
        }
    }

    fn tell(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::SeqCst);
        self.told.notify_one();
    }

    /// Waits until it is asked for more than this.
    pub(super) async fn told(&self, beyond: Order) -> Order {
        loop {
            match self.order.load(Ordering::SeqCst) {
                2 if beyond < Order::Cut => return Order::Cut,
                1 if beyond < Order::Leave => return Order::Leave,
                _ => self.told.notified().await,
            }
        }
    }

    fn is_busy(&self) -> bool {
        self.running.load(Ordering::SeqCst) > 0
    }

    fn touch(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis, Ordering::SeqCst);
    }

    pub(super) fn began(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
        self.has_asked.store(1, Ordering::SeqCst);
    }

    pub(super) fn has_asked(&self) -> bool {
        self.has_asked.load(Ordering::SeqCst) != 0
    }

    pub(super) fn ended(&self) {
        self.touch();
        self.running.fetch_sub(1, Ordering::SeqCst);
    }

    fn rests_since(&self) -> Instant {
        self.start + Duration::from_millis(self.last.load(Ordering::SeqCst))
    }

    /// When it has rested for too long, as it looks now.
    pub(super) fn end(&self, rest: Rest) -> Instant {
        if self.is_busy() {
            return Instant::now() + rest.between;
        }
        let patience = if self.has_asked() { rest.between } else { rest.first };
        self.rests_since() + patience
    }
}

/// A connection's seat, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    id: u64,
    pub(super) control: Arc<Control>,
}

impl Seats {
    pub(super) fn new(most: Most) -> Self {
        Self(Arc::new(Mutex::new(Book {
            most,
            next: 1,
            silent: BTreeMap::new(),
            shaking: BTreeMap::new(),
            open: BTreeMap::new(),
            leaving: VecDeque::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody connects. If too many are in their handshake, one of them is closed: the first of those who have said nothing, or else
    /// the first at all.
    pub(super) fn arrive(&self) -> Seat {
        let mut book = self.lock();
        if book.silent.len() + book.shaking.len() >= book.most.shaking.max(1) {
            book.cut_shaking();
        }
        let id = book.next;
        book.next += 1;
        let control = Arc::new(Control::new());
        book.silent.insert(id, Arc::clone(&control));
        Seat { seats: self.clone(), id, control }
    }

    /// The system has no more descriptors: somebody who does nothing has to go.
    pub(super) fn make_room(&self) {
        let mut book = self.lock();
        if !book.cut_shaking()
            && let Some(control) = book.longest_at_rest().and_then(|id| book.open.remove(&id))
        {
            control.tell(Order::Cut);
        }
    }
}

impl Book {
    fn cut_shaking(&mut self) -> bool {
        let first = self.silent.pop_first().or_else(|| self.shaking.pop_first());
        first.map(|(_, control)| control.tell(Order::Cut)).is_some()
    }

    fn longest_at_rest(&self) -> Option<u64> {
        let resting = self.open.iter().filter(|(_, control)| !control.is_busy());
        resting.min_by_key(|(_, control)| control.rests_since()).map(|(id, _)| *id)
    }

    /// Somebody whose requests have not come yet, for the longest time.
    fn slowest(&self, memory: &Memory) -> Option<u64> {
        let slow = self.open.iter().filter(|(id, control)| {
            memory.arriving(ConnectionId(**id)) >= control.running.load(Ordering::SeqCst)
        });
        slow.min_by_key(|(_, control)| control.rests_since()).map(|(id, _)| *id)
    }
}

impl Seat {
    pub(super) fn id(&self) -> ConnectionId {
        ConnectionId(self.id)
    }

    /// It has sent something.
    pub(super) fn spoke(&self) {
        let mut book = self.seats.lock();
        if let Some(control) = book.silent.remove(&self.id) {
            book.shaking.insert(self.id, control);
        }
    }

    /// The handshake has ended well. Who has rested longest makes room, or else who has not got its requests across; `false` if
    /// everybody has something that is worked on.
    pub(super) fn open(&self, memory: &Memory) -> bool {
        self.control.touch();
        let mut book = self.seats.lock();
        book.silent.remove(&self.id);
        book.shaking.remove(&self.id);
        if book.open.len() >= book.most.open.max(1) {
            let victim = book.longest_at_rest().or_else(|| book.slowest(memory));
            let Some((victim, control)) = victim.and_then(|id| book.open.remove_entry(&id)) else {
                return false;
            };
            control.tell(Order::Leave);
            book.leaving.push_back((victim, control));
            if book.leaving.len() > book.most.leaving
                && let Some((_, first)) = book.leaving.pop_front()
            {
                first.tell(Order::Cut);
            }
        }
        book.open.insert(self.id, Arc::clone(&self.control));
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut book = self.seats.lock();
        book.silent.remove(&self.id);
        book.shaking.remove(&self.id);
        book.open.remove(&self.id);
        book.leaving.retain(|(id, _)| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(seat: &Seat) -> u8 {
        seat.control.order.load(Ordering::SeqCst)
    }

    fn seats(shaking: usize, open: usize) -> (Seats, Memory) {
        (Seats::new(Most { shaking, open, leaving: 1 }), Memory::new(1000, 100))
    }

    #[test]
    fn who_is_silent_makes_room_before_who_is_in_a_handshake() {
        let (seats, memory) = seats(3, 1);
        let all: Vec<Seat> = (0..3).map(|_| seats.arrive()).collect();
        all[0].spoke();
        let fourth = seats.arrive();
        assert_eq!(all.iter().map(order).collect::<Vec<_>>(), [0, 2, 0]);
        let fifth = seats.arrive();
        fourth.spoke();
        fifth.spoke();
        let sixth = seats.arrive();
        assert_eq!(all.iter().map(order).collect::<Vec<_>>(), [2, 2, 2]);
        // Who is through is not in the way of others.
        assert!(fourth.open(&memory));
        let _seventh = seats.arrive();
        assert_eq!([&fourth, &fifth, &sixth].map(order), [0, 0, 0]);
    }

    #[test]
    fn who_rested_longest_makes_room_and_who_is_worked_for_stays() {
        let (seats, memory) = seats(10, 2);
        let [one, two, three, four] = [0; 4].map(|_| seats.arrive());
        assert!(one.open(&memory) && two.open(&memory));
        two.control.last.store(0, Ordering::SeqCst);
        one.control.last.store(1000, Ordering::SeqCst);
        assert!(three.open(&memory));
        assert_eq!([&one, &two, &three].map(order), [0, 1, 0]);
        one.control.began();
        three.control.began();
        assert!(!four.open(&memory), "both are worked for");
        // A request that does not come is not worked on.
        let slow = memory.enter(one.id());
        assert!(four.open(&memory));
        assert_eq!([&one, &three, &four].map(order), [1, 0, 0]);
        assert_eq!(order(&two), 2, "only one has time to leave");
        drop((slow, one, two, three, four));
        let book = seats.lock();
        assert!(book.silent.is_empty() && book.open.is_empty() && book.leaving.is_empty());
    }

    #[test]
    fn a_connection_ends_after_it_rested_and_not_while_it_works() {
        let rest = Rest::default();
        let control = Control::new();
        assert_eq!(control.end(rest), control.start + rest.first);
        control.began();
        assert!(control.end(rest) > control.start + rest.first);
        control.ended();
        let rested = control.end(rest) - control.start;
        assert!(rested >= rest.between && rested < rest.between + Duration::from_secs(5), "{rested:?}");
    }
}
