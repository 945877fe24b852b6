//! A configuration against what is needed: what is not sent, what is left out, and what is sent for nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::configuration::{Failing, Rule, Webhook, WebhookConfiguration, warning};
use super::{ANY, AdmissionRules, AdmissionTarget, Asks, NeededBy};
use crate::api::matching::{LabelSelector, Operator};
use crate::api::{self, Operation};
use crate::enforcement::{EnforcementAction, EnforcementPoint};
use crate::error::{Error, ErrorKind};
use crate::matcher::Glob;
use crate::names::ConstraintKey;
use crate::policy::CompiledConstraint;
use crate::scope::Scope;

/// Where requests are judged.
const ADMIT: &str = "/v1/admit";
/// Where they are mutated.
const MUTATE: &str = "/v1/mutate";
/// Where it is judged who may take a namespace out of sight.
const GUARD: &str = "/v1/admitlabel";
/// The label that takes a namespace out of sight.
const IGNORE: &str = "admission.gatekeeper.sh/ignore";
/// The label that every Namespace has: its name.
const NAME: &str = "kubernetes.io/metadata.name";
/// The namespace that is left out in every cluster, so that its own parts do not wait for us.
const SYSTEM: &str = "kube-system";

/// Requests that are needed and not sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingRule {
    /// What they are sent to.
    pub target: AdmissionTarget,
    /// The operation.
    pub operation: Operation,
    /// Who needs them.
    pub by: BTreeSet<NeededBy>,
}

impl fmt::Display for MissingRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of `{}`", self.operation, self.target)
    }
}

/// What has to be known of a constraint to tell which of its objects are left out.
#[derive(Clone, Debug)]
pub(super) struct About {
    key: ConstraintKey,
    included: Vec<Glob>,
    excluded: Vec<Glob>,
    denies: bool,
}

impl About {
    pub(super) fn of(constraint: &CompiledConstraint) -> Self {
        let (included, excluded) = constraint.matcher.namespaces();
        let actions = constraint.info.enforcement().actions(EnforcementPoint::Webhook);
        Self {
            key: constraint.info.key().clone(),
            included: included.to_vec(),
            excluded: excluded.to_vec(),
            denies: actions.gravest() == Some(EnforcementAction::Deny),
        }
    }

    fn takes(&self, namespace: &str) -> bool {
        (self.included.is_empty() || self.included.iter().any(|glob| glob.matches(namespace)))
            && !self.excluded.iter().any(|glob| glob.matches(namespace))
    }

    /// Whether it is about this namespace by its name, and not just about all.
    fn names(&self, namespace: &str) -> bool {
        let is_named = |glob: &Glob| !glob.is_universal() && glob.matches(namespace);
        self.takes(namespace) && self.included.iter().any(is_named)
    }
}

impl AdmissionRules {
    /// What is needed that a configuration does not send to `/v1/admit`, or for mutators to `/v1/mutate`, in the
    /// order of targets and operations.
    #[must_use]
    pub fn missing(&self, configuration: &WebhookConfiguration) -> Vec<MissingRule> {
        let path = match self.asks {
            Asks::Verdicts => ADMIT,
            Asks::Patches => MUTATE,
        };
        let ours: Vec<&Webhook> = configuration.asking(path).collect();
        let is_sent = |target: &AdmissionTarget, operation: Operation| {
            let scopes: &[Scope] = match target.scope {
                Scope::ByObject => &[Scope::Namespaced, Scope::Cluster],
                Scope::Namespaced => &[Scope::Namespaced],
                Scope::Cluster => &[Scope::Cluster],
            };
            scopes.iter().all(|scope| ours.iter().any(|webhook| webhook.sends(target, operation, *scope)))
        };
        let counts = |by: &BTreeSet<NeededBy>| by.iter().any(|by| *by != NeededBy::Refusal);
        let needs = self.needs.iter().filter(|(_, by)| counts(by));
        let missing = needs.filter(|((target, operation), _)| !is_sent(target, *operation));
        missing
            .map(|((target, operation), by)| MissingRule {
                target: target.clone(),
                operation: *operation,
                by: by.clone(),
            })
            .collect()
    }

    /// Whether a configuration sends all that is needed. What its selectors leave out is reported by
    /// [`AdmissionRules::lint`].
    #[must_use]
    pub fn covers(&self, configuration: &WebhookConfiguration) -> bool {
        self.missing(configuration).is_empty()
    }

    /// What is doubtful about a configuration, at its places: what is not sent, by constraint; what its
    /// selectors and policies leave out; and what is sent that nobody needs. [`AdmissionRules::notes`] is not
    /// in it.
    #[must_use]
    pub fn lint(&self, configuration: &WebhookConfiguration) -> Vec<Error> {
        let mut found = Vec::new();
        let ours: Vec<&Webhook> = configuration.asking(ADMIT).collect();
        let Some(first) = ours.first() else {
            let error = Error::new(
                ErrorKind::WebhookRules,
                format!("no webhook of the configuration asks `{ADMIT}`: no policy is ever asked"),
            );
            let location = configuration.webhooks.first().map(|webhook| webhook.location.clone());
            return vec![error.hint("its `clientConfig` needs this path").at(location)];
        };
        self.lint_missing(configuration, first, &mut found);
        for webhook in &ours {
            self.lint_webhook(webhook, &mut found);
            self.lint_unneeded(webhook, &mut found);
        }
        lint_guard(configuration, &ours, &mut found);
        found.sort();
        found.dedup();
        found
    }

    fn lint_missing(&self, configuration: &WebhookConfiguration, first: &Webhook, found: &mut Vec<Error>) {
        let mut by: BTreeMap<NeededBy, Vec<MissingRule>> = BTreeMap::new();
        for missing in self.missing(configuration) {
            for needed_by in &missing.by {
                by.entry(needed_by.clone()).or_default().push(missing.clone());
            }
        }
        for (needed_by, missing) in by {
            let mut operations: BTreeMap<&AdmissionTarget, Vec<&str>> = BTreeMap::new();
            for rule in &missing {
                operations.entry(&rule.target).or_default().push(rule.operation.as_str());
            }
            let list: Vec<String> = operations
                .iter()
                .map(|(target, operations)| {
                    format!("{} of `{target}`{}", operations.join(" and "), lives(target))
                })
                .collect();
            // Where an operation could be added, else where a rule could be.
            let nearly = missing.first().and_then(|missing| {
                configuration
                    .asking(ADMIT)
                    .flat_map(|webhook| &webhook.rules)
                    .find(|rule| rule.takes(&missing.target))
            });
            let location = nearly.map_or(&first.rules_at, |rule| &rule.operations_at);
            let message = match &needed_by {
                NeededBy::Webhook | NeededBy::Refusal => {
                    format!(
                        "policies are not checked before they are let in: not sent is {}",
                        list.join(", ")
                    )
                }
                NeededBy::Constraint(_) => {
                    format!("requests that the constraint is about are not sent: {}", list.join(", "))
                }
                NeededBy::Mutator(_) => {
                    format!("requests that the mutator is about are not sent: {}", list.join(", "))
                }
            };
            let error = warning(message, location).hint("they pass without it being asked; add a rule");
            found.push(match needed_by {
                NeededBy::Webhook | NeededBy::Refusal => error,
                NeededBy::Constraint(key) => error.about(key.to_string()),
                NeededBy::Mutator(key) => error.about(key.to_string()),
            });
        }
    }

    fn lint_webhook(&self, webhook: &Webhook, found: &mut Vec<Error>) {
        if let Some(location) = &webhook.exact {
            let narrow =
                webhook.rules.iter().any(|rule| !rule.versions.iter().any(|version| &**version == ANY));
            let message = if narrow {
                "with `matchPolicy: Exact`, what is sent in another version than those of the rules is not seen"
            } else {
                "with `matchPolicy: Exact`, what is sent by another group of the same kind is not seen"
            };
            found.push(warning(message, location).hint("use `Equivalent`"));
        }
        let denying = self.about.iter().filter(|about| about.denies).count();
        if webhook.fails == Failing::Open && denying > 0 {
            let message = format!(
                "with `failurePolicy: Ignore`, requests pass while no webhook answers, though {denying} of {} constraints deny",
                self.about.len()
            );
            found.push(
                warning(message, &webhook.fails_at).hint("`Fail` lets nothing in; audits find what came in"),
            );
        }
        if let Some((_, location)) = &webhook.objects {
            let message =
                "`objectSelector` leaves objects out by labels, which the author of an object chooses";
            found.push(warning(message, location).hint("exempt objects in constraints, or by namespaces"));
        }
        if let Some(location) = &webhook.conditions {
            let message = "`matchConditions` leave requests out; which of those that policies are about is not worked out here";
            found.push(warning(message, location));
        }
        let left_out = self.lint_namespaces(webhook, found);
        let own = webhook.namespace.as_deref();
        if webhook.fails == Failing::Closed && own.is_some_and(|own| !left_out.covers(own)) {
            let message = format!(
                "with `failurePolicy: Fail` and the webhook's own namespace `{}` not left out, its pods cannot be created while none serves",
                own.unwrap_or_default()
            );
            found.push(
                warning(message, &webhook.fails_at).hint("leave the namespace out by `namespaceSelector`"),
            );
        }
    }

    /// What a `namespaceSelector` leaves out.
    fn lint_namespaces(&self, webhook: &Webhook, found: &mut Vec<Error>) -> LeftOut {
        let Some((selector, location)) = &webhook.namespaces else { return LeftOut::default() };
        let left_out = LeftOut::of(selector);
        let total = self.about.len();
        for about in &self.about {
            let named: Vec<&str> = left_out
                .names
                .iter()
                .map(|name| &**name)
                .filter(|name| about.names(name))
                .chain(about.exact().filter(|name| left_out.only.is_some() && left_out.covers(name)))
                .collect();
            let named: BTreeSet<&str> = named.into_iter().collect();
            if !named.is_empty() {
                let message = format!(
                    "`namespaceSelector` leaves out {}, which the constraint is about by name",
                    backticked(named)
                );
                found.push(warning(message, location).about(about.key.to_string()));
            }
        }
        let usual = [Some(SYSTEM), webhook.namespace.as_deref()];
        let more: BTreeSet<&str> = left_out
            .names
            .iter()
            .map(|name| &**name)
            .filter(|name| !usual.contains(&Some(name)) && self.about.iter().any(|about| about.takes(name)))
            .collect();
        if !more.is_empty() {
            let takes = |about: &&About| more.iter().any(|name| about.takes(name));
            let count = self.about.iter().filter(takes).count();
            let message = format!(
                "`namespaceSelector` leaves out {}, which {count} of {total} constraints do not",
                backticked(more)
            );
            found.push(warning(message, location));
        }
        if let Some(only) = &left_out.only {
            let only = backticked(only.iter().map(|name| &**name).collect());
            found.push(warning(
                format!("only requests of the namespaces {only} are sent; {total} constraints are about others as well, or may be"),
                location,
            ));
        }
        for other in &left_out.others {
            found.push(warning(format!("`namespaceSelector` leaves out namespaces {other}"), location));
        }
        left_out
    }

    fn lint_unneeded(&self, webhook: &Webhook, found: &mut Vec<Error>) {
        let meets =
            |rule: &Rule, group: &str, sent: &super::configuration::Sent, operation: Option<Operation>| {
                self.needs.keys().any(|(target, needed)| {
                    operation.is_none_or(|operation| operation == *needed)
                        && rule.has(*needed)
                        && (group == ANY || &*target.group == ANY || *target.group == *group)
                        && sent.meets(target)
                })
            };
        let undone: BTreeSet<_> = api::unsupported_kinds(api::Uses::POLICIES).map(|gvk| gvk.group).collect();
        for rule in &webhook.rules {
            let groups: Vec<&str> =
                rule.groups.iter().filter(|group| !undone.contains(*group)).map(|group| &**group).collect();
            for sent in &rule.resources {
                let idle: BTreeSet<&str> =
                    groups.iter().copied().filter(|group| !meets(rule, group, sent, None)).collect();
                if idle.is_empty() || (&*sent.resource == ANY && idle.len() < groups.len()) {
                    continue;
                }
                let of = if idle.len() == groups.len() && rule.groups.len() == groups.len() {
                    String::new()
                } else {
                    format!(" of {}", backticked(idle))
                };
                let message = format!("`{}`{of} is sent, and no policy is about it", sent.text());
                found.push(warning(message, &sent.location).hint("each request waits for an answer"));
            }
            for (operation, location) in rule.operations.iter().flatten() {
                let is_used = groups.iter().any(|group| {
                    rule.resources.iter().any(|sent| meets(rule, group, sent, Some(*operation)))
                });
                if !is_used
                    && !groups.is_empty()
                    && rule
                        .resources
                        .iter()
                        .any(|sent| groups.iter().any(|group| meets(rule, group, sent, None)))
                {
                    let message = format!("{operation} is sent, and no policy needs it of these resources");
                    found.push(warning(message, location).hint("each request waits for an answer"));
                }
            }
        }
    }
}

impl About {
    /// The namespaces that it names in full.
    fn exact(&self) -> impl Iterator<Item = &str> {
        self.included.iter().filter_map(|glob| match glob {
            Glob::Exactly(name) => Some(&**name),
            _ => None,
        })
    }
}

impl WebhookConfiguration {
    fn asking(&self, path: &'static str) -> impl Iterator<Item = &Webhook> {
        self.webhooks.iter().filter(move |webhook| webhook.asks(path))
    }
}

/// Who may take a namespace out of sight has to be asked about, if that can be done at all.
fn lint_guard(configuration: &WebhookConfiguration, ours: &[&Webhook], found: &mut Vec<Error>) {
    let by_label = ours.iter().find_map(|webhook| {
        let (selector, location) = webhook.namespaces.as_ref()?;
        let mut keys = selector.match_expressions.iter().map(|requirement| &*requirement.key);
        keys.any(|key| key == IGNORE).then_some((*webhook, location))
    });
    let Some((_, location)) = by_label else { return };
    let namespaces = AdmissionTarget::new("", "namespaces", None, Scope::Cluster);
    let guards: Vec<&Webhook> = configuration.asking(GUARD).collect();
    for operation in [Operation::Create, Operation::Update] {
        if !guards.iter().any(|guard| guard.sends(&namespaces, operation, Scope::Cluster)) {
            let message = format!(
                "anybody who may write a Namespace can take it out of sight by the label `{IGNORE}`: {operation} of `namespaces` is not sent to `{GUARD}`"
            );
            found.push(warning(message, location));
        }
    }
    for guard in guards.iter().filter(|guard| guard.fails == Failing::Open) {
        let message =
            format!("`{}` lets everybody take namespaces out of sight while no webhook answers", guard.name);
        found.push(
            warning(message, &guard.fails_at).hint("`failurePolicy: Fail`; it is asked for Namespaces only"),
        );
    }
}

/// The namespaces that a selector leaves out.
#[derive(Debug, Default)]
struct LeftOut {
    names: BTreeSet<std::sync::Arc<str>>,
    /// All but these.
    only: Option<BTreeSet<std::sync::Arc<str>>>,
    /// Those with other labels, in words.
    others: Vec<String>,
}

impl LeftOut {
    fn of(selector: &LabelSelector) -> Self {
        let mut left_out = Self::default();
        for (key, value) in &selector.match_labels {
            if &**key == NAME {
                left_out.keep(std::slice::from_ref(value));
            } else {
                left_out.others.push(format!("without the label `{key}: {value}`"));
            }
        }
        for requirement in &selector.match_expressions {
            let (key, values) = (&*requirement.key, &requirement.values);
            let list = || backticked(values.iter().map(|value| &**value).collect());
            match (key, requirement.operator) {
                (NAME, Operator::NotIn) => left_out.names.extend(values.iter().cloned()),
                (NAME, Operator::In) => left_out.keep(values),
                (NAME, Operator::Exists) | (IGNORE, Operator::DoesNotExist) => {}
                (_, Operator::In) => {
                    left_out.others.push(format!("whose label `{key}` is none of {}", list()));
                }
                (_, Operator::NotIn) => {
                    left_out.others.push(format!("whose label `{key}` is one of {}", list()));
                }
                (_, Operator::Exists) => left_out.others.push(format!("without the label `{key}`")),
                (_, Operator::DoesNotExist) => left_out.others.push(format!("with the label `{key}`")),
            }
        }
        left_out
    }

    fn keep(&mut self, names: &[std::sync::Arc<str>]) {
        let names: BTreeSet<_> = names.iter().cloned().collect();
        self.only = Some(match self.only.take() {
            None => names,
            Some(only) => only.intersection(&names).cloned().collect(),
        });
    }

    /// Whether a namespace is left out by its name.
    fn covers(&self, name: &str) -> bool {
        self.names.contains(name) || self.only.as_ref().is_some_and(|only| !only.contains(name))
    }
}

/// Where the objects live that are missing, if that is only a part of them.
fn lives(target: &AdmissionTarget) -> &'static str {
    match (target.scope, &*target.resource) {
        (Scope::Namespaced, ANY) => " in namespaces",
        (Scope::Cluster, ANY) => " in no namespace",
        _ => "",
    }
}

fn backticked(names: BTreeSet<&str>) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
