//! Rows as INSERT, UPDATE and DELETE.

use super::json;
use super::literal::{write_exactly, write_value};
use super::table::{Column, Table};
use crate::binlog::BinlogError;
use crate::model::Value;

/// Appends an INSERT of the columns that the image carries.
pub(crate) fn insert(table: &Table, image: &[Value<'_>], out: &mut Vec<u8>) -> Result<(), BinlogError> {
    let whole =
        image.iter().zip(&table.columns).all(|(value, column)| !column.assignable || !value.is_absent());
    if whole {
        out.extend_from_slice(&table.insert_head);
    } else {
        let present = |index: usize| image.get(index).is_some_and(|value| !value.is_absent());
        out.extend_from_slice(&table.insert_head(present));
    }
    let mut first = true;
    for (column, value) in table.columns.iter().zip(image) {
        if column.assignable && !value.is_absent() {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            write_value(column, value, out)?;
        }
    }
    out.extend_from_slice(b");");
    Ok(())
}

/// Appends an UPDATE of the row `from` to `to`. `all`: every column is set, not only those that differ.
pub(crate) fn update(
    table: &Table,
    from: &[Value<'_>],
    to: &[Value<'_>],
    all: bool,
    out: &mut Vec<u8>,
) -> Result<(), BinlogError> {
    out.extend_from_slice(b"UPDATE ");
    out.extend_from_slice(table.quoted.as_bytes());
    out.extend_from_slice(b" SET ");
    let mut written = false;
    let columns = || table.columns.iter().zip(from).zip(to);
    for ((column, before), after) in columns() {
        let differs = all || column.auto_update || !same(before, after);
        if column.assignable && differs && !after.is_absent() {
            assign(column, after, &mut written, out)?;
        }
    }
    if !written {
        // An UPDATE that changed nothing that can be said: the statement stays, so that counts stay.
        let first = columns().find(|((column, _), after)| column.assignable && !after.is_absent());
        if let Some(((column, _), after)) = first {
            assign(column, after, &mut written, out)?;
        } else {
            let name = table.columns.first().map_or("", |column| &column.quoted);
            out.extend_from_slice(format!("{name}={name}").as_bytes());
        }
    }
    which(table, from, out)
}

fn assign(
    column: &Column,
    value: &Value<'_>,
    written: &mut bool,
    out: &mut Vec<u8>,
) -> Result<(), BinlogError> {
    if std::mem::replace(written, true) {
        out.push(b',');
    }
    out.extend_from_slice(column.quoted.as_bytes());
    out.push(b'=');
    match value {
        // The document before is not in the event: the differences go to the one in the table.
        Value::JsonDiff(diff) => json::write_changes(&column.quoted, diff, out),
        value => write_value(column, value, out),
    }
}

/// Appends a DELETE of the row.
pub(crate) fn delete(table: &Table, image: &[Value<'_>], out: &mut Vec<u8>) -> Result<(), BinlogError> {
    out.extend_from_slice(b"DELETE FROM ");
    out.extend_from_slice(table.quoted.as_bytes());
    which(table, image, out)
}

/// Appends `WHERE ... LIMIT 1;`: by key, else by every column, exactly.
fn which(table: &Table, image: &[Value<'_>], out: &mut Vec<u8>) -> Result<(), BinlogError> {
    out.extend_from_slice(b" WHERE ");
    let mut first = true;
    let mut and = |out: &mut Vec<u8>| {
        if !std::mem::take(&mut first) {
            out.extend_from_slice(b" AND ");
        }
    };
    let part = |index: &usize| table.columns.get(*index).zip(image.get(*index));
    let by_key = !table.key.is_empty()
        && table
            .key
            .iter()
            .all(|index| part(index).is_some_and(|(_, value)| !value.is_absent() && !value.is_null()));
    if by_key {
        for (column, value) in table.key.iter().filter_map(part) {
            and(out);
            out.extend_from_slice(column.quoted.as_bytes());
            out.push(b'=');
            write_value(column, value, out)?;
        }
    } else {
        for (column, value) in table.columns.iter().zip(image) {
            if column.assignable && !value.is_absent() && !matches!(value, Value::JsonDiff(_)) {
                and(out);
                write_exactly(column, value, out)?;
            }
        }
    }
    if first {
        out.extend_from_slice(b"TRUE");
    }
    out.extend_from_slice(b" LIMIT 1;");
    Ok(())
}

/// Equal in every bit: -0.0 is not 0.0.
fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Double(a), Value::Double(b)) => a.to_bits() == b.to_bits(),
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        _ => a == b,
    }
}

/// True where strict mode refuses the row although the table has it: ENUM's error value.
pub(crate) fn needs_lenience(image: &[Value<'_>]) -> bool {
    image.iter().any(|value| matches!(value, Value::Enum(0)))
}
