//! A template, compiled: its schema, its program and what the program reads.

use std::sync::Arc;

use crate::analysis::{InventoryRead, Told};
use crate::api::ConstraintTemplate;
use crate::api::Operation;
use crate::api::admission_policy::{AdmissionPolicy, Effect};
use crate::api::cel::{CelSource, Validation};
use crate::api::template::{Engine, EngineChoice, EngineSource};
use crate::api::text::Text;
use crate::document::Document;
use crate::enforcement::EnforcementPoint;
use crate::error::{Error, ErrorKind, Severity};
use crate::names::TemplateName;
use crate::path::FieldPath;
use crate::program::{InventoryComparison, PolicyProgram, Program};
use crate::schema::{ConstraintSchema, Schema};
use crate::source::Location;

/// What callers may know about a template.
#[derive(Debug)]
pub struct TemplateInfo {
    name: TemplateName,
    kind: Arc<str>,
    title: Option<Arc<str>>,
    description: Option<Arc<str>>,
    location: Location,
    operations: usize,
    documents: usize,
    told: Arc<Told>,
    comparisons: Vec<InventoryComparison>,
    /// Shared with the resource that was read.
    source: EngineSource,
    /// What it has beside the program that is run.
    other: Option<Engine>,
    document: Document,
}

impl TemplateInfo {
    /// What evaluates it.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.source.engine()
    }

    /// What else could evaluate it: of a template with CEL and Rego, the one that is not run.
    #[must_use]
    pub fn other_engine(&self) -> Option<Engine> {
        self.other
    }

    /// What its text consists of, and what it reads. Worked out when it is asked for. Feature `lint`.
    #[cfg(feature = "lint")]
    #[must_use]
    pub fn explain(&self) -> crate::analysis::Explanation {
        match &self.source {
            EngineSource::Rego(source) => crate::analysis::Explanation::of(source, &self.document),
            EngineSource::Cel(_) => crate::analysis::Explanation::of_cel(&self.told),
        }
    }

    /// How it is evaluated: every template is lowered to the one normal form that the evaluator runs, in so
    /// many operations.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// How many documents and functions its rules make.
    #[must_use]
    pub fn documents(&self) -> usize {
        self.documents
    }

    /// The template's name: its kind in lower case.
    #[must_use]
    pub fn name(&self) -> &TemplateName {
        &self.name
    }

    /// The kind of its constraints.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Annotation `metadata.gatekeeper.sh/title`.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Annotation `description`.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Where it stands.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The document it was read from.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The text of its policy, without libraries, and where that starts.
    #[must_use]
    pub fn text(&self) -> (&Arc<str>, Location) {
        let module = match &self.source {
            EngineSource::Rego(source) => Some(&source.module),
            EngineSource::Cel(source) => source.validations.first().map(|first| &first.expression),
        };
        let Some(module) = module else { return (&self.kind, self.location.clone()) };
        let location =
            crate::analysis::locate(&self.document, module, portcullis_rego_syntax::Span::default());
        (&module.text, location.unwrap_or_else(|| self.location.clone()))
    }

    /// What it was compiled from.
    #[cfg(feature = "regorus")]
    pub(crate) fn source(&self) -> &EngineSource {
        &self.source
    }

    /// What it reads from the inventory, derived from its text; empty if it compares no objects. Worked out
    /// when it is first asked for.
    #[must_use]
    pub fn inventory_reads(&self) -> &[InventoryRead] {
        self.told.inventory_reads()
    }

    /// Where it goes through objects of the inventory, in the order of the text, and at what cost.
    #[must_use]
    pub fn comparisons(&self) -> &[InventoryComparison] {
        &self.comparisons
    }
}

/// A compiled template, shared by its constraints.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) info: Arc<TemplateInfo>,
    pub(crate) schema: ConstraintSchema,
    pub(crate) program: Program,
    operations: Vec<Operation>,
}

/// A template with all of its programs; which of them is run is for who takes it.
#[derive(Debug)]
pub(crate) struct CompiledTemplate {
    schema: ConstraintSchema,
    /// At least one; CEL first.
    programs: Vec<(EngineSource, Program)>,
    /// Why it cannot be run as Gatekeeper would run it, though it has Rego: this build has no CEL.
    left_out: Option<Error>,
}

impl CompiledTemplate {
    /// Compiles schema and programs, and reports what is wrong with any of them in one go.
    pub(crate) fn of(api: &ConstraintTemplate) -> (Option<Self>, Vec<Error>) {
        let subject = format!("ConstraintTemplate/{}", TemplateName::of_kind(&api.kind));
        let mut errors = Vec::new();
        let (schema_value, schema_path) = match &api.schema {
            Some(text) => (Some(&text.value), text.path.clone()),
            None => (None, FieldPath::root()),
        };
        let (schema, problems) = Schema::compile(schema_value, api.legacy_schema);
        errors.extend(problems.into_iter().map(|problem| problem.into_error(&api.document, &schema_path)));
        let mut programs = Vec::new();
        let mut left_out = Vec::new();
        for source in &api.engines {
            let (program, problems) = Program::compile(source, &api.document, schema.as_ref());
            // Who runs the Rego needs no CEL.
            if source.engine().is_built() || api.engines.len() == 1 {
                errors.extend(problems);
            } else {
                left_out.extend(problems.into_iter().map(|error| error.about(subject.clone())));
            }
            programs.extend(program.map(|program| (source.clone(), program)));
        }
        let errors: Vec<_> = errors.into_iter().map(|error| error.about(subject.clone())).collect();
        if errors.iter().any(|error| error.severity() == Severity::Error) {
            return (None, errors);
        }
        // That there is no program was reported when the template was read.
        let schema = schema.filter(|_| !programs.is_empty());
        let left_out = left_out.into_iter().next();
        (schema.map(|schema| Self { schema: ConstraintSchema::new(&schema), programs, left_out }), errors)
    }
}

impl Template {
    /// The template with the program that is run; an error if it has none that may be.
    pub(crate) fn of(
        compiled: CompiledTemplate,
        api: &ConstraintTemplate,
        choice: EngineChoice,
    ) -> Result<Self, Error> {
        let CompiledTemplate { schema, mut programs, left_out } = compiled;
        if let (EngineChoice::CelFirst, Some(error)) = (choice, left_out) {
            return Err(error.hint(
                "build with the feature `cel`, which is one of the defaults, or choose Rego only, which the template has as well",
            ));
        }
        let is_chosen = |engine: Engine| match choice {
            EngineChoice::CelFirst => true,
            EngineChoice::RegoOnly => engine == Engine::Rego,
        };
        let Some(place) = programs.iter().position(|(source, _)| is_chosen(source.engine())) else {
            let message = format!(
                "no engine is there for this template: it is in `{}` only, which is switched off",
                Engine::Cel.as_str()
            );
            return Err(Error::new(ErrorKind::Unsupported, message)
                .hint("give it Rego as well, or leave that engine on")
                .at(api.document.location())
                .about(format!("ConstraintTemplate/{}", TemplateName::of_kind(&api.kind))));
        };
        let (source, program) = programs.swap_remove(place);
        let other = api.engines.iter().map(EngineSource::engine).find(|engine| *engine != source.engine());
        Ok(Self {
            info: Arc::new(TemplateInfo {
                name: TemplateName::of_kind(&api.kind),
                kind: api.kind.clone(),
                title: api.title.clone(),
                description: api.description.clone(),
                location: api.document.location(),
                operations: program.operations(),
                documents: program.documents(),
                told: program.told().clone(),
                comparisons: program.comparisons(),
                source,
                other,
                document: api.document.clone(),
            }),
            schema,
            program,
            operations: api.operations.clone(),
        })
    }

    /// What stands for the template of a binding: its policy.
    pub(crate) fn of_policy(api: &AdmissionPolicy, program: &Arc<PolicyProgram>) -> Self {
        let program = Program::Policy(program.clone());
        let kind: Arc<str> = api.key.effect.binding_kind().into();
        let description = match api.object.annotation("description") {
            Some(annotation) => annotation.text().map(Into::into),
            None => None,
        };
        Self {
            info: Arc::new(TemplateInfo {
                name: TemplateName::of_kind(&kind),
                kind,
                title: None,
                description,
                location: api.document.location(),
                operations: program.operations(),
                documents: program.documents(),
                told: program.told().clone(),
                comparisons: Vec::new(),
                source: EngineSource::Cel(source_of(api)),
                other: None,
                document: api.document.clone(),
            }),
            // Bindings have no parameters of their own, and are not read by it.
            schema: ConstraintSchema::of_any_template().clone(),
            program,
            operations: Vec::new(),
        }
    }

    /// The operations that it is evaluated for at the webhook; empty is all.
    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Whether the template takes part in a review. Its `operations` count at the webhook only.
    pub(crate) fn reviews(&self, operation: Operation, point: EnforcementPoint) -> bool {
        point != EnforcementPoint::Webhook
            || self.operations.is_empty()
            || self.operations.contains(&operation)
    }
}

/// The expressions of an admission policy, for who shows them.
fn source_of(policy: &AdmissionPolicy) -> CelSource {
    let of_text =
        |text: &Text| Validation { expression: text.clone(), message: None, message_expression: None };
    let validations = match &policy.effect {
        Effect::Validate { validations, audit_annotations } => {
            let validations = validations.iter().map(|validation| Validation {
                expression: validation.expression.clone(),
                message: validation.message.clone(),
                message_expression: validation.message_expression.clone(),
            });
            validations.chain(audit_annotations.iter().map(|annotation| of_text(&annotation.value))).collect()
        }
        Effect::Mutate { mutations, .. } => {
            mutations.iter().map(|mutation| of_text(mutation.expression())).collect()
        }
    };
    CelSource {
        variables: policy.variables.clone(),
        match_conditions: policy.match_conditions.clone(),
        validations,
        failure_policy: policy.failure_policy,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

    use crate::document::Document;
    use crate::{
        Decision, EnforcementPoint, Engine, EngineChoice, Error, Inventory, Object, PolicySet,
        PolicySettings, Resource, Review, World,
    };

    const REGO: &str = "{engine: Rego, source: {version: v1, rego: 'package p\n\nviolation contains {\"msg\": \"from rego\"}\n\n'}}";
    const CEL: &str =
        "{engine: K8sNativeValidation, source: {validations: [{expression: 'false', message: from cel}]}}";

    fn compile(code: &str, engines: EngineChoice) -> (PolicySet, Vec<Error>) {
        let text = format!(
            "apiVersion: templates.gatekeeper.sh/v1\nkind: ConstraintTemplate\nmetadata: {{name: p}}\nspec:\n  crd: {{spec: {{names: {{kind: P}}}}}}\n  targets:\n  - target: admission.k8s.gatekeeper.sh\n    code: [{code}]\n---\n{{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: P, metadata: {{name: it}}}}\n"
        );
        let (mut resources, mut errors) = (Vec::new(), Vec::new());
        for document in Document::read_all("p.yaml", &text).0 {
            let (resource, problems) = Resource::read(&document);
            resources.extend(resource);
            errors.extend(problems);
        }
        let settings = PolicySettings { engines, ..PolicySettings::default() };
        let (policies, problems) = PolicySet::from_resources_in(resources, &settings);
        errors.extend(problems);
        (policies, errors)
    }

    fn said(policies: &PolicySet) -> Vec<String> {
        let object = serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}});
        let review = Review::from_object(Object::from_json(&object).unwrap());
        let inventory = Inventory::empty();
        let outcome = policies.review(&review, &World::new(&inventory), EnforcementPoint::Audit);
        Decision::from(&outcome).denials()
    }

    #[test]
    fn cel_is_run_where_there_is_rego_as_well_unless_it_is_switched_off() {
        for code in [format!("{REGO}, {CEL}"), format!("{CEL}, {REGO}")] {
            for (choice, engine, other, message) in [
                (EngineChoice::CelFirst, Engine::Cel, Engine::Rego, "[it] from cel"),
                (EngineChoice::RegoOnly, Engine::Rego, Engine::Cel, "[it] from rego"),
            ] {
                let (policies, errors) = compile(&code, choice);
                assert!(errors.is_empty(), "{errors:?}");
                assert_eq!(said(&policies), [message]);
                let template = policies.templates().next().unwrap();
                assert_eq!((template.engine(), template.other_engine()), (engine, Some(other)));
            }
        }
        let (policies, _) = compile(REGO, EngineChoice::CelFirst);
        assert_eq!(said(&policies), ["[it] from rego"]);
        assert_eq!(policies.templates().next().unwrap().other_engine(), None);
    }

    #[test]
    fn numbers_are_ints_or_doubles_as_an_api_server_reads_them() {
        let expression =
            "[type(object.num) == int, type(object.num) == double].map(is, string(is)).join(',')";
        let code = format!(
            "{{engine: K8sNativeValidation, source: {{validations: [{{expression: 'false', messageExpression: \"{expression}\"}}]}}}}"
        );
        let (policies, errors) = compile(&code, EngineChoice::CelFirst);
        assert!(errors.is_empty(), "{errors:?}");
        let is_double = |text: &str, number: &str| {
            let text = text.replace('#', number);
            let object = Object::from_yaml(&text).unwrap();
            let inventory = Inventory::empty();
            let review = Review::from_object(object);
            let outcome = policies.review(&review, &World::new(&inventory), EnforcementPoint::Audit);
            match Decision::from(&outcome).denials().join("").as_str() {
                "[it] true,false" => false,
                "[it] false,true" => true,
                other => unreachable!("{text}: {other}"),
            }
        };
        let json = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "num": #}"#;
        let yaml = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nnum: #\n";
        for (number, in_json, in_yaml) in [
            ("2", false, false),
            // Clients read YAML, and send what Go writes of it.
            ("2.0", true, false),
            ("-0.0", true, false),
            ("2e0", true, false),
            ("2.5", true, true),
            ("9007199254740993", false, false),
            ("9223372036854775808", true, true),
            ("1e30", true, true),
        ] {
            assert_eq!(is_double(json, number), in_json, "{number} in JSON");
            assert_eq!(is_double(yaml, number), in_yaml, "{number} in YAML");
        }
    }

    #[test]
    fn a_template_in_cel_only_is_an_error_where_cel_is_switched_off() {
        let (policies, errors) = compile(CEL, EngineChoice::RegoOnly);
        assert_eq!(policies.constraints().count(), 0);
        assert!(errors.iter().any(|error| error.message().contains("switched off")), "{errors:?}");
    }

    #[test]
    fn a_mistake_in_either_language_is_an_error_whichever_is_run() {
        let wrong_cel = CEL.replace("'false'", "nope");
        let wrong_rego = REGO.replace("\"from rego\"", "nope");
        for choice in [EngineChoice::CelFirst, EngineChoice::RegoOnly] {
            for (code, word) in
                [(format!("{REGO}, {wrong_cel}"), "undeclared"), (format!("{wrong_rego}, {CEL}"), "nope")]
            {
                let (policies, errors) = compile(&code, choice);
                assert_eq!(policies.constraints().count(), 0, "{code}");
                assert!(errors.iter().any(|error| error.message().contains(word)), "{errors:?}");
            }
            let (_, errors) = compile(&format!("{wrong_rego}, {wrong_cel}"), choice);
            let of = |word: &str| errors.iter().any(|error| error.message().contains(word));
            assert!(of("undeclared") && of("unsafe"), "{errors:?}");
        }
    }
}
