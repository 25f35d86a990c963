//! One line of JSON per event.

use std::io::Write as _;

use super::TraceError;
use super::as_text::Statement;
use super::draft::Draft;
use super::known::Known;
use super::record;
use super::request::Request;
use super::select::EventKind;
use super::sql;
use super::transaction::{End, Transaction};
use super::walk::Output;
use crate::binlog::{Body, Event, GtidEvent, RowsEvent};

/// Writes events. Those between transactions always come; of transactions, those that are selected.
pub(super) struct Events<'r> {
    request: &'r Request,
    /// Its statements are events.
    pub(super) draft: Draft,
    pub(super) written: u64,
    /// Rows of the event that was seen last, where it was written.
    rows: u64,
}

impl<'r> Events<'r> {
    pub(super) fn new(request: &'r Request) -> Self {
        Self { request, draft: Draft::new(false), written: 0, rows: 0 }
    }

    fn selects(&self, body: &Body<'_>) -> bool {
        let selection = &self.request.selection;
        match body {
            Body::Rows(rows) => selection.holds_rows(rows.kind) && selection.holds_table(&rows.table.name),
            Body::TableMap(table) => selection.holds_table(&table.name),
            Body::Query(query) if query.kind == crate::binlog::QueryKind::Other => {
                selection.holds_kind(EventKind::Ddl) && !selection.chooses_tables()
            }
            _ => true,
        }
    }
}

/// Writes an event's line; gives how many rows it has.
fn write_event(event: &Event<'_>, out: &mut Vec<u8>) -> Result<u64, TraceError> {
    let header = &event.header;
    out.extend_from_slice(b"{\"file\":");
    let _ = sql::json_string(&event.position.file, out);
    let _ = write!(
        out,
        ",\"start\":{},\"end\":{},\"type\":\"{}\",\"time\":\"",
        event.position.start,
        event.position.end,
        header.event_type.to_string().trim_end_matches("_EVENT")
    );
    record::time(u64::from(header.timestamp) * 1_000_000, out);
    let _ = write!(out, "\",\"serverId\":{},\"bytes\":{}", header.server_id, header.length);
    if event.compressed {
        out.extend_from_slice(b",\"compressed\":true");
    }
    let rows = match &event.body {
        Body::Rows(rows) => rows.count()?,
        _ => 0,
    };
    write_body(&event.body, rows, out);
    out.extend_from_slice(b"}\n");
    Ok(rows)
}

fn text(name: &str, text: &str, out: &mut Vec<u8>) {
    let _ = write!(out, ",\"{name}\":");
    let _ = sql::json_string(text, out);
}

fn write_body(body: &Body<'_>, rows_count: u64, out: &mut Vec<u8>) {
    match body {
        Body::FormatDescription(format) => {
            text("serverVersion", &format.server_version, out);
            text("checksum", &format!("{:?}", format.checksum), out);
        }
        Body::Rotate { file, offset, .. } => {
            text("nextFile", file, out);
            let _ = write!(out, ",\"nextPosition\":{offset}");
        }
        Body::PreviousGtids(set) => text("gtids", &set.to_string(), out),
        Body::Gtid(GtidEvent { maria: Some(maria), .. }) => text("gtid", &maria.gtid.to_string(), out),
        Body::Gtid(gtid) => {
            if let Some(gtid) = &gtid.gtid {
                text("gtid", &gtid.to_string(), out);
            }
            if gtid.immediate_commit_timestamp > 0 {
                out.extend_from_slice(b",\"committed\":\"");
                record::time(gtid.immediate_commit_timestamp, out);
                out.push(b'"');
            }
            let _ = write!(
                out,
                ",\"transactionBytes\":{},\"lastCommitted\":{},\"sequenceNumber\":{}",
                gtid.transaction_length, gtid.last_committed, gtid.sequence_number
            );
        }
        Body::Query(query) => {
            text("database", &query.schema, out);
            text("statement", &query.sql, out);
            let _ = write!(out, ",\"threadId\":{},\"seconds\":{}", query.thread_id, query.execution_time);
            if query.error_code != 0 {
                let _ = write!(out, ",\"errorCode\":{}", query.error_code);
            }
        }
        Body::Xid(xid) => drop(write!(out, ",\"xid\":{xid}")),
        Body::XaPrepare { xid, one_phase } => {
            text("xid", &xid.to_string(), out);
            let _ = write!(out, ",\"onePhase\":{one_phase}");
        }
        Body::TableMap(table) => {
            text("database", &table.name.schema, out);
            text("table", &table.name.table, out);
            let _ = write!(out, ",\"tableId\":{},\"columns\":{}", table.table_id, table.columns.len());
        }
        Body::Rows(rows) => {
            text("database", &rows.table.name.schema, out);
            text("table", &rows.table.name.table, out);
            let _ = write!(out, ",\"rows\":{rows_count}");
        }
        Body::RowsQuery(sql) => text("statement", sql, out),
        Body::Payload { uncompressed_size: Some(size) } => drop(write!(out, ",\"uncompressedBytes\":{size}")),
        Body::Incident { code, message } => {
            let _ = write!(out, ",\"code\":{code}");
            text("message", message, out);
        }
        Body::Heartbeat { .. }
        | Body::Payload { .. }
        | Body::StatementEnd
        | Body::Stop
        | Body::StatementContext(_)
        | Body::GroupReplication
        | Body::Bookkeeping
        | Body::Ignored => {}
    }
}

impl Output for Events<'_> {
    fn event(&mut self, event: &Event<'_>) -> Result<(), TraceError> {
        if matches!(event.body, Body::Gtid(_)) {
            self.draft.begin_anew();
        }
        self.rows = 0;
        if !self.selects(&event.body) {
            return Ok(());
        }
        self.rows = self.draft.pieces.push(|out| write_event(event, out))?;
        if self.draft.is_begun() {
            self.draft.pending.statements += 1;
        } else {
            self.written += 1;
        }
        Ok(())
    }

    fn rows(
        &mut self,
        _tx: &Transaction,
        _rows: &RowsEvent<'_>,
        _known: &mut Known,
    ) -> Result<u64, TraceError> {
        Ok(self.rows)
    }

    fn statement(&mut self, _tx: &Transaction, _statement: &Statement<'_>) -> Result<(), TraceError> {
        Ok(())
    }

    fn end(&mut self, tx: &Transaction, _end: End) -> Result<u64, TraceError> {
        if tx.rows < self.request.selection.least_rows() {
            return self.abandon().map(|()| 0);
        }
        self.written += self.draft.keep().0.statements;
        Ok(tx.rows)
    }

    fn abandon(&mut self) -> Result<(), TraceError> {
        self.draft.abandon()
    }
}
