//! Policies that are applied: whether each can do what it says, before it is in the cluster.

use portcullis::{
    Document, Error, ErrorKind, ExpansionChange, ExpansionSet, ExpansionStore, MutatorStore, Object,
    Operation, PolicySet, PolicySettings, Resource, Review, Severity, TemplateName, Unsupported, Uses,
};

use crate::serving::Serving;

/// Longest name of a template or constraint: it becomes the value of a label.
const NAME_CHARS: usize = 63;
/// Problems of one policy that are listed. When these are fixed, the others show.
const MAX_PROBLEMS: usize = 20;

/// What becomes of a template whose Rego is wrong when it is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BadRego {
    /// It is refused: a policy that cannot run must not look as if it did.
    #[default]
    Refuse,
    /// It is let in with a warning, as Gatekeeper does.
    Admit,
}

/// What the webhook is to itself, and how it treats its own kinds.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Its namespace: what is in it is not judged by constraints.
    pub namespace: Option<String>,
    /// The users that are the webhook itself: what they do is let in.
    pub identities: Vec<String>,
    /// Templates that are applied.
    pub bad_rego: BadRego,
    /// Policies that are applied and not supported.
    pub unsupported: Unsupported,
    /// What of a cluster is used beside policies, and so is supported.
    pub uses: Uses,
}

/// What is wrong with a template, a constraint or another policy that is being applied; or, if it may be applied, what to warn of.
pub(super) fn check(review: &Review, serving: &Serving, own: &Own) -> Result<Vec<String>, Vec<String>> {
    if review.operation() == Operation::Delete {
        return Ok(Vec::new());
    }
    let Some(object) = review.object().filter(|object| object.gvk().is_policy()) else {
        return Ok(Vec::new());
    };
    let length = object.name().chars().count();
    if length > NAME_CHARS {
        return Err(vec![format!(
            "resource cannot have metadata.name larger than {NAME_CHARS} char; length: {length}"
        )]);
    }
    let mut errors = read_own(object, serving, own.uses);
    errors.retain(|error| error.severity() == Severity::Error || error.kind() == ErrorKind::IgnoredConfig);
    let is_forgiven = |error: &Error| match error.kind() {
        _ if error.severity() == Severity::Warning => true,
        ErrorKind::Unsupported => own.unsupported == Unsupported::Allowed,
        kind => own.bad_rego == BadRego::Admit && kind.is_rego(),
    };
    let lines = |errors: &[Error]| {
        let first = errors.iter().take(MAX_PROBLEMS).map(|error| explain(error, object.document()));
        let more = errors.len().saturating_sub(MAX_PROBLEMS);
        let rest = (more > 0).then(|| format!("… and {more} more problems"));
        first.chain(rest).collect()
    };
    if errors.iter().all(is_forgiven) {
        let warnings: Vec<String> = lines(&errors);
        let what =
            if &*object.gvk().kind == "ConstraintTemplate" { "this template enforces nothing: " } else { "" };
        let doubt = doubt(object, serving, own.uses);
        Ok(warnings.into_iter().map(|line| format!("{what}{line}")).chain(doubt).collect())
    } else {
        Err(lines(&errors))
    }
}

fn read_own(object: &Object, serving: &Serving, uses: Uses) -> Vec<Error> {
    // An object of a request has a document: the request.
    let Some(document) = object.document() else { return Vec::new() };
    let (resource, mut errors) = Resource::read_for(document, uses);
    if let Some(resource) = resource.as_ref().filter(|resource| resource.is_mutator()) {
        errors.extend(MutatorStore::new().upsert(resource));
    }
    if let Some(resource) = resource.clone().filter(Resource::is_expansion) {
        errors.extend(ExpansionStore::new().apply(ExpansionChange::Upsert(resource)));
    }
    // What is rejected is compiled for what else is wrong with it.
    let template = match &resource {
        Some(Resource::Rejected(rejected)) => template_of(rejected, serving),
        Some(resource) => template_of(resource, serving),
        None => None,
    };
    let ignored = match &resource {
        Some(Resource::Config(config)) => serving.policies.ignores(config),
        _ => None,
    };
    let settings = PolicySettings { engines: serving.policies.engines(), ..PolicySettings::default() };
    errors.extend(PolicySet::from_resources_in(template.into_iter().chain(resource), &settings).1);
    // Which Config counts depends on those that there are.
    errors.retain(|error| error.kind() != ErrorKind::IgnoredConfig);
    errors.extend(ignored);
    errors.sort();
    errors.dedup();
    errors
}

/// Why something that is sound will not be applied beside what there is. It is let in all the same, as by Gatekeeper: which of them has to
/// go is not ours to say.
fn doubt(object: &Object, serving: &Serving, uses: Uses) -> Option<String> {
    let (resource, _) = Resource::read_for(object.document()?, uses);
    match resource? {
        resource @ Resource::Mutator(_) => {
            let mut store = MutatorStore::of(serving.mutators.as_ref().ok()?);
            store.upsert(&resource);
            let Resource::Mutator(mutator) = resource else { return None };
            let set = store.snapshot();
            let others = set.conflicts_of(mutator.key()).filter(|key| *key != mutator.key());
            let others: Vec<String> = others.take(MAX_PROBLEMS).map(|key| format!("`{key}`")).collect();
            set.is_disabled(mutator.key()).then(|| {
                format!(
                    "this mutator will not be applied: its location contradicts that of {}; none of them is applied until one is gone",
                    others.join(", ")
                )
            })
        }
        Resource::ExpansionTemplate(template) => {
            let name = template.name().clone();
            let others = serving.expansions.objects().filter(|other| *other.name() != name);
            let others = others.filter_map(|other| Resource::read_for(other.document()?, uses).0);
            let all = others.chain([Resource::ExpansionTemplate(template)]);
            let (set, _) = ExpansionSet::from_resources(all);
            let in_circle: Vec<String> =
                set.in_cycles().take(MAX_PROBLEMS).map(|name| format!("`{name}`")).collect();
            set.in_cycles().any(|other| *other == *name).then(|| {
                format!(
                    "this template will not be applied: what it generates becomes what it applies to; in a circle are {}, and none of them is applied",
                    in_circle.join(", ")
                )
            })
        }
        _ => None,
    }
}

fn template_of(resource: &Resource, serving: &Serving) -> Option<Resource> {
    let Resource::Constraint(constraint) = resource else { return None };
    serving.templates.get(&TemplateName::of_kind(&constraint.key().kind)).cloned()
}

/// An error for people who do not have the text that its position is in. A request is one line of JSON, so the position is given in the
/// string that the error is about: templates hold their Rego in one.
pub(super) fn explain(error: &Error, document: Option<&Document>) -> String {
    let mut text = String::new();
    if let Some(path) = error.path().filter(|path| !path.is_root()) {
        text = format!("{path}: ");
    }
    let place =
        error.location().zip(document).and_then(|(location, document)| document.line_in_text(location));
    if let Some((line, column, _)) = &place {
        text = format!("{text}line {line}, column {column}: ");
    }
    text.push_str(error.message());
    if let Some((_, _, line)) = &place {
        text = format!("{text}, in `{}`", line.trim());
    }
    if let Some(hint) = error.help() {
        text = format!("{text} ({hint})");
    }
    text
}
