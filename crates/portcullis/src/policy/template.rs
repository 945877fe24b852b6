//! A template, compiled: its schema, its program and what the program reads.

use std::sync::Arc;

use crate::analysis::{InventoryRead, Told};
use crate::api::ConstraintTemplate;
use crate::api::Operation;
use crate::api::admission_policy::{AdmissionPolicy, Effect};
use crate::api::cel::{CelSource, Validation};
use crate::api::template::EngineSource;
use crate::api::text::Text;
use crate::document::Document;
use crate::enforcement::EnforcementPoint;
use crate::error::{Error, Severity};
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
    document: Document,
}

impl TemplateInfo {
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

impl Template {
    /// Compiles schema and program, and reports what is wrong with either in one go.
    pub(crate) fn compile(api: &ConstraintTemplate) -> (Option<Self>, Vec<Error>) {
        let subject = format!("ConstraintTemplate/{}", TemplateName::of_kind(&api.kind));
        let mut errors = Vec::new();
        let (schema_value, schema_path) = match &api.schema {
            Some(text) => (Some(&text.value), text.path.clone()),
            None => (None, FieldPath::root()),
        };
        let (schema, problems) = Schema::compile(schema_value, api.legacy_schema);
        errors.extend(problems.into_iter().map(|problem| problem.into_error(&api.document, &schema_path)));
        let program = match &api.engine {
            Some(source) => {
                let (program, problems) = Program::compile(source, &api.document, schema.as_ref());
                errors.extend(problems);
                program.map(|program| (source.clone(), program))
            }
            // Reported when the template was read.
            None => None,
        };
        let errors: Vec<_> = errors.into_iter().map(|error| error.about(subject.clone())).collect();
        if errors.iter().any(|error| error.severity() == Severity::Error) {
            return (None, errors);
        }
        let template = schema.zip(program).map(|(schema, (source, program))| Self {
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
                document: api.document.clone(),
            }),
            schema: ConstraintSchema::new(&schema),
            program,
            operations: api.operations.clone(),
        });
        (template, errors)
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
