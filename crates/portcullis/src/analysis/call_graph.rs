//! The rules of a template's modules, what references mean, and which rules need which. Made once for each
//! template; all who go from a rule to those it needs ask here.
//!
//! A rule is all that is defined under one name. Heads that go on (`a.b := 1`, `a.c := a.b`) make several
//! documents of one rule; which of these needs which, `portcullis_rego` finds out when it compiles them, and
//! how deep documents need each other.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_rego_syntax::analysis::{self, GlobalRef, Usage};
use portcullis_rego_syntax::ast::{Expr, Rule, RuleKind};
use portcullis_rego_syntax::{Diagnostic, Module, Names, Resolution, Span};

use crate::api::template::Text;

/// Most references from rules to rules. Policies that people write have some hundred.
pub(super) const MAX_NEEDS: usize = 100_000;

/// A module of a template: the main one or a library.
pub(crate) struct ParsedModule<'a> {
    pub(crate) text: &'a Text,
    pub(crate) module: Module,
    /// What is wrong with its text. Rules may be missing because they do not parse.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// What its names mean, resolved once for all checks.
    pub(crate) names: Names,
    pub(crate) is_lib: bool,
}

/// The path of a rule below `data`, without what follows its name.
pub(super) type RulePath<'p> = Vec<&'p str>;

/// The number of a rule. Rules are in the order of their paths.
pub(super) type RuleId = usize;

/// How a rule needs another, the weaker first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// It names it, but may be evaluated without it: `with` replaces it, or only another document of the
    /// name needs it.
    Named,
    /// It cannot be evaluated without it.
    Evaluated,
}

/// All definitions of a name.
pub(super) struct Node<'p> {
    pub(super) path: RulePath<'p>,
    /// With the numbers of the modules they stand in; never empty.
    pub(super) definitions: Vec<(usize, &'p Rule)>,
    pub(super) needs: BTreeMap<RuleId, Need>,
}

/// What a reference means that leads into a package of the template.
pub(super) struct Meaning {
    /// None if there is no such rule.
    pub(super) rule: Option<RuleId>,
    /// How many steps are looked up in what the rule gives.
    pub(super) beyond: usize,
}

/// The modules of a template, the main one first, as one program.
pub(crate) struct CallGraph<'p> {
    pub(super) modules: &'p [ParsedModule<'p>],
    rules: Vec<Node<'p>>,
    /// By module.
    references: Vec<Vec<GlobalRef<'p>>>,
    /// The module and place of the reference that is one too many: what rules need beyond it is not known.
    pub(super) excess: Option<(usize, Span)>,
}

impl<'p> CallGraph<'p> {
    pub(crate) fn of(modules: &'p [ParsedModule<'p>]) -> Self {
        let mut rules: BTreeMap<RulePath<'p>, Vec<(usize, &'p Rule)>> = BTreeMap::new();
        for (module, parsed) in modules.iter().enumerate() {
            for rule in &parsed.module.rules {
                rules.entry(path_of(&parsed.module, rule.name())).or_default().push((module, rule));
            }
        }
        let node = |(path, definitions)| Node { path, definitions, needs: BTreeMap::new() };
        let references =
            modules.iter().map(|parsed| analysis::refs(&parsed.module, &parsed.names).collect()).collect();
        let rules = rules.into_iter().map(node).collect();
        let mut graph = Self { modules, rules, references, excess: None };
        let mut needs = Vec::new();
        graph.excess = graph.find_needs(&mut needs);
        for (user, needed, need) in needs {
            if let Some(user) = graph.rules.get_mut(user) {
                let known = user.needs.entry(needed).or_insert(need);
                *known = need.max(*known);
            }
        }
        graph
    }

    /// Finds which rules need which. The reference that is one too many, if there is one.
    fn find_needs(&self, needs: &mut Vec<(RuleId, RuleId, Need)>) -> Option<(usize, Span)> {
        for (module, parsed) in self.modules.iter().enumerate() {
            let several = names_of_several_heads(&parsed.module);
            for reference in self.references(module) {
                let target = below_data(parsed, reference.root, &reference.static_prefix);
                let (Some(target), Some(user)) = (target, self.named(module, reference.rule)) else {
                    continue;
                };
                // To read all data is wrong for another reason.
                let is_open = target.is_empty() || several.contains(reference.rule);
                let need = match reference.usage {
                    Usage::Read | Usage::Call if !is_open => Need::Evaluated,
                    _ => Need::Named,
                };
                // A reference needs the rule it leads into, or all rules below what it stands for.
                let needed: BTreeSet<RuleId> = self.along(&target).chain(self.below(&target)).collect();
                needs.extend(needed.into_iter().map(|needed| (user, needed, need)));
                if needs.len() > MAX_NEEDS {
                    return Some((module, reference.span));
                }
            }
        }
        None
    }

    /// All references of a module to what is not local.
    pub(super) fn references(&self, module: usize) -> &[GlobalRef<'p>] {
        self.references.get(module).map_or(&[], Vec::as_slice)
    }

    pub(super) fn rules(&self) -> &[Node<'p>] {
        &self.rules
    }

    /// The definitions of a rule, with the numbers of their modules.
    pub(super) fn definitions(&self, rule: Option<RuleId>) -> &[(usize, &'p Rule)] {
        rule.and_then(|rule| self.rules.get(rule)).map_or(&[], |node| node.definitions.as_slice())
    }

    /// Whether a rule makes a set or an object, which is there also if it is empty.
    pub(super) fn is_collection(&self, rule: Option<RuleId>) -> bool {
        let mut kinds = self.definitions(rule).iter().map(|(_, rule)| rule.kind());
        kinds.any(|kind| matches!(kind, RuleKind::PartialSet | RuleKind::PartialObject))
    }

    /// The rules that have to be evaluated for a rule.
    pub(super) fn needs(&self, rule: RuleId) -> impl Iterator<Item = RuleId> {
        let all = self.rules.get(rule).into_iter().flat_map(|node| &node.needs);
        all.filter(|(_, need)| **need == Need::Evaluated).map(|(needed, _)| *needed)
    }

    /// The rules that one definition of a rule may need, but for that rule itself.
    pub(super) fn reached_from(&self, module: usize, definition: &Rule) -> BTreeSet<RuleId> {
        let own = self.named(module, definition.name());
        let Some(parsed) = self.modules.get(module) else { return BTreeSet::new() };
        let inside = |span: Span| definition.span.start <= span.start && span.end <= definition.span.end;
        let mut open: Vec<RuleId> = Vec::new();
        for reference in self.references(module).iter().filter(|reference| inside(reference.span)) {
            let Some(target) = below_data(parsed, reference.root, &reference.static_prefix) else { continue };
            open.extend(self.along(&target).chain(self.below(&target)));
        }
        let mut reached = BTreeSet::new();
        while let Some(rule) = open.pop() {
            if Some(rule) != own && reached.insert(rule) {
                open.extend(self.rules.get(rule).into_iter().flat_map(|node| node.needs.keys()));
            }
        }
        reached
    }

    /// The rules that `violation` may need, itself included.
    #[cfg(feature = "lint")]
    pub(super) fn reached(&self) -> BTreeSet<RuleId> {
        // What is not known to be needed may be.
        if self.excess.is_some() {
            return (0..self.rules.len()).collect();
        }
        let mut reached = BTreeSet::new();
        let mut open: Vec<RuleId> = self.violation().into_iter().collect();
        while let Some(rule) = open.pop() {
            if reached.insert(rule) {
                open.extend(self.rules.get(rule).into_iter().flat_map(|node| node.needs.keys()));
            }
        }
        reached
    }

    /// A rule of a module's package.
    pub(super) fn named(&self, module: usize, name: &str) -> Option<RuleId> {
        self.at(&path_of(&self.modules.get(module)?.module, name))
    }

    /// What a template is asked for.
    pub(super) fn violation(&self) -> Option<RuleId> {
        self.named(0, "violation")
    }

    fn at(&self, path: &[&str]) -> Option<RuleId> {
        self.rules.binary_search_by(|node| node.path.as_slice().cmp(path)).ok()
    }

    /// The rules that a path below `data` leads into, the one with the shortest path first. Only where rules
    /// contradict each other there are several.
    pub(super) fn along(&self, path: &[&str]) -> impl Iterator<Item = RuleId> {
        (1..=path.len()).filter_map(|length| self.at(path.get(..length)?))
    }

    /// The rules below a path.
    pub(super) fn below(&self, path: &[&str]) -> impl Iterator<Item = RuleId> {
        let first = self.rules.partition_point(|node| node.path.as_slice() < path);
        let after = self.rules.iter().enumerate().skip(first);
        after.take_while(move |(_, node)| node.path.starts_with(path)).map(|(rule, _)| rule)
    }

    /// Whether a path below `data` leads to a rule, or stands for a package with rules.
    #[cfg(feature = "lint")]
    pub(super) fn exists(&self, path: &[&str]) -> bool {
        self.along(path).chain(self.below(path)).next().is_some()
    }

    /// What a variable, a reference or a callee means. None if it leads into no package of the template.
    pub(super) fn meaning(&self, module: usize, expr: &Expr) -> Option<Meaning> {
        let parsed = self.modules.get(module)?;
        let head = expr.as_ref().map_or(expr, |reference| &reference.head);
        let root = head.as_var().and_then(|_| parsed.names.at(head.span))?;
        let written = expr.static_prefix();
        let path = below_data(parsed, root, &written)?;
        let steps = expr.as_ref().map_or(0, |reference| reference.args.len());
        let computed = (steps + 1).saturating_sub(written.len());
        let rule = self.along(&path).next();
        if let Some(node) = rule.and_then(|rule| self.rules.get(rule)) {
            return Some(Meaning { rule, beyond: path.len() - node.path.len() + computed });
        }
        let is_inside = self.modules.iter().any(|parsed| {
            let package = parsed.module.package_path();
            path.len() > package.len() && path.starts_with(&package)
        });
        is_inside.then_some(Meaning { rule: None, beyond: computed })
    }
}

/// What rules come to, which depends on what those come to that they need. They are looked at one after the
/// other and not one within the other: the stack would not hold as many expressions as may stand within each
/// other in as many rules as may need each other.
pub(super) struct Answers<K, A> {
    /// None for what waits for others.
    known: BTreeMap<K, Option<A>>,
    /// What each waits for is after it.
    open: Vec<K>,
    /// What was asked for and is not known yet.
    missing: Vec<K>,
}

impl<K: Copy + Ord, A: Clone> Answers<K, A> {
    pub(super) fn to(question: K) -> Self {
        Self { known: BTreeMap::new(), open: vec![question], missing: Vec::new() }
    }

    /// What is to be looked at next.
    pub(super) fn next(&mut self) -> Option<K> {
        while self.open.last().is_some_and(|key| matches!(self.known.get(key), Some(Some(_)))) {
            self.open.pop();
        }
        let next = *self.open.last()?;
        self.known.insert(next, None);
        Some(next)
    }

    /// Takes what was found by looking. It counts if all is known that was asked for; else it is looked at
    /// again when it is.
    pub(super) fn add(&mut self, key: K, answer: A) {
        if self.missing.is_empty() {
            self.known.insert(key, Some(answer));
        }
        self.open.extend(self.missing.drain(..).rev());
    }

    /// None if it is not known yet, or never will be, as it needs itself.
    pub(super) fn get(&mut self, key: K) -> Option<A> {
        let known = self.known.get(&key);
        if known.is_none() {
            self.missing.push(key);
        }
        known.cloned().flatten()
    }
}

fn path_of<'m>(module: &'m Module, rule: &'m str) -> RulePath<'m> {
    module.package_path().into_iter().chain([rule]).collect()
}

/// The path below `data` that a reference stands for, as far as it is constant.
fn below_data<'m>(
    parsed: &'m ParsedModule<'_>,
    root: Resolution,
    written: &[(&'m str, Span)],
) -> Option<RulePath<'m>> {
    let written = written.iter().map(|(step, _)| *step);
    match root {
        Resolution::Rule => Some(parsed.module.package_path().into_iter().chain(written).collect()),
        Resolution::Data => Some(written.skip(1).collect()),
        Resolution::Import(index) => {
            let import = parsed.module.imports.get(index)?.segments();
            let (root, below) = import.split_first()?;
            (*root == "data").then(|| below.iter().copied().chain(written.skip(1)).collect())
        }
        _ => None,
    }
}

/// The names with which rules begin that define different documents: one may well need the other.
fn names_of_several_heads(module: &Module) -> BTreeSet<&str> {
    let mut first: BTreeMap<&str, Vec<Option<&str>>> = BTreeMap::new();
    let mut several = BTreeSet::new();
    for rule in &module.rules {
        let head: Vec<Option<&str>> = rule.head.path.iter().map(|step| step.as_str()).collect();
        match first.get(rule.name()) {
            None => drop(first.insert(rule.name(), head)),
            Some(known) if *known == head => {}
            Some(_) => drop(several.insert(rule.name())),
        }
    }
    several
}
