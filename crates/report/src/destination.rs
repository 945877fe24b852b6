//! Which reports a run writes, and where to: `FORM`, or `FORM=FILE`, as often as somebody likes.

use std::io::{self, Write as _};
use std::marker::PhantomData;
use std::path::PathBuf;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind as ClapError};

use crate::Problem;
use crate::form::{Form, Report};
use crate::human;
use crate::output::Target;

/// A form, and where the report goes that is written in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// How it is written.
    pub form: Form,
    /// Where to.
    pub target: Target,
}

/// Reads [`Destination`]s of a report on a command line, and lists the forms in its help.
struct Parser<R>(PhantomData<fn() -> R>);

impl<R> Clone for Parser<R> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl Destination {
    /// Reads `FORM` and `FORM=FILE` on a command line.
    pub fn parser<R: Report>() -> impl TypedValueParser<Value = Self> {
        Parser::<R>(PhantomData)
    }
}

impl<R: Report> TypedValueParser for Parser<R> {
    type Value = Destination;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Destination, clap::Error> {
        let text = StringValueParser::new().parse_ref(command, arg, value)?;
        let (form, target) = match text.split_once('=') {
            None => (text.as_str(), Target::Stdout),
            Some((form, "" | "-")) => (form, Target::Stdout),
            Some((form, file)) => (form, Target::File(PathBuf::from(file))),
        };
        match Form::parser::<R>().parse_ref(command, arg, form.as_ref()) {
            Ok(form) => Ok(Destination { form, target }),
            Err(mut error) => {
                if error.kind() == ClapError::InvalidValue {
                    error.insert(ContextKind::InvalidValue, ContextValue::String(text));
                }
                Err(error)
            }
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let values: Vec<_> = Form::parser::<R>().possible_values()?.collect();
        Some(Box::new(values.into_iter()))
    }
}

/// Says if two reports would go to the same place, where each would be lost in the other.
///
/// # Errors
///
/// A sentence for the user.
pub fn check(destinations: &[Destination]) -> Result<(), String> {
    for (position, one) in destinations.iter().enumerate() {
        let Some(other) = destinations.iter().take(position).find(|other| other.target == one.target) else {
            continue;
        };
        let (one_form, other_form) = (one.form.name(), other.form.name());
        return Err(match &one.target {
            Target::Stdout => format!(
                "`-o {other_form}` and `-o {one_form}` both go to standard output; name a file for one of them: `-o {one_form}=FILE`"
            ),
            Target::File(path) => {
                format!("`-o {other_form}` and `-o {one_form}` both go to the file `{}`", path.display())
            }
        });
    }
    Ok(())
}

/// Whether people read what goes to standard output.
pub fn is_for_people(destinations: &[Destination]) -> bool {
    destinations.iter().any(|one| one.target == Target::Stdout && one.form.is_for_people())
}

/// Writes a report everywhere. What is wrong with the input goes to standard error, unless the form on standard
/// output says it.
///
/// # Errors
///
/// If one of them cannot be written; the others are written all the same.
pub fn write_all<R: Report>(
    destinations: &[Destination],
    report: &R,
    problems: &[Problem],
) -> io::Result<()> {
    let is_said = destinations.iter().any(|one| one.target == Target::Stdout && one.form.has_problems());
    if !is_said {
        human::write_problems(problems, &mut anstream::stderr().lock())?;
    }
    let results: Vec<_> = destinations.iter().map(|destination| write(destination, report)).collect();
    results.into_iter().collect()
}

fn write<R: Report>(destination: &Destination, report: &R) -> io::Result<()> {
    let form = destination.form;
    let mut output = destination.target.open(form.is_for_people())?;
    let is_file = destination.target != Target::Stdout;
    if is_file && form.is_for_people() {
        // A file is no terminal.
        let mut plain = anstream::StripStream::new(&mut output as &mut dyn io::Write);
        form.write(report, &mut plain)?;
        plain.flush()?;
    } else {
        form.write(report, &mut output)?;
    }
    output.finish()
}
