//! `external_data`: what providers say of keys. Nobody is asked here: what is not known is noted as a question,
//! and whoever evaluates asks, and evaluates again.
//!
//! Arguments of another form are undefined in Gatekeeper, so that the policy passes; here they are an error.

use portcullis_value::{Answers, ProviderAnswer, ProviderFailure, ProviderItem, Question, Value, View};

use super::operand::value;
use super::{Context, Failure, Outcome};

table![
    "external_data" => external_data,
];

/// What a call asks.
struct Call<'v> {
    provider: &'v str,
    keys: Vec<&'v str>,
}

/// Steps that a question takes: it is looked for, copied, and kept.
const QUESTION_STEPS: u64 = 16;

fn external_data(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let whole = value(args, 1)?;
    context.budget.step(whole.count().unwrap_or(0) as u64)?;
    let Call { provider, keys } = Call::of(whole)?;
    for key in &keys {
        context.budget.step(QUESTION_STEPS)?;
        context.budget.read_text(key.len() + provider.len())?;
    }
    let answers = context.outside.answers;
    let known: Option<Vec<&ProviderAnswer>> =
        keys.iter().map(|key| answers?.external_data(provider, key)).collect();
    match known {
        Some(known) => answer(context, provider, &keys, &known),
        None => ask(context, provider, &keys, answers),
    }
}

impl<'v> Call<'v> {
    /// Names of fields are read as Go reads them, in any case.
    fn of(whole: &'v Value) -> Result<Self, Failure> {
        let View::Object(fields) = whole.view() else {
            return Err(wrong(format!(
                "its argument must be an object with `provider` and `keys`, and is {}",
                whole.ty().name()
            )));
        };
        let (mut provider, mut keys) = (None, Vec::new());
        for (name, value) in fields.iter() {
            let Some(name) = name.as_str() else {
                return Err(wrong(format!(
                    "a field of its argument has a name that is {}",
                    name.ty().name()
                )));
            };
            if name.eq_ignore_ascii_case("provider") {
                let Some(text) = value.as_str() else {
                    return Err(wrong(format!("`provider` must be a string, and is {}", value.ty().name())));
                };
                provider = Some(text);
            } else if name.eq_ignore_ascii_case("keys") && !value.is_null() {
                let Some(items) = value.as_array() else {
                    return Err(wrong(format!(
                        "`keys` must be an array of strings, and is {}",
                        value.ty().name()
                    )));
                };
                for item in items {
                    let Some(key) = item.as_str() else {
                        let ty = item.ty().name();
                        return Err(wrong(format!(
                            "`keys` must be an array of strings, and has an element that is {ty}"
                        )));
                    };
                    keys.push(key);
                }
            }
        }
        let Some(provider) = provider else {
            return Err(wrong("its argument has no `provider`".to_owned()));
        };
        Ok(Self { provider, keys })
    }
}

fn wrong(message: String) -> Failure {
    Failure::Wrong(format!("external_data: {message}"))
}

/// Notes what is not known.
fn ask(context: &mut Context<'_, '_>, provider: &str, keys: &[&str], answers: Option<&Answers>) -> Outcome {
    for key in keys {
        if answers.is_some_and(|answers| answers.external_data(provider, key).is_some()) {
            continue;
        }
        context.budget.take(key.len() + provider.len())?;
        let question = Question::ExternalData { provider: (*provider).into(), key: (*key).into() };
        if context.outside.questions.ask(question).is_err() {
            // What is asked now will be known then, and there is room for the rest.
            break;
        }
    }
    Err(Failure::Unanswered)
}

/// The answer, in the form that Gatekeeper has: what is said of the keys, in the order of the keys.
fn answer(
    context: &mut Context<'_, '_>,
    provider: &str,
    keys: &[&str],
    known: &[&ProviderAnswer],
) -> Outcome {
    let (mut responses, mut errors) = (Vec::new(), Vec::new());
    let (mut worst, mut of_all, mut has_reply) = (0, "", true);
    for (key, answer) in keys.iter().zip(known) {
        let (status_code, system_error) = match answer {
            ProviderAnswer::Failure { status_code, system_error } => {
                has_reply = false;
                (*status_code, system_error)
            }
            ProviderAnswer::Reply { items, status_code, system_error, is_idempotent: _ } => {
                context.budget.make_items(items.len().saturating_mul(3))?;
                for item in items.iter() {
                    context.budget.take(key.len())?;
                    match item {
                        ProviderItem::Value(said) => {
                            portcullis_value::weigh_at(context.budget, said, 3)?;
                            responses.push(pair(key, said.clone()));
                        }
                        ProviderItem::Error(why) => {
                            context.budget.make_text(why.len())?;
                            errors.push(pair(key, Value::from(&**why)));
                        }
                        ProviderItem::Silent => errors.push(pair(key, Value::from(ProviderItem::SILENT))),
                    }
                }
                (*status_code, system_error)
            }
        };
        worst = worst.max(status_code);
        if of_all.is_empty() {
            of_all = system_error;
        }
        let failure = answer.failure();
        let is_first = context.outside.failure.as_ref().is_none_or(|(known, _)| {
            *known == ProviderFailure::Silence && failure == Some(ProviderFailure::OfAll)
        });
        if let (Some(failure), true) = (failure, is_first) {
            let why = match (failure, &**system_error) {
                (ProviderFailure::Silence, _) => ProviderItem::SILENT.to_owned(),
                (ProviderFailure::OfAll, "") => format!("status {status_code}"),
                (ProviderFailure::OfAll, why) => why.to_owned(),
            };
            context.budget.take(why.len() + key.len())?;
            let question = Question::ExternalData { provider: (*provider).into(), key: (**key).into() };
            context.outside.failure = Some((failure, format!("{question}: {why}")));
        }
    }
    context.budget.make_text(of_all.len())?;
    context.budget.make_items(4)?;
    let list = |items: Vec<Value>| if has_reply { Value::from(items) } else { Value::NULL };
    Ok(Value::object([
        ("errors", list(errors)),
        ("responses", list(responses)),
        ("status_code", Value::from(i64::from(worst))),
        ("system_error", Value::from(of_all)),
    ]))
}

fn pair(key: &str, said: Value) -> Value {
    Value::from(vec![Value::from(key), said])
}
