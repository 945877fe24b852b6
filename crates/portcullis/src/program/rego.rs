//! Templates in Rego: from the texts of a template to violations with messages.
//!
//! Everything that knows both Rego and Kubernetes' templates is here: which query is asked (`violation` of
//! the template's package), what `input` is, what counts as a violation, and where an error of the evaluation
//! lies in the template's YAML. A panic of the evaluator would be a defect; it is caught here and becomes an
//! error of that one constraint.
//!
//! ```text
//! texts --analysis--> modules --portcullis_rego::Program::compile--> RegoProgram --evaluate--> violations
//! ```

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use portcullis_rego::{
    Base, Coverage, Environment, EvalError, EvalErrorKind, Indexes, Input, Made, Query, Unit, Workspace,
};
use portcullis_rego_syntax::Span;
use portcullis_value::Questions;

use super::coverage::{self, CoveredKind, CoveredPlace, PolicyCoverage};
use super::follow::Followed;
use super::{Evaluation, EvaluationError, InventoryComparison, RawViolation, Special, Surroundings};
use crate::analysis::{self, Asked, CallGraph, InventoryRead, Looks, Told};
use crate::api::template::RegoSource;
use crate::document::Document;
use crate::error::{Error, Severity};
use crate::schema::Schema;
use crate::source::Location;
use crate::value::{self, Value, View};

/// A template's compiled program. Immutable and shared by threads.
pub(crate) struct RegoProgram {
    program: portcullis_rego::Program,
    document: Document,
    /// The texts of the modules, and what they say of themselves.
    told: Arc<Told>,
    /// What its answers may rest on; worked out when it is first asked for.
    rests_on: OnceLock<portcullis_rego::Reads>,
    may_ask: bool,
    looks: Looks,
    /// The calls that ask providers.
    asked: Box<[Asked]>,
    /// The same with marks; made when it is first asked for.
    marked: OnceLock<Option<Marked>>,
}

/// A program that tells which of its statements are reached.
struct Marked {
    program: portcullis_rego::Program,
    /// Where each of its statements stands, if that is known, and what it is.
    places: Vec<(Option<Location>, CoveredKind)>,
}

impl RegoProgram {
    /// Compiles a template's Rego. What is wrong with it comes back with positions in the template's
    /// document.
    pub(super) fn compile(
        source: &RegoSource,
        document: &Document,
        schema: Option<&Schema>,
    ) -> (Option<Self>, Vec<Error>) {
        let texts: Vec<_> = [&source.module].into_iter().chain(&source.libs).cloned().collect();
        let modules = analysis::parsed(&texts);
        let graph = CallGraph::of(&modules);
        let mut errors = analysis::check(&graph, schema, document);
        if errors.iter().any(|error| error.severity() == Severity::Error) {
            return (None, errors);
        }
        let units: Vec<Unit<'_>> =
            modules.iter().map(|parsed| Unit { module: &parsed.module, names: &parsed.names }).collect();
        let mut path = modules.first().map(|parsed| parsed.module.package_path()).unwrap_or_default();
        path.push("violation");
        match portcullis_rego::Program::compile(&units, &Query::Path(&path)) {
            Ok(program) => {
                let asked = analysis::asked(&modules, document);
                let looks = Looks::of(&modules);
                errors.extend(analysis::unchecked(&asked, looks));
                let program = Self {
                    program,
                    document: document.clone(),
                    told: Arc::new(Told::new(texts.clone(), modules.iter().map(|parsed| &parsed.module))),
                    rests_on: OnceLock::new(),
                    looks,
                    asked: asked.into(),
                    may_ask: texts.iter().any(|text| text.text.contains("external_data")),
                    marked: OnceLock::new(),
                };
                (Some(program), errors)
            }
            Err(found) => {
                errors.extend(found.iter().map(|error| analysis::compile_error(error, &modules, document)));
                (None, errors)
            }
        }
    }

    /// Of how many operations its normal form is.
    pub(super) fn operations(&self) -> usize {
        self.program.operations()
    }

    /// How many documents and functions its rules make.
    pub(super) fn documents(&self) -> usize {
        self.program.documents()
    }

    /// What its text says of itself.
    pub(super) fn told(&self) -> &Arc<Told> {
        &self.told
    }

    /// Where it goes through objects of the inventory, in the order of the text.
    pub(super) fn comparisons(&self) -> Vec<InventoryComparison> {
        let comparisons = self.program.comparings().iter();
        comparisons
            .map(|found| InventoryComparison {
                location: self.locate(found.module, found.span),
                objects: objects_at(&found.path),
                cost: found.cost,
            })
            .collect()
    }

    /// How many indexes it can use.
    pub(super) fn index_count(&self) -> usize {
        self.program.index_count()
    }

    /// Indexes over a `data` document, of which none is made yet.
    pub(super) fn new_indexes(&self, data: &Value) -> Option<Indexes> {
        self.program.indexes(data)
    }

    /// Whether indexes are of this program.
    pub(super) fn is_known_by(&self, indexes: &Indexes) -> bool {
        indexes.is_of(&self.program)
    }

    /// Whether its answers may rest on what is at a place of `input` or `data`, or below it. Unlike
    /// [`Self::object_reads`], which are for showing people where something is, these are never too few.
    pub(super) fn may_rest_on(&self, base: Base, place: &[Option<&str>]) -> bool {
        self.rests_on.get_or_init(|| self.program.reads()).meet(base, place)
    }

    /// Whether it may ask the world outside: it has the name of what asks, wherever that stands.
    pub(super) fn may_ask(&self) -> bool {
        self.may_ask
    }

    /// The calls that ask providers of external data.
    pub(super) fn asked(&self) -> &[Asked] {
        &self.asked
    }

    /// Makes what evaluations over these objects look up. Never panics: what cannot be made is met by the
    /// evaluations that need it.
    pub(super) fn prepare(&self, indexes: &Indexes) {
        let _ = catch_unwind(AssertUnwindSafe(|| indexes.prepare(&self.program)));
    }

    /// The program for inputs with this value at a key.
    pub(super) fn specialise(&self, key: &str, value: &Value) -> Option<portcullis_rego::Special> {
        // A defect in it must not be one of all evaluations.
        catch_unwind(AssertUnwindSafe(|| self.program.specialise(key, value))).ok().flatten()
    }

    /// Evaluates `violation` for one input document, given by its sorted entries. Never panics: a panic would be an error of this
    /// evaluation.
    pub(super) fn evaluate(
        &self,
        workspace: &mut Workspace,
        input: &[(Value, Value)],
        special: Option<&Special>,
        surroundings: &Surroundings<'_>,
    ) -> Evaluation {
        let environment = Environment {
            input: Input::Entries(input),
            data: surroundings.data.clone(),
            limits: surroundings.limits,
            watch: surroundings.watch,
            now_ns: surroundings.now_ns,
            seed: surroundings.seed,
            answers: surroundings.answers,
            strict_builtin_errors: false,
            indexes: surroundings.indexes,
            special: match special {
                Some(Special::Rego(special)) => Some(special),
                Some(Special::Cel(_)) | None => None,
            },
        };
        let caught = catch_unwind(AssertUnwindSafe(|| match surroundings.coverage {
            None => self.program.evaluate_in(workspace, &environment),
            Some(coverage) => self.evaluate_covered(workspace, &environment, coverage),
        }));
        let Ok(evaluation) = caught else {
            let result = Err(EvaluationError::new("the evaluation panicked: please report this"));
            return Evaluation {
                result,
                prints: Vec::new(),
                steps: Some(0),
                questions: Questions::default(),
            };
        };
        let result = match &evaluation.result {
            Ok(value) => violations(value).and_then(|found| match &evaluation.failed_answer {
                // It rests on an answer that is none, and does not look whether it is one.
                Some((failure, why)) if found.is_empty() && !self.looks.covers(*failure) => {
                    Err(EvaluationError::new(format!(
                        "{why}; the policy looks at neither `system_error` nor `errors`, so that it would pass"
                    )))
                }
                _ => Ok(found),
            }),
            Err(error) => Err(self.evaluation_error(error)),
        };
        let portcullis_rego::Evaluation { prints, steps, questions, .. } = evaluation;
        Evaluation { result, prints, steps: Some(steps), questions }
    }

    fn evaluate_covered(
        &self,
        workspace: &mut Workspace,
        environment: &Environment<'_>,
        coverage: &PolicyCoverage,
    ) -> portcullis_rego::Evaluation {
        let Some(marked) = self.marked() else { return self.program.evaluate_in(workspace, environment) };
        let own = Coverage::of(&marked.program);
        let evaluation = marked.program.evaluate_covered(workspace, environment, &own);
        coverage.note(marked.found(&own));
        evaluation
    }

    /// Tells what there is to be reached.
    pub(super) fn expect_in(&self, coverage: &PolicyCoverage) {
        if let Some(marked) = self.marked() {
            coverage.note(marked.found(&Coverage::of(&marked.program)));
        }
    }

    /// Why it says what it says of an input, by a second evaluation. Never panics.
    pub(super) fn follow(
        &self,
        input: &[(Value, Value)],
        surroundings: &Surroundings<'_>,
    ) -> Option<Followed> {
        let marked = self.marked()?;
        let environment = Environment {
            input: Input::Entries(input),
            data: surroundings.data.clone(),
            limits: surroundings.limits,
            watch: surroundings.watch,
            now_ns: surroundings.now_ns,
            seed: surroundings.seed,
            strict_builtin_errors: false,
            answers: surroundings.answers,
            indexes: None,
            special: None,
        };
        let package = self.package();
        let mut path = package.clone();
        path.push(Value::from("violation"));
        let caught = catch_unwind(AssertUnwindSafe(|| marked.program.explain(&environment, &path)));
        let Ok((evaluation, reasons)) = caught else {
            let error = Some(EvaluationError::new("the evaluation panicked: please report this"));
            return Some(Followed { error, ..Followed::default() });
        };
        let locate = |module: usize, span: Span| self.locate(module, span);
        let text = |module: usize, span: Span| {
            let text = self.told.texts().get(module).map(|text| &*text.text).unwrap_or_default();
            text.get(span.start as usize..span.end as usize).unwrap_or_default().to_owned()
        };
        let tell = |step| super::follow::rule(step, &package, &locate, &text);
        let message = |element: &Value| value::get(element, "msg").and_then(value::as_str).map(str::to_owned);
        let found = reasons.found.into_iter();
        Some(Followed {
            found: found.filter_map(|one| Some((message(&one.element)?, tell(one.step)))).collect(),
            missed: reasons.missed.into_iter().map(tell).collect(),
            held: Vec::new(),
            error: evaluation.result.as_ref().err().map(|error| self.evaluation_error(error)),
            is_cut: reasons.is_cut,
        })
    }

    /// The package of the main module.
    fn package(&self) -> Vec<Value> {
        let modules = analysis::parsed(self.told.texts().first());
        let path = modules.first().map(|parsed| parsed.module.package_path()).unwrap_or_default();
        path.into_iter().map(Value::from).collect()
    }

    fn marked(&self) -> Option<&Marked> {
        let make = || {
            let modules = analysis::parsed(self.told.texts());
            let units: Vec<Unit<'_>> =
                modules.iter().map(|parsed| Unit { module: &parsed.module, names: &parsed.names }).collect();
            let mut path = modules.first().map(|parsed| parsed.module.package_path()).unwrap_or_default();
            path.push("violation");
            // What compiles as it is compiles with marks.
            let program = portcullis_rego::Program::compile_each(&units, &[&path], Made::Covered);
            let program = program.ok()?.into_iter().next()?;
            let conditions = coverage::conditions(&modules);
            let statements = Coverage::of(&program).statements(&program);
            let places = statements
                .iter()
                .map(|one| (self.locate(one.module, one.span), CoveredKind::of(one, &conditions)));
            let places = places.collect();
            Some(Marked { program, places })
        };
        self.marked.get_or_init(make).as_ref()
    }

    fn evaluation_error(&self, error: &EvalError) -> EvaluationError {
        let location = error.at.and_then(|(module, span)| self.locate(module, span));
        let limit = match error.kind {
            EvalErrorKind::Limit(limit) => Some(limit),
            _ => None,
        };
        EvaluationError { message: error.message.clone(), location, limit }
    }

    fn locate(&self, module: usize, span: Span) -> Option<Location> {
        analysis::locate(&self.document, self.told.texts().get(module)?, span)
    }
}

impl Marked {
    /// What was reached.
    fn found(&self, coverage: &Coverage) -> Vec<CoveredPlace> {
        let statements = coverage.statements(&self.program);
        let found = statements
            .iter()
            .zip(&self.places)
            .filter_map(|(one, (location, kind))| Some(CoveredPlace::new(location.clone()?, *kind, one)));
        found.collect()
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

/// Reads the `violation` set. Gatekeeper drops elements without `msg` and fails the whole review on one that
/// is not a string; here either makes this constraint's verdict an error.
fn violations(set: &Value) -> Result<Vec<RawViolation>, EvaluationError> {
    let (elements, keys) = match set.view() {
        View::Set(set) => (set.as_slice(), None),
        // `violation[r]` of an object gives its keys.
        View::Object(object) => (&[][..], Some(object.keys())),
        // As `default violation = false`: certainly none.
        View::Undefined | View::Null | View::Bool(false) | View::Array([]) => (&[][..], None),
        _ => {
            let message = format!("`violation` must be a set, found {}", value::describe(set));
            return Err(EvaluationError::new(message));
        }
    };
    let mut violations = Vec::with_capacity(elements.len());
    for element in elements.iter().chain(keys.into_iter().flatten()) {
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
        violations.push(RawViolation::new(message, details));
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
