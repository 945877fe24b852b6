//! Where names stand, and which of them mean the same.

use std::collections::BTreeMap;

use portcullis_rego_syntax::ast::{
    Clause, Expr, ExprKind, Import, RefArgKind, Rule, Statement, StatementKind,
};
use portcullis_rego_syntax::resolve::LocalId;
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_rego_syntax::{Resolution, Span};

use super::{Bindings, Module, Path};

/// Something that has a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Symbol {
    /// A local variable. One that the head of a rule with several bodies shares is the same in all of them.
    Local {
        /// The module.
        module: usize,
        /// Which one it is in it.
        id: LocalId,
    },
    /// A rule or function of a package.
    Rule {
        /// The package, without `data`.
        package: Vec<String>,
        /// Its name.
        name: String,
    },
    /// What a module calls something that it imports.
    Import {
        /// The module.
        module: usize,
        /// Which import it is.
        index: usize,
    },
    /// A parameter of constraints: its path below `input.parameters`.
    Parameter(Path),
    /// A field of what is reviewed: its path from `input` on.
    Input(Path),
    /// A function that Rego has.
    Builtin(String),
}

impl Symbol {
    /// A number for each sort.
    pub(super) const fn sort(&self) -> u8 {
        match self {
            Self::Local { .. } => 0,
            Self::Rule { .. } => 1,
            Self::Import { .. } => 2,
            Self::Parameter(_) => 3,
            Self::Input(_) => 4,
            Self::Builtin(_) => 5,
        }
    }
}

/// A name where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// In which module.
    pub module: usize,
    /// The name, without dots and quotes.
    pub span: Span,
    /// What it means.
    pub symbol: Symbol,
    /// Whether it is there that it comes to be.
    pub is_definition: bool,
}

/// All of some modules, in the order of their texts.
pub(super) fn of(modules: &[Module]) -> Vec<Occurrence> {
    let packages: Vec<&[String]> = modules.iter().map(|module| module.package.as_slice()).collect();
    let mut all = Vec::new();
    for (number, module) in modules.iter().enumerate() {
        let mut collector = Collector {
            modules,
            packages: &packages,
            number,
            module,
            bindings: Bindings::of(&module.ast, &module.names),
            same: BTreeMap::new(),
            heads: Vec::new(),
            found: Vec::new(),
        };
        collector.imports();
        for rule in &module.ast.rules {
            collector.visit_rule(rule);
        }
        all.extend(collector.finish());
    }
    all
}

struct Collector<'m> {
    modules: &'m [Module],
    packages: &'m [&'m [String]],
    number: usize,
    module: &'m Module,
    bindings: Bindings<'m>,
    /// Local variables that are another one, by the head that they share.
    same: BTreeMap<LocalId, LocalId>,
    /// The bodies of the rule whose head is visited, if it has several.
    heads: Vec<&'m Clause>,
    found: Vec<Occurrence>,
}

impl<'m> Collector<'m> {
    fn finish(mut self) -> Vec<Occurrence> {
        for one in &mut self.found {
            if let Symbol::Local { id, .. } = &mut one.symbol {
                while let Some(first) = self.same.get(id) {
                    *id = *first;
                }
            }
        }
        self.found.sort_by_key(|one| (one.span.start, one.span.end, one.symbol.sort()));
        self.found.dedup();
        self.found
    }

    fn add(&mut self, span: Span, symbol: Symbol, is_definition: bool) {
        self.found.push(Occurrence { module: self.number, span, symbol, is_definition });
    }

    /// The rule that a path below `data` begins with, and how many of its steps that are.
    fn rule_of(&self, path: &[Option<&str>]) -> Option<(Symbol, usize)> {
        let known: Vec<&str> = path.iter().map_while(|step| *step).collect();
        let below = known.strip_prefix(&["data"])?;
        let is_of = |package: &&&[String]| {
            package.iter().map(String::as_str).eq(below.iter().copied().take(package.len()))
        };
        let package = self.packages.iter().filter(is_of).max_by_key(|package| package.len())?;
        let name = *below.get(package.len())?;
        let mut of_package = self.modules.iter().filter(|module| module.package == *package);
        let is_rule = of_package.any(|module| module.ast.rules_named(name).next().is_some());
        let rule = || Symbol::Rule { package: package.to_vec(), name: name.to_owned() };
        is_rule.then(|| (rule(), package.len() + 2))
    }

    /// What an import is known as. One of a rule that is called as the rule is means the rule.
    fn symbol_of_import(&self, index: usize, import: &Import) -> Symbol {
        let path: Vec<Option<&str>> = import.segments().into_iter().map(Some).collect();
        match self.rule_of(&path) {
            Some((rule, length)) if import.alias.is_none() && length == path.len() => rule,
            _ => Symbol::Import { module: self.number, index },
        }
    }

    fn imports(&mut self) {
        for (index, import) in self.module.ast.imports.iter().enumerate() {
            let Some(name) = import.name() else { continue };
            let symbol = self.symbol_of_import(index, import);
            let is_rule = matches!(symbol, Symbol::Rule { .. });
            self.add(inside(name.span, &self.module.text), symbol, !is_rule);
            let path: Vec<Option<&str>> = import.segments().into_iter().map(Some).collect();
            if let (Some((rule, length)), Some(_)) = (self.rule_of(&path), &import.alias)
                && let Some(step) = import.path.get(length - 1)
            {
                self.add(inside(step.span, &self.module.text), rule, false);
            }
        }
    }

    fn local(&mut self, span: Span, is_definition: bool) {
        let Some(Resolution::Local(mut id)) = self.module.names.at(span) else { return };
        for clause in self.heads.clone() {
            if let Some(Resolution::Local(other)) = self.module.names.at_under(clause, span) {
                self.join(id, other);
            }
        }
        while let Some(first) = self.same.get(&id) {
            id = *first;
        }
        let declared = self.module.names.local(id).is_some_and(|local| local.span == span);
        self.add(span, Symbol::Local { module: self.number, id }, is_definition || declared);
    }

    fn join(&mut self, a: LocalId, b: LocalId) {
        let root = |mut id: LocalId| {
            while let Some(first) = self.same.get(&id) {
                id = *first;
            }
            id
        };
        let (a, b) = (root(a), root(b));
        if a != b {
            self.same.insert(a.max(b), a.min(b));
        }
    }

    /// A variable, or a path that begins with one.
    fn reference(&mut self, expr: &'m Expr) {
        let head = expr.as_ref().map_or(expr, |reference| &reference.head);
        let Some(name) = head.as_var() else { return };
        let Some(resolution) = self.module.names.at(head.span) else { return };
        match resolution {
            Resolution::Local(_) => self.local(head.span, false),
            Resolution::Rule => {
                let package = self.module.package.clone();
                self.add(head.span, Symbol::Rule { package, name: name.to_owned() }, false);
            }
            Resolution::Import(index) => {
                if let Some(import) = self.module.ast.imports.get(index) {
                    self.add(head.span, self.symbol_of_import(index, import), false);
                }
            }
            Resolution::Input
            | Resolution::Data
            | Resolution::Wildcard
            | Resolution::Builtin
            | Resolution::Unresolved => {}
        }
        let Some(reference) = expr.as_ref() else { return };
        let Some(start) = self.bindings.path(head) else { return };
        let mut path: Path = start;
        for arg in &reference.args {
            path.push(arg.as_str().map(str::to_owned));
            let span = match &arg.kind {
                RefArgKind::Dot(name) => name.span,
                RefArgKind::Bracket(index) if index.as_string().is_some() => {
                    inside(index.span, &self.module.text)
                }
                RefArgKind::Bracket(_) => continue,
            };
            let is_of = |root: &str| path.first().is_some_and(|first| first.as_deref() == Some(root));
            if is_of("data") {
                let known: Vec<Option<&str>> = path.iter().map(Option::as_deref).collect();
                if let Some((rule, length)) = self.rule_of(&known)
                    && length == path.len()
                {
                    self.add(span, rule, false);
                }
            } else if is_of("input") {
                let is_parameter = path.get(1).is_some_and(|step| step.as_deref() == Some("parameters"));
                let below = path.get(2..).filter(|below| is_parameter && !below.is_empty());
                let symbol = match below {
                    Some(below) => Symbol::Parameter(below.to_vec()),
                    None => Symbol::Input(path.clone()),
                };
                self.add(span, symbol, false);
            }
        }
    }
}

/// A name without the quotes around it.
fn inside(span: Span, text: &str) -> Span {
    let written = span.text(text);
    let is_quoted = written.len() >= 2 && (written.starts_with('"') || written.starts_with('`'));
    if is_quoted { Span::new(span.start + 1, span.end - 1) } else { span }
}

impl<'m> Visitor<'m> for Collector<'m> {
    fn visit_rule(&mut self, rule: &'m Rule) {
        let package = self.module.package.clone();
        let name = rule.name().to_owned();
        self.add(inside(rule.name_span(), &self.module.text), Symbol::Rule { package, name }, true);
        self.heads = if rule.clauses.len() > 1 { rule.clauses.iter().collect() } else { Vec::new() };
        self.visit_head(&rule.head);
        self.heads.clear();
        for clause in &rule.clauses {
            self.visit_clause(clause);
        }
        for clause in &rule.elses {
            self.visit_else(clause);
        }
    }

    fn visit_statement(&mut self, statement: &'m Statement) {
        match &statement.kind {
            StatementKind::Some(names) => {
                for name in names {
                    self.local(name.span, true);
                }
            }
            StatementKind::Every(every) => {
                for name in every.key.iter().chain([&every.value]) {
                    self.local(name.span, true);
                }
            }
            _ => {}
        }
        visit::walk_statement(self, statement);
    }

    fn visit_expr(&mut self, expr: &'m Expr) {
        match &expr.kind {
            ExprKind::Var(_) => self.reference(expr),
            ExprKind::Ref(reference) => {
                self.reference(expr);
                if reference.head.as_var().is_none() {
                    self.visit_expr(&reference.head);
                }
                for arg in &reference.args {
                    self.visit_ref_arg(arg);
                }
            }
            ExprKind::Call(call) => {
                let head = call.callee.as_ref().map_or(&call.callee, |reference| &reference.head);
                match call.name().filter(|_| self.module.names.at(head.span) == Some(Resolution::Builtin)) {
                    Some(name) => self.add(call.callee.span, Symbol::Builtin(name), false),
                    None => self.visit_expr(&call.callee),
                }
                for arg in &call.args {
                    self.visit_expr(arg);
                }
            }
            _ => visit::walk_expr(self, expr),
        }
    }
}
