//! The flags about configuration files, and what comes of them that no other flag says.

use std::io::Write as _;
use std::path::PathBuf;

use portcullis::Location;
use portcullis_sources::{Globs, Ignores};

/// Where files are that a run reads, and what of them does not count: the flags about it.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Configuration file")]
pub struct FileArgs {
    /// Read flags from this file, instead of the `portcullis.yaml` in the working directory or the next one above it.
    ///
    /// It is not looked for above the root of a repository. Flags and environment variables (`PORTCULLIS_FAIL_ON` for
    /// `--fail-on`) come before it. `portcullis config schema` says what there may be in it.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Read no configuration file.
    #[arg(long, conflicts_with = "config")]
    pub no_config: bool,
    /// Leave out files and folders that match, of the folders that are searched through, as in `.gitignore`; may be
    /// repeated. How many these are is told.
    #[arg(long, value_name = "GLOB")]
    pub ignore_files: Vec<String>,
    #[arg(skip)]
    pub in_force: InForce,
}

/// What the flags were taken from, and what no flag says.
#[derive(Debug, Default)]
pub struct InForce {
    /// What is left out of folders.
    pub ignores: Ignores,
    /// What is not asked of which files.
    pub exclusions: Vec<Exclusion>,
    /// What is taken from where.
    pub line: Option<String>,
    /// Whether who runs the program wants to hear nothing. A file cannot say so of itself.
    pub is_silenced: bool,
}

impl InForce {
    /// Says on standard error what flags are taken from.
    pub fn tell(&self) {
        if let Some(line) = self.line.as_ref().filter(|_| !self.is_silenced) {
            note(line);
        }
    }

    /// Says on standard error, at the end, what was not looked at.
    pub fn tell_ignored(&self) {
        if let Some(line) = self.ignores.line() {
            note(&format!("{line} (`--ignore-files`, or `ignore` of a configuration file)"));
        }
    }
}

/// Only a courtesy: what is judged is in the report.
pub fn note(line: &str) {
    let _ = writeln!(anstream::stderr(), "note: {line}");
}

/// A constraint that is not asked of some files.
#[derive(Clone, Debug)]
pub struct Exclusion {
    /// `Kind/name`, `Kind` or `name`.
    pub constraint: String,
    pub files: Globs,
    pub reason: String,
    pub owner: Option<String>,
    pub place: Location,
}

/// The size of a source, as flags have it.
pub fn size(text: &str) -> Result<usize, String> {
    // Positions in a source are 32 bits wide.
    const LARGEST: u64 = u32::MAX as u64;
    match portcullis_sources::size(text) {
        Some(bytes) if bytes > LARGEST => Err("expected less than 4GiB".to_owned()),
        Some(bytes) => usize::try_from(bytes).map_err(|_| "expected less than 4GiB".to_owned()),
        None => Err("expected a size such as `512KiB`, `64MiB` or a number of bytes".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("10k"), Ok(10 << 10));
        assert_eq!(size("123"), Ok(123));
        for wrong in ["", "x", "10 apples", "-1", "5GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
