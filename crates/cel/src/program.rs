//! Expressions that are ready to be evaluated.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use portcullis_value::{Budget, LimitKind};

use crate::activation::Activation;
use crate::ast::{Ast, ExprId};
use crate::brief::{Allowance, Names, Outline, Sight, Sketch, Stop};
use crate::check::check;
use crate::cost::PER_CALL_LIMIT;
use crate::diagnostic::{Diagnostic, DiagnosticKind};
use crate::environment::Environment;
use crate::error::{EvalError, EvalErrorKind, Fault};
use crate::eval::{Machine, Room, Things};
use crate::parse::parse;
use crate::plan::{Plan, plan};
use crate::reads::{Read, reads};
use crate::types::Type;
use crate::value::{CelValue, MAX_VALUE_NESTING};

/// Deepest nesting of an expression with its macros expanded: checking and evaluating are recursive.
const MAX_NESTING: u32 = 500;

/// An expression that was checked. A clone shares it.
///
/// ```
/// use portcullis_cel::{CelValue, Environment, Program, Type, Variables};
/// use portcullis_value::{Budget, Limits, Value};
///
/// let environment = Environment::default().with_variable("object", Type::Dyn);
/// let program = Program::compile("object.spec.replicas <= 5", &environment).unwrap();
/// assert_eq!(program.result(), &Type::Bool);
///
/// let object = Value::from_json(r#"{"spec": {"replicas": 3}}"#).unwrap();
/// let variables = Variables::default().with("object", object.into());
/// let mut budget = Budget::new(Limits::default(), None);
/// let evaluation = program.evaluate(&variables, &mut budget);
/// assert_eq!(evaluation.result.unwrap().as_bool(), Some(true));
/// assert_eq!(evaluation.cost, 4);
///
/// let wrong = Program::compile("object.spec.replicas <= 'five' && obj.x", &environment).unwrap_err();
/// assert_eq!(wrong[0].message, "undeclared reference to 'obj' (in container '')");
/// assert_eq!(wrong[0].at, 34);
/// ```
#[derive(Clone, Debug)]
pub struct Program {
    plan: Arc<Plan>,
    /// Made when it is first evaluated briefly; none if it is too large for that.
    outline: Arc<OnceLock<Option<Outline>>>,
    result: Type,
    nesting: u32,
}

/// What came of an evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The value, or why there is none.
    pub result: Result<CelValue, EvalError>,
    /// What it cost, in the units of the API server.
    pub cost: u64,
}

impl Program {
    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// All that is wrong with it: that it is no CEL, or else names that there are not and types that do not go
    /// together, or else constant parts that can have no value. In the order of the text.
    pub fn compile(text: &str, environment: &Environment) -> Result<Self, Vec<Diagnostic>> {
        let ast = parse(text)?;
        let nesting = nesting(&ast);
        if nesting > MAX_NESTING {
            let message =
                format!("the expression is nested more than {MAX_NESTING} deep with its macros expanded");
            return Err(vec![Diagnostic::new(DiagnosticKind::Limit, 0, message)]);
        }
        let checked = check(&ast, environment)?;
        let result = checked.ty(ast.root).clone();
        let plan = Arc::new(plan(&ast, &checked, environment)?);
        Ok(Self { plan, outline: Arc::default(), result, nesting })
    }

    /// As [`Self::compile`], for an expression that has to be of one of some types.
    ///
    /// # Errors
    ///
    /// As [`Self::compile`], and if it is of another type. What is of no certain type may be of any.
    pub fn compile_to(
        text: &str,
        environment: &Environment,
        types: &[Type],
    ) -> Result<Self, Vec<Diagnostic>> {
        let program = Self::compile(text, environment)?;
        if program.result == Type::Dyn || types.contains(&program.result) {
            return Ok(program);
        }
        let types: Vec<String> = types.iter().map(ToString::to_string).collect();
        let message = format!("must evaluate to {} but is of type {}", types.join(" or "), program.result);
        Err(vec![Diagnostic::new(DiagnosticKind::Result, 0, message)])
    }

    /// The type of its value.
    #[must_use]
    pub fn result(&self) -> &Type {
        &self.result
    }

    /// How deep it is nested with its macros expanded: what evaluating it takes of the stack.
    #[must_use]
    pub const fn nesting(&self) -> u32 {
        self.nesting
    }

    /// What it may read, in order: where a place in the input is to be told, these are the parts it is about.
    #[must_use]
    pub fn reads(&self) -> BTreeSet<Read> {
        reads(&self.plan)
    }

    /// Evaluates it, within the cost that the API server allows one evaluation.
    pub fn evaluate(&self, activation: &dyn Activation, budget: &mut Budget<'_>) -> Evaluation {
        self.evaluate_within(activation, budget, PER_CALL_LIMIT)
    }

    /// Evaluates it within a cost.
    pub fn evaluate_within(
        &self,
        activation: &dyn Activation,
        budget: &mut Budget<'_>,
        cost: u64,
    ) -> Evaluation {
        self.evaluate_in(&Room::default(), activation, budget, cost)
    }

    /// As [`Self::evaluate_within`], in a room that others were evaluated in before.
    pub fn evaluate_in(
        &self,
        room: &Room,
        activation: &dyn Activation,
        budget: &mut Budget<'_>,
        cost: u64,
    ) -> Evaluation {
        let things = Things::default();
        let mut machine = Machine::new(&self.plan, activation, budget, room, &things, cost);
        let result = machine.run();
        let cost = machine.cost();
        drop(machine);
        let result = result.and_then(|value| {
            if value.is_within(budget, MAX_VALUE_NESTING)? {
                return Ok(value);
            }
            let kind = LimitKind::Depth;
            let message = format!("a value is nested more than {MAX_VALUE_NESTING} deep (limit `{kind}`)");
            Err(Fault::new(EvalErrorKind::Limit(kind), message))
        });
        let result = result.map_err(Fault::told);
        Evaluation { result, cost }
    }
}

impl Program {
    /// What evaluating comes to, without counting, where that is known within an allowance.
    ///
    /// # Errors
    ///
    /// Where there is no value, and where nothing is known.
    pub fn evaluate_briefly<'e>(
        &'e self,
        names: &dyn Names<'e>,
        allowance: &Allowance<'e>,
    ) -> Result<Sight<'e>, Stop> {
        let outline = self.outline.get_or_init(|| Outline::of(&self.plan)).as_ref().ok_or(Stop::Unsure)?;
        Sketch::new(outline, names, allowance).run()
    }
}

/// How deep an expression is nested; not looked at below the deepest that may be.
fn nesting(ast: &Ast) -> u32 {
    let mut deepest = 0;
    let mut waiting: Vec<(ExprId, u32)> = vec![(ast.root, 1)];
    while let Some((id, depth)) = waiting.pop() {
        deepest = deepest.max(depth);
        if depth > MAX_NESTING {
            break;
        }
        waiting.extend(ast.children(id).into_iter().map(|child| (child, depth + 1)));
    }
    deepest
}
