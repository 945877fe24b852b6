//! Reviews that ask the world outside, in rounds: what asked is evaluated again with the answers, and what did
//! not is kept. The result is the same as if all answers had been known from the beginning.
//!
//! ```text
//! review_with --Outcome--> questions() --> whoever can ask --Answers--> World --resume--> Outcome …
//! ```

use std::collections::HashSet;

use portcullis_value::{Answers, Questions};

use super::keep::Room;
use super::{Outcome, Review};
use crate::enforcement::EnforcementPoint;
use crate::expansion::Expansion;
use crate::names::ConstraintKey;
use crate::policy::PolicySet;
use crate::world::World;

impl PolicySet {
    /// Most rounds of [`PolicySet::review_asking`]. A policy that asks for what it was answered, and so on, needs one
    /// more for each link; others need one.
    pub const MAX_ROUNDS: usize = 8;

    /// Goes on with a review whose constraints asked something: those that did are evaluated again, in a world that
    /// knows more. The other arguments have to be those of the review that the outcome is of.
    ///
    /// Cost: a matcher per candidate, one evaluation per constraint that asked. If there was no room for something that
    /// was found, all constraints are evaluated again, as what is kept of one depends on the others.
    #[must_use]
    pub fn resume(
        &self,
        outcome: Outcome,
        review: &Review,
        implied: &[Review],
        world: &World<'_>,
    ) -> Outcome {
        let Outcome { point, results, is_cut } = outcome;
        if is_cut {
            return self.review_with(review, implied, world, point);
        }
        let asked: HashSet<(usize, ConstraintKey)> = results
            .iter()
            .filter(|result| !result.questions.is_empty())
            .map(|result| (result.review, result.key().clone()))
            .collect();
        let mut results = results;
        results.retain(|result| !asked.contains(&(result.review, result.key().clone())));
        for (number, one) in std::iter::once(review).chain(implied).enumerate() {
            let is_wanted = |key: &ConstraintKey| asked.contains(&(number, key.clone()));
            if !asked.iter().any(|(review, _)| *review == number) {
                continue;
            }
            self.review_some(one, world, point, &is_wanted, |ask| {
                let mut result = ask(world);
                result.review = number;
                results.push(result);
            });
        }
        // Stable: one constraint may have two results of a review, and both are here or there.
        results.sort_by(|a, b| a.key().cmp(b.key()).then(a.review.cmp(&b.review)));
        let mut room = world.findings().map(Room::new);
        if let Some(room) = &mut room {
            // In the order of evaluation, as in a review at once.
            let mut order: Vec<usize> = (0..results.len()).collect();
            order.sort_by_key(|place| results.get(*place).map_or(0, |result| result.review));
            for place in order {
                if let Some(result) = results.get_mut(place) {
                    room.keep(&mut result.verdict, &mut result.prints);
                }
            }
        }
        Outcome { point, results, is_cut: room.is_some_and(|room| room.is_cut()) }
    }

    /// Whether some policy may ask the world outside at all.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        self.compiled().any(|constraint| constraint.template.program.may_ask())
    }

    /// What a review would ask that the world does not know, without judging by policies that never ask. For who
    /// wants to ask for many reviews at once, before they judge.
    ///
    /// Cost: a matcher per candidate, one evaluation per constraint that applies and may ask.
    #[must_use]
    pub fn questions(
        &self,
        review: &Review,
        implied: &[Review],
        world: &World<'_>,
        point: EnforcementPoint,
    ) -> Questions {
        let asking: HashSet<&ConstraintKey> = self
            .compiled()
            .filter(|constraint| constraint.template.program.may_ask())
            .map(|constraint| constraint.info.key())
            .collect();
        let mut questions = Questions::default();
        if asking.is_empty() {
            return questions;
        }
        for one in std::iter::once(review).chain(implied) {
            self.review_some(one, world, point, &|key| asking.contains(key), |ask| {
                for question in ask(world).questions.iter() {
                    // Those that there is no room for are asked next time.
                    let _ = questions.ask(question.clone());
                }
            });
        }
        questions
    }

    /// What judging a review and all that its object implies would ask that the world does not know: as
    /// [`PolicySet::questions`], and before that what mutators ask of what is generated. Nothing, if the object cannot be
    /// expanded: that is told when it is judged.
    #[must_use]
    pub fn questions_expanding(
        &self,
        review: &Review,
        expansion: &Expansion<'_>,
        world: &World<'_>,
        point: EnforcementPoint,
    ) -> Questions {
        match review.implied(expansion, world) {
            Ok(implied) => self.questions(review, &implied, world, point),
            Err(error) => {
                // What constraints ask about the object itself need not wait.
                let mut questions = self.questions(review, &[], world, point);
                for question in error.questions().iter() {
                    let _ = questions.ask(question.clone());
                }
                questions
            }
        }
    }

    /// Judges a review as [`PolicySet::review_with`], and asks until nothing is asked any more, in
    /// [`PolicySet::MAX_ROUNDS`] rounds at most. `answer` is given what is not known yet and may answer as much of it as
    /// it can; if it answers nothing of it, that was the last round. What was answered is in `answers`, which may have some from
    /// the beginning.
    ///
    /// What is left without an answer is an error of the constraints that ask.
    pub fn review_asking(
        &self,
        review: &Review,
        implied: &[Review],
        world: &World<'_>,
        point: EnforcementPoint,
        answers: &mut Answers,
        mut answer: impl FnMut(&Questions) -> Answers,
    ) -> Outcome {
        let mut outcome = self.review_with(review, implied, &world.with_answers(answers), point);
        for _ in 0..Self::MAX_ROUNDS {
            let questions = outcome.questions();
            if questions.is_empty() {
                break;
            }
            answers.extend(answer(&questions));
            if !questions.iter().any(|question| answers.answers(question)) {
                break;
            }
            outcome = self.resume(outcome, review, implied, &world.with_answers(answers));
        }
        outcome
    }
}
