//! Templates' Rego: compiled once per template, evaluated once per constraint that applies. The only folder that names the
//! engine; its errors are converted here.

mod builtins;
mod engine_error;
mod lint;
mod normal_form;
mod reads;
mod recursion;
mod template_rules;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use regorus::Engine;

use crate::api::template::{RegoSource, RegoVersion, Text};
use crate::document::Document;
use crate::edits::Edits;
use crate::error::{Error, ErrorKind, Severity};
use crate::inventory::Inventory;
use crate::policy::InventoryRead;
use crate::review::EvaluationError;
use crate::schema::Schema;
use crate::value::{self, Value};

use builtins::Builtins;
use engine_error::EngineError;
pub use lint::Explanation;
use reads::Reads;
use template_rules::ParsedModule;

/// A template's compiled program. Immutable but for a memo; shared by threads.
pub(crate) struct RegoProgram {
    /// Compiled and prepared, without data. Cloned for every evaluation: a clone copies a few pointers.
    engine: Engine,
    /// `data.<package>.violation`.
    rule: String,
    document: Document,
    texts: Vec<EngineText>,
    builtins: Builtins,
    inventory_reads: Vec<InventoryRead>,
    object_reads: Vec<ObjectRead>,
    /// The engine prepared with the inventory it was last asked about. Preparing costs as much as compiling, an inventory is
    /// asked about many times, and a program that reads no inventory needs none.
    with_inventory: Mutex<Option<(Inventory, Engine)>>,
}

/// A module's text, and what was put into it for the engine.
struct EngineText {
    template: Text,
    edits: Edits,
}

impl EngineText {
    fn of(parsed: &ParsedModule<'_>) -> Self {
        let edits = normal_form::edits(&parsed.text.text, &parsed.module, &parsed.names);
        Self { template: parsed.text.clone(), edits }
    }
}

/// A path below `input.review.object` that the policy reads: constant steps, `None` where it is computed.
pub(crate) type ObjectRead = Vec<Option<Box<str>>>;

/// What came of one evaluation.
pub(crate) struct Evaluation {
    pub(crate) result: Result<Vec<RawViolation>, EvaluationError>,
    pub(crate) prints: Vec<String>,
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
        let FrontEnd { modules, uses, mut errors } = front_end(source, &texts, document);
        if let Some(schema) = schema {
            errors.extend(template_rules::check_parameters(&modules, schema, document));
        }
        errors.extend(lint::check(&modules, schema, document, &errors));
        if errors.iter().any(|error| error.severity() == Severity::Error) {
            return (None, errors);
        }
        let reads = Reads::of(&modules.iter().map(|parsed| &parsed.module).collect::<Vec<_>>());
        let engine_texts: Vec<EngineText> = modules.iter().map(EngineText::of).collect();
        let mut engine = new_engine(source.version);
        let builtins = match builtins::register(&mut engine, &uses) {
            Ok(builtins) => builtins,
            Err(error) => return (None, vec![compile_error(&error, document, &engine_texts)]),
        };
        let mut package = None;
        for (number, text) in engine_texts.iter().enumerate() {
            match engine.add_policy(number.to_string(), text.edits.apply(&text.template.text).into_owned()) {
                Ok(name) => {
                    package.get_or_insert(name);
                }
                Err(error) => errors.push(compile_error(&error, document, &engine_texts)),
            }
        }
        let rule = format!("{}.violation", package.unwrap_or_default());
        if !errors.iter().any(|error| error.severity() == Severity::Error)
            && let Err(error) = engine.compile_with_entrypoint(&rule.as_str().into())
        {
            errors.push(compile_error(&error, document, &engine_texts));
        }
        if errors.iter().any(|error| error.severity() == Severity::Error) {
            return (None, errors);
        }
        let program = Self {
            engine,
            rule,
            document: document.clone(),
            builtins,
            inventory_reads: reads.inventory,
            object_reads: reads.object,
            with_inventory: Mutex::new(None),
            texts: engine_texts,
        };
        (Some(program), errors)
    }

    /// The kinds it reads from the inventory.
    pub(crate) fn inventory_reads(&self) -> &[InventoryRead] {
        &self.inventory_reads
    }

    /// The parts of the object it reads.
    pub(crate) fn object_reads(&self) -> &[ObjectRead] {
        &self.object_reads
    }

    /// Evaluates `violation` for one input document. Never panics: a panic of the engine is an error of this evaluation.
    pub(crate) fn evaluate(&self, input: Value, inventory: &Inventory) -> Evaluation {
        let mut prints = Vec::new();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let mut engine = self.prepared(inventory)?;
            engine.set_input(input);
            let result = engine.eval_rule(self.rule.clone());
            let printed = engine.take_prints().unwrap_or_default();
            prints = printed.into_iter().map(|line| without_position(&line).to_owned()).collect();
            result
        }));
        let exceeded = self.builtins.take_exceeded();
        let result = match caught {
            Ok(Ok(_)) if let Some(limit) = exceeded => Err(EvaluationError::new(limit)),
            Ok(Ok(value)) => violations(&value),
            Ok(Err(error)) => Err(self.evaluation_error(&error)),
            Err(_) => Err(EvaluationError::new("the Rego engine panicked")),
        };
        Evaluation { result, prints }
    }

    fn prepared(&self, inventory: &Inventory) -> anyhow::Result<Engine> {
        if self.inventory_reads.is_empty() {
            return Ok(self.engine.clone());
        }
        let mut memo = self.with_inventory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, engine)) = memo.as_ref().filter(|(known, _)| known.same(inventory)) {
            return Ok(engine.clone());
        }
        let mut engine = self.engine.clone();
        engine.clear_data();
        engine.add_data(inventory.data().clone())?;
        engine.compile_with_entrypoint(&self.rule.as_str().into())?;
        *memo = Some((inventory.clone(), engine.clone()));
        Ok(engine)
    }

    fn evaluation_error(&self, error: &anyhow::Error) -> EvaluationError {
        let error = EngineError::parse(&error.to_string());
        let location = error.locate(&self.document, &self.texts);
        EvaluationError { message: error.message, location }
    }
}

/// The modules of a template as they are written.
struct FrontEnd<'a> {
    modules: Vec<ParsedModule<'a>>,
    uses: Vec<builtins::Use>,
    errors: Vec<Error>,
}

/// Parses all modules of a template and checks them against the rules for templates.
fn front_end<'a>(source: &RegoSource, texts: &'a [Text], document: &Document) -> FrontEnd<'a> {
    let version = match source.version {
        RegoVersion::V0 => portcullis_rego_syntax::Version::V0,
        RegoVersion::V1 => portcullis_rego_syntax::Version::V1,
    };
    let mut modules = Vec::new();
    let mut uses = Vec::new();
    let mut errors = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let portcullis_rego_syntax::Parsed { module, diagnostics } =
            portcullis_rego_syntax::parse(&text.text, version);
        let names = portcullis_rego_syntax::resolve(&module);
        let parsed = ParsedModule { text, module, names, is_lib: number > 0 };
        errors.extend(
            diagnostics.iter().map(|diagnostic| template_rules::rego_error(diagnostic, &parsed, document)),
        );
        let broken = !diagnostics.is_empty();
        // What follows from a text that does not parse is noise.
        let unresolved = parsed.names.diagnostics.iter().filter(|_| !broken);
        errors.extend(unresolved.map(|diagnostic| template_rules::rego_error(diagnostic, &parsed, document)));
        errors.extend(template_rules::check(&parsed, document));
        let used = builtins::uses(&parsed.module, &parsed.names);
        errors.extend(builtins::check(&used, &parsed, document));
        uses.extend(used);
        modules.push(parsed);
    }
    errors.extend(template_rules::check_libraries(&modules, document));
    for found in recursion::find(&modules) {
        let location = modules
            .get(found.module)
            .and_then(|parsed| template_rules::locate(document, parsed.text, found.span));
        errors.push(Error::new(found.kind, found.message).at(location));
    }
    FrontEnd { modules, uses, errors }
}

/// A printed line without the `<module>:<line>: ` that the engine puts before it.
fn without_position(line: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match line.splitn(3, ':').collect::<Vec<_>>().as_slice() {
        [module, number, text] if is_number(module) && is_number(number) => {
            text.strip_prefix(' ').unwrap_or(text)
        }
        _ => line,
    }
}

fn new_engine(version: RegoVersion) -> Engine {
    let mut engine = Engine::new();
    engine.set_rego_v0(version == RegoVersion::V0);
    // As OPA has it: a builtin that cannot answer is undefined.
    engine.set_strict_builtin_errors(false);
    // Without this the engine prints to standard error.
    engine.set_gather_prints(true);
    engine
}

fn compile_error(error: &anyhow::Error, document: &Document, texts: &[EngineText]) -> Error {
    let error = EngineError::parse(&error.to_string());
    let location = error.locate(document, texts);
    Error::new(ErrorKind::Rego, error.message).at(location)
}

/// Reads the `violation` set. Gatekeeper drops elements without `msg` and fails the whole review on one that is not a
/// string; here either makes this constraint's verdict an error.
fn violations(set: &Value) -> Result<Vec<RawViolation>, EvaluationError> {
    let elements = match set {
        Value::Undefined => return Ok(Vec::new()),
        Value::Set(set) => set.iter_sorted(),
        other => {
            let message = format!("`violation` must be a set, found {}", value::describe(other));
            return Err(EvaluationError::new(message));
        }
    };
    let mut violations = Vec::new();
    for element in elements {
        let message = match value::get(element, "msg") {
            Some(Value::String(message)) => message.to_string(),
            Some(other) => {
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
        write!(f, "RegoProgram({})", self.rule)
    }
}
