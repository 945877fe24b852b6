//! Expressions in CEL.

use portcullis_value::Limits;

use super::{QueryAnswer, QueryInput, QuerySolution};
use crate::api::ConstraintTemplate;
use crate::api::cel::{CelSource, FailurePolicy};
use crate::api::template::{EngineSource, Text, TextPlace};
use crate::document::Document;
use crate::error::Error;
use crate::program::CelExpression;
use crate::source::Source;
use crate::world::World;

/// An expression, compiled with the variables of a template: `variables.params` and `variables.anyObject`, as Gatekeeper
/// has them, and its own.
///
/// ```
/// use portcullis::{CelQuery, Document, Object, PolicySet, QueryInput, Review, World};
///
/// let text = "{apiVersion: v1, kind: Pod, metadata: {name: web}}";
/// let document = Document::read_all("pod.yaml", text).0.remove(0);
/// let review = Review::from_object(Object::from_document(document).unwrap());
/// let input = QueryInput::of_review(&review, &World::default(), &PolicySet::default(), None);
/// let query = CelQuery::new(None, "object.metadata.name + '!'").unwrap();
/// let answer = query.evaluate(&input, &World::default());
/// assert_eq!(answer.result.unwrap()[0].value, Some("web!".into()));
/// ```
pub struct CelQuery {
    expression: CelExpression,
}

impl CelQuery {
    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// What is wrong with the template's variables, or with the expression.
    pub fn new(template: Option<&ConstraintTemplate>, expression: &str) -> Result<Self, Vec<Error>> {
        let source = Source::new("query", expression);
        let found = template.and_then(|template| {
            template.engines.iter().find_map(|engine| match engine {
                EngineSource::Cel(cel) => Some(cel),
                EngineSource::Rego(_) => None,
            })
        });
        let cel = CelSource {
            variables: found.map(|cel| cel.variables.clone()).unwrap_or_default(),
            match_conditions: Vec::new(),
            validations: Vec::new(),
            failure_policy: FailurePolicy::Fail,
        };
        let document =
            template.map_or_else(|| Document::empty(&source), |template| template.document().clone());
        let text = Text {
            text: source.text().clone(),
            version: crate::api::RegoVersion::V1,
            place: TextPlace::File(source),
        };
        CelExpression::compile(&cel, &document, &text).map(|expression| Self { expression })
    }

    /// Evaluates it. Never panics, and ends within the limits of the world, or at the cost that an API server allows.
    #[must_use]
    pub fn evaluate(&self, input: &QueryInput, world: &World<'_>) -> QueryAnswer {
        let limits: Limits = world.limits();
        let (result, cost) =
            self.expression.evaluate(&input.review, &input.constraint, limits, world.watch());
        let result =
            result.map(|value| vec![QuerySolution { value: Some(value), ..QuerySolution::default() }]);
        QueryAnswer { result, prints: Vec::new(), cost, reached: Vec::new() }
    }
}
