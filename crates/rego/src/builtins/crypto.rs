//! Hashes.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use portcullis_value::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::operand::text;
use super::{Context, Failure, Outcome, encoding, undefined};

table![
    "crypto.hmac.equal" => hmac_equal,
    "crypto.hmac.md5" => hmac_md5,
    "crypto.hmac.sha1" => hmac_sha1,
    "crypto.hmac.sha256" => hmac_sha256,
    "crypto.hmac.sha512" => hmac_sha512,
    "crypto.md5" => md5,
    "crypto.sha1" => sha1,
    "crypto.sha256" => sha256,
];

fn md5(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    digest::<Md5>(context, args)
}

fn sha1(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    digest::<Sha1>(context, args)
}

fn sha256(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    digest::<Sha256>(context, args)
}

fn digest<D: Digest>(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let text = text(args, 1)?;
    // A byte of a hash costs more than one that is only read.
    context.budget.step(text.len() as u64 / 16 + 1)?;
    Ok(Value::from(encoding::hexadecimal(&D::digest(text))))
}

fn hmac_md5(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    keyed::<Hmac<Md5>>(context, args)
}

fn hmac_sha1(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    keyed::<Hmac<Sha1>>(context, args)
}

fn hmac_sha256(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    keyed::<Hmac<Sha256>>(context, args)
}

fn hmac_sha512(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    keyed::<Hmac<Sha512>>(context, args)
}

fn keyed<M: Mac + KeyInit>(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (text, key) = read(context, args)?;
    // Keys of any length will do.
    let mut hash = <M as KeyInit>::new_from_slice(key.as_bytes())
        .map_err(|_| undefined("the key has a wrong length"))?;
    hash.update(text.as_bytes());
    Ok(Value::from(encoding::hexadecimal(&hash.finalize().into_bytes())))
}

/// In a time that does not tell where they differ.
fn hmac_equal(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (left, right) = read(context, args)?;
    let difference =
        left.bytes().zip(right.bytes()).fold(0, |difference, (left, right)| difference | (left ^ right));
    Ok(Value::from(left.len() == right.len() && difference == 0))
}

fn read<'v>(context: &mut Context<'_, '_>, args: &[&'v Value]) -> Result<(&'v str, &'v str), Failure> {
    let (first, second) = (text(args, 1)?, text(args, 2)?);
    context.budget.step((first.len() as u64).saturating_add(second.len() as u64) / 16 + 1)?;
    Ok((first, second))
}
