//! Runs the normal form.
//!
//! [`Machine::run`] goes through a list of operations; at its end it calls what the caller wants done with
//! an answer, which says whether it wants more. There is no other state than the frames of slots, the
//! documents that were made already, and what is left of the limits.
//!
//! Values are never copied while an evaluation runs: a slot borrows from the program, the input, `data`, or
//! from the heap of the evaluation, where everything lies that it makes until it ends. So a slot is a
//! pointer, and to fill and to leave a frame costs next to nothing.

mod coverage;
mod documents;
mod heap;
mod indexes;
mod ops;
mod recorder;
mod replaced;
mod shared;
mod tracer;
mod workspace;

use portcullis_rego_syntax::Span;
use portcullis_value::{Answers, Budget, LimitKind, Limits, ProviderFailure, Questions, Value, View, Watch};

use crate::builtins::{Caches, Outside};
use crate::common::Commons;
use crate::error::{EvalError, EvalErrorKind};
use crate::lower::Special;
use crate::normal_form::{Arg, Branch, BranchHead, Group, GroupId, NormalForm, SiteId, Slot};
use crate::program::Program;

pub use coverage::{Coverage, Statement};
use heap::{Heap, UNDEFINED};
pub use indexes::{IndexLimits, Indexes};
use recorder::Recorder;
pub use recorder::{ConditionStep, Derivation, Fact, Reasons, RuleStep};
use replaced::World;
use shared::{Notes, Shared};
use tracer::{Covering, Tracer, Untraced};
use workspace::Vacant;
pub use workspace::Workspace;

/// Whether more answers are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    More,
    Enough,
}

/// Why an evaluation ends without an answer: a pointer, so that what goes well is not slowed by it.
type Stop = Box<EvalError>;

type Step = Result<Flow, Stop>;

/// Most slots of all frames together: 8 MB. Programs that people write need a few hundred.
const MAX_SLOTS: usize = 1_000_000;

/// Slots that there is room for from the beginning: most evaluations need no more.
const FIRST_SLOTS: usize = 64;

struct Machine<'v, T: Tracer<'v>> {
    source: &'v Program,
    program: &'v NormalForm,
    caches: &'v Caches,
    budget: Budget<'v>,
    /// Where all values lie that are made.
    heap: &'v Heap,
    /// Slots of all frames that are active; the current one begins at `base`.
    stack: Vec<&'v Value>,
    base: usize,
    /// The module of the current frame.
    module: usize,
    /// Runs that wait for each other.
    depth: u32,
    /// Documents and functions as they are here.
    world: World<'v>,
    /// The worlds outside of the `with` that are active.
    outer: Vec<World<'v>>,
    /// The elements of the collections that are being made, the innermost last.
    found: Vec<&'v Value>,
    /// Where builtins write a text before it becomes a value.
    text: String,
    /// What is known of the world outside, and what is asked of it.
    outside: Outside<'v>,
    /// How often something was met that nobody has answered yet.
    unknown: u64,
    /// Documents that rest on it.
    unknown_documents: Vec<GroupId>,
    prints: Vec<String>,
    output: u64,
    now_ns: Option<i64>,
    seed: u64,
    strict: bool,
    /// What was made before, from the same `data`.
    indexes: Option<&'v Indexes>,
    /// The rules that are run in the place of the program's.
    special: Option<&'v Special>,
    /// The documents that other evaluations have made, and those of the program that may be among them.
    shared: Option<(&'v Shared, &'v Commons)>,
    notes: Notes,
    /// What is made here, and so cannot be used.
    making: Option<SiteId>,
    /// What follows the evaluation.
    tracer: T,
}

/// What an evaluation sees of the world.
#[derive(Clone)]
pub struct Environment<'e> {
    /// `input`. Nested at most 1000 deep, as all that the core reads.
    pub input: Input<'e>,
    /// `data`, without rules: an object.
    pub data: Value,
    /// What it may use.
    pub limits: Limits,
    /// Tells it to stop.
    pub watch: Option<&'e dyn Watch>,
    /// What `time.now_ns` is: nanoseconds since 1970. A program that asks for it where there is none is an
    /// error.
    pub now_ns: Option<i64>,
    /// What `rand.intn` and `uuid.rfc4122` are derived from.
    pub seed: u64,
    /// What is known of the world outside. A program that asks for more ends as unanswered.
    pub answers: Option<&'e Answers>,
    /// Whether a builtin that is not defined for its arguments is an error.
    pub strict_builtin_errors: bool,
    /// Indexes of the program over `data`. Those of another program or another document are not used, and
    /// none are with strict builtin errors. The answer is the same with and without, but for the steps and
    /// memory it takes, and so for a limit that is not exceeded.
    pub indexes: Option<&'e Indexes>,
    /// The program for what is known of the input. It is not used for another program or another input, and
    /// not with strict builtin errors. The evaluation is the same with and without.
    pub special: Option<&'e Special>,
}

/// What `input` is.
#[derive(Clone, Debug, Default)]
pub enum Input<'e> {
    /// Undefined.
    #[default]
    Undefined,
    /// A value.
    Value(Value),
    /// An object of these entries, sorted by key: put together only if it is asked for as a whole.
    Entries(&'e [(Value, Value)]),
}

impl From<Value> for Input<'_> {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

impl From<Option<Value>> for Input<'_> {
    fn from(value: Option<Value>) -> Self {
        value.map_or(Self::Undefined, Self::Value)
    }
}

impl Default for Environment<'_> {
    fn default() -> Self {
        Self {
            input: Input::Undefined,
            data: Value::new_object(),
            limits: Limits::default(),
            watch: None,
            now_ns: None,
            seed: 0,
            answers: None,
            strict_builtin_errors: false,
            indexes: None,
            special: None,
        }
    }
}

/// What came of an evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The answer.
    pub result: Result<Value, EvalError>,
    /// What `print` was called with, a line for each call.
    pub prints: Vec<String>,
    /// Steps used.
    pub steps: u64,
    /// Bytes of values made.
    pub memory: u64,
    /// What it asks of the world outside and is not answered. If there is any, the result is the error of kind
    /// [`EvalErrorKind::Unanswered`].
    pub questions: Questions,
    /// The first failure among the answers that it was given: what a policy that looks only at what is well does not
    /// see.
    pub failed_answer: Option<(ProviderFailure, String)>,
}

impl Program {
    /// Answers the query. Never panics, and uses no more than the limits allow; takes time and allocates for
    /// each operation of the normal form that is run, and nothing for those that are not.
    pub fn evaluate(&self, environment: &Environment<'_>) -> Evaluation {
        self.evaluate_in(&mut Workspace::default(), environment)
    }

    /// As [`Self::evaluate`], in the room of evaluations before.
    pub fn evaluate_in(&self, workspace: &mut Workspace, environment: &Environment<'_>) -> Evaluation {
        evaluate(self, workspace, environment)
    }

    /// As [`Self::evaluate_in`], telling which statements are reached. The program has to be one of those that
    /// the coverage is of.
    pub fn evaluate_covered(
        &self,
        workspace: &mut Workspace,
        environment: &Environment<'_>,
        coverage: &Coverage,
    ) -> Evaluation {
        evaluate_as(self, workspace, environment, None, false, Covering::new(coverage)).0
    }

    /// Evaluates and tells why the document of rules at a path is what it is: how each of its elements came about,
    /// and which bodies came near. The program has to be made for it ([`crate::Made::Covered`]), and the input
    /// given by its entries.
    pub fn explain(&self, environment: &Environment<'_>, path: &[Value]) -> (Evaluation, Reasons) {
        let entries = match environment.input {
            Input::Entries(entries) => entries,
            Input::Undefined | Input::Value(_) => &[],
        };
        let workspace = &mut Workspace::default();
        let recorder = Recorder::new(self.form(), entries);
        let (evaluation, recorder) = evaluate_as(self, workspace, environment, None, false, recorder);
        (evaluation, recorder.reasons(path))
    }

    /// Indexes over a `data` document, in which nothing is built yet; none if the program has no use for
    /// them. Give them to every evaluation with that same document.
    pub fn indexes(&self, data: &Value) -> Option<Indexes> {
        (!self.form().sites.is_empty()).then(|| Indexes::new(self.identity(), data, self.form().sites.len()))
    }
}

fn evaluate(source: &Program, workspace: &mut Workspace, environment: &Environment<'_>) -> Evaluation {
    let special = environment.special.filter(|special| match environment.input {
        Input::Entries(entries) => !environment.strict_builtin_errors && special.is_for(source, entries),
        Input::Undefined | Input::Value(_) => false,
    });
    let is_shared = match environment.input {
        Input::Entries(entries) => !environment.strict_builtin_errors && workspace.is_for(entries),
        Input::Undefined | Input::Value(_) => false,
    };
    if special.is_some() || is_shared {
        let evaluation = evaluate_as(source, workspace, environment, special, is_shared, Untraced).0;
        if evaluation.result.is_ok() || !evaluation.questions.is_empty() {
            return evaluation;
        }
        // What it was charged ahead may have been too much too early.
    }
    evaluate_as(source, workspace, environment, None, false, Untraced).0
}

fn evaluate_as<T: for<'v> Tracer<'v>>(
    source: &Program,
    workspace: &mut Workspace,
    environment: &Environment<'_>,
    special: Option<&Special>,
    is_shared: bool,
    tracer: T,
) -> (Evaluation, T) {
    let program = source.form();
    let indexes = environment.indexes.filter(|indexes| {
        !environment.strict_builtin_errors && indexes.are_of(source.identity(), &environment.data)
    });
    workspace.tidy();
    let Workspace { heap, used, vacant, shared } = workspace;
    let Vacant { stack, found, documents, asked, text } = std::mem::take(vacant).again();
    let shared = shared.as_ref().filter(|_| is_shared);
    let shared = shared.and_then(|shared| source.commons(shared.key()).map(|commons| (shared, commons)));
    let mut machine = Machine {
        source,
        program,
        caches: source.caches(),
        budget: Budget::new(environment.limits, environment.watch),
        heap,
        stack,
        base: 0,
        module: source.entry().module,
        depth: 0,
        world: World::new(&environment.input, &environment.data, documents, program.groups.len()),
        outer: Vec::new(),
        found,
        text,
        outside: Outside { answers: environment.answers, ..Outside::default() },
        unknown: 0,
        unknown_documents: Vec::new(),
        prints: Vec::new(),
        output: 0,
        now_ns: environment.now_ns,
        seed: environment.seed,
        strict: environment.strict_builtin_errors,
        indexes,
        special,
        shared,
        notes: Notes::in_room_of(asked),
        making: None,
        tracer,
    };
    machine.stack.reserve(FIRST_SLOTS);
    let result = machine.answer();
    let (steps, memory) = (machine.budget.steps(), machine.budget.memory());
    let Machine {
        stack, found, text, prints, notes, outside, tracer, world: World { documents, .. }, ..
    } = machine;
    *vacant = Vacant { stack, found, documents, asked: notes.into_room(), text }.again();
    *used = used.saturating_add(memory);
    let Outside { questions, failure: failed_answer, .. } = outside;
    let result = if questions.is_empty() {
        result.map_err(|stop| *stop)
    } else {
        Err(EvalError { kind: EvalErrorKind::Unanswered, message: questions.to_string(), at: None })
    };
    (Evaluation { result, prints, steps, memory, questions, failed_answer }, tracer)
}

impl<'v, T: Tracer<'v>> Machine<'v, T> {
    fn answer(&mut self) -> Result<Value, Stop> {
        let entry = self.source.entry();
        let mut answer = Value::UNDEFINED;
        let mut solutions = Vec::new();
        self.frame(entry.module, &entry.branch, self.stack.len(), &mut |machine| {
            match &entry.variables {
                None => {
                    if let BranchHead::Value(value) = &entry.branch.head {
                        answer = machine.value(value).clone();
                    }
                }
                Some(variables) => {
                    machine.budget.make_items(variables.len() + 1)?;
                    let entries =
                        variables.iter().map(|(name, slot)| (name.clone(), machine.slot(*slot).clone()));
                    let map: std::collections::BTreeMap<Value, Value> = entries.collect();
                    solutions.push(Value::from(map));
                }
            }
            Ok(Flow::More)
        })?;
        let answer = if entry.variables.is_some() { Value::from(solutions) } else { answer };
        self.check_output(&answer)?;
        Ok(answer)
    }

    /// Runs a branch in a frame of its own. Its arguments are the slots from `frame` on, and stay there.
    fn frame(
        &mut self,
        module: usize,
        branch: &'v Branch,
        frame: usize,
        found: &mut dyn FnMut(&mut Self) -> Step,
    ) -> Step {
        let filled = self.stack.len();
        let end = filled.max(frame + branch.slots as usize);
        self.budget.step(1 + (end - frame) as u64 / 16)?;
        let (base, outer_module) = (self.base, self.module);
        if end > MAX_SLOTS {
            return Err(self.budget.exceeded(LimitKind::Depth).into());
        }
        self.notes.slots = self.notes.slots.max(end);
        self.stack.resize(end, UNDEFINED);
        self.base = frame;
        self.module = module;
        let flow = self.run(&branch.ops, found).map_err(|error| self.located(error, branch.span));
        self.stack.truncate(filled);
        self.base = base;
        self.module = outer_module;
        flow
    }

    /// The rules of a document, as they are run.
    fn group(&self, id: GroupId) -> Option<&'v Group> {
        self.special.and_then(|special| special.group(id)).or_else(|| self.program.groups.get(id))
    }

    #[inline]
    fn slot(&self, slot: Slot) -> &'v Value {
        self.stack.get(self.base + slot as usize).copied().unwrap_or(UNDEFINED)
    }

    #[inline]
    fn set(&mut self, slot: Slot, value: &'v Value) {
        if let Some(place) = self.stack.get_mut(self.base + slot as usize) {
            *place = value;
        }
    }

    #[inline]
    fn value(&self, arg: &'v Arg) -> &'v Value {
        match arg {
            Arg::Slot(slot) => self.slot(*slot),
            Arg::Const(value) => value,
        }
    }

    /// Keeps what was made until the evaluation ends.
    fn make(&mut self, value: Value) -> Result<&'v Value, Stop> {
        Ok(self.heap.keep(&mut self.budget, value)?)
    }

    /// One run more that others wait for.
    fn deeper(&mut self) -> Result<(), Stop> {
        self.depth += 1;
        if self.depth > self.budget.limits().depth {
            self.depth -= 1;
            return Err(self.budget.exceeded(LimitKind::Depth).into());
        }
        self.notes.depth = self.notes.depth.max(self.depth);
        Ok(())
    }

    #[cold]
    #[expect(clippy::unnecessary_box_returns, reason = "a `Stop` is a box")]
    fn conflict(&self, span: Span, message: &str) -> Stop {
        Box::new(EvalError {
            kind: EvalErrorKind::Conflict,
            message: message.to_owned(),
            at: Some((self.module, span)),
        })
    }

    #[cold]
    #[expect(clippy::unnecessary_box_returns, reason = "a `Stop` is a box")]
    fn located(&self, mut error: Stop, span: Span) -> Stop {
        error.at.get_or_insert((self.module, span));
        error
    }

    /// Counts what leaves the evaluation.
    fn check_output(&mut self, value: &Value) -> Result<(), Stop> {
        let mut rest = vec![value];
        while let Some(value) = rest.pop() {
            let bytes = match value.view() {
                View::String(text) => text.len(),
                View::Array(items) => {
                    rest.extend(items.iter());
                    items.len()
                }
                View::Set(items) => {
                    rest.extend(items.iter());
                    items.len()
                }
                View::Object(entries) => {
                    rest.extend(entries.iter().flat_map(|(key, value)| [key, value]));
                    entries.len()
                }
                _ => 8,
            };
            self.count_output(bytes)?;
        }
        Ok(())
    }

    fn count_output(&mut self, bytes: usize) -> Result<(), Stop> {
        self.output = self.output.saturating_add(bytes as u64);
        if self.output > self.budget.limits().output {
            return Err(self.budget.exceeded(LimitKind::Output).into());
        }
        Ok(())
    }
}
