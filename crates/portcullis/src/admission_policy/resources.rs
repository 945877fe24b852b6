//! Resources of kinds, and which versions of them are the same: those of Kubernetes, and what
//! CustomResourceDefinitions among the objects at hand say.

use std::sync::Arc;

use crate::names::{Gvk, Scope};
use crate::object::Object;
use crate::scope::{Scopes, builtin};
use crate::value::{self, Value, View};

/// A resource of the API.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Resource {
    pub(crate) group: Arc<str>,
    pub(crate) version: Arc<str>,
    /// In the plural: `pods`.
    pub(crate) name: Arc<str>,
}

/// Resources of Kubernetes that there are in several versions, or in several groups, under an API server's usual
/// settings, with their kinds.
const EQUIVALENT: &[&[(&str, &str, &str, &str)]] = &[
    &[("", "v1", "events", "Event"), ("events.k8s.io", "v1", "events", "Event")],
    &[
        ("autoscaling", "v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
        ("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ],
];

/// What is known of kinds.
pub(crate) struct Kinds<'a> {
    inventory: &'a Value,
}

/// A custom kind, as its definition has it.
struct Custom<'a> {
    group: &'a str,
    kind: &'a str,
    plural: &'a str,
    spec: &'a Value,
}

impl Custom<'_> {
    /// The versions that are served.
    fn versions(&self) -> impl Iterator<Item = &str> {
        let versions = value::get(self.spec, "versions").map(value::items).into_iter().flatten();
        versions.filter_map(|version| {
            let is_served =
                !matches!(value::get(version, "served").map(Value::view), Some(View::Bool(false)));
            value::str_at(version, &["name"]).filter(|_| is_served)
        })
    }

    /// Whether versions differ in nothing but their name.
    fn is_converted_by_name(&self) -> bool {
        matches!(value::str_at(self.spec, &["conversion", "strategy"]), None | Some("None"))
    }
}

impl<'a> Kinds<'a> {
    /// Of the objects at hand, as `data.inventory` has them.
    pub(crate) fn new(inventory: &'a Value) -> Self {
        Self { inventory }
    }

    fn custom(&self) -> impl Iterator<Item = Custom<'a>> {
        let path = ["cluster", "apiextensions.k8s.io/v1", "CustomResourceDefinition"];
        let all = value::get_path(self.inventory, &path);
        all.into_iter().flat_map(value::entries).filter_map(|(_, object)| {
            let spec = value::get(object, "spec")?;
            let text = |path: &[&str]| value::str_at(spec, path);
            Some(Custom {
                group: text(&["group"])?,
                kind: text(&["names", "kind"])?,
                plural: text(&["names", "plural"])?,
                spec,
            })
        })
    }

    /// The resource of a kind, and whether that is certain: of what is not known it is English.
    pub(crate) fn resource(&self, gvk: &Gvk) -> (Resource, bool) {
        let known = self.custom().find(|custom| custom.group == &*gvk.group && custom.kind == &*gvk.kind);
        let is_certain = known.is_some() || builtin::is_built_in(&gvk.group);
        let name = match known {
            Some(custom) => custom.plural.into(),
            None => builtin::plural(&gvk.group, &gvk.kind).into(),
        };
        (Resource { group: gvk.group.clone(), version: gvk.version.clone(), name }, is_certain)
    }

    /// The resources that are the same in another version, with their kinds.
    pub(crate) fn equivalents(&self, resource: &Resource) -> Vec<(Resource, Gvk)> {
        let of = |group: &str, version: &str, name: &str, kind: &str| {
            let resource = Resource { group: group.into(), version: version.into(), name: name.into() };
            (resource, Gvk { group: group.into(), version: version.into(), kind: kind.into() })
        };
        let is_it = |group: &str, name: &str| group == &*resource.group && name == &*resource.name;
        let built_in = EQUIVALENT
            .iter()
            .filter(|set| set.iter().any(|(group, _, name, _)| is_it(group, name)))
            .flat_map(|set| set.iter().map(|(group, version, name, kind)| of(group, version, name, kind)));
        let custom = self.custom().filter(|custom| is_it(custom.group, custom.plural));
        let custom: Vec<_> = custom
            .flat_map(|custom| {
                let versions = custom.versions();
                versions
                    .map(|version| of(custom.group, version, custom.plural, custom.kind))
                    .collect::<Vec<_>>()
            })
            .collect();
        built_in.chain(custom).filter(|(other, _)| other != resource).collect()
    }

    /// An object in another version of its kind.
    pub(crate) fn converted(&self, object: &Object, kind: &Gvk) -> Result<Value, String> {
        let own = object.gvk();
        if own == kind || own.group != kind.group && own.kind != kind.kind {
            // What is sent to a subresource may be of another kind.
            return Ok(object.value().clone());
        }
        let mut custom = self.custom();
        let custom = custom
            .find(|custom| custom.group == &*own.group && custom.kind == &*own.kind && own.kind == kind.kind);
        if !custom.is_some_and(|custom| custom.is_converted_by_name()) {
            return Err(format!("it is a `{own}`, and what it is as `{kind}` only a cluster knows"));
        }
        let version = Value::from(kind.api_version());
        Ok(value::object(
            value::entries(object.value())
                .map(|(key, part)| (key, if key == "apiVersion" { version.clone() } else { part.clone() })),
        ))
    }

    /// The custom kind whose resource this is, if the version is served.
    pub(crate) fn kind_of(&self, group: &str, version: &str, resource: &str) -> Option<&'a str> {
        let mut custom = self.custom().filter(|custom| custom.group == group && custom.plural == resource);
        custom.find(|custom| custom.versions().any(|served| served == version)).map(|custom| custom.kind)
    }

    /// The schema of a version of a custom kind.
    pub(crate) fn schema(&self, gvk: &Gvk) -> Option<&'a Value> {
        let custom = self.custom().find(|custom| custom.group == &*gvk.group && custom.kind == &*gvk.kind)?;
        let mut versions = value::get(custom.spec, "versions").map(value::items).into_iter().flatten();
        let version = versions.find(|version| value::str_at(version, &["name"]) == Some(&*gvk.version))?;
        value::get_path(version, &["schema", "openAPIV3Schema"])
    }

    /// Whether there is such a kind: it is one of Kubernetes, or there is a definition or an object of it.
    pub(crate) fn knows(&self, gvk: &Gvk) -> bool {
        let is_defined = |custom: &Custom<'_>| {
            custom.group == &*gvk.group
                && custom.kind == &*gvk.kind
                && custom.versions().any(|version| version == &*gvk.version)
        };
        builtin::has(&gvk.group, &gvk.kind)
            || self.custom().any(|custom| is_defined(&custom))
            || self.objects(gvk, None).next().is_some()
            || self.namespaces().any(|namespace| self.objects(gvk, Some(namespace)).next().is_some())
    }

    /// Where objects of a kind live.
    pub(crate) fn scope(&self, gvk: &Gvk) -> Scope {
        let of_custom = || {
            let custom =
                self.custom().find(|custom| custom.group == &*gvk.group && custom.kind == &*gvk.kind)?;
            match value::str_at(custom.spec, &["scope"])? {
                "Namespaced" => Some(Scope::Namespaced),
                "Cluster" => Some(Scope::Cluster),
                _ => None,
            }
        };
        match Scopes::default().of(&gvk.group, &gvk.kind) {
            Scope::ByObject => of_custom().unwrap_or_else(|| {
                let is_cluster = self.objects(gvk, None).next().is_some();
                if is_cluster { Scope::Cluster } else { Scope::Namespaced }
            }),
            known => known,
        }
    }

    fn namespaces(&self) -> impl Iterator<Item = &'a str> {
        let all = value::get(self.inventory, "namespace");
        all.into_iter().flat_map(value::entries).map(|(name, _)| name)
    }

    /// The objects of a kind in a namespace, or those that live in none, by name.
    pub(crate) fn objects(
        &self,
        gvk: &Gvk,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        let all = match namespace {
            None => value::get(self.inventory, "cluster"),
            Some(name) => value::get_path(self.inventory, &["namespace", name]),
        };
        let version = gvk.api_version();
        let kinds = all.and_then(|all| value::get(all, &version));
        let objects = kinds.and_then(|kinds| value::get(kinds, &gvk.kind));
        objects.into_iter().flat_map(value::entries)
    }
}
