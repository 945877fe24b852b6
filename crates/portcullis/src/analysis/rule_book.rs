//! The rules of a template's modules by name, and what references mean.

use std::collections::BTreeMap;

use portcullis_rego_syntax::Resolution;
use portcullis_rego_syntax::ast::{Expr, ExprKind, Rule, RuleKind};

use super::template_rules::ParsedModule;

/// Rules that need each other are followed so deep, half as deep as `recursion` lets them be: what is deeper
/// is taken to be about everything, which is never too little.
pub(super) const MAX_FOLLOWED: usize = 64;

/// The rules of some modules, by name.
pub(super) struct RuleBook<'p, 'a> {
    pub(super) modules: &'p [ParsedModule<'a>],
    /// By module.
    rules: Vec<BTreeMap<&'p str, Vec<&'p Rule>>>,
}

impl<'p, 'a> RuleBook<'p, 'a> {
    pub(super) fn of(modules: &'p [ParsedModule<'a>]) -> Self {
        let by_name = |parsed: &'p ParsedModule<'a>| {
            let mut rules: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
            for rule in &parsed.module.rules {
                rules.entry(rule.name()).or_default().push(rule);
            }
            rules
        };
        let rules = modules.iter().map(by_name).collect();
        Self { modules, rules }
    }

    /// All definitions of a name in a module.
    pub(super) fn named(&self, module: usize, name: &str) -> &[&'p Rule] {
        self.rules.get(module).and_then(|rules| rules.get(name)).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The rules that a name means.
pub(super) struct Called {
    /// Their modules and names.
    pub(super) rules: Vec<(usize, String)>,
    /// Whether nothing is looked up in what they give.
    pub(super) is_whole: bool,
    /// Whether one of them makes a set or an object, which is there also if it is empty.
    pub(super) is_collection: bool,
}

impl Called {
    /// None if the expression is no reference to rules.
    pub(super) fn of(book: &RuleBook<'_, '_>, module: usize, expr: &Expr) -> Option<Self> {
        let parsed = book.modules.get(module)?;
        let head = expr.as_ref().map_or(expr, |reference| &reference.head);
        head.as_var()?;
        let prefix: Vec<&str> = expr.static_prefix().into_iter().map(|(text, _)| text).collect();
        let path: Vec<&str> = match parsed.names.at(head.span)? {
            Resolution::Rule => ["data"]
                .into_iter()
                .chain(parsed.module.package_path())
                .chain(prefix.iter().copied())
                .collect(),
            Resolution::Import(index) => {
                let import = parsed.module.imports.get(index)?.segments();
                import.into_iter().chain(prefix.iter().copied().skip(1)).collect()
            }
            Resolution::Data => prefix.clone(),
            _ => return None,
        };
        let path = path.strip_prefix(&["data"])?;
        let mut rules = Vec::new();
        let mut rest = 0;
        for (index, parsed) in book.modules.iter().enumerate() {
            let package = parsed.module.package_path();
            if !path.iter().zip(&package).all(|(step, name)| step == name) {
                continue;
            }
            let Some(&name) = path.get(package.len()) else { continue };
            rest = path.len() - package.len() - 1;
            rules.push((index, name.to_owned()));
        }
        let is_collection = rules.iter().any(|(index, name)| {
            let rules = book.named(*index, name).iter();
            rules.into_iter().any(|rule| !matches!(rule.kind(), RuleKind::Complete | RuleKind::Function))
        });
        let steps = expr.as_ref().map_or(0, |reference| reference.args.len());
        (!rules.is_empty()).then_some(Self {
            rules,
            is_whole: rest == 0 && steps + 1 == prefix.len(),
            is_collection,
        })
    }
}

/// The texts of a list or set that has nothing but texts in it.
pub(super) fn constants(expr: &Expr) -> Option<Vec<&str>> {
    match &expr.peeled().kind {
        ExprKind::Array(items) | ExprKind::Set(items) => {
            items.iter().map(|item| item.peeled().as_string()).collect()
        }
        _ => None,
    }
}
