//! `glob.match`, as gobwas answers it, with which OPA does.
//!
//! | glob | matches |
//! |---|---|
//! | `*` | anything without a delimiter |
//! | `**` | anything |
//! | `?` | a character that is not a delimiter |
//! | `[abc]`, `[!abc]`, `[a-c]`, `[!a-c]` | a character, or another one |
//! | `{a,b*}` | one of the globs |
//! | `\*` | the character |
//!
//! So it is documented. A glob is made into a tree of matchers that each look for the first place where they
//! fit, which is not the same: `a**a` matches `a`, `?` the empty text, `x{b*,c}` no text of more than two
//! characters. What policies were tested with is this, so it is this that is built here.
//!
//! ```text
//! text --parse--> terms --compile--> Matcher --Run::matches_all--> yes or no
//! ```

mod compile;
mod matcher;
mod parse;

use super::operand::{text, value, wrong_element, wrong_type};
use super::{Context, Failure, Outcome, too_large};
use compile::Compiler;
use matcher::Run;
use portcullis_value::{Budget, LimitKind, Value, View};

table![
    "glob.match" => glob_match,
    "glob.quote_meta" => quote_meta,
];

/// Without delimiters, if they are null; an empty list of them means the dot.
fn glob_match(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let glob = text(args, 1)?;
    let whole = value(args, 2)?;
    let delimiters = match whole.view() {
        View::Null => Vec::new(),
        View::Array([]) => vec!['.'],
        View::Array(items) => {
            context.budget.make_items(items.len())?;
            let mut delimiters = Vec::new();
            for item in items {
                let View::String(delimiter) = item.view() else {
                    return Err(wrong_element(2, whole, item, "string"));
                };
                let mut chars = delimiter.chars();
                let (Some(c), None) = (chars.next(), chars.next()) else {
                    return Err(wrong_element(2, whole, item, "rune"));
                };
                delimiters.push(c);
            }
            delimiters
        }
        other => return Err(wrong_type(2, other, &["array", "null"])),
    };
    let text = text(args, 3)?;
    Ok(Value::from(matches(context.budget, glob, &delimiters, text)?))
}

/// Longest glob, in bytes.
const LONGEST: usize = 1 << 16;

fn matches(budget: &mut Budget<'_>, glob: &str, delimiters: &[char], text: &str) -> Result<bool, Failure> {
    if glob.len() > LONGEST {
        return Err(too_large(LimitKind::Pattern, "a glob is too large"));
    }
    budget.make_text(glob.len())?;
    let terms = parse::parse(glob)?;
    let matcher = Compiler { budget: &mut *budget, separators: delimiters, trees: 0 }.compile(&terms, 0)?;
    Ok(Run::new(budget, text).matches_all(&matcher)?)
}

/// Characters with a meaning, with a backslash before them.
fn quote_meta(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let text = text(args, 1)?;
    context.budget.make_text(text.len().saturating_mul(2))?;
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '*' | '?' | '\\' | '[' | ']' | '{' | '}') {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(Value::from(out))
}
