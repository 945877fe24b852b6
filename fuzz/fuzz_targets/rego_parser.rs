//! Any text as Rego of both versions: parsing and resolving end without a panic and soon, every span is in
//! the text and within its parent's, every finding is a line with a place.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use portcullis_rego_syntax::ast::{Body, Expr, Rule, Statement};
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_rego_syntax::{Span, Version, analysis, parse, resolve};

struct Spans<'t> {
    text: &'t str,
    parent: Span,
}

impl Spans<'_> {
    fn enter(&mut self, span: Span) -> Span {
        assert!(span.start <= span.end, "{span}");
        assert!(self.text.get(span.start as usize..span.end as usize).is_some(), "{span} is not in the text");
        assert!(self.parent.contains(span), "{span} is not within {}", self.parent);
        std::mem::replace(&mut self.parent, span)
    }
}

impl<'m> Visitor<'m> for Spans<'_> {
    fn visit_rule(&mut self, rule: &'m Rule) {
        let parent = self.enter(rule.span);
        visit::walk_rule(self, rule);
        self.parent = parent;
    }

    fn visit_body(&mut self, body: &'m Body) {
        let parent = self.enter(body.span);
        visit::walk_body(self, body);
        self.parent = parent;
    }

    fn visit_statement(&mut self, statement: &'m Statement) {
        let parent = self.enter(statement.span);
        visit::walk_statement(self, statement);
        self.parent = parent;
    }

    fn visit_expr(&mut self, expr: &'m Expr) {
        let parent = self.enter(expr.span);
        visit::walk_expr(self, expr);
        self.parent = parent;
    }
}

fuzz_target!(|text: &str| {
    for version in [Version::V0, Version::V1] {
        let started = Instant::now();
        let parsed = parse(text, version);
        let names = resolve(&parsed.module);
        // A millisecond or so; whatever is not linear is far off.
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        let whole = Span::new(0, u32::try_from(text.len()).expect("a short text"));
        let mut spans = Spans { text, parent: whole };
        visit::walk_module(&mut spans, &parsed.module);
        for diagnostic in parsed.diagnostics.iter().chain(&names.diagnostics) {
            spans.parent = whole;
            spans.enter(diagnostic.span);
            assert!(!diagnostic.message.contains('\n'), "{diagnostic}");
        }
        let _ = analysis::refs(&parsed.module, &names).count();
    }
});
