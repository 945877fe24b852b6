//! Which statements were reached. Only programs that were compiled for it have the marks that say so, so that all
//! others pay nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::program::Program;

/// The statements of a program that evaluations reached: of all programs that were compiled together, whatever
/// thread they run on. A head of a rule is reached when its body holds.
#[derive(Debug, Default)]
pub struct Coverage {
    reached: Box<[AtomicBool]>,
}

impl Coverage {
    /// Nothing is reached yet.
    #[must_use]
    pub fn of(program: &Program) -> Self {
        Self { reached: program.form().marks.iter().map(|_| AtomicBool::new(false)).collect() }
    }

    pub(super) fn reach(&self, mark: usize) {
        if let Some(reached) = self.reached.get(mark) {
            reached.store(true, Ordering::Relaxed);
        }
    }

    /// Takes over what was reached elsewhere.
    pub fn add(&self, other: &Self) {
        for (own, other) in self.reached.iter().zip(&other.reached) {
            if other.load(Ordering::Relaxed) {
                own.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Whether a statement was reached, by its place in [`Program::statements`].
    #[must_use]
    pub fn is_reached(&self, statement: usize) -> bool {
        self.reached.get(statement).is_some_and(|reached| reached.load(Ordering::Relaxed))
    }
}
