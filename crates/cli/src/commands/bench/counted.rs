//! What is allocated, where the program was built to count it (feature `count-allocations`): counting takes a few nanoseconds for each
//! allocation of every command, which is nothing for a measurement and too much for everybody else.

/// Allocations and their bytes, together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocated {
    pub count: u64,
    pub bytes: u64,
}

impl Allocated {
    pub const fn add(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }
}

/// Whether this program counts.
pub const IS_COUNTING: bool = cfg!(feature = "count-allocations");

/// Does something, and says what this thread allocated for it, if that is asked for.
#[cfg(feature = "count-allocations")]
pub fn count(is_wanted: bool, work: impl FnOnce()) -> Allocated {
    if !is_wanted {
        work();
        return Allocated::default();
    }
    let found = allocation_counter::measure(work);
    Allocated { count: found.count_total, bytes: found.bytes_total }
}

/// Does something.
#[cfg(not(feature = "count-allocations"))]
pub fn count(_: bool, work: impl FnOnce()) -> Allocated {
    work();
    Allocated::default()
}
