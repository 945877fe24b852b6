//! Ranges of numbers, and numbers that are as good as random: the same for the same review and argument, in
//! every run.

use num_bigint::{BigInt, Sign};
use portcullis_value::{Budget, Value};
use sha2::{Digest, Sha256};

use super::bits::integer;
use super::{Context, Outcome, number, operand, undefined};

table![
    "numbers.range" => range,
    "numbers.range_step" => range_step,
    "rand.intn" => intn,
];

fn range(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    numbers(context.budget, integer(args, 1)?, &integer(args, 2)?, &BigInt::from(1))
}

fn range_step(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (from, to, step) = (integer(args, 1)?, integer(args, 2)?, integer(args, 3)?);
    if step.sign() != Sign::Plus {
        return Err(undefined("step must be a positive integer"));
    }
    numbers(context.budget, from, &to, &step)
}

/// Both ends are part of it, if a step reaches the last one; downwards, if that is where the last one is.
fn numbers(budget: &mut Budget<'_>, from: BigInt, to: &BigInt, step: &BigInt) -> Outcome {
    let is_down = from > *to;
    let distance = (to - &from).magnitude() / step.magnitude();
    let count = usize::try_from(distance).unwrap_or(usize::MAX).saturating_add(1);
    budget.make_items(count)?;
    let mut next = from;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(number::from_integer(budget, next.clone())?);
        if is_down {
            next -= step;
        } else {
            next += step;
        }
    }
    Ok(Value::from(items))
}

fn intn(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (key, bound) = (operand::text(args, 1)?, operand::integer(args, 2)?.unsigned_abs());
    context.budget.read_text(key.len())?;
    let random =
        u64::from_le_bytes(*digest(context.seed, &format!("{key}-{bound}")).first_chunk().unwrap_or(&[0; 8]));
    Ok(Value::from(random.checked_rem(bound).unwrap_or(0)))
}

/// Bytes that nobody foresees who does not know the seed.
pub(super) fn digest(seed: u64, key: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(key);
    hash.finalize().into()
}
