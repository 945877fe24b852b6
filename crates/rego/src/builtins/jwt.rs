//! `io.jwt.decode`, which verifies nothing.

use portcullis_value::{Value, View};

use super::operand::text;
use super::{Context, Failure, Outcome, encoding, json, undefined};

table!["io.jwt.decode" => decode];

/// Header, payload, and the signature in hexadecimal digits.
fn decode(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let token = text(args, 1)?;
    let budget = &mut *context.budget;
    budget.step(token.len() as u64 / 8 + 1)?;
    let count = token.split('.').count();
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(undefined(match count {
            1 => "encoded JWT had no period separators".to_owned(),
            _ => format!("encoded JWT must have 3 sections, found {count}"),
        }));
    };
    let header = encoding::url_text(budget, header).map_err(|error| said_of("header", error))?;
    let header = json::parse(budget, &header)?;
    let View::Object(fields) = header.view() else {
        return Err(undefined("the header of the JWT is not an object"));
    };
    if fields.contains_key(&Value::from("enc")) {
        return Err(undefined("JWT is a JWE object, which is not supported"));
    }
    let payload = encoding::url_text(budget, payload).map_err(|error| said_of("payload", error))?;
    let nested = Value::from("JWT");
    let payload = if fields.get(&Value::from("cty")) == Some(&nested) {
        // A token in a token is signed more than once: what counts is the innermost.
        let inner = payload.trim_matches('"');
        return decode(context, &[&Value::from(inner)]);
    } else {
        json::parse(budget, &payload)?
    };
    if !matches!(payload.view(), View::Object(_)) {
        return Err(undefined("the payload of the JWT is not an object"));
    }
    let signature = encoding::url_bytes(budget, signature).map_err(|error| said_of("signature", error))?;
    budget.make_text(signature.len().saturating_mul(2))?;
    Ok(Value::from(vec![header, payload, Value::from(encoding::hexadecimal(&signature))]))
}

/// Which part an error is about.
fn said_of(part: &str, failure: Failure) -> Failure {
    match failure {
        Failure::Undefined(message) => undefined(format!("JWT {part} had invalid encoding: {message}")),
        other => other,
    }
}
