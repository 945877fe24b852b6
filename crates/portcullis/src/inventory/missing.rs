//! What policies compare with and what is not there.

use super::Inventory;
use crate::error::{Error, ErrorKind};
use crate::policy::PolicySet;

impl PolicySet {
    /// Says which referential policies lack the data they read: a template with constraints reads kinds from
    /// the inventory of which there is no object, so that its verdicts may rest on nothing. One warning per
    /// template and kind.
    #[must_use]
    pub fn missing_inventory(&self, inventory: &Inventory) -> Vec<Error> {
        let mut warnings = Vec::new();
        let mut templates: Vec<_> = self.used_templates().collect();
        templates.sort_by(|one, other| one.info.name().cmp(other.info.name()));
        for template in templates {
            for read in template.info.inventory_reads() {
                if inventory.kinds().any(|(gvk, _)| read.covers(gvk)) {
                    continue;
                }
                let message = format!(
                    "`{}` compares with {read} of the inventory, but no such object was given",
                    template.info.kind()
                );
                warnings.push(
                    Error::warning(ErrorKind::MissingInventory, message)
                        .hint("give the cluster's objects beside the reviewed ones, or its verdicts rest on nothing")
                        .at(template.info.location().clone()),
                );
            }
        }
        warnings
    }
}
