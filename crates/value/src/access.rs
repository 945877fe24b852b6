//! Questions about rights: whether somebody may do something in a cluster, as a SubjectAccessReview asks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::quote;

/// Who wants to do something.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessUser {
    /// The name; empty if it is not known.
    pub name: Arc<str>,
    /// An identity that no other user ever had; mostly empty.
    pub uid: Arc<str>,
    /// In the order of the request.
    pub groups: Vec<Arc<str>>,
    /// What else is known of the user.
    pub extra: BTreeMap<Arc<str>, Vec<Arc<str>>>,
}

impl AccessUser {
    /// A service account, as API servers know it.
    #[must_use]
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self {
            name: format!("system:serviceaccount:{namespace}:{name}").into(),
            groups: vec![
                "system:serviceaccounts".into(),
                format!("system:serviceaccounts:{namespace}").into(),
            ],
            ..Self::default()
        }
    }
}

/// Resources, as far as is said which: what is empty is any.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessResource {
    /// The group of the API; empty for that of Pods.
    pub group: Arc<str>,
    /// Such as `pods`.
    pub resource: Arc<str>,
    /// Such as `status`.
    pub subresource: Arc<str>,
    /// Where it is.
    pub namespace: Arc<str>,
    /// Which one.
    pub name: Arc<str>,
    /// Those of a list with these fields.
    pub field_selector: Arc<str>,
    /// Those of a list with these labels.
    pub label_selector: Arc<str>,
}

/// To what somebody wants access.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccessTo {
    /// A path of the API server that is no resource, such as `/healthz`.
    Path(Arc<str>),
    /// Resources.
    Resource(AccessResource),
}

/// Whether somebody may do something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessQuestion {
    /// Who.
    pub user: Arc<AccessUser>,
    /// To what.
    pub to: AccessTo,
    /// What is done, such as `get`.
    pub verb: Arc<str>,
}

impl AccessQuestion {
    /// What its texts take together, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let AccessUser { name, uid, groups, extra } = &*self.user;
        let list = |texts: &[Arc<str>]| texts.iter().map(|text| text.len() + 16).sum::<usize>();
        let extra: usize = extra.iter().map(|(key, values)| key.len() + 64 + list(values)).sum();
        let to = match &self.to {
            AccessTo::Path(path) => path.len(),
            AccessTo::Resource(resource) => resource.texts().iter().map(|text| text.len()).sum(),
        };
        name.len() + uid.len() + list(groups) + extra + to + self.verb.len()
    }
}

impl AccessResource {
    fn texts(&self) -> [&Arc<str>; 7] {
        let Self { group, resource, subresource, namespace, name, field_selector, label_selector } = self;
        [group, resource, subresource, namespace, name, field_selector, label_selector]
    }
}

/// `whether user "alice" may "create" "secrets" in namespace "shop"`.
impl fmt::Display for AccessQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "whether user {} may {} ", quote(&self.user.name), quote(&self.verb))?;
        let AccessResource { group, resource, subresource, namespace, name, field_selector, label_selector } =
            match &self.to {
                AccessTo::Path(path) => return write!(f, "path {}", quote(path)),
                AccessTo::Resource(resource) => resource,
            };
        let mut what = resource.to_string();
        for (before, part) in [("/", subresource), (".", group)] {
            if !part.is_empty() {
                what.push_str(before);
                what.push_str(part);
            }
        }
        f.write_str(&quote(&what))?;
        let parts = [
            ("named", name),
            ("in namespace", namespace),
            ("with fields", field_selector),
            ("with labels", label_selector),
        ];
        for (what, part) in parts.into_iter().filter(|(_, part)| !part.is_empty()) {
            write!(f, " {what} {}", quote(part))?;
        }
        Ok(())
    }
}

/// What a cluster says of somebody's rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessAnswer {
    /// It decided.
    Decided {
        /// Whether it is allowed.
        allowed: bool,
        /// Why; may be empty.
        reason: Arc<str>,
        /// What went wrong while it decided; empty if nothing did.
        error: Arc<str>,
    },
    /// It could not be asked: why.
    Failure(Arc<str>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_told_in_a_sentence() {
        let user = Arc::new(AccessUser::service_account("shop", "robot"));
        let resource = AccessResource {
            group: "apps".into(),
            resource: "deployments".into(),
            subresource: "scale".into(),
            namespace: "shop".into(),
            name: "web".into(),
            ..AccessResource::default()
        };
        let question = |to| AccessQuestion { user: user.clone(), to, verb: "update".into() };
        assert_eq!(
            question(AccessTo::Resource(resource)).to_string(),
            r#"whether user "system:serviceaccount:shop:robot" may "update" "deployments/scale.apps" named "web" in namespace "shop""#
        );
        let path = question(AccessTo::Path("/healthz".into()));
        assert!(path.to_string().ends_with(r#" may "update" path "/healthz""#), "{path}");
        assert_eq!(user.groups.len(), 2);
    }
}
