//! What nothing uses: imports, local variables, rules, libraries. And names that hide others.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_rego_syntax::ast::{
    BinaryOp, Clause, Expr, ExprKind, Head, Import, Rule, Statement, StatementKind, Version,
};
use portcullis_rego_syntax::resolve::{Local, LocalId, LocalOrigin};
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_rego_syntax::{Resolution, Span};

use super::program::{Program, Scope};
use crate::error::{Error, ErrorKind, Remedy};

/// Checks all modules. A library of which nothing is used is one finding; what is in it is not looked at. It
/// is none while another library refers to it: libraries are copied whole.
pub(super) fn check(program: &Program<'_>) -> Vec<Error> {
    let mut found = Vec::new();
    for scope in program.scopes() {
        let module = &scope.parsed.module;
        if scope.parsed.is_lib && !module.rules.iter().any(|rule| scope.is_reached(rule.name())) {
            if program.scopes().any(|other| other.parsed.is_lib && refers_to(other, scope)) {
                continue;
            }
            let span = module.package.as_ref().map_or(module.span, |package| package.span);
            let message = format!("nothing of the library `{}` is used", module.package_path().join("."));
            found.push(warning(
                scope,
                ErrorKind::UnusedLibrary,
                span,
                message,
                Some("take it out of `libs`"),
            ));
            continue;
        }
        found.extend(imports(scope));
        found.extend(locals(scope));
        if !scope.parsed.is_lib {
            found.extend(rules(scope));
        }
    }
    found
}

fn refers_to(one: Scope<'_, '_>, other: Scope<'_, '_>) -> bool {
    let package = other.parsed.module.package_path();
    let is_other = one.parsed.module.package_path() != package;
    let imports = || {
        let mut imports = one.parsed.module.imports.iter().map(Import::segments);
        imports.any(|path| path.get(1..).is_some_and(|path| path.starts_with(&package)))
    };
    let names = || {
        one.references().iter().any(|reference| {
            let path: Vec<&str> = reference.path.iter().map_while(|step| *step).collect();
            reference.root == Resolution::Data && path.get(1..).is_some_and(|path| path.starts_with(&package))
        })
    };
    is_other && (imports() || names())
}

fn warning(scope: Scope<'_, '_>, kind: ErrorKind, span: Span, message: String, hint: Option<&str>) -> Error {
    Error::warning(kind, message).maybe_hint(hint.map(str::to_owned)).at(scope.location(span))
}

/// Rules that `violation` does not need; one finding per name.
fn rules(scope: Scope<'_, '_>) -> Vec<Error> {
    let mut seen = BTreeSet::new();
    let unused = scope.parsed.module.rules.iter().filter(|rule| !scope.is_reached(rule.name()));
    unused
        .filter(|rule| seen.insert(rule.name()))
        .map(|rule| {
            let message = format!("`{}` is never used: `violation` does not need it", rule.name());
            warning(scope, ErrorKind::UnusedRule, rule.name_span(), message, None)
        })
        .collect()
}

fn imports(scope: Scope<'_, '_>) -> Vec<Error> {
    let module = &scope.parsed.module;
    let mut used: BTreeSet<usize> = BTreeSet::new();
    for reference in scope.references() {
        if let Resolution::Import(index) = reference.root {
            used.insert(index);
        }
    }
    let mut keywords = Keywords::default();
    visit::walk_module(&mut keywords, module);
    let unused = module.imports.iter().enumerate().filter(|(index, import)| match import.name() {
        Some(_) => !used.contains(index),
        None => keywords.is_unused(import, module.version),
    });
    unused
        .map(|(_, import)| {
            let path = import.segments().join(".");
            let needless = import.name().is_none() && module.version == Version::V1;
            let message = if needless {
                format!("`{path}` need not be imported in v1")
            } else {
                format!("the import `{path}` is never used")
            };
            warning(scope, ErrorKind::UnusedImport, import.span, message, Some("take it out"))
                .remedied_by(Some(Remedy::TakeOut))
        })
        .collect()
}

/// Which of the keywords that v0 has by import occur.
#[derive(Default)]
struct Keywords<'a>(BTreeSet<&'a str>);

impl Keywords<'_> {
    fn is_unused(&self, import: &Import, version: Version) -> bool {
        match import.segments().as_slice() {
            ["future", "keywords"] => version == Version::V1 || self.0.is_empty(),
            // It brings `in` as well.
            ["future", "keywords", "every"] => {
                version == Version::V1 || !(self.0.contains("every") || self.0.contains("in"))
            }
            ["future", "keywords", keyword] => version == Version::V1 || !self.0.contains(keyword),
            _ => false,
        }
    }
}

impl<'a> Visitor<'a> for Keywords<'_> {
    fn visit_head(&mut self, head: &'a Head) {
        if head.has_contains {
            self.0.insert("contains");
        }
        visit::walk_head(self, head);
    }

    fn visit_clause(&mut self, clause: &'a Clause) {
        if clause.if_span.is_some() {
            self.0.insert("if");
        }
        self.visit_body(&clause.body);
    }

    fn visit_statement(&mut self, statement: &'a Statement) {
        match statement.kind {
            StatementKind::SomeIn(_) => drop(self.0.insert("in")),
            StatementKind::Every(_) => self.0.extend(["in", "every"]),
            _ => {}
        }
        visit::walk_statement(self, statement);
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        if let ExprKind::Membership(_) = expr.kind {
            self.0.insert("in");
        }
        visit::walk_expr(self, expr);
    }
}

fn locals(scope: Scope<'_, '_>) -> Vec<Error> {
    let names = &scope.parsed.names;
    let mut found = Vec::new();
    let mut repeated = Repeated::default();
    visit::walk_module(&mut repeated, &scope.parsed.module);
    for local in names.locals() {
        found.extend(unused_local(scope, local).filter(|_| !repeated.spans.contains(&local.span)));
        found.extend(shadowing(scope, local));
    }
    let mut mentions: BTreeMap<LocalId, usize> = BTreeMap::new();
    for resolution in names.all() {
        if let Resolution::Local(id) = resolution {
            *mentions.entry(id).or_default() += 1;
        }
    }
    let mut unified = Unified { scope, mentions, mentions_are_known: true, found };
    visit::walk_module(&mut unified, &scope.parsed.module);
    unified.found
}

const UNUSED: &str = "take it out; if it only matters that there is a value, call it `_`";

fn unused_local(scope: Scope<'_, '_>, local: &Local) -> Option<Error> {
    let declared = matches!(local.origin, LocalOrigin::Assign | LocalOrigin::Iteration);
    if !declared || local.is_used() || local.name.starts_with('_') {
        return None;
    }
    let message = format!("`{}` is never used", local.name);
    let is_iterated = local.origin == LocalOrigin::Iteration;
    let hint = if is_iterated { "call it `_`" } else { UNUSED };
    let remedy = is_iterated.then(|| Remedy::Write("_".to_owned()));
    Some(warning(scope, ErrorKind::UnusedLocal, local.span, message, Some(hint)).remedied_by(remedy))
}

/// Names that are more than once in a pattern: `some [x, x] in pairs` asks for two that are equal, which is a use.
#[derive(Default)]
struct Repeated<'a> {
    spans: BTreeSet<Span>,
    /// Those of the pattern that is looked at.
    names: Vec<(&'a str, Span)>,
}

impl<'a> Visitor<'a> for Repeated<'a> {
    fn visit_statement(&mut self, statement: &'a Statement) {
        if let StatementKind::SomeIn(some) = &statement.kind {
            let outer = std::mem::take(&mut self.names);
            for pattern in some.key.iter().chain([&some.value]) {
                self.visit_expr(pattern);
            }
            let names = std::mem::replace(&mut self.names, outer);
            let is_repeated = |name| names.iter().filter(|(other, _)| *other == name).count() > 1;
            self.spans.extend(names.iter().filter(|(name, _)| is_repeated(*name)).map(|(_, span)| *span));
        }
        visit::walk_statement(self, statement);
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        self.names.extend(expr.as_var().map(|name| (name, expr.span)));
        visit::walk_expr(self, expr);
    }
}

/// A declared variable that hides something else of the module.
fn shadowing<'a>(scope: Scope<'_, 'a>, local: &'a Local) -> Option<Error> {
    let module = &scope.parsed.module;
    let is_import =
        module.imports.iter().any(|import| import.name().is_some_and(|name| name.text == local.name));
    let hidden = match local.name.as_str() {
        _ if local.origin == LocalOrigin::Undeclared => return None,
        "input" | "data" => "document",
        _ if !scope.definitions(&local.name).is_empty() => "rule",
        _ if is_import => "import",
        _ => return None,
    };
    let message = format!("this `{}` hides the {hidden} of the same name", local.name);
    Some(warning(scope, ErrorKind::ShadowedName, local.span, message, Some("give it another name")))
}

/// Finds `x = e` where nothing else mentions `x`.
struct Unified<'p, 'a> {
    scope: Scope<'p, 'a>,
    mentions: BTreeMap<LocalId, usize>,
    /// Whether all mentions are known: the head of a rule is resolved once per body, and only the last time
    /// is kept.
    mentions_are_known: bool,
    found: Vec<Error>,
}

impl<'a> Visitor<'a> for Unified<'_, 'a> {
    fn visit_rule(&mut self, rule: &'a Rule) {
        // What a parameter that is more than a pattern mentions is bound in the body.
        let is_pattern = |param: &Expr| {
            matches!(param.kind, ExprKind::Var(_) | ExprKind::Array(_) | ExprKind::Object(_))
                || param.is_scalar()
        };
        let has_patterns = rule.head.params.iter().flatten().all(is_pattern);
        self.mentions_are_known = rule.clauses.len() <= 1 && has_patterns;
        visit::walk_rule(self, rule);
    }

    fn visit_statement(&mut self, statement: &'a Statement) {
        if let StatementKind::Expr(Expr { kind: ExprKind::Binary(binary), .. }) = &statement.kind
            && binary.op == BinaryOp::Unify
            && self.mentions_are_known
        {
            for side in [&binary.lhs, &binary.rhs] {
                let Some(Resolution::Local(id)) = self.scope.resolution(side) else { continue };
                let is_undeclared = self.scope.parsed.names.local(id).is_some_and(|local| {
                    local.origin == LocalOrigin::Undeclared && !local.name.starts_with('_')
                });
                if is_undeclared && self.mentions.get(&id) == Some(&1) {
                    let message = format!("`{}` is never used", side.as_var().unwrap_or_default());
                    let error = warning(self.scope, ErrorKind::UnusedLocal, side.span, message, Some(UNUSED));
                    self.found.push(error);
                }
            }
        }
        visit::walk_statement(self, statement);
    }
}
