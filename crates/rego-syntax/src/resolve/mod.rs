//! What each name means: locals, shadowing, roots, rules, imports, builtins; and which variables are
//! unsafe, that is, bound by nothing.
//!
//! A declared name (`:=`, `some`, `every`, parameters) hides everything outside its body. Any other
//! name is, in this order: a root, an import, a rule of the package, or an undeclared local, which belongs to
//! the outermost enclosing body that mentions it directly. Whether something binds it is for `safety`.

mod closest;
mod direct;
mod safety;

use std::collections::{BTreeMap, BTreeSet};

use crate::ast::{
    Body, Clause, Comprehension, ComprehensionHead, Expr, ExprKind, Import, Module, Name, Rule,
};
use crate::ast::{Statement, StatementKind, Value};
use crate::builtins;
use crate::diagnostic::{Diagnostic, DiagnosticCode};
use crate::span::Span;
use crate::visit::{self, Visitor};

use closest::{MAX_HINTS, closest};
use direct::Direct;

/// What lies outside of a module but is known in it.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Names of rules that other modules define in the same package.
    pub package_rules: Vec<String>,
    /// Functions besides the builtins, and their numbers of arguments.
    pub functions: Vec<(String, usize)>,
}

/// What a name means where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// A local variable; [`Names::local`] says more.
    Local(LocalId),
    /// `_`.
    Wildcard,
    /// The root `input`.
    Input,
    /// The root `data`.
    Data,
    /// A rule or function of the package.
    Rule,
    /// An import, by its index in [`Module::imports`].
    Import(usize),
    /// A builtin function, or the first segment of its name.
    Builtin,
    /// Nothing: neither bound here nor known from elsewhere.
    Unresolved,
}

/// A local variable of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalId(usize);

/// What is known of a local variable.
#[derive(Clone, Debug)]
pub struct Local {
    /// Its name.
    pub name: String,
    /// Where it is declared, or first mentioned if it is not.
    pub span: Span,
    /// How it comes to be.
    pub origin: LocalOrigin,
    /// How many bodies enclose the one it belongs to; parameters belong to none.
    depth: usize,
    used: bool,
}

impl Local {
    /// Whether something mentions it after its declaration. Only declarations can be unused: what is
    /// mentioned without one is used where it is.
    pub const fn is_used(&self) -> bool {
        self.used || matches!(self.origin, LocalOrigin::Undeclared)
    }
}

/// How a local variable comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LocalOrigin {
    /// A parameter of a function.
    Param,
    /// `:=`.
    Assign,
    /// `some x`, without `in`.
    Some,
    /// `some x in xs`.
    Iteration,
    /// `every x in xs`.
    Every,
    /// Not declared, only mentioned.
    Undeclared,
}

/// The names of a module.
#[derive(Clone, Debug)]
pub struct Names {
    /// By the offset of the name: no two names begin at the same place.
    resolutions: BTreeMap<u32, Resolution>,
    /// For a rule with several bodies: what the names of its head mean under each, by the offset of the body
    /// and of the name.
    in_clause: BTreeMap<(u32, u32), Resolution>,
    locals: Vec<Local>,
    /// Unsafe variables, undefined functions and faulty declarations, in text order.
    pub diagnostics: Vec<Diagnostic>,
}

impl Names {
    /// What the variable at `span` means; none where there is no variable. Ask with the span of an
    /// [`ExprKind::Var`] or of a declared [`Name`].
    pub fn at(&self, span: Span) -> Option<Resolution> {
        self.resolutions.get(&span.start).copied()
    }

    /// As [`Self::at`], for a name in the head of a rule, under one of the rule's bodies: each has variables
    /// of its own.
    pub fn at_under(&self, clause: &Clause, span: Span) -> Option<Resolution> {
        self.in_clause.get(&(clause.span.start, span.start)).copied().or_else(|| self.at(span))
    }

    /// The meanings of all names, in text order.
    pub fn all(&self) -> impl Iterator<Item = Resolution> {
        self.resolutions.values().chain(self.in_clause.values()).copied()
    }

    /// The local variable of this id.
    pub fn local(&self, id: LocalId) -> Option<&Local> {
        self.locals.get(id.0)
    }

    /// All local variables.
    pub fn locals(&self) -> &[Local] {
        &self.locals
    }
}

/// Resolves the names of a module that stands alone.
pub fn resolve(module: &Module) -> Names {
    resolve_in(module, &Environment::default())
}

/// Resolves the names of a module among others.
pub fn resolve_in(module: &Module, environment: &Environment) -> Names {
    let mut resolver = Resolver::new(module, environment);
    for rule in &module.rules {
        resolver.rule(rule);
    }
    resolver.finish()
}

struct Resolver<'m> {
    module: &'m Module,
    /// Rules of the package; for functions of this module with the number of parameters.
    rules: BTreeMap<&'m str, Option<usize>>,
    functions: BTreeMap<&'m str, usize>,
    imports: BTreeMap<&'m str, usize>,
    scopes: Vec<Scope<'m>>,
    names: Names,
    unresolved: BTreeSet<LocalId>,
    /// Where the body begins under which a head is visited that others are visited under, too.
    clause: Option<u32>,
}

/// The names of one body, or of the parameters around the bodies of a function.
#[derive(Default)]
struct Scope<'m> {
    declared: BTreeMap<&'m str, LocalId>,
    /// Undeclared locals that belong to this body.
    undeclared: BTreeMap<&'m str, LocalId>,
    /// Names mentioned in this body outside of the bodies within it.
    direct: BTreeSet<&'m str>,
    /// Names that `some` declares here and that only comprehensions mention: each of these has its own, as in
    /// OPA. With where they are declared, and whether one does.
    deferred: BTreeMap<&'m str, (Span, bool)>,
    /// What may be deferred.
    mentioned: Mentioned<'m>,
}

/// Whether `some` in a body may be about comprehensions only.
#[derive(Default)]
struct Mentioned<'m> {
    names: BTreeSet<&'m str>,
    /// A body of `every` sees the variables around it, and needs them bound.
    has_every: bool,
}

impl<'m> Resolver<'m> {
    fn new(module: &'m Module, environment: &'m Environment) -> Self {
        let mut resolver = Self {
            module,
            rules: environment.package_rules.iter().map(|name| (name.as_str(), None)).collect(),
            functions: environment.functions.iter().map(|(name, arity)| (name.as_str(), *arity)).collect(),
            imports: BTreeMap::new(),
            scopes: Vec::new(),
            names: Names {
                resolutions: BTreeMap::new(),
                in_clause: BTreeMap::new(),
                locals: Vec::new(),
                diagnostics: Vec::new(),
            },
            unresolved: BTreeSet::new(),
            clause: None,
        };
        for rule in &module.rules {
            let arity = rule.head.params.as_ref().map(Vec::len).filter(|_| rule.head.path.is_empty());
            let known = resolver.rules.entry(rule.name()).or_default();
            *known = known.or(arity);
            if module.strict && matches!(rule.name(), "input" | "data") {
                let message = format!("rules must not shadow {} (use a different rule name)", rule.name());
                resolver.report(rule.name_span(), DiagnosticCode::Shadowing, message, None);
            }
        }
        for (index, import) in module.imports.iter().enumerate() {
            resolver.import(index, import);
        }
        resolver
    }

    fn import(&mut self, index: usize, import: &'m Import) {
        let Some(name) = import.name() else { return };
        let before = self.imports.insert(&name.text, index);
        if before.is_some() && self.module.strict {
            let message = format!("import must not shadow import {}", name.text);
            self.report(import.span, DiagnosticCode::Shadowing, message, None);
        }
    }

    fn set(&mut self, span: Span, resolution: Resolution) {
        self.names.resolutions.insert(span.start, resolution);
        if let Some(clause) = self.clause {
            self.names.in_clause.insert((clause, span.start), resolution);
        }
    }

    fn report(&mut self, span: Span, code: DiagnosticCode, message: String, hint: Option<String>) {
        self.names.diagnostics.push(Diagnostic { span, code, message, hint });
    }

    fn finish(mut self) -> Names {
        let unresolved = &self.unresolved;
        let locals = &self.names.locals;
        let all = self.names.resolutions.values_mut().chain(self.names.in_clause.values_mut());
        for resolution in all {
            if let Resolution::Local(id) = *resolution
                && unresolved.contains(&id)
                && locals.get(id.0).is_some_and(|local| local.origin == LocalOrigin::Undeclared)
            {
                *resolution = Resolution::Unresolved;
            }
        }
        self.names.diagnostics.sort_by_key(|diagnostic| diagnostic.span);
        self.names.diagnostics.dedup();
        self.names
    }

    fn rule(&mut self, rule: &'m Rule) {
        let head = &rule.head;
        // What a parameter mentions inside of an expression is a variable of the bodies, too.
        let mut mentioned = Direct::default();
        for param in head.params.iter().flatten() {
            mentioned.visit_expr(param);
        }
        self.scopes.push(Scope { direct: mentioned.mentioned, ..Scope::default() });
        for param in head.params.iter().flatten() {
            self.declare_pattern(param, LocalOrigin::Param);
        }
        // The head is evaluated under each body; a rule without bodies has one that is empty.
        if rule.clauses.is_empty() {
            self.clause(None, Some(rule), None, rule.span);
        }
        for clause in &rule.clauses {
            self.clause(Some(clause), Some(rule), None, rule.span);
        }
        for clause in &rule.elses {
            self.clause(clause.clause.as_ref(), None, clause.value.as_ref(), clause.span);
        }
        self.scopes.pop();
    }

    /// One body of a rule, with what is evaluated under it: the head or the value of an `else`.
    fn clause(
        &mut self,
        clause: Option<&'m Clause>,
        head: Option<&'m Rule>,
        value: Option<&'m Value>,
        span: Span,
    ) {
        let mut outputs: Vec<&'m Expr> = value.map(|value| &value.expr).into_iter().collect();
        if let Some(rule) = head {
            let head = &rule.head;
            outputs.extend(head.path.iter().filter_map(|arg| arg.bracket()));
            outputs.extend(head.key.iter());
            outputs.extend(head.value.iter().map(|value| &value.expr));
        }
        let statements = clause.map_or(&[][..], |clause| &clause.body.statements);
        self.enter(statements, &outputs);
        for statement in statements {
            self.statement(statement);
        }
        self.clause = head.filter(|rule| rule.clauses.len() > 1).and(clause).map(|clause| clause.span.start);
        for output in &outputs {
            self.expr(output);
        }
        self.clause = None;
        self.leave();
        if !head.is_some_and(|rule| rule.is_default) {
            self.check_safety(statements, &outputs, span);
        }
    }

    fn enter(&mut self, statements: &'m [Statement], outputs: &[&'m Expr]) {
        let mut direct = Direct::default();
        for statement in statements {
            direct.visit_statement(statement);
        }
        for output in outputs {
            direct.visit_expr(output);
        }
        let has_every = statements.iter().any(|statement| matches!(statement.kind, StatementKind::Every(_)));
        // What is declared somewhere in the body is never an undeclared local of it.
        let undeclared = direct.mentioned.difference(&direct.declared).copied().collect();
        let handed_down = self.handed_down(&direct);
        let mentioned = Mentioned { names: direct.mentioned, has_every };
        self.scopes.push(Scope { direct: undeclared, mentioned, ..Scope::default() });
        let depth = self.scopes.len() - 1;
        for (name, span, is_here) in handed_down {
            let id = is_here.then(|| self.new_local(name, span, LocalOrigin::Some, depth));
            let Some(scope) = self.scopes.last_mut() else { continue };
            match id {
                Some(id) => {
                    scope.declared.insert(name, id);
                }
                // A body of `every` would need it bound.
                None if has_every => {}
                None => {
                    scope.deferred.insert(name, (span, false));
                }
            }
        }
    }

    /// The names that the body around declares for comprehensions, and whether this one mentions them itself.
    fn handed_down(&mut self, direct: &Direct<'m>) -> Vec<(&'m str, Span, bool)> {
        let Some(around) = self.scopes.last_mut() else { return Vec::new() };
        let mut names = Vec::new();
        for (name, (span, is_used)) in &mut around.deferred {
            if direct.declared.contains(name) {
                continue;
            }
            let is_here = direct.mentioned.contains(name);
            *is_used |= is_here;
            names.push((*name, *span, is_here));
        }
        names
    }

    fn leave(&mut self) {
        let Some(scope) = self.scopes.pop() else { return };
        for (name, (span, is_used)) in scope.deferred {
            match self.scopes.last_mut().and_then(|around| around.deferred.get_mut(name)) {
                // It is the other one, handed down.
                Some((other, is_other_used)) if *other == span => *is_other_used |= is_used,
                _ if is_used => {}
                _ => {
                    let message = format!("declared var {name} unused");
                    self.report(span, DiagnosticCode::Declaration, message, Some("leave it out".to_owned()));
                }
            }
        }
        for id in scope.declared.into_values() {
            let Some(local) = self.names.locals.get(id.0) else { continue };
            let hint = match local.origin {
                LocalOrigin::Some => "leave it out",
                LocalOrigin::Every => "write `_` in its place, or leave the key out",
                _ => continue,
            };
            if !local.used {
                let (span, message) = (local.span, format!("declared var {} unused", local.name));
                self.report(span, DiagnosticCode::Declaration, message, Some(hint.to_owned()));
            }
        }
    }

    fn body(&mut self, body: &'m Body, outputs: &[&'m Expr]) {
        self.enter(&body.statements, outputs);
        for statement in &body.statements {
            self.statement(statement);
        }
        for output in outputs {
            self.expr(output);
        }
        self.leave();
    }

    fn statement(&mut self, statement: &'m Statement) {
        // Modifiers hold for the whole statement, and see none of what it declares.
        for with in &statement.with {
            self.with_operand(&with.target);
            self.with_operand(&with.value);
        }
        match &statement.kind {
            StatementKind::Expr(expr) => self.top_expr(expr),
            StatementKind::Not(expr) => {
                if let ExprKind::Binary(binary) = &expr.kind
                    && binary.op == crate::ast::BinaryOp::Assign
                {
                    let message = "cannot assign vars inside negated expression".to_owned();
                    self.report(expr.span, DiagnosticCode::Declaration, message, None);
                }
                self.top_expr(expr);
            }
            StatementKind::Some(names) => {
                for name in names {
                    if self.is_for_comprehensions(&name.text) {
                        self.defer(&name.text, name.span);
                    } else {
                        self.declare(&name.text, name.span, LocalOrigin::Some);
                    }
                }
            }
            StatementKind::SomeIn(some) => {
                self.expr(&some.collection);
                if let Some(key) = &some.key {
                    self.declare_pattern(key, LocalOrigin::Iteration);
                }
                self.declare_pattern(&some.value, LocalOrigin::Iteration);
            }
            StatementKind::Every(every) => {
                self.expr(&every.collection);
                self.enter(&every.body.statements, &[]);
                for Name { text, span } in every.key.iter().chain(std::iter::once(&every.value)) {
                    self.declare(text, *span, LocalOrigin::Every);
                }
                for statement in &every.body.statements {
                    self.statement(statement);
                }
                self.leave();
            }
        }
    }

    /// A target or value of `with` may name a builtin function without calling it.
    fn with_operand(&mut self, expr: &'m Expr) {
        let names: Vec<&str> = expr.static_prefix().into_iter().map(|(name, _)| name).collect();
        let head = expr.as_ref().map_or(expr, |reference| &reference.head);
        let is_function = builtins::is_builtin(&names.join("."))
            && names
                .first()
                .is_some_and(|first| self.global(first).is_none() && self.declared(first).is_none());
        if is_function {
            self.set(head.span, Resolution::Builtin);
        } else {
            self.expr(expr);
        }
    }

    fn top_expr(&mut self, expr: &'m Expr) {
        match &expr.kind {
            ExprKind::Binary(binary) if binary.op == crate::ast::BinaryOp::Assign => {
                self.expr(&binary.rhs);
                self.check_target(&binary.lhs);
                self.declare_pattern(&binary.lhs, LocalOrigin::Assign);
            }
            _ => self.expr(expr),
        }
    }

    fn check_target(&mut self, target: &Expr) {
        let what = match &target.kind {
            ExprKind::Var(_) => return,
            ExprKind::Paren(inner) => return self.check_target(inner),
            ExprKind::Array(items) => return items.iter().for_each(|item| self.check_target(item)),
            ExprKind::Object(entries) => {
                return entries.iter().for_each(|entry| self.check_target(&entry.value));
            }
            ExprKind::Null => "null",
            ExprKind::Bool(_) => "boolean",
            ExprKind::Number(_) => "number",
            ExprKind::String(_) => "string",
            ExprKind::Template(_) => "template-string",
            ExprKind::Ref(_) => "ref",
            ExprKind::Call(_) | ExprKind::Binary(_) | ExprKind::Membership(_) => "call",
            ExprKind::Set(_) => "set",
            ExprKind::Comprehension(comprehension) => match comprehension.head {
                ComprehensionHead::Array(_) => "arraycomprehension",
                ComprehensionHead::Set(_) => "setcomprehension",
                ComprehensionHead::Object(_) => "objectcomprehension",
            },
        };
        let hint = "`:=` declares what is on its left: compare with `==`".to_owned();
        let message = format!("cannot assign to {what}");
        self.report(target.span, DiagnosticCode::Declaration, message, Some(hint));
    }

    fn expr(&mut self, expr: &'m Expr) {
        match &expr.kind {
            ExprKind::Var(name) => {
                let resolution = self.lookup(name, expr.span);
                self.set(expr.span, resolution);
            }
            ExprKind::Call(call) => {
                self.callee(&call.callee, call.name());
                for arg in &call.args {
                    self.expr(arg);
                }
            }
            ExprKind::Comprehension(comprehension) => {
                self.body(&comprehension.body, &comprehension_terms(comprehension));
            }
            _ => visit::walk_expr(&mut Resolve(self), expr),
        }
    }

    /// Functions are looked up among rules, imports and builtins; never among variables.
    fn callee(&mut self, callee: &'m Expr, name: Option<String>) {
        let head = match &callee.kind {
            ExprKind::Ref(reference) => {
                for bracket in reference.args.iter().filter_map(|arg| arg.bracket()) {
                    self.expr(bracket);
                }
                &reference.head
            }
            _ => callee,
        };
        let Some(first) = head.as_var() else { return };
        let name = name.unwrap_or_default();
        let is_known = builtins::is_builtin(&name) || self.functions.contains_key(name.as_str());
        let resolution = match self.global(first) {
            Some(global) => global,
            None if is_known => Resolution::Builtin,
            None => Resolution::Unresolved,
        };
        if resolution == Resolution::Unresolved {
            let functions = self.rules.iter().filter(|(_, arity)| arity.is_some()).map(|(name, _)| *name);
            let known = builtins::all()
                .map(|builtin| builtin.name)
                .chain(functions)
                .chain(self.functions.keys().copied());
            let is_hinted = self.names.diagnostics.len() < MAX_HINTS;
            let hint = if is_hinted { closest(&name, known) } else { None };
            let message = format!("undefined function {name}");
            self.report(callee.span, DiagnosticCode::UndefinedFunction, message, hint);
        } else if resolution == Resolution::Builtin && self.module.strict && builtins::is_deprecated(&name) {
            let message = format!("deprecated built-in function calls in expression: {name}");
            self.report(callee.span, DiagnosticCode::DeprecatedBuiltin, message, None);
        }
        self.set(head.span, resolution);
    }

    fn global(&self, name: &str) -> Option<Resolution> {
        match name {
            "input" => Some(Resolution::Input),
            "data" => Some(Resolution::Data),
            _ => match self.imports.get(name) {
                Some(index) => Some(Resolution::Import(*index)),
                None => self.rules.contains_key(name).then_some(Resolution::Rule),
            },
        }
    }

    fn lookup(&mut self, name: &'m str, span: Span) -> Resolution {
        if name == "_" {
            return Resolution::Wildcard;
        }
        if let Some(id) = self.declared(name) {
            if let Some(local) = self.names.locals.get_mut(id.0) {
                local.used = true;
            }
            return Resolution::Local(id);
        }
        if let Some(global) = self.global(name) {
            return global;
        }
        let mentioned = self.scopes.iter().position(|scope| scope.direct.contains(name));
        let depth = mentioned.unwrap_or(self.scopes.len().saturating_sub(1));
        if let Some(id) = self.scopes.get(depth).and_then(|scope| scope.undeclared.get(name)) {
            return Resolution::Local(*id);
        }
        let id = self.new_local(name, span, LocalOrigin::Undeclared, depth);
        if let Some(scope) = self.scopes.get_mut(depth) {
            scope.undeclared.insert(name, id);
        }
        Resolution::Local(id)
    }

    fn declared(&self, name: &str) -> Option<LocalId> {
        self.scopes.iter().rev().find_map(|scope| scope.declared.get(name).copied())
    }

    fn new_local(&mut self, name: &str, span: Span, origin: LocalOrigin, depth: usize) -> LocalId {
        let id = LocalId(self.names.locals.len());
        self.names.locals.push(Local { name: name.to_owned(), span, origin, depth, used: false });
        id
    }

    /// Declares the variables of a pattern. What is not a pattern in it is an expression.
    fn declare_pattern(&mut self, pattern: &'m Expr, origin: LocalOrigin) {
        match &pattern.kind {
            ExprKind::Var(name) => self.declare(name, pattern.span, origin),
            ExprKind::Array(items) => {
                for item in items {
                    self.declare_pattern(item, origin);
                }
            }
            ExprKind::Object(entries) => {
                for entry in entries {
                    self.expr(&entry.key);
                    self.declare_pattern(&entry.value, origin);
                }
            }
            ExprKind::Paren(inner) => self.declare_pattern(inner, origin),
            _ => self.expr(pattern),
        }
    }

    fn declare(&mut self, name: &'m str, span: Span, origin: LocalOrigin) {
        if name == "_" {
            self.set(span, Resolution::Wildcard);
            return;
        }
        if self.module.strict && matches!(name, "input" | "data") {
            let (what, other) =
                if origin == LocalOrigin::Param { ("args", "argument") } else { ("variables", "variable") };
            let message = format!("{what} must not shadow {name} (use a different {other} name)");
            self.report(span, DiagnosticCode::Shadowing, message, None);
        }
        let depth = self.scopes.len().saturating_sub(1);
        let before = self.scopes.last().and_then(|scope| scope.declared.get(name)).copied();
        if self.scopes.last().is_some_and(|scope| scope.deferred.contains_key(name)) {
            self.report(span, DiagnosticCode::Declaration, format!("var {name} declared above"), None);
        }
        // A parameter, or a variable of one pattern, may be written twice: it is the same one.
        if let Some(id) = before
            && matches!(origin, LocalOrigin::Param | LocalOrigin::Iteration)
        {
            self.set(span, Resolution::Local(id));
            return;
        }
        if let Some(id) = before {
            let origin = self.names.locals.get(id.0).map(|local| local.origin);
            let how = if origin == Some(LocalOrigin::Assign) { "assigned" } else { "declared" };
            self.report(span, DiagnosticCode::Declaration, format!("var {name} {how} above"), None);
        } else if let Some(mentioned) = self.scopes.last().and_then(|scope| scope.undeclared.get(name)) {
            // That nothing binds it there is said with this.
            self.unresolved.insert(*mentioned);
            self.report(span, DiagnosticCode::Declaration, format!("var {name} referenced above"), None);
        }
        let id = self.new_local(name, span, origin, depth);
        if let Some(scope) = self.scopes.last_mut() {
            scope.declared.insert(name, id);
        }
        self.set(span, Resolution::Local(id));
    }

    /// Whether a name that `some` declares is mentioned in the body itself nowhere.
    fn is_for_comprehensions(&self, name: &str) -> bool {
        let is_free = |scope: &Scope<'_>| {
            name != "_"
                && !scope.mentioned.has_every
                && !scope.mentioned.names.contains(name)
                && !scope.declared.contains_key(name)
                && !scope.deferred.contains_key(name)
        };
        self.scopes.last().is_some_and(is_free)
    }

    fn defer(&mut self, name: &'m str, span: Span) {
        let depth = self.scopes.len().saturating_sub(1);
        let id = self.new_local(name, span, LocalOrigin::Some, depth);
        self.set(span, Resolution::Local(id));
        // Whether it is, is asked of the name.
        if let Some(local) = self.names.locals.get_mut(id.0) {
            local.used = true;
        }
        if let Some(scope) = self.scopes.last_mut() {
            scope.deferred.insert(name, (span, false));
        }
    }

    /// How many arguments the function that `callee` names takes, as far as this module can tell.
    fn arity(&self, callee: &Expr, name: Option<&str>) -> Option<usize> {
        let head = callee.as_ref().map_or(callee, |reference| &reference.head);
        match self.names.at(head.span) {
            Some(Resolution::Rule) => self.rules.get(name?).copied().flatten(),
            Some(Resolution::Builtin) => {
                self.functions.get(name?).copied().or_else(|| builtins::arity(name?))
            }
            _ => None,
        }
    }
}

/// The terms a comprehension builds its elements from.
fn comprehension_terms(comprehension: &Comprehension) -> Vec<&Expr> {
    match &comprehension.head {
        ComprehensionHead::Array(term) | ComprehensionHead::Set(term) => vec![term],
        ComprehensionHead::Object(entry) => vec![&entry.key, &entry.value],
    }
}

/// Sends the children of an expression back to the resolver.
struct Resolve<'r, 'm>(&'r mut Resolver<'m>);

impl<'m> Visitor<'m> for Resolve<'_, 'm> {
    fn visit_expr(&mut self, expr: &'m Expr) {
        self.0.expr(expr);
    }

    fn visit_statement(&mut self, statement: &'m Statement) {
        self.0.statement(statement);
    }
}
