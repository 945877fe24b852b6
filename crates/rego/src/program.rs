//! Programs: modules lowered for one query. `lower` makes them, `eval` runs them, and `reads` says what their
//! answers rest on.

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};

use portcullis_rego_syntax::Span;
use portcullis_value::Value;

use crate::builtins::Caches;
use crate::common::Commons;
use crate::normal_form::{Entry, NormalForm};

/// Modules lowered for one query. Immutable and shared by threads.
///
/// ```
/// use portcullis_rego::{Environment, Program, Query, Unit};
/// use portcullis_rego_syntax::{Version, parse, resolve};
/// use portcullis_value::Value;
///
/// let parsed = parse("package demo\nallow if not input.denied", Version::V1);
/// let names = resolve(&parsed.module);
/// let unit = Unit { module: &parsed.module, names: &names };
/// let program = Program::compile(&[unit], &Query::Path(&["demo", "allow"]))?;
///
/// let evaluation = program.evaluate(&Environment::default());
/// assert_eq!(evaluation.result, Ok(Value::TRUE));
/// # Ok::<(), Vec<portcullis_rego::CompileError>>(())
/// ```
pub struct Program {
    form: Arc<NormalForm>,
    /// What is asked, if that is not what the form itself has: several programs may share one.
    entry: Option<Entry>,
    caches: Caches,
    comparings: Vec<Comparing>,
    /// What indexes know it by.
    identity: Arc<()>,
    /// What it has in common with other programs; worked out when it is first asked for.
    commons: OnceLock<Commons>,
    /// Bytes that are taken by programs that were specialised.
    specialised: Arc<AtomicUsize>,
}

/// An iteration over what `data` holds besides rules, such as the objects of an inventory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Comparing {
    /// The module, by its position in the list given to [`Program::compile`].
    pub module: usize,
    /// Where in its text.
    pub span: Span,
    /// Where in `data` it leads, with none for each key that is not constant; empty for what rules made of
    /// it.
    pub path: Vec<Option<Value>>,
    /// How it is gone through.
    pub cost: ComparingCost,
}

/// How much of what `data` holds an iteration looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ComparingCost {
    /// Only what equals what it is compared with: an index answers it ([`crate::Indexes`]).
    Index,
    /// All of it, but once for all evaluations with the same document, if they are given [`crate::Indexes`].
    Once,
    /// All of it, in every evaluation that comes there.
    All,
    /// All that is below keys which the evaluation knows, such as the namespace of the reviewed object.
    Part,
}

impl Program {
    pub(crate) fn new(form: Arc<NormalForm>, entry: Option<Entry>, comparings: Vec<Comparing>) -> Self {
        Self {
            form,
            entry,
            caches: Caches::default(),
            comparings,
            identity: Arc::new(()),
            commons: OnceLock::new(),
            specialised: Arc::default(),
        }
    }

    /// Whether [`Self::indexes`] gives any.
    pub fn has_indexes(&self) -> bool {
        !self.form.sites.is_empty()
    }

    /// How many indexes it can use.
    pub fn index_count(&self) -> usize {
        self.form.sites.len()
    }

    /// The iterations over what `data` holds, in the order of the text.
    pub fn comparings(&self) -> &[Comparing] {
        &self.comparings
    }

    /// What is asked.
    pub(crate) fn entry(&self) -> &Entry {
        self.entry.as_ref().unwrap_or(&self.form.entry)
    }

    pub(crate) fn shared_form(&self) -> &Arc<NormalForm> {
        &self.form
    }

    pub(crate) fn form(&self) -> &NormalForm {
        &self.form
    }

    pub(crate) fn caches(&self) -> &Caches {
        &self.caches
    }

    /// Its documents that depend on one entry of `input` only; none if those of another entry were asked for
    /// before.
    pub(crate) fn commons(&self, key: &Value) -> Option<&Commons> {
        let commons = self.commons.get_or_init(|| Commons::of(&self.form, key));
        (commons.key == *key).then_some(commons)
    }

    pub(crate) fn specialised(&self) -> &Arc<AtomicUsize> {
        &self.specialised
    }

    pub(crate) fn identity(&self) -> &Arc<()> {
        &self.identity
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
