//! Admission policies of the API server's that mutate, asked about reviews.

use std::convert::Infallible;

use portcullis_value::Questions;

use super::Review;
use super::policies::{AdmissionDenial, inventory};
use crate::admission_policy::{AdmissionMutators, Kinds, Surroundings};
use crate::object::Object;
use crate::program::Asking;
use crate::world::World;

/// What mutating admission policies make of an object.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AdmissionMutation {
    /// The object as they leave it, if that is another one.
    pub object: Option<Object>,
    /// Who changed it: `policy/binding`, in the order in which they did.
    pub changed_by: Vec<String>,
    /// Why the request is denied, if it is: then nothing is changed.
    pub denials: Vec<AdmissionDenial>,
    /// What did not work and does not count, as failurePolicy says.
    pub ignored: Vec<String>,
    /// What policies ask of the world outside that the world does not know. Then the request is denied, and with answers it
    /// is another one.
    pub questions: Questions,
}

impl AdmissionMutators {
    /// What they make of the object of a review. One that comes alone is being created.
    #[must_use]
    pub fn mutate(&self, review: &Review, world: &World<'_>) -> AdmissionMutation {
        match self.mutate_around(review, world, |object| Ok::<_, Infallible>(object.clone())) {
            Ok(mutation) => mutation,
            Err(never) => match never {},
        }
    }

    /// The same with what changes the object between: an API server asks all policies, then calls its mutating webhooks,
    /// such as Gatekeeper's, and then asks those policies once more whose `reinvocationPolicy` is `IfNeeded`, if anything was
    /// changed. `between` is not called if the request is denied before.
    ///
    /// # Errors
    ///
    /// That of `between`.
    pub fn mutate_around<E>(
        &self,
        review: &Review,
        world: &World<'_>,
        between: impl FnOnce(&Object) -> Result<Object, E>,
    ) -> Result<AdmissionMutation, E> {
        let inventory = inventory(world);
        let kinds = Kinds::new(&inventory);
        let asking = Asking::new(world.answers());
        let around = Surroundings::new(world, review.known_namespace(world), &inventory, &asking);
        let mutated = self.compiled().mutate(&review.attributes(&kinds), &around, between)?;
        let questions =
            if mutated.denied.is_empty() { Questions::default() } else { asking.into_questions() };
        let denials: Vec<AdmissionDenial> = mutated
            .denied
            .into_iter()
            .map(|denied| AdmissionDenial {
                message: denied.message,
                reason: denied.reason,
                code: denied.code,
            })
            .collect();
        Ok(AdmissionMutation {
            object: mutated.object.filter(|_| denials.is_empty()),
            changed_by: mutated.by.iter().map(|(policy, binding)| format!("{policy}/{binding}")).collect(),
            denials,
            ignored: mutated.ignored,
            questions,
        })
    }
}
