//! The Helm chart. What it makes is checked in (`deploy/chart/rendered`), so that what changes in it is seen,
//! and judged without Helm; with `PORTCULLIS_HELM`, a program that is called as `helm template`, it is made
//! again and compared. `PORTCULLIS_HELM=… INSTA_UPDATE=always` writes it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{objects, output, passes_our_policies, read, root, tool};

/// What is rendered of it: where that is, and with which arguments.
const FORMS: [(&str, &[&str]); 3] = [
    ("rendered/kube.yaml", &[]),
    ("rendered/files.yaml", &["--values", "ci/files-values.yaml"]),
    ("rendered/mutation.yaml", &["--set", "mutation.enabled=true"]),
];

fn chart() -> PathBuf {
    root().join("deploy/chart")
}

/// A release called as the manifests beside the chart are, in their namespace.
fn template(helm: &PathBuf, args: &[&str]) -> Command {
    let mut command = Command::new(helm);
    command.current_dir(chart()).args(["template", "portcullis", ".", "--namespace", "portcullis-system"]);
    command.args(args).stdin(Stdio::null());
    command
}

#[test]
fn what_is_checked_in_is_what_helm_makes() {
    let Some(helm) = tool("PORTCULLIS_HELM", None) else { return };
    for (file, args) in FORMS {
        let made = output(&mut template(&helm, args));
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(chart().join(file), &made).unwrap();
        }
        assert_eq!(made, read(&format!("deploy/chart/{file}")), "{file}: make it again, see above");
    }
}

#[test]
fn both_forms_pass_our_own_policies() {
    for (file, _) in FORMS {
        passes_our_policies("rendered.yaml", &read(&format!("deploy/chart/{file}")));
    }
}

/// What Helm adds, which manifests without it have not.
fn plain(mut value: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for key in [
                    "app.kubernetes.io/instance",
                    "app.kubernetes.io/version",
                    "app.kubernetes.io/managed-by",
                    "helm.sh/chart",
                ] {
                    fields.remove(key);
                }
                // Kustomize leaves them behind.
                for key in ["annotations", "volumeMounts", "volumes"] {
                    let is_empty = |value: &Value| *value == json!([]) || *value == json!({});
                    if fields.get(key).is_some_and(is_empty) {
                        fields.remove(key);
                    }
                }
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut value);
    value
}

fn find(objects: &[Value], kind: &str, name: &str) -> Value {
    let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    let found = objects.iter().find(is_it);
    assert!(found.is_some(), "there is no {kind} {name}");
    plain(found.unwrap().clone())
}

/// What is granted to whom, one right each: roles may be cut differently.
fn rights(objects: &[Value], account: &str) -> BTreeSet<String> {
    let mut rights = BTreeSet::new();
    let bindings = objects.iter().filter(|object| {
        let is_one =
            object["kind"].as_str().is_some_and(|kind| kind.ends_with("Binding") && kind.contains("Role"));
        is_one && object["subjects"][0]["name"] == account
    });
    for binding in bindings {
        let (kind, name) = (&binding["roleRef"]["kind"], &binding["roleRef"]["name"]);
        let role =
            objects.iter().find(|role| role["kind"] == *kind && role["metadata"]["name"] == *name).unwrap();
        let selector = &role["aggregationRule"]["clusterRoleSelectors"][0]["matchLabels"];
        let parts = objects.iter().filter(|part| {
            let labels = selector.as_object().into_iter().flatten();
            !selector.is_null()
                && part["kind"] == "ClusterRole"
                && labels.clone().all(|(key, value)| part["metadata"]["labels"][key] == *value)
        });
        let rules = std::iter::once(role)
            .chain(parts)
            .flat_map(|role| role["rules"].as_array().into_iter().flatten());
        for rule in rules {
            let list = |key: &str| rule[key].as_array().unwrap().clone();
            for (group, resource, verb) in list("apiGroups").iter().flat_map(|group| {
                list("resources").into_iter().flat_map(move |resource| {
                    list("verbs").into_iter().map(move |verb| (group.clone(), resource.clone(), verb))
                })
            }) {
                let right = json!([binding["kind"], verb, group, resource, rule["resourceNames"]]);
                rights.insert(right.to_string());
            }
        }
    }
    rights
}

/// Whichever way it is installed, it is the same.
#[test]
fn both_forms_are_in_substance_the_manifests() {
    let webhook = |file: &str| plain(objects(&format!("deploy/webhook/{file}"))[0].clone());
    for (file, _) in FORMS {
        let rendered = objects(&format!("deploy/chart/{file}"));
        for (kind, manifest) in
            [("Service", "service.yaml"), ("PodDisruptionBudget", "pod-disruption-budget.yaml")]
        {
            assert_eq!(find(&rendered, kind, "portcullis-webhook"), webhook(manifest), "{file}");
        }
    }

    let files = objects("deploy/chart/rendered/files.yaml");
    let mut deployment = find(&files, "Deployment", "portcullis-webhook");
    deployment["spec"]["template"]["spec"]["containers"][0]
        .as_object_mut()
        .unwrap()
        .remove("imagePullPolicy");
    assert_eq!(deployment, webhook("deployment.yaml"));
    assert_eq!(find(&files, "NetworkPolicy", "portcullis-webhook"), webhook("network-policy.yaml"));
    assert_eq!(
        find(&files, "ValidatingWebhookConfiguration", "portcullis"),
        webhook("webhook-configuration.yaml")
    );
    assert!(rights(&files, "portcullis-webhook").is_empty(), "it serves files");

    let kube = objects("deploy/chart/rendered/kube.yaml");
    let crds = objects("deploy/kube/constraint-crds.yaml");
    let roles = [objects("deploy/webhook/rbac.yaml"), crds.clone()].concat();
    assert_eq!(rights(&kube, "portcullis-webhook"), rights(&roles, "portcullis-webhook"));
    // With mutation, that and no more.
    let mutation = objects("deploy/chart/rendered/mutation.yaml");
    let roles = [roles, objects("deploy/mutation/rbac.yaml")].concat();
    assert_eq!(rights(&mutation, "portcullis-webhook"), rights(&roles, "portcullis-webhook"));
    assert_eq!(
        find(&mutation, "MutatingWebhookConfiguration", "portcullis"),
        plain(objects("deploy/mutation/webhook-configuration.yaml")[0].clone())
    );
    let args = |objects: &[Value]| {
        let deployment = find(objects, "Deployment", "portcullis-webhook");
        let args = deployment["spec"]["template"]["spec"]["containers"][0]["args"].clone();
        args.as_array().unwrap().iter().map(ToString::to_string).collect::<BTreeSet<_>>()
    };
    assert_eq!(args(&mutation).difference(&args(&kube)).collect::<Vec<_>>(), ["\"--mutate\""]);
    for kind in ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"] {
        assert_eq!(
            find(&kube, kind, "portcullis-webhook-crds"),
            find(&crds, kind, "portcullis-webhook-crds")
        );
    }
    let audit = objects("deploy/audit/rbac.yaml");
    let is_report = |right: &String| right.contains("wgpolicyk8s.io") || right.contains("openreports.io");
    let without_reports: BTreeSet<_> =
        rights(&audit, "portcullis-audit").into_iter().filter(|right| !is_report(right)).collect();
    assert_eq!(rights(&kube, "portcullis-audit"), without_reports);
    let mut deployment = find(&kube, "Deployment", "portcullis-audit");
    deployment["spec"]["template"]["spec"]["containers"][0]
        .as_object_mut()
        .unwrap()
        .remove("imagePullPolicy");
    let mut manifest = plain(objects("deploy/audit/deployment.yaml")[0].clone());
    for deployment in [&mut deployment, &mut manifest] {
        deployment["spec"]["template"]["spec"]["containers"][0]["args"]
            .as_array_mut()
            .unwrap()
            .sort_by_key(Value::to_string);
    }
    assert_eq!(deployment, manifest);
    let Some(overlay) = super::kustomized("kube") else { return };
    for (kind, name) in [
        ("Deployment", "portcullis-webhook"),
        ("NetworkPolicy", "portcullis-webhook"),
        ("ValidatingWebhookConfiguration", "portcullis"),
    ] {
        let mut object = find(&kube, kind, name);
        if kind == "Deployment" {
            object["spec"]["template"]["spec"]["containers"][0]
                .as_object_mut()
                .unwrap()
                .remove("imagePullPolicy");
        }
        let other = find(&overlay, kind, name);
        assert_eq!(object, other);
    }
}

/// Every value is in the schema, and the schema names no others: a value that is misspelt is an error, none
/// is ignored.
#[test]
fn the_schema_is_that_of_the_values() {
    fn compare(at: &str, values: &Value, schema: &Value) {
        let Some(properties) = schema["properties"].as_object() else { return };
        assert_eq!(schema["additionalProperties"], false, "{at}");
        let described: BTreeSet<&str> =
            properties.keys().map(String::as_str).filter(|key| *key != "global").collect();
        let there: BTreeSet<&str> = values.as_object().unwrap().keys().map(String::as_str).collect();
        // What is given as a whole has no parts by default.
        if !there.is_empty() {
            assert_eq!(there, described, "{at}");
        }
        for (key, schema) in properties.iter().filter(|(key, _)| there.contains(key.as_str())) {
            compare(&format!("{at}.{key}"), &values[key], schema);
        }
    }
    let schema: Value = serde_json::from_str(&read("deploy/chart/values.schema.json")).unwrap();
    let values: Value = serde_yaml::from_str(&read("deploy/chart/values.yaml")).unwrap();
    compare("", &values, &schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&values));
    let files: Value = serde_yaml::from_str(&read("deploy/chart/ci/files-values.yaml")).unwrap();
    assert!(validator.is_valid(&files));
    for wrong in [
        json!({"mode": "cluster"}),
        json!({"webhook": {"replica": 2}}),
        json!({"syncedKinds": [{"kind": "Pod"}]}),
    ] {
        assert!(!validator.is_valid(&wrong), "{wrong}");
    }
}

/// Other values than the usual ones: what is refused says why, and the rest is made.
#[test]
fn values_that_do_not_fit_together_are_refused() {
    let Some(helm) = tool("PORTCULLIS_HELM", None) else { return };
    for (values, said) in [
        ("mode=files", "set files.policies (file name: text) or files.configMap"),
        ("files.configMap=a", "files.policies and files.configMap are for mode: files"),
        ("mode=files,files.configMap=a,certificate.source=self-signed", "cannot tell API servers its own CA"),
        (
            "mode=files,files.configMap=a,webhookConfiguration.managedBy=webhook",
            "has no rights in the cluster",
        ),
        ("certificate.source=secret", "set certificate.secretName"),
        ("certificate.source=secret,certificate.secretName=s", "set certificate.caBundle"),
        ("constraintCrds.make=named", "name the kinds of all constraints"),
        ("webhooks.replicas=2", "webhooks"),
    ] {
        let output = template(&helm, &["--set", values]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(said), "{values}: {error}");
    }
    let old = template(&helm, &["--kube-version", "1.29.0"]).output().unwrap();
    let error = String::from_utf8_lossy(&old.stderr);
    assert!(!old.status.success() && error.contains("needs ValidatingAdmissionPolicies"), "{error}");
    let all = tempfile::tempdir().unwrap();
    for (number, (values, made)) in [
        ("webhook.replicas=1", "replicas: 1\n"),
        ("audit.form=cronjob,audit.reports={openreports}", "kind: CronJob"),
        ("audit.form=none,runAs=null", "automountServiceAccountToken: true"),
        ("constraintCrds.make=named,constraintCrds.kinds={K8sA}", "- k8sa.constraints.gatekeeper.sh\n"),
        ("fullnameOverride=guard", "--own-identity=system:serviceaccount:portcullis-system:guard-webhook\n"),
        ("webhookConfiguration.exemptNamespaces={a,b}", "notin (a,b)\n"),
        (
            "webhookConfiguration.managedBy=chart,webhookConfiguration.failurePolicy=Fail",
            "failurePolicy: Fail\n",
        ),
        ("certificate.source=cert-manager", "--webhook-ca-file=/certificate/ca.crt\n"),
        ("monitoring.podMonitor.enabled=true,monitoring.prometheusRule.enabled=true", "kind: PodMonitor"),
        ("monitoring.dashboard.enabled=true", "grafana_dashboard: \"1\""),
        ("mutation.enabled=true,mutation.annotations=true,mutation.log=true", "- --log-mutations\n"),
        ("mutation.enabled=true,webhookConfiguration.managedBy=chart", "path: /v1/mutate\n"),
        ("mutation.enabled=true,fullnameOverride=guard", "--mutating-webhook-configuration=guard\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let text = output(&mut template(&helm, &["--set", values]));
        assert!(text.contains(made), "{values}: {text}");
        std::fs::write(all.path().join(format!("{number}.yaml")), text).unwrap();
    }
    let run = super::judge(&[all.path()]);
    assert!(run.stdout.starts_with("nothing found in "), "{}", run.stdout);
}
