//! `portcullis init policy`: the folder of a new policy.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use portcullis::Kinds;
use portcullis_manifests::scaffold::{AboutKind, Language, PolicyName, ScaffoldError, new_policy};
use portcullis_report::{self as report, ExitStatus};

use crate::authoring_args::{InitPolicyArgs, PolicyLanguage};

/// Makes the folder. Nothing that is there is changed: one that has something in it is refused.
pub fn run(args: &InitPolicyArgs) -> anyhow::Result<ExitStatus> {
    let known = Kinds::default();
    let mut wrong: Vec<ScaffoldError> = Vec::new();
    let mut kinds: Vec<AboutKind> = Vec::new();
    for text in &args.kinds {
        match AboutKind::parse(text, &known) {
            Ok(kind) if !kinds.contains(&kind) => kinds.push(kind),
            Ok(_) => {}
            Err(error) => wrong.push(error),
        }
    }
    let name = PolicyName::parse(&args.name).map_err(|error| wrong.push(error)).ok();
    let language = match args.language {
        PolicyLanguage::Rego => Language::Rego,
        PolicyLanguage::Cel => Language::Cel,
    };
    let made = name.filter(|_| wrong.is_empty()).map(|name| (new_policy(&name, &kinds, language), name));
    let (files, name) = match made {
        Some((Ok(files), name)) => (files, name),
        Some((Err(error), _)) => {
            wrong.push(error);
            return tell(&wrong);
        }
        None => return tell(&wrong),
    };
    let folder = args.output.clone().unwrap_or_else(|| PathBuf::from(name.folder()));
    refuse_if_used(&folder)?;
    for file in &files {
        write(&folder.join(&file.path), &file.text)?;
    }
    if !args.quiet {
        let mut out = report::stdout(true);
        for file in &files {
            writeln!(out, "{}", folder.join(&file.path).display())?;
        }
        let shown = folder.display();
        writeln!(
            out,
            "\nIt asks for labels. Change the condition in {shown}/template.yaml, and the samples with it:"
        )?;
        writeln!(out, "  portcullis verify {shown}\n  portcullis lint {shown}")?;
        out.flush()?;
    }
    Ok(ExitStatus::Success)
}

fn tell(wrong: &[ScaffoldError]) -> anyhow::Result<ExitStatus> {
    let mut err = anstream::stderr().lock();
    for error in wrong {
        writeln!(err, "error: {error}")?;
    }
    Ok(ExitStatus::Error)
}

fn refuse_if_used(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => {
            anyhow::bail!("there is something in `{shown}` already; name another folder with `--output`")
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("`{shown}` cannot be a folder")),
    }
}

/// Writes a file that there is not yet.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let shown = path.display();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("the folder of `{shown}` cannot be made"))?;
    }
    let file = fs::File::create_new(path).with_context(|| format!("`{shown}` cannot be written"))?;
    (&file).write_all(text.as_bytes()).with_context(|| format!("`{shown}` cannot be written"))
}
