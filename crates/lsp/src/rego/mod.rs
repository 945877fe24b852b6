//! The Rego of a template as one program: its modules, and what each name in them means.
//!
//! ```text
//! texts ── parse, resolve ──> modules ── occurrences ──> symbols: who means the same
//! ```

mod bindings;
mod occurrences;

use std::collections::BTreeMap;

use portcullis::{FieldPath, PolicyLanguage, PolicyText};
use portcullis_rego_syntax::ast::Rule;
use portcullis_rego_syntax::{Environment, Module as Ast, Names, Span, parse, resolve_in};

pub use bindings::Bindings;
pub use occurrences::{Occurrence, Symbol};

/// A path of steps; without a name where it may be any element.
pub type Path = Vec<Option<String>>;

/// A module.
#[derive(Debug)]
pub struct Module {
    /// The field that holds it.
    pub path: FieldPath,
    /// Its text.
    pub text: String,
    /// Its tree.
    pub ast: Ast,
    /// What its names mean.
    pub names: Names,
    /// Its package, without `data`.
    pub package: Vec<String>,
    /// How many things are wrong with it.
    pub mistakes: usize,
}

/// The modules of a template, the main one first.
#[derive(Debug)]
pub struct Program {
    /// The modules.
    pub modules: Vec<Module>,
    /// Each name that is known, in the order of the modules and their texts.
    pub occurrences: Vec<Occurrence>,
}

impl Program {
    /// Of the texts of a policy; none if there is no Rego among them.
    pub fn of(texts: &[PolicyText<'_>]) -> Option<Self> {
        let parsed: Vec<_> = texts
            .iter()
            .filter_map(|text| match text.language {
                PolicyLanguage::Rego(version) => Some((text, parse(text.text, version.into()))),
                PolicyLanguage::Cel => None,
            })
            .collect();
        if parsed.is_empty() {
            return None;
        }
        let mut rules: BTreeMap<Vec<String>, Vec<(usize, String)>> = BTreeMap::new();
        let package =
            |ast: &Ast| -> Vec<String> { ast.package_path().into_iter().map(str::to_owned).collect() };
        for (number, (_, parsed)) in parsed.iter().enumerate() {
            let names = parsed.module.rules.iter().map(|rule| (number, rule.name().to_owned()));
            rules.entry(package(&parsed.module)).or_default().extend(names);
        }
        let modules = parsed.into_iter().enumerate().map(|(number, (text, parsed))| {
            let package = package(&parsed.module);
            let others = rules.get(&package).into_iter().flatten().filter(|(other, _)| *other != number);
            let environment = Environment {
                package_rules: others.map(|(_, name)| name.clone()).collect(),
                functions: Vec::new(),
            };
            let names = resolve_in(&parsed.module, &environment);
            let mistakes = parsed.diagnostics.len() + names.diagnostics.len();
            let (path, text) = (text.path.clone(), text.text.to_owned());
            Module { path, text, ast: parsed.module, names, package, mistakes }
        });
        let modules: Vec<Module> = modules.collect();
        let occurrences = occurrences::of(&modules);
        Some(Self { modules, occurrences })
    }

    /// The module that a field holds.
    pub fn module(&self, path: &FieldPath) -> Option<(usize, &Module)> {
        self.modules.iter().enumerate().find(|(_, module)| module.path == *path)
    }

    /// The name at a byte of a module: the shortest one, behind whose last character counts, too.
    pub fn at(&self, module: usize, offset: u32) -> Option<&Occurrence> {
        let is_it =
            |one: &&Occurrence| one.module == module && (one.span.start..=one.span.end).contains(&offset);
        self.occurrences
            .iter()
            .filter(is_it)
            .min_by_key(|one| (one.span.end - one.span.start, one.span.start))
    }

    /// All places that mean the same.
    pub fn same<'p>(&'p self, symbol: &'p Symbol) -> impl Iterator<Item = &'p Occurrence> {
        self.occurrences.iter().filter(move |one| one.symbol == *symbol)
    }

    /// The rules of a package that are called so, with their modules.
    pub fn rules<'p>(
        &'p self,
        package: &'p [String],
        name: &'p str,
    ) -> impl Iterator<Item = (usize, &'p Rule)> {
        let of_package = self.modules.iter().enumerate().filter(move |(_, module)| module.package == package);
        of_package
            .flat_map(move |(number, module)| module.ast.rules_named(name).map(move |rule| (number, rule)))
    }

    /// The names of the rules of a package, each once.
    pub fn names_in(&self, package: &[String]) -> Vec<&str> {
        let modules = self.modules.iter().filter(|module| module.package == package);
        let mut names: Vec<&str> =
            modules.flat_map(|module| module.ast.rules.iter().map(Rule::name)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What each name means, without the names: equal for programs that differ only in what things are called.
    pub fn shape(&self) -> Vec<(usize, u8, usize)> {
        let mut known: BTreeMap<&Symbol, usize> = BTreeMap::new();
        let mut shape = Vec::new();
        for one in &self.occurrences {
            let next = known.len();
            let number = *known.entry(&one.symbol).or_insert(next);
            shape.push((one.module, one.symbol.sort(), number));
        }
        shape
    }
}

/// The text of a rule's head, in one line.
pub fn head_of(module: &Module, rule: &Rule) -> String {
    let head = rule.head.span.text(&module.text).split_whitespace().collect::<Vec<_>>().join(" ");
    if rule.is_default { format!("default {head}") } else { head }
}

/// The comment directly above a place, without its signs.
pub fn comment_above(module: &Module, span: Span) -> Option<String> {
    let before = module.text.get(..span.start as usize)?;
    let mut lines: Vec<&str> = Vec::new();
    // The line of the place itself comes first.
    for line in before.split('\n').rev().skip(1) {
        let Some(comment) = line.trim().strip_prefix('#') else { break };
        lines.push(comment.trim_start_matches('#').trim());
    }
    lines.reverse();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
