//! Custom kinds, each by its definition, for who asks which fields their objects may have.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::shapes::{Described, words};
use crate::names::GroupKind;
use crate::object::Object;
use crate::scope::Scopes;
use crate::value::{self, Value, View};

/// A custom kind by its CustomResourceDefinition, in all versions that are served. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CustomKind(Arc<Definition>);

#[derive(Debug)]
struct Definition {
    /// The name of the definition.
    name: Arc<str>,
    kind: GroupKind,
    /// Of the versions that are served and have one.
    schemas: Vec<Value>,
    /// Whether all of them have one. Otherwise objects may have any field.
    is_whole: bool,
}

/// A field of a custom kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct CustomField {
    /// Its name.
    pub name: String,
    /// What it holds, in words: `text`, `list of objects`.
    pub holds: &'static str,
    /// What the schema says of it for people.
    pub description: Option<String>,
}

impl CustomKind {
    /// Most fields of one place that are told.
    pub const MOST_FIELDS: usize = 5000;

    /// Of a CustomResourceDefinition; none of any other object, nor of one that does not say group and kind.
    #[must_use]
    pub fn of(definition: &Object) -> Option<Self> {
        let gvk = definition.gvk();
        if &*gvk.kind != Scopes::DEFINITION || &*gvk.group != "apiextensions.k8s.io" {
            return None;
        }
        let spec = value::get(definition.value(), "spec")?;
        let text = |path: &[&str]| value::str_at(spec, path).map(Arc::from);
        let kind = GroupKind { group: text(&["group"])?, kind: text(&["names", "kind"])? };
        let versions = value::get(spec, "versions").map(value::items).into_iter().flatten();
        let served = versions.filter(|version| {
            !matches!(value::get(version, "served").map(Value::view), Some(View::Bool(false)))
        });
        let schemas: Vec<Option<Value>> =
            served.map(|version| value::get_path(version, &["schema", "openAPIV3Schema"]).cloned()).collect();
        let is_whole = !schemas.is_empty() && schemas.iter().all(Option::is_some);
        let schemas = schemas.into_iter().flatten().collect();
        Some(Self(Arc::new(Definition { name: definition.name().clone(), kind, schemas, is_whole })))
    }

    /// Group and kind.
    #[must_use]
    pub fn group_kind(&self) -> &GroupKind {
        &self.0.kind
    }

    /// The name of the definition.
    pub(crate) fn definition(&self) -> &str {
        &self.0.name
    }

    /// The schemas of all versions that are served; none if one of them has none, so that objects may have any field.
    pub(crate) fn all_schemas(&self) -> Option<&[Value]> {
        self.0.is_whole.then_some(self.0.schemas.as_slice())
    }

    /// The fields that its objects may have at a path in some version that is served, in order; a step without a name is
    /// any element of a list or map. What may have any field has those that its schema names. Of very many, those of the
    /// first [`Self::MOST_FIELDS`] names of a version.
    #[must_use]
    pub fn fields(&self, path: &[Option<&str>]) -> Vec<CustomField> {
        let mut found: BTreeMap<&str, CustomField> = BTreeMap::new();
        for schema in &self.0.schemas {
            for (name, inner) in Described::Custom(schema).each_field(path).take(Self::MOST_FIELDS) {
                found.entry(name).or_insert_with(|| CustomField {
                    name: name.to_owned(),
                    holds: words(inner),
                    description: inner.description().map(str::to_owned),
                });
            }
        }
        found.into_values().take(Self::MOST_FIELDS).collect()
    }

    /// The field at a path, in the first version that has it.
    #[must_use]
    pub fn field(&self, path: &[Option<&str>]) -> Option<CustomField> {
        let name = (*path.last()?)?;
        let inner = self.0.schemas.iter().find_map(|schema| Described::Custom(schema).inner_at(path))?;
        let description = inner.description().map(str::to_owned);
        Some(CustomField { name: name.to_owned(), holds: words(inner), description })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;

    fn kind(versions: &str) -> CustomKind {
        let text = format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: widgets.example.com}}\nspec: {{group: example.com, names: {{kind: Widget, plural: widgets}}, versions: [{versions}]}}\n"
        );
        let document = Document::read_all("crd.yaml", &text).0.remove(0);
        CustomKind::of(&Object::from_document(document).unwrap()).unwrap()
    }

    fn names(kind: &CustomKind, path: &[Option<&str>]) -> Vec<String> {
        kind.fields(path).into_iter().map(|field| format!("{}: {}", field.name, field.holds)).collect()
    }

    #[test]
    fn fields_are_those_of_all_versions_that_are_served() {
        let version = |more: &str, spec: &str| {
            format!(
                "{{{more}, schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, properties: {{{spec}}}}}}}}}}}}}"
            )
        };
        let kind = kind(
            &[
                version("served: true", "size: {type: integer, description: How large.}, parts: {type: array, items: {type: object, properties: {name: {type: string}}}}"),
                version("name: v1", "old: {type: boolean}, size: {type: string}"),
                version("served: false", "gone: {type: string}"),
            ]
            .join(", "),
        );
        assert_eq!(names(&kind, &[]), ["apiVersion: text", "kind: text", "metadata: object", "spec: object"]);
        assert_eq!(
            names(&kind, &[Some("spec")]),
            ["old: truth value", "parts: list of objects", "size: number"]
        );
        assert_eq!(names(&kind, &[Some("spec"), Some("parts"), None]), ["name: text"]);
        assert!(names(&kind, &[Some("metadata")]).contains(&"labels: map".to_owned()));
        assert_eq!(names(&kind, &[Some("spec"), Some("size")]), [""; 0]);
        let size = kind.field(&[Some("spec"), Some("size")]).unwrap();
        assert_eq!((size.holds, size.description.as_deref()), ("number", Some("How large.")));
        assert_eq!(kind.field(&[Some("spec"), Some("gone")]), None);
        assert_eq!(kind.field(&[Some("spec"), None]), None);
        assert_eq!(kind.all_schemas().map(<[Value]>::len), Some(2));
    }

    #[test]
    fn what_may_have_any_field_is_let_alone() {
        let kind = kind(
            "{name: v1, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {
               open: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {a: {type: string}}},
               template: {type: object, x-kubernetes-embedded-resource: true, properties: {spec: {type: object}}}}}}}}},
             {name: v2}",
        );
        assert!(kind.all_schemas().is_none());
        let at = |name| names(&kind, &[Some("spec"), Some(name)]);
        assert_eq!(at("open"), ["a: text"]);
        assert_eq!(at("template"), ["apiVersion: text", "kind: text", "metadata: object", "spec: object"]);
        let labels = [Some("spec"), Some("template"), Some("metadata"), Some("labels")];
        assert_eq!(kind.field(&labels).unwrap().holds, "map");
        assert_eq!(kind.field(&[Some("spec"), Some("open"), Some("b")]).unwrap().holds, "anything");
    }

    #[test]
    fn very_many_fields_are_not_all_told() {
        let many: Vec<String> = (0..6000).map(|number| format!("f{number}: {{type: string}}")).collect();
        let kind = kind(&format!(
            "{{name: v1, schema: {{openAPIV3Schema: {{type: object, properties: {{{}}}}}}}}}",
            many.join(", ")
        ));
        assert_eq!(kind.fields(&[]).len(), CustomKind::MOST_FIELDS);
        assert!(kind.field(&[Some("f5999")]).is_some());
    }
}
