//! Modules of Rego, and what `opa fmt` makes of them.
//!
//! A case is `{"version": "v0", "text": …, "formatted": …}`, or with `error` instead of the result where OPA
//! refuses the module: such a case is passed over.

use portcullis_rego_syntax::ast::Expr;
use portcullis_rego_syntax::format::format;
use portcullis_rego_syntax::visit::{Visitor, walk_module};
use portcullis_rego_syntax::{Module, Version, parse};
use serde::Deserialize;
use serde_json::Value;

use super::Judgement;

#[derive(Deserialize)]
struct Case {
    version: String,
    text: String,
    formatted: Option<String>,
}

pub(super) fn judge(case: &Value) -> Result<Option<Judgement>, String> {
    let case = Case::deserialize(case).map_err(|error| error.to_string())?;
    let version = match case.version.as_str() {
        "v0" => Version::V0,
        "v1" => Version::V1,
        other => return Err(format!("there is no version `{other}` of Rego")),
    };
    let Some(wanted) = case.formatted else { return Ok(None) };
    let difference = match format(&case.text, version) {
        Err(error) => Some(format!("not formatted: {error}")),
        Ok(ours) if format(&ours, version).as_ref() != Ok(&ours) => {
            Some("a second run makes something else of it".to_owned())
        }
        Ok(ours) => first_difference(&ours, &wanted),
    };
    let mut notes = Vec::new();
    let module = parse(&case.text, version).module;
    if !has_comments_in_expressions(&module) {
        notes.push(("equal where no comment is in an expression", difference.is_none()));
    }
    Ok(Some(Judgement { text: case.text, difference, notes }))
}

fn first_difference(ours: &str, wanted: &str) -> Option<String> {
    if ours == wanted {
        return None;
    }
    let equal = ours.lines().zip(wanted.lines()).take_while(|(ours, wanted)| ours == wanted).count();
    let line = |text: &str| text.lines().nth(equal).unwrap_or("(the end)").to_owned();
    Some(format!("line {}: `{}` instead of `{}`", equal + 1, line(ours), line(wanted)))
}

struct Expressions<'m> {
    module: &'m Module,
    is_found: bool,
}

impl<'m> Visitor<'m> for Expressions<'m> {
    fn visit_expr(&mut self, expr: &'m Expr) {
        // What is below lies within.
        let comments = &self.module.comments;
        let first = comments.partition_point(|comment| comment.span.start < expr.span.start);
        self.is_found |= comments.get(first).is_some_and(|comment| expr.span.contains(comment.span));
    }
}

fn has_comments_in_expressions(module: &Module) -> bool {
    let mut expressions = Expressions { module, is_found: false };
    walk_module(&mut expressions, module);
    expressions.is_found
}
