//! `sprintf`: OPA's conversion of the arguments to Go's types, then Go's formatting.

use super::go_fmt::{self, Arg, Big, Output, TooLong};
use super::{Builtin, Failure, Outcome, term};
use crate::value::Value;

pub(super) const BUILTINS: &[Builtin] = &[Builtin { name: "sprintf", arity: 2, call: sprintf }];

/// Longest text, in bytes.
const LONGEST: usize = 16 << 20;

fn sprintf(args: &[Value], _: &super::State) -> Outcome {
    let [Value::String(format), Value::Array(values)] = args else { return Err(Failure::Undefined) };
    let text = values
        .iter()
        .map(arg)
        .collect::<Result<Vec<_>, _>>()
        .and_then(|args| go_fmt::sprintf(format, &args, LONGEST));
    match text {
        Ok(text) => Ok(Value::String(text.into())),
        Err(TooLong) => Err(Failure::Limit(format!("`sprintf` makes a text of more than {LONGEST} bytes"))),
    }
}

fn arg(value: &Value) -> Result<Arg, TooLong> {
    match value {
        Value::String(text) => Ok(Arg::Str((**text).into())),
        Value::Number(number) => Ok(match (number.as_big(), number.as_i64(), number.as_f64()) {
            (Some(_), Some(int), _) => Arg::Int(int),
            (None, _, Some(float)) => Arg::Float(float),
            (None, _, None) => Arg::Str(number.format_decimal().into()),
            (Some(_), None, _) => {
                let unsigned = |text: String| text.trim_start_matches('-').to_owned();
                Arg::Big(Big {
                    negative: !number.is_positive(),
                    binary: unsigned(number.format_bin()),
                    octal: unsigned(number.format_octal()),
                    decimal: unsigned(number.format_decimal()),
                    hexadecimal: unsigned(number.format_hex()),
                })
            }
        }),
        other => {
            let mut text = Output::new(LONGEST);
            term::write(&mut text, other)?;
            Ok(Arg::Str(text.into_text().into()))
        }
    }
}
