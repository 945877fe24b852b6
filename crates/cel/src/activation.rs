//! What variables are worth while an expression is evaluated.

use std::collections::BTreeMap;

use portcullis_value::{AccessAnswer, AccessQuestion};

use crate::error::EvalError;
use crate::value::CelValue;

/// Knows what variables are worth. It is asked when an expression comes to one, so that what is never read is
/// never made.
pub trait Activation {
    /// The value of a variable.
    fn variable(&self, name: &str) -> Option<&CelValue>;

    /// A field of a value that is a [`CelValue::Object`], by the name of that: so `variables.x` is evaluated when
    /// it is read. None, if it has no such field. Where the environment knew the field when the expression was
    /// compiled, its place says which it is: the first one that was added is 0.
    ///
    /// # Errors
    ///
    /// If the field has no value; the expression that reads it has none either.
    fn field(&self, object: &str, field: &str, place: Option<u32>) -> Result<Option<&CelValue>, EvalError> {
        let _ = (object, field, place);
        Ok(None)
    }

    /// What a cluster says of somebody's rights, if that is known. The expression that asks has no value without it.
    fn access(&self, question: &AccessQuestion) -> Option<AccessAnswer> {
        let _ = question;
        None
    }
}

/// Variables that are all known before.
///
/// ```
/// use portcullis_cel::{Activation, CelValue, Variables};
///
/// let variables = Variables::default().with("x", CelValue::Int(1));
/// assert!(variables.variable("x").is_some());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Variables(BTreeMap<String, CelValue>);

impl Variables {
    /// The same with a variable more.
    #[must_use]
    pub fn with(mut self, name: &str, value: CelValue) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }
}

impl Activation for Variables {
    fn variable(&self, name: &str) -> Option<&CelValue> {
        self.0.get(name)
    }
}
