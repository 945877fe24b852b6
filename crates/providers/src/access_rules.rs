//! What a file of answers says of rights: a list of rules, of which the first that fits counts.
//!
//! ```yaml
//! access:
//!   - {user: alice, verb: create, resource: secrets, namespace: shop, allowed: true}
//!   - {verb: get, path: /healthz, allowed: false, reason: nobody may}
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis::{AccessAnswer, AccessQuestion, AccessResource, AccessTo};
use serde::{Deserialize, Serialize};

/// A rule. Who is not named is anybody; to what access is wanted, and how, has to be the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct AccessRule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<Arc<str>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extra: Option<BTreeMap<Arc<str>, Vec<Arc<str>>>>,
    verb: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    group: Arc<str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    resource: Arc<str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    subresource: Arc<str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    namespace: Arc<str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    name: Arc<str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    field_selector: Arc<str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    label_selector: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allowed: Option<bool>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    reason: Arc<str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    error: Arc<str>,
    /// The cluster could not be asked: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<Arc<str>>,
}

impl AccessRule {
    /// Reads an entry of the list.
    ///
    /// # Errors
    ///
    /// If it is none: one sentence.
    pub(crate) fn read(entry: serde_json::Value) -> Result<Self, String> {
        let rule: Self = serde_json::from_value(entry).map_err(|error| error.to_string())?;
        let is_path = rule.path.is_some();
        let of_resources = [
            &rule.group,
            &rule.subresource,
            &rule.namespace,
            &rule.name,
            &rule.field_selector,
            &rule.label_selector,
        ];
        if is_path != rule.resource.is_empty() {
            return Err("a rule has either `resource` or `path`".to_owned());
        }
        if is_path && of_resources.iter().any(|text| !text.is_empty()) {
            return Err("what has a `path` has nothing that is about resources".to_owned());
        }
        if rule.allowed.is_some() == rule.failure.is_some() {
            return Err("a rule has either `allowed` or `failure`".to_owned());
        }
        Ok(rule)
    }

    /// What says this answer to this question, and to no other.
    pub(crate) fn of(question: &AccessQuestion, answer: &AccessAnswer) -> Self {
        let user = &question.user;
        let mut rule = Self {
            user: Some(user.name.clone()),
            uid: Some(user.uid.clone()),
            groups: Some(user.groups.clone()),
            extra: Some(user.extra.clone()),
            verb: question.verb.clone(),
            ..Self::default()
        };
        match &question.to {
            AccessTo::Path(path) => rule.path = Some(path.clone()),
            AccessTo::Resource(AccessResource {
                group,
                resource,
                subresource,
                namespace,
                name,
                field_selector,
                label_selector,
            }) => {
                let slots = [
                    (&mut rule.group, group),
                    (&mut rule.resource, resource),
                    (&mut rule.subresource, subresource),
                    (&mut rule.namespace, namespace),
                    (&mut rule.name, name),
                    (&mut rule.field_selector, field_selector),
                    (&mut rule.label_selector, label_selector),
                ];
                for (slot, text) in slots {
                    *slot = text.clone();
                }
            }
        }
        match answer {
            AccessAnswer::Decided { allowed, reason, error } => {
                rule.allowed = Some(*allowed);
                (rule.reason, rule.error) = (reason.clone(), error.clone());
            }
            AccessAnswer::Failure(why) => rule.failure = Some(why.clone()),
        }
        rule
    }

    /// Whether it says something of a question.
    pub(crate) fn fits(&self, question: &AccessQuestion) -> bool {
        let user = &question.user;
        let is_user = self.user.as_ref().is_none_or(|name| *name == user.name)
            && self.uid.as_ref().is_none_or(|uid| *uid == user.uid)
            && self.groups.as_ref().is_none_or(|groups| *groups == user.groups)
            && self.extra.as_ref().is_none_or(|extra| *extra == user.extra);
        let is_to = match (&question.to, &self.path) {
            (AccessTo::Path(path), Some(own)) => path == own,
            (AccessTo::Resource(resource), None) => {
                *resource
                    == AccessResource {
                        group: self.group.clone(),
                        resource: self.resource.clone(),
                        subresource: self.subresource.clone(),
                        namespace: self.namespace.clone(),
                        name: self.name.clone(),
                        field_selector: self.field_selector.clone(),
                        label_selector: self.label_selector.clone(),
                    }
            }
            _ => false,
        };
        is_user && is_to && self.verb == question.verb
    }

    pub(crate) fn answer(&self) -> AccessAnswer {
        match (&self.failure, self.allowed) {
            (Some(why), _) => AccessAnswer::Failure(why.clone()),
            (None, allowed) => AccessAnswer::Decided {
                allowed: allowed == Some(true),
                reason: self.reason.clone(),
                error: self.error.clone(),
            },
        }
    }
}
