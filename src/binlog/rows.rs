//! Rows events: which rows changed, and their columns, decoded only when asked for.
//! Source: `Rows_event` and `Partial_update_rows` in libs/mysql/binlog/event/rows_event.h, WL#2955.

use std::borrow::Cow;
use std::sync::Arc;

use super::cursor::{Cursor, bit};
use super::error::{At, BinlogError, Malformed};
use super::field::Field;
use super::header::EventType;
use super::slots::{Present, Slot, Slots};
use super::table_map::TableMap;
use crate::model::Value;

/// STMT_END_F.
const FLAG_STATEMENT_END: u16 = 1;
/// The table id of a rows event that only ends a statement (6 bytes; 0x00ffffff on old servers).
const NO_TABLE: [u64; 2] = [0xffff_ffff_ffff, 0x00ff_ffff];

const VERSION_1: [EventType; 3] =
    [EventType::WRITE_ROWS_V1, EventType::UPDATE_ROWS_V1, EventType::DELETE_ROWS_V1];

/// What happened to the rows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RowsKind {
    /// New rows: images after.
    Insert,
    /// Changed rows: images before and after.
    Update,
    /// Removed rows: images before.
    Delete,
}

/// Changed rows of one table.
#[derive(Clone, Debug)]
pub struct RowsEvent<'a> {
    /// The table.
    pub table: Arc<TableMap>,
    /// What happened.
    pub kind: RowsKind,
    /// True for PARTIAL_UPDATE_ROWS: JSON columns may come as [`Value::JsonDiff`].
    pub partial: bool,
    /// The event's flags (STMT_END_F and others).
    pub flags: u16,
    /// True for the types of MySQL 5.5 and MariaDB, which have no extra data.
    pub(super) version_1: bool,
    pub(super) before: Present<'a>,
    pub(super) after: Present<'a>,
    pub(super) data: &'a [u8],
    pub(super) at: At,
}

/// Rows event before its table is known.
pub(super) struct Unbound<'a> {
    pub(super) table_id: u64,
    flags: u16,
    body: Cursor<'a>,
    event_type: EventType,
}

impl<'a> Unbound<'a> {
    pub(super) fn read(
        event_type: EventType,
        table_id_len: usize,
        mut c: Cursor<'a>,
    ) -> Result<Self, Malformed> {
        let table_id = c.uint_le(table_id_len)?;
        let flags = c.u16()?;
        if !VERSION_1.contains(&event_type) {
            let extra = usize::from(c.u16()?);
            c.skip(extra.checked_sub(2).ok_or(Malformed("its extra data is shorter than its length"))?)?;
        }
        Ok(Self { table_id, flags, body: c, event_type })
    }

    /// True for an event that has no rows and only ends a statement.
    pub(super) fn is_statement_end(&self) -> bool {
        NO_TABLE.contains(&self.table_id) && self.flags & FLAG_STATEMENT_END != 0
    }

    pub(super) fn bind(mut self, table: Arc<TableMap>, at: At) -> Result<RowsEvent<'a>, BinlogError> {
        let columns = self.body.packed_len().map_err(|e| e.at(&at))?;
        if columns != table.columns.len() {
            return Err(BinlogError::Columns { at, expected: table.columns.len(), found: columns });
        }
        let kind = match self.event_type {
            EventType::WRITE_ROWS | EventType::WRITE_ROWS_V1 => RowsKind::Insert,
            EventType::DELETE_ROWS | EventType::DELETE_ROWS_V1 => RowsKind::Delete,
            _ => RowsKind::Update,
        };
        let first = Present::read(columns, &mut self.body).map_err(|e| e.at(&at))?;
        let (before, after) = match kind {
            RowsKind::Insert => (Present::default(), first),
            RowsKind::Delete => (first, Present::default()),
            RowsKind::Update => (first, Present::read(columns, &mut self.body).map_err(|e| e.at(&at))?),
        };
        let partial = self.event_type == EventType::PARTIAL_UPDATE_ROWS;
        let (data, version_1) = (self.body.take_rest(), VERSION_1.contains(&self.event_type));
        Ok(RowsEvent { table, kind, partial, flags: self.flags, version_1, before, after, data, at })
    }
}

impl std::fmt::Display for RowsKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Insert => "WRITE_ROWS",
            Self::Update => "UPDATE_ROWS",
            Self::Delete => "DELETE_ROWS",
        })
    }
}

impl RowsEvent<'_> {
    /// The same rows, read by a table map that knows more ([`TableMap::with_columns`]).
    #[must_use]
    pub fn with_table(&self, table: Arc<TableMap>) -> Self {
        Self { table, ..self.clone() }
    }

    /// Where the event lies.
    pub fn at(&self) -> &At {
        &self.at
    }

    /// True for the last rows event of a statement.
    pub fn ends_statement(&self) -> bool {
        self.flags & FLAG_STATEMENT_END != 0
    }

    /// True where the images before the change carry this column.
    pub fn has_before(&self, column: usize) -> bool {
        bit(self.before.bits, column)
    }

    /// True where the images after the change carry this column.
    pub fn has_after(&self, column: usize) -> bool {
        bit(self.after.bits, column)
    }

    /// The rows, one by one.
    pub fn rows(&self) -> Rows<'_> {
        Rows { event: self, rest: Cursor::new(self.data), begun: false }
    }

    /// How many rows there are: each is stepped over.
    pub fn count(&self) -> Result<u64, BinlogError> {
        let (mut rows, mut count) = (self.rows(), 0);
        while rows.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// Decodes every column of every row in one pass: the fastest way to see all.
    pub fn visit(&self, visitor: &mut impl RowVisitor) -> Result<(), BinlogError> {
        let mut rows = self.rows();
        let mut scratch = Vec::new();
        while rows.more() {
            let left = rows.rest.remaining();
            if self.kind != RowsKind::Insert {
                visitor.image(false);
                self.visit_image(&self.before, None, &mut rows.rest, &mut scratch, visitor)
                    .map_err(|e| e.at(&self.at))?;
            }
            if self.kind != RowsKind::Delete {
                visitor.image(true);
                let partial = self.partial_bits(&mut rows.rest).map_err(|e| e.at(&self.at))?;
                self.visit_image(&self.after, partial, &mut rows.rest, &mut scratch, visitor)
                    .map_err(|e| e.at(&self.at))?;
            }
            visitor.row_end();
            if left > 0 && left == rows.rest.remaining() {
                return Err(Malformed("it has bytes beyond its rows").at(&self.at));
            }
        }
        Ok(())
    }

    #[inline]
    fn visit_image(
        &self,
        present: &Present<'_>,
        partial: Option<&[u8]>,
        c: &mut Cursor<'_>,
        scratch: &mut Vec<u8>,
        visitor: &mut impl RowVisitor,
    ) -> Result<(), Malformed> {
        let nulls = c.bytes(present.count.div_ceil(8))?;
        for (column, field, slot) in Slots::new(&self.table.fields, present, nulls, partial) {
            match slot {
                Slot::Plain if matches!(field, Field::Decimal { .. }) => {
                    scratch.clear();
                    field.read_decimal(c, scratch)?;
                    let text = std::str::from_utf8(scratch).unwrap_or_default();
                    visitor.value(column, &Value::Decimal(Cow::Borrowed(text)));
                }
                slot => visitor.value(column, &slot.read(field, c)?),
            }
        }
        Ok(())
    }

    /// The flags before an after-image of PARTIAL_UPDATE_ROWS: a bit for each JSON column of the table.
    pub(super) fn partial_bits<'r>(&self, c: &mut Cursor<'r>) -> Result<Option<&'r [u8]>, Malformed> {
        if !self.partial || c.packed()? & 1 == 0 {
            return Ok(None);
        }
        c.bytes(self.table.json_columns.div_ceil(8)).map(Some)
    }
}

/// Sees the rows of [`RowsEvent::visit`].
pub trait RowVisitor {
    /// An image begins: before the change (`after` false) or after it.
    fn image(&mut self, after: bool);
    /// One column of the image, in the order of columns; [`Value::Absent`] where the image lacks it.
    fn value(&mut self, column: usize, value: &Value<'_>);
    /// The row is complete.
    fn row_end(&mut self) {}
}

/// The rows of an event that are left to read.
#[derive(Debug)]
pub struct Rows<'r> {
    event: &'r RowsEvent<'r>,
    rest: Cursor<'r>,
    begun: bool,
}

/// One changed row.
#[derive(Clone, Copy, Debug)]
pub struct Row<'r> {
    /// The row before the change: UPDATE, DELETE.
    pub before: Option<Image<'r>>,
    /// The row after the change: INSERT, UPDATE.
    pub after: Option<Image<'r>>,
}

impl<'r> Rows<'r> {
    /// The next row, `None` after the last.
    #[allow(clippy::should_implement_trait)] // Result<Option<_>>, as the decoder's own next
    pub fn next(&mut self) -> Result<Option<Row<'r>>, BinlogError> {
        if !self.more() {
            return Ok(None);
        }
        self.read_row().map(Some).map_err(|e| e.at(&self.event.at))
    }

    /// Decodes every column of the next row in one pass, into vectors that may be used again; false after the last.
    /// The vector of an image that the change does not have becomes empty.
    pub fn read_values(
        &mut self,
        before: &mut Vec<Value<'r>>,
        after: &mut Vec<Value<'r>>,
    ) -> Result<bool, BinlogError> {
        before.clear();
        after.clear();
        if !self.more() {
            return Ok(false);
        }
        self.read_both(before, after).map_err(|e| e.at(&self.event.at))?;
        Ok(true)
    }

    fn read_both(
        &mut self,
        before: &mut Vec<Value<'r>>,
        after: &mut Vec<Value<'r>>,
    ) -> Result<(), Malformed> {
        let event = self.event;
        let left = self.rest.remaining();
        if event.kind != RowsKind::Insert {
            self.read_image(&event.before, None, before)?;
        }
        if event.kind != RowsKind::Delete {
            let partial = event.partial_bits(&mut self.rest)?;
            self.read_image(&event.after, partial, after)?;
        }
        if left > 0 && left == self.rest.remaining() {
            return Err(Malformed("it has bytes beyond its rows"));
        }
        Ok(())
    }

    fn read_image(
        &mut self,
        present: &Present<'_>,
        partial: Option<&[u8]>,
        out: &mut Vec<Value<'r>>,
    ) -> Result<(), Malformed> {
        let c = &mut self.rest;
        let nulls = c.bytes(present.count.div_ceil(8))?;
        for (_, field, slot) in Slots::new(&self.event.table.fields, present, nulls, partial) {
            out.push(slot.read(field, c)?);
        }
        Ok(())
    }

    /// True where a row is left. Images without any column (row image MINIMAL, all defaults) have no bytes:
    /// an event without bytes is one such row, as the server's own applier has it.
    fn more(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.begun, true);
        !self.rest.is_empty() || (first && self.event.before.count + self.event.after.count == 0)
    }

    fn read_row(&mut self) -> Result<Row<'r>, Malformed> {
        let event = self.event;
        let left = self.rest.remaining();
        let before = match event.kind {
            RowsKind::Insert => None,
            _ => Some(Image::read_from(event, &event.before, None, &mut self.rest)?),
        };
        let after = if event.kind == RowsKind::Delete {
            None
        } else {
            let partial = event.partial_bits(&mut self.rest)?;
            Some(Image::read_from(event, &event.after, partial, &mut self.rest)?)
        };
        if left > 0 && left == self.rest.remaining() {
            return Err(Malformed("it has bytes beyond its rows"));
        }
        Ok(Row { before, after })
    }
}

/// A row at one moment: some or all of its columns.
#[derive(Clone, Copy, Debug)]
pub struct Image<'r> {
    event: &'r RowsEvent<'r>,
    present: &'r Present<'r>,
    partial: Option<&'r [u8]>,
    nulls: &'r [u8],
    values: Cursor<'r>,
}

impl<'r> Image<'r> {
    fn read_from(
        event: &'r RowsEvent<'r>,
        present: &'r Present<'r>,
        partial: Option<&'r [u8]>,
        c: &mut Cursor<'r>,
    ) -> Result<Self, Malformed> {
        let nulls = c.bytes(present.count.div_ceil(8))?;
        let values = *c;
        for (_, field, slot) in Slots::new(&event.table.fields, present, nulls, partial) {
            slot.skip(field, c)?;
        }
        Ok(Self { event, present, partial, nulls, values })
    }

    /// Decodes the wanted columns (ascending indexes) and passes over the others; pushes one value for each,
    /// [`Value::Absent`] where the image lacks the column.
    pub fn read(&self, wanted: &[usize], out: &mut Vec<Value<'r>>) -> Result<(), BinlogError> {
        let mut wanted = wanted.iter().copied().peekable();
        let mut c = self.values;
        for (column, field, slot) in self.slots() {
            match wanted.peek() {
                None => return Ok(()),
                Some(next) if *next == column => {
                    out.push(slot.read(field, &mut c).map_err(|e| e.at(&self.event.at))?);
                    wanted.next();
                }
                Some(_) => slot.skip(field, &mut c).map_err(|e| e.at(&self.event.at))?,
            }
        }
        match wanted.next() {
            None => Ok(()),
            Some(column) => Err(BinlogError::Columns {
                at: self.event.at.clone(),
                expected: column + 1,
                found: self.event.table.columns.len(),
            }),
        }
    }

    /// Decodes every column.
    pub fn read_all(&self, out: &mut Vec<Value<'r>>) -> Result<(), BinlogError> {
        let mut c = self.values;
        for (_, field, slot) in self.slots() {
            out.push(slot.read(field, &mut c).map_err(|e| e.at(&self.event.at))?);
        }
        Ok(())
    }

    /// True where the image carries this column.
    pub fn has(&self, column: usize) -> bool {
        bit(self.present.bits, column)
    }

    /// True where the image carries every column of the table.
    pub fn is_full(&self) -> bool {
        self.present.all
    }

    fn slots(&self) -> Slots<'r> {
        Slots::new(&self.event.table.fields, self.present, self.nulls, self.partial)
    }
}
