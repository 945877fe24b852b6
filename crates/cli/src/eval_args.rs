//! `portcullis eval`.

use std::path::PathBuf;

use clap::{ValueEnum, ValueHint};
use portcullis::RegoVersion;

use crate::conftest_args::rego_version;

#[derive(Debug, clap::Args)]
pub struct EvalArgs {
    /// The query, in Rego, or with `--cel` an expression in CEL. Without one, lines of standard input are asked one after the
    /// other; on a terminal that is a prompt.
    #[arg(value_name = "QUERY")]
    pub query: Option<String>,
    /// Templates, constraints and files of Rego; may be repeated.
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub policies: Vec<PathBuf>,
    /// What it is asked about: a file of one document, `-` for standard input. With a template, an object or an AdmissionReview,
    /// of which `input.review` is made; else `input` is the whole of it.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub input: Option<PathBuf>,
    /// Which template, by its kind, if there are several.
    #[arg(long, value_name = "KIND")]
    pub template: Option<String>,
    /// Of which constraint the parameters are, by its name. If there is one of this template, it need not be named.
    #[arg(long, value_name = "NAME")]
    pub constraint: Option<String>,
    /// Objects that policies compare with; may be repeated.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub inventory: Vec<PathBuf>,
    /// The package that the query sees the rules of, if there are several.
    #[arg(long, value_name = "PACKAGE", conflicts_with_all = ["template", "cel"])]
    pub package: Option<String>,
    /// Files and folders whose YAML and JSON is `data` of files of Rego; may be repeated.
    #[arg(short, long, value_name = "PATH", value_delimiter = ',', value_hint = ValueHint::AnyPath)]
    pub data: Vec<PathBuf>,
    /// The dialect of files of Rego: `v0` or `v1`. If not given, each file has that which it can be read in, first v1.
    #[arg(long, value_name = "VERSION", value_parser = rego_version)]
    pub rego_version: Option<RegoVersion>,
    /// The query is an expression in CEL, with `object`, `oldObject`, `request`, `namespaceObject` and the variables of the template.
    #[arg(long)]
    pub cel: bool,
    /// Tell which statements of the policies were reached, and whether they held.
    #[arg(long, conflicts_with = "cel")]
    pub trace: bool,
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value = "human")]
    pub output: EvalForm,
    /// Exit with 1 if the query is undefined.
    #[arg(long)]
    pub fail: bool,
}

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EvalForm {
    /// For people.
    Human,
    /// A line of JSON for each query.
    Json,
}
