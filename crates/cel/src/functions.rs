//! The functions that there are: names, overloads and types, as the API server of Kubernetes 1.36 declares
//! them for expressions that are stored.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::types::{Type, instantiate, signature_type, signature_types};

/// How an overload is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `f(a, b)`.
    Global,
    /// `a.f(b)`.
    Member,
}

use Style::{Global, Member};

/// A function as the table has it.
struct Row {
    function: Function,
    name: &'static str,
    /// One implementation for all overloads, which looks at the values itself.
    singleton: bool,
    overloads: &'static [(Style, &'static str, &'static str, &'static str)],
}

/// One way to call a function.
#[derive(Debug)]
pub(crate) struct Overload {
    pub id: &'static str,
    pub style: Style,
    pub args: Vec<Type>,
    pub result: Type,
    /// How many types of it are found out.
    pub params: usize,
}

/// What is declared of a function.
#[derive(Debug)]
pub(crate) struct Declaration {
    pub function: Function,
    pub name: &'static str,
    pub singleton: bool,
    pub overloads: Vec<Overload>,
}

/// All functions by name. It is made of the table below, once.
static DECLARATIONS: LazyLock<BTreeMap<&'static str, Declaration>> =
    LazyLock::new(|| TABLE.iter().map(|row| (row.name, declaration(row))).collect());

fn declaration(row: &Row) -> Declaration {
    let overload = |(style, id, args, result): &(Style, &'static str, &'static str, &'static str)| {
        let (mut args, mut result) = (signature_types(args), signature_type(result));
        let mut names: Vec<u32> = Vec::new();
        args.iter().chain([&result]).for_each(|ty| collect(ty, &mut names));
        // They are numbered from nothing on, whatever they are called.
        let mut numbered = vec![Type::Dyn; names.iter().max().map_or(0, |most| *most as usize + 1)];
        for (number, name) in (0..).zip(&names) {
            if let Some(place) = numbered.get_mut(*name as usize) {
                *place = Type::Param(number);
            }
        }
        for ty in &mut args {
            *ty = instantiate(ty, &numbered);
        }
        result = instantiate(&result, &numbered);
        Overload { id, style: *style, args, result, params: names.len() }
    };
    let overloads = row.overloads.iter().map(overload).collect();
    Declaration { function: row.function, name: row.name, singleton: row.singleton, overloads }
}

/// The types of a signature that are found out, each once.
fn collect(ty: &Type, names: &mut Vec<u32>) {
    if let Type::Param(number) = ty
        && !names.contains(number)
    {
        names.push(*number);
    }
    for part in ty.parts() {
        collect(part, names);
    }
}

/// The function of this name.
pub(crate) fn find(name: &str) -> Option<&'static Declaration> {
    DECLARATIONS.get(name)
}

/// A function of CEL that expressions may call by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionInfo {
    /// Its name.
    pub name: &'static str,
    /// Whether it is called on a value: `a.f(b)`. Some functions may be called in both ways.
    pub is_member: bool,
    /// Each way to call it, such as `string.startsWith(string) -> bool`.
    pub signatures: Vec<String>,
}

/// The functions that have a name which can be written, by name. Operators are not among them.
#[must_use]
pub fn functions() -> Vec<FunctionInfo> {
    let is_word = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    let named = DECLARATIONS.values().filter(|declaration| is_word(declaration.name));
    named
        .map(|declaration| FunctionInfo {
            name: declaration.name,
            is_member: declaration.overloads.iter().any(|overload| overload.style == Member),
            signatures: declaration
                .overloads
                .iter()
                .map(|overload| signature(declaration.name, overload))
                .collect(),
        })
        .collect()
}

fn signature(name: &str, overload: &Overload) -> String {
    let mut args: Vec<String> = overload.args.iter().map(ToString::to_string).collect();
    let on = match overload.style {
        Member if !args.is_empty() => format!("{}.", args.remove(0)),
        _ => String::new(),
    };
    format!("{on}{name}({}) -> {}", args.join(", "), overload.result)
}

/// The functions, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Function {
    Conditional,
    And,
    Or,
    Not,
    NotStrictlyFalse,
    Equals,
    NotEquals,
    Add,
    Divide,
    Modulo,
    Multiply,
    Negate,
    Subtract,
    Less,
    LessEquals,
    Greater,
    GreaterEquals,
    Index,
    OptIndex,
    OptSelect,
    In,
    Size,
    Type,
    Bool,
    Bytes,
    Double,
    Duration,
    Dyn,
    Int,
    String,
    Timestamp,
    Uint,
    Contains,
    EndsWith,
    StartsWith,
    Matches,
    GetFullYear,
    GetMonth,
    GetDayOfYear,
    GetDayOfMonth,
    GetDate,
    GetDayOfWeek,
    GetHours,
    GetMinutes,
    GetSeconds,
    GetMilliseconds,
    Url,
    IsUrl,
    GetScheme,
    GetHost,
    GetHostname,
    GetPort,
    GetEscapedPath,
    GetQuery,
    Find,
    FindAll,
    IsSorted,
    Sum,
    Max,
    Min,
    IndexOf,
    LastIndexOf,
    Path,
    Group,
    ServiceAccount,
    Resource,
    Subresource,
    Namespace,
    Name,
    Check,
    Errored,
    DecisionError,
    Allowed,
    Reason,
    FieldSelector,
    LabelSelector,
    OptionalOf,
    OptionalOfNonZeroValue,
    OptionalNone,
    Value,
    HasValue,
    OptionalOr,
    OptionalOrValue,
    Last,
    First,
    OptionalUnwrap,
    UnwrapOpt,
    Quantity,
    IsQuantity,
    Sign,
    IsGreaterThan,
    IsLessThan,
    CompareTo,
    AsApproximateFloat,
    AsInteger,
    IsInteger,
    QuantityAdd,
    QuantitySub,
    CharAt,
    LowerAscii,
    Replace,
    Split,
    Substring,
    Trim,
    UpperAscii,
    Format,
    Quote,
    Join,
    SetsContains,
    SetsEquivalent,
    SetsIntersects,
    Ip,
    Family,
    IsCanonical,
    IsUnspecified,
    IsLoopback,
    IsLinkLocalMulticast,
    IsLinkLocalUnicast,
    IsGlobalUnicast,
    IsIp,
    Cidr,
    ContainsIp,
    ContainsCidr,
    PrefixLength,
    Masked,
    IsCidr,
    Validate,
    FormatNamed,
    FormatDns1123Label,
    FormatDns1123Subdomain,
    FormatDns1035Label,
    FormatQualifiedName,
    FormatDns1123LabelPrefix,
    FormatDns1123SubdomainPrefix,
    FormatDns1035LabelPrefix,
    FormatLabelValue,
    FormatUri,
    FormatUuid,
    FormatByte,
    FormatDate,
    FormatDatetime,
    MapInsert,
    Semver,
    IsSemver,
    Major,
    Minor,
    Patch,
    Slice,
    Flatten,
    Sort,
    SortByKeys,
    Range,
    Reverse,
    Distinct,
    EscapeKey,
}

static TABLE: &[Row] = &[
    Row {
        function: Function::Conditional,
        name: "_?_:_",
        singleton: true,
        overloads: &[(Global, "conditional", "bool, A, A", "A")],
    },
    Row {
        function: Function::And,
        name: "_&&_",
        singleton: true,
        overloads: &[(Global, "logical_and", "bool, bool", "bool")],
    },
    Row {
        function: Function::Or,
        name: "_||_",
        singleton: true,
        overloads: &[(Global, "logical_or", "bool, bool", "bool")],
    },
    Row {
        function: Function::Not,
        name: "!_",
        singleton: true,
        overloads: &[(Global, "logical_not", "bool", "bool")],
    },
    Row {
        function: Function::NotStrictlyFalse,
        name: "@not_strictly_false",
        singleton: false,
        overloads: &[(Global, "not_strictly_false", "bool", "bool")],
    },
    Row {
        function: Function::Equals,
        name: "_==_",
        singleton: true,
        overloads: &[(Global, "equals", "A, A", "bool")],
    },
    Row {
        function: Function::NotEquals,
        name: "_!=_",
        singleton: true,
        overloads: &[(Global, "not_equals", "A, A", "bool")],
    },
    Row {
        function: Function::Add,
        name: "_+_",
        singleton: true,
        overloads: &[
            (Global, "add_bytes", "bytes, bytes", "bytes"),
            (Global, "add_double", "double, double", "double"),
            (Global, "add_duration_duration", "duration, duration", "duration"),
            (Global, "add_duration_timestamp", "duration, timestamp", "timestamp"),
            (Global, "add_timestamp_duration", "timestamp, duration", "timestamp"),
            (Global, "add_int64", "int, int", "int"),
            (Global, "add_list", "list(A), list(A)", "list(A)"),
            (Global, "add_string", "string, string", "string"),
            (Global, "add_uint64", "uint, uint", "uint"),
        ],
    },
    Row {
        function: Function::Divide,
        name: "_/_",
        singleton: true,
        overloads: &[
            (Global, "divide_double", "double, double", "double"),
            (Global, "divide_int64", "int, int", "int"),
            (Global, "divide_uint64", "uint, uint", "uint"),
        ],
    },
    Row {
        function: Function::Modulo,
        name: "_%_",
        singleton: true,
        overloads: &[
            (Global, "modulo_int64", "int, int", "int"),
            (Global, "modulo_uint64", "uint, uint", "uint"),
        ],
    },
    Row {
        function: Function::Multiply,
        name: "_*_",
        singleton: true,
        overloads: &[
            (Global, "multiply_double", "double, double", "double"),
            (Global, "multiply_int64", "int, int", "int"),
            (Global, "multiply_uint64", "uint, uint", "uint"),
        ],
    },
    Row {
        function: Function::Negate,
        name: "-_",
        singleton: true,
        overloads: &[(Global, "negate_double", "double", "double"), (Global, "negate_int64", "int", "int")],
    },
    Row {
        function: Function::Subtract,
        name: "_-_",
        singleton: true,
        overloads: &[
            (Global, "subtract_double", "double, double", "double"),
            (Global, "subtract_duration_duration", "duration, duration", "duration"),
            (Global, "subtract_int64", "int, int", "int"),
            (Global, "subtract_timestamp_duration", "timestamp, duration", "timestamp"),
            (Global, "subtract_timestamp_timestamp", "timestamp, timestamp", "duration"),
            (Global, "subtract_uint64", "uint, uint", "uint"),
        ],
    },
    Row {
        function: Function::Less,
        name: "_<_",
        singleton: true,
        overloads: &[
            (Global, "less_bool", "bool, bool", "bool"),
            (Global, "less_int64", "int, int", "bool"),
            (Global, "less_int64_double", "int, double", "bool"),
            (Global, "less_int64_uint64", "int, uint", "bool"),
            (Global, "less_uint64", "uint, uint", "bool"),
            (Global, "less_uint64_double", "uint, double", "bool"),
            (Global, "less_uint64_int64", "uint, int", "bool"),
            (Global, "less_double", "double, double", "bool"),
            (Global, "less_double_int64", "double, int", "bool"),
            (Global, "less_double_uint64", "double, uint", "bool"),
            (Global, "less_string", "string, string", "bool"),
            (Global, "less_bytes", "bytes, bytes", "bool"),
            (Global, "less_timestamp", "timestamp, timestamp", "bool"),
            (Global, "less_duration", "duration, duration", "bool"),
        ],
    },
    Row {
        function: Function::LessEquals,
        name: "_<=_",
        singleton: true,
        overloads: &[
            (Global, "less_equals_bool", "bool, bool", "bool"),
            (Global, "less_equals_int64", "int, int", "bool"),
            (Global, "less_equals_int64_double", "int, double", "bool"),
            (Global, "less_equals_int64_uint64", "int, uint", "bool"),
            (Global, "less_equals_uint64", "uint, uint", "bool"),
            (Global, "less_equals_uint64_double", "uint, double", "bool"),
            (Global, "less_equals_uint64_int64", "uint, int", "bool"),
            (Global, "less_equals_double", "double, double", "bool"),
            (Global, "less_equals_double_int64", "double, int", "bool"),
            (Global, "less_equals_double_uint64", "double, uint", "bool"),
            (Global, "less_equals_string", "string, string", "bool"),
            (Global, "less_equals_bytes", "bytes, bytes", "bool"),
            (Global, "less_equals_timestamp", "timestamp, timestamp", "bool"),
            (Global, "less_equals_duration", "duration, duration", "bool"),
        ],
    },
    Row {
        function: Function::Greater,
        name: "_>_",
        singleton: true,
        overloads: &[
            (Global, "greater_bool", "bool, bool", "bool"),
            (Global, "greater_int64", "int, int", "bool"),
            (Global, "greater_int64_double", "int, double", "bool"),
            (Global, "greater_int64_uint64", "int, uint", "bool"),
            (Global, "greater_uint64", "uint, uint", "bool"),
            (Global, "greater_uint64_double", "uint, double", "bool"),
            (Global, "greater_uint64_int64", "uint, int", "bool"),
            (Global, "greater_double", "double, double", "bool"),
            (Global, "greater_double_int64", "double, int", "bool"),
            (Global, "greater_double_uint64", "double, uint", "bool"),
            (Global, "greater_string", "string, string", "bool"),
            (Global, "greater_bytes", "bytes, bytes", "bool"),
            (Global, "greater_timestamp", "timestamp, timestamp", "bool"),
            (Global, "greater_duration", "duration, duration", "bool"),
        ],
    },
    Row {
        function: Function::GreaterEquals,
        name: "_>=_",
        singleton: true,
        overloads: &[
            (Global, "greater_equals_bool", "bool, bool", "bool"),
            (Global, "greater_equals_int64", "int, int", "bool"),
            (Global, "greater_equals_int64_double", "int, double", "bool"),
            (Global, "greater_equals_int64_uint64", "int, uint", "bool"),
            (Global, "greater_equals_uint64", "uint, uint", "bool"),
            (Global, "greater_equals_uint64_double", "uint, double", "bool"),
            (Global, "greater_equals_uint64_int64", "uint, int", "bool"),
            (Global, "greater_equals_double", "double, double", "bool"),
            (Global, "greater_equals_double_int64", "double, int", "bool"),
            (Global, "greater_equals_double_uint64", "double, uint", "bool"),
            (Global, "greater_equals_string", "string, string", "bool"),
            (Global, "greater_equals_bytes", "bytes, bytes", "bool"),
            (Global, "greater_equals_timestamp", "timestamp, timestamp", "bool"),
            (Global, "greater_equals_duration", "duration, duration", "bool"),
        ],
    },
    Row {
        function: Function::Index,
        name: "_[_]",
        singleton: true,
        overloads: &[
            (Global, "index_list", "list(A), int", "A"),
            (Global, "index_map", "map(A, B), A", "B"),
            (Global, "optional_list_index_int", "optional(list(V)), int", "optional(V)"),
            (Global, "optional_map_index_value", "optional(map(K, V)), K", "optional(V)"),
        ],
    },
    Row {
        function: Function::OptIndex,
        name: "_[?_]",
        singleton: true,
        overloads: &[
            (Global, "list_optindex_optional_int", "list(V), int", "optional(V)"),
            (Global, "optional_list_optindex_optional_int", "optional(list(V)), int", "optional(V)"),
            (Global, "map_optindex_optional_value", "map(K, V), K", "optional(V)"),
            (Global, "optional_map_optindex_optional_value", "optional(map(K, V)), K", "optional(V)"),
        ],
    },
    Row {
        function: Function::OptSelect,
        name: "_?._",
        singleton: true,
        overloads: &[(Global, "select_optional_field", "dyn, string", "optional(V)")],
    },
    Row {
        function: Function::In,
        name: "@in",
        singleton: true,
        overloads: &[(Global, "in_list", "A, list(A)", "bool"), (Global, "in_map", "A, map(A, B)", "bool")],
    },
    Row {
        function: Function::Size,
        name: "size",
        singleton: true,
        overloads: &[
            (Global, "size_bytes", "bytes", "int"),
            (Member, "bytes_size", "bytes", "int"),
            (Global, "size_list", "list(A)", "int"),
            (Member, "list_size", "list(A)", "int"),
            (Global, "size_map", "map(A, B)", "int"),
            (Member, "map_size", "map(A, B)", "int"),
            (Global, "size_string", "string", "int"),
            (Member, "string_size", "string", "int"),
        ],
    },
    Row {
        function: Function::Type,
        name: "type",
        singleton: true,
        overloads: &[(Global, "type", "A", "type(A)")],
    },
    Row {
        function: Function::Bool,
        name: "bool",
        singleton: false,
        overloads: &[(Global, "bool_to_bool", "bool", "bool"), (Global, "string_to_bool", "string", "bool")],
    },
    Row {
        function: Function::Bytes,
        name: "bytes",
        singleton: false,
        overloads: &[
            (Global, "bytes_to_bytes", "bytes", "bytes"),
            (Global, "string_to_bytes", "string", "bytes"),
        ],
    },
    Row {
        function: Function::Double,
        name: "double",
        singleton: false,
        overloads: &[
            (Global, "double_to_double", "double", "double"),
            (Global, "int64_to_double", "int", "double"),
            (Global, "string_to_double", "string", "double"),
            (Global, "uint64_to_double", "uint", "double"),
        ],
    },
    Row {
        function: Function::Duration,
        name: "duration",
        singleton: false,
        overloads: &[
            (Global, "duration_to_duration", "duration", "duration"),
            (Global, "int64_to_duration", "int", "duration"),
            (Global, "string_to_duration", "string", "duration"),
        ],
    },
    Row {
        function: Function::Dyn,
        name: "dyn",
        singleton: true,
        overloads: &[(Global, "to_dyn", "A", "dyn")],
    },
    Row {
        function: Function::Int,
        name: "int",
        singleton: false,
        overloads: &[
            (Global, "int64_to_int64", "int", "int"),
            (Global, "double_to_int64", "double", "int"),
            (Global, "duration_to_int64", "duration", "int"),
            (Global, "string_to_int64", "string", "int"),
            (Global, "timestamp_to_int64", "timestamp", "int"),
            (Global, "uint64_to_int64", "uint", "int"),
        ],
    },
    Row {
        function: Function::String,
        name: "string",
        singleton: false,
        overloads: &[
            (Global, "string_to_string", "string", "string"),
            (Global, "bool_to_string", "bool", "string"),
            (Global, "bytes_to_string", "bytes", "string"),
            (Global, "double_to_string", "double", "string"),
            (Global, "duration_to_string", "duration", "string"),
            (Global, "int64_to_string", "int", "string"),
            (Global, "timestamp_to_string", "timestamp", "string"),
            (Global, "uint64_to_string", "uint", "string"),
            (Global, "ip_to_string", "ip", "string"),
            (Global, "cidr_to_string", "cidr", "string"),
        ],
    },
    Row {
        function: Function::Timestamp,
        name: "timestamp",
        singleton: false,
        overloads: &[
            (Global, "timestamp_to_timestamp", "timestamp", "timestamp"),
            (Global, "int64_to_timestamp", "int", "timestamp"),
            (Global, "string_to_timestamp", "string", "timestamp"),
        ],
    },
    Row {
        function: Function::Uint,
        name: "uint",
        singleton: false,
        overloads: &[
            (Global, "uint64_to_uint64", "uint", "uint"),
            (Global, "double_to_uint64", "double", "uint"),
            (Global, "int64_to_uint64", "int", "uint"),
            (Global, "string_to_uint64", "string", "uint"),
        ],
    },
    Row {
        function: Function::Contains,
        name: "contains",
        singleton: false,
        overloads: &[(Member, "contains_string", "string, string", "bool")],
    },
    Row {
        function: Function::EndsWith,
        name: "endsWith",
        singleton: false,
        overloads: &[(Member, "ends_with_string", "string, string", "bool")],
    },
    Row {
        function: Function::StartsWith,
        name: "startsWith",
        singleton: false,
        overloads: &[(Member, "starts_with_string", "string, string", "bool")],
    },
    Row {
        function: Function::Matches,
        name: "matches",
        singleton: true,
        overloads: &[
            (Global, "matches", "string, string", "bool"),
            (Member, "matches_string", "string, string", "bool"),
        ],
    },
    Row {
        function: Function::GetFullYear,
        name: "getFullYear",
        singleton: false,
        overloads: &[
            (Member, "timestamp_to_year", "timestamp", "int"),
            (Member, "timestamp_to_year_with_tz", "timestamp, string", "int"),
        ],
    },
    Row {
        function: Function::GetMonth,
        name: "getMonth",
        singleton: false,
        overloads: &[
            (Member, "timestamp_to_month", "timestamp", "int"),
            (Member, "timestamp_to_month_with_tz", "timestamp, string", "int"),
        ],
    },
    Row {
        function: Function::GetDayOfYear,
        name: "getDayOfYear",
        singleton: false,
        overloads: &[
            (Member, "timestamp_to_day_of_year", "timestamp", "int"),
            (Member, "timestamp_to_day_of_year_with_tz", "timestamp, string", "int"),
        ],
    },
    Row {
        function: Function::GetDayOfMonth,
        name: "getDayOfMonth",
        singleton: false,
        overloads: &[
            (Member, "timestamp_to_day_of_month", "timestamp", "int"),
            (Member, "timestamp_to_day_of_month_with_tz", "timestamp, string", "int"),
        ],
    },
    Row {
        function: Function::GetDate,
        name: "getDate",
        singleton: false,
        overloads: &[
            (Member, "timestamp_to_day_of_month_1_based", "timestamp", "int"),
            (Member, "timestamp_to_day_of_month_1_based_with_tz", "timestamp, string", "int"),
        ],
    },
    Row {
        function: Function::GetDayOfWeek,
        name: "getDayOfWeek",
        singleton: false,
        overloads: &[
            (Member, "timestamp_to_day_of_week", "timestamp", "int"),
            (Member, "timestamp_to_day_of_week_with_tz", "timestamp, string", "int"),
        ],
    },
    Row {
        function: Function::GetHours,
        name: "getHours",
        singleton: false,
        overloads: &[
            (Member, "timestamp_to_hours", "timestamp", "int"),
            (Member, "timestamp_to_hours_with_tz", "timestamp, string", "int"),
            (Member, "duration_to_hours", "duration", "int"),
        ],
    },
    Row {
        function: Function::GetMinutes,
        name: "getMinutes",
        singleton: false,
        overloads: &[
            (Member, "timestamp_to_minutes", "timestamp", "int"),
            (Member, "timestamp_to_minutes_with_tz", "timestamp, string", "int"),
            (Member, "duration_to_minutes", "duration", "int"),
        ],
    },
    Row {
        function: Function::GetSeconds,
        name: "getSeconds",
        singleton: false,
        overloads: &[
            (Member, "timestamp_to_seconds", "timestamp", "int"),
            (Member, "timestamp_to_seconds_with_tz", "timestamp, string", "int"),
            (Member, "duration_to_seconds", "duration", "int"),
        ],
    },
    Row {
        function: Function::GetMilliseconds,
        name: "getMilliseconds",
        singleton: false,
        overloads: &[
            (Member, "timestamp_to_milliseconds", "timestamp", "int"),
            (Member, "timestamp_to_milliseconds_with_tz", "timestamp, string", "int"),
            (Member, "duration_to_milliseconds", "duration", "int"),
        ],
    },
    Row {
        function: Function::Url,
        name: "url",
        singleton: false,
        overloads: &[(Global, "string_to_url", "string", "kubernetes.URL")],
    },
    Row {
        function: Function::IsUrl,
        name: "isURL",
        singleton: false,
        overloads: &[(Global, "is_url_string", "string", "bool")],
    },
    Row {
        function: Function::GetScheme,
        name: "getScheme",
        singleton: false,
        overloads: &[(Member, "url_get_scheme", "kubernetes.URL", "string")],
    },
    Row {
        function: Function::GetHost,
        name: "getHost",
        singleton: false,
        overloads: &[(Member, "url_get_host", "kubernetes.URL", "string")],
    },
    Row {
        function: Function::GetHostname,
        name: "getHostname",
        singleton: false,
        overloads: &[(Member, "url_get_hostname", "kubernetes.URL", "string")],
    },
    Row {
        function: Function::GetPort,
        name: "getPort",
        singleton: false,
        overloads: &[(Member, "url_get_port", "kubernetes.URL", "string")],
    },
    Row {
        function: Function::GetEscapedPath,
        name: "getEscapedPath",
        singleton: false,
        overloads: &[(Member, "url_get_escaped_path", "kubernetes.URL", "string")],
    },
    Row {
        function: Function::GetQuery,
        name: "getQuery",
        singleton: false,
        overloads: &[(Member, "url_get_query", "kubernetes.URL", "map(string, list(string))")],
    },
    Row {
        function: Function::Find,
        name: "find",
        singleton: false,
        overloads: &[(Member, "string_find_string", "string, string", "string")],
    },
    Row {
        function: Function::FindAll,
        name: "findAll",
        singleton: false,
        overloads: &[
            (Member, "string_find_all_string", "string, string", "list(string)"),
            (Member, "string_find_all_string_int", "string, string, int", "list(string)"),
        ],
    },
    Row {
        function: Function::IsSorted,
        name: "isSorted",
        singleton: false,
        overloads: &[
            (Member, "list_int_is_sorted_bool", "list(int)", "bool"),
            (Member, "list_uint_is_sorted_bool", "list(uint)", "bool"),
            (Member, "list_double_is_sorted_bool", "list(double)", "bool"),
            (Member, "list_bool_is_sorted_bool", "list(bool)", "bool"),
            (Member, "list_duration_is_sorted_bool", "list(duration)", "bool"),
            (Member, "list_timestamp_is_sorted_bool", "list(timestamp)", "bool"),
            (Member, "list_string_is_sorted_bool", "list(string)", "bool"),
            (Member, "list_bytes_is_sorted_bool", "list(bytes)", "bool"),
        ],
    },
    Row {
        function: Function::Sum,
        name: "sum",
        singleton: false,
        overloads: &[
            (Member, "list_int_sum_int", "list(int)", "int"),
            (Member, "list_uint_sum_uint", "list(uint)", "uint"),
            (Member, "list_double_sum_double", "list(double)", "double"),
            (Member, "list_duration_sum_duration", "list(duration)", "duration"),
        ],
    },
    Row {
        function: Function::Max,
        name: "max",
        singleton: false,
        overloads: &[
            (Member, "list_int_max_int", "list(int)", "int"),
            (Member, "list_uint_max_uint", "list(uint)", "uint"),
            (Member, "list_double_max_double", "list(double)", "double"),
            (Member, "list_bool_max_bool", "list(bool)", "bool"),
            (Member, "list_duration_max_duration", "list(duration)", "duration"),
            (Member, "list_timestamp_max_timestamp", "list(timestamp)", "timestamp"),
            (Member, "list_string_max_string", "list(string)", "string"),
            (Member, "list_bytes_max_bytes", "list(bytes)", "bytes"),
        ],
    },
    Row {
        function: Function::Min,
        name: "min",
        singleton: false,
        overloads: &[
            (Member, "list_int_min_int", "list(int)", "int"),
            (Member, "list_uint_min_uint", "list(uint)", "uint"),
            (Member, "list_double_min_double", "list(double)", "double"),
            (Member, "list_bool_min_bool", "list(bool)", "bool"),
            (Member, "list_duration_min_duration", "list(duration)", "duration"),
            (Member, "list_timestamp_min_timestamp", "list(timestamp)", "timestamp"),
            (Member, "list_string_min_string", "list(string)", "string"),
            (Member, "list_bytes_min_bytes", "list(bytes)", "bytes"),
        ],
    },
    Row {
        function: Function::IndexOf,
        name: "indexOf",
        singleton: false,
        overloads: &[
            (Member, "list_a_index_of_int", "list(A), A", "int"),
            (Member, "string_index_of_string", "string, string", "int"),
            (Member, "string_index_of_string_int", "string, string, int", "int"),
        ],
    },
    Row {
        function: Function::LastIndexOf,
        name: "lastIndexOf",
        singleton: false,
        overloads: &[
            (Member, "list_a_last_index_of_int", "list(A), A", "int"),
            (Member, "string_last_index_of_string", "string, string", "int"),
            (Member, "string_last_index_of_string_int", "string, string, int", "int"),
        ],
    },
    Row {
        function: Function::Path,
        name: "path",
        singleton: false,
        overloads: &[(
            Member,
            "authorizer_path",
            "kubernetes.authorization.Authorizer, string",
            "kubernetes.authorization.PathCheck",
        )],
    },
    Row {
        function: Function::Group,
        name: "group",
        singleton: false,
        overloads: &[(
            Member,
            "authorizer_group",
            "kubernetes.authorization.Authorizer, string",
            "kubernetes.authorization.GroupCheck",
        )],
    },
    Row {
        function: Function::ServiceAccount,
        name: "serviceAccount",
        singleton: false,
        overloads: &[(
            Member,
            "authorizer_serviceaccount",
            "kubernetes.authorization.Authorizer, string, string",
            "kubernetes.authorization.Authorizer",
        )],
    },
    Row {
        function: Function::Resource,
        name: "resource",
        singleton: false,
        overloads: &[(
            Member,
            "groupcheck_resource",
            "kubernetes.authorization.GroupCheck, string",
            "kubernetes.authorization.ResourceCheck",
        )],
    },
    Row {
        function: Function::Subresource,
        name: "subresource",
        singleton: false,
        overloads: &[(
            Member,
            "resourcecheck_subresource",
            "kubernetes.authorization.ResourceCheck, string",
            "kubernetes.authorization.ResourceCheck",
        )],
    },
    Row {
        function: Function::Namespace,
        name: "namespace",
        singleton: false,
        overloads: &[(
            Member,
            "resourcecheck_namespace",
            "kubernetes.authorization.ResourceCheck, string",
            "kubernetes.authorization.ResourceCheck",
        )],
    },
    Row {
        function: Function::Name,
        name: "name",
        singleton: false,
        overloads: &[(
            Member,
            "resourcecheck_name",
            "kubernetes.authorization.ResourceCheck, string",
            "kubernetes.authorization.ResourceCheck",
        )],
    },
    Row {
        function: Function::Check,
        name: "check",
        singleton: false,
        overloads: &[
            (
                Member,
                "pathcheck_check",
                "kubernetes.authorization.PathCheck, string",
                "kubernetes.authorization.Decision",
            ),
            (
                Member,
                "resourcecheck_check",
                "kubernetes.authorization.ResourceCheck, string",
                "kubernetes.authorization.Decision",
            ),
        ],
    },
    Row {
        function: Function::Errored,
        name: "errored",
        singleton: false,
        overloads: &[(Member, "decision_errored", "kubernetes.authorization.Decision", "bool")],
    },
    Row {
        function: Function::DecisionError,
        name: "error",
        singleton: false,
        overloads: &[(Member, "decision_error", "kubernetes.authorization.Decision", "string")],
    },
    Row {
        function: Function::Allowed,
        name: "allowed",
        singleton: false,
        overloads: &[(Member, "decision_allowed", "kubernetes.authorization.Decision", "bool")],
    },
    Row {
        function: Function::Reason,
        name: "reason",
        singleton: false,
        overloads: &[(Member, "decision_reason", "kubernetes.authorization.Decision", "string")],
    },
    Row {
        function: Function::FieldSelector,
        name: "fieldSelector",
        singleton: false,
        overloads: &[(
            Member,
            "authorizer_fieldselector",
            "kubernetes.authorization.ResourceCheck, string",
            "kubernetes.authorization.ResourceCheck",
        )],
    },
    Row {
        function: Function::LabelSelector,
        name: "labelSelector",
        singleton: false,
        overloads: &[(
            Member,
            "authorizer_labelselector",
            "kubernetes.authorization.ResourceCheck, string",
            "kubernetes.authorization.ResourceCheck",
        )],
    },
    Row {
        function: Function::OptionalOf,
        name: "optional.of",
        singleton: false,
        overloads: &[(Global, "optional_of", "V", "optional(V)")],
    },
    Row {
        function: Function::OptionalOfNonZeroValue,
        name: "optional.ofNonZeroValue",
        singleton: false,
        overloads: &[(Global, "optional_ofNonZeroValue", "V", "optional(V)")],
    },
    Row {
        function: Function::OptionalNone,
        name: "optional.none",
        singleton: false,
        overloads: &[(Global, "optional_none", "", "optional(V)")],
    },
    Row {
        function: Function::Value,
        name: "value",
        singleton: false,
        overloads: &[(Member, "optional_value", "optional(V)", "V")],
    },
    Row {
        function: Function::HasValue,
        name: "hasValue",
        singleton: false,
        overloads: &[(Member, "optional_hasValue", "optional(V)", "bool")],
    },
    Row {
        function: Function::OptionalOr,
        name: "or",
        singleton: false,
        overloads: &[(Member, "optional_or_optional", "optional(V), optional(V)", "optional(V)")],
    },
    Row {
        function: Function::OptionalOrValue,
        name: "orValue",
        singleton: false,
        overloads: &[(Member, "optional_orValue_value", "optional(V), V", "V")],
    },
    Row {
        function: Function::Last,
        name: "last",
        singleton: false,
        overloads: &[(Member, "list_last", "list(V)", "optional(V)")],
    },
    Row {
        function: Function::First,
        name: "first",
        singleton: false,
        overloads: &[(Member, "list_first", "list(V)", "optional(V)")],
    },
    Row {
        function: Function::OptionalUnwrap,
        name: "optional.unwrap",
        singleton: false,
        overloads: &[(Global, "optional_unwrap", "list(optional(V))", "list(V)")],
    },
    Row {
        function: Function::UnwrapOpt,
        name: "unwrapOpt",
        singleton: false,
        overloads: &[(Member, "optional_unwrapOpt", "list(optional(V))", "list(V)")],
    },
    Row {
        function: Function::Quantity,
        name: "quantity",
        singleton: false,
        overloads: &[(Global, "string_to_quantity", "string", "kubernetes.Quantity")],
    },
    Row {
        function: Function::IsQuantity,
        name: "isQuantity",
        singleton: false,
        overloads: &[(Global, "is_quantity_string", "string", "bool")],
    },
    Row {
        function: Function::Sign,
        name: "sign",
        singleton: false,
        overloads: &[(Global, "quantity_sign", "kubernetes.Quantity", "int")],
    },
    Row {
        function: Function::IsGreaterThan,
        name: "isGreaterThan",
        singleton: false,
        overloads: &[
            (Member, "quantity_is_greater_than", "kubernetes.Quantity, kubernetes.Quantity", "bool"),
            (Member, "semver_is_greater_than", "kubernetes.Semver, kubernetes.Semver", "bool"),
        ],
    },
    Row {
        function: Function::IsLessThan,
        name: "isLessThan",
        singleton: false,
        overloads: &[
            (Member, "quantity_is_less_than", "kubernetes.Quantity, kubernetes.Quantity", "bool"),
            (Member, "semver_is_less_than", "kubernetes.Semver, kubernetes.Semver", "bool"),
        ],
    },
    Row {
        function: Function::CompareTo,
        name: "compareTo",
        singleton: false,
        overloads: &[
            (Member, "quantity_compare_to", "kubernetes.Quantity, kubernetes.Quantity", "int"),
            (Member, "semver_compare_to", "kubernetes.Semver, kubernetes.Semver", "int"),
        ],
    },
    Row {
        function: Function::AsApproximateFloat,
        name: "asApproximateFloat",
        singleton: false,
        overloads: &[(Member, "quantity_get_float", "kubernetes.Quantity", "double")],
    },
    Row {
        function: Function::AsInteger,
        name: "asInteger",
        singleton: false,
        overloads: &[(Member, "quantity_get_int", "kubernetes.Quantity", "int")],
    },
    Row {
        function: Function::IsInteger,
        name: "isInteger",
        singleton: false,
        overloads: &[(Member, "quantity_is_integer", "kubernetes.Quantity", "bool")],
    },
    Row {
        function: Function::QuantityAdd,
        name: "add",
        singleton: false,
        overloads: &[
            (Member, "quantity_add", "kubernetes.Quantity, kubernetes.Quantity", "kubernetes.Quantity"),
            (Member, "quantity_add_int", "kubernetes.Quantity, int", "kubernetes.Quantity"),
        ],
    },
    Row {
        function: Function::QuantitySub,
        name: "sub",
        singleton: false,
        overloads: &[
            (Member, "quantity_sub", "kubernetes.Quantity, kubernetes.Quantity", "kubernetes.Quantity"),
            (Member, "quantity_sub_int", "kubernetes.Quantity, int", "kubernetes.Quantity"),
        ],
    },
    Row {
        function: Function::CharAt,
        name: "charAt",
        singleton: false,
        overloads: &[(Member, "string_char_at_int", "string, int", "string")],
    },
    Row {
        function: Function::LowerAscii,
        name: "lowerAscii",
        singleton: false,
        overloads: &[(Member, "string_lower_ascii", "string", "string")],
    },
    Row {
        function: Function::Replace,
        name: "replace",
        singleton: false,
        overloads: &[
            (Member, "string_replace_string_string", "string, string, string", "string"),
            (Member, "string_replace_string_string_int", "string, string, string, int", "string"),
        ],
    },
    Row {
        function: Function::Split,
        name: "split",
        singleton: false,
        overloads: &[
            (Member, "string_split_string", "string, string", "list(string)"),
            (Member, "string_split_string_int", "string, string, int", "list(string)"),
        ],
    },
    Row {
        function: Function::Substring,
        name: "substring",
        singleton: false,
        overloads: &[
            (Member, "string_substring_int", "string, int", "string"),
            (Member, "string_substring_int_int", "string, int, int", "string"),
        ],
    },
    Row {
        function: Function::Trim,
        name: "trim",
        singleton: false,
        overloads: &[(Member, "string_trim", "string", "string")],
    },
    Row {
        function: Function::EscapeKey,
        name: "jsonpatch.escapeKey",
        singleton: false,
        overloads: &[(Global, "string_jsonpatch_escapeKey_string", "string", "string")],
    },
    Row {
        function: Function::UpperAscii,
        name: "upperAscii",
        singleton: false,
        overloads: &[(Member, "string_upper_ascii", "string", "string")],
    },
    Row {
        function: Function::Format,
        name: "format",
        singleton: false,
        overloads: &[(Member, "string_format", "string, list(dyn)", "string")],
    },
    Row {
        function: Function::Quote,
        name: "strings.quote",
        singleton: false,
        overloads: &[(Global, "strings_quote", "string", "string")],
    },
    Row {
        function: Function::Join,
        name: "join",
        singleton: false,
        overloads: &[
            (Member, "list_join", "list(string)", "string"),
            (Member, "list_join_string", "list(string), string", "string"),
        ],
    },
    Row {
        function: Function::SetsContains,
        name: "sets.contains",
        singleton: false,
        overloads: &[(Global, "list_sets_contains_list", "list(T), list(T)", "bool")],
    },
    Row {
        function: Function::SetsEquivalent,
        name: "sets.equivalent",
        singleton: false,
        overloads: &[(Global, "list_sets_equivalent_list", "list(T), list(T)", "bool")],
    },
    Row {
        function: Function::SetsIntersects,
        name: "sets.intersects",
        singleton: false,
        overloads: &[(Global, "list_sets_intersects_list", "list(T), list(T)", "bool")],
    },
    Row {
        function: Function::Ip,
        name: "ip",
        singleton: false,
        overloads: &[(Global, "string_to_ip", "string", "ip"), (Member, "cidr_ip", "cidr", "ip")],
    },
    Row {
        function: Function::Family,
        name: "family",
        singleton: false,
        overloads: &[(Member, "ip_family", "ip", "int")],
    },
    Row {
        function: Function::IsCanonical,
        name: "ip.isCanonical",
        singleton: false,
        overloads: &[(Global, "ip_is_canonical", "string", "bool")],
    },
    Row {
        function: Function::IsUnspecified,
        name: "isUnspecified",
        singleton: false,
        overloads: &[(Member, "ip_is_unspecified", "ip", "bool")],
    },
    Row {
        function: Function::IsLoopback,
        name: "isLoopback",
        singleton: false,
        overloads: &[(Member, "ip_is_loopback", "ip", "bool")],
    },
    Row {
        function: Function::IsLinkLocalMulticast,
        name: "isLinkLocalMulticast",
        singleton: false,
        overloads: &[(Member, "ip_is_link_local_multicast", "ip", "bool")],
    },
    Row {
        function: Function::IsLinkLocalUnicast,
        name: "isLinkLocalUnicast",
        singleton: false,
        overloads: &[(Member, "ip_is_link_local_unicast", "ip", "bool")],
    },
    Row {
        function: Function::IsGlobalUnicast,
        name: "isGlobalUnicast",
        singleton: false,
        overloads: &[(Member, "ip_is_global_unicast", "ip", "bool")],
    },
    Row {
        function: Function::IsIp,
        name: "isIP",
        singleton: false,
        overloads: &[(Global, "is_ip", "string", "bool")],
    },
    Row {
        function: Function::Cidr,
        name: "cidr",
        singleton: false,
        overloads: &[(Global, "string_to_cidr", "string", "cidr")],
    },
    Row {
        function: Function::ContainsIp,
        name: "containsIP",
        singleton: false,
        overloads: &[
            (Member, "cidr_contains_ip_string", "cidr, string", "bool"),
            (Member, "cidr_contains_ip_ip", "cidr, ip", "bool"),
        ],
    },
    Row {
        function: Function::ContainsCidr,
        name: "containsCIDR",
        singleton: false,
        overloads: &[
            (Member, "cidr_contains_cidr_string", "cidr, string", "bool"),
            (Member, "cidr_contains_cidr", "cidr, cidr", "bool"),
        ],
    },
    Row {
        function: Function::PrefixLength,
        name: "prefixLength",
        singleton: false,
        overloads: &[(Member, "cidr_prefix_length", "cidr", "int")],
    },
    Row {
        function: Function::Masked,
        name: "masked",
        singleton: false,
        overloads: &[(Member, "cidr_masked", "cidr", "cidr")],
    },
    Row {
        function: Function::IsCidr,
        name: "isCIDR",
        singleton: false,
        overloads: &[(Global, "is_cidr", "string", "bool")],
    },
    Row {
        function: Function::Validate,
        name: "validate",
        singleton: false,
        overloads: &[(Member, "format-validate", "kubernetes.NamedFormat, string", "optional(list(string))")],
    },
    Row {
        function: Function::FormatNamed,
        name: "format.named",
        singleton: false,
        overloads: &[(Global, "format-named", "string", "optional(kubernetes.NamedFormat)")],
    },
    Row {
        function: Function::FormatDns1123Label,
        name: "format.dns1123Label",
        singleton: false,
        overloads: &[(Global, "format.dns1123Label", "", "kubernetes.NamedFormat")],
    },
    Row {
        function: Function::FormatDns1123Subdomain,
        name: "format.dns1123Subdomain",
        singleton: false,
        overloads: &[(Global, "format.dns1123Subdomain", "", "kubernetes.NamedFormat")],
    },
    Row {
        function: Function::FormatDns1035Label,
        name: "format.dns1035Label",
        singleton: false,
        overloads: &[(Global, "format.dns1035Label", "", "kubernetes.NamedFormat")],
    },
    Row {
        function: Function::FormatQualifiedName,
        name: "format.qualifiedName",
        singleton: false,
        overloads: &[(Global, "format.qualifiedName", "", "kubernetes.NamedFormat")],
    },
    Row {
        function: Function::FormatDns1123LabelPrefix,
        name: "format.dns1123LabelPrefix",
        singleton: false,
        overloads: &[(Global, "format.dns1123LabelPrefix", "", "kubernetes.NamedFormat")],
    },
    Row {
        function: Function::FormatDns1123SubdomainPrefix,
        name: "format.dns1123SubdomainPrefix",
        singleton: false,
        overloads: &[(Global, "format.dns1123SubdomainPrefix", "", "kubernetes.NamedFormat")],
    },
    Row {
        function: Function::FormatDns1035LabelPrefix,
        name: "format.dns1035LabelPrefix",
        singleton: false,
        overloads: &[(Global, "format.dns1035LabelPrefix", "", "kubernetes.NamedFormat")],
    },
    Row {
        function: Function::FormatLabelValue,
        name: "format.labelValue",
        singleton: false,
        overloads: &[(Global, "format.labelValue", "", "kubernetes.NamedFormat")],
    },
    Row {
        function: Function::FormatUri,
        name: "format.uri",
        singleton: false,
        overloads: &[(Global, "format.uri", "", "kubernetes.NamedFormat")],
    },
    Row {
        function: Function::FormatUuid,
        name: "format.uuid",
        singleton: false,
        overloads: &[(Global, "format.uuid", "", "kubernetes.NamedFormat")],
    },
    Row {
        function: Function::FormatByte,
        name: "format.byte",
        singleton: false,
        overloads: &[(Global, "format.byte", "", "kubernetes.NamedFormat")],
    },
    Row {
        function: Function::FormatDate,
        name: "format.date",
        singleton: false,
        overloads: &[(Global, "format.date", "", "kubernetes.NamedFormat")],
    },
    Row {
        function: Function::FormatDatetime,
        name: "format.datetime",
        singleton: false,
        overloads: &[(Global, "format.datetime", "", "kubernetes.NamedFormat")],
    },
    Row {
        function: Function::MapInsert,
        name: "cel.@mapInsert",
        singleton: false,
        overloads: &[
            (Global, "@mapInsert_map_key_value", "map(K, V), K, V", "map(K, V)"),
            (Global, "@mapInsert_map_map", "map(K, V), map(K, V)", "map(K, V)"),
        ],
    },
    Row {
        function: Function::Semver,
        name: "semver",
        singleton: false,
        overloads: &[
            (Global, "string_to_semver", "string", "kubernetes.Semver"),
            (Global, "string_bool_to_semver", "string, bool", "kubernetes.Semver"),
        ],
    },
    Row {
        function: Function::IsSemver,
        name: "isSemver",
        singleton: false,
        overloads: &[
            (Global, "is_semver_string", "string", "bool"),
            (Global, "is_semver_string_bool", "string, bool", "bool"),
        ],
    },
    Row {
        function: Function::Major,
        name: "major",
        singleton: false,
        overloads: &[(Member, "semver_major", "kubernetes.Semver", "int")],
    },
    Row {
        function: Function::Minor,
        name: "minor",
        singleton: false,
        overloads: &[(Member, "semver_minor", "kubernetes.Semver", "int")],
    },
    Row {
        function: Function::Patch,
        name: "patch",
        singleton: false,
        overloads: &[(Member, "semver_patch", "kubernetes.Semver", "int")],
    },
    Row {
        function: Function::Slice,
        name: "slice",
        singleton: false,
        overloads: &[(Member, "list_slice", "list(T), int, int", "list(T)")],
    },
    Row {
        function: Function::Flatten,
        name: "flatten",
        singleton: false,
        overloads: &[
            (Member, "list_flatten", "list(list(T))", "list(T)"),
            (Member, "list_flatten_int", "list(dyn), int", "list(dyn)"),
        ],
    },
    Row {
        function: Function::Sort,
        name: "sort",
        singleton: true,
        overloads: &[
            (Member, "list_int_sort", "list(int)", "list(int)"),
            (Member, "list_uint_sort", "list(uint)", "list(uint)"),
            (Member, "list_double_sort", "list(double)", "list(double)"),
            (Member, "list_bool_sort", "list(bool)", "list(bool)"),
            (Member, "list_google.protobuf.Duration_sort", "list(duration)", "list(duration)"),
            (Member, "list_google.protobuf.Timestamp_sort", "list(timestamp)", "list(timestamp)"),
            (Member, "list_string_sort", "list(string)", "list(string)"),
            (Member, "list_bytes_sort", "list(bytes)", "list(bytes)"),
        ],
    },
    Row {
        function: Function::SortByKeys,
        name: "@sortByAssociatedKeys",
        singleton: true,
        overloads: &[
            (Member, "list_int_sortByAssociatedKeys", "list(T), list(int)", "list(T)"),
            (Member, "list_uint_sortByAssociatedKeys", "list(T), list(uint)", "list(T)"),
            (Member, "list_double_sortByAssociatedKeys", "list(T), list(double)", "list(T)"),
            (Member, "list_bool_sortByAssociatedKeys", "list(T), list(bool)", "list(T)"),
            (
                Member,
                "list_google.protobuf.Duration_sortByAssociatedKeys",
                "list(T), list(duration)",
                "list(T)",
            ),
            (
                Member,
                "list_google.protobuf.Timestamp_sortByAssociatedKeys",
                "list(T), list(timestamp)",
                "list(T)",
            ),
            (Member, "list_string_sortByAssociatedKeys", "list(T), list(string)", "list(T)"),
            (Member, "list_bytes_sortByAssociatedKeys", "list(T), list(bytes)", "list(T)"),
        ],
    },
    Row {
        function: Function::Range,
        name: "lists.range",
        singleton: false,
        overloads: &[(Global, "lists_range", "int", "list(int)")],
    },
    Row {
        function: Function::Reverse,
        name: "reverse",
        singleton: false,
        overloads: &[(Member, "list_reverse", "list(T)", "list(T)")],
    },
    Row {
        function: Function::Distinct,
        name: "distinct",
        singleton: false,
        overloads: &[(Member, "list_distinct", "list(T)", "list(T)")],
    },
];
