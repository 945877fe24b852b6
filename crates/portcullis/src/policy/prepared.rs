//! Templates compiled ahead of the store that takes them: the one long part of loading policies, which does
//! not depend on any other.

use super::CompiledTemplate;
use crate::api::Resource;
use crate::error::Error;

/// A resource, and if it is a template, what compiling it gives.
///
/// For callers with more than one core: the core spawns no threads, but [`Prepared::of`] may be called on any.
/// The policies and errors are the same as without.
///
/// ```
/// use std::thread;
///
/// use portcullis::{ConfigHomes, Document, PolicySet, Prepared, Resource};
///
/// let text = "{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: NoHostPid, metadata: {name: no-host-pid}}";
/// let (documents, _) = Document::read_all("c.yaml", text);
/// let resources: Vec<Resource> = documents.iter().filter_map(|document| Resource::read(document).0).collect();
/// let prepared: Vec<Prepared> = thread::scope(|scope| {
///     let started: Vec<_> =
///         resources.into_iter().map(|resource| scope.spawn(|| Prepared::of(resource))).collect();
///     started.into_iter().map(|thread| thread.join().unwrap()).collect()
/// });
/// let (_, errors) = PolicySet::from_resources(prepared);
/// assert_eq!(errors.len(), 1, "its template is missing: {errors:?}");
/// ```
#[derive(Debug)]
pub struct Prepared {
    pub(super) resource: Resource,
    /// Of a template.
    pub(super) compiled: Option<(Option<CompiledTemplate>, Vec<Error>)>,
}

impl Prepared {
    /// Compiles a template; nothing else takes time worth it. Cost: about half a millisecond for each.
    #[must_use]
    pub fn of(resource: Resource) -> Self {
        let template = match &resource {
            Resource::Rejected(rejected) => &**rejected,
            resource => resource,
        };
        let compiled = if let Resource::Template(template) = template {
            Some(CompiledTemplate::of(template))
        } else {
            None
        };
        Self { resource, compiled }
    }

    /// The resource.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.resource
    }
}

impl From<Resource> for Prepared {
    fn from(resource: Resource) -> Self {
        Self { resource, compiled: None }
    }
}
