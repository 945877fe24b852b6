//! The configuration by which API servers ask for mutation: that of `deploy/`, with the rules that mutators need.

use portcullis::{AdmissionRules, Kinds, MutatorSet};
use serde_json::Value;

use crate::{Broken, Options, documents};

pub(crate) const FILE: &str = "mutating-webhook-configuration.yaml";
const TEXT: &str = include_str!("../deploy/mutating-webhook-configuration.yaml");

pub(crate) fn webhook(mutators: &MutatorSet, kinds: &Kinds, options: &Options) -> Result<Vec<Value>, Broken> {
    let mut documents = documents(FILE, TEXT, options)?;
    let webhooks = documents.iter_mut().filter_map(|document| document.get_mut("webhooks")?.as_array_mut());
    let Some(webhook) = webhooks.flatten().find_map(Value::as_object_mut) else {
        return Err(Broken { file: FILE, reason: "it has no webhook".to_owned() });
    };
    webhook.insert("rules".to_owned(), AdmissionRules::of_mutators(mutators, kinds).to_json());
    Ok(documents)
}
