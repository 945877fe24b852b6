//! Builtin functions as OPA has them, on regorus's values.
//!
//! A builtin that is not defined for its arguments is undefined, as in OPA; with strict builtin errors it is
//! an error. A limit is always an error: a rule that is undefined because of one would let an object pass.

use crate::Value;
use crate::limits::{Budget, Exceeded};

/// A builtin function.
pub struct Builtin {
    /// Its name, with dots.
    pub name: &'static str,
    /// How many arguments it takes, the result not counted.
    pub arity: u8,
    /// Whether its result is an array of results, each of which is one answer of the call (`walk`).
    pub is_relation: bool,
    /// The function. The arguments are as many as `arity`, and defined.
    pub call: fn(&mut Context<'_, '_>, &[Value]) -> Outcome,
}

/// What a builtin answers.
pub type Outcome = Result<Value, Failure>;

/// Why a builtin has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It is not defined for these arguments: one sentence in OPA's words.
    Undefined(String),
    /// A limit was exceeded.
    Limit(Exceeded),
}

impl From<Exceeded> for Failure {
    fn from(exceeded: Exceeded) -> Self {
        Self::Limit(exceeded)
    }
}

/// What builtins share.
pub struct Context<'c, 'w> {
    /// What is left of the limits.
    pub budget: &'c mut Budget<'w>,
    /// The time of the review, in nanoseconds since 1970; none if the caller gave none.
    pub now_ns: Option<i64>,
    /// From which `rand.intn` and `uuid.rfc4122` are derived.
    pub seed: u64,
    /// Patterns that were compiled before, shared by all evaluations of a program.
    pub caches: &'c Caches,
}

/// What outlives an evaluation: compiled patterns. Never changes an answer.
#[derive(Debug, Default)]
pub struct Caches {}

/// The builtin of this name, if there is one.
pub fn find(name: &str) -> Option<&'static Builtin> {
    let _ = name;
    None
}

/// A number as it is written in Rego or JSON; none if it cannot be held.
pub fn number_from_text(text: &str) -> Option<Value> {
    Value::from_numeric_string(text).ok()
}
