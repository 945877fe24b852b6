//! A new policy: a template, its suite with samples, and a page about it, which pass `verify` and `lint` as they are. Pure:
//! the caller writes the files.
//!
//! The policy asks for labels, which objects of all kinds may have, so that what is there is a whole policy and not a
//! stub: one changes the condition, and the samples with it.

use std::fmt::{self, Write as _};

use portcullis::{Document, Error, ErrorKind, Kinds, PolicySet, Scope, Severity};

/// What a policy is called: `require-owner` is the folder, `RequireOwner` the kind of its constraints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyName {
    folder: String,
    kind: String,
}

/// Most characters of a name: that of the template is a label of DNS.
const MOST: usize = 63;

impl PolicyName {
    /// Reads `require-owner` or `RequireOwner`, which are the same.
    ///
    /// # Errors
    ///
    /// If it is no name: letters, digits and dashes, and a letter first.
    pub fn parse(text: &str) -> Result<Self, ScaffoldError> {
        let refuse = |why| Err(ScaffoldError::Name { name: text.to_owned(), why });
        if text.is_empty() || text.len() > MOST {
            return refuse("it has to have between 1 and 63 characters");
        }
        if !text.chars().all(|char| char.is_ascii_alphanumeric() || char == '-') {
            return refuse("it may have letters of ASCII, digits and dashes, as in `require-owner`");
        }
        if !text.starts_with(|char: char| char.is_ascii_alphabetic()) {
            return refuse("it has to begin with a letter");
        }
        if text.split('-').any(str::is_empty) {
            return refuse("a dash has to stand between words");
        }
        let mut folder = String::new();
        let mut before = '-';
        for char in text.chars() {
            if char.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
                folder.push('-');
            }
            folder.push(char.to_ascii_lowercase());
            before = char;
        }
        let mut kind = String::new();
        for word in text.split('-') {
            let mut chars = word.chars();
            kind.extend(chars.next().map(|first| first.to_ascii_uppercase()));
            kind.push_str(chars.as_str());
        }
        Ok(Self { folder, kind })
    }

    /// The folder: `require-owner`. It is the constraint's name in the samples as well.
    #[must_use]
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The kind of its constraints: `RequireOwner`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The name of the template, and of the package.
    fn template(&self) -> String {
        self.kind.to_ascii_lowercase()
    }

    /// `require owner`.
    fn words(&self) -> String {
        self.folder.replace('-', " ")
    }
}

/// A kind that a policy is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AboutKind {
    group: String,
    version: String,
    kind: String,
    scope: Scope,
}

impl AboutKind {
    /// Reads `Deployment`, `apps/Deployment` or `example.com/v1/Widget`. The core group is `core`. A kind by itself, or without
    /// its version, has to be one that is known.
    ///
    /// # Errors
    ///
    /// If it is not known which one is meant.
    pub fn parse(text: &str, known: &Kinds) -> Result<Self, ScaffoldError> {
        let refuse = |why: String| Err(ScaffoldError::Kind { kind: text.to_owned(), why });
        let parts: Vec<&str> = text.split('/').collect();
        let is_word = |word: &str| {
            let fits = |char: char| char.is_ascii_alphanumeric() || ['-', '.'].contains(&char);
            !word.is_empty() && word.chars().all(fits)
        };
        if !parts.iter().all(|part| is_word(part)) {
            return refuse("expected `KIND`, `GROUP/KIND` or `GROUP/VERSION/KIND`".to_owned());
        }
        let of = |group: &str| if group == "core" { String::new() } else { group.to_owned() };
        let (group, version, kind) = match parts.as_slice() {
            [kind] => match known.groups_of(kind).as_slice() {
                [group] => (group.to_string(), None, *kind),
                [] => {
                    return refuse("it is no kind of Kubernetes; write `GROUP/VERSION/KIND`".to_owned());
                }
                several => {
                    let named = several.iter().map(|group| if group.is_empty() { "core" } else { group });
                    let named: Vec<String> = named.map(|group| format!("`{group}/{kind}`")).collect();
                    return refuse(format!("there are several; write {}", named.join(" or ")));
                }
            },
            [group, kind] => (of(group), None, *kind),
            [group, version, kind] => (of(group), Some(*version), *kind),
            _ => return refuse("expected `KIND`, `GROUP/KIND` or `GROUP/VERSION/KIND`".to_owned()),
        };
        let found = known.get(&group, kind);
        let scope = found.as_ref().map_or(Scope::ByObject, |found| found.scope);
        let version = match (version, found) {
            (Some(version), _) => version.to_owned(),
            (None, Some(found)) => found.version.to_string(),
            (None, None) => return refuse("its version is not known; write `GROUP/VERSION/KIND`".to_owned()),
        };
        Ok(Self { group, version, kind: kind.to_owned(), scope })
    }

    fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    fn file(&self) -> String {
        self.kind.to_ascii_lowercase()
    }
}

/// What the condition is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Rego v1.
    #[default]
    Rego,
    /// CEL, as API servers have it.
    Cel,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rego => "Rego",
            Self::Cel => "CEL",
        })
    }
}

/// Why there is no new policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScaffoldError {
    /// It cannot be called so.
    #[error("a policy cannot be called `{name}`: {why}")]
    Name {
        /// What was given.
        name: String,
        /// What a name is.
        why: &'static str,
    },
    /// It is not known which kind is meant.
    #[error("`{kind}`: {why}")]
    Kind {
        /// What was given.
        kind: String,
        /// What is missing.
        why: String,
    },
    /// A cluster would refuse the template.
    #[error("the template cannot be used: {0}")]
    Unusable(String),
}

/// A text, and where it belongs in the folder of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// With `/` between its parts.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// The files of a new policy, in the order of their paths.
///
/// ```
/// use portcullis::Kinds;
/// use portcullis_manifests::scaffold::{AboutKind, Language, PolicyName, new_policy};
///
/// let name = PolicyName::parse("require-owner").unwrap();
/// let kinds = [AboutKind::parse("Pod", &Kinds::default()).unwrap()];
/// let files = new_policy(&name, &kinds, Language::Rego).unwrap();
/// assert!(files.iter().any(|file| file.path == "template.yaml" && file.text.contains("kind: RequireOwner")));
/// ```
///
/// # Errors
///
/// If a cluster would refuse the template.
pub fn new_policy(
    name: &PolicyName,
    kinds: &[AboutKind],
    language: Language,
) -> Result<Vec<NewFile>, ScaffoldError> {
    let mut files = vec![
        file("README.md", readme(name, kinds, language)),
        file("samples/constraint.yaml", constraint(name, kinds)),
        file("suite.yaml", suite(name, kinds, language)),
        file("template.yaml", template(name, language)),
    ];
    for kind in kinds {
        let named = kind.file();
        files.push(file(&format!("samples/allowed-{named}.yaml"), sample(kind, Labels::All)));
        files.push(file(&format!("samples/denied-{named}.yaml"), sample(kind, Labels::Others)));
    }
    if let Some(first) = kinds.first() {
        files.push(file("samples/allowed-deletion.yaml", deletion(first)));
        files.push(file("samples/denied-without-labels.yaml", sample(first, Labels::None)));
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files.dedup_by(|one, other| one.path == other.path);
    usable(&files)?;
    Ok(files)
}

fn file(path: &str, text: String) -> NewFile {
    NewFile { path: path.to_owned(), text }
}

/// Compiles the template and the constraint as a cluster would: what nobody could use is not written.
fn usable(files: &[NewFile]) -> Result<(), ScaffoldError> {
    let policies = ["template.yaml", "samples/constraint.yaml"];
    let texts = files.iter().filter(|file| policies.contains(&&*file.path)).map(|file| &*file.text);
    let (documents, mut problems) =
        Document::read_all("the new policy", &texts.collect::<Vec<_>>().join("---\n"));
    problems.extend(PolicySet::compile(documents).1);
    problems.retain(|problem: &Error| problem.severity() == Severity::Error);
    // That the constraint has no template follows from the others.
    let first = problems.iter().find(|problem| problem.kind() != ErrorKind::MissingTemplate);
    let wrong = first.or(problems.first()).map(|wrong| ScaffoldError::Unusable(wrong.to_string()));
    wrong.map_or(Ok(()), Err)
}

fn template(name: &PolicyName, language: Language) -> String {
    let (template, kind) = (name.template(), name.kind());
    let code = match language {
        Language::Rego => rego(&template),
        Language::Cel => CEL.to_owned(),
    };
    format!(
        "apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata:
  name: {template}
  annotations:
    metadata.gatekeeper.sh/title: \"{title}\"
    metadata.gatekeeper.sh/version: 0.1.0
    description: >-
      Refuses objects without the labels that the constraint asks for.
spec:
  crd:
    spec:
      names:
        kind: {kind}
      validation:
        openAPIV3Schema:
          type: object
          required: [labels]
          properties:
            labels:
              type: array
              description: Labels that objects have to have.
              minItems: 1
              items:
                type: string
                minLength: 1
  targets:
    - target: admission.k8s.gatekeeper.sh
      code:
{code}",
        title = capitalised(&name.words()),
    )
}

fn rego(package: &str) -> String {
    let rego = format!(
        "package {package}

violation contains {{\"msg\": msg, \"details\": {{\"path\": [\"metadata\", \"labels\", label]}}}} if {{
\tnot is_delete
\tsome label in input.parameters.labels
\tnot has_label(label)
\tmsg := sprintf(\"the label %q is missing; add it to metadata.labels\", [label])
}}

# A deletion brings nothing into the cluster.
is_delete if input.review.operation == \"DELETE\"

has_label(label) if input.review.object.metadata.labels[label]
"
    );
    let mut text = String::from(
        "        - engine: Rego
          source:
            version: v1
            rego: |
",
    );
    for line in rego.lines() {
        let _ = if line.is_empty() { writeln!(text) } else { writeln!(text, "              {line}") };
    }
    text
}

const CEL: &str = r#"        - engine: K8sNativeValidation
          source:
            matchCondition:
              # A deletion brings nothing into the cluster.
              - name: is-not-deleted
                expression: object != null
            variables:
              - name: labels
                expression: "has(object.metadata.labels) ? object.metadata.labels : {}"
              - name: missing
                expression: variables.params.labels.filter(label, !(label in variables.labels))
            validations:
              - expression: size(variables.missing) == 0
                messageExpression: '"labels are missing: " + variables.missing.join(", ") + "; add them to metadata.labels"'
"#;

fn constraint(name: &PolicyName, kinds: &[AboutKind]) -> String {
    let mut text = format!(
        "apiVersion: constraints.gatekeeper.sh/v1beta1
kind: {}
metadata:
  name: {}
spec:
  match:
    kinds:
",
        name.kind(),
        name.folder()
    );
    for AboutKind { group, kind, .. } in kinds {
        let _ = writeln!(text, "      - apiGroups: [\"{group}\"]\n        kinds: [{kind}]");
    }
    text.push_str("  parameters:\n    labels: [owner]\n");
    text
}

fn suite(name: &PolicyName, kinds: &[AboutKind], language: Language) -> String {
    let mut text = format!(
        "kind: Suite
apiVersion: test.gatekeeper.sh/v1alpha1
metadata:
  name: {folder}
tests:
  - name: {folder}
    template: template.yaml
    constraint: samples/constraint.yaml
    cases:
",
        folder = name.folder()
    );
    let message = match language {
        Language::Rego => "the label \"owner\" is missing",
        Language::Cel => "labels are missing: owner;",
    };
    let mut allowed = |name: &str| {
        let _ = writeln!(
            text,
            "      - name: {name}
        object: samples/{name}.yaml
        assertions:
          - violations: no"
        );
    };
    for kind in kinds {
        allowed(&format!("allowed-{}", kind.file()));
    }
    allowed("allowed-deletion");
    let of_kinds = kinds.iter().map(|kind| format!("denied-{}", kind.file()));
    for name in of_kinds.chain(["denied-without-labels".to_owned()]) {
        let _ = writeln!(
            text,
            "      - name: {name}
        object: samples/{name}.yaml
        assertions:
          - violations: 1
            message: '{message}'"
        );
    }
    text
}

/// Which labels a sample has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Labels {
    All,
    Others,
    None,
}

/// An object, at a depth of so many spaces.
fn sample(kind: &AboutKind, labels: Labels) -> String {
    let mut text = format!(
        "apiVersion: {}
kind: {}
metadata:
  name: {}
",
        kind.api_version(),
        kind.kind,
        if labels == Labels::All { "allowed" } else { "denied" },
    );
    if kind.scope == Scope::Namespaced {
        text.push_str("  namespace: shop\n");
    }
    match labels {
        Labels::All => text.push_str("  labels:\n    app: web\n    owner: shop\n"),
        Labels::Others => text.push_str("  labels:\n    app: web\n"),
        Labels::None => {}
    }
    let is_stateful = (&*kind.group, &*kind.kind) == ("apps", "StatefulSet");
    text.push_str(match (&*kind.group, &*kind.kind) {
        ("", "Pod") => POD,
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet") => WORKLOAD,
        ("batch", "Job") => JOB,
        ("batch", "CronJob") => CRON_JOB,
        ("", "Service") => "spec:\n  selector:\n    app: web\n  ports:\n    - port: 80\n",
        ("", "ConfigMap") => "data:\n  greeting: hello\n",
        ("" | "rbac.authorization.k8s.io", _) => "",
        _ => "# What else such an object has to say belongs here, so that the sample is one that a cluster would take.\n",
    });
    if is_stateful {
        text.push_str("  serviceName: web\n");
    }
    text
}

const POD: &str = "spec:
  containers:
    - name: web
      image: registry.example/web:1.0
";

const WORKLOAD: &str = "spec:
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
    spec:
      containers:
        - name: web
          image: registry.example/web:1.0
";

const JOB: &str = "spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: web
          image: registry.example/web:1.0
";

const CRON_JOB: &str = "spec:
  schedule: \"0 4 * * *\"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers:
            - name: web
              image: registry.example/web:1.0
";

/// The request that deletes what would be denied.
fn deletion(kind: &AboutKind) -> String {
    let AboutKind { group, version, kind: name, scope } = kind;
    let namespace = if *scope == Scope::Namespaced { "  namespace: shop\n" } else { "" };
    let object = sample(kind, Labels::None).lines().fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "    {line}");
        all
    });
    format!(
        "apiVersion: admission.k8s.io/v1
kind: AdmissionReview
request:
  uid: 00000000-0000-0000-0000-000000000001
  operation: DELETE
  kind:
    group: \"{group}\"
    version: {version}
    kind: {name}
  name: denied
{namespace}  userInfo:
    username: somebody
  oldObject:
{object}"
    )
}

fn readme(name: &PolicyName, kinds: &[AboutKind], language: Language) -> String {
    let mutate = match language {
        Language::Rego => {
            "portcullis verify . --mutate    # does the suite notice each change of the policy?\n"
        }
        // Only Rego is changed.
        Language::Cel => "",
    };
    format!(
        "# {title}

Kind: `{kind}`

## What it refuses

Objects without the labels that the constraint asks for.

## Why

Say here what goes wrong without this policy.

## Parameters

| name | type | meaning |
|---|---|---|
| `labels` | list of strings | Labels that objects have to have. |

## Example

```yaml
{example}```

## How to fix a violation

Add the label to `metadata.labels`.

## Work on it

```
portcullis verify .             # the suite
{mutate}portcullis lint .
```
",
        title = capitalised(&name.words()),
        kind = name.kind(),
        example = constraint(name, kinds),
    )
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

    use super::*;

    #[test]
    fn a_name_says_folder_and_kind() {
        let parts = |text: &str| {
            let name = PolicyName::parse(text).unwrap();
            (name.folder().to_owned(), name.kind().to_owned())
        };
        let expected = |folder: &str, kind: &str| (folder.to_owned(), kind.to_owned());
        assert_eq!(parts("require-owner"), expected("require-owner", "RequireOwner"));
        assert_eq!(parts("RequireOwner"), expected("require-owner", "RequireOwner"));
        assert_eq!(parts("K8sNoTLS"), expected("k8s-no-tls", "K8sNoTLS"));
        assert_eq!(parts("x"), expected("x", "X"));
        for wrong in ["", "-a", "a-", "a--b", "1a", "a_b", "a b", "ä", &"a".repeat(64)] {
            assert!(PolicyName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_kind_is_one_that_is_known_or_wholly_named() {
        let known = Kinds::default();
        let parse = |text: &str| AboutKind::parse(text, &known).map(|kind| (kind.api_version(), kind.kind));
        let is = |version: &str, kind: &str| Ok((version.to_owned(), kind.to_owned()));
        assert_eq!(parse("Pod"), is("v1", "Pod"));
        assert_eq!(parse("core/Pod"), is("v1", "Pod"));
        assert_eq!(parse("Deployment"), is("apps/v1", "Deployment"));
        assert_eq!(parse("networking.k8s.io/Ingress"), is("networking.k8s.io/v1", "Ingress"));
        assert_eq!(parse("example.com/v1alpha1/Widget"), is("example.com/v1alpha1", "Widget"));
        for wrong in
            ["", "Widget", "example.com/Widget", "a/b/c/d", "apps//Deployment", "Po d", "\"", "Event"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
