//! A module as the engine has to be given it to understand it as OPA does, made from the syntax tree of `portcullis-rego-syntax` by
//! editing the text, so that every position leads back to the template.
//!
//! | written | given to the engine | because the engine |
//! |---|---|---|
//! | a statement, and in the next line one that begins with a bracket | `;` between them | takes the bracket for a call or an index of the first |
//! | `violation[x] { … } { … }` | the head before every body | takes a second body of a set rule for an `else` |
//! | `lib.x` after `import data.lib` | `data.lib.x` | finds nothing at an imported name in a function, once the rule behind it was evaluated |

use portcullis_rego_syntax::ast::{Body, Expr, ExprKind, Module, Rule, RuleKind};
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_rego_syntax::{Names, Resolution};

use crate::edits::Edits;

/// What has to be changed in the text of a module.
pub(super) fn edits(text: &str, module: &Module, names: &Names) -> Edits {
    let mut writer = Writer { text, module, names, edits: Edits::default() };
    visit::walk_module(&mut writer, module);
    writer.edits
}

struct Writer<'a> {
    text: &'a str,
    module: &'a Module,
    names: &'a Names,
    edits: Edits,
}

impl<'m> Visitor<'m> for Writer<'_> {
    fn visit_rule(&mut self, rule: &'m Rule) {
        if matches!(rule.kind(), RuleKind::PartialSet | RuleKind::PartialObject) {
            let head = rule.head.span.text(self.text);
            for clause in rule.clauses.iter().skip(1) {
                // On a line of its own: the engine wants a new rule there.
                self.edits.insert(clause.span.start as usize, format!("\n{head} "));
            }
        }
        visit::walk_rule(self, rule);
    }

    fn visit_body(&mut self, body: &'m Body) {
        for pair in body.statements.windows(2) {
            let [first, second] = pair else { continue };
            let between =
                self.text.get(first.span.end as usize..second.span.start as usize).unwrap_or_default();
            let begins_with_bracket = second.span.text(self.text).starts_with(['(', '[', '{']);
            if begins_with_bracket && !between.contains(';') {
                self.edits.insert(first.span.end as usize, ";");
            }
        }
        visit::walk_body(self, body);
    }

    fn visit_expr(&mut self, expr: &'m Expr) {
        if matches!(expr.kind, ExprKind::Var(_))
            && let Some(Resolution::Import(index)) = self.names.at(expr.span)
            && let Some(import) = self.module.imports.get(index)
        {
            let path = import.segments().join(".");
            let length = expr.span.end - expr.span.start;
            self.edits.replace(expr.span.start as usize, length as usize, path);
        }
        visit::walk_expr(self, expr);
    }
}

#[cfg(test)]
mod tests {
    use portcullis_rego_syntax::{Version, parse};

    fn given(text: &str) -> String {
        let parsed = parse(text, Version::V0);
        assert_eq!(parsed.diagnostics, []);
        super::edits(text, &parsed.module, &portcullis_rego_syntax::resolve(&parsed.module))
            .apply(text)
            .into_owned()
    }

    #[test]
    fn brackets_begin_statements() {
        let text = "package p\nq {\n  x := input.a\n  (x + 1) > 2\n  y := [z | z := x\n    [z] != []]\n}\n";
        let expected =
            "package p\nq {\n  x := input.a;\n  (x + 1) > 2\n  y := [z | z := x;\n    [z] != []]\n}\n";
        assert_eq!(given(text), expected);
    }

    #[test]
    fn set_rules_repeat_their_head() {
        let text = "package p\nv[x] {\n  x := 1\n} {\n  x := 2\n}\n";
        assert_eq!(given(text), "package p\nv[x] {\n  x := 1\n} \nv[x] {\n  x := 2\n}\n");
    }

    #[test]
    fn imported_names_are_written_out() {
        let text = "package p\nimport data.lib.a\nimport data.lib.b as c\nq {\n  a.x[c.y]\n  c.f(a)\n}\n";
        let expected = "package p\nimport data.lib.a\nimport data.lib.b as c\nq {\n  data.lib.a.x[data.lib.b.y]\n  data.lib.b.f(data.lib.a)\n}\n";
        assert_eq!(given(text), expected);
    }
}
