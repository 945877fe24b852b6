//! Rules that need themselves, found at load as OPA finds them, and rules that need too many others in a row.
//! The engine would follow a function that calls itself until the stack of the process ends, and the process
//! with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use portcullis_rego_syntax::analysis::{self, Usage};
use portcullis_rego_syntax::{Resolution, Span};

use super::template_rules::ParsedModule;
use crate::error::ErrorKind;

/// Rules that need each other in a longer row are refused: each takes its part of the stack when it is
/// evaluated. Policies that people write need a tenth of it.
const DEEPEST: usize = 128;

/// Most references from rules to rules. Policies that people write have some hundred.
const MAX_NEEDS: usize = 100_000;

/// Most recursive rules that are reported: to find the circle of each, all others may have to be looked at.
const MAX_SHOWN: usize = 20;

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
    let mut count = 0;
    for (number, parsed) in modules.iter().enumerate() {
        let several = names_of_several_heads(parsed);
        for reference in analysis::refs(&parsed.module, &parsed.names) {
            if reference.usage == Usage::WithTarget || several.contains(reference.rule) {
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
            let known = needs.entry(rule).or_default();
            for rule in needed {
                count += 1;
                known.insert(rule);
            }
            if count > MAX_NEEDS {
                let message = format!("rules need other rules more than {MAX_NEEDS} times");
                return vec![Recursion {
                    module: number,
                    span: reference.span,
                    kind: ErrorKind::Limit,
                    message,
                }];
            }
        }
    }
    let depths = depths(places.keys(), &needs);
    let too_deep = depths.iter().find(|(_, depth)| **depth > DEEPEST).and_then(|(rule, _)| {
        let (module, span) = *places.get(*rule)?;
        let message =
            format!("rules need each other more than {DEEPEST} deep, beginning with data.{}", rule.join("."));
        Some(Recursion { module, span, kind: ErrorKind::Limit, message })
    });
    let circular = in_circles(&needs, &depths);
    let found = places.iter().filter(|(rule, _)| circular.contains(rule)).take(MAX_SHOWN);
    let found = found.filter_map(|(rule, (module, span))| {
        let circle = shortest_circle(&needs, rule)?;
        let shown: Vec<_> = circle.iter().map(|path| format!("data.{}", path.join("."))).collect();
        let rule = format!("data.{}", rule.join("."));
        let message = format!("rego_recursion_error: rule {rule} is recursive: {}", shown.join(" -> "));
        Some(Recursion { module: *module, span: *span, kind: ErrorKind::Rego, message })
    });
    found.chain(too_deep).collect()
}

/// How many rules each rule needs in a row, itself counted. Rules in a circle, and those that need one, have
/// no depth.
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

/// The names with which rules begin that define different documents (`a.b := 1`, `a.c := a.b`): one may well
/// need the other.
fn names_of_several_heads<'a>(parsed: &'a ParsedModule<'_>) -> BTreeSet<&'a str> {
    let mut first: BTreeMap<&str, Vec<Option<&str>>> = BTreeMap::new();
    let mut several = BTreeSet::new();
    for rule in &parsed.module.rules {
        let head: Vec<Option<&str>> = rule.head.path.iter().map(|step| step.as_str()).collect();
        match first.get(rule.name()) {
            None => drop(first.insert(rule.name(), head)),
            Some(known) if *known == head => {}
            Some(_) => drop(several.insert(rule.name())),
        }
    }
    several
}

/// The rules that are in circles: those that come to themselves. Each is entered and left once, in an order
/// in which a rule is left after all that it needs; then the rules that are come to against that order are
/// together in circles.
fn in_circles<'a>(
    needs: &BTreeMap<&'a RulePath, BTreeSet<&'a RulePath>>,
    depths: &BTreeMap<&'a RulePath, usize>,
) -> BTreeSet<&'a RulePath> {
    // What has a depth is in no circle.
    let open = |rule: &&'a RulePath| !depths.contains_key(rule);
    let mut needed_by: BTreeMap<&RulePath, Vec<&'a RulePath>> = BTreeMap::new();
    for (rule, needed) in needs.iter().filter(|(rule, _)| open(rule)) {
        for needed in needed.iter().copied().filter(open) {
            needed_by.entry(needed).or_default().push(rule);
        }
    }
    let mut left = Vec::new();
    let mut entered = BTreeSet::new();
    for rule in needs.keys().copied().filter(open) {
        // A rule, or the end of one.
        let mut waiting = vec![(rule, false)];
        while let Some((rule, is_end)) = waiting.pop() {
            if is_end {
                left.push(rule);
            } else if entered.insert(rule) {
                waiting.push((rule, true));
                let needed = needs.get(rule).into_iter().flatten().copied().filter(open);
                waiting.extend(needed.map(|rule| (rule, false)));
            }
        }
    }
    let mut circular = BTreeSet::new();
    let mut placed = BTreeSet::new();
    while let Some(rule) = left.pop() {
        let mut together = Vec::new();
        let mut waiting = vec![rule];
        while let Some(rule) = waiting.pop() {
            if placed.insert(rule) {
                together.push(rule);
                waiting.extend(needed_by.get(rule).into_iter().flatten());
            }
        }
        if together.len() > 1 || needs.get(rule).is_some_and(|needed| needed.contains(rule)) {
            circular.extend(together);
        }
    }
    circular
}

/// The shortest way from a rule back to itself, both ends included.
fn shortest_circle<'a>(
    needs: &BTreeMap<&'a RulePath, BTreeSet<&'a RulePath>>,
    rule: &'a RulePath,
) -> Option<Vec<&'a RulePath>> {
    let mut came_from: BTreeMap<&RulePath, &'a RulePath> = BTreeMap::new();
    let mut waiting = VecDeque::from([rule]);
    while let Some(last) = waiting.pop_front() {
        for next in needs.get(last).into_iter().flatten().copied() {
            if next == rule {
                let mut way = vec![rule, last];
                while let Some(before) =
                    way.last().filter(|last| **last != rule).and_then(|last| came_from.get(last))
                {
                    way.push(before);
                }
                // A rule that needs itself is there twice already.
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, last);
                waiting.push_back(next);
            }
        }
    }
    None
}
