//! Updates of JSON columns by difference (PARTIAL_UPDATE_ROWS, `binlog_row_value_options=PARTIAL_JSON`).

use super::binary::{Budget, Json, MAX_DEPTH};
use super::path::{self, Leg};
use super::{broken, text};
use crate::binlog::cursor::Cursor;
use crate::binlog::error::{BinlogError, Malformed};

/// What a difference does at its path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiffOperation {
    /// The value at the path is replaced.
    Replace,
    /// The value is put into the object or array at the path's last step.
    Insert,
    /// The value at the path is taken out.
    Remove,
}

/// One difference.
#[derive(Clone, PartialEq, Debug)]
pub struct JsonDiff<'a> {
    /// What to do.
    pub operation: DiffOperation,
    /// Where, as the server writes paths: `$.a[0]`.
    pub path: &'a str,
    /// The new value in binary form; `None` for a removal.
    pub value: Option<&'a [u8]>,
}

/// Reads the bytes of a `Value::JsonDiff`.
pub fn diffs(bytes: &[u8]) -> Result<Vec<JsonDiff<'_>>, BinlogError> {
    let mut c = Cursor::new(bytes);
    let mut out = Vec::new();
    while !c.is_empty() {
        out.push(read(&mut c).map_err(broken)?);
    }
    Ok(out)
}

fn read<'a>(c: &mut Cursor<'a>) -> Result<JsonDiff<'a>, Malformed> {
    let operation = match c.u8()? {
        0 => DiffOperation::Replace,
        1 => DiffOperation::Insert,
        2 => DiffOperation::Remove,
        _ => return Err(Malformed("a JSON difference does something unknown")),
    };
    let path = std::str::from_utf8(c.packed_bytes()?).map_err(|_| Malformed("a JSON path is not UTF-8"))?;
    let value = if operation == DiffOperation::Remove { None } else { Some(c.packed_bytes()?) };
    Ok(JsonDiff { operation, path, value })
}

/// The text of a binary JSON value after the differences in `bytes` (a `Value::JsonDiff`).
pub fn apply_diffs(before: &[u8], bytes: &[u8]) -> Result<String, BinlogError> {
    let root = Tree::read(before, Some(bytes))?;
    let mut out = String::new();
    root.write(&mut out).map_err(broken)?;
    Ok(out)
}

/// A document that can be changed.
#[derive(Clone, PartialEq, Debug)]
pub enum Tree<'a> {
    /// Members in the server's order.
    Object(Vec<(String, Self)>),
    /// Cells.
    Array(Vec<Self>),
    /// Anything else.
    Leaf(Json<'a>),
}

const NO_PLACE: Malformed = Malformed("a JSON difference names a place that is not there");

impl<'a> Tree<'a> {
    /// Reads a binary JSON value and applies the differences in `diff`, if any (a `Value::JsonDiff`).
    pub fn read(bytes: &'a [u8], diff: Option<&'a [u8]>) -> Result<Self, BinlogError> {
        let mut root = Self::grow_from(bytes).map_err(broken)?;
        for diff in diff.map(diffs).transpose()?.unwrap_or_default() {
            root.apply(&diff).map_err(broken)?;
        }
        Ok(root)
    }

    /// Appends the text, as the server's `CAST(... AS CHAR)` gives it.
    pub fn write_text(&self, out: &mut String) -> Result<(), BinlogError> {
        self.write(out).map_err(broken)
    }

    pub(super) fn grow_from(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::grow(Json::read(bytes)?, &mut Budget::new(bytes.len()))
    }

    fn grow(json: Json<'a>, budget: &mut Budget) -> Result<Self, Malformed> {
        let Json::Container(container) = json else { return Ok(Self::Leaf(json)) };
        budget.enter(container.len)?;
        let mut tree = if container.is_object { Self::Object(Vec::new()) } else { Self::Array(Vec::new()) };
        for index in 0..container.len {
            let value = Self::grow(container.value(index)?, budget)?;
            match &mut tree {
                Self::Object(members) => {
                    let key = std::str::from_utf8(container.key(index)?);
                    let key = key.map_err(|_| Malformed("a JSON key is not UTF-8"))?;
                    members.push((key.to_owned(), value));
                }
                Self::Array(cells) => cells.push(value),
                Self::Leaf(_) => {}
            }
        }
        budget.leave();
        Ok(tree)
    }

    pub(super) fn apply(&mut self, diff: &JsonDiff<'a>) -> Result<(), Malformed> {
        let value = diff.value.map(Self::grow_from).transpose()?;
        let legs = path::parse(diff.path)?;
        if legs.len() > MAX_DEPTH {
            return Err(NO_PLACE);
        }
        let Some((last, parents)) = legs.split_last() else {
            *self = value.ok_or(NO_PLACE)?; // the whole document
            return Ok(());
        };
        let mut at = self;
        for leg in parents {
            at = at.child(leg).ok_or(NO_PLACE)?;
        }
        match (diff.operation, value) {
            (DiffOperation::Replace, Some(value)) => *at.child(last).ok_or(NO_PLACE)? = value,
            (DiffOperation::Insert, Some(value)) => at.insert(last, value)?,
            _ => at.remove(last)?,
        }
        Ok(())
    }

    /// A cell 0 of what is no array is the thing itself.
    fn child(&mut self, leg: &Leg) -> Option<&mut Self> {
        match (self, leg) {
            (Self::Object(members), Leg::Member(name)) => {
                members.iter_mut().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            (Self::Array(cells), Leg::Cell(index)) => cells.get_mut(*index),
            (this @ (Self::Object(_) | Self::Leaf(_)), Leg::Cell(0)) => Some(this),
            _ => None,
        }
    }

    fn insert(&mut self, leg: &Leg, value: Self) -> Result<(), Malformed> {
        match (self, leg) {
            (Self::Object(members), Leg::Member(name)) => {
                // The server sorts keys by length, then by bytes.
                let rank = |key: &str| (key.len(), key.to_owned());
                let at = members.partition_point(|(key, _)| rank(key) < rank(name));
                members.insert(at, (name.clone(), value));
                Ok(())
            }
            (Self::Array(cells), Leg::Cell(index)) => {
                cells.insert((*index).min(cells.len()), value);
                Ok(())
            }
            _ => Err(NO_PLACE),
        }
    }

    fn remove(&mut self, leg: &Leg) -> Result<(), Malformed> {
        match (self, leg) {
            (Self::Object(members), Leg::Member(name)) => {
                let at = members.iter().position(|(key, _)| key == name).ok_or(NO_PLACE)?;
                members.remove(at);
            }
            (Self::Array(cells), Leg::Cell(index)) if *index < cells.len() => drop(cells.remove(*index)),
            _ => return Err(NO_PLACE),
        }
        Ok(())
    }

    fn write(&self, out: &mut String) -> Result<(), Malformed> {
        match self {
            Self::Leaf(json) => text::write(json, &mut Budget::new(0), out)?,
            Self::Object(members) => {
                out.push('{');
                for (i, (key, value)) in members.iter().enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    text::write_string(key.as_bytes(), out)?;
                    out.push_str(": ");
                    value.write(out)?;
                }
                out.push('}');
            }
            Self::Array(cells) => {
                out.push('[');
                for (i, value) in cells.iter().enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    value.write(out)?;
                }
                out.push(']');
            }
        }
        Ok(())
    }
}
