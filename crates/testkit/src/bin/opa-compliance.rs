//! Runs OPA's compliance suite: `opa-compliance FILE [-v] [--only TEXT] [--update] [--evaluator WHICH]`.
//!
//! Ends with 1 if anything passes or fails that the lists in `testdata/opa-compliance` do not say. The
//! evaluators are `portcullis`, and for comparison `interpreter` and `vm`, of which the lists say nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use portcullis_testkit::compliance::{self, Evaluator, Lists};

const USAGE: &str =
    "usage: opa-compliance FILE [-v] [--only TEXT] [--update] [--evaluator portcullis|interpreter|vm]";

struct Options {
    file: PathBuf,
    verbose: bool,
    only: String,
    update: bool,
    evaluator: Evaluator,
}

fn options(mut args: impl Iterator<Item = String>) -> Option<Options> {
    let mut file = None;
    let (mut verbose, mut update, mut only) = (false, false, String::new());
    let mut evaluator = Evaluator::Portcullis;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-v" => verbose = true,
            "--update" => update = true,
            "--only" => only = args.next()?,
            "--evaluator" => {
                evaluator = match args.next()?.as_str() {
                    "portcullis" => Evaluator::Portcullis,
                    "interpreter" => Evaluator::Interpreter,
                    "vm" => Evaluator::Machine,
                    _ => return None,
                }
            }
            option if option.starts_with('-') => return None,
            path if file.is_none() => file = Some(PathBuf::from(path)),
            _ => return None,
        }
    }
    // An update from a part of the cases would forget the others.
    let whole = only.is_empty() && evaluator == Evaluator::Portcullis;
    Some(Options { file: file?, verbose, only, update, evaluator }).filter(|options| whole || !options.update)
}

fn run(options: &Options) -> Result<bool, String> {
    let lists = Lists::read()?;
    let cases = compliance::read(&options.file)?;
    let report = compliance::run(cases, &lists, options.evaluator, &options.only)?;
    if options.update {
        lists.update(&report)?;
    }
    if options.verbose {
        for (name, reason) in &report.skipped {
            println!("skipped: {name}: {reason}");
        }
        print!("{}", report.known());
    }
    println!("{report}");
    Ok(options.update || report.is_as_expected())
}

fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
