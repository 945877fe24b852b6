//! What an operator is given, judged by the policies of this project as its users do it, and against what
//! belongs to it.

mod chart;
mod image;
mod monitoring;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{Run, run_in, testdata};

/// The repository.
fn root() -> PathBuf {
    testdata().join("../..")
}

fn read(file: &str) -> String {
    let path = root().join(file);
    let text = std::fs::read_to_string(&path);
    assert!(text.is_ok(), "{}: {text:?}", path.display());
    text.unwrap()
}

/// The objects of a text.
fn objects_of(name: &str, text: &str) -> Vec<Value> {
    let (documents, errors) = portcullis::Document::read_all(name, text);
    assert!(errors.is_empty(), "{errors:?}");
    documents.iter().map(portcullis::Document::to_json).collect()
}

fn objects(file: &str) -> Vec<Value> {
    objects_of(file, &read(file))
}

/// Judges files by all policies of this project, and one that is not on by default.
fn judge(paths: &[&Path]) -> Run {
    let strict = "
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: ReadOnlyRootFilesystem
metadata: {name: deploy-read-only-root-filesystem}
";
    let directory = tempfile::tempdir().unwrap();
    let more = directory.path().join("more.yaml");
    std::fs::write(&more, strict).unwrap();
    let mut args = vec!["test", "--color", "never", "--policies", "policies", "--policies"];
    args.push(more.to_str().unwrap());
    args.extend(paths.iter().map(|path| path.to_str().unwrap()));
    run_in(&root(), &args)
}

/// A text with something wrong in it is seen to be wrong: what, what instead, and which policy says so.
const FAULTS: [(&str, &str, &str); 5] = [
    ("privileged: false", "privileged: true", "PrivilegedContainers"),
    ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "ReadOnlyRootFilesystem"),
    ("drop: [ALL]", "drop: [KILL]", "LinuxCapabilities"),
    ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "PrivilegeEscalation"),
    ("type: RuntimeDefault", "type: Unconfined", "SeccompProfiles"),
];

/// Nothing is found in a file, and every fault would be.
fn passes_our_policies(name: &str, text: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(name);
    std::fs::write(&file, text).unwrap();
    let run = judge(&[&file]).exits_with(0);
    assert!(run.stdout.starts_with("nothing found in "), "{}", run.stdout);
    let mut wrong = text.to_owned();
    for (good, bad, _) in FAULTS {
        assert!(text.contains(good), "{name}: {good}");
        wrong = wrong.replace(good, bad);
    }
    std::fs::write(&file, wrong).unwrap();
    let run = judge(&[&file]).exits_with(1);
    for (_, _, kind) in FAULTS {
        assert!(run.stdout.contains(&format!("[{kind}/")), "{kind}: {}", run.stdout);
    }
}

/// A program that is not part of this project: of an environment variable, or by its name. Without it the
/// test is skipped, and says so.
fn tool(variable: &str, usual: Option<&str>) -> Option<PathBuf> {
    if let Some(said) = std::env::var_os(variable) {
        return Some(PathBuf::from(said));
    }
    let is_there = |name: &&str| {
        let mut command = Command::new(name);
        command.arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        command.status().is_ok()
    };
    let found = usual.filter(is_there).map(PathBuf::from);
    if found.is_none() {
        let usual = usual.map_or(String::new(), |name| format!(", and there is no `{name}`"));
        portcullis_testkit::skipped(&format!("{variable} is not set to a program{usual}"));
    }
    found
}

/// What a program says.
fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `kubectl apply -k` would send.
fn kustomized(directory: &str) -> Option<Vec<Value>> {
    let kubectl = tool("PORTCULLIS_KUBECTL", Some("kubectl"))?;
    let text = output(Command::new(kubectl).arg("kustomize").arg(root().join("deploy").join(directory)));
    Some(objects_of("kustomized", &text))
}

#[test]
fn our_own_manifests_pass_our_own_policies() {
    let deploy = root().join("deploy");
    let parts = ["webhook", "audit", "optional", "mutation"].map(|part| deploy.join(part));
    let run = judge(&parts.each_ref().map(PathBuf::as_path)).exits_with(0);
    assert!(run.stdout.starts_with("nothing found in "), "{}", run.stdout);
    for file in ["deploy/webhook/deployment.yaml", "deploy/audit/cronjob.yaml"] {
        passes_our_policies("deployment.yaml", &read(file));
    }
}

#[test]
fn what_kustomize_makes_of_them_passes_as_well() {
    let made = tempfile::tempdir().unwrap();
    for directory in ["", "kube", "mutation", "beside-gatekeeper", "audit"] {
        let Some(objects) = kustomized(directory) else { return };
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        std::fs::write(made.path().join(format!("{directory}-.json")), list.to_string()).unwrap();
    }
    let run = judge(&[made.path()]).exits_with(0);
    assert!(run.stdout.starts_with("nothing found in "), "{}", run.stdout);
}

/// What names each other in several files.
#[test]
fn the_manifests_fit_each_other_and_the_program() {
    let directory = root().join("deploy/webhook");
    for entry in std::fs::read_dir(&directory).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let listed = read("deploy/webhook/kustomization.yaml").contains(&format!("- {name}\n"));
        assert_eq!(listed, name != "kustomization.yaml", "{name}");
    }
    let parse = |name: &str| objects(&format!("deploy/webhook/{name}"));
    let deployment = &parse("deployment.yaml")[0];
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&parse("service.yaml")[0]["spec"]["selector"], labels);
    assert_eq!(&parse("pod-disruption-budget.yaml")[0]["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(&parse("network-policy.yaml")[0]["spec"]["podSelector"]["matchLabels"], labels);
    let rbac = parse("rbac.yaml");
    let account = &deployment["spec"]["template"]["spec"]["serviceAccountName"];
    assert_eq!(&rbac[0]["metadata"]["name"], account);
    // Nothing is granted that writes, but status and the one configuration.
    for role in rbac.iter().filter(|object| object["kind"] == "ClusterRole") {
        // An aggregated role names no rules: applied, they would replace what the controller put there.
        assert_eq!(role["rules"].is_null(), !role["aggregationRule"].is_null(), "{role}");
        for rule in role["rules"].as_array().into_iter().flatten() {
            let writes = rule["verbs"]
                .as_array()
                .unwrap()
                .iter()
                .any(|verb| !["get", "list", "watch"].contains(&verb.as_str().unwrap()));
            let status = rule["resources"]
                .as_array()
                .unwrap()
                .iter()
                .all(|resource| resource.as_str().unwrap().ends_with("/status"));
            assert!(!writes || status || rule["resourceNames"] == json!(["portcullis"]), "{rule}");
        }
    }
    let configuration = &parse("webhook-configuration.yaml")[0];
    assert_eq!(configuration["metadata"]["name"], "portcullis");
    for webhook in configuration["webhooks"].as_array().unwrap() {
        let left_out = &webhook["namespaceSelector"]["matchExpressions"][0]["values"];
        assert_eq!(left_out, &json!(["kube-system", "portcullis-system"]));
        let service = &webhook["clientConfig"]["service"];
        assert_eq!(
            (&service["name"], &service["namespace"]),
            (&"portcullis-webhook".into(), &"portcullis-system".into())
        );
    }
}

/// Who is asked to mutate is who judges, about less, and never about what no mutator may change.
#[test]
fn the_mutating_configuration_is_like_the_validating_one_and_asks_about_less() {
    let mutating = &objects("deploy/optional/mutating-webhook-configuration.yaml")[0];
    let validating = &objects("deploy/webhook/webhook-configuration.yaml")[0];
    assert_eq!(mutating["kind"], "MutatingWebhookConfiguration");
    assert_eq!(mutating["metadata"], validating["metadata"]);
    let (mutates, judges) = (&mutating["webhooks"][0], &validating["webhooks"][0]);
    assert_eq!(mutating["webhooks"].as_array().unwrap().len(), 1);
    for key in ["namespaceSelector", "admissionReviewVersions", "sideEffects", "failurePolicy", "matchPolicy"]
    {
        assert_eq!(mutates[key], judges[key], "{key}");
    }
    let (to, from) = (&mutates["clientConfig"]["service"], &judges["clientConfig"]["service"]);
    assert_eq!((&to["name"], &to["namespace"]), (&from["name"], &from["namespace"]));
    assert_eq!(to["path"], "/v1/mutate");
    let names = |rule: &Value, key: &str| -> Vec<String> {
        let names = rule[key].as_array().unwrap().iter();
        names.map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let judged = judges["rules"].as_array().unwrap();
    for rule in mutates["rules"].as_array().unwrap() {
        assert_eq!(names(rule, "operations"), ["CREATE", "UPDATE"]);
        let (groups, resources) = (names(rule, "apiGroups"), names(rule, "resources"));
        assert!(groups.iter().all(|group| group != "*" && !group.ends_with("gatekeeper.sh")), "{rule}");
        assert!(resources.iter().all(|resource| !resource.contains('/')), "{rule}");
        // What is mutated is judged as well.
        for group in &groups {
            for resource in &resources {
                let covers = |rule: &&Value| {
                    let resources = names(rule, "resources");
                    names(rule, "apiGroups").contains(group)
                        && (resources.contains(resource) || resources.contains(&"*".to_owned()))
                };
                assert!(judged.iter().any(|rule| covers(&rule)), "{resource}.{group}");
            }
        }
    }
}

/// A configuration that is applied before a webhook is ready lets no Namespace in, and it takes a Namespace
/// to have a webhook.
#[test]
fn nothing_waits_for_a_webhook_that_is_not_there() {
    let Some(objects) = kustomized("") else { return };
    let is_asked = |object: &Value| object["kind"] == "ValidatingWebhookConfiguration";
    assert!(!objects.iter().any(is_asked), "it is applied last, by itself");
    let Some(objects) = kustomized("kube") else { return };
    let configuration =
        objects.iter().find(|object| object["kind"] == "ValidatingWebhookConfiguration").unwrap();
    assert!(configuration["webhooks"].is_null(), "{configuration}");
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let args = pod["containers"][0]["args"].as_array().unwrap();
    assert!(
        args.contains(&json!("--kube")) && args.contains(&json!("--manage-webhook-configuration")),
        "{args:?}"
    );
    assert_eq!(pod["automountServiceAccountToken"], true);
    assert!(pod["volumes"].as_array().is_none_or(Vec::is_empty), "{pod}");
}

/// Both configurations are empty, and the webhook is told to fill them in and to mutate.
#[test]
fn the_form_that_mutates_is_the_usual_one_and_more() {
    let (Some(objects), Some(usual)) = (kustomized("mutation"), kustomized("kube")) else { return };
    let find = |objects: &[Value], kind: &str| {
        let found = objects.iter().find(|object| object["kind"] == kind).cloned();
        found.unwrap_or_default()
    };
    let mutating = find(&objects, "MutatingWebhookConfiguration");
    assert!(mutating["metadata"]["name"] == "portcullis" && mutating["webhooks"].is_null(), "{mutating}");
    let (mut deployment, before) = (find(&objects, "Deployment"), find(&usual, "Deployment"));
    let args = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array_mut().unwrap();
    assert_eq!(args.pop(), Some(json!("--mutate")));
    assert_eq!(deployment, before);
    let names = |objects: &[Value]| -> std::collections::BTreeSet<String> {
        let name = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
        objects.iter().map(name).collect()
    };
    assert_eq!(
        names(&objects).difference(&names(&usual)).collect::<Vec<_>>(),
        [
            "\"ClusterRole\" \"portcullis-webhook-mutation\"",
            "\"ClusterRoleBinding\" \"portcullis-webhook-mutation\"",
            "\"MutatingWebhookConfiguration\" \"portcullis\"",
        ]
    );
}

/// What Gatekeeper does beside it is left to Gatekeeper.
#[test]
fn beside_gatekeeper_it_writes_neither_statuses_nor_crds() {
    let Some(objects) = kustomized("beside-gatekeeper") else { return };
    let names = objects.iter().map(|object| object["metadata"]["name"].as_str().unwrap());
    assert!(
        names.clone().any(|name| name == "portcullis-webhook")
            && names.clone().all(|name| !name.contains("crds"))
    );
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let args = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
    let line: Vec<&str> =
        std::iter::once("portcullis-webhook").chain(args.iter().map(|arg| arg.as_str().unwrap())).collect();
    let webhook = <portcullis_webhook::args::Args as clap::CommandFactory>::command();
    let parsed = webhook.try_get_matches_from(&line);
    assert!(parsed.is_ok(), "{line:?}: {}", parsed.unwrap_err());
    let parsed = parsed.unwrap();
    assert_eq!((parsed.get_flag("write_status"), parsed.get_flag("apply_crds")), (false, false));
    assert!(parsed.contains_id("webhook_namespace_selector"));
    // What is generated is judged as Gatekeeper's mutators leave it, and nobody asks for patches.
    let name: Option<&String> = parsed.get_one("mutating_webhook_configuration");
    assert_eq!((parsed.get_flag("mutate"), name.map(String::as_str)), (true, Some("")));
}
