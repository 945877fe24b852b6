//! Addresses and networks, read as Go's `netip` reads them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::go_text::quote;

/// A network: an address, of which so many bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// The address, as it was written.
    pub address: IpAddr,
    /// How many bits of it count.
    pub bits: u8,
}

impl Cidr {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let prefix = "network address parse error during conversion from string: ";
        let wrong = |message: &str| format!("{prefix}netip.ParsePrefix({}): {message}", quote(text));
        let (address, bits) = text.rsplit_once('/').ok_or_else(|| wrong("no '/'"))?;
        let (ip, zone) = parse(address).map_err(|message| wrong(&message))?;
        if zone {
            return Err(wrong("IPv6 zones cannot be present in a prefix"));
        }
        let bad = || wrong(&format!("bad bits after slash: {}", quote(bits)));
        if bits.len() > 1 && !bits.starts_with(|c: char| ('1'..='9').contains(&c)) {
            return Err(bad());
        }
        let is_number =
            bits.strip_prefix(['+', '-']).unwrap_or(bits).bytes().all(|byte| byte.is_ascii_digit());
        let count = bits.parse::<i64>().ok().filter(|_| is_number).ok_or_else(bad)?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let bits = u8::try_from(count).ok().filter(|bits| *bits <= most);
        let bits = bits.ok_or_else(|| wrong("prefix length out of range"))?;
        if is_mapped(&ip) {
            return Err(format!("IPv4-mapped IPv6 address {} is not allowed", quote(text)));
        }
        Ok(Self { address: ip, bits })
    }

    /// The same with all bits that do not count set to none.
    pub(crate) fn masked(self) -> Self {
        Self { address: masked(self.address, self.bits), bits: self.bits }
    }

    pub(crate) fn contains(self, ip: IpAddr) -> bool {
        self.address.is_ipv4() == ip.is_ipv4() && masked(self.address, self.bits) == masked(ip, self.bits)
    }

    pub(crate) fn contains_network(self, other: Self) -> bool {
        self.bits <= other.bits && self.contains(other.address)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

fn masked(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits.into())).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & mask).into()
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or(0);
            Ipv6Addr::from_bits(ip.to_bits() & mask).into()
        }
    }
}

fn is_mapped(ip: &IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some())
}

/// An address as `ip` takes it.
pub(crate) fn ip(text: &str) -> Result<IpAddr, String> {
    let quoted = quote(text);
    let (ip, zone) = parse(text).map_err(|message| {
        format!("IP Address {quoted} parse error during conversion from string: {message}")
    })?;
    if zone {
        return Err(format!("IP address {quoted} with zone value is not allowed"));
    }
    if is_mapped(&ip) {
        return Err(format!("IPv4-mapped IPv6 address {quoted} is not allowed"));
    }
    Ok(ip)
}

pub(crate) fn is_link_local_multicast(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => matches!(ip.octets(), [224, 0, 0, _]),
        IpAddr::V6(ip) => ip.segments().first().is_some_and(|first| first & 0xff0f == 0xff02),
    }
}

pub(crate) fn is_link_local_unicast(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

pub(crate) fn is_global_unicast(ip: &IpAddr) -> bool {
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !is_broadcast
        && !ip.is_unspecified()
        && !ip.is_loopback()
        && !ip.is_multicast()
        && !is_link_local_unicast(ip)
}

/// An address, and whether it names a zone.
pub(crate) fn parse(text: &str) -> Result<(IpAddr, bool), String> {
    let wrong = |message: &str| format!("ParseAddr({}): {message}", quote(text));
    match text.bytes().find(|byte| matches!(byte, b'.' | b':' | b'%')) {
        Some(b'.') => v4(text, text).map(|ip| (ip.into(), false)),
        Some(b':') => v6(text),
        Some(_) => Err(wrong("missing IPv6 address")),
        None => Err(wrong("unable to parse IP")),
    }
}

/// What is wrong with a text, and from where on.
fn wrong_at(text: &str, message: &str, at: &str) -> String {
    format!("ParseAddr({}): {message} (at {})", quote(text), quote(at))
}

/// Four fields in a part of a text.
fn v4(text: &str, part: &str) -> Result<Ipv4Addr, String> {
    let wrong = |message: &str| format!("ParseAddr({}): {message}", quote(text));
    let (mut fields, mut value, mut digits) = (Vec::new(), 0_u32, 0);
    let bytes = part.as_bytes();
    for (place, byte) in part.bytes().enumerate() {
        let rest = || part.get(place..).unwrap_or_default();
        match byte {
            b'0'..=b'9' => {
                if digits == 1 && value == 0 {
                    return Err(wrong("IPv4 field has octet with leading zero"));
                }
                value = value * 10 + u32::from(byte - b'0');
                digits += 1;
                if value > 255 {
                    return Err(wrong("IPv4 field has value >255"));
                }
            }
            b'.' => {
                let before = place.checked_sub(1).and_then(|before| bytes.get(before));
                if place == 0 || place + 1 == part.len() || before == Some(&b'.') {
                    return Err(wrong_at(text, "IPv4 field must have at least one digit", rest()));
                }
                if fields.len() == 3 {
                    return Err(wrong("IPv4 address too long"));
                }
                fields.push(u8::try_from(value).unwrap_or(0));
                (value, digits) = (0, 0);
            }
            _ => {
                let at = String::from_utf8_lossy(bytes.get(place..).unwrap_or_default()).into_owned();
                return Err(wrong_at(text, "unexpected character", &at));
            }
        }
    }
    match fields.as_slice() {
        [a, b, c] => Ok(Ipv4Addr::new(*a, *b, *c, u8::try_from(value).unwrap_or(0))),
        _ => Err(wrong("IPv4 address too short")),
    }
}

fn v6(text: &str) -> Result<(IpAddr, bool), String> {
    let wrong = |message: &str| Err(format!("ParseAddr({}): {message}", quote(text)));
    let (mut rest, zone) = match text.split_once('%') {
        Some((_, "")) => return wrong("zone must be a non-empty string"),
        Some((address, _)) => (address, true),
        None => (text, false),
    };
    let mut groups: Vec<u16> = Vec::new();
    let mut gap = None;
    if let Some(after) = rest.strip_prefix("::") {
        gap = Some(0);
        rest = after;
        if rest.is_empty() {
            return Ok((Ipv6Addr::UNSPECIFIED.into(), zone));
        }
    }
    while groups.len() < 8 {
        let length = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
        let (digits, after) = rest.split_at_checked(length).unwrap_or(("", rest));
        if length > 4 {
            return Err(wrong_at(text, "each group must have 4 or less digits", rest));
        }
        let Ok(group) = u16::from_str_radix(digits, 16) else {
            return Err(wrong_at(text, "each colon-separated field must have at least one digit", rest));
        };
        if after.starts_with('.') {
            if gap.is_none() && groups.len() != 6 {
                let message = "embedded IPv4 address must replace the final 2 fields of the address";
                return Err(wrong_at(text, message, rest));
            }
            if groups.len() > 6 {
                let message = "too many hex fields to fit an embedded IPv4 at the end of the address";
                return Err(wrong_at(text, message, rest));
            }
            let [a, b, c, d] = v4(text, rest)?.octets();
            groups.push(u16::from_be_bytes([a, b]));
            groups.push(u16::from_be_bytes([c, d]));
            rest = "";
            break;
        }
        groups.push(group);
        rest = after;
        if rest.is_empty() {
            break;
        }
        let Some(after) = rest.strip_prefix(':') else {
            return Err(wrong_at(text, "unexpected character, want colon", rest));
        };
        if after.is_empty() {
            return Err(wrong_at(text, "colon must be followed by more characters", rest));
        }
        rest = after;
        if let Some(after) = rest.strip_prefix(':') {
            if gap.is_some() {
                return Err(wrong_at(text, "multiple :: in address", rest));
            }
            gap = Some(groups.len());
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
    }
    if !rest.is_empty() {
        return Err(wrong_at(text, "trailing garbage after address", rest));
    }
    match gap {
        None if groups.len() < 8 => return wrong("address string too short"),
        Some(_) if groups.len() == 8 => return wrong("the :: must expand to at least one field of zeros"),
        None => {}
        Some(place) => {
            let missing = 8 - groups.len();
            groups.splice(place..place, std::iter::repeat_n(0, missing));
        }
    }
    let bits = groups.iter().fold(0_u128, |bits, group| (bits << 16) | u128::from(*group));
    Ok((Ipv6Addr::from_bits(bits).into(), zone))
}
