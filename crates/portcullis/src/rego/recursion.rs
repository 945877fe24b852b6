//! Rules that need themselves, found at load as OPA finds them. The engine would follow a function that calls itself until the
//! stack of the process ends, and the process with it.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_rego_syntax::analysis::{self, Usage};
use portcullis_rego_syntax::{Resolution, Span};

use super::template_rules::ParsedModule;

/// A rule that needs itself.
pub(super) struct Recursion {
    /// Number of the module it stands in.
    pub(super) module: usize,
    /// Its name there.
    pub(super) span: Span,
    pub(super) message: String,
}

/// The path of a rule below `data`.
type RulePath = Vec<String>;

/// The recursive rules of a template's modules, in the order of their paths.
pub(super) fn find(modules: &[ParsedModule<'_>]) -> Vec<Recursion> {
    let mut places: BTreeMap<RulePath, (usize, Span)> = BTreeMap::new();
    for (number, parsed) in modules.iter().enumerate() {
        for rule in &parsed.module.rules {
            places.entry(path_of(parsed, rule.name())).or_insert((number, rule.name_span()));
        }
    }
    let mut needs: BTreeMap<&RulePath, BTreeSet<&RulePath>> = BTreeMap::new();
    for parsed in modules {
        let names = portcullis_rego_syntax::resolve(&parsed.module);
        for reference in analysis::refs(&parsed.module, &names) {
            if reference.usage == Usage::WithTarget || has_several_heads(parsed, reference.rule) {
                continue;
            }
            let constant = reference.path.iter().map_while(|step| *step).map(str::to_owned);
            let target: RulePath = match reference.root {
                Resolution::Rule => package(parsed).into_iter().chain(constant).collect(),
                _ if reference.path.first() == Some(&Some("data")) => constant.skip(1).collect(),
                _ => continue,
            };
            // Reading all data is wrong for another reason.
            if target.is_empty() {
                continue;
            }
            // A reference needs the rule it leads into, or all rules below what it stands for.
            let needed = places.keys().filter(|path| target.starts_with(path) || path.starts_with(&target));
            let Some((rule, _)) = places.get_key_value(&path_of(parsed, reference.rule)) else { continue };
            needs.entry(rule).or_default().extend(needed);
        }
    }
    let found = places.iter().filter_map(|(rule, (module, span))| {
        let circle = shortest_circle(&needs, rule)?;
        let shown: Vec<_> = circle.iter().map(|path| format!("data.{}", path.join("."))).collect();
        let rule = format!("data.{}", rule.join("."));
        let message = format!("rego_recursion_error: rule {rule} is recursive: {}", shown.join(" -> "));
        Some(Recursion { module: *module, span: *span, message })
    });
    found.collect()
}

fn package(parsed: &ParsedModule<'_>) -> RulePath {
    parsed.module.package_path().into_iter().map(str::to_owned).collect()
}

fn path_of(parsed: &ParsedModule<'_>, rule: &str) -> RulePath {
    package(parsed).into_iter().chain([rule.to_owned()]).collect()
}

/// Whether rules that begin with the same name define different documents (`a.b := 1`, `a.c := a.b`): one may well need the other.
fn has_several_heads(parsed: &ParsedModule<'_>, name: &str) -> bool {
    let heads: BTreeSet<Vec<Option<&str>>> = parsed
        .module
        .rules_named(name)
        .map(|rule| rule.head.path.iter().map(|step| step.as_str()).collect())
        .collect();
    heads.len() > 1
}

/// The shortest way from a rule back to itself, both ends included.
fn shortest_circle<'a>(
    needs: &BTreeMap<&'a RulePath, BTreeSet<&'a RulePath>>,
    rule: &'a RulePath,
) -> Option<Vec<&'a RulePath>> {
    let mut ways = vec![vec![rule]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in way.last().and_then(|last| needs.get(last)).into_iter().flatten() {
                let mut way = way.clone();
                way.push(next);
                if *next == rule {
                    return Some(way);
                }
                if seen.insert(*next) {
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}
