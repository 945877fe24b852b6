//! The names of OPA's builtin functions, how many arguments each takes, and the types of these and of the result. A call may
//! have one argument more: the result is then unified with it.

/// Number of arguments of the builtin `name`; none if there is no such builtin, or if it takes any number.
pub fn arity(name: &str) -> Option<usize> {
    BUILTINS
        .binary_search_by(|(known, ..)| (*known).cmp(name))
        .ok()
        .and_then(|at| BUILTINS.get(at))
        .map(|(_, n, _)| *n)
}

/// The types of the builtin `name`: `x: number, y: array[any] -> any<null, string>`. Names are there for messages only; without
/// `->` it returns nothing. None if there is no such builtin, or if it takes any number of arguments.
pub(crate) fn signature(name: &str) -> Option<&'static str> {
    let at = BUILTINS.binary_search_by(|(known, ..)| (*known).cmp(name)).ok()?;
    BUILTINS.get(at).map(|(_, _, signature)| *signature)
}

/// Whether OPA, or Gatekeeper on top of it, has a builtin of this name.
pub fn is_builtin(name: &str) -> bool {
    name == "print" || arity(name).is_some()
}

/// Whether Rego v1 refuses this builtin.
pub fn is_deprecated(name: &str) -> bool {
    matches!(
        name,
        "all"
            | "any"
            | "cast_array"
            | "cast_boolean"
            | "cast_null"
            | "cast_object"
            | "cast_set"
            | "cast_string"
            | "net.cidr_overlap"
            | "re_match"
            | "set_diff"
    )
}

/// The names of all builtins, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILTINS.iter().map(|(name, ..)| *name)
}

/// Name, number of arguments, types. Sorted by name: looked up by binary search.
static BUILTINS: &[(&str, usize, &str)] = &[
    ("abs", 1, "x: number -> y: number"),
    ("all", 1, "any<array[any], set[any]> -> boolean"),
    ("and", 2, "x: set[any], y: set[any] -> z: set[any]"),
    ("any", 1, "any<array[any], set[any]> -> boolean"),
    ("array.concat", 2, "x: array[any], y: array[any] -> z: array[any]"),
    ("array.flatten", 1, "arr: array[any] -> flattened: array[any]"),
    ("array.reverse", 1, "arr: array[any] -> rev: array[any]"),
    ("array.slice", 3, "arr: array[any], start: number, stop: number -> slice: array[any]"),
    ("assign", 2, "any, any -> boolean"),
    ("base64.decode", 1, "x: string -> y: string"),
    ("base64.encode", 1, "x: string -> y: string"),
    ("base64.is_valid", 1, "x: string -> result: boolean"),
    ("base64url.decode", 1, "x: string -> y: string"),
    ("base64url.encode", 1, "x: string -> y: string"),
    ("base64url.encode_no_pad", 1, "x: string -> y: string"),
    ("bits.and", 2, "x: number, y: number -> z: number"),
    ("bits.lsh", 2, "x: number, s: number -> z: number"),
    ("bits.negate", 1, "x: number -> z: number"),
    ("bits.or", 2, "x: number, y: number -> z: number"),
    ("bits.rsh", 2, "x: number, s: number -> z: number"),
    ("bits.xor", 2, "x: number, y: number -> z: number"),
    ("cast_array", 1, "any -> array[any]"),
    ("cast_boolean", 1, "any -> boolean"),
    ("cast_null", 1, "any -> null"),
    ("cast_object", 1, "any -> object[any: any]"),
    ("cast_set", 1, "any -> set[any]"),
    ("cast_string", 1, "any -> string"),
    ("ceil", 1, "x: number -> y: number"),
    ("concat", 2, "delimiter: string, collection: any<array[string], set[string]> -> output: string"),
    ("contains", 2, "haystack: string, needle: string -> result: boolean"),
    ("count", 1, "collection: any<string, array[any], object[any: any], set[any]> -> n: number"),
    ("crypto.hmac.equal", 2, "mac1: string, mac2: string -> result: boolean"),
    ("crypto.hmac.md5", 2, "x: string, key: string -> y: string"),
    ("crypto.hmac.sha1", 2, "x: string, key: string -> y: string"),
    ("crypto.hmac.sha256", 2, "x: string, key: string -> y: string"),
    ("crypto.hmac.sha512", 2, "x: string, key: string -> y: string"),
    ("crypto.md5", 1, "x: string -> y: string"),
    ("crypto.parse_private_keys", 1, "keys: string -> output: array[object[string: any]]"),
    ("crypto.sha1", 1, "x: string -> y: string"),
    ("crypto.sha256", 1, "x: string -> y: string"),
    (
        "crypto.x509.parse_and_verify_certificates",
        1,
        "certs: string -> output: array<boolean, array[object[string: any]]>",
    ),
    (
        "crypto.x509.parse_and_verify_certificates_with_options",
        2,
        "certs: string, options: object[string: any] -> output: array<boolean, array[object[string: any]]>",
    ),
    ("crypto.x509.parse_certificate_request", 1, "csr: string -> output: object[string: any]"),
    ("crypto.x509.parse_certificates", 1, "certs: string -> output: array[object[string: any]]"),
    ("crypto.x509.parse_keypair", 2, "cert: string, pem: string -> output: object[string: any]"),
    ("crypto.x509.parse_rsa_private_key", 1, "pem: string -> output: object[string: any]"),
    ("div", 2, "x: number, y: number -> z: number"),
    ("endswith", 2, "search: string, base: string -> result: boolean"),
    ("eq", 2, "any, any -> boolean"),
    ("equal", 2, "x: any, y: any -> result: boolean"),
    ("external_data", 1, "any -> any"),
    ("floor", 1, "x: number -> y: number"),
    ("format_int", 2, "number: number, base: number -> output: string"),
    (
        "glob.match",
        3,
        "pattern: string, delimiters: any<null, array[string]>, match: string -> result: boolean",
    ),
    ("glob.quote_meta", 1, "pattern: string -> output: string"),
    (
        "graph.reachable",
        2,
        "graph: object[any: any<array[any], set[any]>], initial: any<array[any], set[any]> -> output: set[any]",
    ),
    (
        "graph.reachable_paths",
        2,
        "graph: object[any: any<array[any], set[any]>], initial: any<array[any], set[any]> -> output: set[array[any]]",
    ),
    (
        "graphql.is_valid",
        2,
        "query: any<string, object[any: any]>, schema: any<string, object[any: any]> -> output: boolean",
    ),
    (
        "graphql.parse",
        2,
        "query: any<string, object[any: any]>, schema: any<string, object[any: any]> -> output: array<object[any: any], object[any: any]>",
    ),
    (
        "graphql.parse_and_verify",
        2,
        "query: any<string, object[any: any]>, schema: any<string, object[any: any]> -> output: array<boolean, object[any: any], object[any: any]>",
    ),
    ("graphql.parse_query", 1, "query: string -> output: object[any: any]"),
    ("graphql.parse_schema", 1, "schema: string -> output: object[any: any]"),
    ("graphql.schema_is_valid", 1, "schema: any<string, object[any: any]> -> output: boolean"),
    ("gt", 2, "x: any, y: any -> result: boolean"),
    ("gte", 2, "x: any, y: any -> result: boolean"),
    ("hex.decode", 1, "x: string -> y: string"),
    ("hex.encode", 1, "x: string -> y: string"),
    ("http.send", 1, "request: object[string: any] -> response: object[any: any]"),
    ("indexof", 2, "haystack: string, needle: string -> output: number"),
    ("indexof_n", 2, "haystack: string, needle: string -> output: array[number]"),
    ("internal.member_2", 2, "any, any -> boolean"),
    ("internal.member_3", 3, "any, any, any -> boolean"),
    ("internal.print", 1, "array[set[any]]"),
    ("internal.template_string", 1, "array[any] -> string"),
    ("internal.test_case", 1, "array[any]"),
    ("intersection", 1, "xs: set[set[any]] -> y: set[any]"),
    ("io.jwt.decode", 1, "jwt: string -> output: array<object[any: any], object[any: any], string>"),
    (
        "io.jwt.decode_verify",
        2,
        "jwt: string, constraints: object[string: any] -> output: array<boolean, object[any: any], object[any: any]>",
    ),
    (
        "io.jwt.encode_sign",
        3,
        "headers: object[string: any], payload: object[string: any], key: object[string: any] -> output: string",
    ),
    ("io.jwt.encode_sign_raw", 3, "headers: string, payload: string, key: string -> output: string"),
    ("io.jwt.verify_eddsa", 2, "jwt: string, certificate: string -> result: boolean"),
    ("io.jwt.verify_es256", 2, "jwt: string, certificate: string -> result: boolean"),
    ("io.jwt.verify_es384", 2, "jwt: string, certificate: string -> result: boolean"),
    ("io.jwt.verify_es512", 2, "jwt: string, certificate: string -> result: boolean"),
    ("io.jwt.verify_hs256", 2, "jwt: string, secret: string -> result: boolean"),
    ("io.jwt.verify_hs384", 2, "jwt: string, secret: string -> result: boolean"),
    ("io.jwt.verify_hs512", 2, "jwt: string, secret: string -> result: boolean"),
    ("io.jwt.verify_ps256", 2, "jwt: string, certificate: string -> result: boolean"),
    ("io.jwt.verify_ps384", 2, "jwt: string, certificate: string -> result: boolean"),
    ("io.jwt.verify_ps512", 2, "jwt: string, certificate: string -> result: boolean"),
    ("io.jwt.verify_rs256", 2, "jwt: string, certificate: string -> result: boolean"),
    ("io.jwt.verify_rs384", 2, "jwt: string, certificate: string -> result: boolean"),
    ("io.jwt.verify_rs512", 2, "jwt: string, certificate: string -> result: boolean"),
    ("is_array", 1, "x: any -> result: boolean"),
    ("is_boolean", 1, "x: any -> result: boolean"),
    ("is_null", 1, "x: any -> result: boolean"),
    ("is_number", 1, "x: any -> result: boolean"),
    ("is_object", 1, "x: any -> result: boolean"),
    ("is_set", 1, "x: any -> result: boolean"),
    ("is_string", 1, "x: any -> result: boolean"),
    (
        "json.filter",
        2,
        "object: object[any: any], paths: any<array[any<string, array[any]>], set[any<string, array[any]>]> -> filtered: object[any: any]",
    ),
    ("json.is_valid", 1, "x: string -> result: boolean"),
    ("json.marshal", 1, "x: any -> y: string"),
    (
        "json.marshal_with_options",
        2,
        "x: any, opts: object<indent: string, prefix: string, pretty: boolean>[string: any] -> y: string",
    ),
    (
        "json.match_schema",
        2,
        "document: any<string, object[any: any]>, schema: any<string, object[any: any]> -> output: array<boolean, array[object<desc: string, error: string, field: string, type: string>]>",
    ),
    ("json.patch", 2, "target: any, patches: array[object<op: string, path: any>[any: any]] -> output: any"),
    (
        "json.remove",
        2,
        "object: object[any: any], paths: any<array[any<string, array[any]>], set[any<string, array[any]>]> -> output: object[any: any]",
    ),
    ("json.unmarshal", 1, "x: string -> y: any"),
    (
        "json.verify_schema",
        1,
        "schema: any<string, object[any: any]> -> output: array<boolean, any<null, string>>",
    ),
    ("lower", 1, "x: string -> y: string"),
    ("lt", 2, "x: any, y: any -> result: boolean"),
    ("lte", 2, "x: any, y: any -> result: boolean"),
    ("max", 1, "collection: any<array[any], set[any]> -> n: any"),
    ("min", 1, "collection: any<array[any], set[any]> -> n: any"),
    ("minus", 2, "x: any<number, set[any]>, y: any<number, set[any]> -> z: any<number, set[any]>"),
    ("mul", 2, "x: number, y: number -> z: number"),
    ("neq", 2, "x: any, y: any -> result: boolean"),
    ("net.cidr_contains", 2, "cidr: string, cidr_or_ip: string -> result: boolean"),
    (
        "net.cidr_contains_matches",
        2,
        "cidrs: any<string, array[any<string, array[any]>], object[string: any<string, array[any]>], set[any<string, array[any]>]>, cidrs_or_ips: any<string, array[any<string, array[any]>], object[string: any<string, array[any]>], set[any<string, array[any]>]> -> output: set[array<any, any>]",
    ),
    ("net.cidr_expand", 1, "cidr: string -> hosts: set[string]"),
    ("net.cidr_intersects", 2, "cidr1: string, cidr2: string -> result: boolean"),
    ("net.cidr_is_valid", 1, "cidr: string -> result: boolean"),
    ("net.cidr_merge", 1, "addrs: any<array[any<string>], set[string]> -> output: set[string]"),
    ("net.cidr_overlap", 2, "string, string -> boolean"),
    ("net.lookup_ip_addr", 1, "name: string -> addrs: set[string]"),
    ("numbers.range", 2, "a: number, b: number -> range: array[number]"),
    ("numbers.range_step", 3, "a: number, b: number, step: number -> range: array[number]"),
    (
        "object.filter",
        2,
        "object: object[any: any], keys: any<array[any], object[any: any], set[any]> -> filtered: object[any: any]",
    ),
    ("object.get", 3, "object: object[any: any], key: any, default: any -> value: any"),
    ("object.keys", 1, "object: object[any: any] -> value: set[any]"),
    (
        "object.remove",
        2,
        "object: object[any: any], keys: any<array[any], object[any: any], set[any]> -> output: object[any: any]",
    ),
    (
        "object.subset",
        2,
        "super: any<array[any], object[any: any], set[any]>, sub: any<array[any], object[any: any], set[any]> -> result: boolean",
    ),
    ("object.union", 2, "a: object[any: any], b: object[any: any] -> output: object[any: any]"),
    ("object.union_n", 1, "objects: array[object[any: any]] -> output: object[any: any]"),
    ("opa.runtime", 0, "-> output: object[string: any]"),
    ("or", 2, "x: set[any], y: set[any] -> z: set[any]"),
    ("plus", 2, "x: number, y: number -> z: number"),
    ("product", 1, "collection: any<array[number], set[number]> -> n: number"),
    (
        "providers.aws.sign_req",
        3,
        "request: object[string: any], aws_config: object[string: any], time_ns: number -> signed_request: object[any: any]",
    ),
    ("rand.intn", 2, "str: string, n: number -> y: number"),
    ("re_match", 2, "string, string -> boolean"),
    (
        "regex.find_all_string_submatch_n",
        3,
        "pattern: string, value: string, number: number -> output: array[array[string]]",
    ),
    ("regex.find_n", 3, "pattern: string, value: string, number: number -> output: array[string]"),
    ("regex.globs_match", 2, "glob1: string, glob2: string -> result: boolean"),
    ("regex.is_valid", 1, "pattern: string -> result: boolean"),
    ("regex.match", 2, "pattern: string, value: string -> result: boolean"),
    ("regex.replace", 3, "s: string, pattern: string, value: string -> output: string"),
    ("regex.split", 2, "pattern: string, value: string -> output: array[string]"),
    (
        "regex.template_match",
        4,
        "template: string, value: string, delimiter_start: string, delimiter_end: string -> result: boolean",
    ),
    ("rego.metadata.chain", 0, "-> chain: array[any]"),
    ("rego.metadata.rule", 0, "-> output: any"),
    ("rego.parse_module", 2, "filename: string, rego: string -> output: object[string: any]"),
    ("rem", 2, "x: number, y: number -> z: number"),
    ("replace", 3, "x: string, old: string, new: string -> y: string"),
    ("round", 1, "x: number -> y: number"),
    ("semver.compare", 2, "a: string, b: string -> result: number"),
    ("semver.is_valid", 1, "vsn: any -> result: boolean"),
    ("set_diff", 2, "set[any], set[any] -> set[any]"),
    ("sort", 1, "collection: any<array[any], set[any]> -> n: array[any]"),
    ("split", 2, "x: string, delimiter: string -> ys: array[string]"),
    ("sprintf", 2, "format: string, values: array[any] -> output: string"),
    ("startswith", 2, "search: string, base: string -> result: boolean"),
    (
        "strings.any_prefix_match",
        2,
        "search: any<string, array[string], set[string]>, base: any<string, array[string], set[string]> -> result: boolean",
    ),
    (
        "strings.any_suffix_match",
        2,
        "search: any<string, array[string], set[string]>, base: any<string, array[string], set[string]> -> result: boolean",
    ),
    ("strings.count", 2, "search: string, substring: string -> output: number"),
    ("strings.render_template", 2, "value: string, vars: object[string: any] -> result: string"),
    ("strings.replace_n", 2, "patterns: object[string: string], value: string -> output: string"),
    ("strings.reverse", 1, "x: string -> y: string"),
    ("strings.split_n", 3, "x: string, delimiter: string, n: number -> ys: array[string]"),
    ("substring", 3, "value: string, offset: number, length: number -> output: string"),
    ("sum", 1, "collection: any<array[number], set[number]> -> n: number"),
    ("test.sleep", 1, "string -> null"),
    ("time.add_date", 4, "ns: number, years: number, months: number, days: number -> output: number"),
    ("time.clock", 1, "x: any<number, array<number, string>> -> output: array<number, number, number>"),
    ("time.date", 1, "x: any<number, array<number, string>> -> date: array<number, number, number>"),
    (
        "time.diff",
        2,
        "ns1: any<number, array<number, string>>, ns2: any<number, array<number, string>> -> output: array<number, number, number, number, number, number>",
    ),
    (
        "time.format",
        1,
        "x: any<number, array<number, string>, array<number, string, string>> -> formatted timestamp: string",
    ),
    ("time.now_ns", 0, "-> now: number"),
    ("time.parse_duration_ns", 1, "duration: string -> ns: number"),
    ("time.parse_ns", 2, "layout: string, value: string -> ns: number"),
    ("time.parse_rfc3339_ns", 1, "value: string -> ns: number"),
    ("time.weekday", 1, "x: any<number, array<number, string>> -> day: string"),
    ("to_number", 1, "x: any<null, boolean, number, string> -> num: number"),
    ("trace", 1, "note: string -> result: boolean"),
    ("trim", 2, "value: string, cutset: string -> output: string"),
    ("trim_left", 2, "value: string, cutset: string -> output: string"),
    ("trim_prefix", 2, "value: string, prefix: string -> output: string"),
    ("trim_right", 2, "value: string, cutset: string -> output: string"),
    ("trim_space", 1, "value: string -> output: string"),
    ("trim_suffix", 2, "value: string, suffix: string -> output: string"),
    ("type_name", 1, "x: any -> type: string"),
    ("union", 1, "xs: set[set[any]] -> y: set[any]"),
    ("units.parse", 1, "x: string -> y: number"),
    ("units.parse_bytes", 1, "x: string -> y: number"),
    ("upper", 1, "x: string -> y: string"),
    ("uri.is_valid", 1, "uri: string -> result: boolean"),
    ("uri.parse", 1, "uri: string -> output: object[string: string]"),
    ("urlquery.decode", 1, "x: string -> y: string"),
    ("urlquery.decode_object", 1, "x: string -> object: object[string: array[string]]"),
    ("urlquery.encode", 1, "x: string -> y: string"),
    (
        "urlquery.encode_object",
        1,
        "object: object[string: any<string, array[string], set[string]>] -> y: string",
    ),
    ("uuid.parse", 1, "uuid: string -> result: object[string: any]"),
    ("uuid.rfc4122", 1, "k: string -> output: string"),
    ("walk", 1, "x: any -> output: array<array[any], any>"),
    ("yaml.is_valid", 1, "x: string -> result: boolean"),
    ("yaml.marshal", 1, "x: any -> y: string"),
    ("yaml.unmarshal", 1, "x: string -> y: any"),
];
