//! Changed rows as records for programs: JSON lines and CSV.

use std::io::Write as _;

use super::sql::{self, Table};
use super::transaction::Transaction;
use crate::binlog::{BinlogError, RowsKind};
use crate::model::Value;

/// The line above the records.
pub(super) const CSV_HEAD: &str =
    "time,gtid,file,position,server_id,thread_id,database,table,event,before,after,statement\n";

pub(super) fn word(kind: RowsKind) -> &'static str {
    match kind {
        RowsKind::Insert => "insert",
        RowsKind::Update => "update",
        RowsKind::Delete => "delete",
    }
}

/// `2026-11-21T12:00:00.000000Z`.
pub(super) fn time(micros: u64, out: &mut Vec<u8>) {
    let start = out.len();
    sql::write_utc(micros / 1_000_000, (micros % 1_000_000) as u32, 6, out);
    if let Some(blank) = out.iter_mut().skip(start).find(|byte| **byte == b' ') {
        *blank = b'T';
    }
    out.push(b'Z');
}

/// The members that all records begin with.
pub(super) fn head(tx: &Transaction, schema: &str, table: Option<&str>, event: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    time(tx.time(), out);
    let _ = write!(out, "\",\"gtid\":");
    let id = tx.id();
    if id.is_empty() {
        out.extend_from_slice(b"null");
    } else {
        drop(sql::json_string(&id, out));
    }
    out.extend_from_slice(b",\"file\":");
    let _ = sql::json_string(&tx.file, out);
    let _ = write!(out, ",\"position\":{},\"serverId\":{},\"threadId\":", tx.start, tx.server_id);
    match tx.thread_id {
        Some(thread) => drop(write!(out, "{thread}")),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"database\":");
    let _ = sql::json_string(schema, out);
    if let Some(table) = table {
        out.extend_from_slice(b",\"table\":");
        let _ = sql::json_string(table, out);
    }
    let _ = write!(out, ",\"event\":\"{event}\"");
}

/// A row's image as a JSON object; columns that it lacks are left out.
fn object(table: &Table, image: &[Value<'_>], out: &mut Vec<u8>) -> Result<(), BinlogError> {
    out.push(b'{');
    let mut first = true;
    for (column, value) in table.columns.iter().zip(image).filter(|(_, value)| !value.is_absent()) {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        sql::json_string(&column.name, out)?;
        out.push(b':');
        sql::write_json_value(column, value, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// Appends a row's change as a line of JSON.
pub(super) fn json(
    tx: &Transaction,
    table: &Table,
    kind: RowsKind,
    before: &[Value<'_>],
    after: &[Value<'_>],
    out: &mut Vec<u8>,
) -> Result<(), BinlogError> {
    head(tx, &table.name.schema, Some(&table.name.table), word(kind), out);
    if kind != RowsKind::Insert {
        out.extend_from_slice(b",\"before\":");
        object(table, before, out)?;
    }
    if kind != RowsKind::Delete {
        out.extend_from_slice(b",\"after\":");
        object(table, after, out)?;
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

/// Appends a row's change as a line of CSV (RFC 4180), images as JSON.
pub(super) fn csv(
    tx: &Transaction,
    table: &Table,
    kind: RowsKind,
    before: &[Value<'_>],
    after: &[Value<'_>],
    out: &mut Vec<u8>,
) -> Result<(), BinlogError> {
    csv_head(tx, &table.name.schema, &table.name.table, word(kind), out);
    let mut image = Vec::new();
    if kind != RowsKind::Insert {
        object(table, before, &mut image)?;
    }
    field(&image, out);
    out.push(b',');
    image.clear();
    if kind != RowsKind::Delete {
        object(table, after, &mut image)?;
    }
    field(&image, out);
    out.extend_from_slice(b",\n");
    Ok(())
}

fn csv_head(tx: &Transaction, schema: &str, table: &str, event: &str, out: &mut Vec<u8>) {
    time(tx.time(), out);
    out.push(b',');
    field(tx.id().as_bytes(), out);
    out.push(b',');
    field(tx.file.as_bytes(), out);
    let _ = write!(out, ",{},{},", tx.start, tx.server_id);
    if let Some(thread) = tx.thread_id {
        let _ = write!(out, "{thread}");
    }
    out.push(b',');
    field(schema.as_bytes(), out);
    out.push(b',');
    field(table.as_bytes(), out);
    let _ = write!(out, ",{event},");
}

/// A statement as a record.
pub(super) fn statement(tx: &Transaction, schema: &str, text: &str, is_json: bool, out: &mut Vec<u8>) {
    if is_json {
        head(tx, schema, None, "statement", out);
        out.extend_from_slice(b",\"statement\":");
        let _ = sql::json_string(text, out);
        out.extend_from_slice(b"}\n");
    } else {
        csv_head(tx, schema, "", "statement", out);
        out.extend_from_slice(b",,");
        field(text.as_bytes(), out);
        out.push(b'\n');
    }
}

fn field(bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        return out.extend_from_slice(bytes);
    }
    out.push(b'"');
    for byte in bytes {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
