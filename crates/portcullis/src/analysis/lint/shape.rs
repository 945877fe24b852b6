//! Which type the value of an expression has, where its text alone shows it.

use portcullis_rego_syntax::Resolution;
use portcullis_rego_syntax::ast::{BinaryOp, ComprehensionHead, Expr, ExprKind, RuleKind};
pub(super) use portcullis_rego_syntax::builtins::Shape;
use portcullis_rego_syntax::builtins::{self, Answers};

use super::constant::Constant;
use super::program::Scope;

/// The type of a constant.
pub(super) const fn of_constant(constant: &Constant) -> Shape {
    match constant {
        Constant::Null => Shape::Null,
        Constant::Bool(_) => Shape::Boolean,
        Constant::Number(_) => Shape::Number,
        Constant::String(_) => Shape::String,
    }
}

impl<'a> Scope<'_, 'a> {
    /// The type of an expression wherever it has a value.
    pub(super) fn shape(&self, expr: &'a Expr) -> Option<Shape> {
        if let Some(constant) = self.constant(expr) {
            return Some(of_constant(&constant));
        }
        match &self.followed(expr).kind {
            ExprKind::Template(_) => Some(Shape::String),
            ExprKind::Array(_) => Some(Shape::Array),
            ExprKind::Set(_) => Some(Shape::Set),
            ExprKind::Object(_) => Some(Shape::Object),
            ExprKind::Comprehension(comprehension) => Some(match comprehension.head {
                ComprehensionHead::Array(_) => Shape::Array,
                ComprehensionHead::Set(_) => Shape::Set,
                ComprehensionHead::Object(_) => Shape::Object,
            }),
            ExprKind::Call(call) => {
                let name = call.name()?;
                let callee = call.callee.as_ref().map_or(&call.callee, |reference| &reference.head);
                // With one argument more, the result is compared and not given.
                let is_builtin = self.parsed.names.at(callee.span) == Some(Resolution::Builtin);
                let row = builtins::find(&name).filter(|row| is_builtin && row.arity == call.args.len())?;
                row.result().filter(|_| row.answers == Answers::One && !self.program.replaces_others)
            }
            ExprKind::Binary(binary) => match binary.op {
                BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
                    Some(Shape::Boolean)
                }
                BinaryOp::Add | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem => Some(Shape::Number),
                BinaryOp::Or | BinaryOp::And => Some(Shape::Set),
                // Of numbers or of sets.
                BinaryOp::Sub | BinaryOp::Assign | BinaryOp::Unify => None,
            },
            ExprKind::Membership(_) => Some(Shape::Boolean),
            _ => None,
        }
    }

    /// Whether an expression has a value that is not `false`, whatever the input: then `not` of it never
    /// holds.
    pub(super) fn always_holds(&self, expr: &'a Expr) -> bool {
        let expr = expr.peeled();
        match &expr.kind {
            ExprKind::Comprehension(_) => true,
            ExprKind::Var(_) => match self.resolution(expr) {
                // Where the variable can be asked it is bound.
                Some(Resolution::Local(_)) => {
                    let is_true = matches!(self.constant(expr), Some(Constant::Bool(true)));
                    is_true || self.shape(expr).is_some_and(|shape| shape != Shape::Boolean)
                }
                Some(Resolution::Input) => !self.program.replaces_input,
                Some(Resolution::Rule) => {
                    let mut rules = self.definitions(expr.as_var().unwrap_or_default()).iter();
                    !self.program.replaces_others
                        && rules.all(|(_, rule)| {
                            matches!(rule.kind(), RuleKind::PartialSet | RuleKind::PartialObject)
                        })
                }
                _ => false,
            },
            ExprKind::Ref(_) => {
                let path = self.input_path(expr).unwrap_or_default();
                let steps: Vec<_> = path.iter().map(Option::as_deref).collect();
                !self.program.replaces_input
                    && matches!(steps.as_slice(), [Some("input"), Some("review" | "parameters")])
            }
            kind => {
                matches!(Constant::of(kind), Some(constant) if !matches!(constant, Constant::Bool(false)))
            }
        }
    }
}
