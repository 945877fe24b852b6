//! What suites name, read: files relative to them, and what is wrong with these as failures of who names them.

use std::path::{Path, PathBuf};

use portcullis::{Document, Error, Limits, Location, Severity, Source};
use portcullis_providers::Recorded;
use portcullis_report::verify::{Failure, Status};
use portcullis_report::{Problem, count};
use portcullis_sources::{self as read, InputFile};

/// Reads what suites name, relative to them.
pub(in crate::commands) struct Files<'a> {
    pub(in crate::commands) directory: &'a Path,
    pub(in crate::commands) limits: &'a Limits,
}

impl Files<'_> {
    /// The documents of a file. An error is a failure of the test that names it.
    pub(super) fn read(
        &self,
        path: &str,
        what: &str,
        by: &Location,
        warnings: &mut Vec<Error>,
    ) -> Result<Vec<Document>, Failure> {
        let (named, path): (&str, PathBuf) = (path, self.directory.join(path));
        if read::elsewhere::leads_out(self.directory, &path) {
            let message = format!("the {what} `{named}` is not read: it lies outside of what was fetched");
            return Err(broken(by, message, &[]));
        }
        let (documents, problems) = read::read_file(&InputFile::new(&path), self.limits);
        let (errors, found) = separate(problems);
        warnings.extend(found);
        if errors.is_empty() {
            return Ok(documents);
        }
        Err(broken(by, format!("the {what} cannot be read"), &errors))
    }

    /// The answers of providers in a file.
    pub(super) fn answers(&self, path: &str, by: &Location) -> Result<Recorded, Failure> {
        let file = self.directory.join(path);
        if read::elsewhere::leads_out(self.directory, &file) {
            let message = format!("the answers `{path}` are not read: they lie outside of what was fetched");
            return Err(broken(by, message, &[]));
        }
        let read = read::read_bytes(&InputFile::new(&file), self.limits).map_err(|error| error.to_string());
        let recorded = read.and_then(|bytes| {
            let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
            Recorded::read(&text).map_err(|error| error.to_string())
        });
        let error = |error: String| broken(by, format!("the answers of providers in `{path}`: {error}"), &[]);
        recorded.map_err(error)
    }
}

/// The errors, and what is only a warning.
pub(super) fn separate(problems: Vec<Error>) -> (Vec<Error>, Vec<Error>) {
    problems.into_iter().partition(|problem| problem.severity() == Severity::Error)
}

/// That something of a suite cannot be run.
pub(super) fn broken(location: &Location, message: impl Into<String>, errors: &[Error]) -> Failure {
    Failure {
        location: location.clone(),
        message: message.into(),
        details: errors.iter().map(|error| Problem::from(error).to_string()).collect(),
        status: Status::Broken,
    }
}

/// That a file has not the one document that it is named for.
pub(super) fn not_one(found: usize, what: &str, path: &str, at: &Location) -> Failure {
    let found = count(found, "document", "documents");
    broken(at, format!("expected one document, the {what}, in `{path}`, found {found}"), &[])
}

/// The file as a whole.
pub(super) fn whole(file: &InputFile) -> Location {
    Location::new(Source::new(file.name.as_str(), ""), 0..0)
}
