//! JSON columns: from the server's binary form to text, and updates by difference.
//! Source: sql-common/json_binary.h (format), json_dom.cc (text), json_diff.h (WL#2955).

mod binary;
mod diff;
mod encode;
mod path;
mod text;

pub use binary::{Container, Json};
pub use diff::{DiffOperation, JsonDiff, Tree, apply_diffs, diffs};

use super::error::{BinlogError, Malformed};
use binary::Budget;

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

/// A binary JSON value after the differences in `diff` (a `Value::JsonDiff`), in binary form.
pub fn apply_to_binary(before: &[u8], diff: &[u8]) -> Result<Vec<u8>, BinlogError> {
    patched(before, diff).map_err(broken)
}

/// See [`apply_to_binary`].
pub(super) fn patched(before: &[u8], diff: &[u8]) -> Result<Vec<u8>, Malformed> {
    let differences = diffs(diff).map_err(|_| Malformed("a JSON difference cannot be read"))?;
    let mut tree = Tree::grow_from(before)?;
    for difference in &differences {
        tree.apply(difference)?;
    }
    let mut out = Vec::new();
    encode::write(&tree, &mut out)?;
    Ok(out)
}

fn broken(Malformed(reason): Malformed) -> BinlogError {
    BinlogError::Json { reason }
}

#[cfg(test)]
mod tests;
