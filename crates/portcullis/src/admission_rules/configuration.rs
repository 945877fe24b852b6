//! A `ValidatingWebhookConfiguration` or `MutatingWebhookConfiguration`, as far as it says what is sent to us.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{ANY, AdmissionTarget};
use crate::api::Operation;
use crate::api::matching::LabelSelector;
use crate::document::Document;
use crate::error::{Error, ErrorKind, Severity};
use crate::node::Node;
use crate::object::Object;
use crate::scope::Scope;
use crate::source::Location;
use crate::value;

/// The webhooks of one or more configurations.
#[derive(Clone, Debug, Default)]
pub struct WebhookConfiguration {
    pub(super) webhooks: Vec<Webhook>,
}

/// One entry of `webhooks`.
#[derive(Clone, Debug)]
pub(super) struct Webhook {
    pub(super) name: Arc<str>,
    pub(super) location: Location,
    pub(super) path: Arc<str>,
    /// The namespace of the service that answers.
    pub(super) namespace: Option<Arc<str>>,
    pub(super) rules: Vec<Rule>,
    /// Where rules stand, or would.
    pub(super) rules_at: Location,
    pub(super) namespaces: Option<(LabelSelector, Location)>,
    pub(super) objects: Option<(LabelSelector, Location)>,
    pub(super) conditions: Option<Location>,
    pub(super) fails: Failing,
    pub(super) fails_at: Location,
    /// Where `matchPolicy: Exact` stands.
    pub(super) exact: Option<Location>,
}

/// What happens to requests when nobody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failing {
    /// They are refused. That is so if nothing is said.
    Closed,
    /// They pass.
    Open,
}

/// One entry of `rules`.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// None for all.
    pub(super) operations: Option<Vec<(Operation, Location)>>,
    pub(super) operations_at: Location,
    pub(super) groups: Vec<Arc<str>>,
    pub(super) versions: Vec<Arc<str>>,
    pub(super) resources: Vec<Sent>,
    /// The same, to be looked up.
    known: BTreeSet<(Arc<str>, Option<Arc<str>>)>,
    pub(super) scope: Scope,
}

/// One entry of `resources`: `pods`, `pods/status`, `*`, `*/*`, `*/scale`.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) resource: Arc<str>,
    pub(super) part: Option<Arc<str>>,
    pub(super) location: Location,
}

impl WebhookConfiguration {
    const GROUP: &'static str = "admissionregistration.k8s.io";
    const VALIDATING: &'static str = "ValidatingWebhookConfiguration";
    const MUTATING: &'static str = "MutatingWebhookConfiguration";

    /// Reads a document, if it is a `ValidatingWebhookConfiguration`. What is wrong with it comes beside it; with
    /// an error it is not used.
    #[must_use]
    pub fn read(document: &Document) -> (Option<Self>, Vec<Error>) {
        Self::read_as(Self::VALIDATING, document)
    }

    /// The same of a `MutatingWebhookConfiguration`.
    #[must_use]
    pub fn read_mutating(document: &Document) -> (Option<Self>, Vec<Error>) {
        Self::read_as(Self::MUTATING, document)
    }

    fn read_as(kind: &str, document: &Document) -> (Option<Self>, Vec<Error>) {
        let mut errors = Vec::new();
        let is_one = Object::from_document(document.clone()).is_ok_and(|object| {
            let gvk = object.gvk();
            *gvk.group == *Self::GROUP && *gvk.kind == *kind
        });
        if !is_one {
            return (None, errors);
        }
        let root = Node::root(document);
        root.check_fields(&["apiVersion", "kind", "metadata", "webhooks"], &mut errors);
        let webhooks = root.list("webhooks", &mut errors);
        let webhooks = webhooks.iter().map(|node| Webhook::read(node, &mut errors)).collect();
        let is_broken = errors.iter().any(|error| error.severity() == Severity::Error);
        ((!is_broken).then_some(Self { webhooks }), errors)
    }

    /// Takes the webhooks of another one, too.
    pub fn extend(&mut self, other: Self) {
        self.webhooks.extend(other.webhooks);
    }
}

impl Webhook {
    fn read(node: &Node<'_>, errors: &mut Vec<Error>) -> Self {
        const POLICIES: &[(&str, Failing)] = &[("Ignore", Failing::Open), ("Fail", Failing::Closed)];
        const MATCHING: &[(&str, bool)] = &[("Equivalent", false), ("Exact", true)];
        node.check_fields(
            &[
                "admissionReviewVersions",
                "clientConfig",
                "failurePolicy",
                "matchConditions",
                "matchPolicy",
                "name",
                "namespaceSelector",
                "objectSelector",
                // Of those that mutate.
                "reinvocationPolicy",
                "rules",
                "sideEffects",
                "timeoutSeconds",
            ],
            errors,
        );
        let client = node.field("clientConfig");
        let text = |path: &[&str]| {
            client.as_ref().and_then(|client| value::str_at(client.value(), path)).map(Arc::<str>::from)
        };
        let path = text(&["service", "path"]).or_else(|| {
            let url = text(&["url"])?;
            let (_, rest) = url.split_once("://")?;
            Some(rest.find('/').and_then(|start| rest.get(start..)).unwrap_or("/").into())
        });
        let selector = |key: &str, errors: &mut Vec<Error>| {
            let node = node.field(key)?;
            let selector = LabelSelector::read(&node, errors);
            (selector != LabelSelector::default()).then(|| (selector, node.location()))
        };
        let failure = node.field("failurePolicy");
        let matching = node.field("matchPolicy");
        let conditions = node.field("matchConditions");
        let rules = node.field("rules");
        Self {
            name: node.required_text("name", errors).unwrap_or_default(),
            location: node.location(),
            path: path.unwrap_or_default(),
            namespace: text(&["service", "namespace"]),
            rules: node.list("rules", errors).iter().map(|rule| Rule::read(rule, errors)).collect(),
            rules_at: rules.map_or_else(|| node.location(), |rules| rules.location()),
            namespaces: selector("namespaceSelector", errors),
            objects: selector("objectSelector", errors),
            conditions: conditions
                .filter(|conditions| value::items(conditions.value()).next().is_some())
                .map(|conditions| conditions.location()),
            fails_at: failure.as_ref().map_or_else(|| node.location(), Node::location),
            fails: failure.and_then(|policy| policy.one_of(POLICIES, errors)).unwrap_or(Failing::Closed),
            exact: matching
                .filter(|policy| policy.one_of(MATCHING, errors) == Some(true))
                .map(|policy| policy.location()),
        }
    }

    /// Whether it asks a path of ours.
    pub(super) fn asks(&self, path: &str) -> bool {
        self.path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/') == path
    }

    /// Whether requests are sent, for objects that live there.
    pub(super) fn sends(&self, target: &AdmissionTarget, operation: Operation, scope: Scope) -> bool {
        self.rules.iter().any(|rule| {
            rule.has(operation)
                && rule.takes(target)
                && (rule.scope == Scope::ByObject || rule.scope == scope)
        })
    }
}

impl Rule {
    fn read(node: &Node<'_>, errors: &mut Vec<Error>) -> Self {
        const WORDS: &[(&str, Option<Operation>)] = &[
            (ANY, None),
            ("CREATE", Some(Operation::Create)),
            ("UPDATE", Some(Operation::Update)),
            ("DELETE", Some(Operation::Delete)),
            ("CONNECT", Some(Operation::Connect)),
        ];
        const SCOPES: &[(&str, Scope)] =
            &[(ANY, Scope::ByObject), ("Cluster", Scope::Cluster), ("Namespaced", Scope::Namespaced)];
        node.check_fields(&["apiGroups", "apiVersions", "operations", "resources", "scope"], errors);
        let mut operations = Some(Vec::new());
        for word in node.list("operations", errors) {
            match word.one_of(WORDS, errors) {
                Some(Some(operation)) => {
                    if let Some(operations) = &mut operations {
                        operations.push((operation, word.location()));
                    }
                }
                Some(None) => operations = None,
                None => {}
            }
        }
        let mut resources = Vec::new();
        for item in node.list("resources", errors) {
            let Some(text) = item.text(errors) else { continue };
            let (resource, part) = match text.split_once('/') {
                Some((resource, part)) => (resource.into(), Some(part.into())),
                None => (text, None),
            };
            resources.push(Sent { resource, part, location: item.location() });
        }
        let operations_at = node.field("operations").map_or_else(|| node.location(), |list| list.location());
        Self {
            operations,
            operations_at,
            groups: node.texts("apiGroups", errors),
            versions: node.texts("apiVersions", errors),
            known: resources.iter().map(|sent| (sent.resource.clone(), sent.part.clone())).collect(),
            resources,
            scope: node
                .field("scope")
                .and_then(|scope| scope.one_of(SCOPES, errors))
                .unwrap_or(Scope::ByObject),
        }
    }

    pub(super) fn has(&self, operation: Operation) -> bool {
        self.operations
            .as_ref()
            .is_none_or(|operations| operations.iter().any(|(known, _)| *known == operation))
    }

    /// Whether it is about all of a target, whatever the operation and the scope.
    pub(super) fn takes(&self, target: &AdmissionTarget) -> bool {
        !self.versions.is_empty()
            && self.groups.iter().any(|group| &**group == ANY || *group == target.group)
            && self.lists(target)
    }
}

impl Rule {
    /// Whether the resources of a target are among its own.
    fn lists(&self, target: &AdmissionTarget) -> bool {
        let any: Arc<str> = ANY.into();
        let has = |resource: &Arc<str>, part: Option<&Arc<str>>| {
            self.known.contains(&(resource.clone(), part.cloned()))
        };
        match &target.part {
            // `*/*` is the resources as well as their parts.
            None => has(&target.resource, None) || has(&any, None) || has(&any, Some(&any)),
            Some(part) => [&target.resource, &any]
                .into_iter()
                .any(|resource| has(resource, Some(part)) || has(resource, Some(&any))),
        }
    }
}

impl Sent {
    fn takes(&self, target: &AdmissionTarget) -> bool {
        let part = match (&self.part, &target.part) {
            (None, None) => true,
            // `*/*` is the resources as well as their parts.
            (Some(part), None) => &**part == ANY && &*self.resource == ANY,
            (Some(mine), Some(part)) => &**mine == ANY || mine == part,
            (None, Some(_)) => false,
        };
        part && (&*self.resource == ANY || self.resource == target.resource)
    }

    /// Whether something of a target is among it.
    pub(super) fn meets(&self, target: &AdmissionTarget) -> bool {
        let is_any = &*target.resource == ANY && (&*self.resource != ANY);
        let widened;
        let target = if is_any {
            widened = AdmissionTarget { resource: self.resource.clone(), ..target.clone() };
            &widened
        } else {
            target
        };
        self.takes(target)
    }

    pub(super) fn text(&self) -> String {
        match &self.part {
            None => self.resource.to_string(),
            Some(part) => format!("{}/{part}", self.resource),
        }
    }
}

/// What is doubtful at a place.
pub(super) fn warning(message: impl Into<String>, location: &Location) -> Error {
    Error::warning(ErrorKind::WebhookRules, message).at(location.clone())
}
