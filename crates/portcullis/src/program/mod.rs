//! What a template runs: compiled once per template, evaluated once per constraint that applies.
//!
//! [`Program`] is all that the other stages know of a policy's language. Another language is another variant,
//! with the same questions answered: what it reads, what its answers may rest on, and what it says of an
//! input. In a build without CEL there is no program in it, and whatever needs one is an error (`without_cel.rs`).

mod admission;
#[cfg(feature = "cel")]
mod cel;
#[cfg(not(feature = "cel"))]
#[path = "without_cel.rs"]
mod cel;
mod coverage;
mod follow;
mod rego;

use std::fmt;
use std::sync::Arc;

pub(crate) use portcullis_rego::Base;
pub use portcullis_rego::ComparingCost;
use portcullis_rego::Indexes;
use portcullis_value::{Answers, LimitKind, Limits, Questions, Watch};

use crate::analysis::{Asked, InventoryRead, ObjectRead, Told};
use crate::api::template::EngineSource;
use crate::document::Document;
use crate::error::Error;
use crate::schema::Schema;
use crate::source::Location;
use crate::value::Value;

pub(crate) use admission::{
    AnnotationAnswer, Asking, FieldType, JsonOperation, KindType, MutationForm, Naming, ObjectType,
    PolicyAnswer, PolicyDecision, PolicyView,
};
pub(crate) use cel::Desk;
pub(crate) use cel::{CelExpression, Patch, PolicyProgram};
use cel::{CelProgram, OfConstraint, OfReview};
pub(crate) use coverage::conditions;
pub use coverage::{CoveredKind, CoveredPlace, PolicyCoverage};
pub use follow::RuleKind;
pub(crate) use follow::{Followed, FollowedFact, FollowedRule};
use rego::RegoProgram;

/// A place where a policy goes through objects of the inventory.
#[derive(Clone, Debug)]
pub struct InventoryComparison {
    /// Where it begins.
    pub location: Option<Location>,
    /// The objects, as far as the policy's text fixes their kind.
    pub objects: InventoryRead,
    /// How many of them are looked at.
    pub cost: ComparingCost,
}

/// What is made of a program once it is known what constraint it is for.
#[derive(Debug)]
pub(crate) enum Special {
    /// The operations that are left for its parameters.
    Rego(Box<portcullis_rego::Special>),
    /// The variables that depend on it alone.
    Cel(Box<OfConstraint>),
}

/// Where evaluations about one review run, one after the other, and what they hand on to each other.
pub(crate) struct Workspace<'r> {
    rego: portcullis_rego::Workspace,
    cel: OfReview<'r>,
}

impl<'r> Workspace<'r> {
    /// For evaluations whose input has this value at a key, and that keep what they make on a desk.
    pub(crate) fn of_input(key: &str, value: Value, desk: &'r Desk<'r>) -> Self {
        Self { rego: portcullis_rego::Workspace::of_input(key, value), cel: OfReview::on(desk) }
    }
}

/// Whether it is told what evaluations took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counting {
    /// Each result tells its steps.
    #[default]
    Always,
    /// Where nothing comes near a limit, a policy in CEL is evaluated without counting, which takes a third of the time.
    /// The limits are the same, and verdicts and messages are.
    NearLimits,
}

/// What came of one evaluation.
pub(crate) struct Evaluation {
    pub(crate) result: Result<Vec<RawViolation>, EvaluationError>,
    pub(crate) prints: Vec<String>,
    /// None, if nobody counted.
    pub(crate) steps: Option<u64>,
    /// What it asks of the world outside and is not answered; the result is an error then.
    pub(crate) questions: Questions,
}

/// One thing that a program says is wrong.
pub(crate) struct RawViolation {
    pub(crate) message: String,
    pub(crate) details: Value,
    /// The parts of the object that it is about, where that is known of it alone.
    pub(crate) reads: Option<Arc<[ObjectRead]>>,
    /// Whether it stands for something that could not be evaluated, beside what could.
    pub(crate) is_undetermined: bool,
}

impl RawViolation {
    pub(crate) fn new(message: String, details: Value) -> Self {
        Self { message, details, reads: None, is_undetermined: false }
    }
}

/// Why a constraint could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct EvaluationError {
    /// What happened.
    pub message: String,
    /// Where in the policy, if that is known.
    pub location: Option<Location>,
    /// The limit that was exceeded, if it was one.
    pub limit: Option<LimitKind>,
}

impl EvaluationError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), location: None, limit: None }
    }
}

/// A template's compiled program. Immutable and shared by threads.
pub(crate) enum Program {
    /// Rego, as OPA evaluates it.
    Rego(Box<RegoProgram>),
    /// CEL, as Gatekeeper evaluates it.
    Cel(Box<CelProgram>),
    /// An admission policy of the API server's. It is asked through its bindings, and not as templates are.
    Policy(Arc<PolicyProgram>),
}

impl Program {
    /// Compiles what a template has. What is wrong with it comes back with positions in the template's
    /// document.
    pub(crate) fn compile(
        source: &EngineSource,
        document: &Document,
        schema: Option<&Schema>,
    ) -> (Option<Self>, Vec<Error>) {
        match source {
            EngineSource::Rego(source) => {
                let (program, errors) = RegoProgram::compile(source, document, schema);
                (program.map(|program| Self::Rego(Box::new(program))), errors)
            }
            EngineSource::Cel(source) => {
                let (program, errors) = CelProgram::compile(source, document);
                (program.map(|program| Self::Cel(Box::new(program))), errors)
            }
        }
    }

    /// Of how many operations its normal form is.
    pub(crate) fn operations(&self) -> usize {
        match self {
            Self::Rego(program) => program.operations(),
            Self::Cel(program) => program.operations(),
            Self::Policy(program) => program.common().operations(),
        }
    }

    /// How many documents and functions its rules make.
    pub(crate) fn documents(&self) -> usize {
        match self {
            Self::Rego(program) => program.documents(),
            Self::Cel(program) => program.documents(),
            Self::Policy(program) => program.common().documents(),
        }
    }

    /// What its text says of itself.
    pub(crate) fn told(&self) -> &Arc<Told> {
        match self {
            Self::Rego(program) => program.told(),
            Self::Cel(program) => program.told(),
            Self::Policy(program) => program.common().told(),
        }
    }

    /// Where it goes through objects of the inventory, in the order of the text.
    pub(crate) fn comparisons(&self) -> Vec<InventoryComparison> {
        match self {
            Self::Rego(program) => program.comparisons(),
            Self::Cel(_) | Self::Policy(_) => Vec::new(),
        }
    }

    /// How many indexes it can use.
    pub(crate) fn index_count(&self) -> usize {
        match self {
            Self::Rego(program) => program.index_count(),
            Self::Cel(_) | Self::Policy(_) => 0,
        }
    }

    /// Indexes over a `data` document, of which none is made yet.
    pub(crate) fn new_indexes(&self, data: &Value) -> Option<Indexes> {
        match self {
            Self::Rego(program) => program.new_indexes(data),
            Self::Cel(_) | Self::Policy(_) => None,
        }
    }

    /// Whether indexes are of this program.
    pub(crate) fn is_known_by(&self, indexes: &Indexes) -> bool {
        match self {
            Self::Rego(program) => program.is_known_by(indexes),
            Self::Cel(_) | Self::Policy(_) => false,
        }
    }

    /// Makes what evaluations look up, so that none has to. Never panics.
    pub(crate) fn prepare(&self, indexes: &Indexes) {
        match self {
            Self::Rego(program) => program.prepare(indexes),
            Self::Cel(_) | Self::Policy(_) => {}
        }
    }

    /// Whether it may ask the world outside.
    pub(crate) fn may_ask(&self) -> bool {
        match self {
            Self::Rego(program) => program.may_ask(),
            Self::Policy(program) => program.may_ask(),
            Self::Cel(_) => false,
        }
    }

    /// The calls that ask providers of external data.
    pub(crate) fn asked(&self) -> &[Asked] {
        match self {
            Self::Rego(program) => program.asked(),
            Self::Cel(_) | Self::Policy(_) => &[],
        }
    }

    /// Whether its answers may rest on what is at a place of `input` or `data`, or below it. Unlike
    /// [`Self::object_reads`] these are never too few.
    pub(crate) fn may_rest_on(&self, base: Base, place: &[Option<&str>]) -> bool {
        match self {
            Self::Rego(program) => program.may_rest_on(base, place),
            Self::Cel(program) => program.may_rest_on(base, place),
            // Which requests they are about rests on nearly all of it.
            Self::Policy(_) => true,
        }
    }

    /// The program for the evaluations of one constraint, whose inputs have this value at a key, if it would differ. Takes about as long as compiling.
    /// Never panics.
    pub(crate) fn specialise(&self, key: &str, value: &Value) -> Option<Special> {
        match self {
            Self::Rego(program) => {
                program.specialise(key, value).map(|special| Special::Rego(Box::new(special)))
            }
            Self::Cel(program) => program.of_constraint().map(|made| Special::Cel(Box::new(made))),
            Self::Policy(_) => None,
        }
    }

    /// Why it says what it says of an input; none of admission policies, which are asked through their bindings. Never panics.
    pub(crate) fn follow(
        &self,
        input: &[(Value, Value)],
        surroundings: &Surroundings<'_>,
    ) -> Option<Followed> {
        match self {
            Self::Rego(program) => program.follow(input, surroundings),
            Self::Cel(program) => Some(program.follow(input, surroundings)),
            Self::Policy(_) => None,
        }
    }

    /// Tells what there is to be reached.
    pub(crate) fn expect_in(&self, coverage: &PolicyCoverage) {
        match self {
            Self::Rego(program) => program.expect_in(coverage),
            Self::Cel(program) => program.expect_in(coverage),
            Self::Policy(_) => {}
        }
    }

    /// What it says of one input, given by its sorted entries, by the program for what is known of it, if there is one. Never panics: a panic would be an error of this evaluation.
    pub(crate) fn evaluate<'r>(
        &'r self,
        workspace: &mut Workspace<'r>,
        input: &[(Value, Value)],
        special: Option<&'r Special>,
        surroundings: &Surroundings<'_>,
    ) -> Evaluation {
        match self {
            Self::Rego(program) => program.evaluate(&mut workspace.rego, input, special, surroundings),
            Self::Cel(program) => program.evaluate(&workspace.cel, input, special, surroundings),
            Self::Policy(_) => {
                let message = "an admission policy was asked without its binding: please report this";
                Evaluation {
                    result: Err(EvaluationError::new(message)),
                    prints: Vec::new(),
                    steps: Some(0),
                    questions: Questions::default(),
                }
            }
        }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rego(program) => program.fmt(f),
            Self::Cel(program) => program.fmt(f),
            Self::Policy(program) => program.common().fmt(f),
        }
    }
}

/// What an evaluation sees beside its input.
pub(crate) struct Surroundings<'a> {
    /// The `data` document.
    pub(crate) data: &'a Value,
    /// Look-ups in it, of this program.
    pub(crate) indexes: Option<&'a Indexes>,
    /// The constraint, with defaults filled in.
    pub(crate) constraint: &'a Value,
    pub(crate) limits: Limits,
    pub(crate) watch: Option<&'a dyn Watch>,
    pub(crate) now_ns: Option<i64>,
    pub(crate) seed: u64,
    pub(crate) answers: Option<&'a Answers>,
    /// Who wants to know what is reached.
    pub(crate) coverage: Option<&'a PolicyCoverage>,
    pub(crate) counting: Counting,
}
