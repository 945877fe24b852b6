//! URLs, read and written as Go's `net/url` does.

use std::fmt::{self, Write as _};

use crate::go_text::quote;

/// A URL.
#[derive(Clone, Debug, Default)]
pub struct Url {
    scheme: String,
    opaque: String,
    user: Option<(Vec<u8>, Option<Vec<u8>>)>,
    host: Vec<u8>,
    path: Vec<u8>,
    /// How the path was written, if that is not how it would be.
    raw_path: Option<String>,
    query: String,
    /// A question mark without a query.
    has_empty_query: bool,
    fragment: Vec<u8>,
    raw_fragment: Option<String>,
    /// A scheme without a host, and not even the slashes of one.
    omits_host: bool,
}

/// A part of a URL, by which it is decided what is escaped in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Host,
    Zone,
    User,
    Query,
    Fragment,
}

/// Most parameters of a query.
const MAX_PARAMETERS: usize = 10_000;

/// Whether `isURL` holds.
pub(crate) fn is_url(text: &str) -> Result<(), String> {
    parse(text, true).map(|_| ()).map_err(|message| in_parse(text, &message))
}

fn in_parse(text: &str, message: &str) -> String {
    format!("parse {}: {message}", quote(text))
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let prefix = |message: String| format!("URL parse error during conversion from string: {message}");
        is_url(text).map_err(prefix)?;
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        let mut url = parse(rest, false).map_err(|message| prefix(in_parse(rest, &message)))?;
        if !fragment.is_empty() {
            let plain =
                unescape(fragment, Part::Fragment).map_err(|message| prefix(in_parse(text, &message)))?;
            url.raw_fragment = (escape(&plain, Part::Fragment) != fragment).then(|| fragment.to_owned());
            url.fragment = plain;
        }
        Ok(url)
    }

    pub(crate) fn scheme(&self) -> &str {
        &self.scheme
    }

    pub(crate) fn host(&self) -> String {
        String::from_utf8_lossy(&self.host).into_owned()
    }

    fn host_and_port(&self) -> (String, String) {
        let host = self.host();
        let (mut name, mut port) = (host.as_str(), "");
        if let Some(colon) = host.rfind(':') {
            let (before, after) = host.split_at_checked(colon).unwrap_or((&host, ""));
            if is_optional_port(after) {
                (name, port) = (before, after.strip_prefix(':').unwrap_or_default());
            }
        }
        let inside = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        (inside.unwrap_or(name).to_owned(), port.to_owned())
    }

    pub(crate) fn hostname(&self) -> String {
        self.host_and_port().0
    }

    pub(crate) fn port(&self) -> String {
        self.host_and_port().1
    }

    pub(crate) fn escaped_path(&self) -> String {
        if let Some(raw) = &self.raw_path
            && is_encoded(raw, Part::Path)
        {
            return raw.clone();
        }
        if self.path == b"*" { "*".to_owned() } else { escape(&self.path, Part::Path) }
    }

    pub(crate) fn query(&self) -> &str {
        &self.query
    }
}

/// The parameters of a query, in their order.
pub(crate) fn escaped_query(query: &str) -> Vec<(String, String)> {
    if query.bytes().filter(|byte| *byte == b'&').count() + 1 > MAX_PARAMETERS {
        return Vec::new();
    }
    let mut found = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let (Ok(key), Ok(value)) = (unescape(key, Part::Query), unescape(value, Part::Query)) {
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            found.push((text(key), text(value)));
        }
    }
    found
}

/// The scheme of a text, and what follows it.
fn scheme(text: &str) -> Result<(&str, &str), String> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default())),
            _ => break,
        }
    }
    Ok(("", text))
}

fn parse(text: &str, by_request: bool) -> Result<Url, String> {
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    if text.is_empty() && by_request {
        return Err("empty url".to_owned());
    }
    let mut url = Url::default();
    if text == "*" {
        url.path = b"*".to_vec();
        return Ok(url);
    }
    let (name, mut rest) = scheme(text)?;
    url.scheme = name.to_lowercase();
    match rest.split_once('?') {
        Some((before, "")) => (url.has_empty_query, rest) = (true, before),
        Some((before, query)) => (url.query, rest) = (query.to_owned(), before),
        None => {}
    }
    let has_scheme = !url.scheme.is_empty();
    if !rest.starts_with('/') {
        if has_scheme {
            rest.clone_into(&mut url.opaque);
            return Ok(url);
        }
        if by_request {
            return Err("invalid URI for request".to_owned());
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let may_have_host = has_scheme || !by_request && !rest.starts_with("///");
    if let Some(after) = rest.strip_prefix("//").filter(|_| may_have_host) {
        let (authority, path) =
            after.split_at_checked(after.find('/').unwrap_or(after.len())).unwrap_or((after, ""));
        parse_authority(&mut url, authority)?;
        rest = path;
    } else if has_scheme && rest.starts_with('/') {
        url.omits_host = true;
    }
    url.path = unescape(rest, Part::Path)?;
    url.raw_path = (escape(&url.path, Part::Path) != rest).then(|| rest.to_owned());
    Ok(url)
}

fn parse_authority(url: &mut Url, authority: &str) -> Result<(), String> {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    url.host = parse_host(&url.scheme, host)?;
    let Some(user) = user else { return Ok(()) };
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    if !user.bytes().all(is_valid) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    url.user = Some(match user.split_once(':') {
        None => (unescape(user, Part::User)?, None),
        Some((name, word)) => (unescape(name, Part::User)?, Some(unescape(word, Part::User)?)),
    });
    Ok(())
}

fn is_optional_port(text: &str) -> bool {
    text.is_empty()
        || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn parse_host(scheme: &str, host: &str) -> Result<Vec<u8>, String> {
    let bad_port = |port: &str| format!("invalid port {} after host", quote(port));
    if let Some(open) = host.rfind('[') {
        if open > 0 {
            return Err("invalid IP-literal".to_owned());
        }
        let close = host.rfind(']').ok_or("missing ']' in host")?;
        let port = host.get(close + 1..).unwrap_or_default();
        if !is_optional_port(port) {
            return Err(bad_port(port));
        }
        let name = host.get(1..close).unwrap_or_default();
        let plain = match name.find("%25").and_then(|zone| name.split_at_checked(zone)) {
            Some((address, zone)) => {
                let mut plain = unescape(address, Part::Host)?;
                plain.extend(unescape(zone, Part::Zone)?);
                plain
            }
            None => unescape(name, Part::Host)?,
        };
        let address = String::from_utf8_lossy(&plain).into_owned();
        match super::net::parse(&address) {
            Err(message) => return Err(format!("invalid host: {message}")),
            Ok((ip, _)) if ip.is_ipv4() => return Err("invalid IP-literal".to_owned()),
            Ok(_) => {}
        }
        return Ok([b"[", plain.as_slice(), b"]", port.as_bytes()].concat());
    }
    if let Some(first) = host.find(':') {
        let last = host.rfind(':').unwrap_or(first);
        // Of several colons only other schemes than these take the last one for that of the port.
        let colon = if matches!(scheme, "http" | "https") { first } else { last };
        let port = host.get(colon..).unwrap_or_default();
        if !is_optional_port(port) {
            return Err(bad_port(port));
        }
    }
    unescape(host, Part::Host)
}

fn is_escaped(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        return false;
    }
    if matches!(part, Part::Host | Part::Zone) && b"!$&'()*+,;=:[]<>\"".contains(&byte) {
        return false;
    }
    if b"$&+,/:;=?@".contains(&byte) {
        return match part {
            Part::Path => byte == b'?',
            Part::User => b"@/?:".contains(&byte),
            Part::Fragment => false,
            Part::Query | Part::Host | Part::Zone => true,
        };
    }
    !(part == Part::Fragment && b"!()*".contains(&byte))
}

fn escape(bytes: &[u8], part: Part) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        if is_escaped(*byte, part) {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        } else {
            out.push((*byte).into());
        }
    }
    out
}

/// Whether a text may be the written form of what it is when it is unescaped.
fn is_encoded(text: &str, part: Part) -> bool {
    text.bytes().all(|byte| b"!$&'()*+,;=:@[]%".contains(&byte) || !is_escaped(byte, part))
}

fn unescape(text: &str, part: Part) -> Result<Vec<u8>, String> {
    let is_host = matches!(part, Part::Host | Part::Zone);
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        at += 1;
        match byte {
            b'%' => {
                let shown = bytes.get(at - 1..(at + 2).min(bytes.len())).unwrap_or_default();
                let wrong = || format!("invalid URL escape {}", quote(&String::from_utf8_lossy(shown)));
                let digits =
                    text.get(at..at + 2).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
                let value = digits.and_then(|hex| u8::from_str_radix(hex, 16).ok()).ok_or_else(wrong)?;
                let is_percent = value == b'%';
                if part == Part::Host && value < 0x80 && !is_percent {
                    return Err(wrong());
                }
                if part == Part::Zone && !is_percent && value != b' ' && is_escaped(value, Part::Host) {
                    return Err(wrong());
                }
                out.push(value);
                at += 2;
            }
            b'+' if part == Part::Query => out.push(b' '),
            _ if is_host && byte < 0x80 && is_escaped(byte, part) => {
                let shown = quote(&char::from(byte).to_string());
                return Err(format!("invalid character {shown} in host name"));
            }
            _ => out.push(byte),
        }
    }
    Ok(out)
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if self.opaque.is_empty() {
            let has_host = !self.host.is_empty();
            let omits = self.omits_host && !has_host && self.user.is_none();
            if (!self.scheme.is_empty() || has_host || self.user.is_some()) && !omits {
                if has_host || !self.path.is_empty() || self.user.is_some() {
                    out.push_str("//");
                }
                if let Some((name, word)) = &self.user {
                    out.push_str(&escape(name, Part::User));
                    if let Some(word) = word {
                        out.push(':');
                        out.push_str(&escape(word, Part::User));
                    }
                    out.push('@');
                }
                out.push_str(&escape(&self.host, Part::Host));
            }
            let path = self.escaped_path();
            let mut path = path.as_str();
            if let Some(after) = path.strip_prefix("//").filter(|_| omits) {
                out.push_str("%2F/");
                path = after;
            }
            if !path.is_empty() && !path.starts_with('/') && has_host && !out.ends_with('/') {
                out.push('/');
            }
            if out.is_empty() && path.split('/').next().is_some_and(|segment| segment.contains(':')) {
                out.push_str("./");
            }
            out.push_str(path);
        } else {
            out.push_str(&self.opaque);
        }
        if self.has_empty_query || !self.query.is_empty() {
            out.push('?');
            out.push_str(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push('#');
            match &self.raw_fragment {
                Some(raw) if is_encoded(raw, Part::Fragment) => out.push_str(raw),
                _ => out.push_str(&escape(&self.fragment, Part::Fragment)),
            }
        }
        f.write_str(&out)
    }
}
