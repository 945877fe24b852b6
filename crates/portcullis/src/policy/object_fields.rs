//! Fields that policies read of objects and that no kind has that is known, and comparisons that can never hold. Told only
//! where it is certain: every constraint of the template names kinds of Kubernetes, or of definitions that are at hand, and
//! the text names the place by constant steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{CompiledConstraint, PolicySet};
use crate::admission_policy::{CustomKind, Described, Holds, known_kinds};
use crate::analysis::{self, Constant, ObjectUse};
use crate::error::{Error, ErrorKind, did_you_mean};
use crate::names::{GroupKind, Gvk};
use crate::policy::Template;
use crate::value::Value;

/// What is known of kinds.
struct Known<'a> {
    built_in: Vec<Gvk>,
    /// The schemas of all versions that are served.
    custom: BTreeMap<&'a GroupKind, Vec<&'a Value>>,
}

impl<'a> Known<'a> {
    fn new(kinds: &'a [CustomKind]) -> Self {
        // Of two definitions of the same name the last one counts.
        let named: BTreeMap<&str, &CustomKind> = kinds.iter().map(|kind| (kind.definition(), kind)).collect();
        let mut custom: BTreeMap<&GroupKind, Option<Vec<&Value>>> = BTreeMap::new();
        for kind in named.into_values() {
            let known = custom.entry(kind.group_kind()).or_insert_with(|| Some(Vec::new()));
            match (known.as_mut(), kind.all_schemas()) {
                (Some(known), Some(schemas)) => known.extend(schemas),
                // Objects may have any field.
                _ => *known = None,
            }
        }
        let custom = custom.into_iter().filter_map(|(kind, schemas)| Some((kind, schemas?))).collect();
        Self { built_in: known_kinds(), custom }
    }

    /// Whether all that a constraint is about are kinds that are known.
    fn has_all_of(&self, constraint: &CompiledConstraint) -> bool {
        if constraint.policy.is_some() {
            return false;
        }
        let mut entries = constraint.matcher.entries().peekable();
        entries.peek().is_some()
            && entries.all(|(groups, kinds)| {
                let (Some(groups), Some(kinds)) = (groups, kinds) else { return false };
                let is_built_in = |kind: &str| {
                    self.built_in.iter().any(|gvk| &*gvk.kind == kind && groups.contains(&gvk.group))
                };
                let is_custom = |kind: &str| {
                    self.custom.keys().any(|known| &*known.kind == kind && groups.contains(&known.group))
                };
                kinds.iter().all(|kind| is_built_in(kind) || is_custom(kind))
                    && groups.iter().all(|group| {
                        // A group that is not of Kubernetes may have kinds that nobody gave.
                        self.built_in.iter().any(|gvk| gvk.group == *group)
                            || kinds.iter().all(|kind| {
                                self.custom.keys().any(|known| known.group == *group && known.kind == *kind)
                            })
                    })
            })
    }

    /// The kinds that some constraints are about, and whether custom ones are among them.
    fn matched(&self, constraints: &[&Arc<CompiledConstraint>]) -> (Vec<Described<'_>>, bool) {
        let concerns = |gvk: &Gvk| constraints.iter().any(|one| one.matcher.concerns(gvk));
        let mut matched: Vec<Described<'_>> =
            self.built_in.iter().filter(|gvk| concerns(gvk)).map(Described::BuiltIn).collect();
        let built_in = matched.len();
        for (kind, schemas) in &self.custom {
            if concerns(&kind.any_version()) {
                matched.extend(schemas.iter().map(|schema| Described::Custom(schema)));
            }
        }
        let has_custom = matched.len() > built_in;
        (matched, has_custom)
    }

    /// All of them; custom ones where they count.
    fn all(&self, has_custom: bool) -> Vec<Described<'_>> {
        let built_in = self.built_in.iter().map(Described::BuiltIn);
        let custom = self.custom.values().filter(|_| has_custom).flatten();
        built_in.chain(custom.map(|schema| Described::Custom(schema))).collect()
    }
}

impl PolicySet {
    /// Warnings for what templates in Rego read of objects and no kind has that is known, and for fields that are compared
    /// with a value that they never have. Known are the kinds of Kubernetes, and the custom ones that are given. Templates
    /// without constraints are not looked at, nor those with one that takes kinds that are not known: objects of these may
    /// have any field.
    ///
    /// Cost: the texts of the templates are parsed anew, and each field that they read is looked for in all kinds.
    #[must_use]
    pub fn unknown_object_fields(&self, custom: &[CustomKind]) -> Vec<Error> {
        let known = Known::new(custom);
        let mut warnings = Vec::new();
        for template in self.0.templates.values() {
            let constraints: Vec<_> =
                self.compiled().filter(|one| one.template.info.kind() == template.info.kind()).collect();
            if constraints.is_empty() || !constraints.iter().all(|one| known.has_all_of(one)) {
                continue;
            }
            let (matched, has_custom) = known.matched(&constraints);
            warnings.extend(judge(template, &matched, &known.all(has_custom), has_custom));
        }
        warnings
    }
}

fn judge(
    template: &Template,
    matched: &[Described<'_>],
    all: &[Described<'_>],
    has_custom: bool,
) -> Vec<Error> {
    let document = template.info.document();
    let mut warnings = Vec::new();
    for parsed in analysis::parsed(template.program.told().texts()) {
        let uses = analysis::object_uses(&parsed);
        // Templates read the same fields again and again, and kinds may be many: each is looked for once.
        let mut asked: BTreeMap<Vec<Option<&str>>, bool> = BTreeMap::new();
        for ObjectUse { path, before, span, compared } in &uses {
            let steps: Vec<Option<&str>> = path.iter().map(Option::as_deref).collect();
            let mut is_missing = |length: &usize| {
                let part = steps.get(..*length).unwrap_or_default();
                *asked.entry(part.to_vec()).or_insert_with(|| {
                    // Those that constraints match are the likely ones.
                    !matched.iter().chain(all).any(|kind| kind.held_at(part).is_some())
                })
            };
            let missing = (1..=steps.len()).find(&mut is_missing);
            let found = match compared {
                Some(_) if missing.is_none() => held(all, &steps),
                _ => BTreeSet::new(),
            };
            let warning = if let Some(length) = missing {
                if length <= *before {
                    // That is told where the variable is given it.
                    continue;
                }
                let missing = steps.get(..length).unwrap_or_default();
                let nobody = if has_custom {
                    "no kind of Kubernetes 1.36 and none of the given definitions has"
                } else {
                    "no kind of Kubernetes 1.36 has"
                };
                let message = format!("{nobody} a field `{}`", shown(missing));
                let error = Error::warning(ErrorKind::UnknownObjectField, message);
                error.maybe_hint(meant(missing, matched))
            } else if let Some(constant) = *compared
                && found.iter().all(|one| !may_be(*one, constant))
            {
                let (path, constant) = (shown(&steps), written(constant));
                let message = format!("`{path}` is compared with {constant}, and holds {}", words(&found));
                Error::warning(ErrorKind::NeverTrue, message).hint("they are never equal")
            } else {
                continue;
            };
            let subject = format!("ConstraintTemplate/{}", template.info.name().as_str());
            warnings.push(warning.at(analysis::locate(document, parsed.text, *span)).about(subject));
        }
    }
    warnings
}

/// What kinds hold at a path: nothing where none has it.
fn held(kinds: &[Described<'_>], path: &[Option<&str>]) -> BTreeSet<Holds> {
    kinds.iter().filter_map(|kind| kind.held_at(path)).collect()
}

/// What is likely to have been meant by the last step of a path: a field with a name like it.
fn meant(path: &[Option<&str>], matched: &[Described<'_>]) -> Option<String> {
    let (Some(name), before) = path.split_last()? else { return None };
    let fields: BTreeSet<&str> = matched.iter().flat_map(|kind| kind.fields_at(before)).collect();
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
