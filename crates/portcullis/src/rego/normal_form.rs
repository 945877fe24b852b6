//! A module as the engine has to be given it to understand it as OPA does, made from the syntax tree of `portcullis-rego-syntax` by
//! putting text in. Nothing is taken out, so every position leads back to the template.
//!
//! | written | given to the engine | because the engine |
//! |---|---|---|
//! | a statement, and in the next line one that begins with a bracket | `;` between them | takes the bracket for a call or an index of the first |
//! | `violation[x] { … } { … }` | the head before every body | takes a second body of a set rule for an `else` |

use portcullis_rego_syntax::ast::{Body, Module, Rule, RuleKind};
use portcullis_rego_syntax::visit::{self, Visitor};

use crate::insertions::Insertions;

/// What has to be put into the text of a module.
pub(super) fn insertions(text: &str, module: &Module) -> Insertions {
    let mut writer = Writer { text, insertions: Insertions::default() };
    visit::walk_module(&mut writer, module);
    writer.insertions
}

struct Writer<'a> {
    text: &'a str,
    insertions: Insertions,
}

impl<'m> Visitor<'m> for Writer<'_> {
    fn visit_rule(&mut self, rule: &'m Rule) {
        if matches!(rule.kind(), RuleKind::PartialSet | RuleKind::PartialObject) {
            let head = rule.head.span.text(self.text);
            for clause in rule.clauses.iter().skip(1) {
                // On a line of its own: the engine wants a new rule there.
                self.insertions.add(clause.span.start as usize, format!("\n{head} "));
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
                self.insertions.add(first.span.end as usize, ";");
            }
        }
        visit::walk_body(self, body);
    }
}

#[cfg(test)]
mod tests {
    use portcullis_rego_syntax::{Version, parse};

    fn given(text: &str) -> String {
        let parsed = parse(text, Version::V0);
        assert_eq!(parsed.diagnostics, []);
        super::insertions(text, &parsed.module).apply(text).into_owned()
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
}
