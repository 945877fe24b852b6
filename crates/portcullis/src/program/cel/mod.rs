//! Templates in CEL: from the expressions of a template to violations with messages.
//!
//! Everything that knows both CEL and Kubernetes' templates is here: which names expressions have, in which
//! order they are evaluated, at what cost, and what comes of one that has no value. The rules are those of
//! Gatekeeper's driver, which are those of the API server for its admission policies.
//!
//! ```text
//! match conditions --all true--> validations --not true--> messages --> violations
//!        \---------------\--------- variables, evaluated when they are read
//! ```

mod ask;
mod brief;
mod compile;
mod evaluate;
mod explain;
mod kept;
mod names;
mod patch;
mod places;
mod policy;
mod reads;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use portcullis_cel::CelValue;

use super::{Evaluation, EvaluationError, RawViolation, Special, Surroundings};
use crate::analysis::{ObjectRead, Told};
use crate::api::cel::FailurePolicy;
use crate::api::template::Text;
use crate::document::Document;

pub(crate) use ask::CelExpression;
pub(crate) use kept::{Desk, OfConstraint, OfReview};
pub(crate) use patch::Patch;
pub(crate) use policy::PolicyProgram;

/// The type whose fields are the variables of the template.
const VARIABLES: &str = "kubernetes.variables";

/// A template's compiled program. Immutable and shared by threads.
pub(crate) struct CelProgram {
    document: Document,
    variables: Vec<Variable>,
    /// What `variables` is.
    variables_object: CelValue,
    /// Which of them is called what.
    numbers: BTreeMap<Arc<str>, usize>,
    /// Whether the places of the fields of `variables` are these numbers: nothing is wrong with any, and all have names of
    /// their own.
    is_placed: bool,
    match_conditions: Vec<Expression>,
    validations: Vec<Validation>,
    failure_policy: FailurePolicy,
    /// How many evaluations may be inside of each other.
    levels: u64,
    operations: usize,
    told: Arc<Told>,
    /// All that it may read: a variable, and a path in it.
    reads: Vec<(String, ObjectRead)>,
}

/// The variables of a template by name, each with its number, or none if something is wrong with it.
type Numbers = BTreeMap<Arc<str>, Option<usize>>;

struct Variable {
    name: Arc<str>,
    program: portcullis_cel::Program,
    nesting: u32,
    levels: u64,
    /// What is read to make it.
    reads: BTreeSet<(String, ObjectRead)>,
    lasts: kept::Lasts,
    /// The variables that it may read, by their numbers.
    needs: Box<[usize]>,
}

struct Expression {
    text: Text,
    program: portcullis_cel::Program,
}

struct Validation {
    expression: Expression,
    message: Option<Arc<str>>,
    message_expression: Option<Expression>,
    /// Which parts of the object it reads.
    reads: Arc<[ObjectRead]>,
}

impl CelProgram {
    /// How many expressions it has.
    pub(in crate::program) fn operations(&self) -> usize {
        self.operations
    }

    /// How many variables it has.
    pub(in crate::program) fn documents(&self) -> usize {
        self.variables.len()
    }

    /// Whether this is the name of the type whose fields are the variables.
    fn is_variables(&self, object: &str) -> bool {
        matches!(&self.variables_object, CelValue::Object(name) if std::ptr::eq(&raw const **name, object))
            || object == VARIABLES
    }

    /// The number of the variable at the place of a field, where these are the same.
    fn number_at(&self, place: Option<u32>) -> Option<usize> {
        place.filter(|_| self.is_placed).and_then(|place| usize::try_from(place).ok())
    }

    /// The number of the variable that a name, or the place of a field, means.
    fn number_of(&self, field: &str, place: Option<u32>) -> Option<usize> {
        self.number_at(place).or_else(|| self.numbers.get(field).copied())
    }

    pub(crate) fn told(&self) -> &Arc<Told> {
        &self.told
    }

    /// Where the variables are kept that depend on one constraint only, if there are such.
    pub(in crate::program) fn of_constraint(&self) -> Option<OfConstraint> {
        OfConstraint::new(self)
    }
}

impl fmt::Debug for CelProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cel({} expressions)", self.operations)
    }
}
