//! JSON as the server prints it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::binary::{Budget, Json};
use crate::binlog::decimal;
use crate::binlog::error::Malformed;
use crate::binlog::field::code;
use crate::binlog::temporal;
use crate::model::Value;

/// The server breaks base64 after so many characters.
const BASE64_LINE: usize = 76;

/// Appends a value's text.
pub(super) fn write(json: &Json<'_>, budget: &mut Budget, out: &mut String) -> Result<(), Malformed> {
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(v) => out.push_str(if *v { "true" } else { "false" }),
        Json::Int(v) => out.push_str(itoa::Buffer::new().format(*v)),
        Json::UInt(v) => out.push_str(itoa::Buffer::new().format(*v)),
        Json::Double(v) => write_double(*v, out),
        Json::Text(bytes) => write_string(bytes, out)?,
        Json::Opaque { type_code, data } => write_opaque(*type_code, data, out)?,
        Json::Container(container) => {
            budget.enter(container.len)?;
            out.push(if container.is_object { '{' } else { '[' });
            for index in 0..container.len {
                if index > 0 {
                    out.push_str(", ");
                }
                if container.is_object {
                    write_string(container.key(index)?, out)?;
                    out.push_str(": ");
                }
                write(&container.value(index)?, budget, out)?;
            }
            out.push(if container.is_object { '}' } else { ']' });
            budget.leave();
        }
    }
    Ok(())
}

/// Appends a string in double quotes, escaped as the server escapes.
pub(super) fn write_string(bytes: &[u8], out: &mut String) -> Result<(), Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed("a JSON string is not UTF-8"))?;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' => drop(write!(out, "\\u{:04x}", c as u32)),
            _ => out.push(c),
        }
    }
    out.push('"');
    Ok(())
}

/// The shortest digits that read back as the same number, the even ones of two equally near; with an
/// exponent where the point would stand more than 15 digits away and not between digits (my_gcvt in
/// strings/dtoa.cc); `.0` where it would look like an integer.
fn write_double(value: f64, out: &mut String) {
    let mut buffer = zmij::Buffer::new();
    let shortest = buffer.format(value);
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let unsigned = whole.trim_start_matches('-');
    if value.is_sign_negative() {
        out.push('-');
    }
    let all = format!("{unsigned}{fraction}");
    let leading = all.len() - all.trim_start_matches('0').len();
    let digits = all.trim_matches('0');
    if digits.is_empty() {
        return out.push_str("0.0");
    }
    // Where the point stands, counted from before the first digit.
    let point = unsigned.len() as i32 - leading as i32 + exponent.parse().unwrap_or(0);
    let count = digits.len() as i32;
    if !(-14..=15).contains(&point) && !(1..count).contains(&point) {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
        let dot = if rest.is_empty() { "" } else { "." };
        let _ = write!(out, "{first}{dot}{rest}e{}", point - 1);
        return;
    }
    let zeros = |n: i32| "0".repeat(n.max(0) as usize);
    let (before, after) = digits.split_at_checked(point.clamp(0, count) as usize).unwrap_or((digits, ""));
    out.push_str(if before.is_empty() { "0" } else { before });
    out.push_str(&zeros(point - count));
    out.push('.');
    out.push_str(&zeros(-point));
    out.push_str(if after.is_empty() { "0" } else { after });
}

fn write_opaque(type_code: u8, data: &[u8], out: &mut String) -> Result<(), Malformed> {
    if type_code == code::NEWDECIMAL {
        let mut text = Vec::new();
        let (digits, bytes) = data.split_first_chunk::<2>().ok_or(Malformed::SHORT)?;
        let [precision, scale] = *digits;
        decimal::format(bytes, precision, scale, &mut text)?;
        out.push_str(std::str::from_utf8(&text).unwrap_or_default());
        return Ok(());
    }
    out.push('"');
    let packed = || data.first_chunk().map(|b| i64::from_le_bytes(*b)).ok_or(Malformed::SHORT);
    match type_code {
        code::DATE => write_temporal(&temporal::packed_datetime(packed()?), true, out),
        code::DATETIME | code::TIMESTAMP => write_temporal(&temporal::packed_datetime(packed()?), false, out),
        code::TIME => write_temporal(&temporal::packed_time(packed()?), false, out),
        _ => write_base64(type_code, data, out),
    }
    out.push('"');
    Ok(())
}

fn write_temporal(value: &Value<'_>, date_only: bool, out: &mut String) {
    let _ = match *value {
        Value::DateTime { year, month, day, .. } if date_only => {
            write!(out, "{year:04}-{month:02}-{day:02}")
        }
        Value::DateTime { year, month, day, hour, minute, second, micros } => {
            write!(out, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}")
        }
        Value::Time { negative, hours, minute, second, micros } => {
            let sign = if negative { "-" } else { "" };
            write!(out, "{sign}{hours:02}:{minute:02}:{second:02}.{micros:06}")
        }
        _ => Ok(()),
    };
}

fn write_base64(type_code: u8, data: &[u8], out: &mut String) {
    let _ = write!(out, "base64:type{type_code}:");
    let encoded = STANDARD.encode(data);
    let mut rest = encoded.as_str();
    while let Some((line, more)) = rest.split_at_checked(BASE64_LINE).filter(|(_, more)| !more.is_empty()) {
        out.push_str(line);
        out.push_str("\\n");
        rest = more;
    }
    out.push_str(rest);
}
