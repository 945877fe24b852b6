//! Elements of `violation` that are not objects with a text `msg`, where that shows only through a variable
//! or a call. What the head shows by itself is one of the rules for templates.

use portcullis_rego_syntax::ast::{Expr, ExprKind};

use super::program::{Program, Scope};
use super::shape::Shape;
use crate::analysis::template_rules::{element_of, wrong_element};
use crate::error::{Error, ErrorKind};

/// Checks the main module.
pub(super) fn check(program: &Program<'_>) -> Vec<Error> {
    let Some(scope) = program.scope(0) else { return Vec::new() };
    let mut found = Vec::new();
    for rule in scope.parsed.module.rules_named("violation") {
        // Under several bodies, a variable of the head stands for several values.
        let key = element_of(rule).filter(|_| rule.clauses.len() <= 1);
        let Some(key) = key.filter(|key| wrong_element(key).is_none()) else { continue };
        found.extend(wrong_key(scope, key.peeled()));
    }
    found
}

fn wrong_key<'a>(scope: Scope<'_, 'a>, key: &'a Expr) -> Option<Error> {
    const ELEMENT: &str = "write `violation[{\"msg\": msg}]`, or in v1 `violation contains {\"msg\": msg}`";
    let shape = scope.shape(key);
    if shape.is_some_and(|shape| shape != Shape::Object) {
        let message = "an element of `violation` must be an object with `msg`";
        return Some(Error::new(ErrorKind::TemplateRule, message).hint(ELEMENT).at(scope.location(key.span)));
    }
    let element = scope.followed(key);
    if key.as_var().is_some()
        && let Some((span, message)) = wrong_element(element)
    {
        return Some(Error::new(ErrorKind::TemplateRule, message).at(scope.location(span)));
    }
    let ExprKind::Object(entries) = &element.kind else { return None };
    let msg = entries.iter().find(|entry| entry.key.peeled().as_string() == Some("msg"))?;
    let shape = scope.shape(&msg.value).filter(|shape| *shape != Shape::String)?;
    let message = format!("`msg` of a violation must be a string, this is {shape}");
    let hint = "write `sprintf(\"%v\", [msg])`";
    Some(Error::new(ErrorKind::TemplateRule, message).hint(hint).at(scope.location(msg.value.span)))
}
