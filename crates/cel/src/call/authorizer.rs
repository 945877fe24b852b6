//! The functions of `authorizer`: they put a question about rights together, which the activation answers or not. Nobody is
//! asked here.

use std::sync::Arc;

use portcullis_value::{AccessAnswer, AccessQuestion, AccessResource, AccessTo, AccessUser};

use super::{Context, Outcome};
use crate::error::{EvalErrorKind, Fault};
use crate::functions::Function;
use crate::rights::Rights;
use crate::value::CelValue;

pub(super) fn run(context: &mut Context<'_, '_, '_>, function: Function, args: &[CelValue]) -> Outcome {
    use Function as F;
    let Some(CelValue::Rights(rights)) = args.first() else { return Err(Fault::no_overload()) };
    let mut text = |place: usize| {
        let text = args.get(place).and_then(CelValue::as_str).ok_or_else(Fault::no_overload)?;
        context.budget.make_text(text.len())?;
        Ok::<Arc<str>, Fault>(text.into())
    };
    let made = match (function, &**rights) {
        (F::Path, Rights::Authorizer(user)) => {
            Rights::Path(user.clone(), not_empty(text(1)?, "path must not be empty")?)
        }
        (F::Group, Rights::Authorizer(user)) => Rights::Group(user.clone(), text(1)?),
        (F::ServiceAccount, Rights::Authorizer(_)) => {
            let (namespace, name) = (text(1)?, text(2)?);
            if !is_subdomain(&name) {
                return Err(Fault::error("Invalid service account name"));
            }
            if !is_label(&namespace) {
                return Err(Fault::error("Invalid service account namespace"));
            }
            Rights::Authorizer(Arc::new(AccessUser::service_account(&namespace, &name)))
        }
        (F::Resource, Rights::Group(user, group)) => {
            let resource = not_empty(text(1)?, "resource must not be empty")?;
            let group = group.clone();
            Rights::Resource(
                user.clone(),
                Arc::new(AccessResource { group, resource, ..AccessResource::default() }),
            )
        }
        (
            F::Subresource | F::Namespace | F::Name | F::FieldSelector | F::LabelSelector,
            Rights::Resource(user, resource),
        ) => {
            let text = text(1)?;
            let mut resource = AccessResource::clone(resource);
            match function {
                F::Subresource => resource.subresource = text,
                F::Namespace => resource.namespace = text,
                F::Name => resource.name = text,
                F::FieldSelector => resource.field_selector = text,
                _ => resource.label_selector = text,
            }
            Rights::Resource(user.clone(), Arc::new(resource))
        }
        (F::Check, Rights::Path(user, path)) => {
            let (user, to, verb) = (user.clone(), AccessTo::Path(path.clone()), text(1)?);
            return check(context, AccessQuestion { user, to, verb });
        }
        (F::Check, Rights::Resource(user, resource)) => {
            let (to, verb) = (AccessTo::Resource(AccessResource::clone(resource)), text(1)?);
            return check(context, AccessQuestion { user: user.clone(), to, verb });
        }
        (_, Rights::Decision { allowed, reason, error }) => {
            return Ok(match function {
                F::Allowed => CelValue::Bool(*allowed),
                F::Errored => CelValue::Bool(!error.is_empty()),
                F::DecisionError => CelValue::from(&**error),
                F::Reason => CelValue::from(&**reason),
                _ => return Err(Fault::no_overload()),
            });
        }
        _ => return Err(Fault::no_overload()),
    };
    Ok(CelValue::Rights(Arc::new(made)))
}

fn check(context: &mut Context<'_, '_, '_>, question: AccessQuestion) -> Outcome {
    context.budget.make_text(question.bytes())?;
    let unknown = |message: String| Err(Fault::new(EvalErrorKind::NeedsCluster, message));
    match context.activation.access(&question) {
        Some(AccessAnswer::Decided { allowed, reason, error }) => {
            Ok(CelValue::Rights(Arc::new(Rights::Decision { allowed, reason, error })))
        }
        Some(AccessAnswer::Failure(why)) => {
            unknown(format!("`authorizer` asks the API server {question}, which cannot say: {why}"))
        }
        None => unknown(format!("`authorizer` asks the API server {question}, which needs a cluster")),
    }
}

fn not_empty(text: Arc<str>, message: &str) -> Result<Arc<str>, Fault> {
    if text.is_empty() { Err(Fault::error(message)) } else { Ok(text) }
}

/// Whether it is a label of DNS, as names of namespaces are.
fn is_label(text: &str) -> bool {
    const LONGEST: usize = 63;
    text.len() <= LONGEST && is_part(text)
}

/// A part of a name of DNS, of any length.
fn is_part(part: &str) -> bool {
    let is_inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !part.is_empty() && part.bytes().all(is_inner) && !part.starts_with('-') && !part.ends_with('-')
}

/// Whether it is a name of DNS, as those of service accounts are.
fn is_subdomain(text: &str) -> bool {
    const LONGEST: usize = 253;
    text.len() <= LONGEST && text.split('.').all(is_part)
}
