//! Goes over lists and maps. What most folds are, quantifiers and lists that are collected, needs no step that reads the
//! accumulator and none that makes a new one; it is charged as if each had been.

use super::{Accumulator, Frame, KEPT, Machine, Outcome};
use crate::cost::{MAKE_LIST, SELECT};
use crate::error::Fault;
use crate::plan::{Action, FoldStep, NOT_ASKED, Shape, StepId};
use crate::value::{CelValue, Held, Map};

/// What the variables of one turn are worth.
type Turn<'e> = (Held<'e>, Held<'e>);

impl<'e> Machine<'e, '_> {
    pub(super) fn folded(&mut self, fold: &'e FoldStep) -> Outcome<'e> {
        if let Some(frame) = self.frames.get_mut(fold.slot) {
            *frame = Frame::default();
        }
        let range = self.eval(fold.range)?;
        let turn = |place: usize, item: Held<'e>| {
            let number = i64::try_from(place).unwrap_or(i64::MAX);
            if fold.has_two { (Held::Int(number), item) } else { (item, Held::Null) }
        };
        match range {
            Held::Input(input) => {
                if let Some(items) = input.as_array() {
                    let items = items.iter().enumerate();
                    return self
                        .over(fold, items, |machine, (place, item)| Ok(turn(place, machine.input(item)?)));
                }
                if let Some(object) = input.as_object() {
                    self.budget.make_items(object.len() * 2)?;
                    return self.over(fold, object.iter(), |machine, (key, value)| {
                        Ok((
                            machine.input(key)?,
                            if fold.has_two { machine.input(value)? } else { Held::Null },
                        ))
                    });
                }
            }
            Held::Made(CelValue::List(list)) => {
                if let Some(items) = list.made() {
                    let items = items.iter().enumerate();
                    return self.over(fold, items, |_, (place, item)| Ok(turn(place, Held::of(item))));
                }
            }
            Held::Made(CelValue::Map(Map::Made(entries))) => {
                self.budget.make_items(entries.0.len() * 2)?;
                return self.over(fold, entries.0.values(), |_, (key, value)| {
                    Ok((Held::of(key), if fold.has_two { Held::of(value) } else { Held::Null }))
                });
            }
            _ => {}
        }
        let given = range.to_value();
        let given = given.go_type();
        Err(Fault::error(if fold.has_two {
            format!("unsupported comprehension range type: {given}")
        } else {
            format!("got '{given}', expected iterable type")
        }))
    }

    fn over<T>(
        &mut self,
        fold: &'e FoldStep,
        mut elements: impl Iterator<Item = T>,
        turn: impl Fn(&mut Self, T) -> Result<Turn<'e>, Fault>,
    ) -> Outcome<'e> {
        let mut next = |machine: &mut Self| elements.next().map(|element| turn(machine, element)).transpose();
        let found = match fold.shape {
            Shape::Quantifier { is_any, test } => self.quantify(fold, is_any, test, &mut next)?,
            Shape::Collection { test, made } => self.collect(fold, test, made, &mut next)?,
            Shape::Other => None,
        };
        if let Some(found) = found {
            // The accumulator is read.
            self.budget.step(1)?;
            self.charge(SELECT, self.part(fold.result))?;
            return Ok(found);
        }
        while let Some(turn) = next(self)? {
            if !self.turn(fold, turn)? {
                break;
            }
        }
        self.eval(fold.result)
    }

    fn begin(&mut self, fold: &FoldStep, (first, second): Turn<'e>) {
        if let Some(frame) = self.frames.get_mut(fold.slot) {
            (frame.first, frame.second) = (first, second);
        }
    }

    /// One turn of a fold, and whether there may be another.
    fn turn(&mut self, fold: &FoldStep, turn: Turn<'e>) -> Result<bool, Fault> {
        self.begin(fold, turn);
        if let Ok(Held::Bool(false)) = self.operand(fold.condition)? {
            return Ok(false);
        }
        let made = self.operand(fold.step)?;
        if let Some(frame) = self.frames.get_mut(fold.slot) {
            let adding = frame.adding.take().map(Accumulator::Own);
            frame.accumulator = Some(made.map(|made| adding.unwrap_or(Accumulator::Held(made))));
        }
        Ok(true)
    }

    /// The accumulator is an error from now on, with which the fold goes on turn by turn.
    fn spoil(&mut self, fold: &FoldStep, fault: Fault) -> Result<Option<Held<'e>>, Fault> {
        let fault = fault.at(self.plan.step(fold.step).at);
        // As of every operand.
        self.budget.step(fault.message.len() as u64 / 128)?;
        if let Some(frame) = self.frames.get_mut(fold.slot) {
            frame.accumulator = Some(Err(fault));
        }
        Ok(None)
    }

    /// Charges 1 so many times: the first that is too much ends the evaluation.
    fn charge_each(&mut self, times: u64) -> Result<(), Fault> {
        let left = self.limit.saturating_sub(self.cost);
        self.charge(times.min(left.saturating_add(1)), NOT_ASKED)
    }

    /// What is evaluated, unless it ends the evaluation.
    fn tried(&mut self, id: StepId) -> Result<Outcome<'e>, Fault> {
        match self.eval(id) {
            Err(fault) if !fault.is_absorbable() => Err(fault),
            outcome => Ok(outcome),
        }
    }

    /// Whether a test holds of any element, or of all; none once the test has no value.
    fn quantify(
        &mut self,
        fold: &FoldStep,
        is_any: bool,
        test: StepId,
        next: &mut impl FnMut(&mut Self) -> Result<Option<Turn<'e>>, Fault>,
    ) -> Result<Option<Held<'e>>, Fault> {
        // The accumulator is made.
        self.budget.step(1)?;
        let mut holds = !is_any;
        while let Some(turn) = next(self)? {
            self.begin(fold, turn);
            // `@not_strictly_false(!@result)`, or without `!`.
            self.budget.step(if is_any { 5 } else { 3 })?;
            self.charge_each(if is_any { 3 } else { 2 })?;
            if holds == is_any {
                break;
            }
            // `@result || test`, or `&&`.
            self.budget.step(2)?;
            self.charge_each(SELECT)?;
            let mark = self.stack.mark();
            let found = self.tried(test)?;
            self.stack.back_to(mark);
            match found {
                Ok(Held::Bool(value)) => holds = value,
                Ok(_) => return self.spoil(fold, Fault::no_overload()),
                Err(fault) => return self.spoil(fold, fault),
            }
        }
        Ok(Some(Held::Bool(holds)))
    }

    /// What is made of the elements of which a test holds; none once the test, or what is made, has no value.
    fn collect(
        &mut self,
        fold: &'e FoldStep,
        test: Option<StepId>,
        made: StepId,
        next: &mut impl FnMut(&mut Self) -> Result<Option<Turn<'e>>, Fault>,
    ) -> Result<Option<Held<'e>>, Fault> {
        let mut items = Vec::new();
        // The accumulator is made when it is first read.
        let mut making = 1;
        while let Some(turn) = next(self)? {
            self.begin(fold, turn);
            // `true`.
            self.budget.step(1)?;
            if let Some(test) = test {
                // `test ? … : @result`
                self.budget.step(1)?;
                let found = self.tried(test)?;
                let part = self.part(test);
                match found {
                    Ok(Held::Bool(true)) => {}
                    Ok(Held::Bool(false)) => {
                        self.budget.step(std::mem::take(&mut making))?;
                        self.stack.drop(part);
                        continue;
                    }
                    Ok(_) => {
                        self.stack.drop(part);
                        return self.spoil(fold, Fault::no_overload());
                    }
                    Err(fault) => {
                        self.stack.drop(part);
                        return self.spoil(fold, fault);
                    }
                }
            }
            // `@result + [made]`
            self.budget.step(3 + std::mem::take(&mut making))?;
            self.charge_each(SELECT)?;
            let mark = self.stack.mark();
            self.budget.make_items(1)?;
            let made = self.tried(made)?;
            if made.is_ok() {
                self.budget.take(KEPT)?;
            }
            self.charge(MAKE_LIST, NOT_ASKED)?;
            if made.is_ok() {
                self.budget.step(1)?;
                self.budget.make_items(1)?;
            }
            self.charge(1, NOT_ASKED)?;
            self.stack.back_to(mark);
            if let Some(test) = test {
                let part = self.part(test);
                self.stack.drop(part);
            }
            match made {
                Ok(value) => items.push(value.to_value()),
                Err(fault) => return self.spoil(fold, fault),
            }
        }
        self.budget.step(making)?;
        if items.is_empty()
            && let Some(init) = self.plan.accumulators.get(fold.slot)
            && let Action::Const(none) = &self.plan.step(*init).action
        {
            return Ok(Some(Held::of(none)));
        }
        self.keep(CelValue::list(items)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

    use portcullis_value::{Budget, Limits, Value as Json};
    use proptest::prelude::*;

    use crate::activation::Variables;
    use crate::ast::Ast;
    use crate::check::check;
    use crate::environment::Environment;
    use crate::error::Fault;
    use crate::eval::{Machine, Room, Things};
    use crate::parse::parse;
    use crate::plan::{Action, NOT_KEPT, Plan, Shape, plan};
    use crate::types::Type;
    use crate::value::CelValue;

    fn planned(text: &str) -> Option<Plan> {
        let environment = Environment::default()
            .with_variable("xs", Type::Dyn)
            .with_variable("m", Type::Dyn)
            .with_variable("s", Type::String);
        let ast: Ast = parse(text).ok()?;
        let checked = check(&ast, &environment).ok()?;
        plan(&ast, &checked, &environment).ok()
    }

    /// What an evaluation came to, and all that it took.
    fn run(plan: &Plan, limits: Limits, cost: u64) -> (String, u64, u64, u64) {
        let value = |json: &str| CelValue::from(Json::from_json(json).unwrap());
        let variables = Variables::default()
            .with("xs", value(r#"[1, "a", "abc", {"k": ["a", 2]}, [1, 2, 3], true, null, 2.5]"#))
            .with("m", value(r#"{"a": [1, 2], "b": {"k": "v"}, "c": "text"}"#))
            .with("s", value(r#""abc""#));
        let mut budget = Budget::new(limits, None);
        let (room, things) = (Room::default(), Things::default());
        let mut machine = Machine::new(plan, &variables, &mut budget, &room, &things, cost);
        let result = machine.run().map(|value| format!("{value:?}")).map_err(Fault::told);
        let cost = machine.cost();
        drop(machine);
        (format!("{result:?}"), cost, budget.steps(), budget.memory())
    }

    /// The same without any fold being known for what it is.
    fn without_shapes(mut plan: Plan) -> Plan {
        for step in &mut plan.steps {
            if let Action::Fold(fold) = &mut step.action {
                fold.shape = Shape::Other;
            }
        }
        plan
    }

    /// The same without anything being known to be the same at each turn.
    fn without_invariants(mut plan: Plan) -> Plan {
        for step in &mut plan.steps {
            step.kept = NOT_KEPT;
        }
        plan
    }

    fn expression() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            "xs",
            "m",
            "s",
            "x",
            "y",
            "x.k",
            "xs[1]",
            "m.a",
            "m.missing",
            "1",
            "\"a\"",
            "true",
            "[]",
            "[1, 2]",
            "[\"a\", s]",
            "{\"k\": 1}",
            "size(xs)",
            "string(x)",
            "x in xs",
            "has(x.k)",
            "x == 1",
            "s.matches('a+')",
        ]);
        leaf.prop_map(str::to_owned).prop_recursive(4, 24, 3, |inner| {
            let folds = prop::sample::select(vec![
                "exists(x, {})", "all(x, {})", "exists_one(x, {})", "filter(x, {})", "map(x, {})", "map(x, {}, {})",
                "exists(x, y, {})", "all(x, y, {})", "transformList(x, y, {})", "transformList(x, y, {}, {})",
                "transformMap(x, y, {})", "filter(y, {})", "map(y, {})",
            ]);
            let filled = |fold: &str, parts: &[String]| {
                let mut parts = parts.iter();
                fold.split("{}").fold(String::new(), |text, piece| {
                    if text.is_empty() { piece.to_owned() } else { text + parts.next().unwrap() + piece }
                })
            };
            prop_oneof![
                4 => (inner.clone(), folds, [inner.clone(), inner.clone()])
                    .prop_map(move |(range, fold, parts)| format!("({range}).{}", filled(fold, &parts))),
                1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} == {b})")),
                1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
                1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && !{b})")),
                1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
                1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} + {b})")),
                1 => inner.clone().prop_map(|a| format!("[{a}]")),
            ]
        })
    }

    #[test]
    fn most_macros_have_a_shape() {
        let shape = |text: &str| {
            let plan = planned(text).unwrap();
            let mut shapes = plan.steps.iter().rev().filter_map(|step| match &step.action {
                Action::Fold(fold) => Some(fold.shape),
                _ => None,
            });
            shapes.next().unwrap()
        };
        assert!(matches!(shape("[1].exists(x, x == 1)"), Shape::Quantifier { is_any: true, .. }));
        assert!(matches!(shape("[1].all(x, x == 1)"), Shape::Quantifier { is_any: false, .. }));
        assert!(matches!(shape("[1].all(x, y, x == y)"), Shape::Quantifier { is_any: false, .. }));
        assert!(matches!(shape("xs.filter(x, x == 1)"), Shape::Collection { test: Some(_), .. }));
        assert!(matches!(shape("xs.map(x, x == 1, [x])"), Shape::Collection { test: Some(_), .. }));
        assert!(matches!(shape("xs.map(x, x)"), Shape::Collection { test: None, .. }));
        assert!(matches!(shape("xs.transformList(x, y, y)"), Shape::Collection { test: None, .. }));
        assert_eq!(shape("xs.exists_one(x, x == 1)"), Shape::Other);
        assert_eq!(shape("m.transformMap(x, y, y)"), Shape::Other);
    }

    #[test]
    fn a_map_that_grows_at_each_second_turn_is_not_copied() {
        let plan = planned("lists.range(2000).transformMap(i, v, v % 2 == 0, v).size() == 1000").unwrap();
        let (value, _, steps, _) = run(&plan, Limits::default(), 1_000_000);
        assert_eq!(value, "Ok(\"Bool(true)\")");
        assert!(steps < 50_000, "{steps}");
    }

    #[test]
    fn what_is_the_same_at_each_turn_is_known() {
        let kept = |text: &str| planned(text).unwrap().kept;
        assert_eq!(kept("xs.map(x, xs.filter(y, y == 1))"), 1);
        assert_eq!(kept("xs.map(x, m.a.map(y, s + 'a').join(', '))"), 1);
        assert_eq!(kept("xs.all(x, !has(m.a.b) || m.a.b.c == 1)"), 1);
        // Neither what reads an element, nor what is not in a fold, nor what is read at once.
        assert_eq!(kept("xs.map(x, xs.filter(y, y == x))"), 0);
        assert_eq!(kept("xs.filter(y, y == 1).size() == 0"), 0);
        assert_eq!(kept("xs.map(x, m.a)"), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn an_invariant_changes_nothing(
            text in expression(),
            (cost, steps) in prop_oneof![
                Just((1_000_000, 1_000_000)),
                (0..200u64).prop_map(|cost| (cost, 1_000_000)),
                (0..400u64).prop_map(|steps| (1_000_000, steps)),
            ],
        ) {
            let twice = format!("xs.map(x, {text})");
            let Some((plan, plain)) = planned(&twice).zip(planned(&twice).map(without_invariants)) else {
                return Ok(());
            };
            let limits = Limits { steps, ..Limits::default() };
            let (kept, plain) = (run(&plan, limits, cost), run(&plain, limits, cost));
            if (cost, steps) == (1_000_000, 1_000_000) {
                prop_assert_eq!(&kept, &plain, "{}", &twice);
            } else {
                prop_assert_eq!(&kept.0, &plain.0, "{}", &twice);
            }
        }

        #[test]
        fn a_shape_changes_nothing(
            text in expression(),
            (cost, steps) in prop_oneof![
                Just((1_000_000, 1_000_000)),
                (0..200u64).prop_map(|cost| (cost, 1_000_000)),
                (0..400u64).prop_map(|steps| (1_000_000, steps)),
            ],
        ) {
            let Some((plan, plain)) = planned(&text).zip(planned(&text).map(without_shapes)) else { return Ok(()) };
            let limits = Limits { steps, ..Limits::default() };
            let (shaped, plain) = (run(&plan, limits, cost), run(&plain, limits, cost));
            if (cost, steps) == (1_000_000, 1_000_000) {
                prop_assert_eq!(&shaped, &plain, "{}", &text);
            } else {
                // Several steps are taken at once: how far an evaluation came that ended before its time may differ.
                prop_assert_eq!(&shaped.0, &plain.0, "{}", &text);
                prop_assert!(steps < 1_000_000 || shaped.1 == plain.1, "{}: {} and {}", &text, shaped.1, plain.1);
            }
        }
    }
}
