//! Admission policies of the API server's, whatever evaluates them: what is asked of their programs, and what these say.

use std::cell::RefCell;
use std::sync::Arc;

use portcullis_value::{AccessAnswer, AccessQuestion, Answers, Limits, Question, Questions, Watch};

use super::Counting;
use super::EvaluationError;
use crate::analysis::ObjectRead;
use crate::api::admission_policy::DenialReason;
use crate::value::Value;

/// What an evaluation looks at.
pub(crate) struct PolicyView<'a> {
    /// `request` as expressions see it, and `namespaceObject` in it, which they see apart.
    pub(crate) request: &'a Value,
    /// The same for match conditions, which see the resource as it was asked for.
    pub(crate) condition_request: &'a Value,
    pub(crate) object: &'a Value,
    pub(crate) old_object: &'a Value,
    /// Null, if there are none.
    pub(crate) params: &'a Value,
    pub(crate) limits: Limits,
    pub(crate) watch: Option<&'a dyn Watch>,
    pub(crate) asking: &'a Asking<'a>,
    pub(crate) counting: Counting,
}

/// What a policy says of one request with one parameter.
#[derive(Debug, Default)]
pub(crate) struct PolicyAnswer {
    /// One for each validation, in their order; or one for all, if they could not be evaluated. None, if a match
    /// condition is false.
    pub(crate) decisions: Vec<PolicyDecision>,
    pub(crate) annotations: Vec<(Arc<str>, AnnotationAnswer)>,
}

/// What came of a validation.
#[derive(Debug)]
pub(crate) enum PolicyDecision {
    Admit,
    Deny {
        message: String,
        reason: DenialReason,
        reads: Arc<[ObjectRead]>,
    },
    /// It has no value. What that leads to is said by the policy's failurePolicy.
    Error(EvaluationError),
}

/// What came of an audit annotation.
#[derive(Debug)]
pub(crate) enum AnnotationAnswer {
    Value(String),
    Nothing,
    Error(EvaluationError),
}

impl PolicyAnswer {
    pub(super) fn of_error(error: EvaluationError) -> Self {
        Self { decisions: vec![PolicyDecision::Error(error)], annotations: Vec::new() }
    }
}

/// How an expression says what is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MutationForm {
    ApplyConfiguration,
    JsonPatch,
}

/// An operation of a JSON patch (RFC 6902).
#[derive(Clone, Debug)]
pub(crate) struct JsonOperation {
    pub(crate) op: String,
    pub(crate) path: String,
    pub(crate) from: String,
    pub(crate) value: Option<Value>,
}

/// What expressions ask about rights, and what is known of it.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    answers: Option<&'a Answers>,
    /// What is not known.
    questions: RefCell<Questions>,
}

impl<'a> Asking<'a> {
    /// With what is known; nothing, if nobody can be asked.
    pub(crate) fn new(answers: Option<&'a Answers>) -> Self {
        Self { answers, questions: RefCell::default() }
    }

    /// Nothing is known, and what is asked is of no use.
    pub(super) fn nobody() -> Self {
        Self::new(None)
    }

    /// Whether something was asked that is not known.
    pub(crate) fn is_open(&self) -> bool {
        !self.questions.borrow().is_empty()
    }

    /// What was asked and is not known.
    pub(crate) fn into_questions(self) -> Questions {
        self.questions.into_inner()
    }

    /// What is known of a right.
    pub(super) fn access(&self, question: &AccessQuestion) -> Option<AccessAnswer> {
        let known = self.answers.and_then(|answers| answers.access(question)).cloned();
        if known.is_none() {
            // What there is no room for is asked next time.
            let _ = self.questions.borrow_mut().ask(Question::Access(Arc::new(question.clone())));
        }
        known
    }
}

/// What a field may be, as far as its kind says.
#[derive(Clone, Debug)]
pub(crate) enum FieldType {
    Any,
    Bool,
    Integer,
    Float,
    Text,
    Bytes,
    Moment,
    Duration,
    List(Box<Self>),
    /// Of texts to values.
    Map(Box<Self>),
    /// The object of that name.
    Object(String),
}

/// An object with fields that are known.
#[derive(Clone, Debug)]
pub(crate) struct ObjectType {
    pub(crate) name: String,
    pub(crate) fields: Vec<(String, FieldType)>,
    pub(crate) naming: Naming,
}

/// How expressions call fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// As they are written.
    AsWritten,
    /// Without what identifiers cannot have; fields of which nothing is left cannot be said.
    Escaped,
}

/// What the objects of a kind are, with all objects in it: each is called by the path to it.
#[derive(Clone, Debug)]
pub(crate) struct KindType {
    pub(crate) whole: FieldType,
    pub(crate) objects: Vec<ObjectType>,
}
