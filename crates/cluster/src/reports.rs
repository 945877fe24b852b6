//! Objects that are ours alone, such as policy reports: written where they are different, deleted where they are no longer wanted.

use std::collections::BTreeSet;

use http::Method;
use serde_json::Value;

use crate::connect::{Ask, Cluster, JSON, OBJECT_BYTES};
use crate::error::ClusterError;
use crate::pages::{Consistency, Pages};
use crate::resource::ApiResource;
use crate::write::{Written, at, says};

/// Namespace and name of an object; the namespace is empty if there is none.
pub type ObjectId = (String, String);

/// Makes an object be what it should, unless it is so already: then nothing is written. What others put into it stays.
///
/// # Errors
///
/// If it cannot be read or written.
pub async fn write_object(
    cluster: &Cluster,
    resource: &ApiResource,
    object: &Value,
) -> Result<Written, ClusterError> {
    let (namespace, name) = id(object);
    let path = resource.path(Some(&*namespace).filter(|namespace| !namespace.is_empty()), Some(&name));
    match cluster.get_json(&path).await {
        Ok(live) if says(&live, object) => return Ok(Written::Unchanged),
        Ok(_) => {}
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    match cluster.apply(&path, object).await {
        Ok(_) => Ok(Written::Changed),
        // Its namespace is going, or the kind is not served.
        Err(error) if error.is_not_found() => Ok(Written::Missing),
        Err(error) => Err(error),
    }
}

/// Deletes the objects of a kind that have a label and are not among those to keep. Returns how many.
///
/// # Errors
///
/// If they cannot be listed, or one not be deleted.
pub async fn delete_others(
    cluster: &Cluster,
    resource: &ApiResource,
    label: (&str, &str),
    keep: &BTreeSet<ObjectId>,
) -> Result<usize, ClusterError> {
    const PAGE: u32 = 100;
    let mut pages = Pages::new(cluster, resource, PAGE, Consistency::EachOnce);
    let mut leftover = Vec::new();
    while let Some(page) = pages.next().await? {
        // What is not readable is none of ours.
        for object in page.objects().flatten().filter(|object| object.label(label.0) == Some(label.1)) {
            let id = (object.namespace().to_string(), object.name().to_string());
            if !keep.contains(&id) {
                leftover.push(id);
            }
        }
    }
    for (namespace, name) in &leftover {
        let path = resource.path(Some(&**namespace).filter(|namespace| !namespace.is_empty()), Some(name));
        let ask = Ask { method: Method::DELETE, path: &path, accept: JSON, body: None, most: OBJECT_BYTES };
        match cluster.ask(&ask).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    Ok(leftover.len())
}

fn id(object: &Value) -> ObjectId {
    let part = |key| at(object, &["metadata", key]).as_str().unwrap_or_default().to_owned();
    (part("namespace"), part("name"))
}
