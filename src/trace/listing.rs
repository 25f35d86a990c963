//! Changed rows for a page: column by column, with what changed told apart, long values cut.

use std::io::Write as _;

use super::record::{head, word};
use super::select::RowNumber;
use super::sql::{self, Column, Table};
use super::transaction::Transaction;
use crate::binlog::{BinlogError, RowsKind};
use crate::model::{TableName, Value};

/// Bytes of a value that are shown; the statements have all of it.
const MOST: usize = 4096;

/// Appends a row's change as a line of JSON.
pub(super) fn row(
    tx: &Transaction,
    table: &Table,
    (kind, number): (RowsKind, RowNumber),
    before: &[Value<'_>],
    after: &[Value<'_>],
    out: &mut Vec<u8>,
) -> Result<(), BinlogError> {
    head(tx, &table.name.schema, Some(&table.name.table), word(kind), out);
    let _ = write!(out, ",\"row\":\"{number}\",\"columns\":[");
    let mut first = true;
    for (index, column) in table.columns.iter().enumerate() {
        let image =
            |image: &'_ [Value<'_>], has: bool| has && image.get(index).is_some_and(|v| !v.is_absent());
        let (old, new) = (image(before, kind != RowsKind::Insert), image(after, kind != RowsKind::Delete));
        if !old && !new {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"name\":");
        sql::json_string(&column.name, out)?;
        if table.key.contains(&index) {
            out.extend_from_slice(b",\"key\":true");
        }
        if kind == RowsKind::Update && new && before.get(index) != after.get(index) {
            out.extend_from_slice(b",\"changed\":true");
        }
        if let Some(value) = before.get(index).filter(|_| old) {
            shown("before", column, value, out)?;
        }
        if let Some(value) = after.get(index).filter(|_| new) {
            shown("after", column, value, out)?;
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}\n");
    Ok(())
}

/// A value as text or null. A cut one comes with its whole length in bytes.
fn shown(name: &str, column: &Column, value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), BinlogError> {
    let _ = write!(out, ",\"{name}\":");
    if value.is_null() {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    let start = out.len();
    sql::write_json_value(column, value, out)?;
    let written = out.get(start..).unwrap_or_default();
    let is_text = written.first() == Some(&b'"');
    if is_text && written.len() <= MOST {
        return Ok(());
    }
    let text: String = if is_text {
        serde_json::from_slice(written).unwrap_or_default()
    } else {
        String::from_utf8_lossy(written).into_owned()
    };
    out.truncate(start);
    cut(name, &text, out);
    Ok(())
}

/// A text, or its beginning and its whole length in bytes.
fn cut(name: &str, text: &str, out: &mut Vec<u8>) {
    let mut end = text.len().min(MOST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let _ = sql::json_string(text.get(..end).unwrap_or_default(), out);
    if end < text.len() {
        let _ = write!(out, ",\"{name}Length\":{}", text.len());
    }
}

/// Appends a statement that was logged as text.
pub(super) fn statement(tx: &Transaction, schema: &str, text: &str, out: &mut Vec<u8>) {
    head(tx, schema, None, "statement", out);
    out.extend_from_slice(b",\"statement\":");
    cut("statement", text, out);
    out.extend_from_slice(b"}\n");
}

/// Appends what is said of rows that cannot be shown.
pub(super) fn unreadable(
    tx: &Transaction,
    table: &TableName,
    (kind, count): (RowsKind, u64),
    why: &str,
    out: &mut Vec<u8>,
) {
    head(tx, &table.schema, Some(&table.table), word(kind), out);
    let _ = write!(out, ",\"rows\":{count},\"error\":");
    let _ = sql::json_string(why, out);
    out.extend_from_slice(b"}\n");
}
