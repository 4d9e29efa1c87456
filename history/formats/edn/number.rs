//! Numbers of EDN and JSON that are no plain short integers: exact at any size.

use super::{clip, readable};
use crate::value::Value;

/// Digits of an integer in a radix other than ten, beyond which converting it is refused.
const RADIX_DIGITS: usize = 4096;

/// A number that is not a plain short integer.
pub(super) fn number(token: &[u8], json: bool) -> Result<Value, String> {
    let spelled = readable(clip(token));
    let bad = || format!("not a number: {spelled}");
    let text = std::str::from_utf8(token).map_err(|_| bad())?;
    let (negative, digits) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let signed = |digits: &str| if negative { format!("-{digits}") } else { digits.to_string() };
    let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if json {
        let strict = digits == "0"
            || !digits.starts_with('0')
            || digits.starts_with("0.")
            || digits.starts_with("0e")
            || digits.starts_with("0E");
        if !strict || text.starts_with('+') {
            return Err(bad());
        }
    }
    let whole = digits.strip_suffix('N').filter(|_| !json).unwrap_or(digits);
    if all_digits(whole) {
        return match whole.len() > 1 && whole.starts_with('0') {
            true => {
                radix(whole.as_bytes(), 8, negative).ok_or_else(|| format!("not an octal number: {spelled}"))
            }
            false => Ok(integer(signed(whole))),
        };
    }
    if !json {
        if let Some(hex) = whole.strip_prefix("0x").or(whole.strip_prefix("0X")) {
            return radix(hex.as_bytes(), 16, negative).ok_or_else(bad);
        }
        if let Some((base, rest)) = whole.split_once(['r', 'R']) {
            return match base.parse::<u32>() {
                Ok(base @ 2..=36) => radix(rest.as_bytes(), base, negative).ok_or_else(bad),
                _ => Err(format!("the radix of {spelled} is not between 2 and 36")),
            };
        }
        if let Some((over, under)) = digits.split_once('/') {
            return match all_digits(over) && all_digits(under) {
                true => ratio(over, under, negative).ok_or_else(|| format!("a ratio over zero: {spelled}")),
                false => Err(bad()),
            };
        }
        if let Some(decimal) = digits.strip_suffix('M').filter(|d| is_decimal(d)) {
            return Ok(Value::Big(format!("{}M", signed(decimal)).into()));
        }
    }
    match is_decimal(digits) {
        true => text.parse().map(Value::float).map_err(|_| bad()),
        false => Err(bad()),
    }
}

/// Digits, a fraction, an exponent: each but the first may be missing.
fn is_decimal(s: &str) -> bool {
    let (mantissa, exponent) = match s.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e.strip_prefix(['+', '-']).unwrap_or(e))),
        None => (s, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    !whole.is_empty()
        && digits(whole)
        && digits(fraction)
        && exponent.is_none_or(|e| !e.is_empty() && digits(e))
}

fn integer(spelled: String) -> Value {
    match spelled.parse() {
        Ok(i) => Value::Int(i),
        Err(_) => Value::Big(spelled.into()),
    }
}

fn ratio(over: &str, under: &str, negative: bool) -> Option<Value> {
    let sign = if negative { "-" } else { "" };
    if under.bytes().all(|b| b == b'0') {
        return None;
    }
    let (Ok(n), Ok(d)) = (over.parse::<u128>(), under.parse::<u128>()) else {
        return Some(Value::Big(format!("{sign}{over}/{under}").into()));
    };
    let (mut a, mut b) = (n, d);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    Some(match d / a {
        1 => integer(format!("{sign}{}", n / a)),
        d => Value::Big(format!("{sign}{}/{d}", n / a).into()),
    })
}

/// Digits of any radix to decimal ones: exact at any size up to `RADIX_DIGITS`.
fn radix(digits: &[u8], base: u32, negative: bool) -> Option<Value> {
    if digits.is_empty() || digits.len() > RADIX_DIGITS {
        return None;
    }
    let mut limbs = vec![0u64];
    for b in digits {
        let mut carry = (*b as char).to_digit(base)? as u64;
        for limb in &mut limbs {
            carry += *limb * base as u64;
            *limb = carry % 1_000_000_000;
            carry /= 1_000_000_000;
        }
        if carry > 0 {
            limbs.push(carry);
        }
    }
    let mut spelled = String::from(if negative { "-" } else { "" });
    for (i, limb) in limbs.iter().rev().enumerate() {
        spelled += &if i == 0 { limb.to_string() } else { format!("{limb:09}") };
    }
    Some(integer(spelled))
}
