//! Which type the value of an expression has, where its text alone tells.

use std::fmt;

use portcullis_rego_syntax::ast::{BinaryOp, ComprehensionHead, Expr, ExprKind, RuleKind};
use portcullis_rego_syntax::{Resolution, builtins};

use super::constant::Constant;
use super::program::Scope;

/// A type of Rego.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Set,
    Object,
}

impl Shape {
    pub(super) const fn of(constant: &Constant) -> Self {
        match constant {
            Constant::Null => Self::Null,
            Constant::Bool(_) => Self::Boolean,
            Constant::Number(_) => Self::Number,
            Constant::String(_) => Self::String,
        }
    }

    /// Of what a builtin gives where it gives anything; only those that have one type.
    pub(super) fn of_result(builtin: &str) -> Option<Self> {
        Some(match builtin {
            "concat" | "format_int" | "lower" | "upper" | "replace" | "sprintf" | "substring" | "trim"
            | "trim_left" | "trim_prefix" | "trim_right" | "trim_space" | "trim_suffix"
            | "strings.reverse" | "strings.replace_n" | "json.marshal" | "yaml.marshal" | "base64.encode"
            | "base64.decode" | "hex.encode" | "crypto.sha256" | "crypto.md5" | "crypto.sha1"
            | "regex.replace" | "type_name" => Self::String,
            "abs"
            | "ceil"
            | "count"
            | "floor"
            | "indexof"
            | "product"
            | "round"
            | "sum"
            | "to_number"
            | "units.parse"
            | "units.parse_bytes"
            | "strings.count"
            | "semver.compare"
            | "time.now_ns"
            | "time.parse_ns"
            | "time.parse_rfc3339_ns"
            | "time.parse_duration_ns" => Self::Number,
            "contains"
            | "endswith"
            | "startswith"
            | "regex.match"
            | "re_match"
            | "regex.is_valid"
            | "glob.match"
            | "is_array"
            | "is_boolean"
            | "is_null"
            | "is_number"
            | "is_object"
            | "is_set"
            | "is_string"
            | "net.cidr_contains"
            | "net.cidr_intersects"
            | "semver.is_valid"
            | "all"
            | "any"
            | "json.is_valid"
            | "yaml.is_valid"
            | "object.subset"
            | "strings.any_prefix_match"
            | "strings.any_suffix_match" => Self::Boolean,
            "array.concat" | "array.reverse" | "array.slice" | "indexof_n" | "numbers.range"
            | "regex.find_n" | "regex.split" | "sort" | "split" | "cast_array" => Self::Array,
            "cast_set" | "object.keys" | "set_diff" | "net.cidr_expand" => Self::Set,
            "object.remove" | "object.filter" | "object.union" | "object.union_n" => Self::Object,
            _ => return None,
        })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Set => "a set",
            Self::Object => "an object",
        })
    }
}

impl<'a> Scope<'_, 'a> {
    /// The type of an expression wherever it has a value.
    pub(super) fn shape(&self, expr: &'a Expr) -> Option<Shape> {
        if let Some(constant) = self.constant(expr) {
            return Some(Shape::of(&constant));
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
                let is_builtin = self.parsed.names.at(callee.span) == Some(Resolution::Builtin)
                    && builtins::arity(&name) == Some(call.args.len());
                Shape::of_result(&name).filter(|_| is_builtin && !self.program.replaces_others)
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

    /// Whether an expression has a value that is not `false`, whatever the input: then `not` of it never holds.
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
