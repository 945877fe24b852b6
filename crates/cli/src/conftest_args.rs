//! The flags of conftest: those that are taken, and those that say what to use in their place.

use std::path::PathBuf;

use clap::ValueHint;
use portcullis::{DataForm, RegoVersion};
use regex::Regex;

/// How files of Rego are taken for policies.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Files of Rego, by conftest's convention")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct RegoArgs {
    /// The package whose rules `deny`, `violation` and `warn` are asked; may be repeated, and have `*`, `?` and
    /// `[…]` in it. `main` if not given.
    ///
    /// Where there are no templates, `--namespace` says the same.
    #[arg(long, value_name = "PACKAGE", value_delimiter = ',')]
    pub rego_namespace: Vec<String>,
    /// Ask the rules of all packages.
    #[arg(long)]
    pub all_namespaces: bool,
    /// Judge all documents at once: `input` is a list of objects with `path` and `contents`.
    #[arg(long)]
    pub combine: bool,
    /// Files and folders whose YAML and JSON is `data`; may be repeated, and begin with a path below `data`, as
    /// in `teams.prod:data/`.
    #[arg(short, long, value_name = "PATH", value_delimiter = ',', value_hint = ValueHint::AnyPath)]
    pub data: Vec<PathBuf>,
    /// The dialect of all files: `v0` or `v1`. If not given, each file has that which it can be read in, first v1.
    #[arg(long, value_name = "VERSION", value_parser = rego_version)]
    pub rego_version: Option<RegoVersion>,
    /// What files to judge are written in, whatever they are called: `yaml`, `json` or `toml`.
    #[arg(long, value_name = "FORMAT", value_parser = parser)]
    pub parser: Option<DataForm>,
    /// Leave files out whose path matches, of the folders to judge. For globs there is `--ignore-files`.
    #[arg(long, value_name = "REGEX", value_parser = regex)]
    pub ignore: Option<Regex>,
    /// What reports call standard input.
    #[arg(long, value_name = "NAME")]
    pub stdin_filename: Option<String>,
    /// Exit with 1 also if there are warnings only.
    #[arg(long)]
    pub fail_on_warn: bool,
    /// Exit with 0 whatever is denied. What could not be judged still is 2.
    #[arg(long)]
    pub no_fail: bool,
    /// Do not report what is excepted.
    #[arg(long)]
    pub suppress_exceptions: bool,
    /// End a rule as an error where a builtin is not defined for its arguments; else that is undefined.
    #[arg(long)]
    pub show_builtin_errors: bool,
    #[command(flatten)]
    pub refused: RefusedArgs,
}

impl RegoArgs {
    /// Whether nothing says that files of Rego are to be judged by.
    pub fn asks_nothing(&self) -> bool {
        self.rego_namespace.is_empty() && !self.all_namespaces && !self.combine && self.data.is_empty()
    }
}

/// Flags of conftest that are there to say what to use.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct RefusedArgs {
    #[arg(short = 'u', long, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = update)]
    update: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = strict)]
    strict: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = capabilities)]
    capabilities: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = proto_file_dirs)]
    proto_file_dirs: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = tls)]
    tls: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = junit_hide_message)]
    junit_hide_message: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = no_color)]
    no_color: Option<bool>,
    #[arg(short = 'c', long, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = config_file)]
    config_file: Option<bool>,
    /// Taken, as there is nothing to hide: only findings are annotated.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    github_hide_passed: Option<bool>,
}

/// Flags of `conftest verify` that are there to say what to use.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct RefusedByVerify {
    #[arg(short = 't', long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = trace)]
    trace: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = report)]
    report: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = var_values)]
    var_values: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = builtin_errors)]
    show_builtin_errors: Option<bool>,
}

macro_rules! refuse {
    ($($name:ident: $why:literal;)*) => {
        $(
            /// Reads nothing: there is something else for it.
            fn $name(_: &str) -> Result<bool, &'static str> {
                Err($why)
            }
        )*
    };
}

refuse! {
    report: "evaluations are not traced; a test that fails says how far it came";
    var_values: "evaluations are not traced; `print` in the test shows values, and a test that fails says how far it came";
    builtin_errors: "tests see builtins as policies do: undefined where they are not defined";
    update: "name `oci://HOST/REPOSITORY:TAG` or `git+https://HOST/REPOSITORY//FOLDER?ref=REF` with `--policies`: it is fetched each time";
    trace: "tests are not traced; `--verbose` shows what policies `print`, and `portcullis test --trace` how they came to a verdict";
    strict: "there is no strict mode; what it refuses is checked by `opa check --strict`";
    capabilities: "no policy reaches the network or the file system here; what a policy may use is bounded by `--max-steps`, `--max-policy-memory` and `--timeout`";
    proto_file_dirs: "Protocol Buffers are not read; turn them into JSON before";
    tls: "registries are spoken to by TLS, except on this machine; `--plain-http` does without";
    junit_hide_message: "names of JUnit cases never have the message in them; leave it out";
    no_color: "say `--color never`, or set `NO_COLOR`";
    config_file: "conftest's configuration file is not read; what stands in it belongs into a `portcullis.yaml`, which `--config` names";
}

pub fn rego_version(text: &str) -> Result<RegoVersion, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "v0" => Ok(RegoVersion::V0),
        "v1" => Ok(RegoVersion::V1),
        _ => Err("expected `v0` or `v1`"),
    }
}

fn parser(text: &str) -> Result<DataForm, String> {
    match text {
        "yaml" => Ok(DataForm::Yaml),
        "json" => Ok(DataForm::Json),
        "toml" => Ok(DataForm::Toml),
        other => Err(format!(
            "there are `yaml`, `json` and `toml`; turn other files into one of these before, such as with `conftest parse` (`{other}`)"
        )),
    }
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| {
        let reason = error.to_string();
        reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}
