//! What can never work though its types are right: constant durations, moments, patterns and formats, and lists
//! of different types.

use portcullis_value::pattern::Pattern;

use super::{Checked, Reference};
use crate::ast::{Ast, ExprId, Kind, Literal};
use crate::diagnostic::{Diagnostic, DiagnosticKind};
use crate::formatting::{self, Clause};
use crate::functions::Function;
use crate::time::Timestamp;
use crate::types::{TooMuch, Type, Unifier};

pub(super) fn validate(
    ast: &Ast,
    checked: &Checked,
    types: &mut Unifier,
) -> Result<Vec<Diagnostic>, TooMuch> {
    let mut validator = Validator { ast, checked, types, diagnostics: Vec::new() };
    // Nodes with whether they are inside of a call of `format`, where lists may be of different types.
    let mut waiting = vec![(ast.root, false)];
    while let Some((id, is_formatted)) = waiting.pop() {
        let function = validator.called(id);
        match (&ast.node(id).kind, function) {
            (Kind::Call { target, args, .. }, Some(function)) => validator.call(id, function, *target, args),
            (Kind::List(_) | Kind::Map(_), _) if !is_formatted => validator.elements(id)?,
            _ => {}
        }
        let is_formatted = is_formatted || function == Some(Function::Format);
        waiting.extend(ast.children(id).into_iter().map(|child| (child, is_formatted)));
    }
    Ok(validator.diagnostics)
}

struct Validator<'a> {
    ast: &'a Ast,
    checked: &'a Checked,
    types: &'a mut Unifier,
    diagnostics: Vec<Diagnostic>,
}

/// A message, and the node that it is about, if that is not the call.
struct Refused(String, Option<ExprId>);

impl formatting::Wrong for Refused {
    fn of(message: String) -> Self {
        Self(message, None)
    }
}

impl Validator<'_> {
    fn called(&self, id: ExprId) -> Option<Function> {
        match self.checked.reference(id) {
            Some(Reference::Call { declaration, .. }) => Some(declaration.function),
            _ => None,
        }
    }

    fn report(&mut self, kind: DiagnosticKind, id: ExprId, message: String) {
        let at = self.ast.node(id).at;
        self.diagnostics.push(Diagnostic::new(kind, at, message));
    }

    fn call(&mut self, id: ExprId, function: Function, target: Option<ExprId>, args: &[ExprId]) {
        let Some(first) = args.first().copied() else { return };
        let literal = match &self.ast.node(first).kind {
            Kind::Literal(literal) => Some(literal),
            _ => None,
        };
        let (is_right, name) = match (function, literal) {
            (Function::Duration, Some(Literal::String(text))) => {
                (portcullis_value::go_duration(text).is_some(), "duration")
            }
            (Function::Duration, Some(_)) => (false, "duration"),
            (Function::Timestamp, Some(Literal::String(text))) => {
                (Timestamp::parse(text).is_ok(), "timestamp")
            }
            (Function::Timestamp, Some(Literal::Int(seconds))) => {
                (Timestamp::of_seconds(*seconds).is_ok(), "timestamp")
            }
            (Function::Timestamp, Some(_)) => (false, "timestamp"),
            (Function::Matches, Some(Literal::String(text))) => (Pattern::compile(text).is_ok(), "matches"),
            (Function::Format, _) => return self.format(id, target, first),
            _ => return,
        };
        if !is_right {
            self.report(DiagnosticKind::Argument, first, format!("invalid {name} argument"));
        }
    }

    /// Elements of different types, of which checking knows only that they may be the same.
    fn elements(&mut self, id: ExprId) -> Result<(), TooMuch> {
        match &self.ast.node(id).kind {
            Kind::List(items) => {
                let mut items = items.iter().map(|item| (item.value, item.optional));
                let Some((first, optional)) = items.next() else { return Ok(()) };
                let expected = self.unwrapped(first, optional);
                for (item, optional) in items {
                    if !self.is_like(item, optional, &expected)? {
                        break;
                    }
                }
            }
            Kind::Map(entries) => {
                let mut entries = entries.iter();
                let Some(first) = entries.next() else { return Ok(()) };
                let (keys, values) =
                    (self.unwrapped(first.key, false), self.unwrapped(first.value, first.optional));
                for entry in entries {
                    self.is_like(entry.key, false, &keys)?;
                    self.is_like(entry.value, entry.optional, &values)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn unwrapped(&self, id: ExprId, optional: bool) -> Type {
        match self.checked.ty(id) {
            Type::Optional(of) if optional => (**of).clone(),
            other => other.clone(),
        }
    }

    fn is_like(&mut self, id: ExprId, optional: bool, expected: &Type) -> Result<bool, TooMuch> {
        let actual = self.unwrapped(id, optional);
        let is = self.types.is_same(&actual, expected)?;
        if !is {
            let message = format!("expected type '{expected}' but found '{actual}'");
            self.report(DiagnosticKind::Type, id, message);
        }
        Ok(is)
    }

    fn format(&mut self, id: ExprId, target: Option<ExprId>, args: ExprId) {
        let Some(target) = target else { return };
        let (Kind::Literal(Literal::String(text)), Kind::List(items)) =
            (&self.ast.node(target).kind, &self.ast.node(args).kind)
        else {
            return;
        };
        let made = formatting::run::<Refused>(text, items.len(), false, |clause, place, _| {
            let Some(item) = items.get(place) else { return Ok(()) };
            match self.unwritable(clause, item.value) {
                Some((part, message)) => {
                    Err(Refused(format!("error during formatting: {message}"), Some(part)))
                }
                None => Ok(()),
            }
        });
        match made {
            Err(Refused(message, part)) => self.report(DiagnosticKind::Argument, part.unwrap_or(id), message),
            Ok((_, asked)) if items.len() > asked => {
                let given = items.len();
                let message =
                    format!("too many arguments supplied to string.format (expected {asked}, got {given})");
                self.report(DiagnosticKind::Argument, id, message);
            }
            Ok(_) => {}
        }
    }

    /// The part of an argument that a clause cannot write, and why.
    fn unwritable(&self, clause: Clause, id: ExprId) -> Option<(ExprId, String)> {
        let ty = self.checked.ty(id);
        let can = match clause {
            _ if ty.is_dyn() => true,
            Clause::String => matches!(
                ty,
                Type::List(_)
                    | Type::Map(_)
                    | Type::Int
                    | Type::Uint
                    | Type::Double
                    | Type::Bool
                    | Type::String
                    | Type::Timestamp
                    | Type::Bytes
                    | Type::Duration
                    | Type::Type(_)
                    | Type::Null
                    | Type::Nullable(_)
            ),
            Clause::Decimal | Clause::Octal => matches!(ty, Type::Int | Type::Uint),
            Clause::Fixed(_) | Clause::Scientific(_) => matches!(ty, Type::Double | Type::String),
            Clause::Binary => matches!(ty, Type::Int | Type::Uint | Type::Bool),
            Clause::Hex { .. } => matches!(ty, Type::Int | Type::Uint | Type::String | Type::Bytes),
        };
        if !can {
            return Some((id, clause.refuses(ty.runtime_name())));
        }
        match &self.ast.node(id).kind {
            Kind::List(_) | Kind::Map(_) if clause == Clause::String => {
                self.ast.children(id).into_iter().find_map(|part| self.unwritable(clause, part))
            }
            _ => None,
        }
    }
}
