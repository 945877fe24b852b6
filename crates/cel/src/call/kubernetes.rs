//! The functions of Kubernetes' own types.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Context, Outcome};
use crate::error::Fault;
use crate::functions::Function;
use crate::library::{self, Cidr, Format, Quantity, Semver, Url};
use crate::value::{CelValue, Entries, Map};

pub(super) fn run(context: &mut Context<'_, '_, '_>, function: Function, args: &[CelValue]) -> Outcome {
    use CelValue as V;
    use Function as F;
    if let Some(format) = named(function) {
        return Ok(V::Format(format));
    }
    let text = || args.first().and_then(V::as_str).ok_or_else(Fault::no_overload);
    if let Some(V::String(text)) = args.first() {
        // Reading it, and quoting it where it is wrong.
        context.budget.make_text(text.as_str().len())?;
    }
    Ok(match function {
        F::Url => V::Url(Arc::new(Url::parse(text()?)?)),
        F::IsUrl => V::Bool(library::is_url(text()?).is_ok()),
        F::GetScheme | F::GetHost | F::GetHostname | F::GetPort | F::GetEscapedPath | F::GetQuery => {
            let Some(V::Url(url)) = args.first() else { return Err(Fault::no_overload()) };
            url_part(context, function, url)?
        }
        F::Ip => match args.first() {
            Some(V::Cidr(cidr)) => V::Ip(cidr.address),
            _ => V::Ip(library::ip(text()?)?),
        },
        F::IsIp => V::Bool(library::ip(text()?).is_ok()),
        F::IsCanonical => {
            let text = text()?;
            V::Bool(library::ip(text)?.to_string() == text)
        }
        F::Family
        | F::IsUnspecified
        | F::IsLoopback
        | F::IsLinkLocalMulticast
        | F::IsLinkLocalUnicast
        | F::IsGlobalUnicast => {
            let Some(V::Ip(ip)) = args.first() else { return Err(Fault::no_overload()) };
            address(function, ip)
        }
        F::Cidr => V::Cidr(network(text()?)?),
        F::IsCidr => V::Bool(Cidr::parse(text()?).is_ok()),
        F::ContainsIp | F::ContainsCidr | F::PrefixLength | F::Masked => {
            let Some(V::Cidr(cidr)) = args.first() else { return Err(Fault::no_overload()) };
            return in_network(context, function, *cidr, args.get(1));
        }
        F::Quantity => V::Quantity(Arc::new(quantity(context, text()?)?)),
        F::IsQuantity => match Quantity::parse(context.budget, text()?) {
            Ok(_) => V::Bool(true),
            Err(library::NotOne::Wrong(_)) => V::Bool(false),
            Err(library::NotOne::Limit(limit)) => return Err(limit.into()),
        },
        F::Semver | F::IsSemver => {
            let is_tolerant = match args.get(1) {
                Some(V::Bool(tolerant)) => *tolerant,
                Some(_) => return Err(Fault::no_overload()),
                None => false,
            };
            let version = if is_tolerant { Semver::parse_tolerant(text()?) } else { Semver::parse(text()?) };
            if function == F::IsSemver {
                return Ok(V::Bool(version.is_ok()));
            }
            V::Semver(Arc::new(version?))
        }
        F::FormatNamed => {
            let name = text()?;
            let found = Format::ALL.iter().find(|format| format.key() == name);
            found.map_or(V::Optional(None), |format| V::some(V::Format(*format)))
        }
        F::Validate => {
            let (Some(V::Format(format)), Some(V::String(text))) = (args.first(), args.get(1)) else {
                return Err(Fault::no_overload());
            };
            context.budget.make_text(text.as_str().len())?;
            let wrong = format.validate(text.as_str());
            if wrong.is_empty() {
                V::Optional(None)
            } else {
                V::some(V::list(wrong.into_iter().map(V::from).collect()))
            }
        }
        _ => return measured(context, function, args),
    })
}

/// The format that a function without arguments stands for.
const fn named(function: Function) -> Option<Format> {
    use Function as F;
    Some(match function {
        F::FormatDns1123Label => Format::Dns1123Label,
        F::FormatDns1123Subdomain => Format::Dns1123Subdomain,
        F::FormatDns1035Label => Format::Dns1035Label,
        F::FormatQualifiedName => Format::QualifiedName,
        F::FormatDns1123LabelPrefix => Format::Dns1123LabelPrefix,
        F::FormatDns1123SubdomainPrefix => Format::Dns1123SubdomainPrefix,
        F::FormatDns1035LabelPrefix => Format::Dns1035LabelPrefix,
        F::FormatLabelValue => Format::LabelValue,
        F::FormatUri => Format::Uri,
        F::FormatUuid => Format::Uuid,
        F::FormatByte => Format::Byte,
        F::FormatDate => Format::Date,
        F::FormatDatetime => Format::Datetime,
        _ => return None,
    })
}

fn network(text: &str) -> Result<Cidr, Fault> {
    let message = |error| format!("network address parse error during conversion from string: {error}");
    Cidr::parse(text).map_err(|error| Fault::error(message(error)))
}

fn quantity(context: &mut Context<'_, '_, '_>, text: &str) -> Result<Quantity, Fault> {
    Quantity::parse(context.budget, text).map_err(|error| match error {
        library::NotOne::Wrong(message) => Fault::error(message),
        library::NotOne::Limit(limit) => limit.into(),
    })
}

fn url_part(context: &mut Context<'_, '_, '_>, function: Function, url: &Url) -> Outcome {
    let made = match function {
        Function::GetScheme => url.scheme().to_owned(),
        Function::GetHost => url.host(),
        Function::GetHostname => url.hostname(),
        Function::GetPort => url.port(),
        Function::GetEscapedPath => url.escaped_path(),
        _ => {
            context.budget.make_text(url.query().len())?;
            let mut entries = Entries::default();
            let mut grouped: Vec<(String, Vec<CelValue>)> = Vec::new();
            let mut pairs = library::escaped_query(url.query());
            pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (key, value) in pairs {
                context.budget.make_items(2)?;
                match grouped.last_mut() {
                    Some((known, values)) if *known == key => values.push(value.into()),
                    _ => grouped.push((key, vec![value.into()])),
                }
            }
            for (key, values) in grouped {
                entries.insert(key.into(), CelValue::list(values));
            }
            return Ok(CelValue::Map(Map::from(entries)));
        }
    };
    context.budget.make_text(made.len())?;
    Ok(made.into())
}

fn address(function: Function, ip: &IpAddr) -> CelValue {
    CelValue::Bool(match function {
        Function::Family => return CelValue::Int(if ip.is_ipv4() { 4 } else { 6 }),
        Function::IsUnspecified => ip.is_unspecified(),
        Function::IsLoopback => ip.is_loopback(),
        Function::IsLinkLocalMulticast => library::is_link_local_multicast(ip),
        Function::IsLinkLocalUnicast => library::is_link_local_unicast(ip),
        _ => library::is_global_unicast(ip),
    })
}

fn in_network(
    context: &mut Context<'_, '_, '_>,
    function: Function,
    cidr: Cidr,
    other: Option<&CelValue>,
) -> Outcome {
    if let Some(CelValue::String(text)) = other {
        context.budget.make_text(text.as_str().len())?;
    }
    Ok(match (function, other) {
        (Function::PrefixLength, _) => CelValue::Int(cidr.bits.into()),
        (Function::Masked, _) => CelValue::Cidr(cidr.masked()),
        (Function::ContainsIp, Some(CelValue::Ip(ip))) => CelValue::Bool(cidr.contains(*ip)),
        // The API server does not say what is wrong with the text here.
        (Function::ContainsIp, Some(CelValue::String(text))) => {
            let ip = library::ip(text.as_str()).map_err(|_| Fault::no_overload())?;
            CelValue::Bool(cidr.contains(ip))
        }
        (Function::ContainsCidr, Some(CelValue::Cidr(other))) => {
            CelValue::Bool(cidr.contains_network(*other))
        }
        (Function::ContainsCidr, Some(CelValue::String(text))) => {
            CelValue::Bool(cidr.contains_network(network(text.as_str())?))
        }
        _ => return Err(Fault::no_overload()),
    })
}

/// Quantities and versions.
fn measured(context: &mut Context<'_, '_, '_>, function: Function, args: &[CelValue]) -> Outcome {
    use CelValue as V;
    use Function as F;
    for arg in args {
        if let V::Quantity(quantity) = arg {
            context.budget.step(quantity.weight())?;
        }
    }
    Ok(match args {
        [V::Quantity(value)] => match function {
            F::Sign => V::Int(value.sign()),
            F::AsApproximateFloat => V::Double(value.as_f64()),
            F::IsInteger => V::Bool(value.as_i64().is_some()),
            F::AsInteger => V::Int(value.as_i64().ok_or("cannot convert value to integer")?),
            _ => return Err(Fault::no_overload()),
        },
        [V::Quantity(a), V::Quantity(b)] => match function {
            F::QuantityAdd | F::QuantitySub => {
                context.budget.make_items(1)?;
                V::Quantity(Arc::new(a.plus(b, function == F::QuantitySub)?))
            }
            _ => ordered(function, a.compare(b)),
        },
        [V::Quantity(a), V::Int(b)] if matches!(function, F::QuantityAdd | F::QuantitySub) => {
            context.budget.make_items(1)?;
            let b = Quantity::of_int(*b);
            V::Quantity(Arc::new(a.plus(&b, function == F::QuantitySub)?))
        }
        [V::Semver(a), V::Semver(b)] => ordered(function, a.compare(b)),
        [V::Semver(version)] => V::Int(match function {
            F::Major => version.major.cast_signed(),
            F::Minor => version.minor.cast_signed(),
            F::Patch => version.patch.cast_signed(),
            _ => return Err(Fault::no_overload()),
        }),
        _ => return Err(Fault::no_overload()),
    })
}

fn ordered(function: Function, order: std::cmp::Ordering) -> CelValue {
    match function {
        Function::IsGreaterThan => CelValue::Bool(order.is_gt()),
        Function::IsLessThan => CelValue::Bool(order.is_lt()),
        _ => CelValue::Int(order as i64),
    }
}
