//! Which kinds there are.
//!
//! Newer API servers say it in two documents (aggregated discovery), older ones in one per group and version. A group that does not
//! answer, such as one whose extension server is down, does not hide the others; it is reported.

use std::collections::BTreeMap;
use std::fmt;

use portcullis::{Gvk, Scope, Scopes};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::connect::{Ask, Cluster, JSON};
use crate::error::ClusterError;
use crate::resource::ApiResource;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// The kinds of a cluster that can be listed.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// All versions.
    all: BTreeMap<Gvk, Served>,
    problems: Vec<DiscoveryProblem>,
}

#[derive(Clone, Debug)]
struct Served {
    resource: ApiResource,
    /// Whether it is the version of its group and kind that the API server prefers.
    preferred: bool,
}

/// A group and version of which it is not known what kinds it has.
#[derive(Clone, Debug)]
pub struct DiscoveryProblem {
    /// `group/version`, or a path if not even the groups could be read.
    pub group_version: String,
    /// Why.
    pub message: String,
}

impl fmt::Display for DiscoveryProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kinds of {} are not known: {}", self.group_version, self.message)
    }
}

impl Discovery {
    /// Asks the API server.
    ///
    /// # Errors
    ///
    /// If neither the core group nor the list of the others can be read.
    pub async fn of(cluster: &Cluster) -> Result<Self, ClusterError> {
        let mut found = Self::default();
        for root in ["/api", "/apis"] {
            let ask = Ask { accept: AGGREGATED, ..Ask::get(root) };
            let (_, body) = cluster.ask(&ask).await?;
            let kind: Kind = parse(root, &body)?;
            match &*kind.kind {
                "APIGroupDiscoveryList" => found.add_aggregated(&parse(root, &body)?),
                "APIVersions" => {
                    let versions: Versions = parse(root, &body)?;
                    let groups = [(String::new(), versions.versions)];
                    found.add_groups(cluster, groups).await;
                }
                "APIGroupList" => {
                    let groups: Groups = parse(root, &body)?;
                    let groups = groups.groups.into_iter().map(|group| {
                        // The preferred version first, the others as they come.
                        let preferred = group.preferred_version.map(|version| version.version);
                        let others = group.versions.into_iter().map(|version| version.version);
                        let others = others.filter(|version| Some(version) != preferred.as_ref());
                        let versions = preferred.iter().cloned().chain(others).collect();
                        (group.name, versions)
                    });
                    found.add_groups(cluster, groups).await;
                }
                other => {
                    let message = format!("expected a list of API groups, found `{other}`");
                    return Err(ClusterError::unreadable(format!("GET {root}"), message));
                }
            }
        }
        Ok(found)
    }

    /// Every kind once, in the version that the API server prefers, in the order of the names.
    pub fn preferred(&self) -> impl Iterator<Item = &ApiResource> {
        self.all.values().filter(|served| served.preferred).map(|served| &served.resource)
    }

    /// Every kind in every version.
    pub fn all(&self) -> impl Iterator<Item = &ApiResource> {
        self.all.values().map(|served| &served.resource)
    }

    /// A kind, if it is served in this version and can be listed.
    #[must_use]
    pub fn get(&self, gvk: &Gvk) -> Option<&ApiResource> {
        self.all.get(gvk).map(|served| &served.resource)
    }

    /// Where the objects of its kinds live.
    #[must_use]
    pub fn scopes(&self) -> Scopes {
        let mut scopes = Scopes::default();
        for resource in self.all() {
            let scope = if resource.namespaced { Scope::Namespaced } else { Scope::Cluster };
            scopes.insert(resource.gvk.group_kind(), scope);
        }
        scopes
    }

    /// What is not known.
    #[must_use]
    pub fn problems(&self) -> &[DiscoveryProblem] {
        &self.problems
    }

    fn add_aggregated(&mut self, list: &AggregatedList) {
        for group in &list.items {
            let name = &*group.metadata.name;
            for version in &group.versions {
                // Stale is what an extension server said before it stopped to answer.
                if version.freshness.as_deref() == Some("Stale") {
                    let message = "its server does not answer".to_owned();
                    self.problem(name, &version.version, message);
                }
                for resource in &version.resources {
                    let kind = resource.response_kind.as_ref();
                    let Some(kind) = kind.map(|kind| &*kind.kind).filter(|kind| !kind.is_empty()) else {
                        continue;
                    };
                    let gvk = gvk(name, &version.version, kind);
                    let namespaced = resource.scope == "Namespaced";
                    self.add(gvk, &resource.resource, namespaced, &resource.verbs);
                }
            }
        }
    }

    async fn add_groups(
        &mut self,
        cluster: &Cluster,
        groups: impl IntoIterator<Item = (String, Vec<String>)>,
    ) {
        for (group, versions) in groups {
            for version in versions {
                let path = match &*group {
                    "" => format!("/api/{version}"),
                    group => format!("/apis/{group}/{version}"),
                };
                let ask = Ask { accept: JSON, ..Ask::get(&path) };
                let list = match cluster.ask(&ask).await {
                    Ok((_, body)) => parse::<ResourceList>(&path, &body),
                    Err(error) => Err(error),
                };
                match list {
                    Ok(list) => {
                        for resource in list.resources {
                            // `pods/log` is a part of a kind.
                            if !resource.name.contains('/') {
                                let gvk = gvk(&group, &version, &resource.kind);
                                self.add(gvk, &resource.name, resource.namespaced, &resource.verbs);
                            }
                        }
                    }
                    Err(error) => self.problem(&group, &version, error.to_string()),
                }
            }
        }
    }

    /// Versions come in the order of preference.
    fn add(&mut self, gvk: Gvk, plural: &str, namespaced: bool, verbs: &[String]) {
        if !verbs.iter().any(|verb| verb == "list") || plural.is_empty() {
            return;
        }
        let preferred = !self.all.values().any(|served| {
            let other = &served.resource.gvk;
            served.preferred && other.group == gvk.group && other.kind == gvk.kind && other != &gvk
        });
        let resource = ApiResource { gvk: gvk.clone(), plural: plural.into(), namespaced };
        self.all.entry(gvk).or_insert(Served { resource, preferred });
    }

    fn problem(&mut self, group: &str, version: &str, message: String) {
        let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        self.problems.push(DiscoveryProblem { group_version, message });
    }
}

fn gvk(group: &str, version: &str, kind: &str) -> Gvk {
    Gvk { group: group.into(), version: version.into(), kind: kind.into() }
}

fn parse<T: DeserializeOwned>(path: &str, body: &[u8]) -> Result<T, ClusterError> {
    serde_json::from_slice(body).map_err(|error| {
        ClusterError::unreadable(format!("GET {path}"), format!("expected API groups: {error}"))
    })
}

#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
struct Versions {
    #[serde(default)]
    versions: Vec<String>,
}

#[derive(Deserialize)]
struct Groups {
    #[serde(default)]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    #[serde(default)]
    versions: Vec<GroupVersion>,
    preferred_version: Option<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

#[derive(Deserialize)]
struct ResourceList {
    #[serde(default)]
    resources: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    namespaced: bool,
    #[serde(default)]
    verbs: Vec<String>,
}

#[derive(Deserialize)]
struct AggregatedList {
    #[serde(default)]
    items: Vec<AggregatedGroup>,
}

#[derive(Deserialize)]
struct AggregatedGroup {
    #[serde(default)]
    metadata: Named,
    #[serde(default)]
    versions: Vec<AggregatedVersion>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct AggregatedVersion {
    version: String,
    #[serde(default)]
    resources: Vec<AggregatedResource>,
    freshness: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AggregatedResource {
    resource: String,
    response_kind: Option<Kind>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    verbs: Vec<String>,
}
