//! Rules that need themselves, found at load as OPA finds them, and rules that need too many others in a row. The engine would follow a function that calls itself until the
//! stack of the process ends, and the process with it.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_rego_syntax::analysis::{self, Usage};
use portcullis_rego_syntax::{Resolution, Span};

use super::template_rules::ParsedModule;
use crate::error::ErrorKind;

/// Rules that need each other in a longer row are refused: each takes its part of the stack when it is evaluated. Policies that
/// people write need a tenth of it.
const DEEPEST: usize = 128;

/// A rule that cannot be evaluated because of what it needs.
pub(super) struct Recursion {
    /// Number of the module it stands in.
    pub(super) module: usize,
    /// Its name there.
    pub(super) span: Span,
    pub(super) kind: ErrorKind,
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
        for reference in analysis::refs(&parsed.module, &parsed.names) {
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
            let into = (1..target.len()).filter_map(|length| places.get_key_value(target.get(..length)?));
            let below = places.range(target.clone()..).take_while(|(path, _)| path.starts_with(&target));
            let needed = into.chain(below).map(|(path, _)| path);
            let Some((rule, _)) = places.get_key_value(&path_of(parsed, reference.rule)) else { continue };
            needs.entry(rule).or_default().extend(needed);
        }
    }
    let depths = depths(places.keys(), &needs);
    let too_deep = depths.iter().find(|(_, depth)| **depth > DEEPEST).and_then(|(rule, _)| {
        let (module, span) = *places.get(*rule)?;
        let message =
            format!("rules need each other more than {DEEPEST} deep, beginning with data.{}", rule.join("."));
        Some(Recursion { module, span, kind: ErrorKind::Limit, message })
    });
    let found = places.iter().filter_map(|(rule, (module, span))| {
        // What has a depth is in no circle.
        if depths.contains_key(rule) {
            return None;
        }
        let circle = shortest_circle(&needs, rule)?;
        let shown: Vec<_> = circle.iter().map(|path| format!("data.{}", path.join("."))).collect();
        let rule = format!("data.{}", rule.join("."));
        let message = format!("rego_recursion_error: rule {rule} is recursive: {}", shown.join(" -> "));
        Some(Recursion { module: *module, span: *span, kind: ErrorKind::Rego, message })
    });
    found.chain(too_deep).collect()
}

/// How many rules each rule needs in a row, itself counted. Rules in a circle, and those that need one, have no depth.
fn depths<'a>(
    rules: impl Iterator<Item = &'a RulePath>,
    needs: &BTreeMap<&'a RulePath, BTreeSet<&'a RulePath>>,
) -> BTreeMap<&'a RulePath, usize> {
    let mut needed_by: BTreeMap<&RulePath, Vec<&'a RulePath>> = BTreeMap::new();
    let mut open: BTreeMap<&RulePath, usize> = BTreeMap::new();
    let mut ready = Vec::new();
    for rule in rules {
        let needed = needs.get(rule);
        needed.into_iter().flatten().for_each(|needed| needed_by.entry(needed).or_default().push(rule));
        match needed.map_or(0, BTreeSet::len) {
            0 => ready.push(rule),
            count => drop(open.insert(rule, count)),
        }
    }
    let mut depths: BTreeMap<&RulePath, usize> = BTreeMap::new();
    while let Some(rule) = ready.pop() {
        let below = needs.get(rule).into_iter().flatten().filter_map(|needed| depths.get(needed)).max();
        let depth = below.map_or(1, |below| below + 1);
        depths.insert(rule, depth);
        for user in needed_by.get(rule).into_iter().flatten() {
            if let Some(count) = open.get_mut(user) {
                *count -= 1;
                if *count == 0 {
                    ready.push(user);
                }
            }
        }
    }
    depths
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
