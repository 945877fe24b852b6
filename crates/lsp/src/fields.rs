//! The fields of the objects that a policy is about: of the kinds that its constraints match, Kubernetes' own and those
//! that are defined in files.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::{CustomKind, Gvk, kubernetes_fields};

use crate::index::{Entry, Index};

/// A field, and which kinds have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it holds, in words.
    pub holds: &'static str,
    /// The kinds, in order.
    pub kinds: Vec<String>,
    /// What its definition says of it.
    pub description: Option<String>,
}

/// Some kinds whose fields are known.
#[derive(Debug, Default)]
pub struct Kinds {
    built_in: Vec<Gvk>,
    custom: Vec<CustomKind>,
}

/// The kinds that constraints of a template match, in all versions.
pub fn kinds(index: &Index, entry: &Entry) -> Kinds {
    let Some(template) = entry.template() else { return Kinds::default() };
    let mut custom = index.custom_kinds(None);
    let (mut built_in, mut taken) = (Vec::new(), BTreeSet::new());
    for constraint in index.constraints(template.kind()).filter_map(Entry::constraint) {
        built_in.extend(constraint.known_kinds());
        taken.extend(constraint.custom_kinds(&custom).into_iter().map(|kind| kind.group_kind().clone()));
    }
    built_in.sort();
    built_in.dedup();
    custom.retain(|kind| taken.contains(kind.group_kind()));
    Kinds { built_in, custom }
}

impl Kinds {
    /// The fields at a path.
    pub fn fields(&self, path: &[Option<String>]) -> Vec<Field> {
        let path: Vec<Option<&str>> = path.iter().map(Option::as_deref).collect();
        let mut found = Found::default();
        for gvk in &self.built_in {
            for field in kubernetes_fields(gvk, &path) {
                found.add(field.name.to_owned(), field.holds, None, &gvk.kind);
            }
        }
        for kind in &self.custom {
            for field in kind.fields(&path) {
                found.add(field.name, field.holds, field.description, &kind.group_kind().kind);
            }
        }
        found.0.into_values().collect()
    }

    /// The field at a path.
    pub fn field(&self, path: &[Option<String>]) -> Option<Field> {
        let (Some(name), parents) = path.split_last()? else { return None };
        let path: Vec<Option<&str>> = path.iter().map(Option::as_deref).collect();
        let parents: Vec<Option<&str>> = parents.iter().map(Option::as_deref).collect();
        let mut found = Found::default();
        for gvk in &self.built_in {
            let fields = kubernetes_fields(gvk, &parents);
            if let Some(field) = fields.into_iter().find(|field| field.name == name) {
                found.add(field.name.to_owned(), field.holds, None, &gvk.kind);
            }
        }
        for kind in &self.custom {
            if let Some(field) = kind.field(&path) {
                found.add(field.name, field.holds, field.description, &kind.group_kind().kind);
            }
        }
        found.0.into_values().next()
    }
}

/// Fields by their names.
#[derive(Default)]
struct Found(BTreeMap<String, Field>);

impl Found {
    fn add(&mut self, name: String, holds: &'static str, description: Option<String>, kind: &str) {
        let known = self.0.entry(name).or_insert_with_key(|name| Field {
            name: name.clone(),
            holds,
            kinds: Vec::new(),
            description: None,
        });
        known.description = known.description.take().or(description);
        if !known.kinds.iter().any(|known| known == kind) {
            known.kinds.push(kind.to_owned());
        }
    }
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
