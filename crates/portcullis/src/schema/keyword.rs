//! The keywords of a schema: those we know, those that structural schemas forbid, and those that mean
//! something only elsewhere.

use crate::error::did_you_mean;

macro_rules! keywords {
    ($($name:ident = $text:literal,)*) => {
        /// A keyword that has a meaning in structural schemas.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Keyword { $($name,)* }

        impl Keyword {
            const ALL: &'static [(&'static str, Self)] = &[$(($text, Self::$name),)*];
        }
    };
}

// A macro, because a keyword and its spelling must not drift apart.
keywords! {
    AdditionalProperties = "additionalProperties",
    AllOf = "allOf",
    AnyOf = "anyOf",
    Default = "default",
    Description = "description",
    EmbeddedResource = "x-kubernetes-embedded-resource",
    Enum = "enum",
    Example = "example",
    ExclusiveMaximum = "exclusiveMaximum",
    ExclusiveMinimum = "exclusiveMinimum",
    ExternalDocs = "externalDocs",
    Format = "format",
    IntOrString = "x-kubernetes-int-or-string",
    Items = "items",
    ListMapKeys = "x-kubernetes-list-map-keys",
    ListType = "x-kubernetes-list-type",
    MapType = "x-kubernetes-map-type",
    Maximum = "maximum",
    MaxItems = "maxItems",
    MaxLength = "maxLength",
    MaxProperties = "maxProperties",
    Minimum = "minimum",
    MinItems = "minItems",
    MinLength = "minLength",
    MinProperties = "minProperties",
    MultipleOf = "multipleOf",
    Not = "not",
    Nullable = "nullable",
    OneOf = "oneOf",
    Pattern = "pattern",
    PreserveUnknownFields = "x-kubernetes-preserve-unknown-fields",
    Properties = "properties",
    Required = "required",
    Title = "title",
    Type = "type",
    UniqueItems = "uniqueItems",
    Validations = "x-kubernetes-validations",
}

/// Forbidden in structural schemas, and what to do instead.
const FORBIDDEN: &[(&str, &str)] = &[
    ("$ref", "write the schema out where it is used"),
    ("$schema", "remove it"),
    ("additionalItems", "remove it"),
    ("definitions", "write the schemas out where they are used"),
    ("dependencies", "use `anyOf` with `required`"),
    ("id", "remove it"),
    ("patternProperties", "use `additionalProperties`"),
];

/// Keywords of other schema dialects, which Kubernetes drops without a word.
const ELSEWHERE: &[(&str, &str)] = &[
    ("$defs", "write the schemas out where they are used"),
    ("const", "use `enum` with one value"),
    ("contains", "structural schemas cannot say this"),
    ("dependentRequired", "use `anyOf` with `required`"),
    ("dependentSchemas", "use `anyOf`"),
    ("discriminator", "structural schemas cannot say this"),
    ("else", "use `anyOf`"),
    ("examples", "use `example`"),
    ("if", "use `anyOf`"),
    ("maxContains", "structural schemas cannot say this"),
    ("minContains", "structural schemas cannot say this"),
    ("prefixItems", "use `items`"),
    ("propertyNames", "structural schemas cannot say this"),
    ("then", "use `anyOf`"),
    ("unevaluatedItems", "structural schemas cannot say this"),
    ("unevaluatedProperties", "unknown fields are found without it"),
];

/// Words that restrict nothing, so that dropping them loses nothing.
const IGNORED: &[&str] = &["$comment", "$id", "deprecated", "readOnly", "writeOnly", "xml"];

/// Why a keyword is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Restricts nothing.
    Ignored,
    /// An error, with what to do instead.
    Forbidden(&'static str),
    /// A keyword of another dialect, with what to do instead.
    Elsewhere(&'static str),
    /// Probably meant to be this one.
    Misspelt(&'static str),
    Other,
}

/// The keyword with this spelling.
pub(super) fn find(name: &str) -> Result<Keyword, Unknown> {
    let listed = |table: &[(&str, &'static str)]| {
        table.iter().find(|(known, _)| *known == name).map(|(_, hint)| *hint)
    };
    if let Some((_, keyword)) = Keyword::ALL.iter().find(|(text, _)| *text == name) {
        return Ok(*keyword);
    }
    if let Some(hint) = listed(FORBIDDEN) {
        return Err(Unknown::Forbidden(hint));
    }
    if let Some(hint) = listed(ELSEWHERE) {
        return Err(Unknown::Elsewhere(hint));
    }
    if IGNORED.contains(&name) {
        return Err(Unknown::Ignored);
    }
    let known = Keyword::ALL.iter().map(|(text, _)| *text);
    Err(match did_you_mean(name, known) {
        Some(meant) => Unknown::Misspelt(meant),
        // Extensions are how other tools annotate schemas.
        None if name.starts_with("x-") => Unknown::Ignored,
        None => Unknown::Other,
    })
}
