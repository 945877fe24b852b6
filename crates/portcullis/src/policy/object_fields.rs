//! Fields that policies read of objects and that no kind of Kubernetes has, and comparisons that can never hold. Told only
//! where it is certain: every constraint of the template names kinds of Kubernetes, and the text names the place
//! by constant steps.

use std::collections::BTreeSet;

use super::{CompiledConstraint, PolicySet};
use crate::admission_policy::{Holds, held_at, known_kinds, kubernetes_fields};
use crate::analysis::{self, Constant, ObjectUse};
use crate::error::{Error, ErrorKind, did_you_mean};
use crate::names::Gvk;
use crate::policy::Template;

impl PolicySet {
    /// Warnings for what templates in Rego read of objects and no kind of Kubernetes has, and for fields that are compared
    /// with a value that they never have. Templates without constraints are not looked at, nor those with one that takes
    /// kinds that are not known: objects of these may have any field.
    ///
    /// Cost: the texts of the templates are parsed anew.
    #[must_use]
    pub fn unknown_object_fields(&self) -> Vec<Error> {
        let all = known_kinds();
        let mut warnings = Vec::new();
        for template in self.0.templates.values() {
            let constraints: Vec<_> =
                self.compiled().filter(|one| one.template.info.kind() == template.info.kind()).collect();
            if constraints.is_empty() || !constraints.iter().all(|one| names_known_kinds(one, &all)) {
                continue;
            }
            let matched: Vec<&Gvk> =
                all.iter().filter(|gvk| constraints.iter().any(|one| one.matcher.concerns(gvk))).collect();
            warnings.extend(judge(template, &matched, &all));
        }
        warnings
    }
}

/// Whether all that a constraint is about are kinds of Kubernetes.
fn names_known_kinds(constraint: &CompiledConstraint, all: &[Gvk]) -> bool {
    if constraint.policy.is_some() {
        return false;
    }
    let mut entries = constraint.matcher.entries().peekable();
    entries.peek().is_some()
        && entries.all(|(groups, kinds)| {
            let (Some(groups), Some(kinds)) = (groups, kinds) else { return false };
            kinds.iter().all(|kind| all.iter().any(|gvk| gvk.kind == *kind && groups.contains(&gvk.group)))
                && groups.iter().all(|group| all.iter().any(|gvk| gvk.group == *group))
        })
}

fn judge(template: &Template, matched: &[&Gvk], all: &[Gvk]) -> Vec<Error> {
    let document = template.info.document();
    let mut warnings = Vec::new();
    for parsed in analysis::parsed(template.program.told().texts()) {
        for ObjectUse { path, before, span, compared } in analysis::object_uses(&parsed) {
            let steps: Vec<Option<&str>> = path.iter().map(Option::as_deref).collect();
            let is_missing =
                |length: &usize| steps.get(..*length).is_some_and(|part| held(all, part).is_empty());
            let found = held(all, &steps);
            let warning = if let Some(length) = (1..=steps.len()).find(is_missing) {
                if length <= before {
                    // That is told where the variable is given it.
                    continue;
                }
                let missing = steps.get(..length).unwrap_or_default();
                let message = format!("no kind of Kubernetes 1.36 has a field `{}`", shown(missing));
                let error = Error::warning(ErrorKind::UnknownObjectField, message);
                error.maybe_hint(meant(missing, matched))
            } else if let Some(constant) = compared
                && found.iter().all(|one| !may_be(*one, constant))
            {
                let (path, constant) = (shown(&steps), written(constant));
                let message = format!("`{path}` is compared with {constant}, and holds {}", words(&found));
                Error::warning(ErrorKind::NeverTrue, message).hint("they are never equal")
            } else {
                continue;
            };
            let subject = format!("ConstraintTemplate/{}", template.info.name().as_str());
            warnings.push(warning.at(analysis::locate(document, parsed.text, span)).about(subject));
        }
    }
    warnings
}

/// What kinds hold at a path: nothing where none has it.
fn held(kinds: &[Gvk], path: &[Option<&str>]) -> BTreeSet<Holds> {
    kinds.iter().filter_map(|gvk| held_at(gvk, path)).collect()
}

/// What is likely to have been meant by the last step of a path: a field with a name like it.
fn meant(path: &[Option<&str>], matched: &[&Gvk]) -> Option<String> {
    let (Some(name), before) = path.split_last()? else { return None };
    let fields: BTreeSet<&str> =
        matched.iter().flat_map(|gvk| kubernetes_fields(gvk, before)).map(|field| field.name).collect();
    did_you_mean(name, fields.iter().copied()).map(|meant| format!("did you mean `{meant}`?"))
}

/// Whether a field that holds something may be equal to a constant. Manifests write texts without quotes, which are then numbers.
fn may_be(holds: Holds, constant: Constant) -> bool {
    match holds {
        Holds::Number => constant == Constant::Number,
        Holds::Bool => constant == Constant::Bool,
        Holds::Object | Holds::List => false,
        Holds::Text | Holds::Anything => true,
    }
}

fn written(constant: Constant) -> &'static str {
    match constant {
        Constant::Text => "a text",
        Constant::Number => "a number",
        Constant::Bool => "a truth value",
    }
}

fn words(held: &BTreeSet<Holds>) -> String {
    let words: Vec<&str> = held
        .iter()
        .map(|one| match one {
            Holds::Number => "a number",
            Holds::Bool => "a truth value",
            Holds::Object => "an object",
            Holds::List => "a list",
            Holds::Text => "a text",
            Holds::Anything => "anything",
        })
        .collect();
    words.join(" or ")
}

fn shown(steps: &[Option<&str>]) -> String {
    steps.iter().fold(String::new(), |path, step| match step {
        Some(step) if path.is_empty() => (*step).to_owned(),
        Some(step) => format!("{path}.{step}"),
        None => format!("{path}[_]"),
    })
}
