//! What a template is made of, for `lint --verbose`.

use portcullis::{ComparingCost, InventoryComparison, Location, TemplateInfo};
use serde::Serialize;

/// What a template consists of, and what it reads.
#[derive(Serialize)]
pub(crate) struct Template<'a> {
    pub kind: &'a str,
    pub file: String,
    pub line: u32,
    pub package: String,
    pub version: String,
    pub rules: usize,
    pub libraries: Vec<String>,
    pub input: Vec<String>,
    pub inventory: Vec<String>,
    pub comparisons: Vec<Comparison>,
    pub builtins: Vec<String>,
    pub operations: usize,
    pub documents: usize,
}

/// How objects of the inventory are compared with.
#[derive(Serialize)]
pub(crate) struct Comparison {
    objects: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    /// How many of them are looked at.
    cost: &'static str,
    #[serde(skip)]
    pub sentence: String,
}

impl Comparison {
    fn of(comparison: &InventoryComparison) -> Self {
        let objects = comparison.objects.to_string();
        let line = comparison.location.as_ref().map(Location::line);
        let (cost, what) = match comparison.cost {
            ComparingCost::Index => ("index", format!("looks {objects} up in an index")),
            ComparingCost::Once => ("once", format!("goes through all {objects}, once for all reviews")),
            ComparingCost::All => ("all", format!("goes through all {objects}")),
            ComparingCost::Part => {
                ("part", format!("goes through those {objects} that are where the review says"))
            }
        };
        let sentence = line.map_or_else(|| what.clone(), |line| format!("line {line}: {what}"));
        Self { objects, line, cost, sentence }
    }
}

impl<'a> Template<'a> {
    pub(crate) fn of(template: &'a TemplateInfo) -> Self {
        let explanation = template.explain();
        Self {
            kind: template.kind(),
            file: template.location().file().to_string(),
            line: template.location().line(),
            package: explanation.package().to_owned(),
            version: explanation.version().map_or_else(|| "cel".to_owned(), |version| version.to_string()),
            rules: explanation.rules(),
            libraries: explanation.libraries().to_vec(),
            input: explanation.input_reads().to_vec(),
            inventory: template.inventory_reads().iter().map(ToString::to_string).collect(),
            comparisons: template.comparisons().iter().map(Comparison::of).collect(),
            builtins: explanation.builtins().to_vec(),
            operations: template.operations(),
            documents: template.documents(),
        }
    }
}
