//! Which parts of the object and which kinds of the inventory a policy reads, from its text.
//!
//! Paths are followed through assignments, iteration, `object.get`, elements of set rules and arguments of
//! functions. What is handed on without being looked into (to a builtin, as a result) counts as read whole,
//! so that the kinds of the inventory are never too few.
//!
//! It does not ask `call_graph`: it follows values into functions and out of sets, not rules to what they
//! need, and takes all functions of one name for one, so that a call that is understood wrongly reads more and
//! never less.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portcullis_rego_syntax::ast::{
    BinaryOp, Expr, ExprKind, Head, Module, RefArg, RefArgKind, Rule, Statement, StatementKind,
};
use portcullis_rego_syntax::visit::{self, Visitor};

use super::{InventoryRead, ObjectRead};

/// What a template's modules read.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    pub(crate) object: Vec<ObjectRead>,
    pub(crate) inventory: Vec<InventoryRead>,
    /// Whether `input.review.namespaceObject` may be looked at.
    pub(crate) namespace: bool,
}

/// A path from `input` or `data`; `None` where a step is computed.
type Path = Vec<Option<Box<str>>>;

/// Loops end: paths longer than this are cut, and bindings are collected until nothing is new, or this often.
const LONGEST: usize = 24;
const ROUNDS: usize = 64;
/// Paths that one name may stand for. Of more than that only the root is known: two assignments can double
/// them.
const MAX_PATHS: usize = 100;

/// The root of the object that templates look at.
pub(super) const OBJECT: [&str; 3] = ["input", "review", "object"];

impl Reads {
    pub(crate) fn of(modules: &[&Module]) -> Self {
        let all: Vec<(&Module, Vec<&Rule>)> =
            modules.iter().map(|module| (*module, module.rules.iter().collect())).collect();
        Self::of_rules(&all, &OBJECT)
    }

    /// What some rules of modules read; `root` is where in `input` the object is.
    pub(crate) fn of_rules(modules: &[(&Module, Vec<&Rule>)], root: &[&str]) -> Self {
        let mut bindings = Bindings::default();
        for (_, rules) in modules {
            for rule in rules {
                if let Some(params) = &rule.head.params {
                    bindings.functions.entry(rule.name().to_owned()).or_default().push(params);
                }
            }
        }
        let (mut paths, mut present) = (BTreeSet::new(), BTreeSet::new());
        let mut known = 0;
        for _ in 0..ROUNDS {
            for (module, rules) in modules {
                let imports: BTreeSet<&str> =
                    module.imports.iter().filter_map(|import| Some(import.name()?.text.as_str())).collect();
                for rule in rules {
                    let mut collector = Collector::new(&imports, &mut bindings, &mut paths, &mut present);
                    // Twice, for variables that are used in the text before they are bound.
                    collector.visit_rule(rule);
                    collector.reads = true;
                    collector.visit_rule(rule);
                }
            }
            let bound = bindings.arguments.values().chain(bindings.elements.values());
            let sizes = bound.chain(bindings.values.values()).map(BTreeSet::len);
            let found = sizes.sum::<usize>() + paths.len() + present.len();
            if found == known {
                break;
            }
            known = found;
        }
        let mut inventory = inventory_reads(&paths, &present);
        if inventory.is_empty() && modules.iter().any(|(module, _)| mentions_inventory(module)) {
            inventory.push(InventoryRead { api_version: None, kind: None, fields: None });
        }
        let namespace = paths.iter().chain(&present).any(reads_namespace);
        Self { object: object_reads(&paths, root), inventory, namespace }
    }
}

/// Whether a path leads to the Namespace or comes by it: what is read as a whole has it in it.
fn reads_namespace(path: &Path) -> bool {
    let wanted = ["input", "review", "namespaceObject"];
    path.iter().zip(wanted).all(|(step, wanted)| step.as_deref().is_none_or(|step| step == wanted))
}

fn object_reads(paths: &BTreeSet<Path>, root: &[&str]) -> Vec<ObjectRead> {
    let below = |path: &Path| {
        let (start, below) = path.split_at_checked(root.len())?;
        start.iter().map(Option::as_deref).eq(root.iter().copied().map(Some)).then(|| below.to_vec())
    };
    let reads: BTreeSet<ObjectRead> =
        paths.iter().filter_map(below).filter(|read| !read.is_empty()).collect();
    reads.into_iter().collect()
}

/// `paths` are read with all below them, of `present` only that it is there is asked.
fn inventory_reads(paths: &BTreeSet<Path>, present: &BTreeSet<Path>) -> Vec<InventoryRead> {
    type Key = (Option<Arc<str>>, Option<Arc<str>>);
    type Fields = Option<BTreeSet<Vec<Option<Arc<str>>>>>;
    let mut reads: BTreeMap<Key, Fields> = BTreeMap::new();
    let asked = paths.iter().map(|path| (path, true)).chain(present.iter().map(|path| (path, false)));
    for (path, whole) in asked {
        let step = |position: usize| path.get(position).and_then(Option::as_deref);
        if step(0) != Some("data") || step(1) != Some("inventory") {
            continue;
        }
        // data.inventory.cluster[version][kind][name],
        // data.inventory.namespace[namespace][version][kind][name]
        let version = match step(2) {
            Some("cluster") => 3,
            Some("namespace") => 4,
            // All of it: any kind.
            _ => usize::MAX / 2,
        };
        let text = |position: usize| step(position).map(Arc::from);
        let entry = reads.entry((text(version), text(version + 1))).or_insert_with(|| Some(BTreeSet::new()));
        let field = path.get(version + 3..).unwrap_or_default();
        match entry {
            // The object as such, or the map that it is in: both remain, whatever becomes of fields.
            _ if field.is_empty() && !whole && path.len() <= version + 3 => {}
            _ if field.is_empty() => *entry = None,
            Some(fields) => {
                fields.insert(field.iter().map(|step| step.as_deref().map(Arc::from)).collect());
            }
            None => {}
        }
    }
    let read = |((api_version, kind), fields): (Key, Fields)| InventoryRead {
        api_version,
        kind,
        fields: fields.map(|fields| fields.into_iter().collect()),
    };
    match reads.remove_entry(&(None, None)) {
        // That there are objects at all is asked beside what is read of them.
        Some((key, Some(fields))) if fields.is_empty() => {
            [(key, Some(fields))].into_iter().chain(reads).map(read).collect()
        }
        // Reading any kind covers reading a certain one, but not its fields.
        Some((key, fields)) => {
            let mut all = fields;
            for other in reads.into_values() {
                match (&mut all, other) {
                    (Some(all), Some(other)) => all.extend(other),
                    (all, _) => *all = None,
                }
            }
            vec![read((key, all))]
        }
        None => reads.into_iter().map(read).collect(),
    }
}

/// Whether `data.inventory` occurs at all. What could not be followed must not be taken for unread: the
/// policy would be evaluated without the inventory, and find nothing.
pub(super) fn mentions_inventory(module: &Module) -> bool {
    struct Mentions(bool);
    impl<'m> Visitor<'m> for Mentions {
        fn visit_expr(&mut self, expr: &'m Expr) {
            let prefix = expr.static_prefix();
            let steps: Vec<_> = prefix.iter().map(|(step, _)| *step).collect();
            self.0 |= steps.starts_with(&["data", "inventory"]) || steps == ["data"];
            match expr.as_ref() {
                // The head of `data.lib.f` by itself is no `data` as a whole.
                Some(reference) if steps.len() > 1 => {
                    reference.args.iter().for_each(|arg| self.visit_ref_arg(arg));
                }
                _ => visit::walk_expr(self, expr),
            }
        }
    }
    let mut mentions = Mentions(false);
    visit::walk_module(&mut mentions, module);
    mentions.0
}

#[derive(Default)]
struct Bindings<'m> {
    /// Parameters of each function, by name, for each definition.
    functions: BTreeMap<String, Vec<&'m Vec<Expr>>>,
    /// Paths that callers pass for a parameter.
    arguments: BTreeMap<(String, usize), BTreeSet<Path>>,
    /// Paths of the elements of a set rule.
    elements: BTreeMap<String, BTreeSet<Path>>,
    /// Paths below `input` that are the value of a rule: for places, so that those below `data` are left out.
    values: BTreeMap<String, BTreeSet<Path>>,
}

/// Collects the paths of one rule.
struct Collector<'c, 'm> {
    imports: &'c BTreeSet<&'m str>,
    bindings: &'c mut Bindings<'m>,
    paths: &'c mut BTreeSet<Path>,
    /// Objects of the inventory of which only that they are there is asked.
    present: &'c mut BTreeSet<Path>,
    variables: BTreeMap<&'m str, BTreeSet<Path>>,
    /// Off in the first pass, which only binds.
    reads: bool,
}

impl<'c, 'm> Collector<'c, 'm> {
    fn new(
        imports: &'c BTreeSet<&'m str>,
        bindings: &'c mut Bindings<'m>,
        paths: &'c mut BTreeSet<Path>,
        present: &'c mut BTreeSet<Path>,
    ) -> Self {
        Self { imports, bindings, paths, present, variables: BTreeMap::new(), reads: false }
    }

    /// The name of the function that a call is of, if it is one of the template's modules and no builtin.
    fn function(&self, name: &str) -> Option<String> {
        let mut segments = name.split('.');
        let (first, last) = (segments.next()?, segments.next_back());
        let known = |name: &str| self.bindings.functions.contains_key(name);
        match last {
            None => known(first).then(|| first.to_owned()),
            Some(last) => {
                ((first == "data" || self.imports.contains(first)) && known(last)).then(|| last.to_owned())
            }
        }
    }

    /// Whether every definition of a function calls a parameter by a name, so that what is passed can be
    /// followed.
    fn takes_variable(&self, function: &str, position: usize) -> bool {
        let definitions = self.bindings.functions.get(function);
        definitions.into_iter().flatten().all(|params| {
            params.get(position).is_some_and(|param| param.as_var().is_some_and(|name| name != "_"))
        })
    }

    /// The paths an expression may stand for; empty if it is no reference below `input` or `data`.
    fn resolve(&self, expr: &Expr) -> BTreeSet<Path> {
        match &expr.peeled().kind {
            ExprKind::Var(name) if name == "input" || name == "data" => {
                BTreeSet::from([vec![Some(name.as_str().into())]])
            }
            ExprKind::Var(name) => {
                let variables = self.variables.get(name.as_str());
                variables.or_else(|| self.bindings.values.get(name.as_str())).cloned().unwrap_or_default()
            }
            ExprKind::Ref(reference) => {
                let mut args = reference.args.iter();
                let mut base = self.resolve(&reference.head);
                if base.is_empty() {
                    let elements = reference.head.as_var().and_then(|name| self.bindings.elements.get(name));
                    if let Some(elements) = elements {
                        base.clone_from(elements);
                        args.next();
                    } else if let Some(imported) = self.imported(&reference.head, args.clone().next()) {
                        base.clone_from(imported);
                        args.next();
                    }
                }
                for arg in args {
                    let step = arg.as_str();
                    base = base.into_iter().map(|path| extend(path, step)).collect();
                }
                base
            }
            ExprKind::Call(call) if call.name().as_deref() == Some("object.get") => {
                let mut args = call.args.iter();
                let (Some(object), Some(key)) = (args.next(), args.next()) else { return BTreeSet::new() };
                let mut base = self.resolve(object);
                let keys: Vec<Option<&str>> = match &key.peeled().kind {
                    ExprKind::Array(items) => items.iter().map(|item| item.peeled().as_string()).collect(),
                    _ => vec![key.peeled().as_string()],
                };
                for key in keys {
                    base = base.into_iter().map(|path| extend(path, key)).collect();
                }
                base
            }
            _ => BTreeSet::new(),
        }
    }

    /// The value of a rule that is named behind an import: `core.resource`.
    fn imported(&self, head: &Expr, first: Option<&RefArg>) -> Option<&BTreeSet<Path>> {
        let is_import = head.as_var().is_some_and(|name| self.imports.contains(name));
        self.bindings.values.get(first?.as_str()?).filter(|_| is_import)
    }

    fn bind(&mut self, name: &'m str, paths: BTreeSet<Path>) {
        if name != "_" && !paths.is_empty() {
            add(self.variables.entry(name).or_default(), paths);
        }
    }

    fn read(&mut self, expr: &Expr) {
        if self.reads {
            let paths = self.resolve(expr);
            self.paths.extend(paths);
        }
    }

    /// Of objects of the inventory, being there may be all that is asked: of a namespace, too, which is there
    /// if anything in it is. A field of one may be asked for that as well, and is taken for read.
    fn ask_presence(&mut self, paths: &BTreeSet<Path>) {
        if self.reads {
            self.present.extend(paths.iter().filter(|path| is_below_data(path)).cloned());
        }
    }

    /// Whether a statement asks no more of what it refers to than that it is there and not false: `o.spec`,
    /// but not `others[o]` of a set, which gives `o` a value.
    fn asks_presence(&self, expr: &Expr) -> bool {
        match &expr.peeled().kind {
            ExprKind::Ref(reference) => {
                let head = reference.head.as_var();
                head.is_some_and(|name| !self.bindings.elements.contains_key(name))
            }
            _ => false,
        }
    }

    /// A collection that is gone through, its elements being followed if they have a name: then what is read
    /// of them says more.
    fn iterate(&mut self, collection: &'m Expr, element: Option<&'m str>) {
        let (inventory, other) = self.resolve(collection).into_iter().partition(is_below_data);
        match element {
            Some(name) => {
                self.ask_presence(&inventory);
                let elements =
                    inventory.iter().chain(&other).cloned().map(|path| extend(path, None)).collect();
                self.bind(name, elements);
            }
            None if self.reads => self.paths.extend(inventory),
            None => {}
        }
        if self.reads {
            self.paths.extend(other);
        }
        self.visit_brackets(collection);
    }

    /// Visits what stands in brackets, which may read something of its own, and what a reference starts at if
    /// that is not a name.
    fn visit_brackets(&mut self, expr: &'m Expr) {
        if let ExprKind::Ref(reference) = &expr.peeled().kind {
            match &reference.head.peeled().kind {
                ExprKind::Var(_) | ExprKind::Ref(_) => self.visit_brackets(&reference.head),
                _ => self.visit_expr(&reference.head),
            }
            for arg in &reference.args {
                if let RefArgKind::Bracket(inner) = &arg.kind {
                    self.visit_expr(inner);
                }
            }
        }
    }

    /// `x := e` and `x = e` bind `x`; what `e` stands for is read where `x` is used.
    fn assignment(&mut self, lhs: &'m Expr, rhs: &'m Expr) -> bool {
        let Some(name) = lhs.peeled().as_var() else { return false };
        let paths = self.resolve(rhs);
        if paths.is_empty() {
            return false;
        }
        self.ask_presence(&paths);
        self.bind(name, paths);
        self.visit_brackets(rhs);
        true
    }
}

/// Adds paths to those that a name stands for.
fn add(known: &mut BTreeSet<Path>, paths: BTreeSet<Path>) {
    known.extend(paths);
    if known.len() > MAX_PATHS {
        // `data.inventory` is all of it; below `input` nothing is asked of a path that short.
        let root = |path: &Path| path.iter().take(if is_below_data(path) { 2 } else { 1 }).cloned().collect();
        *known = known.iter().map(root).collect();
    }
}

fn is_below_data(path: &Path) -> bool {
    path.first().is_some_and(|root| root.as_deref() == Some("data"))
}

fn extend(mut path: Path, step: Option<&str>) -> Path {
    if path.len() < LONGEST {
        path.push(step.map(Into::into));
    }
    path
}

impl<'m> Visitor<'m> for Collector<'_, 'm> {
    fn visit_rule(&mut self, rule: &'m Rule) {
        for (position, param) in rule.head.params.iter().flatten().enumerate() {
            let passed = self.bindings.arguments.get(&(rule.name().to_owned(), position)).cloned();
            if let (Some(name), Some(paths)) = (param.as_var(), passed) {
                self.bind(name, paths);
            }
        }
        for clause in &rule.clauses {
            self.visit_clause(clause);
        }
        for clause in &rule.elses {
            self.visit_else(clause);
        }
        if let Some(key) = &rule.head.key {
            let elements = self.resolve(key);
            add(self.bindings.elements.entry(rule.name().to_owned()).or_default(), elements);
        }
        if let Some(value) = rule.head.value.as_ref().filter(|_| rule.head.params.is_none()) {
            let values = self.resolve(&value.expr).into_iter().filter(|path| !is_below_data(path)).collect();
            add(self.bindings.values.entry(rule.name().to_owned()).or_default(), values);
        }
        self.visit_head(&rule.head);
    }

    fn visit_head(&mut self, head: &'m Head) {
        // Elements of a set are followed to where they are used; a value that a rule has is read whole.
        if let Some(key) = head.key.as_ref().filter(|key| key.as_var().is_none()) {
            self.visit_expr(key);
        }
        // Not as far as fields of the inventory go: an element can get elsewhere than where the set is named.
        if let Some(key) = head.key.as_ref().filter(|_| self.reads) {
            let elements: Vec<_> = self.resolve(key).into_iter().filter(is_below_data).collect();
            self.paths.extend(elements);
        }
        if let Some(value) = &head.value {
            self.visit_expr(&value.expr);
        }
    }

    fn visit_statement(&mut self, statement: &'m Statement) {
        if let StatementKind::SomeIn(some) = &statement.kind {
            self.iterate(&some.collection, some.value.as_var());
            return;
        }
        if let StatementKind::Every(every) = &statement.kind {
            let paths = self.resolve(&every.collection);
            self.bind(&every.value.text, paths.into_iter().map(|path| extend(path, None)).collect());
        }
        if let StatementKind::Expr(expr) | StatementKind::Not(expr) = &statement.kind
            && self.asks_presence(expr)
        {
            let (inventory, other) = self.resolve(expr).into_iter().partition(is_below_data);
            self.ask_presence(&inventory);
            if self.reads {
                self.paths.extend(other);
            }
            self.visit_brackets(expr);
            statement.with.iter().for_each(|with| self.visit_with(with));
            return;
        }
        visit::walk_statement(self, statement);
    }

    fn visit_expr(&mut self, expr: &'m Expr) {
        match &expr.kind {
            ExprKind::Binary(binary) if matches!(binary.op, BinaryOp::Assign | BinaryOp::Unify) => {
                if !self.assignment(&binary.lhs, &binary.rhs) && !self.assignment(&binary.rhs, &binary.lhs) {
                    visit::walk_expr(self, expr);
                }
            }
            ExprKind::Call(call) => {
                let name = call.name().unwrap_or_default();
                let function = self.function(&name);
                self.read(expr);
                for (position, arg) in call.args.iter().enumerate() {
                    let paths = self.resolve(arg);
                    match &function {
                        Some(function) if !paths.is_empty() && self.takes_variable(function, position) => {
                            let key = (function.clone(), position);
                            self.ask_presence(&paths);
                            add(self.bindings.arguments.entry(key).or_default(), paths);
                            self.visit_brackets(arg);
                        }
                        // What `object.get` looks into is read as a whole call, above.
                        _ if name == "object.get" && position == 0 && !paths.is_empty() => {
                            self.visit_brackets(arg);
                        }
                        _ => self.visit_expr(arg),
                    }
                }
            }
            ExprKind::Var(_) => self.read(expr),
            ExprKind::Ref(_) => {
                self.read(expr);
                self.visit_brackets(expr);
            }
            _ => visit::walk_expr(self, expr),
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_rego_syntax::{Version, parse};

    use super::Reads;

    fn reads_inventory(statement: &str) -> bool {
        let text = format!("package p\nviolation contains {{\"msg\": m}} if {{ {statement}; m := \"x\" }}");
        let parsed = parse(&text, Version::V1);
        assert!(parsed.diagnostics.is_empty(), "{statement}: {:?}", parsed.diagnostics);
        !Reads::of(&[&parsed.module]).inventory.is_empty()
    }

    #[test]
    fn only_what_may_lead_to_the_inventory_reads_it() {
        for statement in [
            "data.lib.x.f(input.review)",
            "data.lib.x.allowed[input.review.name]",
            "count(data.lib.x.allowed) > 0",
            "not data.lib.x.f(1)",
        ] {
            assert!(!reads_inventory(statement), "{statement}");
        }
        for statement in [
            "data.inventory",
            "data[k].cluster",
            "x := data; x.inventory",
            "count(data) > 0",
            "data.lib.x.f(data)",
            "data.lib.x[data.inventory.cluster]",
            r#"data["inventory"].cluster"#,
        ] {
            assert!(reads_inventory(statement), "{statement}");
        }
    }
}
