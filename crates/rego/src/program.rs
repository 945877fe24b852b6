//! Programs: modules lowered for one query.

use std::fmt;

use crate::builtins::Caches;
use crate::error::CompileError;
use crate::eval::{Environment, Evaluation, evaluate};
use crate::lower::{Query, Unit, lower};
use crate::normal_form::NormalForm;

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
    form: NormalForm,
    caches: Caches,
}

impl Program {
    /// Lowers modules.
    ///
    /// # Errors
    /// Everything in the modules that OPA refuses and that needs all of them to be seen, with positions. Cost
    /// grows with their text, and with its square for bodies in the reverse order of what they need, up to a limit.
    pub fn compile(units: &[Unit<'_>], query: &Query<'_>) -> Result<Self, Vec<CompileError>> {
        Ok(Self { form: lower(units, query)?, caches: Caches::default() })
    }

    /// Answers the query. Never panics, and uses no more than the limits allow; takes time and allocates for
    /// each operation of the normal form that is run, and nothing for those that are not.
    pub fn evaluate(&self, environment: &Environment<'_>) -> Evaluation {
        evaluate(&self.form, &self.caches, environment)
    }

    /// How many operations the normal form has.
    pub fn operations(&self) -> usize {
        self.form.operations
    }

    /// How many documents and functions rules make.
    pub fn documents(&self) -> usize {
        self.form.groups.len()
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({} documents, {} operations)", self.documents(), self.form.operations)
    }
}
