//! Any text as Rego: what the lexer took for a literal or a comment is one when it stands alone, with the
//! same value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_rego_syntax::ast::{Expr, ExprKind, Module};
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_rego_syntax::{Version, parse};

#[derive(Default)]
struct Literals<'m>(Vec<&'m Expr>);

impl<'m> Visitor<'m> for Literals<'m> {
    fn visit_expr(&mut self, expr: &'m Expr) {
        if expr.is_scalar() {
            self.0.push(expr);
        }
        visit::walk_expr(self, expr);
    }
}

fuzz_target!(|text: &str| {
    for version in [Version::V0, Version::V1] {
        let parsed = parse(text, version);
        check(text, &parsed.module);
    }
});

fn check(text: &str, module: &Module) {
    for comment in &module.comments {
        let comment = comment.span.text(text);
        assert!(comment.starts_with('#') && !comment.contains('\n'), "{comment:?}");
    }
    let mut literals = Literals::default();
    visit::walk_module(&mut literals, module);
    for literal in literals.0.into_iter().take(50) {
        let written = literal.span.text(text);
        // A sign may stand apart from its number, and in v0 the `b` of `a.b { … }` is an element.
        let is_one_token = match &literal.kind {
            ExprKind::Number(number) => number == written,
            ExprKind::String(_) => written.starts_with(['"', '`']),
            _ => !written.is_empty(),
        };
        if !is_one_token {
            continue;
        }
        let alone = parse(&format!("package p\nx := {written}\n"), Version::V1);
        assert!(alone.diagnostics.is_empty(), "{written:?}: {:?}", alone.diagnostics);
        let value = &alone.module.rules[0].head.value.as_ref().expect("a value").expr.kind;
        match (&literal.kind, value) {
            (ExprKind::Null, ExprKind::Null) => {}
            (ExprKind::Bool(one), ExprKind::Bool(other)) => assert_eq!(one, other),
            (ExprKind::Number(one), ExprKind::Number(other))
            | (ExprKind::String(one), ExprKind::String(other)) => assert_eq!(one, other),
            (one, other) => panic!("{written:?} is {one:?} in its place and {other:?} alone"),
        }
    }
}
