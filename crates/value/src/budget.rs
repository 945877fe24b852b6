//! What one evaluation may use, and what it has used. Steps and memory are counted, not measured: the same
//! on every run and machine. Time is asked of the caller, as nothing here reads a clock.

use std::fmt;

/// Limits of one evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most steps: operations of the normal form, elements visited, 64 bytes of text that a builtin reads,
    /// and 16 that it makes count as one each.
    pub steps: u64,
    /// Most bytes that values made by the evaluation may take, all of them together, also those no longer
    /// in use: numbers and short texts as well, of 24 bytes each.
    pub memory: u64,
    /// Most rules, functions and nested iterations that wait for each other.
    pub depth: u32,
    /// Most bytes of output: the answer to the query and the printed lines.
    pub output: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 1_000_000, memory: 32 << 20, depth: 160, output: 4 << 20 }
    }
}

/// A limit by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitKind {
    /// [`Limits::steps`].
    Steps,
    /// [`Limits::memory`].
    Memory,
    /// [`Limits::depth`].
    Depth,
    /// [`Limits::output`].
    Output,
    /// The caller's [`Watch`] said stop.
    Time,
    /// The size of a regular expression or another pattern.
    Pattern,
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Steps => "steps",
            Self::Memory => "memory",
            Self::Depth => "depth",
            Self::Output => "output",
            Self::Time => "time",
            Self::Pattern => "pattern",
        })
    }
}

/// A limit was exceeded. The evaluation that meets it ends as an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Exceeded {
    /// Which limit.
    pub limit: LimitKind,
    /// One sentence that names the limit and its size.
    pub message: String,
}

/// Tells an evaluation to stop, for instance at the deadline of a request.
pub trait Watch {
    /// Whether time is up. Asked about every thousand steps.
    fn is_over(&self) -> bool;
}

/// What is left of the limits of one evaluation.
pub struct Budget<'w> {
    limits: Limits,
    steps: u64,
    memory: u64,
    /// Steps at which the watch is asked next.
    next_look: u64,
    watch: Option<&'w dyn Watch>,
}

/// Steps between two looks at the watch.
const LOOK: u64 = 1024;

impl<'w> Budget<'w> {
    /// A budget of which nothing is used.
    pub fn new(limits: Limits, watch: Option<&'w dyn Watch>) -> Self {
        Self { limits, steps: 0, memory: 0, next_look: LOOK.min(limits.steps), watch }
    }

    /// The limits.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Steps used.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Bytes used.
    pub const fn memory(&self) -> u64 {
        self.memory
    }

    /// Uses steps.
    #[inline]
    pub fn step(&mut self, count: u64) -> Result<(), Exceeded> {
        self.steps = self.steps.saturating_add(count);
        if self.steps > self.next_look { self.look() } else { Ok(()) }
    }

    /// Whether so many steps are fewer than are left until a limit or a watch is looked at: then they may be taken at once.
    #[inline]
    #[must_use]
    pub const fn is_room_for(&self, count: u64) -> bool {
        self.steps.saturating_add(count) <= self.next_look
    }

    #[cold]
    fn look(&mut self) -> Result<(), Exceeded> {
        if self.steps > self.limits.steps {
            return Err(self.exceeded(LimitKind::Steps));
        }
        if self.watch.is_some_and(Watch::is_over) {
            return Err(self.exceeded(LimitKind::Time));
        }
        self.next_look = self.steps.saturating_add(LOOK).min(self.limits.steps);
        Ok(())
    }

    /// Uses memory: call it before the memory is taken.
    #[inline]
    pub fn take(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.charge(bytes as u64)
    }

    /// Uses memory as something else has counted it.
    #[inline]
    pub fn charge(&mut self, bytes: u64) -> Result<(), Exceeded> {
        self.memory = self.memory.saturating_add(bytes);
        if self.memory > self.limits.memory { Err(self.exceeded(LimitKind::Memory)) } else { Ok(()) }
    }

    /// Uses what a builtin needs that reads or makes a text of so many bytes: steps, and if it makes one,
    /// memory.
    #[inline]
    pub fn read_text(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.step(bytes as u64 / 64 + 1)
    }

    /// As [`Self::read_text`], for a text that is made.
    #[inline]
    pub fn make_text(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.step(bytes as u64 / 16 + 1)?;
        self.take(bytes)
    }

    /// Uses what a collection of so many elements needs that a builtin makes.
    #[inline]
    pub fn make_items(&mut self, count: usize) -> Result<(), Exceeded> {
        self.step(count as u64)?;
        self.take(count.saturating_mul(ITEM_BYTES))
    }

    /// The error for a limit.
    pub fn exceeded(&self, limit: LimitKind) -> Exceeded {
        let message = match limit {
            LimitKind::Steps => {
                format!("the evaluation takes more than {} steps (limit `steps`)", self.limits.steps)
            }
            LimitKind::Memory => {
                format!(
                    "the evaluation makes values of more than {} bytes (limit `memory`)",
                    self.limits.memory
                )
            }
            LimitKind::Depth => {
                format!(
                    "rules and iterations are nested more than {} deep (limit `depth`)",
                    self.limits.depth
                )
            }
            LimitKind::Output => {
                format!("the output has more than {} bytes (limit `output`)", self.limits.output)
            }
            LimitKind::Time => "the evaluation did not end in time (limit `time`)".to_owned(),
            LimitKind::Pattern => "a pattern is too large (limit `pattern`)".to_owned(),
        };
        Exceeded { limit, message }
    }
}

/// What an element of an array, set or object is counted as, in bytes: itself, its place in a tree, and what
/// is allocated for it.
pub const ITEM_BYTES: usize = 64;
