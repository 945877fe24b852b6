//! Where results go: one trait, one file per form.
//!
//! A file appears under its name when it is whole, and not before: it is written beside it, as `NAME.unfinished`, and renamed at the
//! end. What was there before stays until then.

pub mod human;
mod json;
pub mod metrics;
mod ndjson;
pub mod policy_report;
pub mod status;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use portcullis_report::audit::{AuditReport, Finding, Policy, Timestamp};

use crate::spool::Spool;

/// Takes the results of one audit. Called in the order `begin`, `finding` for each, `end`.
pub trait Sink {
    /// The audit begins.
    ///
    /// # Errors
    ///
    /// If nothing can be written there.
    fn begin(&mut self, start: &Start<'_>) -> io::Result<()>;

    /// One finding; they come in the order of the objects.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    fn finding(&mut self, start: &Start<'_>, finding: &Finding) -> io::Result<()>;

    /// The audit has ended, or was ended: the report says which. All findings can be read once more.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    fn end(&mut self, report: &AuditReport<'_>, spool: &Spool) -> io::Result<()>;
}

/// What is known when an audit begins.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// When that is.
    pub started: Timestamp,
    /// By what is judged.
    pub policies: &'a [Policy],
}

/// The forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Form {
    /// For people: totals by policy and namespace, and what was not seen.
    Human,
    /// One JSON object per line, as Gatekeeper exports violations; written as they are found.
    Ndjson,
    /// One JSON document: totals, coverage, findings.
    Json,
    /// The same in YAML.
    Yaml,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit XML, for test reports.
    Junit,
    /// PolicyReport objects (wgpolicyk8s.io/v1alpha2), a List in JSON, one report per namespace and 500 results.
    PolicyReport,
    /// The same as openreports.io/v1alpha1.
    #[value(name = "openreports")]
    OpenReports,
    /// Prometheus metrics, with Gatekeeper's names.
    Metrics,
    /// The `status` of every constraint as Gatekeeper's audit writes it, a List in JSON.
    Status,
    /// One self-contained page.
    Html,
}

/// What forms differ in.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Most violations in the status of a constraint.
    pub violations_limit: usize,
    /// Most bytes of a message in the status of a constraint; 0 for no limit.
    pub message_limit: usize,
}

impl Form {
    /// A sink that writes this form.
    pub fn sink(self, target: Target, options: Options) -> Box<dyn Sink> {
        match self {
            Self::Ndjson => Box::new(ndjson::Ndjson::new(target)),
            form => Box::new(Whole { form, target, options }),
        }
    }

    fn write(
        self,
        report: &AuditReport<'_>,
        spool: &Spool,
        options: Options,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        match self {
            Self::Human => human::write(report, out),
            // Has a sink of its own, which writes as it goes.
            Self::Ndjson => ndjson::write(report, out),
            Self::Json => json::write(report, out),
            Self::Yaml => json::write_yaml(report, out),
            Self::Sarif => portcullis_report::sarif::write_audit(report, out),
            Self::Junit => portcullis_report::junit::write_audit(report, out),
            Self::PolicyReport => policy_report::write(policy_report::Api::PolicyReport, report, spool, out),
            Self::OpenReports => policy_report::write(policy_report::Api::OpenReports, report, spool, out),
            Self::Metrics => metrics::write(report, out),
            Self::Status => status::write(report, options, out),
            Self::Html => portcullis_report::html::write(report, out),
        }
    }
}

/// A form that needs everything before it can be written.
struct Whole {
    form: Form,
    target: Target,
    options: Options,
}

impl Sink for Whole {
    fn begin(&mut self, _: &Start<'_>) -> io::Result<()> {
        // Better now than after an hour.
        self.target.check()
    }

    fn finding(&mut self, _: &Start<'_>, _: &Finding) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, report: &AuditReport<'_>, spool: &Spool) -> io::Result<()> {
        let mut output = self.target.open(self.form == Form::Human)?;
        self.form.write(report, spool, self.options, &mut output)?;
        output.finish()
    }
}

/// Where an output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, replaced as a whole.
    File(PathBuf),
}

/// An output that is being written.
pub enum Output {
    /// Standard output.
    Stdout(Box<dyn Write>),
    /// A file that does not have its name yet.
    File {
        /// The bytes.
        out: BufWriter<File>,
        /// Where they are.
        unfinished: PathBuf,
        /// The name that they get.
        path: PathBuf,
    },
}

impl Target {
    fn unfinished(path: &Path) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(".unfinished");
        PathBuf::from(name)
    }

    fn check(&self) -> io::Result<()> {
        match self {
            Self::Stdout => Ok(()),
            Self::File(path) => {
                let unfinished = Self::unfinished(path);
                create(&unfinished, path).map(drop)
            }
        }
    }

    /// Begins to write. Colours are for people only.
    ///
    /// # Errors
    ///
    /// If the file cannot be created.
    pub fn open(&self, for_people: bool) -> io::Result<Output> {
        match self {
            Self::Stdout => Ok(Output::Stdout(portcullis_report::stdout(for_people))),
            Self::File(path) => {
                let unfinished = Self::unfinished(path);
                let out = BufWriter::with_capacity(1 << 16, create(&unfinished, path)?);
                Ok(Output::File { out, unfinished, path: path.clone() })
            }
        }
    }
}

/// The name is known beforehand, so what is there is removed and never written to: it may be a link, or a FIFO that nobody reads.
fn create(unfinished: &Path, path: &Path) -> io::Result<File> {
    let removed = match fs::remove_file(unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    removed.and_then(|()| File::create_new(unfinished)).map_err(|error| {
        io::Error::new(error.kind(), format!("`{}` cannot be written: {error}", path.display()))
    })
}

impl Output {
    /// Ends it: a file gets its name.
    ///
    /// # Errors
    ///
    /// If the disk is full.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Stdout(mut out) => out.flush(),
            Self::File { out, unfinished, path } => {
                let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.sync_all()?;
                drop(file);
                fs::rename(&unfinished, &path)
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File { out, .. } => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File { out, .. } => out.flush(),
        }
    }
}
