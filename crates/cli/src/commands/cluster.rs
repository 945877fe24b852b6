//! `--kube` of `test`: the policies of a cluster, and what they compare objects with. It only reads.

use std::collections::BTreeSet;

use portcullis::{Error, Object, PolicySet, Resource, Scopes};
#[cfg(feature = "kube")]
use portcullis_audit::kube::{Connection, Mutators};

#[cfg(feature = "kube")]
use crate::test_args::ClusterArgs;

/// A cluster that is asked. A build that knows none has no value of it.
#[cfg(feature = "kube")]
pub struct Cluster(Connection);
#[cfg(not(feature = "kube"))]
pub enum Cluster {}

#[cfg(not(feature = "kube"))]
impl Cluster {
    pub fn policies(&self, _: bool) -> anyhow::Result<(Vec<Resource>, Vec<Error>)> {
        match *self {}
    }

    pub fn inventory(&self, _: &PolicySet) -> anyhow::Result<(Vec<Object>, Scopes, Vec<Error>)> {
        match *self {}
    }
}

#[cfg(feature = "kube")]
impl Cluster {
    /// Connects, if it is asked for.
    ///
    /// # Errors
    ///
    /// If it is not known where the API server is.
    pub fn of(args: &ClusterArgs) -> anyhow::Result<Option<Self>> {
        if !args.kube {
            return Ok(None);
        }
        let options = args.connect.options(concat!("portcullis/", env!("CARGO_PKG_VERSION")));
        Ok(Some(Self(Connection::open(&options)?)))
    }

    /// Its policies, and what is wrong with them.
    ///
    /// # Errors
    ///
    /// If they cannot be listed: half of them would look like all.
    pub fn policies(&self, is_mutating: bool) -> anyhow::Result<(Vec<Resource>, Vec<Error>)> {
        let mutators = if is_mutating { Mutators::Applied } else { Mutators::Implied };
        Ok(self.0.resources(mutators)?)
    }

    /// What policies compare objects with, where objects of the cluster's kinds live, and what could not be listed.
    ///
    /// # Errors
    ///
    /// If not even the kinds can be asked for, or it is too much.
    pub fn inventory(&self, policies: &PolicySet) -> anyhow::Result<(Vec<Object>, Scopes, Vec<Error>)> {
        let mut objects = Vec::new();
        let (scopes, problems) = self.0.inventory(policies, |object| objects.push(object))?;
        Ok((objects, scopes, problems))
    }
}

/// What of a cluster's policies no file has. A file counts more: it is what the cluster will have.
pub fn without_those_of_files(
    mut of_cluster: Vec<Resource>,
    of_files: &[&Resource],
) -> (Vec<Resource>, Vec<String>) {
    let written: BTreeSet<String> = of_files.iter().filter_map(|one| name(one)).collect();
    let mut replaced = Vec::new();
    of_cluster.retain(|resource| match name(resource).filter(|name| written.contains(name)) {
        None => true,
        Some(name) => {
            replaced.push(name);
            false
        }
    });
    replaced.sort();
    (of_cluster, replaced)
}

/// What a policy is called in a cluster. None of what adds up, such as SyncSets.
fn name(resource: &Resource) -> Option<String> {
    match resource {
        Resource::Template(template) => {
            Some(format!("ConstraintTemplate/{}", template.kind().to_lowercase()))
        }
        Resource::Constraint(constraint) => Some(constraint.key().to_string()),
        Resource::Mutator(mutator) => Some(mutator.key().to_string()),
        Resource::ExpansionTemplate(template) => Some(format!("ExpansionTemplate/{}", template.name())),
        Resource::Exception(exception) => Some(format!("PolicyException/{}", exception.name())),
        Resource::Config(_) => Some("Config/config".to_owned()),
        Resource::Rejected(of) => name(of),
        _ => None,
    }
}
