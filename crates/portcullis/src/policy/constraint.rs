//! A constraint, compiled against its template.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::{Template, TemplateInfo};
use crate::admission_policy::{BoundPolicy, CompiledBinding, CompiledPolicy};
use crate::api::Constraint;
use crate::api::admission_policy::{AdmissionPolicyBinding, ValidationAction};
use crate::api::matching::Match;
use crate::enforcement::{Enforcement, EnforcementAction};
use crate::error::{Error, ErrorKind, Severity};
use crate::matcher::Matcher;
use crate::names::{ConstraintKey, Gvk};
use crate::object::Object;
use crate::path::FieldPath;
use crate::program::Special;
use crate::source::Location;
use crate::value::{self, Value};

/// Where `input` has the parameters of a constraint.
const PARAMETERS: &str = "parameters";

/// Where it has what is reviewed.
pub(crate) const REVIEW: &str = "review";

/// What callers may know about a constraint.
#[derive(Debug)]
pub struct ConstraintInfo {
    key: ConstraintKey,
    enforcement: Enforcement,
    /// With defaults filled in, as results repeat it.
    object: Object,
    location: Location,
    template: Arc<TemplateInfo>,
}

impl ConstraintInfo {
    /// Kind and name.
    #[must_use]
    pub fn key(&self) -> &ConstraintKey {
        &self.key
    }

    /// What its violations lead to.
    #[must_use]
    pub fn enforcement(&self) -> &Enforcement {
        &self.enforcement
    }

    /// The constraint as an object, defaults filled in.
    #[must_use]
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// Where it stands.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Its template.
    #[must_use]
    pub fn template(&self) -> &TemplateInfo {
        &self.template
    }
}

/// A warning of defaults that are not filled in, because the constraint has no `parameters` that they could be filled into.
fn unfilled(api: &Constraint, template: &Template) -> Option<Error> {
    let parameters = value::get_path(api.object.value(), &["spec", "parameters"]);
    if parameters.is_some_and(|parameters| !parameters.is_null()) {
        return None;
    }
    let telling = template.schema.telling_defaults();
    if telling.is_empty() {
        return None;
    }
    let plain = template.program.told().plain_parameters();
    let unfilled: Vec<String> =
        telling.iter().filter(|name| plain.contains(&***name)).map(|name| format!("`{name}`")).collect();
    if unfilled.is_empty() {
        return None;
    }
    let (defaults, are) = if unfilled.len() == 1 { ("the default", "is") } else { ("the defaults", "are") };
    let message = format!(
        "{defaults} of {} {are} not filled in, since the constraint has no `parameters`: what reads them is undefined",
        unfilled.join(", ")
    );
    let warning =
        Error::warning(ErrorKind::UnfilledDefault, message).hint("write `parameters: {}` into `spec`");
    Some(warning.at(api.document.location()).about(api.key.to_string()))
}

/// A constraint ready to be asked.
#[derive(Debug)]
pub(crate) struct CompiledConstraint {
    pub(crate) info: Arc<ConstraintInfo>,
    pub(crate) template: Arc<Template>,
    pub(crate) matcher: Matcher,
    /// `input.parameters`: after defaulting, `{}` if there are none.
    pub(crate) parameters: Value,
    /// Its template's program for these parameters, made when it is evaluated for the second time: of many
    /// constraints few may ever apply, and one evaluation alone does not pay for it.
    special: OnceLock<Option<Special>>,
    was_evaluated: AtomicBool,
    /// What is asked instead, if it stands for the binding of an admission policy.
    pub(crate) policy: Option<BoundPolicy>,
}

impl CompiledConstraint {
    /// Whether it may have something to say of objects of a kind: by its `match.kinds`, and by what its Rego
    /// says of kinds.
    pub(crate) fn concerns(&self, gvk: &Gvk) -> bool {
        if let Some(policy) = &self.policy {
            return policy.concerns(gvk);
        }
        let of_text = self.template.program.told().operation_use().kinds.as_ref();
        self.matcher.concerns(gvk) && of_text.is_none_or(|kinds| kinds.contains(&*gvk.kind))
    }

    pub(crate) fn compile(api: &Constraint, template: &Arc<Template>) -> (Option<Self>, Vec<Error>) {
        let value = template.schema.apply_defaults(api.object.value());
        let mut errors: Vec<_> = template
            .schema
            .validate(&value)
            .into_iter()
            .map(|problem| problem.into_error(&api.document, &FieldPath::root()).about(api.key.to_string()))
            .collect();
        if errors.iter().any(|error| error.severity() == Severity::Error) {
            return (None, errors);
        }
        let parameters = value::get_path(&value, &["spec", "parameters"])
            .filter(|parameters| !parameters.is_null())
            .cloned()
            .unwrap_or_else(Value::new_object);
        errors.extend(unfilled(api, template));
        let object = match Object::nested(value, Some(api.document.clone())) {
            Ok(object) => object,
            Err(error) => return (None, vec![error.about(api.key.to_string())]),
        };
        let compiled = Self {
            info: Arc::new(ConstraintInfo {
                key: api.key.clone(),
                enforcement: api.enforcement.clone(),
                object,
                location: api.document.location(),
                template: template.info.clone(),
            }),
            template: template.clone(),
            matcher: Matcher::compile(&api.matching),
            parameters,
            special: OnceLock::new(),
            was_evaluated: AtomicBool::new(false),
            policy: None,
        };
        (Some(compiled), errors)
    }

    /// What stands for the binding of an admission policy: a constraint with the actions of the binding, at every
    /// point.
    pub(crate) fn of_binding(
        api: &AdmissionPolicyBinding,
        template: &Arc<Template>,
        policy: &Arc<CompiledPolicy>,
    ) -> Self {
        // Beside another action, `Audit` adds nothing but a record.
        let action = [
            (ValidationAction::Deny, EnforcementAction::Deny),
            (ValidationAction::Warn, EnforcementAction::Warn),
        ];
        let action = action.into_iter().find(|(action, _)| api.actions.contains(action));
        let action = action.map_or(EnforcementAction::Dryrun, |(_, action)| action);
        let kind = api.policy.effect.binding_kind();
        Self {
            info: Arc::new(ConstraintInfo {
                key: ConstraintKey { kind: kind.into(), name: api.name.clone() },
                enforcement: Enforcement::Everywhere(action),
                object: api.object.clone(),
                location: api.document.location(),
                template: template.info.clone(),
            }),
            template: template.clone(),
            matcher: Matcher::compile(&Match::default()),
            parameters: Value::new_object(),
            special: OnceLock::new(),
            was_evaluated: AtomicBool::new(false),
            policy: Some(BoundPolicy {
                policy: policy.clone(),
                binding: Arc::new(CompiledBinding::compile(api)),
            }),
        }
    }

    /// Its template's program for its parameters, if that differs and pays.
    pub(crate) fn special(&self) -> Option<&Special> {
        if let Some(made) = self.special.get() {
            return made.as_ref();
        }
        if !self.was_evaluated.swap(true, Ordering::Relaxed) {
            return None;
        }
        self.special.get_or_init(|| self.template.program.specialise(PARAMETERS, &self.parameters)).as_ref()
    }

    /// The entries of `input` for its program, sorted.
    pub(crate) fn input(&self, review: &Value) -> [(Value, Value); 2] {
        [(PARAMETERS, &self.parameters), (REVIEW, review)]
            .map(|(key, value)| (Value::from(key), value.clone()))
    }
}
