//! An expression in its parts, for who tells why it is worth what it is worth: which operations decide, and where each
//! part stands in the text. The text of a part is an expression by itself.

use std::ops::Range;
use std::sync::Arc;

use crate::ast::{Ast, ExprId, Fold, Kind, Literal};
use crate::parse::{Span, parse_with_spans};

/// A part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its bytes in the text, without brackets around it.
    pub range: Range<usize>,
    /// What it does.
    pub kind: PartKind,
}

/// What a part does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PartKind {
    /// `a && b && c`.
    And(Vec<Part>),
    /// `a || b || c`.
    Or(Vec<Part>),
    /// `!a`.
    Not(Box<Part>),
    /// `a ? b : c`.
    If(Box<[Part; 3]>),
    /// `a == b`, and the other comparisons; `a in b`.
    Compare {
        /// As it is written.
        operator: &'static str,
        /// Its sides.
        sides: Box<[Part; 2]>,
    },
    /// `a.all(x, test)` and `a.exists(x, test)`.
    Each {
        /// Which of them.
        quantifier: Quantifier,
        /// What it goes over.
        range: Box<Part>,
        /// The names of an element, or of its key and the element.
        names: Vec<Arc<str>>,
        /// What is asked of each.
        test: Box<Part>,
    },
    /// `a.filter(x, test)`, `a.map(x, test, made)` and `a.map(x, made)`.
    Collect {
        /// What it goes over.
        range: Box<Part>,
        /// The names of an element, or of its key and the element.
        names: Vec<Arc<str>>,
        /// Which elements are taken; none if all are.
        test: Option<Box<Part>>,
    },
    /// A call of a function by its name, with what it is called on first.
    Call {
        /// Its name.
        name: Arc<str>,
        /// What it is called on, and its arguments.
        args: Vec<Part>,
    },
    /// Anything else.
    Other,
}

/// How many elements have to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    /// All of them.
    All,
    /// One at least.
    Exists,
}

/// The parts of an expression; none if it is no expression.
///
/// ```
/// use portcullis_cel::{PartKind, parts};
///
/// let text = "has(object.spec.x) && (object.spec.x > 1)";
/// let whole = parts(text).unwrap();
/// let PartKind::And(terms) = whole.kind else { panic!() };
/// assert_eq!(&text[terms[1].range.clone()], "object.spec.x > 1");
/// assert!(matches!(terms[1].kind, PartKind::Compare { operator: ">", .. }));
/// ```
#[must_use]
pub fn parts(text: &str) -> Option<Part> {
    let (ast, spans) = parse_with_spans(text).ok()?;
    Reader { ast: &ast, spans: &spans }.part(ast.root)
}

struct Reader<'a> {
    ast: &'a Ast,
    spans: &'a [Option<Span>],
}

impl Reader<'_> {
    fn range(&self, id: ExprId) -> Option<Range<usize>> {
        let (start, end) = self.spans.get(id as usize).copied().flatten()?;
        (start <= end).then_some(start as usize..end as usize)
    }

    fn part(&self, id: ExprId) -> Option<Part> {
        let range = self.range(id)?;
        let kind = self.kind(id).unwrap_or(PartKind::Other);
        Some(Part { range, kind })
    }

    fn parts(&self, ids: &[ExprId]) -> Option<Vec<Part>> {
        ids.iter().map(|id| self.part(*id)).collect()
    }

    fn kind(&self, id: ExprId) -> Option<PartKind> {
        let (function, target, args) = match &self.ast.node(id).kind {
            Kind::Call { function, target, args } => (function, target, args.as_slice()),
            Kind::Fold(fold) => return self.each(fold),
            _ => return None,
        };
        let operator = match &**function {
            "_==_" => "==",
            "_!=_" => "!=",
            "_<_" => "<",
            "_<=_" => "<=",
            "_>_" => ">",
            "_>=_" => ">=",
            "@in" => "in",
            _ => "",
        };
        Some(match (&**function, args) {
            (name @ ("_&&_" | "_||_"), [_, _]) => {
                let mut terms = Vec::new();
                self.terms(id, name, &mut terms)?;
                if name == "_&&_" { PartKind::And(terms) } else { PartKind::Or(terms) }
            }
            ("!_", [of]) => PartKind::Not(Box::new(self.part(*of)?)),
            ("_?_:_", [a, b, c]) => PartKind::If(Box::new([self.part(*a)?, self.part(*b)?, self.part(*c)?])),
            (_, [left, right]) if !operator.is_empty() => {
                PartKind::Compare { operator, sides: Box::new([self.part(*left)?, self.part(*right)?]) }
            }
            (name, args)
                if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_')
                    && !name.starts_with('_') =>
            {
                let of: Vec<ExprId> = target.iter().chain(args).copied().collect();
                PartKind::Call { name: function.clone(), args: self.parts(&of)? }
            }
            _ => return None,
        })
    }

    /// The terms of a row of the same operation: what is between them stands nowhere.
    fn terms(&self, id: ExprId, name: &str, found: &mut Vec<Part>) -> Option<()> {
        match &self.ast.node(id).kind {
            Kind::Call { function, args, .. } if **function == *name => {
                args.iter().try_for_each(|arg| self.terms(*arg, name, found))
            }
            _ => {
                found.push(self.part(id)?);
                Some(())
            }
        }
    }

    /// What `all` and `exists` become: the test is the second term of the step. Of `filter` and `map` it is what the step
    /// goes by, if there is one.
    fn each(&self, fold: &Fold) -> Option<PartKind> {
        let Kind::Call { function, args, .. } = &self.ast.node(fold.step).kind else { return None };
        let names = std::iter::once(&fold.iter).chain(&fold.iter2).cloned().collect();
        let range = Box::new(self.part(fold.range)?);
        if matches!(self.ast.node(fold.init).kind, Kind::List(_)) {
            let test = match (&**function, args.as_slice()) {
                ("_?_:_", [test, _, _]) => Some(Box::new(self.part(*test)?)),
                _ => None,
            };
            return Some(PartKind::Collect { range, names, test });
        }
        let Kind::Literal(Literal::Bool(init)) = self.ast.node(fold.init).kind else { return None };
        let quantifier = match (&**function, init) {
            ("_&&_", true) => Quantifier::All,
            ("_||_", false) => Quantifier::Exists,
            _ => return None,
        };
        let [_, test] = args.as_slice() else { return None };
        let test = Box::new(self.part(*test)?);
        Some(PartKind::Each { quantifier, range, names, test })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts with their texts, in short.
    fn shown(text: &str) -> String {
        fn one(text: &str, part: &Part) -> String {
            let all = |parts: &[Part]| parts.iter().map(|part| one(text, part)).collect::<Vec<_>>().join(" ");
            match &part.kind {
                PartKind::And(terms) => format!("(and {})", all(terms)),
                PartKind::Or(terms) => format!("(or {})", all(terms)),
                PartKind::Not(of) => format!("(not {})", one(text, of)),
                PartKind::If(of) => format!("(if {})", all(&of[..])),
                PartKind::Compare { operator, sides } => format!("({operator} {})", all(&sides[..])),
                PartKind::Each { quantifier, range, names, test } => {
                    format!("({quantifier:?} {} {names:?} {})", one(text, range), one(text, test))
                }
                PartKind::Collect { range, names, test } => {
                    let test = test.as_ref().map_or("all".to_owned(), |test| one(text, test));
                    format!("(collect {} {names:?} {test})", one(text, range))
                }
                PartKind::Call { name, args } => format!("({name} {})", all(args)),
                PartKind::Other => format!("`{}`", text.get(part.range.clone()).unwrap()),
            }
        }
        parts(text).map(|whole| one(text, &whole)).unwrap_or_default()
    }

    #[test]
    fn parts_are_those_of_the_text() {
        for (text, wanted) in [
            ("a && b && c && d", "(and `a` `b` `c` `d`)"),
            ("(a || b) && !c", "(and (or `a` `b`) (not `c`))"),
            ("a ? (b == 1) : c in [1, 2]", "(if `a` (== `b` `1`) (in `c` `[1, 2]`))"),
            (
                "object.spec.containers.all(c, c.image.startsWith('x') && has(c.tag))",
                "(All `object.spec.containers` [\"c\"] (and (startsWith `c.image` `'x'`) `has(c.tag)`))",
            ),
            ("(a + b).exists(x, x.n >= -1)", "(Exists `a + b` [\"x\"] (>= `x.n` `-1`))"),
            ("m.all(k, v, v != k)", "(All `m` [\"k\", \"v\"] (!= `v` `k`))"),
            (
                "size(a.filter(x, x > 0).map(x, x.n)) == 0",
                "(== (size (collect (collect `a` [\"x\"] (> `x` `0`)) [\"x\"] all)) `0`)",
            ),
            ("!!a", "`a`"),
            ("!a.b", "(not `a.b`)"),
            ("a.?b.orValue(1) < 2 * 3", "(< (orValue `a.?b` `1`) `2 * 3`)"),
            ("a[0].b(c[1 + 1])", "(b `a[0]` `c[1 + 1]`)"),
            ("a &&", ""),
        ] {
            assert_eq!(shown(text), wanted, "{text}");
        }
    }
}
