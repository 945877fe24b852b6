//! The API server's own admission policies, compiled: which requests they apply to, with which parameters, and what
//! they say.
//!
//! ```text
//! AdmissionPolicy --compile--> CompiledPolicy --+--> BoundPolicy --matching--> applies --params--> one for each
//! AdmissionPolicyBinding ----> CompiledBinding -+                                                   \--> Answer
//! ```
//!
//! The rules are those of the API server's plugin; what a cluster would be asked for is looked up among the objects
//! that are at hand ([`Surroundings`]).

mod custom_kind;
mod json_patch;
mod matching;
mod merge;
mod mutate;
mod mutators;
mod params;
mod resources;
mod shapes;
#[cfg(test)]
mod tests;
mod type_check;
mod types;

use std::sync::Arc;

use portcullis_value::{Limits, Watch};

pub use custom_kind::{CustomField, CustomKind};
pub(crate) use matching::Attributes;
pub(crate) use mutate::MutatingPolicies;
pub use mutators::AdmissionMutators;
pub(crate) use resources::{Kinds, Resource};
pub(crate) use shapes::{Described, Holds};
pub use shapes::{KubernetesField, kubernetes_fields};
pub(crate) use shapes::{Shape, is_known, is_of_its_kind, known_kinds, shape};
pub use type_check::custom_type_warnings;

use matching::{Applies, Matching};
use params::{Found, ParamsOf};

use crate::analysis::Told;
use crate::api::admission_policy::{
    AdmissionPolicy, AdmissionPolicyBinding, Effect, Reinvocation, Rule, ValidationAction,
};
use crate::api::cel::FailurePolicy;
use crate::error::Error;
use crate::names::{AdmissionPolicyKey, Gvk};
use crate::object::Object;
use crate::program::{Asking, Counting, EvaluationError, Followed, PolicyAnswer, PolicyProgram, PolicyView};
use crate::value::{self, Value};
use crate::world::World;

/// Most parameters by which a policy is followed.
const MOST_FOLLOWED: usize = 16;

/// A policy that may be bound.
#[derive(Debug)]
pub(crate) struct CompiledPolicy {
    pub(crate) key: AdmissionPolicyKey,
    program: Arc<PolicyProgram>,
    matching: Matching,
    param_kind: Option<Gvk>,
    /// Whether it is asked again after later ones changed the object.
    is_reinvoked: bool,
}

impl CompiledPolicy {
    /// All that is wrong with its expressions comes back.
    pub(crate) fn compile(api: &AdmissionPolicy) -> (Option<Self>, Vec<Error>) {
        let (program, mut errors) = PolicyProgram::compile(api);
        if program.is_some() {
            errors.extend(type_check::check(api));
        }
        let compiled = program.map(|program| Self {
            key: api.key.clone(),
            program: Arc::new(program),
            matching: Matching::compile(&api.matching),
            param_kind: api.param_kind.clone(),
            is_reinvoked: matches!(api.effect, Effect::Mutate { reinvocation: Reinvocation::IfNeeded, .. }),
        });
        (compiled, errors)
    }

    /// What its expressions read.
    pub(crate) fn told(&self) -> &Arc<Told> {
        self.program.common().told()
    }

    pub(crate) fn program(&self) -> &Arc<PolicyProgram> {
        &self.program
    }

    pub(crate) fn failure_policy(&self) -> FailurePolicy {
        self.program.failure_policy()
    }
}

/// A policy where it applies.
#[derive(Clone, Debug)]
pub(crate) struct BoundPolicy {
    pub(crate) policy: Arc<CompiledPolicy>,
    pub(crate) binding: Arc<CompiledBinding>,
}

#[derive(Debug)]
pub(crate) struct CompiledBinding {
    pub(crate) name: Arc<str>,
    pub(crate) actions: Vec<ValidationAction>,
    matching: Option<Matching>,
    params: Option<ParamsOf>,
}

impl CompiledBinding {
    pub(crate) fn compile(api: &AdmissionPolicyBinding) -> Self {
        Self {
            name: api.name.clone(),
            actions: api.actions.clone(),
            matching: api.matching.as_ref().map(Matching::compile),
            params: api.param_ref.as_ref().map(ParamsOf::compile),
        }
    }
}

/// What a review of a request by admission policies looks at, besides the request.
pub(crate) struct Surroundings<'a> {
    /// The Namespace that the object lives in, if it is known.
    pub(crate) namespace: Option<&'a Object>,
    /// The objects at hand, as `data.inventory` has them.
    pub(crate) inventory: &'a Value,
    pub(crate) limits: Limits,
    pub(crate) watch: Option<&'a dyn Watch>,
    /// What expressions ask about rights, and what is known of it.
    pub(crate) asking: &'a Asking<'a>,
    pub(crate) counting: Counting,
}

impl<'a> Surroundings<'a> {
    /// Those of a world, in which objects are at hand.
    pub(crate) fn new(
        world: &World<'a>,
        namespace: Option<&'a Object>,
        inventory: &'a Value,
        asking: &'a Asking<'a>,
    ) -> Self {
        let (limits, watch, counting) = (world.limits(), world.watch(), world.counting());
        Self { namespace, inventory, limits, watch, asking, counting }
    }
}

/// What a policy says of a request by one of its bindings.
#[derive(Debug)]
pub(crate) enum BoundAnswer {
    /// It is not about the request.
    Other,
    /// It cannot be asked: what is wrong, and whether with the policy itself or with its binding.
    Misconfigured { message: String, of_binding: bool },
    /// One answer for each parameter.
    Judged(Vec<PolicyAnswer>),
    /// The engine cannot say. It is never a pass, whatever the policy says of failures.
    Unknown(EvaluationError),
}

impl BoundPolicy {
    /// Whether it may have something to say of objects of a kind.
    pub(crate) fn concerns(&self, gvk: &Gvk) -> bool {
        self.policy.matching.concerns(gvk)
    }

    /// Which requests it is about, for who has to ask for them.
    pub(crate) fn rules(&self) -> &[Rule] {
        self.policy.matching.rules()
    }

    /// How it applies to a request, and with which parameters; or why it does not.
    fn resolve(
        &self,
        request: &Attributes<'_>,
        kinds: &Kinds<'_>,
        namespace: Option<&Object>,
    ) -> Result<(Applies, Vec<Value>), BoundAnswer> {
        let of_policy = |message: String| {
            let message = format!("failed to configure policy: {message}");
            BoundAnswer::Misconfigured { message, of_binding: false }
        };
        let of_binding = |message: String| {
            let message = format!("failed to configure binding: {message}");
            BoundAnswer::Misconfigured { message, of_binding: true }
        };
        if request.is_exempt() {
            return Err(BoundAnswer::Other);
        }
        let applies = self.policy.matching.applies(request, kinds, namespace).map_err(of_policy)?;
        let applies = applies.ok_or(BoundAnswer::Other)?;
        if let Some(kind) = &self.policy.param_kind
            && !kinds.knows(kind)
        {
            let group_version =
                if kind.group.is_empty() { format!("/{}", kind.version) } else { kind.api_version() };
            return Err(of_policy(format!(
                "failed to find resource referenced by paramKind: '{group_version}, Kind={}'",
                kind.kind
            )));
        }
        if let Some(matching) = &self.binding.matching {
            let applied = matching.applies(request, kinds, namespace).map_err(of_binding)?;
            applied.ok_or(BoundAnswer::Other)?;
        }
        let params = self.binding.params.as_ref();
        let found = params::collect(self.policy.param_kind.as_ref(), params, request.namespace, kinds);
        Ok(match found.map_err(of_binding)? {
            Found::None => (applies, Vec::new()),
            Found::Without => (applies, vec![Value::NULL]),
            Found::These(params) => (applies, params),
        })
    }

    /// What it says of a request, and what that cost.
    pub(crate) fn judge(
        &self,
        request: &Attributes<'_>,
        around: &Surroundings<'_>,
    ) -> (BoundAnswer, Option<u64>) {
        let kinds = Kinds::new(around.inventory);
        let (applies, params) = match self.resolve(request, &kinds, around.namespace) {
            Ok(resolved) => resolved,
            Err(answer) => return (answer, Some(0)),
        };
        if params.is_empty() {
            return (BoundAnswer::Judged(Vec::new()), Some(0));
        }
        let seen = match request.seen_as(&applies, &kinds, around.namespace) {
            Ok(seen) => seen,
            Err(message) => {
                let message =
                    format!("failed to configure binding: failed to convert object version: {message}");
                return (BoundAnswer::Misconfigured { message, of_binding: true }, Some(0));
            }
        };
        let (mut answers, mut cost, mut unknown) = (Vec::new(), Some(0_u64), None);
        for params in &params {
            let (answer, spent) = self.policy.program.evaluate(&seen.view(params, around));
            cost = cost.zip(spent).map(|(cost, spent)| cost.saturating_add(spent));
            match answer {
                Ok(answer) => answers.push(answer),
                Err(error) => {
                    unknown = unknown.or(Some(error));
                    // With other parameters more may be asked, which is asked at once.
                    if !around.asking.is_open() {
                        break;
                    }
                }
            }
        }
        if let Some(error) = unknown {
            return (BoundAnswer::Unknown(error), cost);
        }
        (BoundAnswer::Judged(answers), cost)
    }
}

impl BoundPolicy {
    /// Why it says what it says of a request: once for each parameter.
    pub(crate) fn follow(&self, request: &Attributes<'_>, around: &Surroundings<'_>) -> Vec<Followed> {
        let kinds = Kinds::new(around.inventory);
        let Ok((applies, params)) = self.resolve(request, &kinds, around.namespace) else {
            return Vec::new();
        };
        let Ok(seen) = request.seen_as(&applies, &kinds, around.namespace) else { return Vec::new() };
        let follow = |params: &Value| self.policy.program.follow(&seen.view(params, around));
        params.iter().take(MOST_FOLLOWED).map(follow).collect()
    }
}

/// The request as expressions see it.
struct Seen {
    request: Value,
    condition_request: Value,
    object: Value,
    old_object: Value,
}

impl Seen {
    fn view<'a>(&'a self, params: &'a Value, around: &Surroundings<'a>) -> PolicyView<'a> {
        PolicyView {
            request: &self.request,
            condition_request: &self.condition_request,
            object: &self.object,
            old_object: &self.old_object,
            params,
            limits: around.limits,
            watch: around.watch,
            asking: around.asking,
            counting: around.counting,
        }
    }
}

impl Attributes<'_> {
    /// The request as expressions see it of a policy that applies in this way.
    fn seen_as(
        &self,
        applies: &Applies,
        kinds: &Kinds<'_>,
        namespace: Option<&Object>,
    ) -> Result<Seen, String> {
        let converted = |object: Option<&Object>| match object {
            None => Ok(Value::NULL),
            Some(object) => kinds.converted(object, &applies.kind),
        };
        let namespace = namespace.filter(|_| !self.is_about_namespace());
        Ok(Seen {
            request: self.request_as(&applies.resource, &applies.kind, namespace),
            condition_request: self.request_as(&self.resource, &applies.kind, namespace),
            object: converted(self.object)?,
            old_object: converted(self.old_object)?,
        })
    }

    fn request_as(&self, resource: &Resource, kind: &Gvk, namespace: Option<&Object>) -> Value {
        let text = |text: &Arc<str>| Value::from(text.clone());
        let kind_of = |kind: &Gvk| {
            let parts = [("group", &kind.group), ("version", &kind.version), ("kind", &kind.kind)];
            value::object(parts.map(|(key, part)| (key, text(part))))
        };
        let resource_of = |resource: &Resource| {
            let parts =
                [("group", &resource.group), ("version", &resource.version), ("resource", &resource.name)];
            value::object(parts.map(|(key, part)| (key, text(part))))
        };
        let given = |key: &str| value::get(self.request, key).filter(|value| !value.is_null()).cloned();
        let user = given("userInfo").unwrap_or_else(Value::new_object);
        let user = value::object(value::entries(&user).filter_map(|(key, part)| {
            let is_known = ["username", "uid", "groups", "extra"].contains(&key);
            let is_there = value::as_str(part) != Some("") && !part.is_null() && part.count() != Some(0);
            (is_known && is_there).then(|| (key, part.clone()))
        }));
        let mut entries = vec![
            ("kind", kind_of(kind)),
            ("resource", resource_of(resource)),
            ("requestKind", kind_of(&self.kind)),
            ("requestResource", resource_of(&self.resource)),
            ("operation", Value::from(self.operation.as_str())),
            ("userInfo", user),
            ("dryRun", given("dryRun").unwrap_or_else(|| Value::from(false))),
            ("options", given("options").unwrap_or(Value::NULL)),
            ("namespaceObject", namespace.map_or(Value::NULL, |namespace| namespace.value().clone())),
        ];
        let texts = [
            ("subResource", self.subresource),
            ("requestSubResource", self.subresource),
            ("name", self.name),
            ("namespace", self.namespace),
        ];
        let given = texts.into_iter().filter(|(_, text)| !text.is_empty());
        entries.extend(given.map(|(key, text)| (key, Value::from(text))));
        value::object(entries)
    }
}
