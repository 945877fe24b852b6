//! The objects of a text, and what is wrong with it.

use std::sync::Arc;

use portcullis::{Limits, Object};
use portcullis_report::Problem;

use super::read::{Gathered, documents};
use super::split::Text;

/// What a text has.
#[derive(Debug, Default)]
pub struct Read {
    /// Its objects.
    pub objects: Vec<Object>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// How many errors there are beside those.
    pub unlisted: u64,
}

/// The objects of a text, and what is wrong with it.
pub fn read(file: &Arc<str>, text: Text, limits: &Limits) -> Read {
    let (documents, problems) = documents(file, text, limits);
    let mut gathered = Gathered::default();
    for problem in problems {
        gathered.add(problem);
    }
    let mut objects = Vec::new();
    for document in documents {
        match Object::from_document(document) {
            Ok(object) => objects.push(object),
            Err(error) => gathered.add(Problem::of(&error)),
        }
    }
    let (problems, unlisted) = gathered.finish();
    Read { objects, problems, unlisted }
}
