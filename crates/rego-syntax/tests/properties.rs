//! Whatever the text: nothing panics, and spans lie in the text, on character boundaries, in each other.

use portcullis_rego_syntax::analysis::refs;
use portcullis_rego_syntax::ast::{Clause, Else, Expr, Head, RefArg, Rule, Statement, With};
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_rego_syntax::{Span, Version, line_col, parse, resolve};
use proptest::prelude::*;

/// Walks the tree with the span of the node above.
struct Spans<'t> {
    text: &'t str,
    outer: Span,
}

impl Spans<'_> {
    fn within(&mut self, span: Span, walk: impl FnOnce(&mut Self)) {
        assert!(span.start <= span.end && self.outer.contains(span), "{span} in {}", self.outer);
        assert!(self.text.get(span.start as usize..span.end as usize).is_some(), "{span} in the text");
        let outer = std::mem::replace(&mut self.outer, span);
        walk(self);
        self.outer = outer;
    }
}

impl<'m> Visitor<'m> for Spans<'_> {
    fn visit_rule(&mut self, rule: &'m Rule) {
        self.within(rule.span, |this| visit::walk_rule(this, rule));
    }

    fn visit_head(&mut self, head: &'m Head) {
        self.within(head.span, |this| visit::walk_head(this, head));
    }

    fn visit_clause(&mut self, clause: &'m Clause) {
        self.within(clause.span, |this| this.visit_body(&clause.body));
    }

    fn visit_else(&mut self, clause: &'m Else) {
        self.within(clause.span, |this| visit::walk_else(this, clause));
    }

    fn visit_body(&mut self, body: &'m portcullis_rego_syntax::ast::Body) {
        self.within(body.span, |this| visit::walk_body(this, body));
    }

    fn visit_statement(&mut self, statement: &'m Statement) {
        self.within(statement.span, |this| visit::walk_statement(this, statement));
    }

    fn visit_with(&mut self, with: &'m With) {
        self.within(with.span, |this| visit::walk_with(this, with));
    }

    fn visit_expr(&mut self, expr: &'m Expr) {
        self.within(expr.span, |this| visit::walk_expr(this, expr));
    }

    fn visit_ref_arg(&mut self, arg: &'m RefArg) {
        self.within(arg.span, |this| visit::walk_ref_arg(this, arg));
    }
}

fn check(text: &str) {
    for version in [Version::V0, Version::V1] {
        let parsed = parse(text, version);
        let mut spans = Spans { text, outer: parsed.module.span };
        visit::walk_module(&mut spans, &parsed.module);
        let names = resolve(&parsed.module);
        for diagnostic in parsed.diagnostics.iter().chain(&names.diagnostics) {
            assert!(text.get(diagnostic.span.start as usize..diagnostic.span.end as usize).is_some());
            line_col(text, diagnostic.span.start);
        }
        for found in refs(&parsed.module, &names) {
            assert!(!found.path.is_empty());
        }
    }
}

const MODULES: &[&str] = &[
    "package k8s\n\nimport data.lib.x as y\n\nviolation[{\"msg\": msg, \"details\": {}}] {\n  c := input_containers[_]\n  \
     not startswith(c.image, \"a/\")\n  repos := [ok | r = input.parameters.repos[_]; ok = startswith(c.image, r)]\n  \
     msg := sprintf(\"é %v\", [c.name])\n} else = 3 { some i; x[i] }\n\ninput_containers[c] { c := input.review.object.spec.containers[_] }\n",
    "package k\nimport rego.v1\nviolation contains {\"msg\": msg} if {\n  some k, v in input.review.labels\n  \
     every x in {1, 2} { x > 0 with input as {\"a\": 1} }\n  msg := $\"label {k} is {upper(v)} `{{1 | true}}`\"\n}\n\
     default allow := false\nallow := `raw` if { a | b }\nf(x, [y, _]) := {k: v | v := x[k]} if -1 < y - 2 else := 5\np.q[x].r := 1 if x := 1 in [1]\n",
];

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "|",
    ",",
    ";",
    ":",
    ":=",
    "=",
    "==",
    "\n",
    " ",
    ".",
    "\"",
    "`",
    "$\"",
    "$`",
    "\\",
    "not ",
    "some ",
    "every ",
    "in ",
    "if ",
    "contains ",
    "else ",
    "with ",
    "as ",
    "default ",
    "import ",
    "package ",
    "x",
    "input",
    "data.a",
    "1",
    "-",
    "é",
    "\u{feff}",
    "\0",
    "#",
    "set()",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn any_pieces(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..60)) {
        check(&format!("package p\n{}", pieces.concat()));
    }

    #[test]
    fn mutated_modules(
        which in 0..MODULES.len(),
        edits in proptest::collection::vec((any::<u16>(), 0..6usize, proptest::sample::select(PIECES)), 0..6),
    ) {
        let mut chars: Vec<char> = MODULES[which].chars().collect();
        for (at, remove, insert) in edits {
            let at = usize::from(at) % (chars.len() + 1);
            let end = (at + remove).min(chars.len());
            chars.splice(at..end, insert.chars());
        }
        check(&chars.into_iter().collect::<String>());
    }
}

#[test]
fn the_modules_themselves_are_clean() {
    for text in &MODULES[..1] {
        check(text);
        assert!(parse(text, Version::V0).module.rules.len() == 2);
    }
    let parsed = parse(MODULES[1], Version::V1);
    assert_eq!(parsed.diagnostics, []);
    assert_eq!(parsed.module.rules.len(), 5);
}
