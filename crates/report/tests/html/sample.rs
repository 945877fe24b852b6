//! Audits made for the tests: a small one as they are in life, and extremes.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use portcullis::{ConstraintKey, EnforcementAction, ErrorKind};
use portcullis_report::{
    Action, AuditReport, Completion, Coverage, Details, Explanation, Explanations, Finding, Form,
    KindCoverage, ObjectName, Objects, Origin, Place, Policy, PolicySeverity, Problem, StatusLimits, Tally,
    Template, Timestamp, Totals, Verdict,
};

pub const DENY: EnforcementAction = EnforcementAction::Deny;
pub const WARN: EnforcementAction = EnforcementAction::Warn;
pub const DRYRUN: EnforcementAction = EnforcementAction::Dryrun;

/// An audit whose totals follow from its findings and from the passes it is given.
pub struct Audit {
    pub completion: Completion,
    pub policies: Vec<Policy>,
    pub findings: Vec<Finding>,
    /// Index of the policy, namespace, how many passes.
    pub passes: Vec<(usize, String, u64)>,
    pub kinds: Vec<KindCoverage>,
    pub unread: u64,
    pub problems: Vec<Problem>,
    pub explanations: Option<Explanations>,
}

impl Audit {
    pub fn empty() -> Self {
        Self {
            completion: Completion::Complete,
            policies: Vec::new(),
            findings: Vec::new(),
            passes: Vec::new(),
            kinds: Vec::new(),
            unread: 0,
            problems: Vec::new(),
            explanations: None,
        }
    }

    pub fn html(&self) -> String {
        self.page(self.totals()).unwrap()
    }

    /// The page with totals that may be wrong.
    pub fn page(&self, totals: Totals) -> io::Result<String> {
        let report = AuditReport {
            started: Timestamp::from_seconds(1_795_269_019),
            ended: Timestamp::from_seconds(1_795_269_061),
            policy_digest: "9f2c41d07be85a3610cd47ae92b1f8e3d4570a6cbb21e98f7d6304c5a1e2b3f4".to_owned(),
            completion: self.completion.clone(),
            policies: self.policies.clone(),
            findings: Box::new(self.findings.clone()),
            coverage: Coverage { kinds: self.kinds.clone(), unread_objects: self.unread, bytes: 1 << 20 },
            totals,
            problems: self.problems.iter().cloned().collect(),
            status_limits: StatusLimits::default(),
            explanations: self.explanations,
        };
        let mut page = Vec::new();
        Form::Html.write(&report, &mut page)?;
        Ok(String::from_utf8(page).unwrap())
    }

    /// Each finding counts as a judgement of its own.
    pub fn totals(&self) -> Totals {
        let mut totals =
            Totals { by_policy: vec![Tally::default(); self.policies.len()], ..Totals::default() };
        let found = self.findings.iter().map(|finding| {
            let tally = match finding.verdict {
                Verdict::Violation => Tally { violating: 1, violations: 1, ..Tally::default() },
                Verdict::Unknown => Tally { unknown: 1, ..Tally::default() },
            };
            (finding.policy, home(finding), tally)
        });
        let passed = self.passes.iter().map(|(policy, namespace, passes)| {
            (*policy, namespace.clone(), Tally { passes: *passes, ..Tally::default() })
        });
        for (policy, namespace, tally) in found.chain(passed) {
            totals.all.add(tally);
            totals.by_policy[policy].add(tally);
            totals.by_namespace.entry(namespace.into()).or_default().add(tally);
            for action in &self.policies[policy].actions {
                totals.by_action.entry(*action).or_default().add(tally);
            }
        }
        totals
    }
}

/// The namespace that a finding counts for.
pub fn home(finding: &Finding) -> String {
    let object = &finding.object;
    if &*object.kind == "Namespace" { object.name.to_string() } else { object.namespace.to_string() }
}

pub fn file(file: &str, line: u32) -> Place {
    Place::File { file: file.into(), line, column: 7, end_column: 20 }
}

pub fn policy(
    kind: &str,
    title: Option<&str>,
    action: EnforcementAction,
    severity: Option<PolicySeverity>,
) -> Policy {
    Policy {
        key: ConstraintKey { kind: kind.into(), name: format!("all-{}", kind.to_lowercase()).into() },
        title: title.map(str::to_owned),
        description: title.map(|title| format!("{title}: what breaks this lets a workload out of its bounds.")),
        severity,
        category: None,
        link: None,
        actions: vec![Action(action)],
        declared: action.as_str(),
        annotations: BTreeMap::new(),
        place: file("policies/constraints.yaml", 12),
        template: Template {
            name: kind.to_lowercase(),
            rego: format!(
                "package {}\n\nviolation[{{\"msg\": msg}}] {{\n\tcontainer := input.review.object.spec.containers[_]\n\tnot container.safe\n\tmsg := sprintf(\"container %q is not safe\", [container.name])\n}}\n",
                kind.to_lowercase()
            )
            .into(),
            place: file("policies/templates.yaml", 31),
        },
        origin: Origin::Rule("data.a.a".to_owned()),
    }
}

pub fn violation(
    policy: usize,
    action: EnforcementAction,
    kind: &str,
    namespace: &str,
    name: &str,
    message: &str,
) -> Finding {
    Finding {
        object: ObjectName {
            group: "apps".into(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        },
        labels: Arc::default(),
        ordinal: 0,
        place: file("cluster-dump.ndjson", 3 * u32::try_from(name.len()).unwrap() + 1),
        field: "spec.template.spec.containers[0].securityContext".to_owned(),
        policy,
        actions: vec![Action(action)],
        verdict: Verdict::Violation,
        message: message.to_owned(),
        details: Details::default(),
        implied: None,
        explanation: None,
        text: None,
    }
}

/// One way, with so many conditions.
pub fn explanation(text: &str, conditions: usize) -> Explanation {
    let at = serde_json::json!({"file": text, "line": 3, "column": 5});
    let fact =
        serde_json::json!({"field": {"path": "spec.hostPID", "value": format!("\"{text}\""), "at": at}});
    let condition = serde_json::json!({"at": at, "text": text, "holds": true, "facts": [fact, fact]});
    let rule = serde_json::json!({
        "kind": "rule", "name": text, "at": at, "holds": true, "conditions": vec![condition; conditions],
    });
    let ways = serde_json::json!([rule]).to_string();
    serde_json::from_value(serde_json::json!({"told": {"ways": ways}})).unwrap()
}

pub fn kind(group: &str, kind: &str, judged: u64, unmatched: u64) -> KindCoverage {
    KindCoverage {
        group: group.into(),
        version: "v1".into(),
        kind: kind.into(),
        objects: Objects { seen: judged + unmatched, judged, unmatched, ..Objects::default() },
        failure: None,
    }
}

/// As audits are in life: some findings, one policy that broke, one kind that could not be listed.
pub fn realistic() -> Audit {
    use PolicySeverity::{Critical, High, Low, Medium};
    let policies = vec![
        policy("HostNamespaces", Some("No host namespaces"), DENY, Some(Critical)),
        policy("IngressHttpsOnly", Some("Ingresses have TLS"), WARN, Some(Medium)),
        policy("PrivilegedContainers", Some("No privileged containers"), DENY, Some(Critical)),
        policy("RequiredLabels", Some("Owners are named"), DRYRUN, Some(Low)),
        policy("RunAsNonRoot", Some("Containers do not run as root"), DENY, Some(High)),
        policy("TrustedRegistries", Some("Images come from trusted registries"), DENY, Some(High)),
        policy("UniqueIngressHosts", Some("Hosts belong to one ingress"), DENY, Some(Medium)),
        policy("VolumeTypes", Some("Only volumes that pods may have"), DENY, None),
        policy("NodePools", None, WARN, None),
    ];
    let mut audit = Audit { policies, ..Audit::empty() };
    let spaces = ["shop", "billing", "kube-system", "observability", "data", "web-frontend"];
    let names = ["checkout", "cart", "ledger", "node-agent", "scraper", "postgres", "gateway", "worker"];
    for (number, (weight, name)) in [9, 4, 2, 6, 1, 3, 5, 2].into_iter().zip(names).enumerate() {
        let namespace = spaces[number % spaces.len()];
        for turn in 0..weight {
            let name = format!("{name}-{turn}");
            let (index, action, message) = match (number + turn) % 6 {
                0 => (
                    4,
                    DENY,
                    format!(
                        "container \"{name}\" may run as root; set runAsNonRoot: true in its securityContext"
                    ),
                ),
                1 => (
                    5,
                    DENY,
                    format!("image \"docker.io/library/{name}:latest\" is not from registry.example.com/"),
                ),
                2 => (
                    3,
                    DRYRUN,
                    "the label owner is missing; set it to the team that is called at night".to_owned(),
                ),
                3 => (
                    2,
                    DENY,
                    format!(
                        "container \"{name}\" sets privileged: true; remove the field or set it to false"
                    ),
                ),
                4 => (4, DENY, format!("container \"{name}\" has runAsUser: 0; take another user")),
                _ => (
                    1,
                    WARN,
                    "the host shop.example.com is served without TLS; add it to spec.tls".to_owned(),
                ),
            };
            let kind = if index == 1 { "Ingress" } else { "Deployment" };
            let mut finding = violation(index, action, kind, namespace, &name, &message);
            if index == 5 {
                finding.details =
                    Details::from(&serde_json::json!({"image": name, "allowed": ["registry.example.com/"]}));
            }
            audit.findings.push(finding);
        }
    }
    let mut node = violation(
        0,
        DENY,
        "DaemonSet",
        "kube-system",
        "node-agent",
        "the pod sets hostPID: true and could see every process of the node",
    );
    node.field = String::from("spec.template.spec.hostPID");
    audit.findings.push(node);
    let mut broken = violation(
        6,
        DENY,
        "Ingress",
        "shop",
        "front",
        "the evaluation takes more than 1000000 steps (limit `steps`), at policies/templates.yaml:44:9",
    );
    broken.verdict = Verdict::Unknown;
    broken.field.clear();
    audit.findings.push(broken);
    let mut namespace = violation(
        3,
        DRYRUN,
        "Namespace",
        "",
        "shop",
        "the label owner is missing; set it to the team that is called at night",
    );
    namespace.object.group = "".into();
    namespace.field = String::from("metadata.labels");
    audit.findings.push(namespace);
    for (number, finding) in (0..).zip(&mut audit.findings) {
        finding.ordinal = number;
        finding.place = file("cluster-dump.ndjson", 40 + 17 * u32::try_from(number).unwrap());
    }
    for (index, passes) in [410, 22, 402, 377, 371, 395, 23, 412].into_iter().enumerate() {
        for (turn, namespace) in spaces.iter().chain(&["default", "", "ci"]).enumerate() {
            audit.passes.push((index, (*namespace).to_owned(), passes / (turn as u64 + 2)));
        }
    }
    audit.kinds = vec![
        kind("", "ConfigMap", 0, 211),
        kind("", "Namespace", 9, 0),
        kind("", "Pod", 311, 0),
        kind("apps", "DaemonSet", 6, 0),
        kind("apps", "Deployment", 87, 0),
        kind("networking.k8s.io", "Ingress", 24, 0),
    ];
    audit.kinds[0].objects.excluded = 14;
    audit.kinds[0].objects.seen += 14;
    audit
}

/// [`realistic`], of which something could not be seen.
pub fn partial() -> Audit {
    let mut audit = Audit { completion: Completion::Partial, unread: 2, ..realistic() };
    let mut secret = kind("", "Secret", 0, 0);
    secret.failure =
        Some("secrets is forbidden: cannot list resource \"secrets\" at the cluster scope".to_owned());
    audit.kinds.push(secret);
    audit.problems = vec![
        Problem {
            place: Some(file("cluster-dump.ndjson", 4_112)),
            help: Some("the dump may have been cut off; write it again".to_owned()),
            ..Problem::error(ErrorKind::Syntax, "expected a value, found the end of the file")
        },
        Problem {
            place: Some(file("policies/constraints.yaml", 40)),
            help: Some("did you mean `excludedNamespaces`?".to_owned()),
            ..Problem::warning(ErrorKind::UnknownField, "`excludedNamespace` is not a field of match")
        },
    ];
    audit
}

/// Everything passes.
pub fn green() -> Audit {
    Audit { findings: Vec::new(), ..realistic() }
}

/// Ended early, with no violation so far.
pub fn unfinished() -> Audit {
    Audit {
        completion: Completion::Unfinished { reason: "ended by SIGTERM after 118 objects".to_owned() },
        ..green()
    }
}

/// So many policies, namespaces and findings, the findings spread unevenly.
pub fn large(policies: usize, namespaces: usize, findings: usize) -> Audit {
    let actions = [DENY, WARN, DRYRUN];
    let policies: Vec<_> = (0..policies)
        .map(|number| {
            let title = format!("Rule {number} of the house, with a title of usual length");
            policy(
                &format!("HouseRule{number}"),
                Some(&title),
                actions[number % 3],
                PolicySeverity::ALL.get(number % 6).copied(),
            )
        })
        .collect();
    let mut audit = Audit { policies, ..Audit::empty() };
    let mut state: u64 = 7;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for number in 0..findings {
        let index = random(audit.policies.len()).min(random(audit.policies.len()));
        let namespace = format!("team-{:03}", random(namespaces).min(random(namespaces)));
        let message = format!(
            "container \"worker\" of object {number} breaks rule {index}; set the field to what the rule asks for"
        );
        let action = actions[index % 3];
        let mut finding = violation(
            index,
            action,
            "Deployment",
            &namespace,
            &format!("worker-{number}-7d9f8b6c5d"),
            &message,
        );
        if number % 97 == 0 {
            finding.verdict = Verdict::Unknown;
        }
        finding.details = Details::from(&serde_json::json!({"container": "worker", "rule": index}));
        audit.findings.push(finding);
    }
    for index in 0..audit.policies.len() {
        audit.passes.push((index, format!("team-{:03}", index % namespaces), 40));
    }
    audit.kinds = vec![kind("apps", "Deployment", findings as u64, 0)];
    audit
}

/// Every text is what an attacker would write.
pub fn hostile() -> Audit {
    const EVIL: &[&str] = &[
        "</script><script>document.title='PWNED'</script>",
        "<img src=x onerror=\"document.title='PWNED'\">",
        "\"><svg onload=document.title='PWNED'>",
        "' onmouseover='document.title=`PWNED`' x='",
        "</style><style>body{display:none}</style>",
        "<!-- --!> <![CDATA[ ]]> <plaintext>",
        "</title></textarea></pre></details></li></ul></main>",
        "&lt;b&gt; &#x3c;script&#x3e; javascript:alert(1)",
        "\u{202e}lairt a si siht\u{202c}\u{2066}\u{2028}\u{2029}\u{0}\u{1b}[2J\u{7f}\u{9b}\u{feff}\u{e0041}\r",
        "{} {{ 7*7 }} ${7*7} %s \\\\ \\u003cscript\\u003e",
    ];
    let mut policies = Vec::new();
    let mut findings = Vec::new();
    for (index, evil) in EVIL.iter().enumerate() {
        let mut policy = policy(evil, Some(evil), DENY, None);
        policy.key.name = Arc::from(*evil);
        policy.description = Some((*evil).to_owned());
        policy.place = file(evil, 1);
        policy.template.name = format!("{index}{evil}");
        policy.template.rego = Arc::from(*evil);
        policy.template.place = file(evil, 2);
        policies.push(policy);
        let mut finding = violation(index, DENY, evil, evil, evil, evil);
        finding.place = file(evil, 3);
        (*evil).clone_into(&mut finding.field);
        finding.details = Details::from(&serde_json::json!({ *evil: [evil] }));
        findings.push(finding.clone());
        finding.verdict = Verdict::Unknown;
        findings.push(finding);
    }
    let evil = EVIL.concat();
    let mut audit = Audit { policies, findings, ..Audit::empty() };
    audit.completion = Completion::Unfinished { reason: evil.clone() };
    audit.kinds = vec![KindCoverage { failure: Some(evil.clone()), ..kind(&evil, &evil, 1, 0) }];
    audit.problems = vec![Problem {
        place: Some(file(&evil, 1)),
        help: Some(evil.clone()),
        ..Problem::error(ErrorKind::Syntax, evil)
    }];
    audit
}

/// Names and messages without a place to break, as long as they can be.
pub fn long_names() -> Audit {
    let mut audit = realistic();
    let name = "a-very-long-name-without-any-end-".repeat(8);
    audit.policies[4].title = Some("Incomprehensibilities".repeat(12));
    audit.policies[4].key.name = name.as_str().into();
    for finding in &mut audit.findings {
        finding.object.name = name.as_str().into();
        finding.object.namespace = format!("{}{}", finding.object.namespace, "x".repeat(50)).into();
        finding.message = format!("{} {}", finding.message, "verylongword".repeat(200));
        finding.place = file(&format!("dumps/{name}/{name}.ndjson"), 1_000_000);
    }
    audit
}
