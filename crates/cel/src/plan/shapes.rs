//! What a fold comes to, where it is one of those that macros make most: whether a test holds of some or of all, and lists
//! of what is made of elements. These need not read an accumulator and make a new one at each turn.

use super::{Action, Attribute, Call, FoldStep, Root, Step, StepId};
use crate::cost::Rule;
use crate::functions::Function;
use crate::value::CelValue;

/// What a fold comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Whether a test holds of any element (`exists`), or of all (`all`).
    Quantifier { is_any: bool, test: StepId },
    /// A list of what is made of the elements, or of those of which a test holds (`map`, `filter`, `transformList`).
    Collection { test: Option<StepId>, made: StepId },
    /// Anything else.
    Other,
}

/// The shape of a fold whose accumulator begins with what `init` says.
pub(super) fn shape_of(steps: &[Step], fold: &FoldStep, init: StepId) -> Shape {
    let shapes = Shapes { steps, slot: fold.slot };
    if !shapes.is_accumulator(fold.result) {
        return Shape::Other;
    }
    shapes.quantifier(fold, init).or_else(|| shapes.collection(fold, init)).unwrap_or(Shape::Other)
}

struct Shapes<'s> {
    steps: &'s [Step],
    slot: usize,
}

impl<'s> Shapes<'s> {
    fn action(&self, id: StepId) -> Option<&'s Action> {
        self.steps.get(id as usize).map(|step| &step.action)
    }

    fn call(&self, id: StepId, function: Function) -> Option<&'s Call> {
        match self.action(id)? {
            Action::Call(call) if call.declaration.function == function => Some(call),
            _ => None,
        }
    }

    fn is_accumulator(&self, id: StepId) -> bool {
        matches!(
            self.action(id),
            Some(Action::Attribute { attribute, test_only: false }) if self.reads_accumulator(attribute)
        )
    }

    fn reads_accumulator(&self, attribute: &Attribute) -> bool {
        matches!(attribute.root, Root::Accumulator(slot) if slot == self.slot)
            && attribute.qualifiers.is_empty()
    }

    fn bool(&self, id: StepId) -> Option<bool> {
        match self.action(id)? {
            Action::Const(value) => value.as_bool(),
            _ => None,
        }
    }

    fn quantifier(&self, fold: &FoldStep, init: StepId) -> Option<Shape> {
        let Action::Logical { is_or: is_any, terms: [so_far, test] } = *self.action(fold.step)? else {
            return None;
        };
        let [asked] = *self.call(fold.condition, Function::NotStrictlyFalse)?.args else { return None };
        let asked = if is_any {
            let [negated] = *self.call(asked, Function::Not)?.args else { return None };
            negated
        } else {
            asked
        };
        let is_one = self.is_accumulator(so_far) && self.is_accumulator(asked);
        (is_one && self.bool(init) == Some(!is_any)).then_some(Shape::Quantifier { is_any, test })
    }

    fn collection(&self, fold: &FoldStep, init: StepId) -> Option<Shape> {
        let begins_empty =
            matches!(self.action(init)?, Action::Const(CelValue::List(list)) if list.is_empty());
        if !begins_empty || self.bool(fold.condition) != Some(true) {
            return None;
        }
        let (test, adds) = match self.action(fold.step)? {
            Action::Attribute {
                attribute: Attribute { root: Root::Conditional(parts), qualifiers, .. },
                test_only: false,
            } if qualifiers.is_empty() => {
                let (test, one, other) = &**parts;
                let Root::Step(adds) = one.root else { return None };
                if !one.qualifiers.is_empty() || !self.reads_accumulator(other) {
                    return None;
                }
                (Some(*test), adds)
            }
            _ => (None, fold.step),
        };
        let call = self.call(adds, Function::Add)?;
        let [so_far, one] = *call.args else { return None };
        let Action::List(items) = self.action(one)? else { return None };
        let [(made, false)] = **items else { return None };
        let is_one = call.takes && call.rule == Rule::One && self.is_accumulator(so_far);
        is_one.then_some(Shape::Collection { test, made })
    }
}
