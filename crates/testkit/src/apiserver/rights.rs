//! Who may do what: the roles of manifests, as API servers with RBAC read them.

use serde::Deserialize as _;
use serde_json::Value;

/// What a service account may do by the manifests that name it, and what of that it has done.
///
/// Every right is a verb on a resource, for one name if the rule has names: that each was used is least
/// privilege.
#[derive(Clone, Debug)]
pub struct Rights {
    user: String,
    granted: Vec<Right>,
    pub(super) refused: Vec<String>,
}

#[derive(Clone, Debug)]
struct Right {
    /// The role that grants it.
    role: String,
    /// The namespace in which it holds; everywhere if there is none.
    namespace: Option<String>,
    verb: String,
    group: String,
    /// `pods`, `pods/status`, `*` or `*/status`.
    resource: String,
    name: Option<String>,
    used: bool,
}

/// What somebody wants to do.
pub(super) struct Wish<'a> {
    pub(super) verb: &'a str,
    pub(super) group: &'a str,
    /// With the part of it: `pods/status`.
    pub(super) resource: &'a str,
    /// Empty if all are meant, or there is none.
    pub(super) namespace: &'a str,
    /// Empty if it is not about one object.
    pub(super) name: &'a str,
}

impl Rights {
    /// Of the service account in a namespace, by all documents of some manifests: bindings that name it, and
    /// the roles that they name. Aggregated roles have the rules of the roles with their labels.
    pub fn of(manifests: &[String], namespace: &str, account: &str) -> Self {
        let mut objects = Vec::new();
        for text in manifests {
            for document in serde_yaml::Deserializer::from_str(text) {
                objects.push(Value::deserialize(document).expect("a manifest in YAML"));
            }
        }
        let subject = serde_json::json!({"kind": "ServiceAccount", "name": account, "namespace": namespace});
        let mut granted = Vec::new();
        for binding in &objects {
            let everywhere = match text(&binding["kind"]) {
                "ClusterRoleBinding" => true,
                "RoleBinding" => false,
                _ => continue,
            };
            if !list(&binding["subjects"]).contains(&subject) {
                continue;
            }
            let within = (!everywhere).then(|| text(&binding["metadata"]["namespace"]).to_owned());
            let (kind, name) = (&binding["roleRef"]["kind"], &binding["roleRef"]["name"]);
            let role = objects.iter().find(|role| {
                role["kind"] == *kind
                    && role["metadata"]["name"] == *name
                    && (kind == "ClusterRole"
                        || role["metadata"]["namespace"] == binding["metadata"]["namespace"])
            });
            let role = role.unwrap_or_else(|| panic!("there is no {kind} {name}"));
            let labels: Vec<&Value> = list(&role["aggregationRule"]["clusterRoleSelectors"])
                .iter()
                .map(|selector| &selector["matchLabels"])
                .collect();
            let parts = objects.iter().filter(|part| {
                let has = |labels: &Value| {
                    let labels = labels.as_object().expect("labels");
                    labels.iter().all(|(key, value)| part["metadata"]["labels"][key] == *value)
                };
                part["kind"] == "ClusterRole" && labels.iter().any(|labels| has(labels))
            });
            for role in std::iter::once(role).chain(parts) {
                add(&mut granted, role, within.as_ref());
            }
        }
        let user = format!("system:serviceaccount:{namespace}:{account}");
        Self { user, granted, refused: Vec::new() }
    }

    /// Whether something is allowed; if not, what an API server says to it.
    pub(super) fn allow(&mut self, wish: &Wish<'_>) -> Result<(), String> {
        let fits = |right: &Right| {
            let resource = match right.resource.strip_prefix('*') {
                Some("") => true,
                Some(part) => wish.resource.ends_with(part),
                None => right.resource == wish.resource,
            };
            (right.verb == "*" || right.verb == wish.verb)
                && (right.group == "*" || right.group == wish.group)
                && resource
                && right.namespace.as_ref().is_none_or(|namespace| namespace == wish.namespace)
                && right.name.as_ref().is_none_or(|name| name == wish.name)
        };
        if let Some(right) = self.granted.iter_mut().find(|right| fits(right)) {
            right.used = true;
            return Ok(());
        }
        let place = match wish.namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace \"{namespace}\""),
        };
        let Wish { verb, group, resource, name, .. } = wish;
        let message = format!(
            "{resource} \"{name}\" is forbidden: User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {place}",
            self.user
        );
        self.refused.push(message.clone());
        Err(message)
    }

    /// What is granted and was never used, in the order of the manifests: `ROLE: VERB RESOURCE.GROUP NAME`.
    pub(super) fn unused(&self) -> Vec<String> {
        let unused = self.granted.iter().filter(|right| !right.used);
        let show = |right: &Right| {
            let Right { role, verb, group, resource, .. } = right;
            let name = right.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            format!("{role}: {verb} {resource}.{group}{name}")
        };
        unused.map(show).collect()
    }
}

/// The rights of a role, one by one.
fn add(rights: &mut Vec<Right>, role: &Value, namespace: Option<&String>) {
    for rule in list(&role["rules"]) {
        let texts = |key: &str| list(&rule[key]).iter().map(|value| text(value).to_owned());
        let names: Vec<_> = texts("resourceNames").map(Some).collect();
        let names = if names.is_empty() { vec![None] } else { names };
        for ((group, resource), verb) in texts("apiGroups")
            .flat_map(|group| texts("resources").map(move |resource| (group.clone(), resource)))
            .flat_map(|of| texts("verbs").map(move |verb| (of.clone(), verb)))
        {
            rights.extend(names.iter().map(|name| Right {
                role: text(&role["metadata"]["name"]).to_owned(),
                namespace: namespace.cloned(),
                verb: verb.clone(),
                group: group.clone(),
                resource: resource.clone(),
                name: name.clone(),
                used: false,
            }));
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: &str = r#"
kind: ClusterRole
metadata: {name: sum}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {part: "yes"}}]}
rules: []
---
kind: ClusterRole
metadata: {name: part, labels: {part: "yes"}}
rules:
- {apiGroups: [""], resources: [pods], verbs: [list]}
- {apiGroups: [x.example.com], resources: ["*/status"], verbs: [patch]}
- {apiGroups: [x.example.com], resources: [things], resourceNames: [a], verbs: [get]}
---
kind: ClusterRole
metadata: {name: other, labels: {part: "no"}}
rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]
---
kind: Role
metadata: {name: sum, namespace: home}
rules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]
---
kind: ClusterRoleBinding
metadata: {name: one}
roleRef: {kind: ClusterRole, name: sum}
subjects: [{kind: ServiceAccount, name: me, namespace: home}]
---
kind: RoleBinding
metadata: {name: two, namespace: home}
roleRef: {kind: Role, name: sum}
subjects: [{kind: ServiceAccount, name: me, namespace: home}]
---
kind: ClusterRoleBinding
metadata: {name: three}
roleRef: {kind: ClusterRole, name: other}
subjects: [{kind: ServiceAccount, name: me, namespace: elsewhere}]
"#;

    #[test]
    fn rights_end_at_verbs_names_parts_namespaces_and_subjects() {
        let mut rights = Rights::of(&[ROLES.to_owned()], "home", "me");
        for (verb, group, resource, namespace, name, allowed) in [
            ("list", "", "pods", "anywhere", "", true),
            ("get", "", "pods", "anywhere", "a", false),
            ("list", "x.example.com", "pods", "", "", false),
            ("patch", "x.example.com", "things/status", "", "b", true),
            ("patch", "x.example.com", "things", "", "b", false),
            ("get", "x.example.com", "things", "", "b", false),
            ("get", "", "secrets", "home", "b", true),
            ("get", "", "secrets", "away", "b", false),
        ] {
            let said = rights.allow(&Wish { verb, group, resource, namespace, name });
            assert_eq!(said.is_ok(), allowed, "{verb} {resource}.{group} {namespace}/{name}");
        }
        assert_eq!(rights.refused.len(), 5);
        assert_eq!(rights.unused(), ["part: get things.x.example.com a"]);
        let named =
            Wish { verb: "get", group: "x.example.com", resource: "things", namespace: "", name: "a" };
        assert_eq!((rights.allow(&named), rights.unused()), (Ok(()), Vec::new()));
    }
}
