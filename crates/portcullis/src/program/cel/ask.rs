//! One expression by itself, for who asks what it is worth.

use portcullis_cel::CelValue;
use portcullis_value::{Limits, Watch};
use serde_json::{Map, Value as Json, json};

use super::super::admission::Asking;
use super::compile::{Compiled, prepared};
use super::evaluate::{Answer, OUT_OF_BUDGET, Phase};
use super::kept::Kept;
use super::names::Seen;
use super::{CelProgram, EvaluationError, Expression};
use crate::api::cel::CelSource;
use crate::api::template::Text;
use crate::document::Document;
use crate::error::{Error, Severity};
use crate::value::Value;

/// Deepest value that is shown as one of JSON.
const DEEPEST: usize = 200;

/// An expression that sees what validations see.
pub(crate) struct CelExpression {
    program: CelProgram,
    expression: Expression,
}

impl CelExpression {
    /// Compiles it with the variables of a template.
    pub(crate) fn compile(source: &CelSource, document: &Document, text: &Text) -> Result<Self, Vec<Error>> {
        let mut compiler = prepared(source, document).map_err(|error| vec![error])?;
        if let Some(error) = compiler.is_too_large("query", [text]) {
            return Err(vec![error]);
        }
        let compiled = compiler.compile(text);
        let errors = std::mem::take(&mut compiler.errors);
        let errors: Vec<Error> =
            errors.into_iter().filter(|error| error.severity() == Severity::Error).collect();
        match compiled {
            Compiled::Sound(expression) if errors.is_empty() => {
                Ok(Self { program: compiler.finish(source, Vec::new(), Vec::new()), expression })
            }
            Compiled::Sound(_) | Compiled::Tainted(_) | Compiled::Wrong => Err(errors),
        }
    }

    /// What it is worth for a review and a constraint, as JSON, and what it cost.
    pub(crate) fn evaluate(
        &self,
        review: &Value,
        constraint: &Value,
        limits: Limits,
        watch: Option<&dyn Watch>,
    ) -> (Result<Json, EvaluationError>, u64) {
        let seen = Seen::of(review, constraint);
        let (kept, asking) = (Kept::default(), Asking::nobody());
        self.program.within(limits, super::evaluate::STEPS, watch, &kept, &asking, |tank, cost| {
            let mut phase = Phase::new(&self.program, &seen, tank, super::evaluate::BUDGET);
            match phase.evaluate(&self.expression, cost)? {
                Answer::Value(value) => Ok(shown(&value, 0)),
                Answer::Error(error) | Answer::Unknown(error) => Err(error),
                Answer::OutOfBudget => Err(EvaluationError::new(OUT_OF_BUDGET)),
            }
        })
    }
}

/// A value as JSON. What JSON does not have is written as its text, and what is too deep as its type.
pub(super) fn shown(value: &CelValue, depth: usize) -> Json {
    if depth > DEEPEST {
        return Json::from(value.type_name());
    }
    match value {
        CelValue::Null => Json::Null,
        CelValue::Bool(value) => json!(value),
        CelValue::Int(value) => json!(value),
        CelValue::Uint(value) => json!(value),
        CelValue::Double(value) if value.is_finite() => json!(value),
        CelValue::String(text) => json!(text.as_str()),
        CelValue::List(list) => list.iter().map(|item| shown(&item, depth + 1)).collect(),
        CelValue::Map(map) => {
            let entries = map.entries().into_iter();
            Json::Object(entries.map(|(key, value)| (key.to_string(), shown(&value, depth + 1))).collect())
        }
        CelValue::Typed(typed) => {
            let fields = typed.fields.iter();
            let fields: Map<String, Json> =
                fields.map(|(name, value)| (name.to_string(), shown(value, depth + 1))).collect();
            Json::Object(fields)
        }
        CelValue::Optional(Some(value)) => json!({"optional": shown(value, depth + 1)}),
        other => Json::from(other.to_string()),
    }
}
