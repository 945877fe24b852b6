//! What functions do. Each asks the budget before it loops over what it was given or makes something large.

mod authorizer;
mod convert;
mod kubernetes;
mod lists;
mod operators;
mod patterns;
mod text;

use portcullis_value::Budget;
use smallvec::SmallVec;

pub(crate) use operators::unhashable;
pub(crate) use patterns::{Patterns, Written, compile};

use crate::activation::Activation;
use crate::error::Fault;
use crate::functions::{Declaration, Function, Overload};
use crate::types::Type;
use crate::value::CelValue;

/// What a call may use.
pub(crate) struct Context<'c, 'w, 'p> {
    pub budget: &'c mut Budget<'w>,
    pub patterns: &'c mut Patterns<'p>,
    /// Who knows what only a cluster can answer.
    pub activation: &'c dyn Activation,
}

pub(crate) type Outcome = Result<CelValue, Fault>;

/// The arguments of a call, which are few.
pub(crate) type Args = SmallVec<[CelValue; 3]>;

/// Whether the types of arguments are looked at before a function is called.
pub(crate) const fn looks_at_types(declaration: &Declaration) -> bool {
    !declaration.singleton
        && !matches!(
            declaration.function,
            Function::Contains | Function::StartsWith | Function::EndsWith | Function::Flatten
        )
}

/// The overload that takes some arguments: the one that was found when the expression was checked, or else the first.
pub(crate) fn taking<T>(
    declaration: &Declaration,
    overload: Option<usize>,
    args: &[T],
    is_of: impl Fn(&T, &Type) -> bool,
) -> Option<usize> {
    let takes = |overload: &Overload| {
        overload.args.len() == args.len() && overload.args.iter().zip(args).all(|(ty, arg)| is_of(arg, ty))
    };
    match overload {
        Some(place) => declaration.overloads.get(place).filter(|overload| takes(overload)).map(|_| place),
        None => declaration.overloads.iter().position(takes),
    }
}

/// Calls a function: the overload that was found when the expression was checked, or, if several may be meant,
/// the first that takes the arguments. What is not guarded looks at its arguments itself.
pub(crate) fn call(
    context: &mut Context<'_, '_, '_>,
    declaration: &Declaration,
    overload: Option<usize>,
    is_guarded: bool,
    args: Args,
) -> Outcome {
    if !(is_guarded && looks_at_types(declaration)) {
        return run(context, declaration, 0, args);
    }
    let Some(place) = taking(declaration, overload, &args, CelValue::is_of) else {
        let types: Vec<&str> = args.iter().map(CelValue::type_name).collect();
        return Err(Fault::error(format!("no such overload: {}({})", declaration.name, types.join(", "))));
    };
    run(context, declaration, place, args)
}

fn run(context: &mut Context<'_, '_, '_>, declaration: &Declaration, overload: usize, args: Args) -> Outcome {
    use Function as F;
    context.budget.step(1)?;
    match declaration.function {
        F::Not
        | F::NotStrictlyFalse
        | F::Add
        | F::Divide
        | F::Modulo
        | F::Multiply
        | F::Negate
        | F::Subtract
        | F::Less
        | F::LessEquals
        | F::Greater
        | F::GreaterEquals
        | F::In
        | F::Size => operators::run(context, declaration, args),
        F::Type
        | F::Dyn
        | F::Bool
        | F::Bytes
        | F::Double
        | F::Duration
        | F::Int
        | F::String
        | F::Timestamp
        | F::Uint => convert::run(context, declaration.function, args),
        F::GetFullYear
        | F::GetMonth
        | F::GetDayOfYear
        | F::GetDayOfMonth
        | F::GetDate
        | F::GetDayOfWeek
        | F::GetHours
        | F::GetMinutes
        | F::GetSeconds
        | F::GetMilliseconds => convert::part(declaration.function, &args),
        F::Contains
        | F::EndsWith
        | F::StartsWith
        | F::CharAt
        | F::LowerAscii
        | F::UpperAscii
        | F::Replace
        | F::Split
        | F::Substring
        | F::Trim
        | F::EscapeKey
        | F::Format
        | F::Quote
        | F::Join => text::run(context, declaration.function, &args),
        F::IndexOf | F::LastIndexOf => match args.first() {
            Some(CelValue::String(_)) => text::run(context, declaration.function, &args),
            _ => lists::run(context, declaration, overload, args),
        },
        F::Matches | F::Find | F::FindAll => patterns::run(context, declaration.function, &args),
        F::IsSorted
        | F::Sum
        | F::Max
        | F::Min
        | F::SetsContains
        | F::SetsEquivalent
        | F::SetsIntersects
        | F::Slice
        | F::Flatten
        | F::Sort
        | F::SortByKeys
        | F::Range
        | F::Reverse
        | F::Distinct
        | F::Last
        | F::First
        | F::OptionalUnwrap
        | F::UnwrapOpt
        | F::MapInsert => lists::run(context, declaration, overload, args),
        F::OptionalOf | F::OptionalOfNonZeroValue | F::OptionalNone | F::Value | F::HasValue => {
            Ok(optional(declaration.function, args)?)
        }
        F::Path
        | F::Group
        | F::ServiceAccount
        | F::Resource
        | F::Subresource
        | F::Namespace
        | F::Name
        | F::Check
        | F::Errored
        | F::DecisionError
        | F::Allowed
        | F::Reason
        | F::FieldSelector
        | F::LabelSelector => authorizer::run(context, declaration.function, &args),
        // What is evaluated by itself, and not as a call.
        F::Conditional
        | F::And
        | F::Or
        | F::Equals
        | F::NotEquals
        | F::Index
        | F::OptIndex
        | F::OptSelect
        | F::OptionalOr
        | F::OptionalOrValue => Err(Fault::no_overload()),
        _ => kubernetes::run(context, declaration.function, &args),
    }
}

fn optional(function: Function, args: Args) -> Outcome {
    Ok(match (function, args.into_iter().next()) {
        (Function::OptionalNone, _) => CelValue::Optional(None),
        (Function::OptionalOfNonZeroValue, Some(value)) if value.is_zero() => CelValue::Optional(None),
        (Function::OptionalOf | Function::OptionalOfNonZeroValue, Some(value)) => CelValue::some(value),
        (Function::HasValue, Some(CelValue::Optional(value))) => CelValue::Bool(value.is_some()),
        (_, Some(CelValue::Optional(Some(value)))) => value.opened()?,
        (_, Some(CelValue::Optional(None))) => return Err(Fault::error("optional.none() dereference")),
        _ => return Err(Fault::no_overload()),
    })
}
