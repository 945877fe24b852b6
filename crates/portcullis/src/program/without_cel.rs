//! CEL in a build without it: there are no programs, as each would be an error of what it belongs to.

use std::sync::Arc;

use portcullis_rego::Base;
use portcullis_value::{Limits, Watch};
use serde_json::Value as Json;

use super::admission::{JsonOperation, KindType, MutationForm, PolicyAnswer, PolicyView};
use super::coverage::PolicyCoverage;
use super::follow::Followed;
use super::{Evaluation, EvaluationError, Special, Surroundings};
use crate::analysis::{self, Told};
use crate::api::admission_policy::AdmissionPolicy;
use crate::api::cel::{CelSource, FailurePolicy};
use crate::api::template::{Text, TextPlace};
use crate::cel::{LEFT_OUT, WHAT_TO_DO};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::names::Gvk;
use crate::value::Value;

/// That something is not evaluated, where its first expression stands.
fn refused<T>(document: &Document, first: Option<&Text>) -> (Option<T>, Vec<Error>) {
    let error = Error::new(ErrorKind::Cel, LEFT_OUT).hint(WHAT_TO_DO).at(document.location());
    let error = match first {
        None => error,
        Some(text) => {
            let error = error.at(analysis::locate(document, text, portcullis_rego_syntax::Span::default()));
            match &text.place {
                TextPlace::Within(path) => error.in_field(path.clone()),
                TextPlace::File(_) => error,
            }
        }
    };
    (None, vec![error])
}

/// There is none.
#[derive(Debug)]
pub(crate) enum CelProgram {}

/// There is none.
#[derive(Debug)]
pub(crate) enum OfConstraint {}

/// What a review hands on from one program to the next: nothing.
#[derive(Debug)]
pub(crate) struct OfReview<'r>(std::marker::PhantomData<&'r ()>);

impl<'r> OfReview<'r> {
    pub(super) const fn on(_: &'r Desk<'r>) -> Self {
        Self(std::marker::PhantomData)
    }
}

/// What reviews are evaluated on: nothing.
#[derive(Debug, Default)]
pub(crate) struct Desk<'r>(std::marker::PhantomData<&'r ()>);

impl CelProgram {
    /// Always an error.
    pub(super) fn compile(source: &CelSource, document: &Document) -> (Option<Self>, Vec<Error>) {
        refused(document, source.expressions().next())
    }

    pub(super) fn operations(&self) -> usize {
        match *self {}
    }

    pub(super) fn documents(&self) -> usize {
        match *self {}
    }

    pub(crate) fn told(&self) -> &Arc<Told> {
        match *self {}
    }

    pub(super) fn may_rest_on(&self, _base: Base, _place: &[Option<&str>]) -> bool {
        match *self {}
    }

    pub(super) fn of_constraint(&self) -> Option<OfConstraint> {
        match *self {}
    }

    pub(super) fn follow(&self, _input: &[(Value, Value)], _surroundings: &Surroundings<'_>) -> Followed {
        match *self {}
    }

    pub(super) fn expect_in(&self, _coverage: &PolicyCoverage) {
        match *self {}
    }

    pub(super) fn evaluate(
        &self,
        _review: &OfReview<'_>,
        _input: &[(Value, Value)],
        _special: Option<&Special>,
        _surroundings: &Surroundings<'_>,
    ) -> Evaluation {
        match *self {}
    }
}

/// There is none.
#[derive(Debug)]
pub(crate) enum PolicyProgram {}

impl PolicyProgram {
    /// Always an error.
    pub(crate) fn compile(policy: &AdmissionPolicy) -> (Option<Self>, Vec<Error>) {
        let (program, errors) = refused(&policy.document, policy.expressions().first().copied());
        (program, errors.into_iter().map(|error| error.about(policy.subject())).collect())
    }

    /// Nothing but that it was refused is said of a policy.
    pub(crate) fn check_types(
        _policy: &AdmissionPolicy,
        _kind: &Gvk,
        _objects: &KindType,
        _params: Option<&KindType>,
    ) -> Vec<Error> {
        Vec::new()
    }

    pub(crate) fn common(&self) -> &CelProgram {
        match *self {}
    }

    pub(crate) fn failure_policy(&self) -> FailurePolicy {
        match *self {}
    }

    pub(crate) fn may_ask(&self) -> bool {
        match *self {}
    }

    pub(crate) fn mutations(&self) -> std::iter::Empty<MutationForm> {
        match *self {}
    }

    pub(crate) fn holds(
        &self,
        _view: &PolicyView<'_>,
    ) -> Result<Result<bool, EvaluationError>, EvaluationError> {
        match *self {}
    }

    pub(crate) fn patch(
        &self,
        _number: usize,
        _view: &PolicyView<'_>,
    ) -> Result<Result<Patch, EvaluationError>, EvaluationError> {
        match *self {}
    }

    pub(crate) fn evaluate(
        &self,
        _view: &PolicyView<'_>,
    ) -> (Result<PolicyAnswer, EvaluationError>, Option<u64>) {
        match *self {}
    }

    pub(crate) fn follow(&self, _view: &PolicyView<'_>) -> Followed {
        match *self {}
    }
}

/// What the expression of a mutation came to: there is none.
pub(crate) enum Patch {}

impl Patch {
    pub(crate) fn object(&self) -> Result<Value, String> {
        match *self {}
    }

    pub(crate) fn operations(&self) -> Result<Vec<JsonOperation>, String> {
        match *self {}
    }
}

/// There is none.
pub(crate) enum CelExpression {}

impl CelExpression {
    /// Always an error.
    pub(crate) fn compile(_source: &CelSource, document: &Document, text: &Text) -> Result<Self, Vec<Error>> {
        let (program, errors) = refused(document, Some(text));
        program.ok_or(errors)
    }

    pub(crate) fn evaluate(
        &self,
        _review: &Value,
        _constraint: &Value,
        _limits: Limits,
        _watch: Option<&dyn Watch>,
    ) -> (Result<Json, EvaluationError>, u64) {
        match *self {}
    }
}
