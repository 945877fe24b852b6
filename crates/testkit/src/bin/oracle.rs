//! Runs a recording of what another program answered: `oracle NAME FILE [-v]`.
//!
//! Prints a line for every difference, and last `N passed, M failed, K skipped`. Ends with 1 if anything
//! failed, that is, differs otherwise than the list in `testdata/oracle` says, and with 2 if it cannot be
//! run. For recordings that have cases of the command line, it builds the program first.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use portcullis_testkit::oracle::{self, Recording};

fn usage() -> String {
    let recordings = Recording::ALL.iter();
    let recordings = recordings.map(|recording| format!("\n  {:17}{}", recording.name(), recording.about()));
    format!("usage: oracle NAME FILE [-v]\n\nrecordings:{}\n", recordings.collect::<Vec<_>>().concat())
}

fn run(name: &str, file: &str, verbose: bool) -> Result<bool, String> {
    let recording = Recording::named(name)?;
    let program = if recording.needs_program() { build()? } else { PathBuf::new() };
    let report = oracle::run(recording, Path::new(file), &program)?;
    if verbose {
        report.skipped.iter().for_each(|skipped| println!("skipped: {skipped}"));
    }
    println!("{report}");
    Ok(report.is_as_expected())
}

/// Builds the command line, so that it is the one of this source, and says where it is: beside this program.
fn build() -> Result<PathBuf, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let folder = this.parent().ok_or("this program is nowhere")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--locked", "-p", "portcullis-cli", "--bin", "portcullis"]);
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let built = command.current_dir(env!("CARGO_MANIFEST_DIR")).status();
    match built {
        Ok(status) if status.success() => Ok(folder.join("portcullis")),
        Ok(status) => Err(format!("the command line could not be built: {status}")),
        Err(error) => Err(format!("the command line could not be built: {error}")),
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (name, file, verbose) = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [name, file] if *name != "-v" && *file != "-v" => (*name, *file, false),
        [name, file, "-v"] | [name, "-v", file] | ["-v", name, file] => (*name, *file, true),
        [name] if Recording::named(name).is_err() => {
            eprintln!("error: {}\n\n{}", Recording::named(name).err().unwrap_or_default(), usage());
            return ExitCode::from(2);
        }
        _ => {
            eprintln!("{}", usage());
            return ExitCode::from(2);
        }
    };
    match run(name, file, verbose) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
