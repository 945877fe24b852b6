//! What evaluations reached of policies. Rego is run by a second program, with marks, which is only made where
//! somebody asks; CEL tells how each of its expressions came out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_rego_syntax::Span;
use portcullis_rego_syntax::ast::{BinaryOp, Expr, ExprKind, Statement, StatementKind};
use portcullis_rego_syntax::visit::{Visitor, walk_module, walk_statement};

use crate::analysis::ParsedModule;
use crate::source::Location;

/// A file, and a range of its bytes.
type Key = (Arc<str>, u32, u32);

/// Collects what evaluations reached of policies, on any thread: give it to reviews with
/// [`World::with_coverage`](crate::World::with_coverage). What several programs have at one place is counted once.
#[derive(Default)]
pub struct PolicyCoverage {
    places: Mutex<BTreeMap<Key, CoveredPlace>>,
}

/// A place of a policy, and what evaluations made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoveredPlace {
    /// Where it stands.
    pub location: Location,
    /// What stands there.
    pub kind: CoveredKind,
    /// Whether it was reached.
    pub is_reached: bool,
    /// Whether it held at least once.
    pub has_held: bool,
    /// Whether it did not hold, or was not defined, at least once.
    pub has_failed: bool,
}

impl CoveredKind {
    /// What a statement is, of modules with these [`conditions`].
    pub(crate) fn of(statement: &portcullis_rego::Statement, conditions: &[(usize, Span)]) -> Self {
        let is_condition = conditions.binary_search(&(statement.module, statement.span)).is_ok();
        match (statement.is_head, is_condition) {
            (true, _) => Self::Head,
            (false, true) => Self::Condition,
            (false, false) => Self::Statement,
        }
    }
}

impl CoveredPlace {
    pub(crate) fn new(location: Location, kind: CoveredKind, came: &portcullis_rego::Statement) -> Self {
        let (is_reached, has_held, has_failed) = (came.is_reached, came.has_held, came.has_failed);
        Self { location, kind, is_reached, has_held, has_failed }
    }
}

/// What stands at a place of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoveredKind {
    /// What gives names to values.
    Statement,
    /// What may hold or not.
    Condition,
    /// The head of a rule, which is reached when its body holds.
    Head,
}

impl PolicyCoverage {
    /// All places that are known, in the order of files and texts.
    #[must_use]
    pub fn places(&self) -> Vec<CoveredPlace> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn note(&self, found: impl IntoIterator<Item = CoveredPlace>) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        for found in found {
            let range = found.location.range();
            let key = (found.location.file().clone(), range.start, range.end);
            match places.get_mut(&key) {
                Some(known) => {
                    known.is_reached |= found.is_reached;
                    known.has_held |= found.has_held;
                    known.has_failed |= found.has_failed;
                }
                None => {
                    places.insert(key, found);
                }
            }
        }
    }
}

impl fmt::Debug for PolicyCoverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "PolicyCoverage({} places)", places.len())
    }
}

/// The statements of modules that may hold or not: all but those that give names to values, since these hold
/// wherever the policy means them to.
pub(crate) fn conditions(modules: &[ParsedModule<'_>]) -> Vec<(usize, Span)> {
    let mut found = Conditions { module: 0, spans: Vec::new() };
    for (module, parsed) in modules.iter().enumerate() {
        found.module = module;
        walk_module(&mut found, &parsed.module);
    }
    found.spans.sort_unstable();
    found.spans
}

struct Conditions {
    module: usize,
    spans: Vec<(usize, Span)>,
}

impl<'m> Visitor<'m> for Conditions {
    fn visit_statement(&mut self, statement: &'m Statement) {
        let is_condition = match &statement.kind {
            StatementKind::Some(_) | StatementKind::SomeIn(_) => false,
            StatementKind::Not(_) | StatementKind::Every(_) => true,
            StatementKind::Expr(expr) => !names_values(expr),
        };
        if is_condition {
            self.spans.push((self.module, statement.span));
        }
        walk_statement(self, statement);
    }
}

/// `x := …`, and `x = …`.
fn names_values(expr: &Expr) -> bool {
    match &expr.peeled().kind {
        ExprKind::Binary(binary) => match binary.op {
            BinaryOp::Assign => true,
            BinaryOp::Unify => binary.lhs.as_var().is_some(),
            _ => false,
        },
        _ => false,
    }
}
