//! Macros: calls that stand for another expression.

use std::sync::Arc;

use super::Parser;
use crate::ast::{ExprId, Fold, Item, Kind, Literal};

/// The name of accumulators, which no text can have.
pub(super) const ACCUMULATOR: &str = "@result";
/// What they were called once.
const OLD_ACCUMULATOR: &str = "__result__";
/// A variable of a range that has no elements.
const UNUSED: &str = "#unused";

/// Where a macro is used wrongly, and how.
type Wrong = (ExprId, String);

/// What a call stands for, if it is one of a macro.
pub(super) fn expand(
    parser: &mut Parser<'_>,
    at: u32,
    function: &str,
    target: Option<ExprId>,
    args: &[ExprId],
) -> Option<Result<ExprId, Wrong>> {
    let mut maker = Maker { parser, at };
    Some(match (function, target, args) {
        ("has", None, [arg]) => maker.has(*arg),
        ("all", Some(range), [var, test]) => maker.quantifier(Quantifier::All, range, &[*var], *test),
        ("exists", Some(range), [var, test]) => maker.quantifier(Quantifier::Exists, range, &[*var], *test),
        ("exists_one", Some(range), [var, test]) => {
            maker.quantifier(Quantifier::ExistsOne, range, &[*var], *test)
        }
        ("all", Some(range), [a, b, test]) => maker.quantifier(Quantifier::All, range, &[*a, *b], *test),
        ("exists", Some(range), [a, b, test]) => {
            maker.quantifier(Quantifier::Exists, range, &[*a, *b], *test)
        }
        ("exists_one" | "existsOne", Some(range), [a, b, test]) => {
            maker.quantifier(Quantifier::ExistsOne, range, &[*a, *b], *test)
        }
        ("map", Some(range), [var, made]) => maker.map(range, *var, None, *made),
        ("map", Some(range), [var, test, made]) => maker.map(range, *var, Some(*test), *made),
        ("filter", Some(range), [var, test]) => maker.map(range, *var, Some(*test), *var),
        ("transformList", Some(range), [a, b, made]) => {
            maker.transform(range, [*a, *b], None, Made::List(*made))
        }
        ("transformList", Some(range), [a, b, test, made]) => {
            maker.transform(range, [*a, *b], Some(*test), Made::List(*made))
        }
        ("transformMap", Some(range), [a, b, made]) => {
            maker.transform(range, [*a, *b], None, Made::Map(*made))
        }
        ("transformMap", Some(range), [a, b, test, made]) => {
            maker.transform(range, [*a, *b], Some(*test), Made::Map(*made))
        }
        ("transformMapEntry", Some(range), [a, b, made]) => {
            maker.transform(range, [*a, *b], None, Made::Entry(*made))
        }
        ("transformMapEntry", Some(range), [a, b, test, made]) => {
            maker.transform(range, [*a, *b], Some(*test), Made::Entry(*made))
        }
        ("optMap", Some(target), [var, made]) => maker.optional(target, *var, *made, "optMap"),
        ("optFlatMap", Some(target), [var, made]) => maker.optional(target, *var, *made, "optFlatMap"),
        ("sortBy", Some(list), [var, key]) => maker.sort_by(list, *var, *key),
        _ => return None,
    })
}

#[derive(Clone, Copy)]
enum Quantifier {
    All,
    Exists,
    ExistsOne,
}

#[derive(Clone, Copy)]
enum Made {
    List(ExprId),
    Map(ExprId),
    Entry(ExprId),
}

/// Makes nodes, all at the place of the call.
struct Maker<'p, 't> {
    parser: &'p mut Parser<'t>,
    at: u32,
}

impl Maker<'_, '_> {
    fn add(&mut self, kind: Kind) -> ExprId {
        self.parser.add(self.at, kind)
    }

    fn literal(&mut self, literal: Literal) -> ExprId {
        self.add(Kind::Literal(literal))
    }

    fn ident(&mut self, name: &str) -> ExprId {
        self.add(Kind::Ident(name.into()))
    }

    fn accumulator(&mut self) -> ExprId {
        self.ident(ACCUMULATOR)
    }

    fn call(&mut self, function: &str, args: Vec<ExprId>) -> ExprId {
        self.add(Kind::Call { function: function.into(), target: None, args })
    }

    fn method(&mut self, function: &str, target: ExprId, args: Vec<ExprId>) -> ExprId {
        self.add(Kind::Call { function: function.into(), target: Some(target), args })
    }

    fn list(&mut self, items: &[ExprId]) -> ExprId {
        let items = items.iter().map(|value| Item { value: *value, optional: false }).collect();
        self.add(Kind::List(items))
    }

    fn kind(&self, id: ExprId) -> Option<&Kind> {
        self.parser.nodes.get(id as usize).map(|node| &node.kind)
    }

    fn name(&self, id: ExprId) -> Option<Arc<str>> {
        if let Some(Kind::Ident(name)) = self.kind(id) { Some(name.clone()) } else { None }
    }

    fn has(&mut self, arg: ExprId) -> Result<ExprId, Wrong> {
        let Some(Kind::Select { operand, field, .. }) = self.kind(arg) else {
            return Err((arg, "invalid argument to has() macro".to_owned()));
        };
        let (operand, field) = (*operand, field.clone());
        Ok(self.add(Kind::Select { operand, field, test_only: true }))
    }

    /// The names of variables, which have to be simple and must not be those of accumulators.
    fn variables(&self, vars: &[ExprId], message: &str) -> Result<Vec<Arc<str>>, Wrong> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for var in vars {
            names.push(self.name(*var).ok_or_else(|| (*var, message.to_owned()))?);
        }
        if let ([one, two], [_, second]) = (names.as_slice(), vars)
            && one == two
        {
            return Err((*second, format!("duplicate variable name: {one}")));
        }
        for (name, var) in names.iter().zip(vars) {
            if matches!(&**name, ACCUMULATOR | OLD_ACCUMULATOR) {
                return Err((*var, "iteration variable overwrites accumulator variable".to_owned()));
            }
        }
        Ok(names)
    }

    fn fold(&mut self, range: ExprId, names: &[Arc<str>], parts: [ExprId; 4]) -> ExprId {
        let [init, condition, step, result] = parts;
        let iter = names.first().cloned().unwrap_or_else(|| UNUSED.into());
        let iter2 = names.get(1).cloned();
        let accu = ACCUMULATOR.into();
        self.add(Kind::Fold(Box::new(Fold { range, iter, iter2, accu, init, condition, step, result })))
    }

    fn quantifier(
        &mut self,
        quantifier: Quantifier,
        range: ExprId,
        vars: &[ExprId],
        test: ExprId,
    ) -> Result<ExprId, Wrong> {
        let names = self.variables(vars, "argument must be a simple name")?;
        let init = self.literal(match quantifier {
            Quantifier::All => Literal::Bool(true),
            Quantifier::Exists => Literal::Bool(false),
            Quantifier::ExistsOne => Literal::Int(0),
        });
        let condition = match quantifier {
            Quantifier::All => {
                let so_far = self.accumulator();
                self.call("@not_strictly_false", vec![so_far])
            }
            Quantifier::Exists => {
                let so_far = self.accumulator();
                let none = self.call("!_", vec![so_far]);
                self.call("@not_strictly_false", vec![none])
            }
            Quantifier::ExistsOne => self.literal(Literal::Bool(true)),
        };
        let so_far = self.accumulator();
        let step = match quantifier {
            Quantifier::All => self.call("_&&_", vec![so_far, test]),
            Quantifier::Exists => self.call("_||_", vec![so_far, test]),
            Quantifier::ExistsOne => {
                let one = self.literal(Literal::Int(1));
                let more = self.call("_+_", vec![so_far, one]);
                let same = self.accumulator();
                self.call("_?_:_", vec![test, more, same])
            }
        };
        let so_far = self.accumulator();
        let result = match quantifier {
            Quantifier::All | Quantifier::Exists => so_far,
            Quantifier::ExistsOne => {
                let one = self.literal(Literal::Int(1));
                self.call("_==_", vec![so_far, one])
            }
        };
        Ok(self.fold(range, &names, [init, condition, step, result]))
    }

    /// Adds what is made to the accumulator, where a test holds.
    fn step(&mut self, added: ExprId, test: Option<ExprId>) -> ExprId {
        let Some(test) = test else { return added };
        let same = self.accumulator();
        self.call("_?_:_", vec![test, added, same])
    }

    fn map(
        &mut self,
        range: ExprId,
        var: ExprId,
        test: Option<ExprId>,
        made: ExprId,
    ) -> Result<ExprId, Wrong> {
        let names = self.variables(&[var], "argument is not an identifier")?;
        Ok(self.collected(range, &names, test, made))
    }

    fn collected(&mut self, range: ExprId, names: &[Arc<str>], test: Option<ExprId>, made: ExprId) -> ExprId {
        let init = self.list(&[]);
        let condition = self.literal(Literal::Bool(true));
        let so_far = self.accumulator();
        let one = self.list(&[made]);
        let added = self.call("_+_", vec![so_far, one]);
        let step = self.step(added, test);
        let result = self.accumulator();
        self.fold(range, names, [init, condition, step, result])
    }

    fn transform(
        &mut self,
        range: ExprId,
        vars: [ExprId; 2],
        test: Option<ExprId>,
        made: Made,
    ) -> Result<ExprId, Wrong> {
        let names = self.variables(&vars, "argument must be a simple name")?;
        if let Made::List(made) = made {
            return Ok(self.collected(range, &names, test, made));
        }
        let so_far = self.accumulator();
        let args = match made {
            Made::List(made) | Made::Entry(made) => vec![so_far, made],
            Made::Map(made) => {
                let key = self.add(Kind::Ident(names.first().cloned().unwrap_or_default()));
                vec![so_far, key, made]
            }
        };
        let added = self.call("cel.@mapInsert", args);
        let step = self.step(added, test);
        let init = self.add(Kind::Map(Vec::new()));
        let condition = self.literal(Literal::Bool(true));
        let result = self.accumulator();
        Ok(self.fold(range, &names, [init, condition, step, result]))
    }

    /// A fold over nothing, whose accumulator is a variable of its result.
    fn bind(&mut self, name: Arc<str>, init: ExprId, step: ExprId, result: ExprId) -> ExprId {
        let range = self.list(&[]);
        let condition = self.literal(Literal::Bool(false));
        let iter = UNUSED.into();
        let fold = Fold { range, iter, iter2: None, accu: name, init, condition, step, result };
        self.add(Kind::Fold(Box::new(fold)))
    }

    fn optional(
        &mut self,
        target: ExprId,
        var: ExprId,
        made: ExprId,
        macro_name: &str,
    ) -> Result<ExprId, Wrong> {
        let message = || format!("{macro_name}() variable name must be a simple identifier");
        let name = self.name(var).ok_or_else(|| (var, message()))?;
        let there = self.method("hasValue", target, Vec::new());
        let again = self.copy(target);
        let value = self.method("value", again, Vec::new());
        let step = self.ident(&name);
        let bound = self.bind(name, value, step, made);
        let some = if macro_name == "optMap" { self.call("optional.of", vec![bound]) } else { bound };
        let none = self.call("optional.none", Vec::new());
        Ok(self.call("_?_:_", vec![there, some, none]))
    }

    fn sort_by(&mut self, list: ExprId, var: ExprId, key: ExprId) -> Result<ExprId, Wrong> {
        /// The list, so that it is made once.
        const INPUT: &str = "@__sortBy_input__";
        let is_list = matches!(
            self.kind(list),
            Some(Kind::List(_) | Kind::Select { .. } | Kind::Ident(_) | Kind::Fold(_) | Kind::Call { .. })
        );
        if !is_list {
            let message = "sortBy can only be applied to a list, identifier, comprehension, call or select \
                           expression";
            return Err((list, message.to_owned()));
        }
        let input = self.ident(INPUT);
        let keys = self.map(input, var, None, key)?;
        let again = self.ident(INPUT);
        let sorted = self.method("@sortByAssociatedKeys", again, vec![keys]);
        let step = self.ident(INPUT);
        Ok(self.bind(INPUT.into(), list, step, sorted))
    }

    /// A copy of an expression, with nodes of its own.
    fn copy(&mut self, id: ExprId) -> ExprId {
        if self.parser.nodes.len() >= super::MAX_NODES {
            // It is too large already, and said to be.
            return id;
        }
        let Some(node) = self.parser.nodes.get(id as usize).cloned() else { return id };
        let kind = match node.kind {
            Kind::Select { operand, field, test_only } => {
                Kind::Select { operand: self.copy(operand), field, test_only }
            }
            Kind::Call { function, target, args } => {
                let target = target.map(|target| self.copy(target));
                Kind::Call { function, target, args: args.into_iter().map(|arg| self.copy(arg)).collect() }
            }
            Kind::List(mut items) => {
                for item in &mut items {
                    item.value = self.copy(item.value);
                }
                Kind::List(items)
            }
            Kind::Map(mut entries) => {
                for entry in &mut entries {
                    entry.key = self.copy(entry.key);
                    entry.value = self.copy(entry.value);
                }
                Kind::Map(entries)
            }
            Kind::Struct { name, mut fields } => {
                for field in &mut fields {
                    field.value = self.copy(field.value);
                }
                Kind::Struct { name, fields }
            }
            Kind::Fold(fold) => {
                let mut fold = *fold;
                for part in
                    [&mut fold.range, &mut fold.init, &mut fold.condition, &mut fold.step, &mut fold.result]
                {
                    *part = self.copy(*part);
                }
                Kind::Fold(Box::new(fold))
            }
            leaf @ (Kind::Error | Kind::Literal(_) | Kind::Ident(_)) => leaf,
        };
        self.parser.add(node.at, kind)
    }
}
