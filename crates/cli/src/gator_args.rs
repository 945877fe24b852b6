//! Flags of gator that are there to say what to use.

/// The default of templates in CEL that do not say what becomes of what cannot be evaluated.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct FailurePolicyArgs {
    #[arg(long = "default-k8s-native-validation-failure-policy", hide = true, value_name = "POLICY", value_parser = failure_policy)]
    failure_policy: Option<bool>,
}

/// Images, for commands that read none.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct ImageArgs {
    #[arg(short, long, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = image)]
    image: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = image)]
    plain_http: Option<bool>,
    #[arg(short = 'd', long, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = image)]
    tempdir: Option<bool>,
}

/// `Fail` is what there is.
fn failure_policy(text: &str) -> Result<bool, &'static str> {
    match text {
        "Fail" => Ok(true),
        "Ignore" => Err(
            "what cannot be evaluated is never let pass by a default; say `failurePolicy: Ignore` in the source of the template",
        ),
        _ => Err("expected `Fail`"),
    }
}

/// Reads nothing.
fn image(_: &str) -> Result<bool, &'static str> {
    Err("no images are fetched here; fetch the policies before, and name their folder with `--filename`")
}
