//! A file of Rego as a source: what it is, what it reads, and its text as templates have it.

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis::{Error, ErrorKind, Location, RegoFile, RegoVersion, Source};
use portcullis_rego_syntax::analysis::refs;
use portcullis_rego_syntax::{Names, Resolution, Span, Version, ast, parse, resolve};

/// A file of Rego, parsed.
pub(super) struct Module {
    pub(super) source: Arc<Source>,
    pub(super) version: RegoVersion,
    pub(super) tree: ast::Module,
    pub(super) names: Names,
    /// What is wrong with its text.
    pub(super) errors: Vec<Error>,
}

impl Module {
    pub(super) fn of(file: &RegoFile) -> Self {
        let version = match file.version() {
            RegoVersion::V0 => Version::V0,
            RegoVersion::V1 => Version::V1,
        };
        let source = file.source().clone();
        let parsed = parse(source.text(), version);
        let names = resolve(&parsed.module);
        let wrong = parsed.diagnostics.iter().map(|diagnostic| {
            let message = format!("{}: {}", diagnostic.code.class(), diagnostic.message);
            let error = Error::new(ErrorKind::Rego, message).at(at(&source, diagnostic.span));
            match &diagnostic.hint {
                Some(hint) => error.hint(hint.clone()),
                None => error,
            }
        });
        let errors = wrong.collect();
        Self { source, version: file.version(), tree: parsed.module, names, errors }
    }

    pub(super) fn package(&self) -> Vec<&str> {
        self.tree.package_path()
    }

    pub(super) fn is_library(&self) -> bool {
        self.package().first() == Some(&"lib")
    }

    pub(super) fn is_test(&self) -> bool {
        self.stem().ends_with("_test")
    }

    /// Whether a template is made of it.
    pub(super) fn is_policy(&self) -> bool {
        let has_violation = self.tree.rules_named("violation").next().is_some();
        has_violation && !self.is_library() && !self.is_test()
    }

    /// The file as a whole.
    pub(super) fn whole(&self) -> Location {
        Location::new(self.source.clone(), 0..0)
    }

    pub(super) fn at(&self, span: Span) -> Location {
        at(&self.source, span)
    }

    fn path(&self) -> (&str, &str) {
        self.source.name().rsplit_once('/').unwrap_or(("", self.source.name()))
    }

    pub(super) fn folder(&self) -> &str {
        self.path().0
    }

    /// The last part of the folder's path.
    pub(super) fn folder_name(&self) -> &str {
        self.folder().rsplit('/').next().unwrap_or_default()
    }

    /// The name of the file, without its end.
    pub(super) fn stem(&self) -> &str {
        let name = self.path().1;
        name.rsplit_once('.').map_or(name, |(stem, _)| stem)
    }

    /// Its text as templates have it: from the package on, without `import rego.v1`, which only says what the
    /// version of the template says.
    pub(super) fn code(&self) -> String {
        self.code_with(&mut Vec::new())
    }

    /// The same, with insertions into the text.
    pub(super) fn code_with(&self, insertions: &mut Vec<(u32, String)>) -> String {
        let text = self.source.text();
        let start = self.tree.package.as_ref().map_or(0, |package| package.span.start);
        let is_v1 = |import: &&ast::Import| import.segments() == ["rego", "v1"];
        let mut cuts: Vec<(u32, u32, String)> = self
            .tree
            .imports
            .iter()
            .filter(is_v1)
            .map(|import| (import.span.start, import.span.end, String::new()))
            .collect();
        cuts.extend(insertions.drain(..).map(|(at, text)| (at, at, text)));
        cuts.sort();
        let mut code = String::new();
        let mut from = start;
        for (begin, end, put) in cuts {
            code.push_str(text.get(from as usize..begin as usize).unwrap_or_default());
            code.push_str(&put);
            from = end;
        }
        code.push_str(text.get(from as usize..).unwrap_or_default());
        let code = code.replace("\r\n", "\n");
        format!("{}\n", code.trim_end())
    }

    /// The paths below `data` that it reads, with the places of `data`.
    pub(super) fn data_reads(&self) -> Vec<(Vec<&str>, Span)> {
        let imports = self.tree.imports.iter().filter_map(|import| {
            let segments = import.segments();
            let (root, below) = segments.split_first()?;
            let span = import.path.first()?.span;
            (*root == "data").then(|| (below.to_vec(), span))
        });
        let direct = refs(&self.tree, &self.names).filter_map(|reference| {
            let steps: Vec<&str> = reference.static_prefix.iter().map(|(step, _)| *step).collect();
            let (_, below) = steps.split_first()?;
            let span = reference.static_prefix.first()?.1;
            (reference.root == Resolution::Data).then(|| (below.to_vec(), span))
        });
        let mut all: Vec<_> = imports.chain(direct).collect();
        all.sort_by_key(|(_, span)| span.start);
        all
    }
}

fn at(source: &Arc<Source>, span: Span) -> Location {
    Location::new(source.clone(), span.start..span.end)
}

/// The modules of packages that a path below `data` leads into.
pub(super) fn leads_to<'m>(path: &[&str], modules: &'m [Module]) -> Vec<&'m Module> {
    let fits = |module: &&Module| !module.is_test() && path.starts_with(&module.package());
    let longest = modules.iter().filter(fits).map(|module| module.package().len()).max();
    modules.iter().filter(fits).filter(|module| Some(module.package().len()) == longest).collect()
}

/// The libraries that a source needs, those of libraries included, in the order of their files.
pub(super) fn libraries<'m>(source: &'m Module, modules: &'m [Module]) -> Result<Vec<&'m Module>, Error> {
    let mut found: BTreeSet<&str> = BTreeSet::new();
    let mut open = vec![source];
    let mut libs: Vec<&Module> = Vec::new();
    while let Some(module) = open.pop() {
        for (path, span) in module.data_reads() {
            if path.first() != Some(&"lib") {
                continue;
            }
            let needed = leads_to(&path, modules);
            if needed.is_empty() {
                let message = format!("there is no library `{}` among the files", path.join("."));
                let error = Error::new(ErrorKind::Rego, message).at(module.at(span));
                return Err(error.hint("name the folder that it is in, too"));
            }
            for lib in needed {
                if found.insert(lib.source.name()) {
                    libs.push(lib);
                    open.push(lib);
                }
            }
        }
    }
    libs.sort_by(|a, b| a.source.name().cmp(b.source.name()));
    if let Some(broken) = libs.iter().find_map(|lib| lib.errors.first()) {
        let message = "a library that this source needs is no Rego";
        let error = Error::new(ErrorKind::Rego, message).at(source.whole());
        let place = broken.location().map(ToString::to_string).unwrap_or_default();
        return Err(error.hint(format!("see {place}")));
    }
    if let Some(other) = libs.iter().find(|lib| !reads_as(lib, source.version)) {
        let message = format!(
            "the source is Rego {}, and its library `{}` is not: a template has one version",
            source.version,
            other.source.name()
        );
        let error = Error::new(ErrorKind::Rego, message).at(source.whole());
        return Err(error.hint("write both in the same version"));
    }
    Ok(libs)
}

fn reads_as(module: &Module, version: RegoVersion) -> bool {
    let version = match version {
        RegoVersion::V0 => Version::V0,
        RegoVersion::V1 => Version::V1,
    };
    parse(&module.code(), version).diagnostics.is_empty()
}
