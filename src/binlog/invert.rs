//! The opposite of a rows event: what takes its rows back, byte for byte of the same types.
//! Source: `Rows_event` in libs/mysql/binlog/event/rows_event.h.

use super::cursor::{Cursor, bit};
use super::error::{BinlogError, Malformed};
use super::field::Field;
use super::header::EventType;
use super::json;
use super::rows::{RowsEvent, RowsKind};
use super::slots::{Slot, Slots};
use crate::model::Value;

/// STMT_END_F and NO_FOREIGN_KEY_CHECKS_F: each event stands alone, and what a foreign key did is an event of
/// its own.
const FLAGS: u16 = 1 | 2;

impl RowsEvent<'_> {
    /// Appends the body of the event that undoes this one (insert and delete swapped, the images of updates
    /// swapped, the last row first) and gives its type. Images go over as they are, without a column decoded;
    /// only JSON that was updated by difference is made whole.
    ///
    /// `keep` says for each row whether it is undone; without it all are. Also gives how many are. The caller
    /// makes sure that what the images carry is enough to undo.
    pub fn write_inverted(
        &self,
        keep: Option<&[bool]>,
        out: &mut Vec<u8>,
    ) -> Result<(EventType, u64), BinlogError> {
        let table_id = self.table.table_id.to_le_bytes();
        out.extend_from_slice(table_id.get(..6).unwrap_or_default());
        out.extend_from_slice(&FLAGS.to_le_bytes());
        let event_type = match (self.kind, self.version_1) {
            (RowsKind::Insert, false) => EventType::DELETE_ROWS,
            (RowsKind::Update, false) => EventType::UPDATE_ROWS,
            (RowsKind::Delete, false) => EventType::WRITE_ROWS,
            (RowsKind::Insert, true) => EventType::DELETE_ROWS_V1,
            (RowsKind::Update, true) => EventType::UPDATE_ROWS_V1,
            (RowsKind::Delete, true) => EventType::WRITE_ROWS_V1,
        };
        if !self.version_1 {
            out.extend_from_slice(&2_u16.to_le_bytes());
        }
        write_packed(self.table.columns.len(), out);
        out.extend_from_slice(self.after.bits);
        out.extend_from_slice(self.before.bits);
        out.reserve(self.data.len());
        let mut rows = Vec::with_capacity(self.data.len());
        let mut ends = Vec::new();
        self.swap_images(&mut rows, &mut ends).map_err(|e| e.at(&self.at))?;
        let mut count = 0;
        for (index, end) in ends.iter().enumerate().rev() {
            let start = index.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
            if keep.is_none_or(|keep| keep.get(index).copied().unwrap_or(false)) {
                out.extend_from_slice(rows.get(start..*end).unwrap_or_default());
                count += 1;
            }
        }
        Ok((event_type, count))
    }

    /// Writes every row with its images swapped, and where each ends.
    fn swap_images(&self, out: &mut Vec<u8>, ends: &mut Vec<usize>) -> Result<(), Malformed> {
        let mut c = Cursor::new(self.data);
        while !c.is_empty() {
            let left = c.remaining();
            let before = match self.kind {
                RowsKind::Insert => &[][..],
                _ => self.image(&self.before, &mut c)?,
            };
            if self.kind != RowsKind::Delete {
                match self.partial_bits(&mut c)? {
                    None => out.extend_from_slice(self.image(&self.after, &mut c)?),
                    Some(partial) => self.complete(before, partial, &mut c, out)?,
                }
            }
            out.extend_from_slice(before);
            if left == c.remaining() {
                return Err(Malformed("it has bytes beyond its rows"));
            }
            ends.push(out.len());
        }
        Ok(())
    }

    /// The bytes of one image.
    fn image<'c>(
        &self,
        present: &super::slots::Present<'_>,
        c: &mut Cursor<'c>,
    ) -> Result<&'c [u8], Malformed> {
        let whole = c.rest();
        let nulls = c.bytes(present.count.div_ceil(8))?;
        for (_, field, slot) in Slots::new(&self.table.fields, present, nulls, None) {
            slot.skip(field, c)?;
        }
        Ok(whole.get(..whole.len() - c.remaining()).unwrap_or_default())
    }

    /// Writes an after-image whose JSON came as differences, with the documents whole.
    fn complete(
        &self,
        before: &[u8],
        partial: &[u8],
        c: &mut Cursor<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let nulls = c.bytes(self.after.count.div_ceil(8))?;
        out.extend_from_slice(nulls);
        let mut old = Cursor::new(before);
        let old_nulls = old.bytes(self.before.count.div_ceil(8))?;
        let mut old =
            Slots::new(&self.table.fields, &self.before, old_nulls, None).map(|(_, field, slot)| {
                let value = slot.read(field, &mut old);
                value.map(|value| if let Value::Json(bytes) = value { Some(bytes) } else { None })
            });
        for (_, field, slot) in Slots::new(&self.table.fields, &self.after, nulls, Some(partial)) {
            let document = old.next().transpose()?.flatten();
            let whole = c.rest();
            match (slot, field) {
                (Slot::Diff, Field::Json(len_bytes)) => {
                    let Value::Json(diff) = field.read(c)? else { return Err(Malformed::SHORT) };
                    let document =
                        document.ok_or(Malformed("a JSON difference is to a document that is not there"))?;
                    let new = json::patched(document, diff)?;
                    let len = (new.len() as u64).to_le_bytes();
                    out.extend_from_slice(len.get(..usize::from(len_bytes)).unwrap_or_default());
                    out.extend_from_slice(&new);
                }
                (slot, field) => {
                    slot.skip(field, c)?;
                    out.extend_from_slice(whole.get(..whole.len() - c.remaining()).unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    /// True where undoing needs nothing that the images lack: an insert carries all columns of `key` (all
    /// columns where it is empty), a delete every column, an update before it every column that it has after, and
    /// after it what tells its row from others.
    pub fn can_be_undone(&self, key: &[usize]) -> bool {
        let columns = self.table.columns.len();
        match self.kind {
            RowsKind::Insert => self.has_key(key),
            RowsKind::Delete => self.before.all,
            RowsKind::Update => {
                (self.has_key(key) || self.proves_key())
                    && (0..columns).all(|i| !bit(self.after.bits, i) || bit(self.before.bits, i))
            }
        }
    }

    /// The images after have all columns of the key, or all there are.
    fn has_key(&self, key: &[usize]) -> bool {
        self.after.all || (!key.is_empty() && key.iter().all(|column| bit(self.after.bits, *column)))
    }

    /// Of a table without a key the server logs whole images before: a thin one has the key among its columns. Source:
    /// `TABLE::mark_columns_per_binlog_row_image` in sql/table.cc.
    fn proves_key(&self) -> bool {
        let columns = self.table.columns.len();
        !self.before.all && (0..columns).all(|i| !bit(self.before.bits, i) || bit(self.after.bits, i))
    }
}

/// A packed integer, see [`Cursor::packed`].
fn write_packed(value: usize, out: &mut Vec<u8>) {
    match value {
        0..=250 => out.push(value as u8),
        251..=0xffff => {
            out.push(252);
            out.extend_from_slice(&(value as u16).to_le_bytes());
        }
        _ => {
            out.push(254);
            out.extend_from_slice(&(value as u64).to_le_bytes());
        }
    }
}
