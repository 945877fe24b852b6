//! Questions that somebody asks about policies while writing them: a query in Rego over the modules of a template or over
//! files, and an expression in CEL with the variables of a template. No verdict comes from here.
//!
//! ```text
//! modules + query --RegoQuery--\
//!                               evaluate, on a QueryInput --> QueryAnswer: solutions, prints, cost, what was reached
//! variables + expression --CelQuery--/
//! ```

mod cel;
mod rego;

use std::collections::BTreeMap;

pub use cel::CelQuery;
pub use rego::RegoQuery;

use crate::document::Document;
use crate::names::ConstraintKey;
use crate::policy::PolicySet;
use crate::program::EvaluationError;
use crate::review::Review;
use crate::source::Location;
use crate::value::{self, Value};
use crate::world::World;

/// Whether an answer tells which statements were reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tracing {
    /// It does not.
    #[default]
    Off,
    /// It does, which takes longer.
    On,
}

/// What a question is asked about.
#[derive(Clone, Debug)]
pub struct QueryInput {
    /// `input` of Rego; undefined if there is none.
    input: Value,
    /// `data` of Rego, but for what rules make.
    data: Value,
    /// `input.review`, if it is one of an object.
    review: Value,
    constraint: Value,
}

impl Default for QueryInput {
    fn default() -> Self {
        Self {
            input: Value::UNDEFINED,
            data: Value::new_object(),
            review: Value::NULL,
            constraint: Value::NULL,
        }
    }
}

impl QueryInput {
    /// Any document: `input` is the whole of it.
    #[must_use]
    pub fn of_document(document: &Document) -> Self {
        Self { input: document.value().clone(), ..Self::default() }
    }

    /// A review, as a constraint of the set sees it: `input.review` and `input.parameters`, with the defaults of the
    /// schema; without a constraint there are no parameters. What policies compare with is in the world.
    #[must_use]
    pub fn of_review(
        review: &Review,
        world: &World<'_>,
        policies: &PolicySet,
        constraint: Option<&ConstraintKey>,
    ) -> Self {
        let review = review.input_in(world);
        let found = constraint.and_then(|key| policies.compiled().find(|known| known.info.key() == key));
        let entries = match &found {
            Some(constraint) => constraint.input(&review),
            None => [("parameters", Value::new_object()), ("review", review.clone())]
                .map(|(key, value)| (Value::from(key), value)),
        };
        let constraint = found.map_or_else(Value::new_object, |found| found.info.object().value().clone());
        let data = world.inventory().map_or_else(Value::new_object, |inventory| inventory.data().clone());
        Self { input: value::object(entries), data, review, constraint }
    }
}

/// What came of a question.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QueryAnswer {
    /// The solutions, in the order in which they were found; none is *undefined*. Or why there is no answer.
    pub result: Result<Vec<QuerySolution>, EvaluationError>,
    /// What was printed with `print`.
    pub prints: Vec<String>,
    /// Steps of an evaluation of Rego, or the cost of one of CEL: the same on every machine.
    pub cost: u64,
    /// The statements that were reached, in the order of the texts, if somebody wanted to know.
    pub reached: Vec<ReachedStatement>,
}

/// One way in which a query holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuerySolution {
    /// The value, if the query is one expression.
    pub value: Option<serde_json::Value>,
    /// The values of its variables.
    pub bindings: BTreeMap<String, serde_json::Value>,
}

/// A statement of a policy that an evaluation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachedStatement {
    /// Where it stands.
    pub location: Location,
    /// Whether it is the head of a rule, which is reached when its body holds.
    pub is_head: bool,
    /// Whether it held at least once.
    pub has_held: bool,
    /// Whether it did not hold at least once.
    pub has_failed: bool,
}
