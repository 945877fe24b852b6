//! The documents of a text, by the core's reader, and whether the text is what the splitter took it for.

use std::ops::Range;
use std::sync::Arc;

use portcullis::{Document, Error, ErrorKind, Form, Limits, Location, Severity, Source};
use portcullis_report::{Place, Problem};

use super::split::{Frame, Identity, Role, Start, Text};

/// How many problems of one text are listed. A text may have as many as it has documents, and a batch many texts.
const MAX_PROBLEMS: usize = 100;

/// The documents of a text, and what is wrong with it. Whatever of it is in no document is among the problems. Of one that was cut off
/// nothing is wrong but that: it is reported with its source.
pub fn documents(file: &Arc<str>, text: Text, limits: &Limits) -> (Vec<Document>, Vec<Problem>) {
    let Text { bytes, start, role, is_cut } = text;
    // JSON shows its end; half of a YAML document is another document.
    if is_cut && !matches!(role, Role::Document(Form::Json) | Role::Item(Form::Json, _)) {
        return (Vec::new(), Vec::new());
    }
    let (documents, problems) = match role {
        Role::Source => whole(file, bytes, limits),
        Role::Document(form) => match decode(file, bytes, start, form) {
            Ok(source) => outside_of(Document::read_form(&source, form, limits)),
            Err(problem) => (Vec::new(), vec![*problem]),
        },
        Role::Item(form, identity) => item(file, bytes, start, form, identity.as_ref(), limits),
        Role::Frame(form, frame) => (Vec::new(), around(file, bytes, start, form, &frame, limits)),
    };
    if is_cut && !problems.is_empty() {
        return (Vec::new(), Vec::new());
    }
    (documents, problems)
}

/// A source that was not cut, as every other reader of files reads it.
fn whole(file: &Arc<str>, bytes: Vec<u8>, limits: &Limits) -> (Vec<Document>, Vec<Problem>) {
    outside_of(Document::read_bytes(file, bytes, limits))
}

/// What was found, with each warning about what is in no document as an error: nobody reads that, and nobody else will say so. A second
/// `items` of a list is that.
fn outside_of((documents, errors): (Vec<Document>, Vec<Error>)) -> (Vec<Document>, Vec<Problem>) {
    let mut inside: Vec<Range<u32>> = Vec::new();
    if errors.iter().any(|error| error.kind() == ErrorKind::DuplicateKey) {
        inside = documents.iter().map(|document| document.location().range()).collect();
        inside.sort_by_key(|range| range.start);
    }
    let is_inside = |error: &Error| {
        let Some(at) = error.location().map(|location| location.range().start) else { return true };
        let before = inside.partition_point(|range| range.start <= at);
        before.checked_sub(1).and_then(|last| inside.get(last)).is_some_and(|range| at < range.end)
    };
    let problem = |error: &Error| {
        let problem = Problem::of(error);
        if error.kind() != ErrorKind::DuplicateKey || problem.is_error() || is_inside(error) {
            return problem;
        }
        let help = "what it was set to before is not audited; it belongs to no object".to_owned();
        Problem { severity: Severity::Error, help: Some(help), ..problem }
    };
    let problems = errors.iter().map(problem).collect();
    (documents, problems)
}

fn item(
    file: &Arc<str>,
    bytes: Vec<u8>,
    start: Start,
    form: Form,
    identity: Option<&Identity>,
    limits: &Limits,
) -> (Vec<Document>, Vec<Problem>) {
    // Two levels are those of the list.
    let limits = Limits { nesting: limits.nesting.saturating_sub(2), ..limits.clone() };
    let source = match decode(file, bytes, start, form) {
        Ok(source) => source,
        Err(problem) => return (Vec::new(), vec![*problem]),
    };
    let (documents, errors) = Document::read_form(&source, form, &limits);
    if documents.is_empty() && errors.is_empty() {
        // Null, or a list without items: only the list that it is in says.
        return (Vec::new(), nothing(file, &source, start, form, &limits));
    }
    let documents = documents.into_iter().map(|document| match identity {
        Some(identity) => document.with_identity(&identity.0, &identity.1),
        None => document,
    });
    (documents.collect(), errors.iter().map(Problem::of).collect())
}

/// What is wrong with an item that has no documents.
fn nothing(file: &Arc<str>, item: &Source, start: Start, form: Form, limits: &Limits) -> Vec<Problem> {
    let text = item.text();
    let list = match form {
        Form::Json => format!(r#"{{"apiVersion":"v1","kind":"List","items":[{text}]}}"#),
        // In it the dash is a space, behind those of its indentation.
        Form::Yaml => {
            let rest = text.trim_start_matches(' ');
            let indent = " ".repeat((text.len() - rest.len()).saturating_sub(2));
            format!("apiVersion: v1\nkind: List\nitems:\n{indent}- {rest}")
        }
    };
    let source = Source::new(file.clone(), list);
    let errors = Document::read_form(&source, form, limits).1;
    errors.iter().map(|error| Problem { place: Some(place(file, start)), ..Problem::of(error) }).collect()
}

/// Reads what was around the items of a list. The one object in it has to be where the items were.
fn around(
    file: &Arc<str>,
    bytes: Vec<u8>,
    start: Start,
    form: Form,
    frame: &Frame,
    limits: &Limits,
) -> Vec<Problem> {
    let is_certain = form == Form::Json || !bytes.get(frame.at..).is_some_and(|rest| rest.contains(&b'*'));
    let source = match decode(file, bytes, start, form) {
        Ok(source) => source,
        Err(problem) => return vec![*problem],
    };
    let (documents, errors) = Document::read_form(&source, form, limits);
    let mut problems: Vec<Problem> = errors.iter().map(|error| of_frame(file, error, frame)).collect();
    let refuse = |message: String, help: &str| Problem {
        place: Some(place(file, start)),
        help: Some(help.to_owned()),
        ..Problem::error(ErrorKind::NotAnObject, message)
    };
    if problems.iter().any(Problem::is_error) || frame.is_twice {
        return problems;
    }
    let stands_for_items = |document: &Document| {
        document.location().range().start as usize == frame.at && document.item() == Some(0)
    };
    match documents.as_slice() {
        [document] if stands_for_items(document) => {
            let value = document.to_json();
            let text = |key: &str| value.get(key).and_then(serde_json::Value::as_str);
            let found = text("apiVersion").zip(text("kind"));
            let given = frame.identity.as_ref().map(|identity| (&*identity.0, &*identity.1));
            // What comes behind the items is not missed by those that say themselves what they are.
            if given.is_some() && found != given {
                let message = "the items were read as those of another list than this turns out to be";
                problems.push(refuse(message.to_owned(), "put `apiVersion` and `kind` before `items`, once"));
            } else if !is_certain {
                let message = "this list has an alias after its items, which may mean something in them";
                problems.push(refuse(message.to_owned(), "write out what the alias means"));
            }
        }
        [document] if document.item().is_none() => {
            let value = document.to_json();
            let kind = value.get("kind").and_then(serde_json::Value::as_str).unwrap_or_default();
            problems.push(if kind.is_empty() {
                let message = "this has `items`, but no `kind` that says what list it is";
                refuse(message.to_owned(), "its items were audited; a list of objects is of the kind `List`")
            } else if kind.ends_with("List") {
                let message = "this list has no `apiVersion`, so it is not a list of objects";
                refuse(message.to_owned(), "its items were audited; a list of objects has an `apiVersion`")
            } else {
                let message = format!(
                    "this has `items`, which were audited one by one, but it is a `{}` and no list",
                    kind.chars().take(80).collect::<String>()
                );
                refuse(message, "put `kind` before `items`")
            });
        }
        _ => {
            let message = "this list has other items than those that were audited";
            problems.push(refuse(message.to_owned(), "a list has `items` once, as a key of its own"));
        }
    }
    problems
}

/// A problem of what is around the items, at its place in the source.
fn of_frame(file: &Arc<str>, error: &Error, frame: &Frame) -> Problem {
    let mut problem = Problem::of(error);
    // Nobody reads what is set twice here.
    if error.kind() == ErrorKind::DuplicateKey {
        problem.severity = Severity::Error;
    }
    let Some(location) = error.location().filter(|location| location.range().start as usize > frame.at + 1)
    else {
        return problem;
    };
    let Frame { place: cut, behind, .. } = frame;
    let (line, column) = (location.line(), location.column());
    let found = if line == cut.line {
        let column = behind.column.saturating_add(column.saturating_sub(cut.column.saturating_add(2)));
        Start { line: behind.line, column }
    } else {
        Start { line: behind.line.saturating_add(line.saturating_sub(cut.line)), column }
    };
    problem.place = Some(place(file, found));
    problem
}

fn decode(file: &Arc<str>, bytes: Vec<u8>, start: Start, form: Form) -> Result<Arc<Source>, Box<Problem>> {
    let source = |text: &str| Source::part(file.clone(), text, start.line, start.column);
    match std::str::from_utf8(&bytes) {
        // The splitter has passed over those that separate values.
        Ok(text) if form == Form::Json && text.starts_with("---") => {
            let error = Error::new(ErrorKind::Syntax, "expected a JSON value, found `-`");
            Err(Box::new(Problem::of(&error.at(Location::new(source(text), 0..3)))))
        }
        Ok(text) => Ok(source(text)),
        Err(error) => {
            let at = error.valid_up_to();
            let good = source(&String::from_utf8_lossy(bytes.get(..at).unwrap_or_default()));
            let end = u32::try_from(at).unwrap_or(u32::MAX);
            let error = Error::new(ErrorKind::Encoding, "this is not text: a byte is not UTF-8");
            let problem = Problem::of(&error.at(Location::new(good, end..end)));
            let place = problem.place.or_else(|| Some(place(file, start)));
            Err(Box::new(Problem { place, ..problem }))
        }
    }
}

fn place(file: &Arc<str>, Start { line, column }: Start) -> Place {
    Place::File { file: file.clone(), line, column, end_column: column }
}

/// What is wrong with one text: the first problems, and what stands for the others.
#[derive(Debug, Default)]
pub struct Gathered {
    problems: Vec<Problem>,
    more: Option<Problem>,
    /// Errors that are not listed.
    errors: u64,
}

impl Gathered {
    /// One more.
    pub fn add(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            return self.problems.push(problem);
        }
        self.errors += u64::from(problem.is_error());
        let severity = problem.severity;
        let more = self.more.get_or_insert_with(|| Problem {
            kind: ErrorKind::Limit,
            object: None,
            message: "this text has more problems than are listed".to_owned(),
            help: None,
            ..problem
        });
        more.severity = more.severity.min(severity);
    }

    /// The problems, and how many errors there are beside them.
    pub fn finish(mut self) -> (Vec<Problem>, u64) {
        let listed = self.more.as_ref().is_some_and(Problem::is_error);
        self.problems.extend(self.more);
        (self.problems, self.errors - u64::from(listed))
    }
}
