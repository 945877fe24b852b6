//! Templates' Rego: compiled once per template, evaluated once per constraint that applies.
//!
//! ```text
//! texts --parse, resolve--> modules --template_rules, recursion, types, reads--> findings, what is read
//!                              \--portcullis_rego::Program::compile--> RegoProgram --evaluate--> violations
//! ```

mod lint;
mod operations;
mod reads;
mod recursion;
mod reviewed_kinds;
mod rule_book;
mod template_rules;
mod types;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

pub(crate) use portcullis_rego::Base;
pub use portcullis_rego::ComparingCost;
use portcullis_rego::{CompileError, Environment, EvalError, Indexes, Program, Query, Unit};
use portcullis_rego_syntax::resolve;
use portcullis_rego_syntax::{Parsed, Span};

use crate::api::template::{RegoSource, RegoVersion, Text};
use crate::document::Document;
use crate::error::{Error, ErrorKind, Severity};
use crate::inventory::Inventory;
use crate::policy::{InventoryRead, PolicySet};
use crate::review::EvaluationError;
use crate::schema::Schema;
use crate::source::Location;
use crate::value::{self, Value, View};
use crate::world::World;

pub use lint::Explanation;
pub(crate) use operations::{Mention, OperationUse};
use reads::Reads;
use template_rules::ParsedModule;

/// A template's compiled program. Immutable and shared by threads.
pub(crate) struct RegoProgram {
    program: Program,
    document: Document,
    /// The texts of the modules, for the positions of errors.
    texts: Vec<Text>,
    inventory_reads: Vec<InventoryRead>,
    object_reads: Arc<[ObjectRead]>,
    reads_namespace: bool,
    operation_use: OperationUse,
    /// What its answers may rest on; worked out when it is first asked for.
    rests_on: OnceLock<portcullis_rego::Reads>,
}

/// A place where a policy goes through objects of the inventory.
#[derive(Clone, Debug)]
pub struct InventoryComparison {
    /// Where it begins.
    pub location: Option<Location>,
    /// The objects, as far as the policy's text fixes their kind.
    pub objects: InventoryRead,
    /// How many of them are looked at.
    pub cost: ComparingCost,
}

/// A path below `input.review.object` that the policy reads: constant steps, `None` where it is computed.
pub(crate) type ObjectRead = Vec<Option<Box<str>>>;

/// What came of one evaluation.
pub(crate) struct Evaluation {
    pub(crate) result: Result<Vec<RawViolation>, EvaluationError>,
    pub(crate) prints: Vec<String>,
    pub(crate) steps: u64,
}

/// An element of the `violation` set.
pub(crate) struct RawViolation {
    pub(crate) message: String,
    pub(crate) details: Value,
}

impl RegoProgram {
    /// Compiles a template's Rego. What is wrong with it comes back with positions in the template's document.
    pub(crate) fn compile(
        source: &RegoSource,
        document: &Document,
        schema: Option<&Schema>,
    ) -> (Option<Self>, Vec<Error>) {
        let texts: Vec<_> = [&source.module].into_iter().chain(&source.libs).cloned().collect();
        let FrontEnd { modules, mut errors } = front_end(source, &texts, document);
        if let Some(schema) = schema {
            errors.extend(template_rules::check_parameters(&modules, schema, document));
        }
        lint::check(&modules, schema, document, &mut errors);
        if errors.iter().any(|error| error.severity() == Severity::Error) {
            return (None, errors);
        }
        let reads = Reads::of(&modules.iter().map(|parsed| &parsed.module).collect::<Vec<_>>());
        let units: Vec<Unit<'_>> =
            modules.iter().map(|parsed| Unit { module: &parsed.module, names: &parsed.names }).collect();
        let mut path = modules.first().map(|parsed| parsed.module.package_path()).unwrap_or_default();
        path.push("violation");
        match Program::compile(&units, &Query::Path(&path)) {
            Ok(program) => {
                let program = Self {
                    program,
                    document: document.clone(),
                    inventory_reads: reads.inventory,
                    object_reads: reads.object.into(),
                    reads_namespace: reads.namespace,
                    operation_use: OperationUse::of(&modules),
                    rests_on: OnceLock::new(),
                    texts,
                };
                (Some(program), errors)
            }
            Err(found) => {
                errors.extend(found.iter().map(|error| compile_error(error, &modules, document)));
                (None, errors)
            }
        }
    }

    /// Of how many operations its normal form is.
    pub(crate) fn operations(&self) -> usize {
        self.program.operations()
    }

    /// How many documents and functions its rules make.
    pub(crate) fn documents(&self) -> usize {
        self.program.documents()
    }

    /// The kinds it reads from the inventory.
    pub(crate) fn inventory_reads(&self) -> &[InventoryRead] {
        &self.inventory_reads
    }

    /// Where it goes through objects of the inventory, in the order of the text.
    pub(crate) fn comparisons(&self) -> Vec<InventoryComparison> {
        let comparisons = self.program.comparings().iter();
        comparisons
            .map(|found| InventoryComparison {
                location: self.locate(found.module, found.span),
                objects: objects_at(&found.path),
                cost: found.cost,
            })
            .collect()
    }

    /// The parts of the object it reads.
    pub(crate) fn object_reads(&self) -> Arc<[ObjectRead]> {
        Arc::clone(&self.object_reads)
    }

    /// Whether it may look at the Namespace of the object.
    pub(crate) fn reads_namespace(&self) -> bool {
        self.reads_namespace
    }

    /// What its text says about operations.
    pub(crate) fn operation_use(&self) -> &OperationUse {
        &self.operation_use
    }

    /// How many indexes it has a use for.
    pub(crate) fn index_count(&self) -> usize {
        self.program.index_count()
    }

    /// Indexes over a `data` document, of which none is made yet.
    pub(crate) fn new_indexes(&self, data: &Value) -> Option<Indexes> {
        self.program.indexes(data)
    }

    /// Whether indexes are of this program.
    pub(crate) fn is_known_by(&self, indexes: &Indexes) -> bool {
        indexes.is_of(&self.program)
    }

    /// Whether its answers may rest on what is at a place of `input` or `data`, or below it. Unlike [`Self::object_reads`], which are
    /// for showing people where something is, these are never too few.
    pub(crate) fn may_rest_on(&self, base: Base, place: &[Option<&str>]) -> bool {
        self.rests_on.get_or_init(|| self.program.reads()).meet(base, place)
    }

    /// Makes what evaluations over these objects look up. Never panics: what cannot be made is met by the evaluations that need it.
    pub(crate) fn prepare(&self, inventory: &Inventory, set: &PolicySet) {
        if let Some(indexes) = inventory.indexes(self, set) {
            let _ = catch_unwind(AssertUnwindSafe(|| indexes.prepare(&self.program)));
        }
    }

    /// Evaluates `violation` for one input document. Never panics: a panic would be an error of this evaluation.
    pub(crate) fn evaluate(&self, input: Value, world: &World<'_>, set: &PolicySet) -> Evaluation {
        let indexes = world.inventory().indexes(self, set);
        let environment = Environment {
            input: Some(input),
            data: world.inventory().data().clone(),
            limits: world.limits(),
            watch: world.watch(),
            now_ns: world.now_ns(),
            seed: world.seed(),
            strict_builtin_errors: false,
            indexes: indexes.as_deref(),
        };
        let caught = catch_unwind(AssertUnwindSafe(|| self.program.evaluate(&environment)));
        let Ok(evaluation) = caught else {
            let result = Err(EvaluationError::new("the evaluation panicked: please report this"));
            return Evaluation { result, prints: Vec::new(), steps: 0 };
        };
        let result = match &evaluation.result {
            Ok(value) => violations(value),
            Err(error) => Err(self.evaluation_error(error)),
        };
        Evaluation { result, prints: evaluation.prints, steps: evaluation.steps }
    }

    fn evaluation_error(&self, error: &EvalError) -> EvaluationError {
        let location = error.at.and_then(|(module, span)| self.locate(module, span));
        let limit = match error.kind {
            portcullis_rego::EvalErrorKind::Limit(limit) => Some(limit),
            _ => None,
        };
        EvaluationError { message: error.message.clone(), location, limit }
    }

    fn locate(&self, module: usize, span: Span) -> Option<Location> {
        template_rules::locate(&self.document, self.texts.get(module)?, span)
    }
}

/// The objects that a path below `data` leads to.
fn objects_at(path: &[Option<Value>]) -> InventoryRead {
    let step = |position: usize| path.get(position)?.as_ref().and_then(value::as_str);
    let version = match (step(0), step(1)) {
        (Some("inventory"), Some("cluster")) => 2,
        (Some("inventory"), Some("namespace")) => 3,
        _ => return InventoryRead { api_version: None, kind: None, fields: None },
    };
    let text = |position| step(position).map(Arc::from);
    InventoryRead { api_version: text(version), kind: text(version + 1), fields: None }
}

/// The modules of a template as they are written.
struct FrontEnd<'a> {
    modules: Vec<ParsedModule<'a>>,
    errors: Vec<Error>,
}

/// Parses all modules of a template and checks them against the rules for templates.
fn front_end<'a>(source: &RegoSource, texts: &'a [Text], document: &Document) -> FrontEnd<'a> {
    let version = match source.version {
        RegoVersion::V0 => portcullis_rego_syntax::Version::V0,
        RegoVersion::V1 => portcullis_rego_syntax::Version::V1,
    };
    let parsed: Vec<Parsed> =
        texts.iter().map(|text| portcullis_rego_syntax::parse(&text.text, version)).collect();
    let mut packages: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for Parsed { module, .. } in &parsed {
        let path = module.package_path().into_iter().map(str::to_owned).collect();
        packages.push((path, module.rules.iter().map(|rule| rule.name().to_owned()).collect()));
    }
    let mut modules = Vec::new();
    let mut errors = Vec::new();
    let mut is_sound = true;
    for (number, (text, Parsed { module, diagnostics })) in texts.iter().zip(parsed).enumerate() {
        let package = packages.get(number).map(|(path, _)| path);
        let others = packages
            .iter()
            .enumerate()
            .filter(|(other, (path, _))| *other != number && Some(path) == package);
        let package_rules = others.flat_map(|(_, (_, rules))| rules.iter().cloned()).collect();
        let environment = resolve::Environment { package_rules, functions: Vec::new() };
        let names = portcullis_rego_syntax::resolve_in(&module, &environment);
        let parsed = ParsedModule { text, module, names, is_lib: number > 0 };
        errors.extend(
            diagnostics.iter().map(|diagnostic| template_rules::rego_error(diagnostic, &parsed, document)),
        );
        let broken = !diagnostics.is_empty();
        is_sound &= !broken && parsed.names.diagnostics.is_empty();
        // What follows from a text that does not parse is noise.
        let unresolved = parsed.names.diagnostics.iter().filter(|_| !broken);
        errors.extend(unresolved.map(|diagnostic| template_rules::rego_error(diagnostic, &parsed, document)));
        errors.extend(template_rules::check(&parsed, broken, document));
        modules.push(parsed);
    }
    for (number, parsed) in modules.iter().enumerate() {
        let unit = Unit { module: &parsed.module, names: &parsed.names };
        let unavailable = portcullis_rego::unavailable_builtins(&unit, number);
        errors.extend(unavailable.iter().map(|error| compile_error(error, &modules, document)));
    }
    errors.extend(template_rules::check_libraries(&modules, document));
    let recursions = recursion::find(&modules);
    if is_sound && recursions.is_empty() {
        errors.extend(types::check(&modules, document));
    }
    for found in recursions {
        let location = modules
            .get(found.module)
            .and_then(|parsed| template_rules::locate(document, parsed.text, found.span));
        errors.push(Error::new(found.kind, found.message).at(location));
    }
    FrontEnd { modules, errors }
}

fn compile_error(error: &CompileError, modules: &[ParsedModule<'_>], document: &Document) -> Error {
    let location = modules
        .get(error.module)
        .and_then(|parsed| template_rules::locate(document, parsed.text, error.span));
    Error::new(ErrorKind::Rego, error.message.clone()).maybe_hint(error.hint.clone()).at(location)
}

/// Reads the `violation` set. Gatekeeper drops elements without `msg` and fails the whole review on one that is not a
/// string; here either makes this constraint's verdict an error.
fn violations(set: &Value) -> Result<Vec<RawViolation>, EvaluationError> {
    let elements: Vec<&Value> = match set.view() {
        View::Set(set) => set.iter().collect(),
        // `violation[r]` of an object gives its keys.
        View::Object(object) => object.iter().map(|(key, _)| key).collect(),
        // As `default violation = false`: certainly none.
        View::Undefined | View::Null | View::Bool(false) | View::Array([]) => Vec::new(),
        _ => {
            let message = format!("`violation` must be a set, found {}", value::describe(set));
            return Err(EvaluationError::new(message));
        }
    };
    let mut violations = Vec::new();
    for element in elements {
        let message = match value::get(element, "msg").map(|found| (found, found.as_str())) {
            Some((_, Some(message))) => message.to_owned(),
            Some((other, None)) => {
                let message =
                    format!("`msg` of a violation must be a string, found {}", value::describe(other));
                return Err(EvaluationError::new(message));
            }
            None => {
                let message =
                    format!("a violation must be an object with `msg`, found {}", value::describe(element));
                return Err(EvaluationError::new(message));
            }
        };
        let details = value::get(element, "details").cloned().unwrap_or_else(Value::new_object);
        violations.push(RawViolation { message, details });
    }
    // Elements that differ in other keys only are one violation.
    violations.sort_by(|a, b| (&a.message, &a.details).cmp(&(&b.message, &b.details)));
    violations.dedup_by(|a, b| a.message == b.message && a.details == b.details);
    Ok(violations)
}

impl fmt::Debug for RegoProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rego{:?}", self.program)
    }
}
