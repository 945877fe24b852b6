//! Policies that mutate: an object in, the object as they leave it out.
//!
//! All that apply are asked in the order of their names, and those that ask for it once more if anything was
//! changed, as in an API server.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::json_patch::{self, Failed};
use super::matching::{Applies, Attributes};
use super::merge;
use super::resources::Kinds;
use super::types::{Inner, Types};
use super::{BoundAnswer, BoundPolicy, CompiledBinding, CompiledPolicy, Surroundings};
use crate::api::cel::FailurePolicy;
use crate::api::{AdmissionPolicy, AdmissionPolicyBinding};
use crate::error::Error;
use crate::object::Object;
use crate::program::{EvaluationError, MutationForm, Patch, PolicyView};
use crate::value::{self, Value};

/// The mutating policies that are bound, in the order in which they are asked.
#[derive(Clone, Debug)]
pub(crate) struct MutatingPolicies {
    bound: Vec<BoundPolicy>,
    types: Types,
}

/// What came of asking them.
#[derive(Debug, Default)]
pub(crate) struct Mutated {
    /// The object as they left it, if it is another one.
    pub(crate) object: Option<Object>,
    /// Who changed it: policies and bindings.
    pub(crate) by: Vec<(Arc<str>, Arc<str>)>,
    pub(crate) denied: Vec<Denied>,
    /// What did not work and does not count, as failurePolicy says.
    pub(crate) ignored: Vec<String>,
}

/// Why a request is denied.
#[derive(Clone, Debug)]
pub(crate) struct Denied {
    pub(crate) message: String,
    pub(crate) reason: &'static str,
    pub(crate) code: u16,
}

/// How a mutation fails.
enum Trouble {
    /// As failurePolicy says.
    Failed(String),
    /// Always.
    Refused(Denied),
}

impl Trouble {
    fn unknown(error: &EvaluationError) -> Self {
        let message = error.message.clone();
        Self::Refused(Denied { message, reason: "Invalid", code: 403 })
    }
}

impl MutatingPolicies {
    /// Those of these policies that compile and are bound, and all that is wrong with the others.
    pub(crate) fn compile(
        policies: &[AdmissionPolicy],
        bindings: &[AdmissionPolicyBinding],
    ) -> (Self, Vec<Error>) {
        let (mut compiled, mut errors) = (BTreeMap::new(), Vec::new());
        for api in policies {
            let (policy, wrong) = CompiledPolicy::compile(api);
            errors.extend(wrong);
            compiled.extend(policy.map(|policy| (api.key.clone(), Arc::new(policy))));
        }
        let mut bound: Vec<BoundPolicy> = Vec::new();
        for api in bindings {
            let Some(policy) = compiled.get(&api.policy) else { continue };
            let binding = Arc::new(CompiledBinding::compile(api));
            bound.push(BoundPolicy { policy: policy.clone(), binding });
        }
        bound.sort_by(|a, b| (&a.policy.key, &a.binding.name).cmp(&(&b.policy.key, &b.binding.name)));
        (Self { bound, types: Types::new() }, errors)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bound.is_empty()
    }

    /// Whether one of them may ask the world outside.
    pub(crate) fn may_ask(&self) -> bool {
        self.bound.iter().any(|bound| bound.policy.program.may_ask())
    }

    /// Asks all of them about a request, and about the object once more as `between` leaves it, which stands for the
    /// webhooks that an API server calls after them.
    pub(crate) fn mutate<E>(
        &self,
        request: &Attributes<'_>,
        around: &Surroundings<'_>,
        between: impl FnOnce(&Object) -> Result<Object, E>,
    ) -> Result<Mutated, E> {
        let mut run = Run {
            policies: self,
            request,
            around,
            kinds: Kinds::new(around.inventory),
            object: request.object.cloned(),
            is_touched: false,
            mutated: Mutated::default(),
        };
        let all: Vec<&BoundPolicy> = self.bound.iter().collect();
        let mut again = run.pass(&all);
        again.retain(|bound| bound.policy.is_reinvoked);
        if run.mutated.denied.is_empty()
            && let Some(object) = &run.object
        {
            let changed = between(object)?;
            run.is_touched |= changed.value() != object.value();
            run.object = Some(changed);
            if run.is_touched && !again.is_empty() {
                run.pass(&again);
            }
        }
        let before = request.object.map(Object::value);
        let object = run.object.filter(|object| Some(object.value()) != before);
        Ok(Mutated { object, ..run.mutated })
    }
}

struct Run<'r> {
    policies: &'r MutatingPolicies,
    request: &'r Attributes<'r>,
    around: &'r Surroundings<'r>,
    kinds: Kinds<'r>,
    /// As it is now.
    object: Option<Object>,
    /// Whether any mutation was applied.
    is_touched: bool,
    mutated: Mutated,
}

impl<'r> Run<'r> {
    /// Asks some policies, and says which of them were asked.
    fn pass(&mut self, bound: &[&'r BoundPolicy]) -> Vec<&'r BoundPolicy> {
        let before = self.object.clone();
        // Which of them apply is decided before any changes the object.
        let now = self.request.with_object(before.as_ref());
        let mut invocations = Vec::new();
        for bound in bound {
            match bound.resolve(&now, &self.kinds, self.around.namespace) {
                Ok((applies, params)) => invocations.push((*bound, applies, params)),
                Err(BoundAnswer::Misconfigured { message, of_binding }) => {
                    self.fail(bound, &message, "Forbidden", of_binding);
                }
                Err(_) => {}
            }
        }
        let mut asked = Vec::new();
        for (bound, applies, params) in invocations {
            for params in &params {
                match self.invoke(bound, &applies, params) {
                    Ok(true) => asked.push(bound),
                    Ok(false) => {}
                    Err(Trouble::Failed(message)) => self.fail(bound, &message, "Invalid", true),
                    Err(Trouble::Refused(denied)) => {
                        let message = of(bound, &denied.message, true);
                        self.mutated.denied.push(Denied { message, ..denied });
                        // What those behind it would ask rests on what it makes of the object.
                        if self.around.asking.is_open() {
                            return asked;
                        }
                    }
                }
            }
        }
        asked
    }

    fn fail(&mut self, bound: &BoundPolicy, message: &str, reason: &'static str, of_binding: bool) {
        if bound.policy.failure_policy() == FailurePolicy::Ignore {
            let (policy, binding) = (&bound.policy.key.name, &bound.binding.name);
            self.mutated.ignored.push(format!("MutatingAdmissionPolicy/{policy}/{binding}: {message}"));
            return;
        }
        let message = of(bound, message, of_binding);
        self.mutated.denied.push(Denied { message, reason, code: 403 });
    }

    /// Whether it was asked: its match conditions hold.
    fn invoke(&mut self, bound: &BoundPolicy, applies: &Applies, params: &Value) -> Result<bool, Trouble> {
        let before = self.object.clone();
        let held = self.with_view(applies, params, |view| {
            bound.policy.program.holds(view).map_err(|error| Trouble::unknown(&error))
        })?;
        match held {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => return Err(Trouble::Failed(error.message)),
        }
        for (number, form) in bound.policy.program.mutations().enumerate() {
            if self.object.is_none() {
                continue;
            }
            let made = self.with_view(applies, params, |view| {
                bound.policy.program.patch(number, view).map_err(|error| Trouble::unknown(&error))
            })?;
            let applied = match made {
                Ok(made) => self.applied(form, &made, applies),
                Err(error) => Err(Trouble::Failed(error.message)),
            };
            match applied {
                Ok(object) => {
                    self.is_touched = true;
                    self.object = Some(object);
                }
                // The mutations behind it are tried all the same.
                Err(Trouble::Failed(message)) => self.fail(bound, &message, "Invalid", true),
                Err(refused) => return Err(refused),
            }
        }
        if before.as_ref().map(Object::value) != self.object.as_ref().map(Object::value) {
            let by = (bound.policy.key.name.clone(), bound.binding.name.clone());
            if !self.mutated.by.contains(&by) {
                self.mutated.by.push(by);
            }
        }
        Ok(true)
    }

    fn with_view<T>(
        &self,
        applies: &Applies,
        params: &Value,
        run: impl FnOnce(&PolicyView<'_>) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let now = self.request.with_object(self.object.as_ref());
        let seen = now
            .seen_as(applies, &self.kinds, self.around.namespace)
            .map_err(|message| Trouble::Failed(format!("failed to convert object version: {message}")))?;
        run(&seen.view(params, self.around))
    }

    /// The object with what an expression came to.
    fn applied(&self, form: MutationForm, made: &Patch, applies: &Applies) -> Result<Object, Trouble> {
        let Some(object) = &self.object else {
            return Err(Trouble::Failed("there is no object: please report this".to_owned()));
        };
        let failed = |message: String| Trouble::Failed(message);
        let shown = self.kinds.converted(object, &applies.kind).map_err(failed)?;
        let (types, ty) = (&self.policies.types, self.schema(applies)?);
        let changed = match form {
            MutationForm::ApplyConfiguration => {
                let patch = made.object().map_err(failed)?;
                merge::apply(types, ty, &shown, &patch)
                    .map_err(|why| failed(format!("error applying patch: {why}")))?
            }
            MutationForm::JsonPatch => {
                let operations = made.operations().map_err(failed)?;
                let patched = match json_patch::apply(&shown, &operations) {
                    Ok(patched) => patched,
                    Err(Failed::Test) => shown,
                    Err(Failed::Error(why)) => return Err(failed(format!("JSON Patch: {why}"))),
                };
                merge::fits(types, ty, &patched, &applies.kind.kind).map_err(|why| {
                    let message = format!("Internal error occurred: {why}");
                    Trouble::Refused(Denied { message, reason: "InternalError", code: 500 })
                })?;
                patched
            }
        };
        let own = Value::from(object.gvk().api_version());
        let changed = value::object(
            value::entries(&changed)
                .map(|(key, part)| (key, if key == "apiVersion" { own.clone() } else { part.clone() })),
        );
        object.with_value(changed).map_err(|error| failed(error.message().to_owned()))
    }

    fn schema(&self, applies: &Applies) -> Result<Inner<'_>, Trouble> {
        let kind = &applies.kind;
        let known = self.policies.types.of_kind(kind);
        known.or_else(|| self.kinds.schema(kind).map(Inner::Schema)).ok_or_else(|| {
            let message = format!(
                "there is no schema of `{kind}` at hand, so that nothing can be changed: its CustomResourceDefinition is not among the input"
            );
            Trouble::Refused(Denied { message, reason: "ServiceUnavailable", code: 503 })
        })
    }
}

fn of(bound: &BoundPolicy, message: &str, of_binding: bool) -> String {
    let (policy, binding) = (&bound.policy.key.name, &bound.binding.name);
    if of_binding {
        format!("policy '{policy}' with binding '{binding}' denied request: {message}")
    } else {
        format!("policy \"{policy}\" denied request: {message}")
    }
}
