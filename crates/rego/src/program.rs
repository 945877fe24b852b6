//! Programs: modules lowered for one query.

use std::fmt;

use portcullis_rego_syntax::{Module, Names};

use crate::Value;
use crate::builtins::Caches;
use crate::error::{CompileError, EvalError};
use crate::limits::{Limits, Watch};
use crate::normal_form::{Branch, Group, Node, Slot};
use crate::{eval, lower};

/// A module that parsed and resolved without findings.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'m> {
    /// Its tree.
    pub module: &'m Module,
    /// What its names mean.
    pub names: &'m Names,
}

/// What a program is asked.
#[derive(Clone, Copy, Debug)]
pub enum Query<'q> {
    /// `data.<path>`: the answer is its value, or [`Value::Undefined`].
    Path(&'q [&'q str]),
    /// The body of the only rule of this module: the answer is an array of objects, from the names of its
    /// variables to their values, one for each solution in the order they are found.
    Body(Unit<'q>),
}

/// Modules lowered for one query. Immutable and shared by threads.
///
/// ```
/// use portcullis_rego::{Environment, Program, Query, Unit, Value};
/// use portcullis_rego_syntax::{Version, parse, resolve};
///
/// let parsed = parse("package demo\nallow if not input.denied", Version::V1);
/// let names = resolve(&parsed.module);
/// let unit = Unit { module: &parsed.module, names: &names };
/// let program = Program::compile(&[unit], &Query::Path(&["demo", "allow"]))?;
///
/// let evaluation = program.evaluate(&Environment::default());
/// assert_eq!(evaluation.result, Ok(Value::Bool(true)));
/// # Ok::<(), Vec<portcullis_rego::CompileError>>(())
/// ```
pub struct Program {
    pub(crate) groups: Vec<Group>,
    /// The first is `data`.
    pub(crate) nodes: Vec<Node>,
    pub(crate) entry: Entry,
    pub(crate) caches: Caches,
    /// Whether the modules call `print`.
    pub(crate) operations: usize,
}

/// The lowered query.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) module: usize,
    pub(crate) branch: Branch,
    /// The named variables; none for [`Query::Path`].
    pub(crate) variables: Option<Vec<(Value, Slot)>>,
}

impl Program {
    /// Lowers modules.
    ///
    /// # Errors
    /// Everything in the modules that OPA refuses and that needs all of them to be seen, with positions. Cost
    /// is linear in their text.
    pub fn compile(units: &[Unit<'_>], query: &Query<'_>) -> Result<Self, Vec<CompileError>> {
        lower::lower(units, query)
    }

    /// Answers the query. Never panics, and uses no more than the limits allow; takes time and allocates for
    /// each operation of the normal form that is run, and nothing for those that are not.
    pub fn evaluate(&self, environment: &Environment<'_>) -> Evaluation {
        eval::evaluate(self, environment)
    }

    /// How many operations the normal form has.
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// How many documents and functions rules make.
    pub fn documents(&self) -> usize {
        self.groups.len()
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({} documents, {} operations)", self.documents(), self.operations)
    }
}

/// What an evaluation sees of the world.
#[derive(Clone)]
pub struct Environment<'e> {
    /// `input`; undefined if there is none. Nested at most 1000 deep, as all that the core reads.
    pub input: Option<Value>,
    /// `data`, without rules: an object.
    pub data: Value,
    /// What it may use.
    pub limits: Limits,
    /// Tells it to stop.
    pub watch: Option<&'e dyn Watch>,
    /// What `time.now_ns` is: nanoseconds since 1970. A program that asks for it where there is none is an error.
    pub now_ns: Option<i64>,
    /// What `rand.intn` and `uuid.rfc4122` are derived from.
    pub seed: u64,
    /// Whether a builtin that is not defined for its arguments is an error.
    pub strict_builtin_errors: bool,
}

impl Default for Environment<'_> {
    fn default() -> Self {
        Self {
            input: None,
            data: Value::new_object(),
            limits: Limits::default(),
            watch: None,
            now_ns: None,
            seed: 0,
            strict_builtin_errors: false,
        }
    }
}

/// What came of an evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The answer.
    pub result: Result<Value, EvalError>,
    /// What `print` was called with, a line for each call.
    pub prints: Vec<String>,
    /// Steps used.
    pub steps: u64,
    /// Bytes of values made.
    pub memory: u64,
}
