//! `portcullis policy`: policies of a catalog, put into a folder of a repository.
//!
//! The catalog has gator's form; its policies are files beside it. What is put into the folder is the text as it is, below a line
//! that says what it is and has a digest of the text: what somebody changed by hand is not replaced. Nothing is fetched, and no
//! cluster is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use portcullis::{Document, Error, ErrorKind, Limits, Node, Resource, Severity};
use portcullis_report::sink::Target;
use portcullis_report::{ExitStatus, Problem, human};
use portcullis_sources::{InputFile, read_bytes};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::policy_args::{ChangeArgs, PolicyArgs, PolicyCommand, PolicyForm};

/// How the first line of a file begins that was put into a folder.
const MARK: &str = "# portcullis policy: ";

/// `apiVersion` of what is printed as JSON.
const API_VERSION: &str = "gator.gatekeeper.sh/v1alpha1";

/// How deep bundles inherit from each other.
const DEPTH: usize = 10;

struct Catalog {
    folder: PathBuf,
    policies: BTreeMap<String, Entry>,
    bundles: BTreeMap<String, Bundle>,
}

struct Entry {
    version: String,
    description: String,
    category: String,
    template: String,
    /// Of each bundle that it is in.
    constraints: BTreeMap<String, String>,
}

struct Bundle {
    inherits: Option<String>,
    policies: Vec<String>,
}

/// What is said of a file that was put into a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Installed {
    version: String,
    bundle: Option<String>,
    /// Whether the text is what was put there.
    is_untouched: bool,
}

/// Does it.
pub fn run(args: &PolicyArgs) -> anyhow::Result<ExitStatus> {
    match &args.command {
        PolicyCommand::Search { query, category, bundle, output } => {
            let Some(catalog) = catalog(args)? else { return Ok(ExitStatus::Error) };
            let of_bundle: Option<BTreeSet<String>> = match bundle {
                Some(name) => Some(catalog.of_bundle(name)?.into_iter().collect()),
                None => None,
            };
            let query = query.to_lowercase();
            let found = catalog.policies.iter().filter(|(name, entry)| {
                let is_category =
                    category.as_ref().is_none_or(|one| one.eq_ignore_ascii_case(&entry.category));
                let is_in = of_bundle.as_ref().is_none_or(|names| names.contains(*name));
                let has = |text: &str| text.to_lowercase().contains(&query);
                is_category && is_in && (has(name) || has(&entry.description))
            });
            let rows: Vec<[&str; 4]> = found
                .map(|(name, entry)| [name.as_str(), &*entry.version, &*entry.category, &*entry.description])
                .collect();
            print_rows(
                *output,
                "results",
                ["name", "version", "category", "description"],
                &rows,
                "No policies found.",
            )
        }
        PolicyCommand::List { output } => {
            let installed = installed(&args.into)?;
            let rows: Vec<[&str; 3]> = installed
                .iter()
                .map(|(name, one)| [name.as_str(), &*one.version, one.bundle.as_deref().unwrap_or("-")])
                .collect();
            print_rows(*output, "policies", ["name", "version", "bundle"], &rows, "No policies installed.")
        }
        PolicyCommand::Install(change) => {
            let Some(catalog) = catalog(args)? else { return Ok(ExitStatus::Error) };
            let wanted = catalog.wanted(&change.policies, &change.bundle)?;
            if wanted.is_empty() {
                anyhow::bail!("name policies, or a bundle with `--bundle`");
            }
            put(&catalog, args, change, wanted)
        }
        PolicyCommand::Upgrade { all, change } => {
            let Some(catalog) = catalog(args)? else { return Ok(ExitStatus::Error) };
            let there = installed(&args.into)?;
            let named = catalog.wanted(&change.policies, &change.bundle)?;
            if named.is_empty() && !all {
                anyhow::bail!("name policies, a bundle with `--bundle`, or `--all`");
            }
            let names: Vec<String> = if *all {
                there.keys().cloned().collect()
            } else {
                named.into_iter().map(|(name, _)| name).collect()
            };
            let mut wanted = Vec::new();
            for name in names {
                let Some(one) = there.get(&name) else {
                    anyhow::bail!(
                        "`{name}` is not in `{}`; put it there with `install`",
                        args.into.display()
                    );
                };
                wanted.push((name, one.bundle.clone()));
            }
            put(&catalog, args, change, wanted)
        }
        PolicyCommand::Uninstall(_) => {
            anyhow::bail!("policies are files of a repository here: remove the policy's folder")
        }
        PolicyCommand::Update(_) => {
            anyhow::bail!(
                "the catalog is a file here, which `--catalog` names; fetch a new one as it came, such as with `git pull`"
            )
        }
        PolicyCommand::GenerateCatalog(_) => {
            anyhow::bail!(
                "catalogs are not made here; `gator policy generate-catalog` makes one that is taken, without `--base-url`"
            )
        }
    }
}

/// Puts policies into the folder, each of which may fail alone.
fn put(
    catalog: &Catalog,
    args: &PolicyArgs,
    change: &ChangeArgs,
    wanted: Vec<(String, Option<String>)>,
) -> anyhow::Result<ExitStatus> {
    let there = installed(&args.into)?;
    let (mut done, mut skipped, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    let (mut templates, mut constraints) = (0, 0);
    for (name, bundle) in wanted {
        let made = catalog.files(&name, bundle.as_deref(), change).and_then(|files| {
            let version = catalog.policies.get(&name).map_or("", |entry| entry.version.as_str());
            let folder = args.into.join(&name);
            let old = there.get(&name);
            if old.is_some_and(|old| old.version == version && old.bundle == bundle) {
                return Ok(None);
            }
            for (file, _) in &files {
                check_replaceable(&folder.join(file))?;
            }
            Ok(Some((folder, version, files)))
        });
        match made {
            Ok(None) => skipped.push(name),
            Ok(Some((folder, version, files))) => {
                if !change.dry_run {
                    fs::create_dir_all(&folder)?;
                    for (file, text) in &files {
                        let mut output = Target::File(folder.join(file)).open(false)?;
                        output.write_all(marked(&name, version, bundle.as_deref(), text).as_bytes())?;
                        output.finish()?;
                    }
                }
                templates += 1;
                constraints += files.len() - 1;
                let old = there.get(&name).map(|old| old.version.clone());
                done.push((name, version, old));
            }
            Err(why) => failed.push((name, why)),
        }
    }
    let mut out = portcullis_report::stdout(false);
    match change.output {
        PolicyForm::Json => {
            let entry = |(name, version, old): &(String, &str, Option<String>)| match old {
                Some(old) => json!({"name": name, "fromVersion": old, "toVersion": version}),
                None => json!({"name": name, "version": version}),
            };
            let failed: Vec<Value> =
                failed.iter().map(|(name, why)| json!({"name": name, "error": why})).collect();
            let all = json!({
                "apiVersion": API_VERSION,
                "installed": done.iter().map(entry).collect::<Vec<_>>(),
                "skipped": skipped,
                "failed": failed,
                "templatesInstalled": templates,
                "constraintsInstalled": constraints,
                "dryRun": change.dry_run,
            });
            writeln!(out, "{all:#}")?;
        }
        PolicyForm::Table => {
            let would = if change.dry_run { "(dry-run) " } else { "" };
            for (name, version, old) in &done {
                match old {
                    Some(old) => writeln!(out, "{would}{name} {old} -> {version}")?,
                    None => writeln!(out, "{would}{name} {version}")?,
                }
            }
            for name in &skipped {
                writeln!(out, "- {name} (already there at the same version)")?;
            }
            writeln!(
                out,
                "{would}{templates} templates, {constraints} constraints in {}",
                args.into.display()
            )?;
        }
    }
    out.flush()?;
    for (name, why) in &failed {
        writeln!(anstream::stderr(), "error: {name}: {why}")?;
    }
    Ok(if failed.is_empty() { ExitStatus::Success } else { ExitStatus::Error })
}

/// A file that is there has to be one that was put there, as it was.
fn check_replaceable(path: &Path) -> Result<(), String> {
    let name = path.display();
    match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("`{name}` cannot be read: {error}")),
        Ok(text) => match installed_as(&text) {
            None => Err(format!("`{name}` is there, and did not come from a catalog")),
            Some((_, one)) if !one.is_untouched => {
                Err(format!("`{name}` was changed since it was put there; remove it to have it replaced"))
            }
            Some(_) => Ok(()),
        },
    }
}

/// A text below a line that says what it is.
fn marked(name: &str, version: &str, bundle: Option<&str>, text: &str) -> String {
    let bundle = bundle.map(|bundle| format!(", bundle {bundle}")).unwrap_or_default();
    format!("{MARK}{name} {version}{bundle}, sha256 {}\n{text}", digest(text))
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut digits, byte| {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// What the first line of a text says.
fn installed_as(text: &str) -> Option<(String, Installed)> {
    let (line, rest) = text.split_once('\n')?;
    let (what, digits) = line.strip_prefix(MARK)?.rsplit_once(", sha256 ")?;
    let (what, bundle) = match what.split_once(", bundle ") {
        Some((what, bundle)) => (what, Some(bundle.to_owned())),
        None => (what, None),
    };
    let (name, version) = what.split_once(' ')?;
    let is_untouched = digest(rest) == digits;
    Some((name.to_owned(), Installed { version: version.to_owned(), bundle, is_untouched }))
}

/// The policies of a folder that came from a catalog, by name.
fn installed(folder: &Path) -> anyhow::Result<BTreeMap<String, Installed>> {
    let mut all = BTreeMap::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(all),
        Err(error) => anyhow::bail!("`{}` cannot be read: {error}", folder.display()),
    };
    for entry in entries {
        let file = entry?.path().join("template.yaml");
        // What is no text is not of a catalog.
        let Ok(text) = fs::read_to_string(&file) else { continue };
        all.extend(installed_as(&text));
    }
    Ok(all)
}

/// Reads the catalog; none if it is broken, which is said.
fn catalog(args: &PolicyArgs) -> anyhow::Result<Option<Catalog>> {
    let file = InputFile::new(&args.catalog);
    let (mut errors, mut read) = (Vec::new(), None);
    match read_bytes(&file, &Limits::default()) {
        Err(error) => errors.push(error),
        Ok(bytes) => {
            let (documents, found) = Document::read_bytes(&file.name, bytes, &Limits::default());
            errors.extend(found);
            match documents.as_slice() {
                [document] => {
                    let folder = args.catalog.parent().map(Path::to_owned).unwrap_or_default();
                    read = Some(Catalog::read(&Node::root(document), folder, &mut errors));
                }
                _ if errors.is_empty() => {
                    let message = format!("`{}`: expected one document, a PolicyCatalog", file.name);
                    errors.push(Error::new(ErrorKind::NoInput, message));
                }
                _ => {}
            }
        }
    }
    human::write_problems(&Problem::all(&errors), &mut anstream::stderr().lock())?;
    let is_broken = errors.iter().any(|error| error.severity() == Severity::Error);
    Ok(read.filter(|_| !is_broken))
}

impl Catalog {
    fn read(root: &Node<'_>, folder: PathBuf, errors: &mut Vec<Error>) -> Self {
        match root.required_text("kind", errors) {
            Some(kind) if &*kind != "PolicyCatalog" => errors.push(root.expected("`kind: PolicyCatalog`")),
            _ => {}
        }
        let mut catalog = Self { folder, policies: BTreeMap::new(), bundles: BTreeMap::new() };
        for node in root.list("policies", errors) {
            let mut texts = BTreeMap::new();
            if let Some(Value::Object(fields)) = node.field("bundleConstraints").map(|field| field.to_json())
            {
                texts.extend(
                    fields.into_iter().filter_map(|(key, path)| Some((key, path.as_str()?.to_owned()))),
                );
            }
            let text = |key: &str, errors: &mut Vec<Error>| {
                node.optional_text(key, errors).map(|text| text.to_string()).unwrap_or_default()
            };
            let entry = Entry {
                version: text("version", errors),
                description: text("description", errors),
                category: text("category", errors),
                template: node
                    .required_text("templatePath", errors)
                    .map(|path| path.to_string())
                    .unwrap_or_default(),
                constraints: texts,
            };
            let Some(name) = node.required_text("name", errors) else { continue };
            if !is_name(&name) {
                errors.push(node.expected("a name of letters, digits, `-` and `.`"));
            } else if !is_word(&entry.version) {
                errors.push(node.expected("a version without white space and commas"));
            } else if catalog.policies.insert(name.to_string(), entry).is_some() {
                errors.push(
                    node.error(ErrorKind::DuplicateResource, format!("`{name}` is there a second time")),
                );
            }
        }
        for node in root.list("bundles", errors) {
            let inherits = node.optional_text("inherits", errors).map(|name| name.to_string());
            let policies = node.texts("policies", errors).iter().map(ToString::to_string).collect();
            let Some(name) = node.required_text("name", errors) else { continue };
            if is_name(&name) {
                catalog.bundles.insert(name.to_string(), Bundle { inherits, policies });
            } else {
                errors.push(node.expected("a name of letters, digits, `-` and `.`"));
            }
        }
        catalog
    }

    /// The policies of a bundle: first those that it inherits.
    fn of_bundle(&self, name: &str) -> anyhow::Result<Vec<String>> {
        let mut chain = Vec::new();
        let mut next = Some(name);
        while let Some(name) = next {
            let Some(bundle) = self.bundles.get(name) else {
                anyhow::bail!("the catalog has no bundle `{name}`");
            };
            chain.push(bundle);
            if chain.len() > DEPTH {
                anyhow::bail!("the bundle `{name}` inherits from more than {DEPTH} others, or from itself");
            }
            next = bundle.inherits.as_deref();
        }
        let mut all: Vec<String> = Vec::new();
        for policy in chain.iter().rev().flat_map(|bundle| &bundle.policies) {
            if !all.contains(policy) {
                all.push(policy.clone());
            }
        }
        Ok(all)
    }

    /// The policies that are named, each with the bundle that it is of.
    fn wanted(&self, names: &[String], bundles: &[String]) -> anyhow::Result<Vec<(String, Option<String>)>> {
        let mut wanted: Vec<(String, Option<String>)> = Vec::new();
        for bundle in bundles {
            for name in self.of_bundle(bundle)? {
                if !wanted.iter().any(|(known, _)| *known == name) {
                    wanted.push((name, Some(bundle.clone())));
                }
            }
        }
        for name in names {
            if !wanted.iter().any(|(known, _)| known == name) {
                wanted.push((name.clone(), None));
            }
        }
        Ok(wanted)
    }

    /// The files of a policy: first its template.
    fn files(
        &self,
        name: &str,
        bundle: Option<&str>,
        change: &ChangeArgs,
    ) -> Result<Vec<(&'static str, String)>, String> {
        let entry = self.policies.get(name).ok_or("the catalog has no such policy")?;
        let template = self.text(&entry.template)?;
        only(&entry.template, &template, "ConstraintTemplate", |resource| {
            matches!(resource, Resource::Template(_))
        })?;
        let mut files = vec![("template.yaml", template)];
        if let Some(bundle) = bundle {
            // gator's own rule: what a bundle inherits may have the constraints of that.
            let path =
                self.constraint(entry, bundle).ok_or("the catalog has no constraint of it for the bundle")?;
            let mut text = self.text(path)?;
            only(path, &text, "constraint", |resource| matches!(resource, Resource::Constraint(_)))?;
            if let Some(action) = change.enforcement_action {
                text = with_action(path, &text, action.as_str())?;
            }
            files.push(("constraint.yaml", text));
        }
        Ok(files)
    }

    fn constraint<'a>(&self, entry: &'a Entry, bundle: &str) -> Option<&'a String> {
        let mut next = Some(bundle);
        for _ in 0..=DEPTH {
            let name = next?;
            if let Some(path) = entry.constraints.get(name) {
                return Some(path);
            }
            next = self.bundles.get(name)?.inherits.as_deref();
        }
        None
    }

    /// The text of a file beside the catalog.
    fn text(&self, path: &str) -> Result<String, String> {
        if path.contains("://") {
            return Err(format!(
                "`{path}` is an address, and nothing is fetched here; use a catalog with paths, beside its files"
            ));
        }
        let below = Path::new(path);
        if !below.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(format!("`{path}` is not below the folder of the catalog"));
        }
        let file = InputFile::new(&self.folder.join(below));
        let bytes =
            read_bytes(&file, &Limits::default()).map_err(|error| Problem::from(&error).to_string())?;
        String::from_utf8(bytes).map_err(|_| format!("`{}` is not UTF-8", file.name))
    }
}

/// A text has to be one document of a kind, and one that can be used.
fn only(path: &str, text: &str, kind: &str, is: impl Fn(&Resource) -> bool) -> Result<(), String> {
    let (documents, mut errors) = Document::read_all(path, text);
    let [document] = documents.as_slice() else {
        let broken = errors.first().map(|error| Problem::from(error).to_string());
        return Err(broken.unwrap_or_else(|| format!("`{path}`: expected one document, a {kind}")));
    };
    let (resource, found) = Resource::read(document);
    errors.extend(found);
    errors.retain(|error| error.severity() == Severity::Error);
    match (errors.first(), resource) {
        (Some(error), _) => Err(Problem::from(error).to_string()),
        (None, Some(resource)) if is(&resource) => Ok(()),
        _ => Err(format!("`{path}`: expected a {kind}")),
    }
}

/// A constraint with another `enforcementAction`, and everything else as it was written.
fn with_action(path: &str, text: &str, action: &str) -> Result<String, String> {
    let cannot = || {
        format!(
            "`{path}`: the `enforcementAction` cannot be set in what is written like this; write `spec:` on a line of its own"
        )
    };
    let (documents, _) = Document::read_all(path, text);
    let document = documents.first().ok_or_else(cannot)?;
    let field = |names: &[&str]| {
        let path = names.iter().fold(portcullis::FieldPath::root(), |path, name| path.child(*name));
        document.locate(&path).map(|place| place.range())
    };
    let index = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
    let changed = match field(&["spec", "enforcementAction"]) {
        Some(range) => {
            let front = text.get(..index(range.start)).ok_or_else(cannot)?;
            let back = text.get(index(range.end)..).ok_or_else(cannot)?;
            format!("{front}{action}{back}")
        }
        None => match text.split_once("\nspec:\n") {
            Some((front, back)) => {
                // As deep as what follows.
                let indent = back.len() - back.trim_start_matches(' ').len();
                let indent = " ".repeat(indent.max(1));
                format!("{front}\nspec:\n{indent}enforcementAction: {action}\n{back}")
            }
            None if !text.contains("\nspec:") => {
                format!("{}\nspec:\n  enforcementAction: {action}\n", text.trim_end())
            }
            None => return Err(cannot()),
        },
    };
    let (documents, errors) = Document::read_all(path, &changed);
    let is_so = documents.first().is_some_and(|document| {
        document.to_json().pointer("/spec/enforcementAction").and_then(Value::as_str) == Some(action)
    });
    let is_sound = errors.iter().all(|error| error.severity() != Severity::Error);
    if is_so && is_sound && documents.len() == 1 { Ok(changed) } else { Err(cannot()) }
}

/// Whether something can be the name of a folder.
fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_';
    !text.is_empty() && text.len() <= 253 && text.chars().all(is_plain) && !text.starts_with('.')
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 100 && text.chars().all(|c| c.is_ascii_graphic() && c != ',')
}

/// Prints rows, as wide as they are, or as JSON.
fn print_rows<const N: usize>(
    form: PolicyForm,
    what: &str,
    columns: [&str; N],
    rows: &[[&str; N]],
    none: &str,
) -> anyhow::Result<ExitStatus> {
    const SHOWN: usize = 50;
    let mut out = portcullis_report::stdout(false);
    match form {
        PolicyForm::Json => {
            let item = |row: &[&str; N]| -> Value {
                columns
                    .iter()
                    .zip(row)
                    .map(|(column, cell)| ((*column).to_owned(), Value::from(*cell)))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            };
            let all = json!({"apiVersion": API_VERSION, what: rows.iter().map(item).collect::<Vec<_>>()});
            writeln!(out, "{all:#}")?;
        }
        PolicyForm::Table if rows.is_empty() => writeln!(out, "{none}")?,
        PolicyForm::Table => {
            let shown = |cell: &str| {
                let line = portcullis_report::escape::line(cell).into_owned();
                if line.chars().count() > SHOWN {
                    line.chars().take(SHOWN - 3).chain("...".chars()).collect()
                } else {
                    line
                }
            };
            let mut lines = vec![columns.map(str::to_uppercase)];
            lines.extend(rows.iter().map(|row| row.map(shown)));
            let widths: Vec<usize> = (0..N)
                .map(|column| {
                    lines
                        .iter()
                        .filter_map(|line| line.get(column))
                        .map(|cell| cell.chars().count())
                        .max()
                        .unwrap_or_default()
                })
                .collect();
            for line in &lines {
                let cells: Vec<String> =
                    line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
                writeln!(out, "{}", cells.join("  ").trim_end())?;
            }
        }
    }
    out.flush()?;
    Ok(ExitStatus::Success)
}
