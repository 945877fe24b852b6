//! Kinds that constraints name in `match.kinds` and that no API server has: such a constraint applies to nothing,
//! and nobody sees that.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{ConstraintInfo, PolicySet};
use crate::admission_policy::{CustomKind, known_kinds};
use crate::api::Constraint;
use crate::error::{Error, ErrorKind, did_you_mean};
use crate::matcher::Matcher;
use crate::names::Gvk;
use crate::path::FieldPath;
use crate::scope::{Scopes, builtin};
use crate::value::{self, View};

impl PolicySet {
    /// What is wrong with the kinds and groups in `match.kinds` of constraints, as far as the kinds of Kubernetes and
    /// those that `scopes` learnt tell: an error where no such kind can be, a warning where there is none that is
    /// known. Kinds of groups that are not Kubernetes' own may exist without being known, and are not looked at.
    #[must_use]
    pub fn impossible_kinds(&self, scopes: &Scopes) -> Vec<Error> {
        let owned = |names: Option<&BTreeSet<Arc<str>>>| names.map(|names| names.iter().cloned().collect());
        let mut errors = Vec::new();
        for constraint in &self.0.constraints {
            for (index, (groups, kinds)) in constraint.matcher.entries().enumerate() {
                let entry =
                    Entry { info: &constraint.info, index, groups: owned(groups), kinds: owned(kinds) };
                errors.extend(entry.judge(scopes));
            }
        }
        errors
    }
}

impl Constraint {
    /// The kinds of Kubernetes that its `match.kinds` takes, in each of their versions and in order.
    #[must_use]
    pub fn known_kinds(&self) -> Vec<Gvk> {
        let matcher = Matcher::compile(&self.matching);
        known_kinds().into_iter().filter(|gvk| matcher.concerns(gvk)).collect()
    }

    /// Those of some custom kinds that its `match.kinds` takes.
    #[must_use]
    pub fn custom_kinds<'k>(&self, kinds: impl IntoIterator<Item = &'k CustomKind>) -> Vec<&'k CustomKind> {
        let matcher = Matcher::compile(&self.matching);
        kinds.into_iter().filter(|kind| matcher.concerns(&kind.group_kind().any_version())).collect()
    }
}

/// One entry of `match.kinds`; `None` for any.
struct Entry<'a> {
    info: &'a ConstraintInfo,
    index: usize,
    groups: Option<Vec<Arc<str>>>,
    kinds: Option<Vec<Arc<str>>>,
}

impl Entry<'_> {
    fn judge(&self, scopes: &Scopes) -> Vec<Error> {
        let mut errors: Vec<Error> =
            self.groups.iter().flatten().filter_map(|group| self.no_group(group)).collect();
        if errors.is_empty() {
            errors.extend(self.kinds.iter().flatten().filter_map(|kind| self.no_kind(kind, scopes)));
        }
        errors
    }

    /// A version where a group is expected.
    fn no_group(&self, group: &str) -> Option<Error> {
        let hint = match group.split_once('/') {
            Some((group, version)) if is_version(version) => {
                format!("write `{group}`: constraints apply to all versions")
            }
            None if is_version(group) => {
                "that is a version; the group of Pods, Services and the like is \"\"".to_owned()
            }
            _ => return None,
        };
        let error = Error::new(
            ErrorKind::NoSuchKind,
            format!("there is no API group `{group}`, so that this applies to nothing"),
        );
        Some(self.place(error, "apiGroups", group).hint(hint))
    }

    fn no_kind(&self, kind: &str, scopes: &Scopes) -> Option<Error> {
        let others = || {
            let known = builtin::resources().filter(|(_, known, _)| *known == kind).map(|(group, ..)| group);
            known.chain(scopes.groups_of(kind)).collect::<BTreeSet<&str>>()
        };
        let Some(groups) = &self.groups else {
            if !others().is_empty() {
                return None;
            }
            // Somebody's own kind may well be called so, but hardly like one of Kubernetes in other letters.
            let meant =
                builtin::resources().map(|(_, known, _)| known).find(|known| is_nearly(kind, known))?;
            let message = format!("there is no kind `{kind}` that is known, so that this applies to nothing");
            let warning =
                Error::warning(ErrorKind::NoSuchKind, message).hint(format!("did you mean `{meant}`?"));
            return Some(self.place(warning, "kinds", kind));
        };
        let is_there = |group: &Arc<str>| builtin::has(group, kind) || scopes.knows(group, kind);
        if groups.iter().any(|group| is_there(group) || !builtin::has_group(group)) {
            return None;
        }
        let named: Vec<String> = groups.iter().map(|group| quoted(group)).collect();
        let message =
            format!("group {} has no kind `{kind}`, so that this applies to nothing", named.join(" or "));
        let known = builtin::resources().filter(|(group, ..)| groups.iter().any(|own| **own == **group));
        let meant = did_you_mean(kind, known.map(|(_, known, _)| known));
        let others = others();
        let error = match (others.is_empty(), meant) {
            (false, _) => {
                let others: Vec<String> = others.into_iter().map(quoted).collect();
                Error::new(ErrorKind::NoSuchKind, message)
                    .hint(format!("it is in group {}", others.join(" and in group ")))
            }
            (true, Some(meant)) => {
                Error::new(ErrorKind::NoSuchKind, message).hint(format!("did you mean `{meant}`?"))
            }
            // A later version of Kubernetes may have one.
            (true, None) => Error::warning(ErrorKind::NoSuchKind, message),
        };
        Some(self.place(error, "kinds", kind))
    }

    /// At the name in the constraint.
    fn place(&self, error: Error, list: &str, name: &str) -> Error {
        let object = self.info.object();
        let entry = FieldPath::root().child("spec").child("match").child("kinds").child(self.index);
        let entry_value =
            ["spec", "match", "kinds"].iter().try_fold(object.value(), |value, key| value::get(value, key));
        let names = entry_value.and_then(|entries| match entries.view() {
            View::Array(entries) => value::get(entries.get(self.index)?, list),
            _ => None,
        });
        let position = names.and_then(|names| match names.view() {
            View::Array(names) => names.iter().position(|one| value::as_str(one) == Some(name)),
            _ => None,
        });
        let path = match position {
            Some(position) => entry.child(list).child(position),
            None => entry,
        };
        let place = object.document().map(|document| document.locate_nearest(&path).0);
        error
            .at(place.unwrap_or_else(|| self.info.location().clone()))
            .in_field(path)
            .about(self.info.key().to_string())
    }
}

/// `v1`, `v2beta1`.
fn is_version(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('v') else { return false };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = text.len() - rest.len() > 1;
    let stage = rest.strip_prefix("alpha").or_else(|| rest.strip_prefix("beta"));
    digits
        && (rest.is_empty()
            || stage.is_some_and(|number| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit())))
}

/// The same in other letters, or as one calls many of them.
fn is_nearly(kind: &str, known: &str) -> bool {
    let (kind, known) = (kind.to_lowercase(), known.to_lowercase());
    kind == known
        || kind.strip_suffix('s') == Some(&known)
        || kind.strip_suffix("es") == Some(&known)
        || kind.strip_suffix("ies").zip(known.strip_suffix('y')).is_some_and(|(kind, known)| kind == known)
}

fn quoted(group: &str) -> String {
    if group.is_empty() { "\"\"".to_owned() } else { format!("`{group}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_no_groups() {
        assert!(["v1", "v2", "v1beta1", "v10alpha2"].iter().all(|text| is_version(text)));
        assert!(
            ["", "v", "apps", "v1x", "vault", "v1beta", "v1.example.com"]
                .iter()
                .all(|text| !is_version(text))
        );
    }

    #[test]
    fn plurals_are_nearly_kinds() {
        assert!(
            is_nearly("pods", "Pod")
                && is_nearly("Ingresses", "Ingress")
                && is_nearly("networkpolicies", "NetworkPolicy")
        );
        assert!(!is_nearly("Podling", "Pod"));
    }
}
