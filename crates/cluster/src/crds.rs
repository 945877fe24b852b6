//! The CRDs of constraint kinds. Gatekeeper makes them from templates; where it does not run, somebody has to, or no constraint can be
//! applied.

use serde_json::{Value, json};

use crate::connect::Cluster;
use crate::error::ClusterError;
use crate::published::{Definition, PolicyState};
use crate::resource::ApiResource;
use crate::write::{Written, at, says, set};

/// Makes the CRD of a template be there and be what the core says (`ConstraintTemplate::crd`). `template` is what owns it.
///
/// # Errors
///
/// If it cannot be written, such as because the API server finds the schema wrong.
pub async fn apply_constraint_crd(
    cluster: &Cluster,
    template: &PolicyState,
    crd: &Value,
) -> Result<Written, ClusterError> {
    let resource = ApiResource::definitions();
    let name = at(crd, &["metadata", "name"]).as_str().unwrap_or_default();
    let path = resource.path(None, Some(name));
    let mut wanted = crd.clone();
    // Not `blockOwnerDeletion`: some API servers want a right on the template's finalizers for it, and the CRD goes without it too.
    let owner = json!([{
        "apiVersion": template.resource.gvk.api_version(),
        "kind": "ConstraintTemplate",
        "name": template.name,
        "uid": template.uid,
        "controller": true,
    }]);
    set(&mut wanted, &["metadata", "ownerReferences"], owner);
    // One that is known not to be there need not be asked for.
    if template.definition != Definition::Missing {
        match cluster.get_json(&path).await {
            Ok(live) if says(&live, &wanted) => return Ok(Written::Unchanged),
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    cluster.apply(&path, &wanted).await?;
    Ok(Written::Changed)
}
