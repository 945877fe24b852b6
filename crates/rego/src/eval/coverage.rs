//! Which statements were reached, and how they came out. Only programs that were compiled for it have the marks
//! that say so, so that all others pay nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_rego_syntax::Span;

use crate::normal_form::{MarkKind, NormalForm};
use crate::program::Program;

/// The statements of a program that evaluations reached: of all programs that were compiled together, whatever
/// thread they run on. A head of a rule is reached when its body holds.
#[derive(Debug, Default)]
pub struct Coverage {
    /// By mark.
    reached: Box<[AtomicBool]>,
    /// By statement: the marks of one place are one.
    failed: BTreeMap<(usize, Span), AtomicBool>,
    form: Option<Arc<NormalForm>>,
}

/// What is known of a statement, or of the head of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is seen or not, apart from the others")]
pub struct Statement {
    /// The module, by its position in the list given to [`Program::compile`].
    pub module: usize,
    /// Where in its text.
    pub span: Span,
    /// Whether it is the head of a rule.
    pub is_head: bool,
    /// Whether it was reached.
    pub is_reached: bool,
    /// Whether it held at least once.
    pub has_held: bool,
    /// Whether it did not hold, or was not defined, at least once.
    pub has_failed: bool,
}

impl Coverage {
    /// Nothing is reached yet.
    #[must_use]
    pub fn of(program: &Program) -> Self {
        let form = program.shared_form();
        let marks = &form.marks;
        Self {
            reached: marks.iter().map(|_| AtomicBool::new(false)).collect(),
            failed: marks.iter().map(|mark| ((mark.module, mark.span), AtomicBool::new(false))).collect(),
            form: Some(form.clone()),
        }
    }

    pub(super) fn reach(&self, mark: usize) {
        if let Some(reached) = self.reached.get(mark) {
            reached.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn fail(&self, module: usize, span: Span) {
        if let Some(failed) = self.failed.get(&(module, self.owner(module, span))) {
            failed.store(true, Ordering::Relaxed);
        }
    }

    /// The statement that an operation is of.
    pub(super) fn owner(&self, module: usize, span: Span) -> Span {
        self.form.as_ref().map_or(span, |form| form.owner(module, span))
    }

    /// Takes over what was reached elsewhere.
    pub fn add(&self, other: &Self) {
        let failed = self.failed.values().zip(other.failed.values());
        for (own, other) in self.reached.iter().zip(&other.reached).chain(failed) {
            if other.load(Ordering::Relaxed) {
                own.store(true, Ordering::Relaxed);
            }
        }
    }

    fn is_reached(&self, mark: usize) -> bool {
        self.reached.get(mark).is_some_and(|reached| reached.load(Ordering::Relaxed))
    }

    /// What is known of each statement and head of a program, in the order of the text; of one that is in
    /// several parts, once. The program has to be one of those that the coverage is of.
    #[must_use]
    pub fn statements(&self, program: &Program) -> Vec<Statement> {
        let mut statements: BTreeMap<(usize, Span), Statement> = BTreeMap::new();
        for (number, mark) in program.form().marks.iter().enumerate() {
            if mark.kind == MarkKind::End {
                continue;
            }
            let (module, span) = (mark.module, mark.span);
            let statement = statements.entry((module, span)).or_insert(Statement {
                module,
                span,
                is_head: false,
                is_reached: false,
                has_held: false,
                has_failed: self
                    .failed
                    .get(&(module, span))
                    .is_some_and(|failed| failed.load(Ordering::Relaxed)),
            });
            statement.is_head |= mark.kind == MarkKind::Head;
            statement.is_reached |= self.is_reached(number);
            statement.has_held |= match mark.next {
                Some(next) => self.is_reached(next),
                None => mark.kind == MarkKind::Head && self.is_reached(number),
            };
        }
        statements.into_values().collect()
    }
}
