//! `pathTests`: what has to be there, or must not be, for a mutator to change anything.

use super::location::{Location, NoLocation};
use crate::api::mutator::{Condition, PathTest};

/// What has to hold before the first step of a location, and at each.
#[derive(Clone, Debug, Default)]
pub(super) struct PathTests(Box<[Option<Test>]>);

/// What has to hold at one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    IsMissing,
    /// Neither will do.
    Never,
}

/// What is wrong with one of the tests, by its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    NoLocation(NoLocation),
    /// What else.
    Other(String),
}

impl PathTests {
    /// That nothing is at the end of a location.
    pub(super) fn missing_at_end(location: &Location) -> Self {
        let last = location.steps().len();
        Self((0..=last).map(|position| (position == last).then_some(Test::IsMissing)).collect())
    }

    pub(super) fn compile(
        location: &Location,
        written: &[PathTest],
    ) -> Result<Self, Vec<(usize, Complaint)>> {
        let mut complaints = Vec::new();
        let mut tests = vec![None; location.steps().len() + 1];
        // The positions in the list that Gatekeeper compares: the last that has to exist, and the first that
        // must not.
        let (mut last_must, mut first_must_not) = (0, None);
        for (position, test) in written.iter().enumerate() {
            let sub_path = match Location::parse(&test.sub_path) {
                Ok(sub_path) => sub_path,
                Err(error) => {
                    complaints.push((position, Complaint::NoLocation(error)));
                    continue;
                }
            };
            if !sub_path.begins(location) {
                let message = format!("`{sub_path}` is no beginning of the location `{location}`");
                complaints.push((position, Complaint::Other(message)));
                continue;
            }
            match test.condition {
                Some(Condition::MustExist) => last_must = position,
                Some(Condition::MustNotExist) => first_must_not = first_must_not.or(Some(position)),
                None => {}
            }
            let wanted = match test.condition {
                Some(Condition::MustExist) => Test::Exists,
                Some(Condition::MustNotExist) => Test::IsMissing,
                None => Test::Never,
            };
            // What begins each location is always there, and not asked.
            let Some(slot) = tests.get_mut(sub_path.steps().len()) else { continue };
            if slot.is_some_and(|before| before != wanted) {
                let message = format!("`{sub_path}` cannot both exist and not exist");
                complaints.push((position, Complaint::Other(message)));
            }
            *slot = Some(wanted);
        }
        if complaints.is_empty() && first_must_not.is_some_and(|first| last_must > first) {
            let message =
                "Gatekeeper refuses `MustExist` behind `MustNotExist`, whatever their paths are".to_owned();
            complaints.push((last_must, Complaint::Other(message)));
        }
        if complaints.is_empty() { Ok(Self(tests.into())) } else { Err(complaints) }
    }

    /// Whether a mutator goes on where something is.
    pub(super) fn allow_existing(&self, step: usize) -> bool {
        self.at(step).is_none_or(|test| test == Test::Exists)
    }

    /// Whether a mutator goes on where nothing is.
    pub(super) fn allow_missing(&self, step: usize) -> bool {
        self.at(step).is_none_or(|test| test == Test::IsMissing)
    }

    /// Whether no object fulfils them: what is below nothing does not exist.
    pub(super) fn never_hold(&self) -> bool {
        let mut is_missing = false;
        self.0.iter().skip(1).flatten().any(|test| {
            let never = *test == Test::Never || (is_missing && *test == Test::Exists);
            is_missing |= *test == Test::IsMissing;
            never
        })
    }

    fn at(&self, step: usize) -> Option<Test> {
        self.0.get(step + 1).copied().flatten()
    }
}
