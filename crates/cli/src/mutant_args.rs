//! The flags of `verify --mutate`.

/// Whether templates are mutated, and how many mutants have to be noticed.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct MutantArgs {
    /// Also make mutants of the templates, each with one small change: a condition deleted or negated, another
    /// comparison, another constant. Fails if there is one that no case notices, and says where.
    #[arg(long)]
    pub mutate: bool,
    /// Fail only if cases notice fewer mutants than so many percent.
    #[arg(long, value_name = "PERCENT", value_parser = crate::args::percent)]
    pub mutate_min: Option<f64>,
}

impl MutantArgs {
    /// Whether mutants are made.
    pub const fn is_asked(&self) -> bool {
        self.mutate || self.mutate_min.is_some()
    }
}
