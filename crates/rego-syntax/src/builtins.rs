//! OPA's builtin functions, a row for each: how many arguments it takes and of which types, what it may do,
//! how deep its result may be, whether it is still there in v1. All who ask something of a builtin read it
//! here; what evaluates it is in `portcullis-rego`, which has a function for each row that says so, and a
//! test that none is missing.
//!
//! What a row does not say is the careful choice: a builtin of which nothing is known may ask anything, fail,
//! and nest without an end.

use std::fmt;

use Effects::{Asks, Closed, Infallible};
use Nesting::{Arguments, Bounded, Flat};

/// A builtin function of OPA, or of Gatekeeper on top of it.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    /// Its name, with dots.
    pub name: &'static str,
    /// How many arguments it takes. A call may have one more: the result is then unified with it.
    pub arity: usize,
    /// The types: `x: number, y: array[any] -> any<null, string>`. Names are there for messages only; without
    /// `->` it returns nothing.
    pub signature: &'static str,
    /// What answers rest on, and whether it may fail.
    pub effects: Effects,
    /// How deep its result may be nested.
    pub nesting: Nesting,
    /// Who answers it.
    pub answered: Answered,
    /// What to write instead, if Rego v1 refuses it.
    pub replacement: Option<&'static str>,
    /// Which argument is a regular expression, counted from 0.
    pub pattern: Option<usize>,
    /// How many answers a call may have.
    pub answers: Answers,
}

/// What the answers of a builtin rest on, and whether it may end as an error that is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effects {
    /// Nothing is known: it may ask whatever it likes.
    Unknown,
    /// On more than its arguments: the time, the seed, or who watches.
    Asks,
    /// On its arguments only. It may be an error, such as for a pattern that is too large by itself.
    Closed,
    /// On its arguments only, and there is no error but a limit of what was used.
    Infallible,
}

/// How deep a result may be nested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// Nothing is known.
    Unknown,
    /// A scalar, or a list of them.
    Flat,
    /// Whatever it was made of: it checks by itself that it is not deeper than values may be.
    Bounded,
    /// So many levels more than the deepest argument.
    Arguments(u32),
}

/// How many answers a call of a builtin may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// One at most.
    One,
    /// Each element of its result is one.
    Each,
}

/// Who answers a builtin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// A function of the evaluator.
    Evaluated,
    /// An operation of the normal form: OPA has a name for what is written in another way.
    Lowered,
    /// Nobody: a policy that calls it is refused, perhaps with a reason.
    Missing(Option<&'static str>),
}

/// A type of Rego by its outermost form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `null`
    Null,
    /// `true` and `false`
    Boolean,
    /// Numbers
    Number,
    /// Texts
    String,
    /// `[…]`
    Array,
    /// `{…}` without values
    Set,
    /// `{…}` with values
    Object,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Set => "a set",
            Self::Object => "an object",
        })
    }
}

impl Builtin {
    /// The type of what it gives where it gives anything; none if that may have several.
    #[must_use]
    pub fn result(&self) -> Option<Shape> {
        let (_, result) = self.signature.split_once("->")?;
        // Types have colons only in brackets.
        let named = result.split_once(':').filter(|(name, _)| !name.contains(['<', '[']));
        let ty = named.map_or(result, |(_, ty)| ty).trim();
        let word = ty.split(['<', '[']).next().unwrap_or_default();
        Some(match word {
            "null" => Shape::Null,
            "boolean" => Shape::Boolean,
            "number" => Shape::Number,
            "string" => Shape::String,
            "array" => Shape::Array,
            "set" => Shape::Set,
            "object" => Shape::Object,
            _ => return None,
        })
    }

    const fn deprecated(self, replacement: &'static str) -> Self {
        Self { replacement: Some(replacement), ..self }
    }

    const fn relation(self) -> Self {
        Self { answers: Answers::Each, ..self }
    }

    const fn pattern(self, argument: usize) -> Self {
        Self { pattern: Some(argument), ..self }
    }
}

/// A builtin that the evaluator has a function for.
const fn row(
    name: &'static str,
    arity: usize,
    signature: &'static str,
    effects: Effects,
    nesting: Nesting,
) -> Builtin {
    Builtin { effects, nesting, answered: Answered::Evaluated, ..missing(name, arity, signature, None) }
}

const fn lowered(name: &'static str, arity: usize, signature: &'static str) -> Builtin {
    Builtin { answered: Answered::Lowered, ..missing(name, arity, signature, None) }
}

const fn missing(
    name: &'static str,
    arity: usize,
    signature: &'static str,
    why: Option<&'static str>,
) -> Builtin {
    Builtin {
        name,
        arity,
        signature,
        effects: Effects::Unknown,
        nesting: Nesting::Unknown,
        answered: Answered::Missing(why),
        replacement: None,
        pattern: None,
        answers: Answers::One,
    }
}

/// The builtin of this name; none if there is no such builtin, or if it takes any number of arguments.
#[must_use]
pub fn find(name: &str) -> Option<&'static Builtin> {
    BUILTINS.binary_search_by(|known| known.name.cmp(name)).ok().and_then(|at| BUILTINS.get(at))
}

/// Number of arguments of the builtin `name`; none as for [`find`].
#[must_use]
pub fn arity(name: &str) -> Option<usize> {
    find(name).map(|builtin| builtin.arity)
}

/// Whether OPA, or Gatekeeper on top of it, has a builtin of this name.
#[must_use]
pub fn is_builtin(name: &str) -> bool {
    name == "print" || find(name).is_some()
}

/// Whether Rego v1 refuses this builtin.
#[must_use]
pub fn is_deprecated(name: &str) -> bool {
    find(name).is_some_and(|builtin| builtin.replacement.is_some())
}

/// All builtins, by name.
pub fn all() -> impl Iterator<Item = &'static Builtin> {
    BUILTINS.iter()
}

/// Sorted by name: looked up by binary search.
static BUILTINS: &[Builtin] = &[
    row("abs", 1, "x: number -> y: number", Infallible, Flat),
    row("all", 1, "any<array[any], set[any]> -> boolean", Infallible, Flat)
        .deprecated("`every x in xs { x == true }`, with `import future.keywords.every`"),
    row("and", 2, "x: set[any], y: set[any] -> z: set[any]", Infallible, Arguments(0)),
    row("any", 1, "any<array[any], set[any]> -> boolean", Infallible, Flat).deprecated("`xs[_] == true`"),
    row("array.concat", 2, "x: array[any], y: array[any] -> z: array[any]", Infallible, Arguments(0)),
    row("array.flatten", 1, "arr: array[any] -> flattened: array[any]", Infallible, Arguments(0)),
    row("array.reverse", 1, "arr: array[any] -> rev: array[any]", Infallible, Arguments(0)),
    row(
        "array.slice",
        3,
        "arr: array[any], start: number, stop: number -> slice: array[any]",
        Infallible,
        Arguments(0),
    ),
    lowered("assign", 2, "any, any -> boolean"),
    row("base64.decode", 1, "x: string -> y: string", Closed, Flat),
    row("base64.encode", 1, "x: string -> y: string", Closed, Flat),
    row("base64.is_valid", 1, "x: string -> result: boolean", Closed, Flat),
    row("base64url.decode", 1, "x: string -> y: string", Closed, Flat),
    row("base64url.encode", 1, "x: string -> y: string", Closed, Flat),
    row("base64url.encode_no_pad", 1, "x: string -> y: string", Closed, Flat),
    row("bits.and", 2, "x: number, y: number -> z: number", Closed, Flat),
    row("bits.lsh", 2, "x: number, s: number -> z: number", Closed, Flat),
    row("bits.negate", 1, "x: number -> z: number", Closed, Flat),
    row("bits.or", 2, "x: number, y: number -> z: number", Closed, Flat),
    row("bits.rsh", 2, "x: number, s: number -> z: number", Closed, Flat),
    row("bits.xor", 2, "x: number, y: number -> z: number", Closed, Flat),
    row("cast_array", 1, "any -> array[any]", Closed, Arguments(0)).deprecated("`[x | x := xs[_]]`"),
    row("cast_boolean", 1, "any -> boolean", Closed, Flat).deprecated("`is_boolean(x)` beside it"),
    row("cast_null", 1, "any -> null", Closed, Flat).deprecated("`is_null(x)` beside it"),
    row("cast_object", 1, "any -> object[any: any]", Closed, Arguments(0))
        .deprecated("`is_object(x)` beside it"),
    row("cast_set", 1, "any -> set[any]", Closed, Arguments(0)).deprecated("`{x | x := xs[_]}`"),
    row("cast_string", 1, "any -> string", Closed, Flat).deprecated("`is_string(x)` beside it"),
    row("ceil", 1, "x: number -> y: number", Infallible, Flat),
    row(
        "concat",
        2,
        "delimiter: string, collection: any<array[string], set[string]> -> output: string",
        Infallible,
        Flat,
    ),
    row("contains", 2, "haystack: string, needle: string -> result: boolean", Infallible, Flat),
    row(
        "count",
        1,
        "collection: any<string, array[any], object[any: any], set[any]> -> n: number",
        Infallible,
        Flat,
    ),
    row("crypto.hmac.equal", 2, "mac1: string, mac2: string -> result: boolean", Closed, Flat),
    row("crypto.hmac.md5", 2, "x: string, key: string -> y: string", Closed, Flat),
    row("crypto.hmac.sha1", 2, "x: string, key: string -> y: string", Closed, Flat),
    row("crypto.hmac.sha256", 2, "x: string, key: string -> y: string", Closed, Flat),
    row("crypto.hmac.sha512", 2, "x: string, key: string -> y: string", Closed, Flat),
    row("crypto.md5", 1, "x: string -> y: string", Closed, Flat),
    missing("crypto.parse_private_keys", 1, "keys: string -> output: array[object[string: any]]", None),
    row("crypto.sha1", 1, "x: string -> y: string", Closed, Flat),
    row("crypto.sha256", 1, "x: string -> y: string", Closed, Flat),
    missing(
        "crypto.x509.parse_and_verify_certificates",
        1,
        "certs: string -> output: array<boolean, array[object[string: any]]>",
        None,
    ),
    missing(
        "crypto.x509.parse_and_verify_certificates_with_options",
        2,
        "certs: string, options: object[string: any] -> output: array<boolean, array[object[string: any]]>",
        None,
    ),
    missing("crypto.x509.parse_certificate_request", 1, "csr: string -> output: object[string: any]", None),
    missing("crypto.x509.parse_certificates", 1, "certs: string -> output: array[object[string: any]]", None),
    missing("crypto.x509.parse_keypair", 2, "cert: string, pem: string -> output: object[string: any]", None),
    missing("crypto.x509.parse_rsa_private_key", 1, "pem: string -> output: object[string: any]", None),
    row("div", 2, "x: number, y: number -> z: number", Infallible, Flat),
    row("endswith", 2, "search: string, base: string -> result: boolean", Infallible, Flat),
    lowered("eq", 2, "any, any -> boolean"),
    row("equal", 2, "x: any, y: any -> result: boolean", Closed, Flat),
    row("external_data", 1, "any -> any", Asks, Bounded),
    row("floor", 1, "x: number -> y: number", Infallible, Flat),
    row("format_int", 2, "number: number, base: number -> output: string", Infallible, Flat),
    row(
        "glob.match",
        3,
        "pattern: string, delimiters: any<null, array[string]>, match: string -> result: boolean",
        Closed,
        Flat,
    ),
    row("glob.quote_meta", 1, "pattern: string -> output: string", Closed, Flat),
    row(
        "graph.reachable",
        2,
        "graph: object[any: any<array[any], set[any]>], initial: any<array[any], set[any]> -> output: set[any]",
        Closed,
        Arguments(2),
    ),
    row(
        "graph.reachable_paths",
        2,
        "graph: object[any: any<array[any], set[any]>], initial: any<array[any], set[any]> -> output: set[array[any]]",
        Closed,
        Arguments(2),
    ),
    missing(
        "graphql.is_valid",
        2,
        "query: any<string, object[any: any]>, schema: any<string, object[any: any]> -> output: boolean",
        None,
    ),
    missing(
        "graphql.parse",
        2,
        "query: any<string, object[any: any]>, schema: any<string, object[any: any]> -> output: array<object[any: any], object[any: any]>",
        None,
    ),
    missing(
        "graphql.parse_and_verify",
        2,
        "query: any<string, object[any: any]>, schema: any<string, object[any: any]> -> output: array<boolean, object[any: any], object[any: any]>",
        None,
    ),
    missing("graphql.parse_query", 1, "query: string -> output: object[any: any]", None),
    missing("graphql.parse_schema", 1, "schema: string -> output: object[any: any]", None),
    missing("graphql.schema_is_valid", 1, "schema: any<string, object[any: any]> -> output: boolean", None),
    row("gt", 2, "x: any, y: any -> result: boolean", Closed, Flat),
    row("gte", 2, "x: any, y: any -> result: boolean", Closed, Flat),
    row("hex.decode", 1, "x: string -> y: string", Closed, Flat),
    row("hex.encode", 1, "x: string -> y: string", Closed, Flat),
    missing(
        "http.send",
        1,
        "request: object[string: any] -> response: object[any: any]",
        Some("policies are evaluated without a network"),
    ),
    row("indexof", 2, "haystack: string, needle: string -> output: number", Infallible, Flat),
    row("indexof_n", 2, "haystack: string, needle: string -> output: array[number]", Closed, Flat),
    row("internal.member_2", 2, "any, any -> boolean", Closed, Flat),
    row("internal.member_3", 3, "any, any, any -> boolean", Closed, Flat),
    missing("internal.print", 1, "array[set[any]]", None),
    missing("internal.template_string", 1, "array[any] -> string", None),
    missing("internal.test_case", 1, "array[any]", None),
    row("intersection", 1, "xs: set[set[any]] -> y: set[any]", Infallible, Arguments(0)),
    row(
        "io.jwt.decode",
        1,
        "jwt: string -> output: array<object[any: any], object[any: any], string>",
        Closed,
        Bounded,
    ),
    missing(
        "io.jwt.decode_verify",
        2,
        "jwt: string, constraints: object[string: any] -> output: array<boolean, object[any: any], object[any: any]>",
        None,
    ),
    missing(
        "io.jwt.encode_sign",
        3,
        "headers: object[string: any], payload: object[string: any], key: object[string: any] -> output: string",
        None,
    ),
    missing(
        "io.jwt.encode_sign_raw",
        3,
        "headers: string, payload: string, key: string -> output: string",
        None,
    ),
    missing("io.jwt.verify_eddsa", 2, "jwt: string, certificate: string -> result: boolean", None),
    missing("io.jwt.verify_es256", 2, "jwt: string, certificate: string -> result: boolean", None),
    missing("io.jwt.verify_es384", 2, "jwt: string, certificate: string -> result: boolean", None),
    missing("io.jwt.verify_es512", 2, "jwt: string, certificate: string -> result: boolean", None),
    missing("io.jwt.verify_hs256", 2, "jwt: string, secret: string -> result: boolean", None),
    missing("io.jwt.verify_hs384", 2, "jwt: string, secret: string -> result: boolean", None),
    missing("io.jwt.verify_hs512", 2, "jwt: string, secret: string -> result: boolean", None),
    missing("io.jwt.verify_ps256", 2, "jwt: string, certificate: string -> result: boolean", None),
    missing("io.jwt.verify_ps384", 2, "jwt: string, certificate: string -> result: boolean", None),
    missing("io.jwt.verify_ps512", 2, "jwt: string, certificate: string -> result: boolean", None),
    missing("io.jwt.verify_rs256", 2, "jwt: string, certificate: string -> result: boolean", None),
    missing("io.jwt.verify_rs384", 2, "jwt: string, certificate: string -> result: boolean", None),
    missing("io.jwt.verify_rs512", 2, "jwt: string, certificate: string -> result: boolean", None),
    row("is_array", 1, "x: any -> result: boolean", Infallible, Flat),
    row("is_boolean", 1, "x: any -> result: boolean", Infallible, Flat),
    row("is_null", 1, "x: any -> result: boolean", Infallible, Flat),
    row("is_number", 1, "x: any -> result: boolean", Infallible, Flat),
    row("is_object", 1, "x: any -> result: boolean", Infallible, Flat),
    row("is_set", 1, "x: any -> result: boolean", Infallible, Flat),
    row("is_string", 1, "x: any -> result: boolean", Infallible, Flat),
    row(
        "json.filter",
        2,
        "object: object[any: any], paths: any<array[any<string, array[any]>], set[any<string, array[any]>]> -> filtered: object[any: any]",
        Closed,
        Bounded,
    ),
    row("json.is_valid", 1, "x: string -> result: boolean", Closed, Flat),
    row("json.marshal", 1, "x: any -> y: string", Closed, Flat),
    row(
        "json.marshal_with_options",
        2,
        "x: any, opts: object<indent: string, prefix: string, pretty: boolean>[string: any] -> y: string",
        Closed,
        Flat,
    ),
    missing(
        "json.match_schema",
        2,
        "document: any<string, object[any: any]>, schema: any<string, object[any: any]> -> output: array<boolean, array[object<desc: string, error: string, field: string, type: string>]>",
        None,
    ),
    row(
        "json.patch",
        2,
        "target: any, patches: array[object<op: string, path: any>[any: any]] -> output: any",
        Closed,
        Bounded,
    ),
    row(
        "json.remove",
        2,
        "object: object[any: any], paths: any<array[any<string, array[any]>], set[any<string, array[any]>]> -> output: object[any: any]",
        Closed,
        Bounded,
    ),
    row("json.unmarshal", 1, "x: string -> y: any", Closed, Bounded),
    missing(
        "json.verify_schema",
        1,
        "schema: any<string, object[any: any]> -> output: array<boolean, any<null, string>>",
        None,
    ),
    row("lower", 1, "x: string -> y: string", Infallible, Flat),
    row("lt", 2, "x: any, y: any -> result: boolean", Closed, Flat),
    row("lte", 2, "x: any, y: any -> result: boolean", Closed, Flat),
    row("max", 1, "collection: any<array[any], set[any]> -> n: any", Infallible, Arguments(0)),
    row("min", 1, "collection: any<array[any], set[any]> -> n: any", Infallible, Arguments(0)),
    row(
        "minus",
        2,
        "x: any<number, set[any]>, y: any<number, set[any]> -> z: any<number, set[any]>",
        Infallible,
        Arguments(0),
    ),
    row("mul", 2, "x: number, y: number -> z: number", Infallible, Flat),
    row("neq", 2, "x: any, y: any -> result: boolean", Closed, Flat),
    row("net.cidr_contains", 2, "cidr: string, cidr_or_ip: string -> result: boolean", Closed, Flat),
    row(
        "net.cidr_contains_matches",
        2,
        "cidrs: any<string, array[any<string, array[any]>], object[string: any<string, array[any]>], set[any<string, array[any]>]>, cidrs_or_ips: any<string, array[any<string, array[any]>], object[string: any<string, array[any]>], set[any<string, array[any]>]> -> output: set[array<any, any>]",
        Closed,
        Arguments(2),
    ),
    row("net.cidr_expand", 1, "cidr: string -> hosts: set[string]", Closed, Flat),
    row("net.cidr_intersects", 2, "cidr1: string, cidr2: string -> result: boolean", Closed, Flat),
    row("net.cidr_is_valid", 1, "cidr: string -> result: boolean", Closed, Flat),
    row(
        "net.cidr_merge",
        1,
        "addrs: any<array[any<string>], set[string]> -> output: set[string]",
        Closed,
        Flat,
    ),
    row("net.cidr_overlap", 2, "string, string -> boolean", Closed, Flat)
        .deprecated("`net.cidr_contains`, with the same arguments"),
    missing(
        "net.lookup_ip_addr",
        1,
        "name: string -> addrs: set[string]",
        Some("policies are evaluated without a network"),
    ),
    row("numbers.range", 2, "a: number, b: number -> range: array[number]", Closed, Flat),
    row("numbers.range_step", 3, "a: number, b: number, step: number -> range: array[number]", Closed, Flat),
    row(
        "object.filter",
        2,
        "object: object[any: any], keys: any<array[any], object[any: any], set[any]> -> filtered: object[any: any]",
        Infallible,
        Arguments(0),
    ),
    row(
        "object.get",
        3,
        "object: object[any: any], key: any, default: any -> value: any",
        Infallible,
        Arguments(0),
    ),
    row("object.keys", 1, "object: object[any: any] -> value: set[any]", Infallible, Arguments(2)),
    row(
        "object.remove",
        2,
        "object: object[any: any], keys: any<array[any], object[any: any], set[any]> -> output: object[any: any]",
        Infallible,
        Arguments(0),
    ),
    row(
        "object.subset",
        2,
        "super: any<array[any], object[any: any], set[any]>, sub: any<array[any], object[any: any], set[any]> -> result: boolean",
        Closed,
        Flat,
    ),
    row(
        "object.union",
        2,
        "a: object[any: any], b: object[any: any] -> output: object[any: any]",
        Infallible,
        Arguments(0),
    ),
    row(
        "object.union_n",
        1,
        "objects: array[object[any: any]] -> output: object[any: any]",
        Closed,
        Arguments(0),
    ),
    missing(
        "opa.runtime",
        0,
        "-> output: object[string: any]",
        Some("policies do not see where they are evaluated"),
    ),
    row("or", 2, "x: set[any], y: set[any] -> z: set[any]", Infallible, Arguments(0)),
    row("plus", 2, "x: number, y: number -> z: number", Infallible, Flat),
    row("product", 1, "collection: any<array[number], set[number]> -> n: number", Closed, Flat),
    missing(
        "providers.aws.sign_req",
        3,
        "request: object[string: any], aws_config: object[string: any], time_ns: number -> signed_request: object[any: any]",
        None,
    ),
    row("rand.intn", 2, "str: string, n: number -> y: number", Asks, Flat),
    row("re_match", 2, "string, string -> boolean", Closed, Flat)
        .pattern(0)
        .deprecated("`regex.match`, with the same arguments"),
    row(
        "regex.find_all_string_submatch_n",
        3,
        "pattern: string, value: string, number: number -> output: array[array[string]]",
        Closed,
        Flat,
    )
    .pattern(0),
    row(
        "regex.find_n",
        3,
        "pattern: string, value: string, number: number -> output: array[string]",
        Closed,
        Flat,
    )
    .pattern(0),
    row("regex.globs_match", 2, "glob1: string, glob2: string -> result: boolean", Closed, Flat),
    row("regex.is_valid", 1, "pattern: string -> result: boolean", Closed, Flat),
    row("regex.match", 2, "pattern: string, value: string -> result: boolean", Closed, Flat).pattern(0),
    row("regex.replace", 3, "s: string, pattern: string, value: string -> output: string", Closed, Flat)
        .pattern(1),
    row("regex.split", 2, "pattern: string, value: string -> output: array[string]", Closed, Flat).pattern(0),
    row(
        "regex.template_match",
        4,
        "template: string, value: string, delimiter_start: string, delimiter_end: string -> result: boolean",
        Closed,
        Flat,
    ),
    missing("rego.metadata.chain", 0, "-> chain: array[any]", None),
    missing("rego.metadata.rule", 0, "-> output: any", None),
    missing("rego.parse_module", 2, "filename: string, rego: string -> output: object[string: any]", None),
    row("rem", 2, "x: number, y: number -> z: number", Infallible, Flat),
    row("replace", 3, "x: string, old: string, new: string -> y: string", Infallible, Flat),
    row("round", 1, "x: number -> y: number", Infallible, Flat),
    row("semver.compare", 2, "a: string, b: string -> result: number", Closed, Flat),
    row("semver.is_valid", 1, "vsn: any -> result: boolean", Closed, Flat),
    row("set_diff", 2, "set[any], set[any] -> set[any]", Infallible, Arguments(0)).deprecated("`a - b`"),
    row("sort", 1, "collection: any<array[any], set[any]> -> n: array[any]", Infallible, Arguments(0)),
    row("split", 2, "x: string, delimiter: string -> ys: array[string]", Infallible, Flat),
    row("sprintf", 2, "format: string, values: array[any] -> output: string", Infallible, Flat),
    row("startswith", 2, "search: string, base: string -> result: boolean", Infallible, Flat),
    row(
        "strings.any_prefix_match",
        2,
        "search: any<string, array[string], set[string]>, base: any<string, array[string], set[string]> -> result: boolean",
        Closed,
        Flat,
    ),
    row(
        "strings.any_suffix_match",
        2,
        "search: any<string, array[string], set[string]>, base: any<string, array[string], set[string]> -> result: boolean",
        Closed,
        Flat,
    ),
    row("strings.count", 2, "search: string, substring: string -> output: number", Closed, Flat),
    missing("strings.render_template", 2, "value: string, vars: object[string: any] -> result: string", None),
    row(
        "strings.replace_n",
        2,
        "patterns: object[string: string], value: string -> output: string",
        Closed,
        Flat,
    ),
    row("strings.reverse", 1, "x: string -> y: string", Infallible, Flat),
    row("strings.split_n", 3, "x: string, delimiter: string, n: number -> ys: array[string]", Closed, Flat),
    row("substring", 3, "value: string, offset: number, length: number -> output: string", Infallible, Flat),
    row("sum", 1, "collection: any<array[number], set[number]> -> n: number", Infallible, Flat),
    missing("test.sleep", 1, "string -> null", None),
    row(
        "time.add_date",
        4,
        "ns: number, years: number, months: number, days: number -> output: number",
        Closed,
        Flat,
    ),
    row(
        "time.clock",
        1,
        "x: any<number, array<number, string>> -> output: array<number, number, number>",
        Closed,
        Flat,
    ),
    row(
        "time.date",
        1,
        "x: any<number, array<number, string>> -> date: array<number, number, number>",
        Closed,
        Flat,
    ),
    row(
        "time.diff",
        2,
        "ns1: any<number, array<number, string>>, ns2: any<number, array<number, string>> -> output: array<number, number, number, number, number, number>",
        Closed,
        Flat,
    ),
    row(
        "time.format",
        1,
        "x: any<number, array<number, string>, array<number, string, string>> -> formatted timestamp: string",
        Closed,
        Flat,
    ),
    row("time.now_ns", 0, "-> now: number", Asks, Flat),
    row("time.parse_duration_ns", 1, "duration: string -> ns: number", Closed, Flat),
    row("time.parse_ns", 2, "layout: string, value: string -> ns: number", Closed, Flat),
    row("time.parse_rfc3339_ns", 1, "value: string -> ns: number", Closed, Flat),
    row("time.weekday", 1, "x: any<number, array<number, string>> -> day: string", Closed, Flat),
    row("to_number", 1, "x: any<null, boolean, number, string> -> num: number", Infallible, Flat),
    row("trace", 1, "note: string -> result: boolean", Asks, Flat),
    row("trim", 2, "value: string, cutset: string -> output: string", Infallible, Flat),
    row("trim_left", 2, "value: string, cutset: string -> output: string", Infallible, Flat),
    row("trim_prefix", 2, "value: string, prefix: string -> output: string", Infallible, Flat),
    row("trim_right", 2, "value: string, cutset: string -> output: string", Infallible, Flat),
    row("trim_space", 1, "value: string -> output: string", Infallible, Flat),
    row("trim_suffix", 2, "value: string, suffix: string -> output: string", Infallible, Flat),
    row("type_name", 1, "x: any -> type: string", Infallible, Flat),
    row("union", 1, "xs: set[set[any]] -> y: set[any]", Infallible, Arguments(0)),
    row("units.parse", 1, "x: string -> y: number", Closed, Flat),
    row("units.parse_bytes", 1, "x: string -> y: number", Closed, Flat),
    row("upper", 1, "x: string -> y: string", Infallible, Flat),
    missing("uri.is_valid", 1, "uri: string -> result: boolean", None),
    missing("uri.parse", 1, "uri: string -> output: object[string: string]", None),
    row("urlquery.decode", 1, "x: string -> y: string", Closed, Flat),
    row("urlquery.decode_object", 1, "x: string -> object: object[string: array[string]]", Closed, Flat),
    row("urlquery.encode", 1, "x: string -> y: string", Closed, Flat),
    row(
        "urlquery.encode_object",
        1,
        "object: object[string: any<string, array[string], set[string]>] -> y: string",
        Closed,
        Flat,
    ),
    row("uuid.parse", 1, "uuid: string -> result: object[string: any]", Closed, Flat),
    row("uuid.rfc4122", 1, "k: string -> output: string", Asks, Flat),
    row("walk", 1, "x: any -> output: array<array[any], any>", Closed, Arguments(2)).relation(),
    row("yaml.is_valid", 1, "x: string -> result: boolean", Closed, Flat),
    row("yaml.marshal", 1, "x: any -> y: string", Closed, Flat),
    row("yaml.unmarshal", 1, "x: string -> y: any", Closed, Bounded),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_found() {
        assert!(BUILTINS.is_sorted_by(|one, other| one.name < other.name));
        assert!(all().all(|row| find(row.name).is_some_and(|found| found.name == row.name)));
        assert_eq!(find("nothing").map(|row| row.name), None);
    }

    #[test]
    fn what_is_not_evaluated_is_not_known_to_be_harmless() {
        for row in all() {
            let is_known = row.effects != Effects::Unknown && row.nesting != Nesting::Unknown;
            assert_eq!(is_known, row.answered == Answered::Evaluated, "{}", row.name);
        }
    }

    #[test]
    fn results_are_read_from_the_types() {
        let result = |name: &str| find(name).and_then(Builtin::result);
        assert_eq!(result("split"), Some(Shape::Array));
        assert_eq!(result("time.format"), Some(Shape::String));
        assert_eq!(result("json.marshal_with_options"), Some(Shape::String));
        assert_eq!(result("minus"), None);
        assert_eq!(result("opa.runtime"), Some(Shape::Object));
        assert_eq!(result("internal.print"), None);
    }

    #[test]
    fn patterns_are_texts() {
        for row in all() {
            if let Some(position) = row.pattern {
                let parameter =
                    row.signature.split("->").next().and_then(|types| types.split(',').nth(position));
                assert!(parameter.is_some_and(|parameter| parameter.contains("string")), "{}", row.name);
            }
        }
    }
}
