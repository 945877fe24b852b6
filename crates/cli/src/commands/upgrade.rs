//! `portcullis lint --upgrade v1`: templates rewritten in Rego v1, and tried against what they were.
//!
//! ```text
//! files with templates ── RegoUpgrade ──> old and new ── cases of suites, random objects ──> both say the same ──> written
//! ```
//!
//! The trees are compared by whoever rewrites them; here both templates judge the same objects. One that says
//! anything else of any of them is not written, and that is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use portcullis::{
    Document, EnforcementPoint, EngineChoice, Error, ErrorKind, Inventory, Limits, Location, Object,
    PolicySet, PolicySettings, RegoLayout, RegoUpgrade, Resource, Review, Severity, Source, Verdict, World,
};
use portcullis_report::{self as report, count, escape};
use portcullis_sources::{self as read, Choice, InputFile};
use portcullis_suite::Suite;
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::commands::in_place;
use crate::lint_args::LintArgs;

/// Random variants of each object of a suite, and of each that is built in.
const VARIANTS: usize = 200;

/// About how many of them a template is tried with at most, so that a large suite does not take for ever.
const MOST: usize = 50_000;

/// An object, what it is compared with, and whether a suite has it.
struct Sample {
    object: Object,
    inventory: Inventory,
    is_of_suite: bool,
}

/// What a template is tried with.
#[derive(Default)]
struct Trial {
    constraints: Vec<Resource>,
    samples: Vec<Sample>,
}

/// With how many objects templates were tried that both say the same of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Proof {
    /// Of suites.
    cases: usize,
    random: usize,
}

/// A file, what becomes of it, and how that was tried.
type Tried = (InputFile, RegoUpgrade, Result<Proof, Error>);

/// Rewrites, tries, and writes the files, or shows what would be written. What is left is told of.
pub fn run(args: &LintArgs, suites: &[PathBuf]) -> anyhow::Result<Vec<Error>> {
    let limits = Limits { source_bytes: args.max_size, ..Limits::default() };
    let given = args.all_paths();
    anyhow::ensure!(
        !given.iter().any(|path| read::is_stdin(path)),
        "`--upgrade` edits files, and `-` is none: name files"
    );
    let (files, _) = read::list_without(&given, Choice::Policies, &args.files.in_force.ignores);
    let trials = trials(suites, &limits);
    let tried: Vec<Tried> = files
        .into_par_iter()
        .filter_map(|file| {
            let bytes = read::read_bytes(&file, &limits).ok().filter(|bytes| RegoLayout::may_be_in(bytes))?;
            let source = Source::new(file.name.as_str(), String::from_utf8(bytes).ok()?);
            let upgrade = RegoUpgrade::of_manifests(&source, &limits);
            let key = fs::canonicalize(&file.path).unwrap_or_else(|_| file.path.clone());
            let proof = prove(upgrade.templates(), trials.get(&key));
            Some((file, upgrade, proof))
        })
        .collect();
    let mut left = Vec::new();
    let mut out = report::stdout(args.fix_dry_run);
    let mut stderr = anstream::stderr().lock();
    for (file, upgrade, proof) in tried {
        left.extend(upgrade.problems().iter().cloned());
        let Some(new) = upgrade.text() else { continue };
        let Proof { cases, random } = match proof {
            Ok(proof) => proof,
            Err(error) => {
                left.push(error);
                continue;
            }
        };
        let old = upgrade.source().text();
        let written = if args.fix_dry_run {
            report::mutate::write_text_diff(&file.name, old, new, &mut *out)?;
            Ok(())
        } else {
            write(&file.path, &given, old, new)
        };
        if let Err(why) = written {
            let at = Location::new(upgrade.source().clone(), 0..0);
            let message = format!("the file is not rewritten: {why}");
            left.push(Error::new(ErrorKind::Unreadable, message).at(at));
            continue;
        }
        let templates = count(upgrade.templates().len(), "template", "templates");
        let cases = match cases {
            0 => "no suite".to_owned(),
            cases => format!("{} of suites", count(cases, "object", "objects")),
        };
        let is = if args.fix_dry_run { "can be in v1" } else { "in v1 now" };
        // Only a courtesy: what is left is in the report.
        let _ = writeln!(
            stderr,
            "upgrade: {}: {templates} {is}; says the same of {cases} and of {random} random objects",
            escape::line(&file.name)
        );
    }
    out.flush()?;
    Ok(left)
}

fn write(path: &Path, given: &[PathBuf], old: &str, new: &str) -> Result<(), String> {
    in_place::may_be_written(path, given.iter())?;
    in_place::write(path, old, new).map_err(|error| read::reason(&error))
}

/// What the suites have for the templates that they name, by the real paths of these.
fn trials(suites: &[PathBuf], limits: &Limits) -> BTreeMap<PathBuf, Trial> {
    let mut trials: BTreeMap<PathBuf, Trial> = BTreeMap::new();
    let documents = |path: PathBuf| read::read_file(&InputFile::new(&path), limits).0;
    for path in suites {
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        for document in documents(path.clone()) {
            let Some(suite) = Suite::read(&document).0 else { continue };
            for test in &suite.tests {
                let Some(policy) = &test.policy else { continue };
                let Ok(template) = fs::canonicalize(folder.join(&*policy.template)) else { continue };
                let trial = trials.entry(template).or_default();
                let constraints = documents(folder.join(&*policy.constraint));
                trial
                    .constraints
                    .extend(constraints.iter().filter_map(|document| Resource::read(document).0));
                for case in &test.cases {
                    let objects = |name: &str| {
                        let found = documents(folder.join(name)).into_iter();
                        found.filter_map(|document| Object::from_document(document).ok())
                    };
                    let inventory: Inventory = case.inventory.iter().flat_map(|name| objects(name)).collect();
                    trial.samples.extend(objects(&case.object).map(|object| Sample {
                        object: object.without_document(),
                        inventory: inventory.clone(),
                        is_of_suite: true,
                    }));
                }
            }
        }
    }
    trials
}

/// Tries each template of a file.
fn prove(templates: &[(Document, Document)], trial: Option<&Trial>) -> Result<Proof, Error> {
    let (mut cases, mut random) = (BTreeSet::new(), 0);
    for (old, new) in templates {
        let [before, after] = [old, new].map(|document| Resource::read(document).0);
        let (Some(before @ Resource::Template(_)), Some(after)) = (before, after) else { continue };
        let kind = old.to_json().pointer("/spec/crd/spec/names/kind").cloned().unwrap_or_default();
        let plain = json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": kind, "metadata": {"name": "plain"}});
        let (documents, _) = Document::read_all("plain", &plain.to_string());
        let mut constraints: Vec<Resource> = documents.iter().filter_map(|it| Resource::read(it).0).collect();
        let own = trial.map(|trial| trial.constraints.as_slice()).unwrap_or_default();
        constraints.extend(own.iter().filter(|constraint| is_of(constraint, &kind)).cloned());
        let settings = PolicySettings { engines: EngineChoice::RegoOnly, ..PolicySettings::default() };
        let mut samples: Vec<(usize, &Object, &Inventory, bool)> = Vec::new();
        let (empty, usual) = (Inventory::empty(), usual());
        samples.extend(usual.iter().enumerate().map(|(number, object)| (number, object, &empty, false)));
        let of_suite = trial.map(|trial| trial.samples.as_slice()).unwrap_or_default();
        let of_suite = of_suite.iter().enumerate();
        samples.extend(of_suite.map(|(number, one)| (number, &one.object, &one.inventory, one.is_of_suite)));
        let variants = (MOST / (samples.len() * constraints.len()).max(1)).clamp(1, VARIANTS);
        for constraint in constraints {
            let sets = [&before, &after].map(|template| {
                PolicySet::from_resources_in([template.clone(), constraint.clone()], &settings)
            });
            let [(old_set, old_problems), (new_set, new_problems)] = sets;
            let is_broken = |problems: &[Error]| {
                problems.iter().find(|problem| problem.severity() == Severity::Error).cloned()
            };
            match (is_broken(&old_problems), is_broken(&new_problems)) {
                (None, None) => {}
                // Nothing is said by either.
                (Some(_), Some(_)) => continue,
                (None, Some(problem)) | (Some(problem), None) => {
                    return Err(differs(old, &format!("one of both cannot be used: {}", problem.message())));
                }
            }
            let judge = |object: &Object, inventory: &Inventory| {
                let world = World::new(inventory);
                let review = Review::from_object(object.clone());
                [&old_set, &new_set].map(|set| said(set, &review, &world))
            };
            for (number, object, inventory, is_of_suite) in &samples {
                let [was, is] = judge(object, inventory);
                if was != is {
                    return Err(differs(old, &format!("of {object}, {is:?} instead of {was:?}")));
                }
                if *is_of_suite {
                    cases.insert(*number);
                }
                let mut dice = Dice::new(*number as u64);
                let json = object.to_json();
                for _ in 0..variants {
                    let mut variant = json.clone();
                    dice.change(&mut variant);
                    let Ok(variant) = Object::from_json(&variant) else { continue };
                    let [was, is] = judge(&variant, inventory);
                    random += 1;
                    if was != is {
                        let shown = variant.to_json();
                        return Err(differs(old, &format!("of {shown}, {is:?} instead of {was:?}")));
                    }
                }
            }
        }
    }
    Ok(Proof { cases: cases.len(), random })
}

fn is_of(constraint: &Resource, kind: &Value) -> bool {
    matches!(constraint, Resource::Constraint(constraint) if *kind == constraint.key().kind.as_ref())
}

fn differs(document: &Document, how: &str) -> Error {
    let message = format!("in v1, the template would say something else, and is left as it is: {how}");
    Error::new(ErrorKind::Defect, message).at(document.location())
}

/// All that is said of an object. What an error says has places of the policy in it.
fn said(policies: &PolicySet, review: &Review, world: &World<'_>) -> Vec<String> {
    let outcome = policies.review(review, world, EnforcementPoint::CommandLine);
    let results = outcome.results.iter().flat_map(|result| match &result.verdict {
        Verdict::Pass => Vec::new(),
        Verdict::Violations(violations) | Verdict::Excepted { violations, .. } => violations
            .iter()
            .map(|violation| format!("{} {}", violation.message, violation.details()))
            .collect(),
        Verdict::Error(_) => vec!["an error".to_owned()],
    });
    results.collect()
}

/// Objects of kinds that most policies are about, for templates without a suite.
fn usual() -> Vec<Object> {
    let container = json!({"name": "c", "image": "r.example/c:1", "ports": [{"containerPort": 80, "hostPort": 80}],
        "securityContext": {"privileged": true, "runAsUser": 0, "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}},
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
        "volumeMounts": [{"name": "v", "mountPath": "/v"}], "env": [{"name": "A", "value": "b"}], "args": ["a"]});
    let spec = json!({"containers": [container.clone()], "initContainers": [container], "hostNetwork": true, "hostPID": false,
        "serviceAccountName": "default", "volumes": [{"name": "v", "hostPath": {"path": "/"}}], "nodeSelector": {"a": "b"},
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, "sysctls": [{"name": "a", "value": "1"}]}});
    let metadata = json!({"name": "a", "namespace": "n", "labels": {"app": "a", "owner": "me"}, "annotations": {"a": "b"}});
    let of = |api: &str, kind: &str, rest: Value| {
        let mut object = json!({"apiVersion": api, "kind": kind, "metadata": metadata});
        if let (Some(object), Value::Object(rest)) = (object.as_object_mut(), rest) {
            object.extend(rest);
        }
        object
    };
    let template = json!({"metadata": {"labels": {"app": "a"}}, "spec": spec});
    let all = [
        of("v1", "Pod", json!({"spec": spec})),
        of(
            "apps/v1",
            "Deployment",
            json!({"spec": {"replicas": 2, "selector": {"matchLabels": {"app": "a"}}, "template": template}}),
        ),
        of(
            "v1",
            "Service",
            json!({"spec": {"type": "NodePort", "externalIPs": ["1.2.3.4"], "ports": [{"port": 80}], "selector": {"app": "a"}}}),
        ),
        of(
            "networking.k8s.io/v1",
            "Ingress",
            json!({"spec": {"rules": [{"host": "*.example.com"}], "tls": [{"hosts": ["a"]}]}}),
        ),
        of(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            json!({"roleRef": {"kind": "ClusterRole", "name": "cluster-admin"}, "subjects": [{"kind": "User", "name": "a"}]}),
        ),
    ];
    all.iter().filter_map(|object| Object::from_json(object).ok()).collect()
}

/// Changes of objects that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % most.max(1)
    }

    /// One to three parts become something else, or go.
    fn change(&mut self, object: &mut Value) {
        for _ in 0..=self.below(3) {
            self.change_below(object, 0);
        }
    }

    fn change_below(&mut self, value: &mut Value, depth: usize) {
        let stays = depth > 0 && self.below(4) == 0;
        match value {
            Value::Object(fields) if !fields.is_empty() && !stays => {
                // What makes it an object stays.
                let keys: Vec<String> = fields
                    .keys()
                    .filter(|key| depth > 0 || !matches!(key.as_str(), "apiVersion" | "kind"))
                    .cloned()
                    .collect();
                let Some(key) = keys.get(self.below(keys.len())) else { return };
                if depth > 0 && self.below(5) == 0 {
                    fields.remove(key);
                } else if let Some(field) = fields.get_mut(key) {
                    self.change_below(field, depth + 1);
                }
            }
            Value::Array(items) if !items.is_empty() && !stays => {
                let index = self.below(items.len());
                match self.below(5) {
                    0 => drop(items.remove(index)),
                    1 => items.extend(items.get(index).cloned()),
                    _ => {
                        if let Some(item) = items.get_mut(index) {
                            self.change_below(item, depth + 1);
                        }
                    }
                }
            }
            value if depth > 0 => {
                let others = [
                    Value::Null,
                    json!(true),
                    json!(false),
                    json!(0),
                    json!(-1),
                    json!(""),
                    json!("a"),
                    json!("a/b:latest"),
                    json!([]),
                    json!({}),
                    json!(["a", 1]),
                    json!({"a": {"b": 1}}),
                ];
                *value = others.get(self.below(others.len())).cloned().unwrap_or_default();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(rego: &str) -> Document {
        let text = format!(
            "apiVersion: templates.gatekeeper.sh/v1\nkind: ConstraintTemplate\nmetadata: {{name: a}}\nspec:\n  crd: {{spec: {{names: {{kind: A}}}}}}\n  targets:\n  - target: admission.k8s.gatekeeper.sh\n    code:\n    - engine: Rego\n      source: {{version: v1, rego: {}}}\n",
            json!(rego)
        );
        Document::read_all("t.yaml", &text).0.remove(0)
    }

    fn proof(old: &str, new: &str) -> Result<Proof, Error> {
        prove(&[(template(old), template(new))], None)
    }

    /// What nobody writes by mistake is found, too.
    #[test]
    fn a_template_that_says_something_else_is_found_out() {
        let of = |condition: &str| {
            format!(
                "package a\nviolation contains {{\"msg\": \"m\"}} if {{ spec := input.review.object.spec; {condition} }}"
            )
        };
        let Proof { cases, random } =
            proof(&of("spec.hostNetwork == true"), &of("true == spec.hostNetwork")).unwrap();
        assert!(cases == 0 && random > 100, "{random}");
        for other in [
            "spec.hostNetwork != false",
            "spec.hostNetwork",
            "not spec.hostNetwork == false",
            "spec.hostPID == true",
            "spec.hostNetwork == true; spec.containers[_]",
        ] {
            let tried = proof(&of("spec.hostNetwork == true"), &of(other));
            let Err(error) = tried else { panic!("{other}: {tried:?}") };
            assert!(error.message().contains("would say something else"), "{other}: {error}");
        }
        assert!(proof(&of("true"), "package a\nviolation contains x if true").is_err());
    }

    #[test]
    fn random_objects_are_the_same_in_every_run() {
        let all = |seed| {
            let mut dice = Dice::new(seed);
            let usual = usual();
            let changed = usual.iter().map(|object| {
                let mut json = object.to_json();
                dice.change(&mut json);
                json.to_string()
            });
            changed.collect::<Vec<_>>()
        };
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        assert!(all(3).iter().all(|object| object.contains("\"kind\"")));
    }
}
