//! The parameters of a binding: which objects they are.

use std::sync::Arc;

use super::resources::Kinds;
use crate::api::admission_policy::{NotFound, ParamRef, ParamSelection};
use crate::matcher::Selector;
use crate::names::{Gvk, Scope};
use crate::value::Value;

/// A compiled `paramRef`.
#[derive(Debug)]
pub(super) struct ParamsOf {
    selection: Selection,
    namespace: Option<Arc<str>>,
    not_found: NotFound,
}

#[derive(Debug)]
enum Selection {
    Name(Arc<str>),
    Labels(Selector),
}

/// What there is of parameters.
pub(super) enum Found {
    /// The policy is judged without.
    Without,
    /// It is judged with each of these.
    These(Vec<Value>),
    /// There are none, and it does not apply then.
    None,
}

impl ParamsOf {
    pub(super) fn compile(api: &ParamRef) -> Self {
        Self {
            selection: match &api.selection {
                ParamSelection::Name(name) => Selection::Name(name.clone()),
                ParamSelection::Labels(labels) => Selection::Labels(Selector::compile(labels)),
            },
            namespace: api.namespace.clone(),
            not_found: api.not_found,
        }
    }
}

/// The parameters for a request in a namespace; the empty one is none.
pub(super) fn collect(
    kind: Option<&Gvk>,
    wanted: Option<&ParamsOf>,
    namespace: &str,
    kinds: &Kinds<'_>,
) -> Result<Found, String> {
    let (Some(kind), Some(wanted)) = (kind, wanted) else { return Ok(Found::Without) };
    let namespace = match (kinds.scope(kind), &wanted.namespace) {
        (Scope::Cluster, Some(_)) => {
            return Err("paramRef.namespace must not be provided for a cluster-scoped `paramKind`".to_owned());
        }
        (Scope::Cluster, None) => None,
        (_, Some(namespace)) => Some(&**namespace),
        (_, None) if namespace.is_empty() => {
            let message =
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources";
            return Err(message.to_owned());
        }
        (_, None) => Some(namespace),
    };
    let objects = kinds.objects(kind, namespace);
    let is_wanted = |name: &str, object: &Value| match &wanted.selection {
        Selection::Name(wanted) => **wanted == *name,
        Selection::Labels(selector) => selector.matches_labels_of(object),
    };
    let params: Vec<Value> =
        objects.filter(|(name, object)| is_wanted(name, object)).map(|(_, object)| object.clone()).collect();
    match (params.is_empty(), wanted.not_found) {
        (false, _) => Ok(Found::These(params)),
        (true, NotFound::Allow) => Ok(Found::None),
        (true, NotFound::Deny) => {
            Err("no params found for policy binding with `Deny` parameterNotFoundAction".to_owned())
        }
    }
}
