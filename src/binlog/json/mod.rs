//! JSON columns: from the server's binary form to text, and updates by difference.
//! Source: sql-common/json_binary.h (format), json_dom.cc (text), json_diff.h (WL#2955).

mod binary;
mod diff;
mod path;
mod text;

pub use diff::{DiffOperation, JsonDiff, apply_diffs, diffs};

use super::error::{BinlogError, Malformed};
use binary::{Budget, Json};

/// The text of a binary JSON value, byte for byte as the server's `CAST(... AS CHAR)` gives it.
pub fn to_text(bytes: &[u8]) -> Result<String, BinlogError> {
    let mut out = String::with_capacity(bytes.len());
    write_text(bytes, &mut out)?;
    Ok(out)
}

/// Appends the text of a binary JSON value.
pub fn write_text(bytes: &[u8], out: &mut String) -> Result<(), BinlogError> {
    Json::read(bytes).and_then(|json| text::write(&json, &mut Budget::new(bytes.len()), out)).map_err(broken)
}

fn broken(Malformed(reason): Malformed) -> BinlogError {
    BinlogError::Json { reason }
}

#[cfg(test)]
mod tests;
