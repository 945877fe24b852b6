//! Why a constraint denies an object, or does not: the rules and conditions of its policy, each with its place, and
//! what they read. Found by a second evaluation that follows the policy; reviews pay nothing for it.

use std::cell::Cell;
use std::sync::Arc;

use super::why::Applicability;
use super::{Review, Seen};
use crate::api::Process;
use crate::enforcement::EnforcementPoint;
use crate::names::ConstraintKey;
use crate::object::Object;
use crate::path::{FieldPath, Segment};
use crate::policy::{CompiledConstraint, PolicySet};
use crate::program::{
    Counting, Desk, EvaluationError, Followed, FollowedFact, FollowedRule, RuleKind, Surroundings,
};
use crate::source::Location;
use crate::value::{self, Value, View};
use crate::world::World;

/// Most bytes of a value that is told.
const MOST_VALUE: usize = 1 << 10;
/// Most bytes of the texts of all facts of an explanation, about.
const MOST_FACTS: usize = 4 << 20;

/// Why a constraint says what it says of an object.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Why {
    /// The constraint.
    pub constraint: ConstraintKey,
    /// Whether it applies at all. If it does not, nothing else is known.
    pub applicability: Applicability,
    /// What it finds, and how that came about.
    pub found: Vec<WhyFound>,
    /// The bodies that were tried and did not hold, each as far as it came: the one with the most conditions that
    /// hold first.
    ///
    /// In CEL: the match conditions that are false, so that nothing else is asked, and validations without a value.
    pub missed: Vec<WhyRule>,
    /// In CEL: the match conditions and validations that hold, and by what.
    pub held: Vec<WhyRule>,
    /// Why it could not be evaluated.
    pub error: Option<EvaluationError>,
    /// Whether there was more than is told.
    pub is_cut: bool,
}

/// How a violation came about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WhyFound {
    /// Its message.
    pub message: String,
    /// The rule that made it, once for each way in which it did.
    pub ways: Vec<WhyRule>,
}

/// A body of a rule; in CEL an expression.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WhyRule {
    /// What it is.
    pub kind: RuleKind,
    /// Its name, with the package if it is of a library.
    pub name: String,
    /// Where its head is.
    pub location: Option<Location>,
    /// Whether it holds.
    pub holds: bool,
    /// Whether it was asked inside of a `not`, an `every` or a comprehension, and so perhaps one of several.
    pub is_inside: bool,
    /// In the order in which they were evaluated, up to the one that fails. Of an expression in CEL, the parts that
    /// decide what it is worth.
    pub conditions: Vec<WhyCondition>,
}

/// A condition of a body: a statement.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WhyCondition {
    /// Where it stands.
    pub location: Option<Location>,
    /// As it is written.
    pub text: String,
    /// Whether it holds.
    pub holds: bool,
    /// What it looked at.
    pub facts: Vec<WhyFact>,
    /// The rules that it asked.
    pub rules: Vec<WhyRule>,
}

/// What a condition looked at. Values are JSON, or, if they are long, what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyFact {
    /// A field of the object.
    Field {
        /// The field.
        path: FieldPath,
        /// What is there; none if there is no such field.
        value: Option<String>,
        /// Where it is; of a field that is not there, the nearest part of the object.
        location: Option<Location>,
    },
    /// A parameter of the constraint.
    Parameter {
        /// Below `parameters`.
        path: FieldPath,
        /// What is there; none if there is no such parameter.
        value: Option<String>,
        /// Where it is in the constraint; none for a default.
        location: Option<Location>,
    },
    /// Something else of the request.
    Input {
        /// From `input` on.
        path: FieldPath,
        /// What is there.
        value: Option<String>,
    },
    /// A comparison.
    Compared {
        /// As it is written.
        operator: &'static str,
        /// Its left side.
        left: String,
        /// Its right side.
        right: String,
        /// Whether it holds.
        holds: bool,
    },
    /// A builtin with its arguments.
    Called {
        /// Its name.
        name: &'static str,
        /// The arguments.
        args: Vec<String>,
        /// The answer; none if it is not defined for them.
        answer: Option<String>,
    },
    /// Something else that an expression in CEL has a name for, such as `request.operation`.
    Known {
        /// As it is written.
        name: String,
        /// What it is worth; none if there is nothing.
        value: Option<String>,
    },
}

impl Why {
    /// About how many bytes it takes, for who keeps many of them.
    #[must_use]
    pub fn weight(&self) -> usize {
        let found = self.found.iter().map(|one| 64 + one.message.len() + rules(&one.ways));
        let error = self.error.as_ref().map_or(0, |error| 64 + error.message.len());
        256 + found.sum::<usize>() + rules(&self.missed) + rules(&self.held) + error
    }
}

fn rules(all: &[WhyRule]) -> usize {
    let condition = |one: &WhyCondition| {
        128 + one.text.len() + one.facts.iter().map(fact).sum::<usize>() + rules(&one.rules)
    };
    all.iter().map(|one| 128 + one.name.len() + one.conditions.iter().map(condition).sum::<usize>()).sum()
}

fn fact(fact: &WhyFact) -> usize {
    let path = |path: &FieldPath| 32 * path.segments().len();
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    128 + match fact {
        WhyFact::Field { path: at, value, .. }
        | WhyFact::Parameter { path: at, value, .. }
        | WhyFact::Input { path: at, value } => path(at) + text(value),
        WhyFact::Compared { left, right, .. } => left.len() + right.len(),
        WhyFact::Called { args, answer, .. } => {
            args.iter().map(|arg| 24 + arg.len()).sum::<usize>() + text(answer)
        }
        WhyFact::Known { name, value } => name.len() + text(value),
    }
}

impl PolicySet {
    /// Why a constraint says what it says of the object of a review; `None` if there is no such constraint.
    ///
    /// Cost: an evaluation that writes down what it does, by a program that is compiled when it is first asked for.
    #[must_use]
    pub fn explain(
        &self,
        key: &ConstraintKey,
        review: &Review,
        world: &World<'_>,
        point: EnforcementPoint,
        process: Process,
    ) -> Option<Why> {
        let constraint = self.candidates(None).find(|constraint| constraint.info.key() == key)?;
        let applicability = self.applicability(key, review, world, point, process)?;
        let mut why = Why {
            constraint: key.clone(),
            applicability,
            found: Vec::new(),
            missed: Vec::new(),
            held: Vec::new(),
            error: None,
            is_cut: false,
        };
        if why.applicability == Applicability::Applies {
            follow(self, constraint, review, world, &mut why);
        }
        Some(why)
    }
}

fn follow(
    set: &PolicySet,
    constraint: &Arc<CompiledConstraint>,
    review: &Review,
    world: &World<'_>,
    why: &mut Why,
) {
    let teller =
        Teller { object: review.object(), constraint: constraint.info.object(), room: Cell::new(MOST_FACTS) };
    let Some(followed) = followed(set, constraint, review, world) else { return };
    for (message, rule) in followed.found {
        let rule = teller.rule(rule);
        match why.found.iter_mut().find(|known| known.message == message) {
            Some(known) => known.ways.push(rule),
            None => why.found.push(WhyFound { message, ways: vec![rule] }),
        }
    }
    why.found.sort_by(|a, b| a.message.cmp(&b.message));
    why.missed = followed.missed.into_iter().map(|rule| teller.rule(rule)).collect();
    // Stable: of equals, the first in the text.
    why.missed.sort_by_key(|rule| std::cmp::Reverse(rule.conditions.len()));
    why.held = followed.held.into_iter().map(|rule| teller.rule(rule)).collect();
    why.error = followed.error;
    why.is_cut = followed.is_cut || teller.room.get() == 0;
}

/// A second evaluation, which writes down what it does; none where the language of a policy cannot be followed.
pub(crate) fn followed(
    set: &PolicySet,
    constraint: &CompiledConstraint,
    review: &Review,
    world: &World<'_>,
) -> Option<Followed> {
    if let Some(bound) = &constraint.policy {
        return Some(super::policies::followed(bound, review, review.known_namespace(world), world));
    }
    let template = &constraint.template;
    let desk = Desk::default();
    let seen = Seen::of(review, review.known_namespace(world), world, &desk);
    let input = constraint.input(&seen.review);
    let indexes = world.inventory().and_then(|inventory| inventory.indexes(&template.program, set));
    let surroundings = Surroundings {
        data: &seen.data,
        indexes: indexes.as_deref(),
        constraint: constraint.info.object().value(),
        limits: world.limits(),
        watch: world.watch(),
        now_ns: world.now_ns(),
        seed: world.seed(),
        answers: world.answers(),
        coverage: None,
        counting: Counting::Always,
    };
    template.program.follow(&input, &surroundings)
}

/// Puts what was followed into the terms of objects and constraints.
struct Teller<'a> {
    object: Option<&'a Object>,
    constraint: &'a Object,
    /// How many bytes of facts may be told yet.
    room: Cell<usize>,
}

impl Teller<'_> {
    fn rule(&self, rule: FollowedRule) -> WhyRule {
        let conditions = rule.conditions.into_iter().map(|condition| WhyCondition {
            location: condition.location,
            text: condition.text,
            holds: condition.holds,
            facts: self.facts(condition.facts),
            rules: condition.rules.into_iter().map(|rule| self.rule(rule)).collect(),
        });
        WhyRule {
            kind: rule.kind,
            name: rule.name,
            location: rule.location,
            holds: rule.holds,
            is_inside: rule.is_inside,
            conditions: conditions.collect(),
        }
    }

    fn facts(&self, facts: Vec<FollowedFact>) -> Vec<WhyFact> {
        let mut told = Vec::new();
        for one in facts.into_iter().filter_map(|one| self.fact(one)) {
            let left = self.room.get().saturating_sub(fact(&one));
            self.room.set(left);
            if left == 0 {
                break;
            }
            told.push(one);
        }
        told
    }

    fn fact(&self, fact: FollowedFact) -> Option<WhyFact> {
        Some(match fact {
            FollowedFact::Read { path, value } => self.read(&path, value.as_ref())?,
            FollowedFact::Compared { operator, left, right, holds } => {
                WhyFact::Compared { operator, left: shown(&left), right: shown(&right), holds }
            }
            FollowedFact::Called { name, args, answer } => WhyFact::Called {
                name,
                args: args.iter().map(shown).collect(),
                answer: answer.as_ref().map(shown),
            },
            FollowedFact::Known { name, value } => WhyFact::Known { name, value: value.as_ref().map(shown) },
        })
    }

    fn read(&self, path: &[Value], found: Option<&Value>) -> Option<WhyFact> {
        let keys: Vec<Option<&str>> = path.iter().take(2).map(value::as_str).collect();
        let below = |from: usize| field_path(path.get(from..).unwrap_or_default());
        let value = found.map(shown);
        Some(match keys.as_slice() {
            [Some("review"), Some("object")] => {
                let path = below(2)?;
                let location = self.object.and_then(|object| {
                    // Of what an object implies, the part that it is made of.
                    let (document, path) = (object.document()?, object.written(&path));
                    let nearest = || document.locate_nearest(&path).0;
                    Some(match found {
                        Some(_) => document.locate_key(&path).unwrap_or_else(nearest),
                        None => nearest(),
                    })
                });
                WhyFact::Field { path, value, location }
            }
            [Some("parameters"), ..] => {
                let path = below(1)?;
                let whole: FieldPath = ["spec", "parameters"]
                    .map(Segment::from)
                    .into_iter()
                    .chain(path.segments().iter().cloned())
                    .collect();
                let location = self.constraint.document().and_then(|document| document.locate_key(&whole));
                WhyFact::Parameter { path, value, location }
            }
            _ => WhyFact::Input { path: below(0)?, value },
        })
    }
}

pub(crate) fn field_path(keys: &[Value]) -> Option<FieldPath> {
    let segment = |key: &Value| match key.view() {
        View::String(text) => Some(Segment::from(text)),
        _ => key.to_string().parse::<usize>().ok().map(Segment::from),
    };
    keys.iter().map(segment).collect()
}

/// A value as JSON, or what it is.
fn shown(value: &Value) -> String {
    value::to_json_text(value, MOST_VALUE).unwrap_or_else(|| value::describe(value))
}
