//! JSON as SQL that gives the same document, types of its scalars included.
//!
//! `CAST('...' AS JSON)` reads text: what text cannot tell apart (DECIMAL from DOUBLE, dates and binary values
//! from strings, UNSIGNED from INTEGER) is put together by JSON_OBJECT and JSON_ARRAY from typed values.

use std::io::Write as _;

use super::literal::{quote, write_double, write_hex};
use crate::binlog::BinlogError;
use crate::binlog::json::{DiffOperation, Json, Tree, diffs};

/// Type codes of opaque scalars, see `enum_field_types`.
const DATE: u8 = 10;
const TIME: u8 = 11;
const DATETIME: u8 = 12;
const TIMESTAMP: u8 = 7;
const DECIMAL: u8 = 246;

/// Appends the document (after the differences in `diff`, if any) as an expression of type JSON.
pub(super) fn write(bytes: &[u8], diff: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), BinlogError> {
    let tree = Tree::read(bytes, diff)?;
    if is_text(&tree) {
        let mut text = String::with_capacity(bytes.len());
        tree.write_text(&mut text)?;
        // A column of type JSON reads text by itself.
        quote(text.as_bytes(), out);
        return Ok(());
    }
    expression(&tree, true, out)
}

/// True where text says all.
fn is_text(tree: &Tree<'_>) -> bool {
    match tree {
        Tree::Object(members) => members.iter().all(|(_, value)| is_text(value)),
        Tree::Array(cells) => cells.iter().all(is_text),
        Tree::Leaf(Json::Opaque { .. }) => false,
        // Text of more than 32 bits reads as UNSIGNED, of fewer as INTEGER (measured).
        Tree::Leaf(Json::UInt(number)) => *number > u64::from(u32::MAX),
        Tree::Leaf(Json::Int(number)) => *number <= i64::from(u32::MAX),
        Tree::Leaf(_) => true,
    }
}

/// `outer`: a value of its own, which must be cast to JSON; within JSON_OBJECT and JSON_ARRAY scalars are not.
fn expression(tree: &Tree<'_>, outer: bool, out: &mut Vec<u8>) -> Result<(), BinlogError> {
    if is_text(tree) {
        out.extend_from_slice(b"CAST(");
        let mut text = String::new();
        tree.write_text(&mut text)?;
        quote(text.as_bytes(), out);
        out.extend_from_slice(b" AS JSON)");
        return Ok(());
    }
    match tree {
        Tree::Object(members) => {
            out.extend_from_slice(b"JSON_OBJECT(");
            for (at, (key, value)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                quote(key.as_bytes(), out);
                out.push(b',');
                expression(value, false, out)?;
            }
            out.push(b')');
        }
        Tree::Array(cells) => {
            out.extend_from_slice(b"JSON_ARRAY(");
            for (at, value) in cells.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                expression(value, false, out)?;
            }
            out.push(b')');
        }
        Tree::Leaf(leaf) => {
            let cast = outer && !matches!(leaf, Json::Text(_));
            out.extend_from_slice(if cast { b"CAST(" } else { b"" });
            scalar(leaf, tree, out)?;
            out.extend_from_slice(if cast { b" AS JSON)" } else { b"" });
        }
    }
    Ok(())
}

/// A scalar as SQL of the type that JSON keeps.
fn scalar(leaf: &Json<'_>, tree: &Tree<'_>, out: &mut Vec<u8>) -> Result<(), BinlogError> {
    match *leaf {
        Json::UInt(number) => drop(write!(out, "CAST({number} AS UNSIGNED)")),
        Json::Int(number) => drop(write!(out, "CAST({number} AS SIGNED)")),
        Json::Double(number) => write_double(number, out),
        Json::Opaque { type_code, data } => {
            let mut text = String::new();
            tree.write_text(&mut text)?;
            let plain = text.trim_matches('"');
            match type_code {
                DECIMAL => {
                    let [precision, scale] = data.first_chunk().copied().unwrap_or([65, 30]);
                    let _ = write!(out, "CAST({plain} AS DECIMAL({precision},{scale}))");
                }
                DATE => drop(write!(out, "CAST('{plain}' AS DATE)")),
                TIME => drop(write!(out, "CAST('{plain}' AS TIME(6))")),
                DATETIME | TIMESTAMP => drop(write!(out, "CAST('{plain}' AS DATETIME(6))")),
                // The bytes; of which type the column was that they came from, no expression says.
                _ => write_hex(data, out),
            }
        }
        Json::Null | Json::Bool(_) | Json::Text(_) | Json::Container(_) => {
            let mut text = String::new();
            tree.write_text(&mut text)?;
            out.extend_from_slice(b"CAST(");
            quote(text.as_bytes(), out);
            out.extend_from_slice(b" AS JSON)");
        }
    }
    Ok(())
}

/// Appends an expression that makes a partial update's differences to the document in the table.
pub(super) fn write_changes(column: &str, diff: &[u8], out: &mut Vec<u8>) -> Result<(), BinlogError> {
    let changes = diffs(diff)?;
    let mut tails = Vec::new();
    for change in changes.iter().rev() {
        let function = match change.operation {
            DiffOperation::Replace => "JSON_REPLACE(",
            DiffOperation::Insert if change.path.ends_with(']') => "JSON_ARRAY_INSERT(",
            DiffOperation::Insert => "JSON_INSERT(",
            DiffOperation::Remove => "JSON_REMOVE(",
        };
        out.extend_from_slice(function.as_bytes());
        let mut tail = b",".to_vec();
        quote(change.path.as_bytes(), &mut tail);
        if let Some(value) = change.value {
            tail.push(b',');
            expression(&Tree::read(value, None)?, true, &mut tail)?;
        }
        tail.push(b')');
        tails.push(tail);
    }
    out.extend_from_slice(column.as_bytes());
    tails.iter().rev().for_each(|tail| out.extend_from_slice(tail));
    Ok(())
}
