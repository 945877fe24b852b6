//! `portcullis verify`.

use std::path::PathBuf;

use clap::ValueHint;
use portcullis_providers::ProviderArgs;
use portcullis_report::verify::VerifyReport;
use portcullis_report::{Destination, Form};
use portcullis_sources::EngineArgs;
use regex::Regex;

use crate::evaluation_args::{EvaluationArgs, SecondArgs};
use crate::file_args::{FileArgs, size};
use crate::remote_args::RemoteArgs;

const VERIFY_EXAMPLES: &str = "\
Examples:
  portcullis verify policies/no-host-pid/suite.yaml   one suite
  portcullis verify policies/no-host-pid              the suites of a directory
  portcullis verify policies/...                      the suites below a directory
  portcullis verify policies/... --run 'pods//denied' cases named `denied` of tests named `pods`
  portcullis verify policy/ --coverage-min 80         unit tests of Rego, as `opa test` and `conftest verify` run them

Exit codes: 0 all tests passed, 1 a test failed, 2 a suite or a file it names is broken, or there is no suite.";

#[derive(Debug, clap::Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub struct VerifyArgs {
    /// Suite files, directories, or `DIR/...` for everything below a directory; and files of Rego with unit
    /// tests, always of everything below a directory.
    #[arg(value_name = "PATH", required_unless_present_any = ["policies", "images"], value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Same as PATH; may be repeated.
    #[arg(short, long, alias = "policy", value_name = "PATH", value_delimiter = ',', value_hint = ValueHint::AnyPath)]
    pub policies: Vec<PathBuf>,
    /// Run only the tests or cases whose name matches; `TEST//CASE` for cases of tests. Unit tests of Rego are
    /// called like `data.main.test_deny`.
    #[arg(short, long, value_name = "REGEX", value_parser = selection)]
    pub run: Option<Selection>,
    /// Go on without what is not supported: Connections, templates of other engines. Each is a warning then.
    #[arg(long)]
    pub allow_unsupported: bool,
    /// List every test and case, and show what policies print.
    #[arg(short, long)]
    pub verbose: bool,
    /// Form of the report; `FORMAT=FILE` writes it into a file. May be repeated: one to standard output, others
    /// into files.
    #[arg(short, long, value_name = "FORMAT[=FILE]", default_value = "human", value_parser = Destination::parser::<VerifyReport>())]
    pub output: Vec<Destination>,
    /// The template of `-o template`, in Jinja's language, rendered with what `-o json` writes (`docs/reports.md`). Texts are
    /// escaped if the file's name ends in `.html`, `.htm` or `.xml`, also before `.j2`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub template: Option<PathBuf>,
    /// Number of threads; all cores if not given.
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<std::num::NonZeroUsize>,
    /// Largest file that is read, such as `512KiB` or `64MiB`.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    pub max_size: usize,
    /// Run only the unit tests of these packages of Rego, in which `*`, `?` and `[…]` may stand; may be repeated.
    #[arg(short, long, value_name = "PACKAGE", value_delimiter = ',', help_heading = REGO_TESTS)]
    pub namespace: Vec<String>,
    /// Files and folders whose YAML and JSON is `data` for unit tests; may be repeated. What lies beside them is
    /// in any case, below the names of the folders that it is in, but for objects of Kubernetes.
    #[arg(short, long, value_name = "PATH", value_delimiter = ',', value_hint = ValueHint::AnyPath, help_heading = REGO_TESTS)]
    pub data: Vec<PathBuf>,
    /// The dialect of all files of Rego: `v0` or `v1`; if not given, what each is written in.
    #[arg(long, value_name = "VERSION", value_parser = crate::conftest_args::rego_version, help_heading = REGO_TESTS)]
    pub rego_version: Option<portcullis::RegoVersion>,
    /// Also tell which lines and conditions of templates and of files of Rego the tests reached, and which conditions
    /// always came out the same. `-o html=FILE` and `-o lcov=FILE` are reports of it.
    #[arg(long)]
    pub coverage: bool,
    /// Fail if they reached less than so many percent of the lines.
    #[arg(long, visible_alias = "threshold", value_name = "PERCENT", value_parser = crate::mutant_args::percent)]
    pub coverage_min: Option<f64>,
    #[command(flatten)]
    pub mutants: crate::mutant_args::MutantArgs,
    #[command(flatten)]
    pub remote: RemoteArgs,
    #[command(flatten)]
    pub refused: crate::conftest_args::RefusedArgs,
    #[command(flatten)]
    pub refused_here: crate::conftest_args::RefusedByVerify,
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub providers: ProviderArgs,
    #[command(flatten)]
    pub second: SecondArgs,
    #[command(flatten)]
    pub evaluation: EvaluationArgs,
    #[command(flatten)]
    pub refused_of_gator: crate::gator_args::FailurePolicyArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
}

impl VerifyArgs {
    /// All that is named.
    pub fn all_paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.paths.iter().chain(&self.policies)
    }

    /// Whether coverage is asked for.
    pub fn wants_coverage(&self) -> bool {
        let tells = |destination: &Destination| matches!(destination.form, Form::Lcov | Form::Html);
        self.coverage || self.coverage_min.is_some() || self.output.iter().any(tells)
    }
}

/// The heading of what is about unit tests of Rego.
const REGO_TESTS: &str = "Unit tests of Rego";

/// Which tests and cases `--run` selects.
#[derive(Clone, Debug)]
pub enum Selection {
    /// Tests and cases by this name.
    Either(Regex),
    /// Cases by the second name of tests by the first.
    Both(Regex, Regex),
}

fn selection(text: &str) -> Result<Selection, String> {
    let regex = |part: &str| {
        Regex::new(part).map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("`{part}` is not a regular expression: {reason}")
        })
    };
    match text.split("//").collect::<Vec<_>>().as_slice() {
        [one] => Ok(Selection::Either(regex(one)?)),
        [test, case] => Ok(Selection::Both(regex(test)?, regex(case)?)),
        parts => {
            Err(format!("expected `REGEX` or `TEST//CASE`, found {} parts separated by `//`", parts.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_have_at_most_two_parts() {
        assert!(matches!(selection("a.*"), Ok(Selection::Either(_))));
        assert!(matches!(selection("a//b"), Ok(Selection::Both(..))));
        assert!(selection("a//b//c").is_err());
        assert!(selection("a(").is_err());
    }
}
