//! The fields of the objects that a policy is about: of the kinds that its constraints match.

use std::collections::BTreeMap;

use portcullis::{Gvk, kubernetes_fields};

use crate::index::{Entry, Index};

/// A field, and which kinds have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds, in words.
    pub holds: &'static str,
    /// The kinds, in order.
    pub kinds: Vec<String>,
}

/// The kinds of Kubernetes that constraints of a template match, in all versions.
pub fn kinds(index: &Index, entry: &Entry) -> Vec<Gvk> {
    let Some(template) = entry.template() else { return Vec::new() };
    let mut kinds: Vec<Gvk> = index
        .constraints(template.kind())
        .filter_map(Entry::constraint)
        .flat_map(portcullis::Constraint::known_kinds)
        .collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

/// The fields at a path of objects of some kinds.
pub fn fields(kinds: &[Gvk], path: &[Option<String>]) -> Vec<Field> {
    let path: Vec<Option<&str>> = path.iter().map(Option::as_deref).collect();
    let mut found: BTreeMap<&'static str, Field> = BTreeMap::new();
    for gvk in kinds {
        for field in kubernetes_fields(gvk, &path) {
            let known = found.entry(field.name).or_insert_with(|| Field {
                name: field.name,
                holds: field.holds,
                kinds: Vec::new(),
            });
            let kind = gvk.kind.to_string();
            if !known.kinds.contains(&kind) {
                known.kinds.push(kind);
            }
        }
    }
    found.into_values().collect()
}

/// Some kinds in a few words.
pub fn shown(kinds: &[String]) -> String {
    /// How many are named.
    const NAMED: usize = 3;
    let named: Vec<&str> = kinds.iter().map(String::as_str).take(NAMED).collect();
    match kinds.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
