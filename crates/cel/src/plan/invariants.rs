//! What is the same at each turn of a fold: what reads none of its variables. It is evaluated at the first turn and kept
//! for the others, where evaluating it is more than looking it up.

use super::{Action, Attribute, By, Plan, Root, Seen, StepId};

/// So many steps are more than looking one value up.
const WORTH: u64 = 5;

/// Gives each step that is worth it a place for its value.
pub(super) fn mark(plan: &mut Plan) {
    if plan.accumulators.is_empty() {
        return;
    }
    let mut walk = Walk { plan, parts: vec![None; plan.steps.len()] };
    walk.part(plan.root);
    let parts = walk.parts;
    let mut marks =
        Marks { plan, parts: &parts, seen: vec![[false; 2]; plan.steps.len()], marked: Vec::new() };
    marks.step(plan.root, false);
    let mut marked = marks.marked;
    marked.sort_unstable();
    marked.dedup();
    for (place, id) in marked.iter().enumerate() {
        if let (Some(step), Ok(place)) = (plan.steps.get_mut(*id as usize), u32::try_from(place)) {
            step.kept = place;
        }
    }
    plan.kept = marked.len();
}

/// What is known of a step with all that is below it.
#[derive(Clone, Debug, Default)]
struct Part {
    /// The folds around it of which it reads variables, in order.
    reads: Vec<usize>,
    steps: u64,
}

impl Part {
    fn add(&mut self, other: &Self) {
        self.reads.extend(&other.reads);
        self.reads.sort_unstable();
        self.reads.dedup();
        self.steps = self.steps.saturating_add(other.steps);
    }
}

struct Walk<'p> {
    plan: &'p Plan,
    parts: Vec<Option<Part>>,
}

impl Walk<'_> {
    fn part(&mut self, id: StepId) -> Part {
        if let Some(Some(known)) = self.parts.get(id as usize) {
            return known.clone();
        }
        let mut part = Part { reads: Vec::new(), steps: 1 };
        let plan = self.plan;
        match &plan.step(id).action {
            Action::Fold(fold) => {
                for id in body(plan, fold) {
                    let inner = self.part(id);
                    part.add(&inner);
                }
                part.reads.retain(|slot| *slot != fold.slot);
                let range = self.part(fold.range);
                part.add(&range);
                // However short it is, it is gone over more than once.
                part.steps = part.steps.saturating_add(WORTH);
            }
            Action::Attribute { attribute, .. } => self.attribute(attribute, &mut part, &mut Seen::default()),
            _ => each_child(plan, id, &mut |child| {
                let inner = self.part(child);
                part.add(&inner);
            }),
        }
        if let Some(known) = self.parts.get_mut(id as usize) {
            *known = Some(part.clone());
        }
        part
    }

    fn attribute(&mut self, attribute: &Attribute, part: &mut Part, seen: &mut Seen) {
        match &attribute.root {
            Root::Accumulator(slot) | Root::Passed(slot) | Root::First(slot) | Root::Second(slot) => {
                part.add(&Part { reads: vec![*slot], steps: 0 });
            }
            Root::Variable(..) | Root::Step(_) | Root::Conditional(_) => {}
        }
        part.steps = part.steps.saturating_add(attribute.qualifiers.len() as u64);
        each_part(attribute, seen, &mut |below, seen| match below {
            Below::Step(id) => {
                let inner = self.part(id);
                part.add(&inner);
            }
            Below::Attribute(attribute) => self.attribute(attribute, part, seen),
        });
    }
}

struct Marks<'p> {
    plan: &'p Plan,
    parts: &'p [Option<Part>],
    /// Of each step, whether it was seen outside of folds, and inside of one.
    seen: Vec<[bool; 2]>,
    marked: Vec<StepId>,
}

impl Marks<'_> {
    fn step(&mut self, id: StepId, is_inside: bool) {
        match self.seen.get_mut(id as usize).and_then(|seen| seen.get_mut(usize::from(is_inside))) {
            Some(seen) if !*seen => *seen = true,
            _ => return,
        }
        let plan = self.plan;
        let part = self.parts.get(id as usize).and_then(Option::as_ref);
        let is_same = is_inside && part.is_some_and(|part| part.reads.is_empty() && part.steps >= WORTH);
        if is_same {
            self.marked.push(id);
        }
        // Below what is kept, all is evaluated once.
        let is_inside = is_inside && !is_same;
        match &plan.step(id).action {
            Action::Fold(fold) => {
                self.step(fold.range, is_inside);
                for id in body(plan, fold) {
                    self.step(id, true);
                }
            }
            Action::Attribute { attribute, .. } => self.attribute(attribute, is_inside, &mut Seen::default()),
            _ => each_child(plan, id, &mut |child| self.step(child, is_inside)),
        }
    }

    fn attribute(&mut self, attribute: &Attribute, is_inside: bool, seen: &mut Seen) {
        each_part(attribute, seen, &mut |below, seen| match below {
            Below::Step(id) => self.step(id, is_inside),
            Below::Attribute(attribute) => self.attribute(attribute, is_inside, seen),
        });
    }
}

/// What is evaluated at each turn of a fold, and what its accumulator begins with.
fn body(plan: &Plan, fold: &super::FoldStep) -> impl Iterator<Item = StepId> {
    let init = plan.accumulators.get(fold.slot).copied();
    [fold.condition, fold.step, fold.result].into_iter().chain(init)
}

/// The steps right below one that is neither an attribute nor a fold.
fn each_child(plan: &Plan, id: StepId, show: &mut dyn FnMut(StepId)) {
    match &plan.step(id).action {
        Action::Const(_) | Action::Attribute { .. } | Action::Fold(_) => {}
        Action::Logical { terms, .. } | Action::Equal { terms, .. } => terms.iter().copied().for_each(show),
        Action::Call(call) => call.args.iter().copied().for_each(show),
        Action::Member { value, .. } => show(*value),
        Action::Or { first, second, .. } => [*first, *second].into_iter().for_each(show),
        Action::List(items) => items.iter().for_each(|(item, _)| show(*item)),
        Action::Map(entries) => {
            entries.iter().flat_map(|(key, value, _)| [*key, *value]).for_each(show);
        }
        Action::Message { fields, .. } => fields.iter().for_each(|(_, value, _)| show(*value)),
    }
}

/// What an attribute is made of.
enum Below<'p> {
    Step(StepId),
    Attribute(&'p Attribute),
}

fn each_part<'p>(attribute: &'p Attribute, seen: &mut Seen, show: &mut dyn FnMut(Below<'p>, &mut Seen)) {
    match &attribute.root {
        Root::Step(id) => show(Below::Step(*id), seen),
        Root::Conditional(parts) => {
            show(Below::Step(parts.0), seen);
            show(Below::Attribute(&parts.1), seen);
            show(Below::Attribute(&parts.2), seen);
        }
        Root::Variable(..) | Root::Accumulator(_) | Root::Passed(_) | Root::First(_) | Root::Second(_) => {}
    }
    for qualifier in &attribute.qualifiers {
        match &qualifier.by {
            By::Attribute(inner) if seen.is_new(inner) => show(Below::Attribute(inner), seen),
            By::Key(_) | By::Attribute(_) => {}
            By::Step(id) => show(Below::Step(*id), seen),
        }
    }
}
