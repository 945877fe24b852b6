//! The manifests of the webhook, judged by the policies of this project as its users do it.

use crate::{run_in, testdata};

#[test]
fn our_own_manifests_pass_our_own_policies() {
    let root = testdata().join("../..");
    let strict = "
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: ReadOnlyRootFilesystem
metadata: {name: deploy-read-only-root-filesystem}
";
    let directory = tempfile::tempdir().unwrap();
    let more = directory.path().join("more.yaml");
    std::fs::write(&more, strict).unwrap();
    let deploy = directory.path().join("deploy");
    for part in ["audit", "optional"] {
        std::fs::create_dir_all(deploy.join(part)).unwrap();
    }
    let judge = || {
        let args = ["test", "--policies", "policies", "--policies", more.to_str().unwrap()];
        let args = [&args[..], &[deploy.to_str().unwrap(), "--color", "never"]].concat();
        run_in(&root, &args)
    };
    for part in ["", "audit", "optional"] {
        for file in std::fs::read_dir(root.join("deploy").join(part)).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                std::fs::copy(file.path(), deploy.join(part).join(file.file_name())).unwrap();
            }
        }
    }
    let run = judge().exits_with(0);
    assert!(run.stdout.starts_with("nothing found in "), "{}", run.stdout);

    // What would be wrong is seen.
    let deployment = std::fs::read_to_string(deploy.join("deployment.yaml")).unwrap();
    for (good, bad, kind) in [
        ("privileged: false", "privileged: true", "PrivilegedContainers"),
        ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "ReadOnlyRootFilesystem"),
        ("drop: [ALL]", "drop: [KILL]", "LinuxCapabilities"),
        ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "PrivilegeEscalation"),
        ("type: RuntimeDefault", "type: Unconfined", "SeccompProfiles"),
    ] {
        assert!(deployment.contains(good));
        std::fs::write(deploy.join("deployment.yaml"), deployment.replace(good, bad)).unwrap();
        let run = judge().exits_with(1);
        assert!(run.stdout.contains(&format!("[{kind}/")), "{}", run.stdout);
    }
}

/// What names each other in several files.
#[test]
fn the_manifests_fit_each_other_and_the_program() {
    let deploy = testdata().join("../../deploy");
    let read = |name: &str| std::fs::read_to_string(deploy.join(name)).unwrap();
    for entry in std::fs::read_dir(&deploy).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            continue;
        }
        let name = entry.file_name().into_string().unwrap();
        let listed = read("kustomization.yaml").contains(&format!("- {name}\n"));
        assert_eq!(
            listed,
            entry.path().extension().is_some_and(|extension| extension == "yaml")
                && name != "kustomization.yaml",
            "{name}"
        );
    }
    let parse = |name: &str| -> Vec<serde_json::Value> {
        let (documents, errors) = portcullis::Document::read_all(name, &read(name));
        assert!(errors.is_empty(), "{errors:?}");
        documents.iter().map(portcullis::Document::to_json).collect()
    };
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
        for rule in role["rules"].as_array().unwrap() {
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
            assert!(
                !writes || status || rule["resourceNames"] == serde_json::json!(["portcullis"]),
                "{rule}"
            );
        }
    }
    let configuration = &parse("webhook-configuration.yaml")[0];
    assert_eq!(configuration["metadata"]["name"], "portcullis");
    for webhook in configuration["webhooks"].as_array().unwrap() {
        let left_out = &webhook["namespaceSelector"]["matchExpressions"][0]["values"];
        assert_eq!(left_out, &serde_json::json!(["kube-system", "portcullis-system"]));
        let service = &webhook["clientConfig"]["service"];
        assert_eq!(
            (&service["name"], &service["namespace"]),
            (&"portcullis-webhook".into(), &"portcullis-system".into())
        );
    }
}
