//! The template that a report is written with, for the commands that have one.

use std::path::Path;

use portcullis::Limits;
use portcullis_report::{Destination, Form, Problem, ReportTemplate};
use portcullis_sources::{InputFile, read_bytes};

/// The largest template.
const BYTES: usize = 1 << 20;

/// Reads it before anything is judged: a mistake in it is known at once.
pub fn read(path: Option<&Path>, outputs: &[Destination]) -> anyhow::Result<Option<ReportTemplate>> {
    let is_used = outputs.iter().any(|one| one.form == Form::Template);
    let path = match (path, is_used) {
        // One that stands in a configuration file, while another form is asked for.
        (_, false) => return Ok(None),
        (Some(path), true) => path,
        (None, true) => anyhow::bail!("`-o template` needs a template: name one with `--template FILE`"),
    };
    let file = InputFile::new(path);
    let limits = Limits { source_bytes: BYTES, ..Limits::default() };
    let told = |error: &portcullis::Error| anyhow::anyhow!("{}", Problem::from(error));
    let bytes = read_bytes(&file, &limits).map_err(|error| told(&error))?;
    let Ok(text) = String::from_utf8(bytes) else {
        anyhow::bail!("{}: the template is not UTF-8", file.name)
    };
    ReportTemplate::new(&file.name, &text).map(Some).map_err(|error| told(&error))
}
