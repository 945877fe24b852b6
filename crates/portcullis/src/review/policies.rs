//! Admission policies of the API server's in reviews: a binding is asked as a constraint is, and what it says
//! becomes a verdict. [`PolicySet::admission_answer`] says the same as an API server does.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_value::Questions;

use super::{Judged, Places, Reader, Review, Thing, Verdict, Violation};
use crate::admission_policy::{Attributes, BoundAnswer, BoundPolicy, Kinds, Resource, Surroundings};
use crate::api::Operation;
use crate::api::admission_policy::{DenialReason, ValidationAction};
use crate::api::cel::FailurePolicy;
use crate::inventory::Inventory;
use crate::names::{Gvk, Scope};
use crate::object::Object;
use crate::policy::{CompiledConstraint, PolicySet};
use crate::program::{
    AnnotationAnswer, Asking, EvaluationError, Followed, PolicyAnswer, PolicyDecision, RawViolation,
};
use crate::scope::{Places as Homes, builtin};
use crate::value::{self, Value};
use crate::world::World;

/// What a binding says of a review, for an outcome.
pub(super) struct Said {
    /// `None`, if it is not about the request.
    pub(super) verdict: Option<Verdict>,
    /// What denies whatever the actions of the binding are: its parameters, and annotations without a value.
    pub(super) denial: Option<EvaluationError>,
    /// What could not be evaluated and does not count, as the policy says.
    pub(super) ignored: Vec<String>,
    pub(super) steps: Option<u64>,
    /// What it asks and nobody answered: `denial` says so.
    pub(super) questions: Questions,
}

impl Said {
    pub(super) fn pass() -> Self {
        let (ignored, questions) = (Vec::new(), Questions::default());
        Self { verdict: Some(Verdict::Pass), denial: None, ignored, steps: Some(0), questions }
    }
}

/// The objects at hand, as `data.inventory`.
pub(super) fn inventory(world: &World<'_>) -> Value {
    let data = world.inventory().map_or_else(Inventory::no_data, |inventory| inventory.data().clone());
    value::get(&data, "inventory").cloned().unwrap_or_else(Value::new_object)
}

impl Review {
    /// The request, as admission policies ask for it. An object that comes alone is being created.
    pub(super) fn attributes<'a>(&'a self, kinds: &Kinds<'_>) -> Attributes<'a> {
        let object = self.object.as_ref().filter(|_| self.operation != Operation::Delete);
        let old_object = self.old_object.as_ref();
        let request = &self.request;
        let own = object.or(old_object).map(Object::gvk);
        let text = |key: &str| value::str_at(request, &[key]).unwrap_or_default();
        let part = |keys: [&str; 2], name: &str| {
            let found = keys.into_iter().find_map(|key| {
                let whole = value::get(request, key).filter(|whole| !whole.is_null())?;
                value::str_at(whole, &[name])
            });
            found.unwrap_or_default().to_owned()
        };
        let kinds_of = ["requestKind", "kind"];
        let kind = Gvk {
            group: part(kinds_of, "group").into(),
            version: part(kinds_of, "version").into(),
            kind: part(kinds_of, "kind").into(),
        };
        let kind = if kind.kind.is_empty() { own.cloned().unwrap_or(kind) } else { kind };
        let resources = ["requestResource", "resource"];
        let asked = Resource {
            group: part(resources, "group").into(),
            version: part(resources, "version").into(),
            name: part(resources, "resource").into(),
        };
        let (resource, is_known) = if asked.name.is_empty() { kinds.resource(&kind) } else { (asked, true) };
        let subresource = match text("requestSubResource") {
            "" => text("subResource"),
            part => part,
        };
        let is_namespace = kind.group.is_empty() && &*kind.kind == "Namespace";
        let name = match text("name") {
            "" => object.or(old_object).map_or("", |object| object.name()),
            name => name,
        };
        let home = match self.namespace_name() {
            _ if is_namespace => name,
            // In a namespace, and nobody says in which: it must not count as living in none.
            "" if builtin::has(&kind.group, &kind.kind) && kinds.scope(&kind) == Scope::Namespaced => {
                Homes::DEFAULT
            }
            name => name,
        };
        Attributes {
            operation: match self.operation {
                Operation::None => Operation::Create,
                operation => operation,
            },
            resource,
            is_known,
            kind,
            subresource,
            name,
            namespace: home,
            object,
            old_object,
            request,
            missing_namespace: self.missing_namespace(),
        }
    }

    fn ask(
        &self,
        bound: &BoundPolicy,
        namespace: Option<&Object>,
        world: &World<'_>,
    ) -> (BoundAnswer, Option<u64>, Questions) {
        let asking = Asking::new(world.answers());
        let inventory = inventory(world);
        let kinds = Kinds::new(&inventory);
        let around = Surroundings::new(world, namespace, &inventory, &asking);
        let (answer, steps) = bound.judge(&self.attributes(&kinds), &around);
        // What is decided all the same needs no answer.
        let is_unknown = matches!(answer, BoundAnswer::Unknown(_));
        (answer, steps, if is_unknown { asking.into_questions() } else { Questions::default() })
    }
}

/// Why a binding says what it says of a review, by all of its parameters together.
pub(super) fn followed(
    bound: &BoundPolicy,
    review: &Review,
    namespace: Option<&Object>,
    world: &World<'_>,
) -> Followed {
    let asking = Asking::new(world.answers());
    let inventory = inventory(world);
    let kinds = Kinds::new(&inventory);
    let around = Surroundings::new(world, namespace, &inventory, &asking);
    let mut all = Followed::default();
    for one in bound.follow(&review.attributes(&kinds), &around) {
        all.found.extend(one.found);
        all.missed.extend(one.missed);
        all.held.extend(one.held);
        all.error = all.error.or(one.error);
        all.is_cut |= one.is_cut;
    }
    all
}

/// What a binding says of a review.
pub(super) fn say(
    bound: &BoundPolicy,
    review: &Review,
    namespace: Option<&Object>,
    world: &World<'_>,
    judged: &OnceCell<Option<Arc<Judged>>>,
) -> Said {
    let (answer, steps, questions) = review.ask(bound, namespace, world);
    let is_fail = bound.policy.failure_policy() == FailurePolicy::Fail;
    let said = |verdict| Said { verdict, steps, ..Said::pass() };
    let answers = match answer {
        BoundAnswer::Other => return said(None),
        BoundAnswer::Unknown(error) => {
            return Said { denial: Some(error), questions, ..said(Some(Verdict::Pass)) };
        }
        BoundAnswer::Misconfigured { message, .. } if is_fail => {
            return Said { denial: Some(EvaluationError::new(message)), ..said(Some(Verdict::Pass)) };
        }
        BoundAnswer::Misconfigured { message, .. } => {
            return Said { ignored: vec![message], ..said(Some(Verdict::Pass)) };
        }
        BoundAnswer::Judged(answers) => answers,
    };
    let (mut violations, mut unknown, mut denials, mut ignored) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for PolicyAnswer { decisions, annotations } in answers {
        for decision in decisions {
            match decision {
                PolicyDecision::Admit => {}
                PolicyDecision::Deny { message, reads, .. } => violations.push(RawViolation {
                    reads: Some(reads),
                    ..RawViolation::new(message, Value::new_object())
                }),
                PolicyDecision::Error(error) if is_fail => unknown.push(error),
                PolicyDecision::Error(error) => ignored.push(error.message),
            }
        }
        for (_, annotation) in annotations {
            match annotation {
                AnnotationAnswer::Error(error) if is_fail => denials.push(error),
                AnnotationAnswer::Error(error) => ignored.push(error.message),
                AnnotationAnswer::Value(_) | AnnotationAnswer::Nothing => {}
            }
        }
    }
    let verdict = if violations.is_empty() {
        joined(unknown).map_or(Verdict::Pass, Verdict::Error)
    } else {
        violations.extend(unknown.into_iter().map(|error| RawViolation {
            is_undetermined: true,
            ..RawViolation::new(error.message, Value::new_object())
        }));
        violations.sort_by(|a, b| a.message.cmp(&b.message));
        // Several parameters may lead to the same.
        violations.dedup_by(|a, b| a.message == b.message && a.is_undetermined == b.is_undetermined);
        let judged = judged.get_or_init(|| review.object().cloned().map(Thing::Object).map(Judged::new));
        let told = bound.policy.told();
        let violation = |raw: RawViolation| {
            let reader = match &raw.reads {
                Some(reads) => Reader::Part(reads.clone()),
                None => Reader::Template(told.clone()),
            };
            let places = judged.as_ref().map(|judged| Places::new(judged.clone(), reader));
            Violation::new(raw, places)
        };
        Verdict::Violations(violations.into_iter().map(violation).collect())
    };
    Said { denial: joined(denials), ignored, ..said(Some(verdict)) }
}

/// Several errors as one, with a line for each.
fn joined(mut errors: Vec<EvaluationError>) -> Option<EvaluationError> {
    errors.sort_by(|a, b| a.message.cmp(&b.message));
    errors.dedup_by(|a, b| a.message == b.message);
    let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    let message = messages.join("\n");
    let first = errors.into_iter().next()?;
    Some(EvaluationError { message, ..first })
}

/// What an API server would answer by its own admission policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdmissionAnswer {
    /// What denies the request, in the order of policies and bindings. An API server shows the first one; its order
    /// is not certain.
    pub denials: Vec<AdmissionDenial>,
    /// What the sender is warned of, each once.
    pub warnings: Vec<String>,
    /// What is written into the audit log.
    pub audit_annotations: BTreeMap<String, String>,
    /// What could not be evaluated and does not count, as failurePolicy says.
    pub ignored: Vec<String>,
    /// What policies ask of the world outside that the world does not know: they deny, and with answers they may not.
    pub questions: Questions,
}

/// Why a request is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdmissionDenial {
    /// The message, with the policy and the binding.
    pub message: String,
    /// The reason, such as `Invalid`.
    pub reason: &'static str,
    /// The code of HTTP.
    pub code: u16,
}

impl AdmissionAnswer {
    /// Whether the request may pass.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.denials.is_empty()
    }
}

/// Where the first failure that is to be recorded goes.
const FAILURE: &str = "validation.policy.admission.k8s.io/validation_failure";
/// Longest value of an audit annotation.
const LONGEST_ANNOTATION: usize = 10 << 10;

impl PolicySet {
    /// What an API server would answer by the admission policies of this set, and by nothing else of it.
    #[must_use]
    pub fn admission_answer(&self, review: &Review, world: &World<'_>) -> AdmissionAnswer {
        let namespace = review.known_namespace(world);
        let mut answer = AdmissionAnswer::default();
        let mut bound: Vec<&BoundPolicy> =
            self.compiled().filter_map(|constraint| constraint.policy.as_ref()).collect();
        bound.sort_by(|a, b| (&a.policy.key, &a.binding.name).cmp(&(&b.policy.key, &b.binding.name)));
        let mut annotations: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut misconfigured: Option<&BoundPolicy> = None;
        for bound in bound {
            let (said, _, questions) = review.ask(bound, namespace, world);
            for question in questions.iter() {
                // Those that there is no room for are asked next time.
                let _ = answer.questions.ask(question.clone());
            }
            let is_fail = bound.policy.failure_policy() == FailurePolicy::Fail;
            let name = &bound.policy.key.name;
            let of_policy =
                |message: &str| format!("ValidatingAdmissionPolicy '{name}' denied request: {message}");
            let of_binding = |message: &str| {
                let binding = &bound.binding.name;
                format!(
                    "ValidatingAdmissionPolicy '{name}' with binding '{binding}' denied request: {message}"
                )
            };
            let answers = match said {
                BoundAnswer::Other => continue,
                BoundAnswer::Misconfigured { message, .. } if !is_fail => {
                    answer.ignored.push(message);
                    continue;
                }
                BoundAnswer::Misconfigured { message, of_binding: false } => {
                    // Once for all bindings.
                    if misconfigured.is_none_or(|other| other.policy.key != bound.policy.key) {
                        answer.deny(of_policy(&message), DenialReason::Invalid);
                    }
                    misconfigured = Some(bound);
                    continue;
                }
                BoundAnswer::Misconfigured { message, of_binding: true } => {
                    answer.deny(of_binding(&message), DenialReason::Invalid);
                    continue;
                }
                BoundAnswer::Unknown(error) => {
                    answer.deny(of_binding(&error.message), DenialReason::Invalid);
                    continue;
                }
                BoundAnswer::Judged(answers) => answers,
            };
            for one in answers {
                answer.add_decisions(bound, one.decisions, of_binding);
                for (key, value) in one.annotations {
                    match value {
                        AnnotationAnswer::Nothing => {}
                        AnnotationAnswer::Error(error) if is_fail => {
                            answer.deny(of_binding(&error.message), DenialReason::Invalid);
                        }
                        AnnotationAnswer::Error(error) => answer.ignored.push(error.message),
                        AnnotationAnswer::Value(value) => {
                            let end = value.floor_char_boundary(LONGEST_ANNOTATION);
                            let value = value.get(..end).unwrap_or_default().to_owned();
                            let values = annotations.entry(format!("{name}/{key}")).or_default();
                            if !values.contains(&value) {
                                values.push(value);
                            }
                        }
                    }
                }
            }
        }
        let joined = annotations.into_iter().map(|(key, values)| (key, values.join(", ")));
        answer.audit_annotations.extend(joined);
        answer
    }
}

impl AdmissionAnswer {
    fn deny(&mut self, message: String, reason: DenialReason) {
        self.denials.push(AdmissionDenial { message, reason: reason.as_str(), code: reason.code() });
    }

    fn add_decisions(
        &mut self,
        bound: &BoundPolicy,
        decisions: Vec<PolicyDecision>,
        of_binding: impl Fn(&str) -> String,
    ) {
        let is_fail = bound.policy.failure_policy() == FailurePolicy::Fail;
        for (number, decision) in decisions.into_iter().enumerate() {
            let (message, reason) = match decision {
                PolicyDecision::Admit => continue,
                PolicyDecision::Deny { message, reason, .. } => (message, reason),
                PolicyDecision::Error(error) if is_fail => (error.message, DenialReason::default()),
                PolicyDecision::Error(error) => {
                    self.ignored.push(error.message);
                    continue;
                }
            };
            for action in &bound.binding.actions {
                match action {
                    ValidationAction::Deny => self.deny(of_binding(&message), reason),
                    ValidationAction::Warn => {
                        let (policy, binding) = (&bound.policy.key.name, &bound.binding.name);
                        let warning = format!(
                            "Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{binding}': {message}"
                        );
                        if !self.warnings.contains(&warning) {
                            self.warnings.push(warning);
                        }
                    }
                    // The first one is kept, whichever policy it is of.
                    ValidationAction::Audit => {
                        let entry = self.audit_annotations.entry(FAILURE.to_owned());
                        entry.or_insert_with(|| failure(bound, number, &message));
                    }
                }
            }
        }
    }
}

/// A failure, as it is written into the audit log: by Go, which escapes `<`, `>` and `&`.
fn failure(bound: &BoundPolicy, number: usize, message: &str) -> String {
    let text = |text: &str| value::Value::from(text).to_json();
    let actions: Vec<String> = bound.binding.actions.iter().map(|action| text(action.as_str())).collect();
    // In the order in which the API server writes it.
    format!(
        "[{{\"message\":{},\"policy\":{},\"binding\":{},\"expressionIndex\":{number},\"validationActions\":[{}]}}]",
        text(message),
        text(&bound.policy.key.name),
        text(&bound.binding.name),
        actions.join(",")
    )
}

/// Whether a binding has anything to do with the object of a review; an error, if that is not known.
pub(super) fn applies(
    constraint: &CompiledConstraint,
    review: &Review,
    namespace: Option<&Object>,
    world: &World<'_>,
) -> Option<Result<bool, String>> {
    let bound = constraint.policy.as_ref()?;
    Some(match review.ask(bound, namespace, world).0 {
        BoundAnswer::Other => Ok(false),
        BoundAnswer::Misconfigured { message, .. } => Err(message),
        BoundAnswer::Judged(_) | BoundAnswer::Unknown(_) => Ok(true),
    })
}
