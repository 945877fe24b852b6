//! Builtin functions as OPA has them.
//!
//! A builtin that is not defined for its arguments is undefined, as in OPA; with strict builtin errors it is
//! an error. A limit is always an error: a rule that is undefined because of one would let an object pass.
//!
//! ```text
//! name --find--> Builtin --call(arguments, Context)--> Outcome
//!                   \--operand.rs: types, sentences; go_fmt, number.rs: what Go does with them
//! ```
//!
//! The budget is asked before a loop or an allocation, never after: arguments come from objects that are
//! reviewed, and no argument may stall or end the process.

/// The builtins of a file: names and functions. An error names the builtin it comes from.
macro_rules! table {
    ($($name:literal => $function:path),* $(,)?) => {
        pub(super) const BUILTINS: &[(&str, $crate::builtins::Call)] = &[$(
            ($name, $function),
        )*];
    };
}

mod aggregates;
mod arithmetic;
mod arrays;
mod big;
mod bits;
mod casts;
mod collect;
mod comparison;
mod crypto;
mod encoding;
mod external_data;
mod glob;
mod globs_match;
pub(crate) mod go_fmt;
mod graph;
mod json;
mod jwt;
mod net;
mod number;
mod numbers;
mod objects;
mod operand;
mod regex;
mod semver;
mod sets;
mod sprintf;
mod strings;
mod subset;
#[cfg(test)]
mod tests;
mod time;
mod types;
mod units;
mod uuid;
mod walk;
mod yaml;

use portcullis_rego_syntax::builtins::{self, Builtin as Row};
use portcullis_value::{
    Answers, Budget, Exceeded, LimitKind, Limits, Number, Output, ProviderFailure, Questions, TooLong, Value,
};
use std::collections::HashMap;
use std::sync::LazyLock;

/// A function that answers a builtin. The arguments are as many as its row says, and defined.
pub type Call = fn(&mut Context<'_, '_>, &[&Value]) -> Outcome;

/// A builtin function that is evaluated.
pub struct Builtin {
    /// What is known of it.
    pub row: &'static Row,
    /// What answers it; a failure does not say of which builtin it is.
    call: Call,
}

impl Builtin {
    /// The answer, or none if it is not defined for these arguments.
    pub(crate) fn ask(&self, context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
        (self.call)(context, args)
    }

    /// Puts the name of the builtin before what it says.
    pub(crate) fn named(&self, message: &str) -> String {
        format!("{}: {message}", self.row.name)
    }
}

/// What a builtin answers. [`Value::UNDEFINED`] is the answer of a builtin that has none, where OPA does not
/// call that an error: `max([])`.
pub type Outcome = Result<Value, Failure>;

/// Why a builtin has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It is not defined for these arguments: one sentence in OPA's words, without the name of the builtin.
    Undefined(String),
    /// A limit was exceeded.
    Limit(Exceeded),
    /// It needs what the caller did not give: one sentence. Always an error.
    Unavailable(&'static str),
    /// Its arguments are wrong where not to be defined would let an object pass: one sentence. Always an error.
    Wrong(String),
    /// It asked, and nobody has answered yet.
    Unanswered,
}

impl From<Exceeded> for Failure {
    fn from(exceeded: Exceeded) -> Self {
        Self::Limit(exceeded)
    }
}

/// Bytes of room for texts that are kept between two builtins.
const MAX_ROOM: usize = 16 << 10;

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
    /// What is known of the world outside, and what is asked of it.
    pub outside: &'c mut Outside<'w>,
    /// Room for a text that is being written.
    pub text: &'c mut String,
}

impl Context<'_, '_> {
    /// The text that is written, if there is room for it in the budget.
    fn write(&mut self, write: impl FnOnce(&mut Output) -> Result<(), TooLong>) -> Outcome {
        let mut out = Output::within(self.budget).in_room_of(std::mem::take(self.text));
        let written = write(&mut out);
        *self.text = out.finish(self.budget, written)?;
        Ok(self.take_text())
    }

    /// The text that lies in the room.
    fn take_text(&mut self) -> Value {
        let value = Value::from(self.text.as_str());
        self.text.clear();
        self.text.shrink_to(MAX_ROOM);
        value
    }
}

/// What is known of the world outside, and what an evaluation asks of it.
#[derive(Default)]
pub struct Outside<'w> {
    /// What is known; none if nobody asks for those who evaluate.
    pub answers: Option<&'w Answers>,
    /// What is not known.
    pub questions: Questions,
    /// The first answer that was used and is none, as a sentence.
    pub failure: Option<(ProviderFailure, String)>,
}

/// What outlives an evaluation: compiled patterns. Never changes an answer.
#[derive(Debug, Default)]
pub struct Caches {
    patterns: regex::Patterns,
}

/// Ours, by family.
static FAMILIES: &[&[(&str, Call)]] = &[
    aggregates::BUILTINS,
    arithmetic::BUILTINS,
    arrays::BUILTINS,
    bits::BUILTINS,
    casts::BUILTINS,
    comparison::BUILTINS,
    crypto::BUILTINS,
    encoding::BUILTINS,
    external_data::BUILTINS,
    glob::BUILTINS,
    globs_match::BUILTINS,
    graph::BUILTINS,
    json::BUILTINS,
    jwt::BUILTINS,
    net::BUILTINS,
    numbers::BUILTINS,
    objects::BUILTINS,
    regex::BUILTINS,
    semver::BUILTINS,
    sets::BUILTINS,
    sprintf::BUILTINS,
    strings::BUILTINS,
    subset::BUILTINS,
    time::BUILTINS,
    types::BUILTINS,
    units::BUILTINS,
    uuid::BUILTINS,
    walk::BUILTINS,
    yaml::BUILTINS,
];

static BY_NAME: LazyLock<HashMap<&'static str, Builtin>> = LazyLock::new(|| {
    let calls = FAMILIES.iter().copied().flatten();
    let builtins = calls.filter_map(|(name, call)| Some(Builtin { row: builtins::find(name)?, call: *call }));
    builtins.map(|builtin| (builtin.row.name, builtin)).collect()
});

/// The builtin of this name, if there is one that is evaluated.
pub fn find(name: &str) -> Option<&'static Builtin> {
    BY_NAME.get(name)
}

/// The failure for arguments that have the right types, but no answer.
fn undefined(message: impl Into<String>) -> Failure {
    Failure::Undefined(message.into())
}

/// The failure for something of a size that is limited by itself.
fn too_large(limit: LimitKind, message: impl Into<String>) -> Failure {
    Failure::Limit(Exceeded { limit, message: format!("{} (limit `{limit}`)", message.into()) })
}

/// A number as it is written in Rego; none if it cannot be held, or is so large that OPA holds it only as it
/// is written.
pub fn number_from_text(text: &str) -> Option<Value> {
    let is_finite = text.parse::<f64>().is_ok_and(f64::is_finite);
    if !is_finite && text.contains(['e', 'E']) {
        return None;
    }
    Number::parse(&mut Budget::new(Limits::default(), None), text).ok().flatten().map(Value::from)
}
