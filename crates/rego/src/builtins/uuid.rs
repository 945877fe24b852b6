//! UUIDs.

use std::collections::BTreeMap;

use portcullis_value::Value;

use super::operand::{text, value};
use super::{Context, Outcome, numbers};

table![
    "uuid.parse" => parse,
    "uuid.rfc4122" => rfc4122,
];

/// One of version 4 that is the same for the same review and argument.
fn rfc4122(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let key = portcullis_value::text(context.budget, value(args, 1)?)?;
    let digest = numbers::digest(context.seed, &key);
    let bits = u128::from_be_bytes(*digest.first_chunk().unwrap_or(&[0; 16]));
    let bits = bits & !(0xf << 76) & !(0b11 << 62) | (0x4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    let uuid = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-");
    Ok(Value::from(uuid))
}

/// What a UUID says; nothing for other texts.
fn parse(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(read(text(args, 1)?).map_or(Value::UNDEFINED, describe))
}

/// With dashes, in braces, as a URN, or just the digits.
fn read(text: &str) -> Option<u128> {
    let digits = match text.len() {
        32 => text.to_owned(),
        36 => dashed(text)?,
        // What the two characters around are, nobody looks at.
        38 => dashed(text.get(1..37)?)?,
        45 if text.get(..9)?.eq_ignore_ascii_case("urn:uuid:") => dashed(text.get(9..)?)?,
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(&digits, 16).ok()
}

fn dashed(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    if lengths == [8, 4, 4, 4, 12] { Some(parts.concat()) } else { None }
}

fn describe(bits: u128) -> Value {
    let mut parts = BTreeMap::new();
    let mut put = |key: &str, value: Value| parts.insert(Value::from(key), value);
    let field = |shift: u32, width: u32| {
        let field = (bits >> shift) & ((1 << width) - 1);
        // None has more than 48 bits.
        i128::try_from(field).unwrap_or_default()
    };
    let version = field(76, 4);
    put("version", Value::from(version));
    put(
        "variant",
        Value::from(match field(60, 4) {
            0b1000..=0b1011 => "RFC4122",
            0b1100 | 0b1101 => "Microsoft",
            0b1110 | 0b1111 => "Future",
            _ => "Reserved",
        }),
    );
    if matches!(version, 1 | 2) {
        // Hundreds of nanoseconds since the calendar was reformed, in 1582.
        const REFORM: i128 = 0x01b2_1dd2_1381_4000;
        let time = field(64, 12) << 48 | field(80, 16) << 32 | field(96, 32);
        let nanoseconds = (time - REFORM) * 100;
        put("time", Value::from(nanoseconds));
        let node: Vec<String> = (0..6).map(|byte| format!("{:02x}", field(40 - 8 * byte, 8))).collect();
        put("nodeid", Value::from(node.join("-")));
        put(
            "macvariables",
            Value::from(match field(40, 2) {
                0b11 => "local:multicast",
                0b01 => "global:multicast",
                0b10 => "local:unicast",
                _ => "global:unicast",
            }),
        );
        put("clocksequence", Value::from(field(48, 14)));
        if version == 2 {
            put("id", Value::from(field(96, 32)));
            let domain = field(48, 8);
            put(
                "domain",
                match domain {
                    0 => Value::from("Person"),
                    1 => Value::from("Group"),
                    2 => Value::from("Org"),
                    other => Value::from(format!("Domain{other}")),
                },
            );
        }
    }
    Value::from(parts)
}
