//! Walks over events and shows an [`Output`] the transactions that are selected.

use std::sync::Arc;

use super::TraceError;
use super::as_text::{Statement, changes_rows, head};
use super::context::Context;
use super::known::Known;
use super::names::Ddl;
use super::request::Request;
use super::select::EventKind;
use super::transaction::{End, Transaction};
use crate::binlog::{At, Body, Event, QueryEvent, QueryKind, RowsEvent};

/// What becomes of transactions.
pub(super) trait Output {
    /// Every event, selected or not, before anything else is made of it.
    fn event(&mut self, _event: &Event<'_>) -> Result<(), TraceError> {
        Ok(())
    }
    /// Changed rows of a selected transaction; how many of them are selected.
    fn rows(&mut self, tx: &Transaction, rows: &RowsEvent<'_>, known: &mut Known) -> Result<u64, TraceError>;
    /// A statement as text.
    fn statement(&mut self, tx: &Transaction, statement: &Statement<'_>) -> Result<(), TraceError>;
    /// The text of the statement whose rows follow.
    fn rows_query(&mut self, _tx: &Transaction, _sql: &str) -> Result<(), TraceError> {
        Ok(())
    }
    /// SAVEPOINT and ROLLBACK TO: what comes between is taken back.
    fn savepoint(&mut self, _name: &str) {}
    /// See [`Output::savepoint`].
    fn rollback_to(&mut self, _name: &str) -> Result<(), TraceError> {
        Ok(())
    }
    /// The selected transaction ended so; how many of its rows come out.
    fn end(&mut self, tx: &Transaction, end: End) -> Result<u64, TraceError>;
    /// The transaction that was being read does not come to an end.
    fn abandon(&mut self) -> Result<(), TraceError> {
        Ok(())
    }
}

/// What was seen, to be held against what came out.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Counts {
    /// Events read, those within compressed transactions among them.
    pub events: u64,
    /// Transactions read.
    pub transactions: u64,
    /// Transactions with something selected.
    pub selected_transactions: u64,
    /// Rows selected.
    pub selected_rows: u64,
    /// Rows that would be, but for their transaction: rolled back, not decided, or with too few rows.
    pub undone_rows: u64,
    /// Statements or records written for them.
    pub written: u64,
    /// DDL and other text statements written.
    pub statements: u64,
    /// Events that said of themselves that they may be skipped.
    pub ignored: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.transactions += other.transactions;
        self.selected_transactions += other.selected_transactions;
        self.undone_rows += other.undone_rows;
        self.selected_rows += other.selected_rows;
        self.written += other.written;
        self.statements += other.statements;
        self.ignored += other.ignored;
    }
}

/// The state between events.
pub(super) struct Walk<'r> {
    request: &'r Request,
    pub(super) known: Known,
    tx: Option<Transaction>,
    /// BEGIN came: statements belong to the transaction.
    begun: bool,
    /// By place, time and GTID.
    selected: bool,
    /// Of the statement as text that comes next.
    context: Context,
    pub(super) counts: Counts,
    /// The events are of the first, the last file.
    pub(super) first_file: bool,
    pub(super) last_file: bool,
    /// A transaction lay beyond the time to stop at.
    pub(super) beyond: bool,
    /// Statements that moved the schema, database and text, where they are kept.
    pub(super) moved: Option<Vec<(String, String)>>,
}

impl<'r> Walk<'r> {
    pub(super) fn new(request: &'r Request, known: Known) -> Self {
        Self {
            request,
            known,
            tx: None,
            begun: false,
            selected: false,
            context: Context::default(),
            counts: Counts::default(),
            first_file: true,
            last_file: true,
            beyond: false,
            moved: None,
        }
    }

    /// True between transactions.
    pub(super) fn idle(&self) -> bool {
        self.tx.is_none()
    }

    /// Where the open transaction begins.
    pub(super) fn open_since(&self) -> Option<u64> {
        self.tx.as_ref().map(|tx| tx.start)
    }

    /// Takes one event.
    pub(super) fn take(&mut self, event: &Event<'_>, out: &mut impl Output) -> Result<(), TraceError> {
        self.counts.events += 1;
        if let Some(tx) = &mut self.tx {
            tx.end = event.position.end;
        }
        out.event(event)?;
        match &event.body {
            Body::Gtid(gtid) => {
                self.open(event, out, |tx| tx.set_gtid(gtid))?;
                self.begun = gtid.maria.as_ref().is_some_and(|maria| maria.begins);
            }
            Body::Query(query) => self.query(event, query, out)?,
            Body::Xid(_) => self.close(End::Committed, out)?,
            Body::XaPrepare { one_phase, .. } => {
                self.close(if *one_phase { End::Committed } else { End::Prepared }, out)?;
            }
            Body::Rows(rows) => self.rows(event, rows, out)?,
            Body::RowsQuery(sql) => {
                if let (Some(tx), true) = (&self.tx, self.selected) {
                    out.rows_query(tx, sql)?;
                }
            }
            Body::StatementContext(body) => self.context.add(event.header.event_type, body),
            Body::Incident { message, .. } => self.known.warn(format!(
                "INCIDENT at {}:{}: changes may be missing from the binlog: {message}",
                event.position.file, event.position.start
            )),
            Body::Ignored => self.counts.ignored += 1,
            _ => {}
        }
        Ok(())
    }

    fn open(
        &mut self,
        event: &Event<'_>,
        out: &mut impl Output,
        fill: impl FnOnce(&mut Transaction),
    ) -> Result<(), TraceError> {
        if self.tx.is_some() {
            self.close(End::Committed, out)?; // an old server's, whose end has no event
        }
        let mut tx = Transaction::begin(event);
        fill(&mut tx);
        self.counts.transactions += 1;
        self.selected = self.request.selection.may_hold(&tx, self.first_file, self.last_file);
        self.beyond |= self.request.selection.stop_time.is_some_and(|stop| tx.time() >= stop);
        self.begun = false;
        self.tx = Some(tx);
        Ok(())
    }

    fn close(&mut self, end: End, out: &mut impl Output) -> Result<(), TraceError> {
        self.begun = false;
        self.context = Context::default();
        let Some(tx) = self.tx.take() else { return Ok(()) };
        if !std::mem::take(&mut self.selected) {
            return out.abandon();
        }
        let kept = out.end(&tx, end)?;
        self.counts.selected_transactions += u64::from(kept > 0);
        self.counts.selected_rows += kept;
        self.counts.undone_rows += tx.rows.saturating_sub(kept);
        Ok(())
    }

    /// The end of a file within a transaction: nothing of it comes out.
    pub(super) fn abandon(&mut self, out: &mut impl Output) -> Result<(), TraceError> {
        self.tx = None;
        self.selected = false;
        out.abandon()
    }

    fn rows(
        &mut self,
        event: &Event<'_>,
        rows: &RowsEvent<'_>,
        out: &mut impl Output,
    ) -> Result<(), TraceError> {
        if self.tx.is_none() {
            self.open(event, out, |_| {})?; // without GTID events and BEGIN
        }
        let Some(tx) = &mut self.tx else { return Ok(()) };
        if tx.begun == 0 {
            tx.begun = event.header.timestamp;
        }
        tx.row_events += 1;
        let selection = &self.request.selection;
        if !self.selected || !selection.holds_origin(tx) {
            return Ok(());
        }
        let selected = out.rows(tx, rows, &mut self.known)?;
        tx.rows += selected;
        Ok(())
    }

    fn query(
        &mut self,
        event: &Event<'_>,
        query: &QueryEvent<'_>,
        out: &mut impl Output,
    ) -> Result<(), TraceError> {
        if self.tx.is_none() {
            self.open(event, out, |_| {})?;
        }
        if let Some(tx) = &mut self.tx {
            tx.thread_id = Some(query.thread_id);
            if tx.begun == 0 {
                tx.begun = event.header.timestamp;
            }
        }
        match &query.kind {
            QueryKind::Begin => self.begun = true,
            QueryKind::XaStart(xid) => {
                self.begun = true;
                if let Some(tx) = &mut self.tx {
                    tx.xid = Some(xid.clone());
                }
            }
            QueryKind::XaEnd(_) => {}
            QueryKind::Commit => self.close(End::Committed, out)?,
            QueryKind::Rollback => self.close(End::RolledBack, out)?,
            QueryKind::Savepoint => out.savepoint(name(&query.sql)),
            QueryKind::RollbackToSavepoint => out.rollback_to(name(&query.sql))?,
            QueryKind::XaCommit(_) | QueryKind::XaRollback(_) => {
                self.statement(event, query, Ddl::Other, out)?;
                self.close(End::Committed, out)?;
            }
            QueryKind::Other => {
                let ddl = self.ddl(event, query)?;
                self.statement(event, query, ddl, out)?;
                if !self.begun {
                    self.close(End::Committed, out)?;
                }
            }
        }
        Ok(())
    }

    /// When a statement was done on the server that wrote it: its event has the time when it began, a replica's that of
    /// the first server. In microseconds since 1970.
    fn done_at(&self, event: &Event<'_>, query: &QueryEvent<'_>) -> u64 {
        let ended = (u64::from(event.header.timestamp) + u64::from(query.execution_time)) * 1_000_000;
        self.tx.as_ref().map(|tx| tx.committed).filter(|committed| *committed > 0).unwrap_or(ended)
    }

    /// What the statement does to the schema; the known tables follow it, selected or not.
    fn ddl(&mut self, event: &Event<'_>, query: &QueryEvent<'_>) -> Result<Ddl, TraceError> {
        if query.error_code != 0 || changes_rows(&query.sql) {
            return Ok(Ddl::Other);
        }
        Ok(match Ddl::read(&query.sql, &query.schema) {
            Ok(ddl) => {
                self.known.follow(&ddl, self.done_at(event, query), || at(event))?;
                if let (true, Some(moved)) = (ddl.moves(), &mut self.moved) {
                    moved.push((query.schema.to_string(), query.sql.to_string()));
                }
                ddl
            }
            Err(why) => {
                self.known.warn(format!("a statement of the binlog {why}: {}", head(&query.sql)));
                Ddl::Other
            }
        })
    }

    fn statement(
        &mut self,
        event: &Event<'_>,
        query: &QueryEvent<'_>,
        ddl: Ddl,
        out: &mut impl Output,
    ) -> Result<(), TraceError> {
        let selection = &self.request.selection;
        let context = std::mem::take(&mut self.context);
        let Some(tx) = self.tx.as_ref().filter(|tx| self.selected && selection.holds_origin(tx)) else {
            return Ok(());
        };
        let about = ddl.tables();
        let chosen = if !selection.chooses_tables() {
            true
        } else if let Ddl::DropSchema(schema) = &ddl {
            selection.holds_database(schema)
        } else {
            about.iter().any(|table| selection.holds_table(table))
        };
        let changes_rows = query.kind == QueryKind::Other && changes_rows(&query.sql);
        if changes_rows && selection.chooses_tables() {
            self.known.warn(format!(
                "a change logged as text (binlog_format is not ROW) at {}:{} is left out: which tables it \
                 changes is not known",
                event.position.file, event.position.start
            ));
            return Ok(());
        }
        if !chosen || !selection.holds_kind(EventKind::Ddl) {
            return Ok(());
        }
        let at = at(event);
        let timestamp = event.header.timestamp;
        self.counts.statements += 1;
        let needs_no_schema = event.header.flags & SUPPRESS_USE != 0;
        out.statement(tx, &Statement { query, ddl, changes_rows, needs_no_schema, context, timestamp, at })
    }
}

fn at(event: &Event<'_>) -> At {
    let position = &event.position;
    At { event: event.header.event_type, file: Arc::clone(&position.file), offset: position.start }
}

/// LOG_EVENT_SUPPRESS_USE_F of QUERY events.
const SUPPRESS_USE: u16 = 8;

/// A savepoint's name, as `SAVEPOINT x` and `ROLLBACK TO x` end with it.
fn name(sql: &str) -> &str {
    let rest = sql.trim();
    let lower = rest.to_ascii_lowercase();
    let skipped = if lower.starts_with("savepoint ") { 10 } else { "rollback to ".len() };
    rest.get(skipped..).unwrap_or_default().trim()
}
