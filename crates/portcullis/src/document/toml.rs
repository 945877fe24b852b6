//! TOML in, one document out, for policies that look at configuration. What has no JSON (`nan`, `inf`) is an
//! error; a date is the text that was written.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use portcullis_value::yaml_scalar::KeyKind;

use super::build::{Abandoned, Builder, Shape};
use super::problems::Span;
use super::{Output, Taken};
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::source::{Source, clamp};
use crate::value::Value;

/// Reads a source as TOML. The parser bounds how deep it may be nested, so that recursion ends.
pub(super) fn read(source: &Arc<Source>, limits: &Limits) -> Output {
    let mut output = Output { taken: Taken::Values, ..Output::default() };
    let mut builder = Builder::new(source, limits);
    let (table, errors) = DeTable::parse_recoverable(source.text());
    for error in errors {
        let range = error.span().unwrap_or_default();
        let message = error.message().trim().to_owned();
        let location = builder.problems.location(clamp(range.start)..clamp(range.end));
        builder.report(Error::new(ErrorKind::Syntax, format!("this is no TOML: {message}")).at(location));
    }
    let end = clamp(source.text().len());
    // What ends the document has been reported.
    let _ = table_value(table.get_ref(), 0..end, &mut builder);
    match builder.finish() {
        Some((value, marks)) => output.emit(&mut builder.problems, value, marks),
        None => output.documents_seen += 1,
    }
    output.problems = builder.problems.into_list();
    output
}

fn span<T>(node: &Spanned<T>) -> Span {
    let range = node.span();
    clamp(range.start)..clamp(range.end.max(range.start))
}

fn table_value(table: &DeTable<'_>, place: Span, builder: &mut Builder<'_>) -> Result<(), Abandoned> {
    builder.begin(Shape::Object, place.clone(), 0)?;
    let mut entries: Vec<_> = table.iter().collect();
    // In the order of the text, as all documents have it.
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        builder.key(key.get_ref(), KeyKind::Text, span(key));
        any_value(value, builder)?;
    }
    builder.end(Some(place.end));
    Ok(())
}

fn any_value(value: &Spanned<DeValue<'_>>, builder: &mut Builder<'_>) -> Result<(), Abandoned> {
    let place = span(value);
    let scalar = match value.get_ref() {
        DeValue::Table(table) => return table_value(table, place, builder),
        DeValue::Array(items) => {
            builder.begin(Shape::List, place.clone(), 0)?;
            for item in items {
                any_value(item, builder)?;
            }
            builder.end(Some(place.end));
            return Ok(());
        }
        DeValue::String(text) => Value::from(&**text),
        DeValue::Boolean(value) => Value::from(*value),
        DeValue::Datetime(when) => Value::from(when.to_string().as_str()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::from(number),
            Err(_) => unsupported(builder, place.clone(), "an integer of TOML has 64 bits"),
        },
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Value::from(number),
            _ => unsupported(builder, place.clone(), "policies see JSON, which has no such number"),
        },
    };
    builder.scalar(scalar, place, 0)
}

fn unsupported(builder: &mut Builder<'_>, place: Span, message: &str) -> Value {
    builder.fail(ErrorKind::UnsupportedValue, message, place);
    Value::NULL
}
