//! What policies and mutators ask of the world outside about many objects, asked together: each provider once for all that is
//! needed at once.

use portcullis::{Answers, Questions};
use portcullis_providers::Answering;
use rayon::prelude::*;

/// So many objects ask together.
const ASKING: usize = 512;

/// Adds to some answers all that is known of what things ask, in their order.
pub fn gather<T: Sync>(
    answering: &Answering,
    answers: &mut Answers,
    things: &[T],
    ask: impl Fn(&T, &Answers) -> Questions + Sync,
) {
    for some in things.chunks(ASKING) {
        let found = answering.gather(None, |found| {
            let mut known = answers.clone();
            known.extend(found.clone());
            let asked: Vec<Questions> = some.par_iter().map(|thing| ask(thing, &known)).collect();
            let mut all = Questions::default();
            for question in asked.iter().flat_map(Questions::iter) {
                // Those that there is no room for are asked next time.
                if all.ask(question.clone()).is_err() {
                    break;
                }
            }
            all
        });
        answers.extend(found);
    }
}
