//! Rollback as inverted row events: exact by type, without names, in BINLOG statements that `mysql` applies.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::TraceError;
use super::as_text::{NOT_UNDOABLE, Statement, head};
use super::changes::undoable;
use super::draft::Draft;
use super::fates::{Fates, PREPARED_BEFORE};
use super::known::Known;
use super::request::Request;
use super::transaction::{End, Transaction};
use super::walk::Output;
use crate::binlog::{Checksum, EventType, HEADER_LEN, Header, RowsEvent};
use crate::model::TableName;

/// Bytes of an event per line of base64.
const LINE: usize = 57;

/// Writes inverted events.
pub(super) struct Exact<'r> {
    request: &'r Request,
    fates: Arc<Fates>,
    pub(super) draft: Draft,
    /// How the events of this part end.
    checksum: Checksum,
    pub(super) written: u64,
    body: Vec<u8>,
    events: Vec<u8>,
    warnings: Vec<String>,
}

impl<'r> Exact<'r> {
    pub(super) fn new(request: &'r Request, fates: Arc<Fates>, checksum: Checksum) -> Self {
        Self {
            request,
            fates,
            draft: Draft::new(true),
            checksum,
            written: 0,
            body: Vec::new(),
            events: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Which rows are selected, where not all are.
    fn keep(&self, rows: &RowsEvent<'_>, known: &mut Known) -> Result<Option<Vec<bool>>, TraceError> {
        let Some(chosen) = known.choose(rows, self.request)? else { return Ok(Some(Vec::new())) };
        undoable(rows, &chosen)?;
        if chosen.takes_all() {
            return Ok(None);
        }
        let rows = rows.with_table(Arc::clone(&chosen.table.map));
        let mut iterator = rows.rows();
        let mut keep = Vec::new();
        while let Some(row) = iterator.next()? {
            let (mut before, mut after) = (Vec::new(), Vec::new());
            row.before.map_or(Ok(()), |image| image.read_all(&mut before))?;
            row.after.map_or(Ok(()), |image| image.read_all(&mut after))?;
            keep.push(chosen.holds(rows.kind, &before, &after));
        }
        Ok(Some(keep))
    }
}

/// Appends an event: its header, its body, its checksum.
fn write_event(like: &Header, event_type: EventType, body: &[u8], checksum: Checksum, out: &mut Vec<u8>) {
    let sum = if checksum == Checksum::Crc32 { 4 } else { 0 };
    let length = (HEADER_LEN + body.len() + sum) as u32;
    let start = out.len();
    Header { event_type, length, next_position: 0, flags: 0, ..*like }.write(out);
    out.extend_from_slice(body);
    if sum > 0 {
        let crc = crc32fast::hash(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&crc.to_le_bytes());
    }
}

/// Appends `BINLOG '...';`.
fn write_binlog(events: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"BINLOG '\n");
    let mut line = [0; LINE.div_ceil(3) * 4];
    for chunk in events.chunks(LINE) {
        if let Ok(len) = STANDARD.encode_slice(chunk, &mut line) {
            out.extend_from_slice(line.get(..len).unwrap_or_default());
            out.push(b'\n');
        }
    }
    out.extend_from_slice(b"';\n");
}

/// The statement that tells a server how the events that follow are laid out; `raw` is the file's own
/// FORMAT_DESCRIPTION event.
pub(super) fn format_statement(raw: &[u8]) -> Vec<u8> {
    let mut event = Vec::new();
    if let Some(header) = Header::of(raw) {
        // A FORMAT_DESCRIPTION always has room for a checksum; here without the flag that its file is in use.
        let body = raw.get(HEADER_LEN..raw.len().saturating_sub(4)).unwrap_or_default();
        write_event(&header, header.event_type, body, Checksum::Crc32, &mut event);
    }
    let mut out = Vec::new();
    write_binlog(&event, &mut out);
    out.extend_from_slice(b"/*!50700 SET SESSION gtid_next = 'AUTOMATIC' */;\n");
    out
}

impl Output for Exact<'_> {
    fn rows(&mut self, tx: &Transaction, rows: &RowsEvent<'_>, known: &mut Known) -> Result<u64, TraceError> {
        let selection = &self.request.selection;
        if !selection.holds_rows(rows.kind) || !selection.holds_table(&rows.table.name) {
            return Ok(0);
        }
        let keep = if selection.chooses_rows() {
            self.keep(rows, known)?
        } else {
            undoable_by_event(rows, self.request, known)?;
            None
        };
        self.body.clear();
        let (event_type, count) = rows.write_inverted(keep.as_deref(), &mut self.body)?;
        if count == 0 {
            return Ok(0);
        }
        if self.draft.begin() {
            self.draft.pieces.push(|out| {
                out.extend_from_slice(b"COMMIT;\n");
                Ok::<_, TraceError>(())
            })?;
        }
        let like = Header {
            timestamp: tx.begun,
            server_id: tx.server_id,
            event_type,
            length: 0,
            next_position: 0,
            flags: 0,
        };
        self.events.clear();
        write_event(&like, EventType::TABLE_MAP, rows.table.event_body(), self.checksum, &mut self.events);
        write_event(&like, event_type, &self.body, self.checksum, &mut self.events);
        let (events, request) = (&self.events, self.request);
        self.draft.pieces.push(|out| {
            if request.with_original {
                let verb = rows.kind;
                out.extend_from_slice(
                    format!("-- {verb} {} x {count}\n", one_line(&rows.table.name)).as_bytes(),
                );
            }
            write_binlog(events, out);
            Ok::<_, TraceError>(())
        })?;
        self.draft.pending.rows += count;
        Ok(count)
    }

    fn statement(&mut self, tx: &Transaction, statement: &Statement<'_>) -> Result<(), TraceError> {
        if statement.changes_rows {
            return Err(statement.refused(NOT_UNDOABLE));
        }
        let is_late = self.fates.came_too_late(tx);
        if is_late || statement.is_about_tables() {
            let why = if is_late { PREPARED_BEFORE } else { "" };
            self.warnings.push(format!("{}: not undone: {}{why}", statement.at, head(&statement.query.sql)));
        }
        Ok(())
    }

    fn savepoint(&mut self, name: &str) {
        self.draft.savepoint(name);
    }

    fn rollback_to(&mut self, name: &str) -> Result<(), TraceError> {
        self.draft.rollback_to(name)
    }

    fn end(&mut self, tx: &Transaction, end: End) -> Result<u64, TraceError> {
        let happened = match end {
            End::Committed => true,
            End::RolledBack => false,
            End::Prepared => self.fates.committed(tx),
        };
        self.warnings.extend(self.fates.left_open(tx, end).filter(|_| !happened));
        if !happened || self.draft.pending.rows < self.request.selection.least_rows() {
            return self.abandon().map(|()| 0);
        }
        let (written, begun) = self.draft.keep();
        let rows = written.rows;
        self.written += rows;
        if begun {
            self.draft.pieces.push(|out| {
                out.extend_from_slice(format!("-- undo {tx}\nBEGIN;\n").as_bytes());
                Ok::<_, TraceError>(())
            })?;
        }
        Ok(rows)
    }

    fn abandon(&mut self) -> Result<(), TraceError> {
        self.draft.abandon()
    }
}

fn one_line(name: &TableName) -> String {
    head(&name.to_string())
}

/// The key is known from the event alone, or from what is known beside it, or every column must be there.
fn undoable_by_event(rows: &RowsEvent<'_>, request: &Request, known: &mut Known) -> Result<(), TraceError> {
    if rows.can_be_undone(&rows.table.primary_key) {
        return Ok(());
    }
    if let (true, Ok(Some(chosen))) = (rows.table.primary_key.is_empty(), known.choose(rows, request)) {
        return undoable(rows, &chosen);
    }
    Err(TraceError::NotUndoable {
        at: rows.at().clone(),
        table: rows.table.name.clone(),
        reason: "its rows lack columns (binlog_row_image was not FULL), and what stood in them is not known"
            .into(),
    })
}
