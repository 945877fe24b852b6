//! The code of the README and of the manual, compiled and run as documentation tests.
//!
//! They are here because this crate is not published: the files lie outside of every crate.

/// Gives each file a module whose documentation it is, and their names to the test below.
macro_rules! manual {
    ($($module:ident = $path:literal;)+) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../../../", $path))]
            mod $module {}
        )+

        #[cfg(test)]
        const FILES: &[&str] = &[$($path),+];
    };
}

manual! {
    readme = "README.md";
    index = "docs/README.md";
    summary = "docs/SUMMARY.md";
    admission_policies = "docs/admission-policies.md";
    audit = "docs/audit.md";
    authoring = "docs/authoring.md";
    cli = "docs/cli.md";
    configuration = "docs/configuration.md";
    conftest = "docs/conftest.md";
    editors = "docs/editors.md";
    embedding = "docs/embedding.md";
    exceptions = "docs/exceptions.md";
    expansion = "docs/expansion.md";
    external_data = "docs/external-data.md";
    from_gator = "docs/from-gator.md";
    from_kube_linter = "docs/from-kube-linter.md";
    from_kyverno = "docs/from-kyverno.md";
    library = "docs/library.md";
    mutation = "docs/mutation.md";
    policies = "docs/policies.md";
    reference = "docs/reference.md";
    registries = "docs/registries.md";
    reports = "docs/reports.md";
    spark = "docs/spark.md";
    start = "docs/start.md";
    webhook = "docs/webhook.md";
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::FILES;

    #[test]
    fn every_file_of_the_manual_is_tested() {
        let root = crate::testdata().join("..");
        let mut files = vec!["README.md".to_owned()];
        for entry in fs::read_dir(root.join("docs")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.strip_suffix(".md").is_some() {
                files.push(format!("docs/{name}"));
            }
        }
        files.sort();
        let mut tested = FILES.to_vec();
        tested.sort_unstable();
        assert_eq!(files, tested);
    }

    /// What a sentence of Markdown points at, without parts of a page and addresses elsewhere.
    fn links(text: &str) -> impl Iterator<Item = &str> {
        text.split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next())
            .filter(|link| !link.is_empty() && !link.contains("://"))
    }

    #[test]
    fn every_link_leads_somewhere() {
        let root = crate::testdata().join("..");
        let more = ["ARCHITECTURE.md", "CONTRIBUTING.md", "deploy/README.md", "deploy/MIGRATION.md"];
        for file in FILES.iter().chain(&more) {
            let path = root.join(file);
            for link in links(&fs::read_to_string(&path).unwrap()) {
                let target = path.parent().unwrap().join(link);
                assert!(target.exists(), "{file} links to `{link}`, which is not there");
            }
        }
    }

    fn paths(directory: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name == "target" || name == ".git" {
                continue;
            }
            let slash = if path.is_dir() { "/" } else { "" };
            found.push(format!("/{}{slash}", path.to_str().unwrap()));
            if path.is_dir() {
                paths(&path, found);
            }
        }
    }

    /// What stands in backquotes and looks like a file or a folder of the project: `lower/nesting.rs`,
    /// `schema/`.
    fn named(text: &str) -> impl Iterator<Item = &str> {
        let path = |part: char| part.is_ascii_alphanumeric() || "./_-".contains(part);
        text.split('`').skip(1).step_by(2).filter(move |name| {
            let ends = [".rs", ".md", ".yaml", "/"].iter().any(|end| name.ends_with(end));
            ends && !name.starts_with('/') && name.chars().all(path)
        })
    }

    /// Of the texts about the project itself: a file that is moved takes its name along.
    #[test]
    fn every_file_that_is_named_is_there() {
        let root = crate::testdata().join("..");
        let mut found = Vec::new();
        paths(&root, &mut found);
        for file in ["ARCHITECTURE.md", "CONTRIBUTING.md", "testdata/README.md", "deploy/README.md"] {
            let text = fs::read_to_string(root.join(file)).unwrap();
            let names: Vec<&str> = named(&text).collect();
            assert!(names.len() > 5, "{file} names only {names:?}");
            for name in names {
                let (end, inside) = (format!("/{name}"), format!("/{}/", name.trim_end_matches('/')));
                let is_there = found.iter().any(|path| path.ends_with(&end) || path.contains(&inside));
                assert!(is_there, "{file} names `{name}`, which is not there");
            }
        }
    }
}
