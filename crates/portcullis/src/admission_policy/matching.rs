//! Which requests: rules for resources, and selectors of labels, in the order in which the API server asks them.

use std::sync::Arc;

use super::resources::{Kinds, Resource};
use crate::api::Operation;
use crate::api::admission_policy::{MatchPolicy, MatchResources, Rule, RuleScope};
use crate::api::matching::LabelSelector;
use crate::matcher::Selector;
use crate::names::{Gvk, Scope};
use crate::object::Object;
use crate::scope::{Places, builtin};
use crate::value::Value;

/// A request, as policies ask for it.
pub(crate) struct Attributes<'a> {
    /// That of an object which is there already is that it is created.
    pub(crate) operation: Operation,
    /// What was asked for, in the version in which it was.
    pub(crate) resource: Resource,
    /// Whether the resource is known, and not taken from the name of the kind.
    pub(crate) is_known: bool,
    pub(crate) kind: Gvk,
    pub(crate) subresource: &'a str,
    pub(crate) name: &'a str,
    /// A Namespace is in the one of its own name.
    pub(crate) namespace: &'a str,
    pub(crate) object: Option<&'a Object>,
    pub(crate) old_object: Option<&'a Object>,
    /// What else there is, as `input.review` has it.
    pub(crate) request: &'a Value,
    /// Why the Namespace is not known, if somebody says.
    pub(crate) missing_namespace: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    /// Of an object that is created in a namespace, or in none, without anybody who asks for it: `request` is empty.
    pub(super) fn created(
        object: &'a Object,
        namespace: &'a str,
        kinds: &Kinds<'_>,
        request: &'a Value,
    ) -> Self {
        let kind = object.gvk().clone();
        let (resource, is_known) = kinds.resource(&kind);
        let home = match kinds.scope(&kind) {
            _ if object.is_namespace() => object.name(),
            Scope::Cluster => "",
            // Whoever says in which namespace counts more than nobody.
            Scope::Namespaced if namespace.is_empty() && builtin::has(&kind.group, &kind.kind) => {
                Places::DEFAULT
            }
            Scope::Namespaced | Scope::ByObject => namespace,
        };
        Self {
            operation: Operation::Create,
            resource,
            is_known,
            kind,
            subresource: "",
            name: object.name(),
            namespace: home,
            object: Some(object),
            old_object: None,
            request,
            missing_namespace: None,
        }
    }

    /// The same with another object.
    pub(super) fn with_object<'b>(&'b self, object: Option<&'b Object>) -> Attributes<'b>
    where
        'a: 'b,
    {
        Attributes {
            operation: self.operation,
            resource: self.resource.clone(),
            is_known: self.is_known,
            kind: self.kind.clone(),
            subresource: self.subresource,
            name: self.name,
            namespace: self.namespace,
            object,
            old_object: self.old_object,
            request: self.request,
            missing_namespace: self.missing_namespace,
        }
    }

    /// Whether an API server asks no policy about it: policies and what configures webhooks, so that a mistake in one
    /// can be taken back, and questions that nothing comes of.
    pub(super) fn is_exempt(&self) -> bool {
        const EXEMPT: &[(&str, &[&str])] = &[
            (
                "admissionregistration.k8s.io",
                &[
                    "mutatingadmissionpolicies",
                    "mutatingadmissionpolicybindings",
                    "mutatingwebhookconfigurations",
                    "validatingadmissionpolicies",
                    "validatingadmissionpolicybindings",
                    "validatingwebhookconfigurations",
                ],
            ),
            ("authentication.k8s.io", &["selfsubjectreviews", "tokenreviews"]),
            (
                "authorization.k8s.io",
                &[
                    "localsubjectaccessreviews",
                    "selfsubjectaccessreviews",
                    "selfsubjectrulesreviews",
                    "subjectaccessreviews",
                ],
            ),
        ];
        let Resource { group, name, .. } = &self.resource;
        EXEMPT.iter().any(|(known, names)| *known == &**group && names.contains(&&**name))
    }

    fn is_of_namespaces(&self) -> bool {
        &*self.resource.name == "namespaces"
    }

    /// Whether it is about a Namespace, which lives in none.
    pub(super) fn is_about_namespace(&self) -> bool {
        self.kind.group.is_empty() && &*self.kind.kind == "Namespace"
    }
}

/// Compiled criteria.
#[derive(Debug)]
pub(super) struct Matching {
    /// None selects everything.
    namespaces: Option<Selector>,
    objects: Option<Selector>,
    rules: Vec<Rule>,
    excluded: Vec<Rule>,
    policy: MatchPolicy,
}

/// How criteria apply: to which version of the resource.
#[derive(Debug)]
pub(super) struct Applies {
    pub(super) resource: Resource,
    pub(super) kind: Gvk,
}

/// Whether a rule is about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Yes,
    No,
    /// The resource of the kind is not known, and might be the rule's.
    Unknown,
}

impl Matching {
    pub(super) fn compile(api: &MatchResources) -> Self {
        let selector = |labels: &LabelSelector| {
            let is_empty = labels.match_labels.is_empty() && labels.match_expressions.is_empty();
            (!is_empty).then(|| Selector::compile(labels))
        };
        let MatchResources { namespace_selector, object_selector, rules, excluded, policy } = api;
        Self {
            namespaces: selector(namespace_selector),
            objects: selector(object_selector),
            rules: rules.clone(),
            excluded: excluded.clone(),
            policy: *policy,
        }
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether it may apply to objects of a kind. Never too little: what the resource of a kind is called, and
    /// which versions are the same, is not asked.
    pub(super) fn concerns(&self, gvk: &Gvk) -> bool {
        // Events are the same in two groups.
        let groups = if &*gvk.kind == "Event" { vec!["", "events.k8s.io"] } else { vec![&*gvk.group] };
        let is_about =
            |rule: &Rule| rule.groups.iter().any(|group| &**group == "*" || groups.contains(&&**group));
        self.rules.is_empty() || self.rules.iter().any(is_about)
    }

    /// Whether it applies, and how.
    pub(super) fn applies(
        &self,
        request: &Attributes<'_>,
        kinds: &Kinds<'_>,
        namespace: Option<&Object>,
    ) -> Result<Option<Applies>, String> {
        // An error of the selector counts only if all else is as it should be.
        let of_namespace = self.selects_namespace(request, namespace);
        if of_namespace == Ok(false) || !self.selects_object(request) {
            return Ok(None);
        }
        let excluded = self.by_rules(&self.excluded, request, kinds);
        if matches!(excluded, Ok(Some(_))) {
            return Ok(None);
        }
        let applies = if self.rules.is_empty() {
            Applies { resource: request.resource.clone(), kind: request.kind.clone() }
        } else {
            match self.by_rules(&self.rules, request, kinds)? {
                Some(applies) => applies,
                None => return Ok(None),
            }
        };
        excluded?;
        of_namespace?;
        Ok(Some(applies))
    }

    fn selects_namespace(
        &self,
        request: &Attributes<'_>,
        namespace: Option<&Object>,
    ) -> Result<bool, String> {
        if request.namespace.is_empty() && !request.is_of_namespaces() {
            return Ok(true);
        }
        let Some(selector) = &self.namespaces else { return Ok(true) };
        let is_own = request.is_of_namespaces() && request.subresource.is_empty();
        let own = match request.operation {
            Operation::Create | Operation::Update => request.object,
            // What goes away is as the cluster has it.
            _ => namespace.or(request.old_object),
        };
        if let Some(namespace) = if is_own { own } else { namespace } {
            return Ok(selector.matches(namespace));
        }
        let why = request.missing_namespace.map(|why| format!(": {why}")).unwrap_or_default();
        Err(format!("namespaces \"{}\" not found{why}", request.namespace))
    }

    fn selects_object(&self, request: &Attributes<'_>) -> bool {
        let Some(selector) = &self.objects else { return true };
        [request.object, request.old_object].into_iter().flatten().any(|object| selector.matches(object))
    }

    fn by_rules(
        &self,
        rules: &[Rule],
        request: &Attributes<'_>,
        kinds: &Kinds<'_>,
    ) -> Result<Option<Applies>, String> {
        let mut is_unknown = false;
        for rule in rules {
            match about(rule, request, &request.resource, request.is_known) {
                About::Yes => {
                    let (resource, kind) = (request.resource.clone(), request.kind.clone());
                    return Ok(Some(Applies { resource, kind }));
                }
                About::Unknown => is_unknown = true,
                About::No => {}
            }
        }
        if self.policy == MatchPolicy::Equivalent {
            let others = kinds.equivalents(&request.resource);
            for rule in rules {
                for (resource, kind) in &others {
                    if about(rule, request, resource, true) == About::Yes {
                        // What is sent to a subresource has a kind of its own.
                        let kind = if request.subresource.is_empty() || request.kind.kind == kind.kind {
                            kind.clone()
                        } else {
                            request.kind.clone()
                        };
                        return Ok(Some(Applies { resource: resource.clone(), kind }));
                    }
                }
            }
        }
        if is_unknown {
            return Err(format!(
                "it is not known which resource the kind `{}` of group `{}` is: its CustomResourceDefinition is not among the input",
                request.kind.kind, request.kind.group
            ));
        }
        Ok(None)
    }
}

fn about(rule: &Rule, request: &Attributes<'_>, resource: &Resource, is_known: bool) -> About {
    let has = |texts: &[Arc<str>], wanted: &str| texts.iter().any(|text| &**text == "*" || &**text == wanted);
    let is_namespaces =
        resource.group.is_empty() && &*resource.version == "v1" && &*resource.name == "namespaces";
    let is_cluster = is_namespaces || request.namespace.is_empty();
    // What is not known and names no namespace may live in one all the same.
    let may_live_elsewhere = !is_known && request.namespace.is_empty() && rule.scope != RuleScope::Any;
    let fits = may_live_elsewhere
        || match rule.scope {
            RuleScope::Any => true,
            RuleScope::Namespaced => !is_cluster,
            RuleScope::Cluster => is_cluster,
        };
    if !fits
        || !has(&rule.operations, request.operation.as_str())
        || !has(&rule.groups, &resource.group)
        || !has(&rule.versions, &resource.version)
    {
        return About::No;
    }
    let is_named = rule.names.is_empty() || rule.names.iter().any(|name| **name == *request.name);
    if !is_named {
        return About::No;
    }
    let mut answer = About::No;
    for wanted in &rule.resources {
        let (name, part) = wanted.split_once('/').unwrap_or((wanted, ""));
        if part != "*" && part != request.subresource {
            continue;
        }
        if (name == "*" || name == &*resource.name) && !may_live_elsewhere {
            return About::Yes;
        }
        if !is_known {
            answer = About::Unknown;
        }
    }
    answer
}
