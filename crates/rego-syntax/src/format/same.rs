//! Whether two modules say the same: their normal forms, which leave out all that `format` may change.
//!
//! Left out are spans, parentheses (the tree has their meaning), the two notations of a step of a
//! reference, the keywords that only mark what is there (`if`, `contains`), `true` where it goes without
//! saying, and whether `{ … } { … }` is one rule or two.

use crate::ast::{Body, Clause, ComprehensionHead, Else, Entry, Expr, ExprKind, Head, Import, Module};
use crate::ast::{RefArg, RefArgKind, Rule, Statement, StatementKind, TemplatePart, Value};

/// The normal form of a module; of v1 if `is_strict`, where rules have one operator. Equal texts mean equal modules: every piece of text is preceded by its
/// length, every list by the number of its elements.
pub(super) fn normal_form(module: &Module, is_strict: bool, keeps: impl Fn(&Import) -> bool) -> String {
    let mut form = Form { out: String::new(), is_strict };
    for segment in module.package_path() {
        form.text(segment);
    }
    // Imports of the same name hide each other, so their order counts; that of others does not.
    let mut imports: Vec<&Import> = module.imports.iter().filter(|import| keeps(import)).collect();
    imports
        .sort_by_key(|import| import.name().map_or_else(|| import.segments().join("."), |n| n.text.clone()));
    form.count("imports", imports.len());
    for import in imports {
        let segments = import.segments();
        form.count("import", segments.len());
        for segment in segments {
            form.text(segment);
        }
        if let Some(alias) = &import.alias {
            form.tag("as");
            form.text(&alias.text);
        }
    }
    for rule in &module.rules {
        form.rule(rule);
    }
    form.out
}

/// The texts of the comments, in no order: those beside imports go with them.
pub(super) fn comments<'t>(module: &Module, source: &'t str) -> Vec<&'t str> {
    let mut texts: Vec<&str> =
        module.comments.iter().map(|comment| comment.span.text(source).trim_end()).collect();
    texts.sort_unstable();
    texts
}

struct Form {
    out: String,
    is_strict: bool,
}

impl Form {
    fn tag(&mut self, tag: &str) {
        self.out.push_str(tag);
        self.out.push('\n');
    }

    fn count(&mut self, tag: &str, count: usize) {
        self.out.push_str(tag);
        self.text(&count.to_string());
    }

    fn text(&mut self, text: &str) {
        self.out.push_str(&text.len().to_string());
        self.out.push(':');
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn rule(&mut self, rule: &Rule) {
        match rule.clauses.as_slice() {
            [] => self.one_rule(rule, None),
            clauses => {
                for clause in clauses {
                    self.one_rule(rule, Some(clause));
                }
            }
        }
    }

    fn one_rule(&mut self, rule: &Rule, clause: Option<&Clause>) {
        self.tag(if rule.is_default { "default" } else { "rule" });
        self.head(&rule.head);
        self.clause(clause.filter(|clause| !(rule.elses.is_empty() && says_true(&clause.body))));
        self.count("elses", rule.elses.len());
        for (index, other) in rule.elses.iter().enumerate() {
            self.other(other, index + 1 == rule.elses.len());
        }
    }

    fn other(&mut self, other: &Else, is_last: bool) {
        self.value(other.value.as_ref());
        self.clause(other.clause.as_ref().filter(|clause| !(is_last && says_true(&clause.body))));
    }

    fn clause(&mut self, clause: Option<&Clause>) {
        match clause {
            Some(clause) => self.body(&clause.body),
            None => self.tag("always"),
        }
    }

    fn head(&mut self, head: &Head) {
        self.text(&head.name.text);
        self.ref_args(&head.path);
        if let Some(params) = &head.params {
            self.exprs("params", params);
        }
        match &head.key {
            Some(key) => {
                self.tag("contains");
                self.expr(key);
            }
            None => self.value(head.value.as_ref()),
        }
    }

    fn value(&mut self, value: Option<&Value>) {
        match value {
            Some(Value { is_assign, expr, .. }) if !matches!(expr.peeled().kind, ExprKind::Bool(true)) => {
                // Rules of v1 are written with `:=` always; elsewhere it is left as it is.
                self.tag(if *is_assign || self.is_strict { ":=" } else { "=" });
                self.expr(expr);
            }
            _ => self.tag("true"),
        }
    }

    fn body(&mut self, body: &Body) {
        self.count("body", body.statements.len());
        for statement in &body.statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match &statement.kind {
            StatementKind::Expr(expr) => self.expr(expr),
            StatementKind::Not(expr) => {
                self.tag("not");
                self.expr(expr);
            }
            StatementKind::Some(names) => {
                self.count("some", names.len());
                for name in names {
                    self.text(&name.text);
                }
            }
            StatementKind::SomeIn(some) => {
                self.tag("some in");
                self.optional(some.key.as_ref());
                self.expr(&some.value);
                self.expr(&some.collection);
            }
            StatementKind::Every(every) => {
                self.tag("every");
                self.text(every.key.as_ref().map_or("", |key| &key.text));
                self.text(&every.value.text);
                self.expr(&every.collection);
                self.body(&every.body);
            }
        }
        self.count("with", statement.with.len());
        for with in &statement.with {
            self.expr(&with.target);
            self.expr(&with.value);
        }
    }

    fn optional(&mut self, expr: Option<&Expr>) {
        match expr {
            Some(expr) => self.expr(expr),
            None => self.tag("none"),
        }
    }

    fn exprs(&mut self, tag: &str, exprs: &[Expr]) {
        self.count(tag, exprs.len());
        for expr in exprs {
            self.expr(expr);
        }
    }

    fn entry(&mut self, entry: &Entry) {
        self.expr(&entry.key);
        self.expr(&entry.value);
    }

    fn ref_args(&mut self, args: &[RefArg]) {
        self.count("path", args.len());
        for arg in args {
            match &arg.kind {
                RefArgKind::Dot(name) => self.string(&name.text),
                RefArgKind::Bracket(expr) => self.expr(expr),
            }
        }
    }

    fn string(&mut self, value: &str) {
        self.tag("string");
        self.text(value);
    }

    fn expr(&mut self, expr: &Expr) {
        let peeled = expr.peeled();
        match &peeled.kind {
            ExprKind::Null => self.tag("null"),
            ExprKind::Bool(value) => self.tag(if *value { "true" } else { "false" }),
            ExprKind::Number(number) => {
                self.tag("number");
                self.text(number);
            }
            ExprKind::String(value) => self.string(value),
            ExprKind::Template(template) => {
                self.count(if template.is_raw { "raw template" } else { "template" }, template.parts.len());
                for part in &template.parts {
                    match part {
                        TemplatePart::Text(text) => self.string(&text.text),
                        TemplatePart::Expr(statement) => self.statement(statement),
                    }
                }
            }
            ExprKind::Var(name) => {
                self.tag("var");
                self.text(name);
            }
            ExprKind::Ref(reference) => {
                self.tag("ref");
                self.expr(&reference.head);
                self.ref_args(&reference.args);
            }
            ExprKind::Call(call) => {
                self.tag("call");
                self.expr(&call.callee);
                self.exprs("args", &call.args);
            }
            ExprKind::Array(items) => self.exprs("array", items),
            ExprKind::Set(items) => self.exprs("set", items),
            ExprKind::Object(entries) => {
                self.count("object", entries.len());
                for entry in entries {
                    self.entry(entry);
                }
            }
            ExprKind::Comprehension(comprehension) => {
                match &comprehension.head {
                    ComprehensionHead::Array(term) => {
                        self.tag("array of");
                        self.expr(term);
                    }
                    ComprehensionHead::Set(term) => {
                        self.tag("set of");
                        self.expr(term);
                    }
                    ComprehensionHead::Object(entry) => {
                        self.tag("object of");
                        self.entry(entry);
                    }
                }
                self.body(&comprehension.body);
            }
            ExprKind::Binary(binary) => {
                self.tag(binary.op.symbol());
                self.expr(&binary.lhs);
                self.expr(&binary.rhs);
            }
            ExprKind::Membership(membership) => {
                self.tag("in");
                self.optional(membership.key.as_ref());
                self.expr(&membership.value);
                self.expr(&membership.collection);
            }
            // `peeled` leaves none.
            ExprKind::Paren(inner) => self.expr(inner),
        }
    }
}

fn says_true(body: &Body) -> bool {
    match body.statements.as_slice() {
        [Statement { kind: StatementKind::Expr(expr), with, .. }] => {
            with.is_empty() && matches!(expr.peeled().kind, ExprKind::Bool(true))
        }
        _ => false,
    }
}
