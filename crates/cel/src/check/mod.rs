//! The types of an expression: which variable and which overload is meant by each name, and all that is wrong
//! with it, as the API server's checker says it.

mod validate;

use std::sync::Arc;

use crate::ast::{Ast, Entry, ExprId, Field, Fold, Item, Kind, Literal};
use crate::diagnostic::{Diagnostic, DiagnosticKind};
use crate::environment::{Environment, Message, NULL_VALUE, named_type};
use crate::functions::{self, Declaration, Function, Style};
use crate::types::{TooMuch, Type, Unifier, instantiate};

/// What a name or a call means.
#[derive(Clone, Debug)]
pub(crate) enum Reference {
    /// A variable, or a type.
    Ident(Arc<str>),
    /// A function with the overloads that may be meant.
    Call {
        declaration: &'static Declaration,
        /// Whether what is before the dot is an argument, and not a part of the name.
        member: bool,
        overloads: Vec<usize>,
    },
}

/// What is known of the nodes of an expression.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    types: Vec<Option<Type>>,
    references: Vec<Option<Reference>>,
}

impl Checked {
    pub(crate) fn ty(&self, id: ExprId) -> &Type {
        self.types.get(id as usize).and_then(Option::as_ref).unwrap_or(&Type::Error)
    }

    pub(crate) fn reference(&self, id: ExprId) -> Option<&Reference> {
        self.references.get(id as usize).and_then(Option::as_ref)
    }
}

/// Finds out types and meanings.
pub(crate) fn check(ast: &Ast, environment: &Environment) -> Result<Checked, Vec<Diagnostic>> {
    let checked = Checked { types: vec![None; ast.nodes.len()], references: vec![None; ast.nodes.len()] };
    let mut checker = Checker {
        ast,
        environment,
        checked,
        types: Unifier::default(),
        scopes: Vec::new(),
        diagnostics: Vec::new(),
    };
    if checker.run().is_err() {
        let message = "the types of the expression take too much work to check";
        checker.diagnostics.push(Diagnostic::new(DiagnosticKind::Limit, 0, message));
    }
    if checker.diagnostics.is_empty() {
        return Ok(checker.checked);
    }
    checker.diagnostics.sort_by_key(|diagnostic| diagnostic.at);
    Err(checker.diagnostics)
}

type Done = Result<(), TooMuch>;

struct Checker<'a> {
    ast: &'a Ast,
    environment: &'a Environment,
    checked: Checked,
    types: Unifier,
    /// The variables of folds, the innermost last.
    scopes: Vec<(Arc<str>, Type)>,
    diagnostics: Vec<Diagnostic>,
}

impl Checker<'_> {
    fn run(&mut self) -> Done {
        self.check(self.ast.root)?;
        for id in 0..self.checked.types.len() {
            let Some(Some(ty)) = self.checked.types.get(id).cloned() else { continue };
            let ty = self.types.resolve(&ty, true)?;
            if let Some(place) = self.checked.types.get_mut(id) {
                *place = Some(ty);
            }
        }
        if self.diagnostics.is_empty() {
            self.diagnostics = validate::validate(self.ast, &self.checked, &mut self.types)?;
        }
        Ok(())
    }

    fn report(&mut self, kind: DiagnosticKind, id: ExprId, message: String) {
        let at = self.ast.node(id).at;
        self.diagnostics.push(Diagnostic::new(kind, at, message));
    }

    fn set(&mut self, id: ExprId, ty: Type) {
        if let Some(place) = self.checked.types.get_mut(id as usize) {
            *place = Some(ty);
        }
    }

    fn refer(&mut self, id: ExprId, reference: Reference) {
        if let Some(place) = self.checked.references.get_mut(id as usize) {
            *place = Some(reference);
        }
    }

    fn ty(&self, id: ExprId) -> Type {
        self.checked.ty(id).clone()
    }

    fn mismatch(&mut self, id: ExprId, expected: &Type, actual: &Type) {
        let message = format!("expected type '{expected}' but found '{actual}'");
        self.report(DiagnosticKind::Type, id, message);
    }

    fn undeclared(&mut self, id: ExprId, name: &str) {
        let message = format!("undeclared reference to '{name}' (in container '')");
        self.report(DiagnosticKind::Undeclared, id, message);
        self.set(id, Type::Error);
    }

    /// The variable or type of a name, and its full name.
    fn lookup(&self, name: &str) -> Option<(Arc<str>, Type)> {
        let name = name.strip_prefix('.').unwrap_or(name);
        if let Some((known, ty)) = self.scopes.iter().rev().find(|(known, _)| &**known == name) {
            return Some((known.clone(), ty.clone()));
        }
        if let Some(ty) = self.environment.variable(name) {
            return Some((name.into(), ty.clone()));
        }
        if name == NULL_VALUE {
            return Some((name.into(), Type::Int));
        }
        if self.environment.has_patch_type(name) {
            return Some((name.into(), Type::type_of(Type::object(name))));
        }
        named_type(name).map(|ty| (name.into(), Type::type_of(ty)))
    }

    fn check(&mut self, id: ExprId) -> Done {
        let ast = self.ast;
        match &ast.node(id).kind {
            Kind::Error => self.set(id, Type::Error),
            Kind::Literal(literal) => self.set(id, literal_type(literal)),
            Kind::Ident(name) => match self.lookup(name) {
                Some((full, ty)) => {
                    self.set(id, ty);
                    self.refer(id, Reference::Ident(full));
                }
                None => self.undeclared(id, name),
            },
            Kind::Select { operand, field, test_only } => self.select(id, *operand, field, *test_only)?,
            Kind::Call { function, target, args } => self.call(id, function, *target, args)?,
            Kind::List(items) => self.list(id, items)?,
            Kind::Map(entries) => self.map(id, entries)?,
            Kind::Struct { name, fields } => self.message(id, name, fields)?,
            Kind::Fold(fold) => self.fold(id, fold)?,
        }
        Ok(())
    }

    fn select(&mut self, id: ExprId, operand: ExprId, field: &str, test_only: bool) -> Done {
        if let Some(name) = self.ast.qualified_name(id)
            && let Some((full, ty)) = self.lookup(&name)
        {
            self.set(id, ty);
            self.refer(id, Reference::Ident(full));
            return Ok(());
        }
        let found = self.field(id, operand, field, false)?;
        let found = if test_only { Type::Bool } else { found };
        let found = self.types.resolve(&found, false)?;
        self.set(id, found);
        Ok(())
    }

    fn field(&mut self, id: ExprId, operand: ExprId, field: &str, optional: bool) -> Result<Type, TooMuch> {
        self.check(operand)?;
        let operand = self.ty(operand);
        let operand = self.types.resolve(&operand, false)?;
        let (target, is_optional) = match &operand {
            Type::Optional(of) => ((**of).clone(), true),
            other => (other.clone(), false),
        };
        let found = match &target {
            Type::Map(of) => of.1.clone(),
            Type::Object(name) => {
                let found = self.environment.field(name, field);
                found.unwrap_or_else(|| {
                    let message = if self.environment.is_resolved(name) {
                        format!("undefined field '{field}'")
                    } else {
                        format!("unexpected failed resolution of '{name}'")
                    };
                    self.report(DiagnosticKind::Type, id, message);
                    Type::Error
                })
            }
            Type::Param(_) => {
                self.types.is_assignable(&Type::Dyn, &target)?;
                Type::Dyn
            }
            Type::Dyn | Type::Error => Type::Dyn,
            other => {
                let message = format!("type '{other}' does not support field selection");
                self.report(DiagnosticKind::Type, id, message);
                Type::Dyn
            }
        };
        Ok(if is_optional || optional { Type::optional(found) } else { found })
    }

    fn call(&mut self, id: ExprId, function: &str, target: Option<ExprId>, args: &[ExprId]) -> Done {
        if function == "_?._" {
            return self.optional_select(id, args);
        }
        for arg in args {
            self.check(*arg)?;
        }
        let Some(target) = target else {
            let plain = function.strip_prefix('.').unwrap_or(function);
            if let Some(declaration) = self.function(plain) {
                return self.resolve(id, declaration, None, args);
            }
            self.undeclared(id, function);
            return Ok(());
        };
        if let Some(prefix) = self.ast.qualified_name(target) {
            let prefix = prefix.strip_prefix('.').unwrap_or(&prefix);
            if let Some(declaration) = self.function(&format!("{prefix}.{function}")) {
                return self.resolve(id, declaration, None, args);
            }
        }
        self.check(target)?;
        if let Some(declaration) = self.function(function) {
            return self.resolve(id, declaration, Some(target), args);
        }
        self.undeclared(id, function);
        Ok(())
    }

    fn function(&self, name: &str) -> Option<&'static Declaration> {
        functions::find(name).filter(|_| self.environment.has_function(name))
    }

    fn optional_select(&mut self, id: ExprId, args: &[ExprId]) -> Done {
        let [operand, field] = args else { return Ok(()) };
        let name = match &self.ast.node(*field).kind {
            Kind::Literal(Literal::String(name)) => name.clone(),
            _ => return Ok(()),
        };
        let found = self.field(id, *operand, &name, true)?;
        let found = self.types.resolve(&found, false)?;
        self.set(id, found);
        if let Some(declaration) = functions::find("_?._") {
            self.refer(id, Reference::Call { declaration, member: false, overloads: vec![0] });
        }
        Ok(())
    }

    fn resolve(
        &mut self,
        id: ExprId,
        declaration: &'static Declaration,
        target: Option<ExprId>,
        args: &[ExprId],
    ) -> Done {
        let mut types: Vec<Type> = target.iter().chain(args).map(|arg| self.ty(*arg)).collect();
        if matches!(declaration.function, Function::And | Function::Or) {
            return self.logical(id, declaration, args, &types);
        }
        let style = if target.is_some() { Style::Member } else { Style::Global };
        let mut overloads = Vec::new();
        let mut result: Option<Type> = None;
        for (place, overload) in declaration.overloads.iter().enumerate() {
            if overload.style != style {
                continue;
            }
            let params: Vec<Type> = (0..overload.params).map(|_| self.types.fresh()).collect();
            let needed: Vec<Type> = overload.args.iter().map(|arg| instantiate(arg, &params)).collect();
            if !self.types.are_assignable(&types, &needed)? {
                continue;
            }
            overloads.push(place);
            let returned = instantiate(&overload.result, &params);
            let returned = self.types.resolve(&returned, false)?;
            result = Some(match result {
                None => returned,
                Some(known) if known.is_dyn() || self.types.is_same(&returned, &known)? => known,
                Some(_) => Type::Dyn,
            });
        }
        let Some(result) = result else {
            for ty in &mut types {
                *ty = self.types.resolve(ty, true)?;
            }
            let mut shown = types.iter().map(ToString::to_string);
            let before = target.and_then(|_| shown.next()).map_or(String::new(), |target| target + ".");
            let shown: Vec<String> = shown.collect();
            let message = format!(
                "found no matching overload for '{}' applied to '{before}({})'",
                declaration.name,
                shown.join(", ")
            );
            self.report(DiagnosticKind::NoOverload, id, message);
            self.set(id, Type::Error);
            return Ok(());
        };
        self.set(id, result);
        self.refer(id, Reference::Call { declaration, member: target.is_some(), overloads });
        Ok(())
    }

    fn logical(
        &mut self,
        id: ExprId,
        declaration: &'static Declaration,
        args: &[ExprId],
        types: &[Type],
    ) -> Done {
        let mut all = true;
        for (arg, ty) in args.iter().zip(types) {
            if !self.types.is_assignable(ty, &Type::Bool)? {
                self.mismatch(*arg, &Type::Bool, ty);
                all = false;
            }
        }
        self.set(id, if all { Type::Bool } else { Type::Error });
        if all {
            self.refer(id, Reference::Call { declaration, member: false, overloads: vec![0] });
        }
        Ok(())
    }

    /// The type of elements: that of those so far, with one more.
    fn join(&mut self, so_far: Option<Type>, next: Type) -> Result<Option<Type>, TooMuch> {
        let Some(so_far) = so_far else { return Ok(Some(next)) };
        if self.types.is_assignable(&so_far, &next)? {
            return Ok(Some(self.types.most_general(&so_far, &next)?));
        }
        // That they differ is said when the rest is right: there are places where they may.
        Ok(Some(Type::Dyn))
    }

    /// The type of the value of an optional element.
    fn unwrapped(&mut self, id: ExprId, ty: Type) -> Type {
        match ty {
            Type::Optional(of) => (*of).clone(),
            Type::Dyn => Type::Dyn,
            other => {
                self.mismatch(id, &Type::optional(other.clone()), &other);
                other
            }
        }
    }

    fn list(&mut self, id: ExprId, items: &[Item]) -> Done {
        let mut element = None;
        for item in items {
            self.check(item.value)?;
            let mut ty = self.ty(item.value);
            if item.optional {
                ty = self.unwrapped(item.value, ty);
            }
            element = self.join(element, ty)?;
        }
        let element = element.unwrap_or_else(|| self.types.fresh());
        self.set(id, Type::list(element));
        Ok(())
    }

    fn map(&mut self, id: ExprId, entries: &[Entry]) -> Done {
        let (mut keys, mut values) = (None, None);
        for entry in entries {
            self.check(entry.key)?;
            let key = self.ty(entry.key);
            keys = self.join(keys, key)?;
            self.check(entry.value)?;
            let mut value = self.ty(entry.value);
            if entry.optional {
                value = self.unwrapped(entry.value, value);
            }
            values = self.join(values, value)?;
        }
        let keys = keys.unwrap_or_else(|| self.types.fresh());
        let values = values.unwrap_or_else(|| self.types.fresh());
        self.set(id, Type::map(keys, values));
        Ok(())
    }

    fn message(&mut self, id: ExprId, name: &str, fields: &[Field]) -> Done {
        let plain = name.strip_prefix('.').unwrap_or(name);
        let Some((full, ty)) = self.lookup(name) else {
            self.undeclared(id, name);
            return Ok(());
        };
        let message = Message::named(&full).filter(|_| &*full == plain);
        let is_patch = self.environment.has_patch_type(&full) && &*full == plain;
        let result = match (&ty, message) {
            (Type::Type(Some(of)), None) if is_patch => (**of).clone(),
            (Type::Type(_), Some(message)) => message.ty(),
            (Type::Type(Some(of)), None) => {
                let message = format!("'{}' is not a message type", of.runtime_name());
                self.report(DiagnosticKind::Type, id, message);
                Type::Error
            }
            _ => {
                let message = format!("'{}' is not a type", ty.runtime_name());
                self.report(DiagnosticKind::Type, id, message);
                Type::Error
            }
        };
        self.refer(id, Reference::Ident(full.clone()));
        self.set(id, result);
        for field in fields {
            self.check(field.value)?;
            let needed = match message {
                Some(message) => message.field(&field.name),
                None if is_patch => self.environment.field(&full, &field.name),
                None => None,
            };
            let at = field.at;
            let Some(needed) = needed else {
                let text = match message {
                    _ if message.is_some() || is_patch => format!("undefined field '{}'", field.name),
                    _ => format!("unexpected failed resolution of '{full}'"),
                };
                self.diagnostics.push(Diagnostic::new(DiagnosticKind::Type, at, text));
                continue;
            };
            let mut given = self.ty(field.value);
            if field.optional {
                given = self.unwrapped(field.value, given);
            }
            if !self.types.is_assignable(&needed, &given)? {
                let text = format!(
                    "expected type of field '{}' is '{needed}' but provided type is '{given}'",
                    field.name
                );
                self.diagnostics.push(Diagnostic::new(DiagnosticKind::Type, at, text));
            }
        }
        Ok(())
    }

    fn fold(&mut self, id: ExprId, fold: &Fold) -> Done {
        self.check(fold.range)?;
        self.check(fold.init)?;
        let range = self.ty(fold.range);
        let range = self.types.resolve(&range, false)?;
        let accumulator = self.ty(fold.init);
        let outer = self.scopes.len();
        self.scopes.push((fold.accu.clone(), accumulator.clone()));
        let (one, two) = match &range {
            Type::List(of) if fold.iter2.is_some() => (Type::Int, (**of).clone()),
            Type::List(of) => ((**of).clone(), Type::Error),
            Type::Map(of) => (of.0.clone(), of.1.clone()),
            Type::Dyn | Type::Error | Type::Param(_) => {
                self.types.is_assignable(&Type::Dyn, &range)?;
                (Type::Dyn, Type::Dyn)
            }
            other => {
                let message = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                self.report(DiagnosticKind::Type, fold.range, message);
                (Type::Error, Type::Error)
            }
        };
        let inner = self.scopes.len();
        self.scopes.push((fold.iter.clone(), one));
        if let Some(iter2) = &fold.iter2 {
            self.scopes.push((iter2.clone(), two));
        }
        self.check(fold.condition)?;
        self.assert(fold.condition, &Type::Bool)?;
        self.check(fold.step)?;
        self.assert(fold.step, &accumulator)?;
        self.scopes.truncate(inner);
        self.check(fold.result)?;
        self.scopes.truncate(outer);
        let result = self.ty(fold.result);
        let result = self.types.resolve(&result, false)?;
        self.set(id, result);
        Ok(())
    }

    fn assert(&mut self, id: ExprId, needed: &Type) -> Done {
        let given = self.ty(id);
        if !self.types.is_assignable(needed, &given)? {
            self.mismatch(id, needed, &given);
        }
        Ok(())
    }
}

fn literal_type(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
    }
}
