//! Which parts of `input` and `data` an answer may rest on: what a program compares, computes with or gives
//! out, whatever the values are. What is only passed on is followed; what cannot be followed counts as read.
//! So "not read" is certain, and "read" is not.
//!
//! Programs are looked at as a whole: where one answer rests on a part, all of them may, as a condition
//! decides which there are.

mod follow;
mod shape;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::program::Program;
use shape::Path;

/// A document that is not made by rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Base {
    /// `input`.
    Input,
    /// `data`.
    Data,
}

/// What a program reads.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    /// All that is below these.
    whole: BTreeSet<Path>,
    /// Of these whether they are there, their type, their keys and their number.
    outside: BTreeSet<Path>,
}

impl Program {
    /// Which parts of `input` and `data` its answers may rest on. Worked out anew each time.
    pub fn reads(&self) -> Reads {
        Reads::of(self)
    }
}

impl Reads {
    /// Of a program. Cost: its operations, times how deep its functions call each other; more than that is
    /// given up, and then everything counts as read.
    fn of(program: &Program) -> Self {
        follow::reads(program.form()).unwrap_or_else(Self::everything)
    }

    fn everything() -> Self {
        let whole = [Base::Input, Base::Data].into_iter().map(Path::somewhere).collect();
        Self { whole, outside: BTreeSet::new() }
    }

    /// Whether it may read what is at a place or below it. The place is a row of keys, `None` for any. Where
    /// `input` has an array the position of the element may be left out, as in `spec.containers.image`. Cost:
    /// the reads, times the squares of their lengths.
    #[must_use]
    pub fn meet(&self, base: Base, place: &[Option<&str>]) -> bool {
        self.whole.iter().any(|path| path.meets(base, place, false))
            || self.outside.iter().any(|path| path.meets(base, place, true))
    }
}

/// A key; `None` for any.
type Key = Option<Arc<str>>;
