//! Rows as statements or records: forward, or taken back with the newest first.

use std::io::Write as _;
use std::sync::Arc;

use super::TraceError;
use super::as_text::{NOT_UNDOABLE, Statement, head};
use super::draft::Draft;
use super::fates::{Fates, PREPARED_BEFORE};
use super::known::{Chosen, Known};
use super::listing;
use super::record;
use super::request::{Form, Request};
use super::select::RowNumber;
use super::sql;
use super::transaction::{End, Transaction};
use super::walk::Output;
use crate::binlog::{BinlogError, QueryKind, RowsEvent, RowsKind, json};
use crate::model::Value;

/// What is written before the first statement: the session's settings that the statements rely on.
pub(super) const PREAMBLE: &str = "\
SET @binlog_operator_mode = @@SESSION.sql_mode, @binlog_operator_zone = @@SESSION.time_zone,
  @binlog_operator_keys = @@SESSION.foreign_key_checks, @binlog_operator_safe = @@SESSION.sql_safe_updates;
SET @binlog_operator_strict = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION';
SET NAMES utf8mb4;
SET SESSION time_zone = '+00:00', sql_mode = @binlog_operator_strict, foreign_key_checks = 0, sql_safe_updates = 0;
";
/// What is written after the last statement.
pub(super) const POSTAMBLE: &str = "\
SET SESSION time_zone = @binlog_operator_zone, sql_mode = @binlog_operator_mode,
  foreign_key_checks = @binlog_operator_keys, sql_safe_updates = @binlog_operator_safe;
";
/// The variable's name is what the error shows: DOUBLE value is out of range in 'exp(@...)'.
pub(super) const GUARD_PREAMBLE: &str = "SET @the_statement_before_did_not_change_exactly_one_row = 1000;\n";
const GUARD: &[u8] =
    b"DO IF(ROW_COUNT() = 1, 0, EXP(@the_statement_before_did_not_change_exactly_one_row));\n";
/// Around a row that strict mode refuses although the table had it.
const LENIENT: &[u8] = b"SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';\n";
const STRICT: &[u8] = b"SET SESSION sql_mode = @binlog_operator_strict;\n";

/// The first version whose binlog has what foreign keys cascade, as GTID events write versions.
const CASCADES_LOGGED: u32 = 90_600;
/// NO_FOREIGN_KEY_CHECKS_F of rows events.
const NO_FOREIGN_KEY_CHECKS: u16 = 2;

/// Writes changes.
pub(super) struct Changes<'r> {
    request: &'r Request,
    fates: Arc<Fates>,
    pub(super) draft: Draft,
    /// The statement that the rows come from.
    query: Option<String>,
    pub(super) written: u64,
    warnings: Vec<String>,
    /// The open transaction's foreign keys are checked and act.
    checks_keys: bool,
}

impl<'r> Changes<'r> {
    pub(super) fn new(request: &'r Request, fates: Arc<Fates>) -> Self {
        Self {
            request,
            fates,
            draft: Draft::new(request.is_backward()),
            query: None,
            written: 0,
            warnings: Vec::new(),
            checks_keys: false,
        }
    }

    /// What has to be said, once.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// The transaction's first piece: forward its BEGIN, backward (where it is read last) its COMMIT.
    fn begin(&mut self, tx: &Transaction) -> Result<(), TraceError> {
        if !self.draft.begin() {
            return Ok(());
        }
        match self.request.form {
            Form::Sql => {
                let text = match (&tx.xid, self.fates.is_known(tx)) {
                    (Some(xid), false) => format!("-- {tx}\nXA START {xid};\n"),
                    _ => format!("-- {tx}\nBEGIN;\n"),
                };
                self.text(&text)?;
                self.text(if self.checks_keys { "SET SESSION foreign_key_checks = 1;\n" } else { "" })
            }
            Form::Rollback => self
                .text(if self.checks_keys { "SET SESSION foreign_key_checks = 0;\n" } else { "" })
                .and_then(|()| self.text("COMMIT;\n")),
            _ => Ok(()),
        }
    }

    /// Before MySQL 9.6, and on MariaDB, what foreign keys did is not in the binlog: they have to do it again.
    fn check_keys(&mut self, tx: &Transaction, rows: &RowsEvent<'_>) {
        self.checks_keys = tx.server_version < CASCADES_LOGGED && rows.flags & NO_FOREIGN_KEY_CHECKS == 0;
        if self.checks_keys && self.request.form == Form::Rollback && rows.kind != RowsKind::Insert {
            let warning = "these binlogs are of a server that does not log what foreign keys cascade (MySQL before \
                           9.6, MariaDB): rows that ON DELETE CASCADE removed do not come back";
            if !self.warnings.iter().any(|known| known == warning) {
                self.warnings.push(warning.to_owned());
            }
        }
    }

    fn text(&mut self, text: &str) -> Result<(), TraceError> {
        self.draft.pieces.push(|out| {
            out.extend_from_slice(text.as_bytes());
            Ok(())
        })
    }

    fn row(
        &mut self,
        tx: &Transaction,
        chosen: &Chosen,
        (kind, number): (RowsKind, RowNumber),
        before: &[Value<'_>],
        after: &[Value<'_>],
    ) -> Result<(), TraceError> {
        let request = self.request;
        self.draft.pending.rows += 1;
        self.draft.pieces.push(|out| match request.form {
            Form::Listing => {
                listing::row(tx, &chosen.table, (kind, number), before, after, out).map_err(TraceError::from)
            }
            Form::Json => record::json(tx, &chosen.table, kind, before, after, out).map_err(TraceError::from),
            Form::Csv => record::csv(tx, &chosen.table, kind, before, after, out).map_err(TraceError::from),
            Form::Rollback => undo(request, chosen, kind, before, after, out).map_err(TraceError::from),
            _ => redo(request, chosen, kind, before, after, out).map_err(TraceError::from),
        })
    }

    /// Rows of which a listing can only say why they are not shown.
    fn unreadable(
        &mut self,
        tx: &Transaction,
        rows: &RowsEvent<'_>,
        error: &TraceError,
    ) -> Result<u64, TraceError> {
        let count = rows.count()?;
        self.draft.begin();
        self.draft.pending.rows += count;
        self.draft.pieces.push(|out| {
            listing::unreadable(tx, &rows.table.name, (rows.kind, count), &error.to_string(), out);
            Ok::<_, TraceError>(())
        })?;
        Ok(count)
    }

    /// A statement of which nothing comes out but a comment and a warning.
    fn left_out(&mut self, statement: &Statement<'_>, what: &str, why: &str) -> Result<(), TraceError> {
        self.draft.begin();
        let text = format!("{what}: {}{why}", head(&statement.query.sql));
        self.warnings.push(format!("{}: {text}", statement.at));
        self.text(&format!("-- {text}\n"))
    }
}

/// What is wrong is that the columns are not known, or are others.
fn is_about_columns(error: &TraceError) -> bool {
    matches!(error, TraceError::Names { .. } | TraceError::Mismatch { .. })
}

/// Appends the statement that does the change again.
fn redo(
    request: &Request,
    chosen: &Chosen,
    kind: RowsKind,
    before: &[Value<'_>],
    after: &[Value<'_>],
    out: &mut Vec<u8>,
) -> Result<(), BinlogError> {
    let lenient = sql::needs_lenience(after);
    out.extend_from_slice(if lenient { LENIENT } else { b"" });
    forward(request, chosen, kind, before, after, out)?;
    out.push(b'\n');
    out.extend_from_slice(if lenient { STRICT } else { b"" });
    Ok(())
}

fn forward(
    request: &Request,
    chosen: &Chosen,
    kind: RowsKind,
    before: &[Value<'_>],
    after: &[Value<'_>],
    out: &mut Vec<u8>,
) -> Result<(), BinlogError> {
    match kind {
        RowsKind::Insert => sql::insert(&chosen.table, after, out),
        RowsKind::Update => sql::update(&chosen.table, before, after, request.full_set, out),
        RowsKind::Delete => sql::delete(&chosen.table, before, out),
    }
}

/// Appends the statement that takes the change back.
fn undo(
    request: &Request,
    chosen: &Chosen,
    kind: RowsKind,
    before: &[Value<'_>],
    after: &[Value<'_>],
    out: &mut Vec<u8>,
) -> Result<(), BinlogError> {
    if request.with_original {
        out.extend_from_slice(b"-- ");
        let start = out.len();
        forward(request, chosen, kind, before, after, out)?;
        for byte in out.iter_mut().skip(start).filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' '; // of an identifier
        }
        out.push(b'\n');
    }
    let lenient = sql::needs_lenience(before);
    out.extend_from_slice(if lenient { LENIENT } else { b"" });
    match kind {
        RowsKind::Insert => sql::delete(&chosen.table, after, out)?,
        RowsKind::Update => sql::update(&chosen.table, after, before, request.full_set, out)?,
        RowsKind::Delete => sql::insert(&chosen.table, before, out)?,
    }
    out.push(b'\n');
    out.extend_from_slice(if request.guard { GUARD } else { b"" });
    out.extend_from_slice(if lenient { STRICT } else { b"" });
    Ok(())
}

/// The image after a partial update, with documents whole where the image before has them.
fn patched<'d>(
    before: &[Value<'_>],
    after: &[Value<'d>],
    documents: &'d mut Vec<(usize, Vec<u8>)>,
) -> Result<Vec<Value<'d>>, BinlogError> {
    for (index, value) in after.iter().enumerate() {
        if let (Value::JsonDiff(diff), Some(Value::Json(document))) = (value, before.get(index)) {
            documents.push((index, json::apply_to_binary(document, diff)?));
        }
    }
    let mut whole = after.to_vec();
    for (index, document) in documents.iter() {
        if let Some(value) = whole.get_mut(*index) {
            *value = Value::Json(document);
        }
    }
    Ok(whole)
}

impl Output for Changes<'_> {
    fn rows(&mut self, tx: &Transaction, rows: &RowsEvent<'_>, known: &mut Known) -> Result<u64, TraceError> {
        if !self.request.selection.holds_rows(rows.kind) {
            return Ok(0);
        }
        let chosen = match known.choose(rows, self.request) {
            Err(error) if self.request.form == Form::Listing && is_about_columns(&error) => {
                return self.unreadable(tx, rows, &error);
            }
            chosen => chosen?,
        };
        let Some(chosen) = chosen else { return Ok(0) };
        if self.request.form == Form::Rollback {
            undoable(rows, &chosen)?;
        }
        let rows = rows.with_table(Arc::clone(&chosen.table.map));
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let mut iterator = rows.rows();
        let mut selected = 0;
        let mut next = RowNumber { event: tx.row_events, row: 0 };
        while iterator.read_values(&mut before, &mut after)? {
            let number = next;
            next.row += 1;
            if !self.request.selection.holds_row(number) {
                continue;
            }
            let mut documents = Vec::new();
            let whole = if rows.partial { Some(patched(&before, &after, &mut documents)?) } else { None };
            let after = whole.as_deref().unwrap_or(&after);
            if !chosen.takes_all() && !chosen.holds(rows.kind, &before, after) {
                continue;
            }
            if selected == 0 {
                if !self.draft.is_begun() {
                    self.check_keys(tx, &rows);
                }
                self.begin(tx)?;
                if let (Some(query), Form::Sql) = (self.query.take(), self.request.form) {
                    self.text(&format!("-- {}\n", head(&query)))?;
                }
            }
            selected += 1;
            self.row(tx, &chosen, (rows.kind, number), &before, after)?;
        }
        Ok(selected)
    }

    fn rows_query(&mut self, _tx: &Transaction, sql: &str) -> Result<(), TraceError> {
        self.query = Some(head(sql));
        Ok(())
    }

    fn statement(&mut self, tx: &Transaction, statement: &Statement<'_>) -> Result<(), TraceError> {
        if self.request.selection.row.is_some() {
            return Ok(());
        }
        let query = statement.query;
        let is_xa = matches!(query.kind, QueryKind::XaCommit(_) | QueryKind::XaRollback(_));
        match self.request.form {
            Form::Sql if is_xa => {
                if self.fates.came_too_late(tx) {
                    return self.left_out(statement, "not done", PREPARED_BEFORE);
                }
                if self.fates.are_known() {
                    return Ok(()); // its rows stand where it was prepared
                }
                self.draft.begin();
                self.text(&format!("-- {tx}\n{};\n", query.sql))
            }
            Form::Sql if let Some(reason) = statement.lacks() => Err(statement.refused(reason)),
            Form::Sql => {
                self.draft.begin();
                if query.lossy {
                    self.warnings.push(format!(
                        "{}: the statement's text is not valid in its character set",
                        statement.at
                    ));
                }
                self.text(&format!("-- {tx}\n"))?;
                self.draft.pending.statements += 1;
                self.text(&statement.text())
            }
            Form::Rollback if statement.changes_rows => Err(statement.refused(NOT_UNDOABLE)),
            Form::Rollback if self.fates.came_too_late(tx) => {
                self.left_out(statement, "not undone", PREPARED_BEFORE)
            }
            Form::Rollback if statement.is_about_tables() => self.left_out(statement, "not undone", ""),
            form @ (Form::Json | Form::Csv | Form::Listing) => {
                self.draft.begin();
                self.draft.pending.statements += 1;
                self.draft.pieces.push(|out| {
                    match form {
                        Form::Listing => listing::statement(tx, &query.schema, &query.sql, out),
                        _ => record::statement(tx, &query.schema, &query.sql, form == Form::Json, out),
                    }
                    Ok(())
                })
            }
            _ => Ok(()),
        }
    }

    fn savepoint(&mut self, name: &str) {
        self.draft.savepoint(name);
    }

    fn rollback_to(&mut self, name: &str) -> Result<(), TraceError> {
        self.draft.rollback_to(name)
    }

    fn end(&mut self, tx: &Transaction, end: End) -> Result<u64, TraceError> {
        self.query = None;
        let streamed_xa = tx.xid.is_some() && self.request.form == Form::Sql && !self.fates.is_known(tx);
        let happened = match end {
            End::Committed => true,
            End::RolledBack => false,
            End::Prepared => streamed_xa || self.fates.committed(tx),
        };
        if streamed_xa && happened {
            self.begin(tx)?; // XA COMMIT follows, whatever is selected
        }
        self.warnings.extend(self.fates.left_open(tx, end).filter(|_| !happened));
        let few = self.draft.pending.rows < self.request.selection.least_rows();
        if !happened || few {
            return self.abandon().map(|()| 0);
        }
        let (written, begun) = self.draft.keep();
        self.written += written.rows + written.statements;
        let rows = written.rows;
        if !begun {
            return Ok(rows);
        }
        match self.request.form {
            Form::Sql if rows > 0 || streamed_xa => match (&tx.xid, end) {
                (Some(xid), End::Prepared) if streamed_xa => {
                    self.text(&format!("XA END {xid};\nXA PREPARE {xid};\n"))?;
                }
                (Some(xid), _) if streamed_xa => {
                    self.text(&format!("XA END {xid};\nXA COMMIT {xid} ONE PHASE;\n"))?;
                }
                _ if self.checks_keys => self.text("COMMIT;\nSET SESSION foreign_key_checks = 0;\n")?,
                _ => self.text("COMMIT;\n")?,
            },
            Form::Rollback if rows > 0 => {
                let keys = if self.checks_keys { "SET SESSION foreign_key_checks = 1;\n" } else { "" };
                self.text(&format!("-- undo {tx}\nBEGIN;\n{keys}"))?;
            }
            _ => {}
        }
        Ok(rows)
    }

    fn abandon(&mut self) -> Result<(), TraceError> {
        self.query = None;
        self.draft.abandon()
    }
}

/// An error where the images lack what undoing needs.
pub(super) fn undoable(rows: &RowsEvent<'_>, chosen: &Chosen) -> Result<(), TraceError> {
    if rows.can_be_undone(&chosen.table.key) {
        return Ok(());
    }
    Err(TraceError::NotUndoable {
        at: rows.at().clone(),
        table: chosen.table.name.clone(),
        reason: "its rows lack columns (binlog_row_image was not FULL), and what stood in them is not known"
            .into(),
    })
}

impl From<std::io::Error> for TraceError {
    fn from(source: std::io::Error) -> Self {
        Self::Io { what: "the spill file".into(), source }
    }
}

/// Where a trace comes from, for the head of its output.
pub(super) fn title(form: Form, sources: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    let what = match form {
        Form::Sql => "the changes, to be done again",
        Form::Rollback => "takes the changes back, the newest first",
        Form::ExactRollback => {
            "takes the changes back as row events, the newest first; \
             needs BINLOG_ADMIN or REPLICATION_APPLIER, fires no triggers"
        }
        _ => return out,
    };
    let _ = writeln!(out, "-- binlog-operator {}: {what}", env!("CARGO_PKG_VERSION"));
    for source in sources {
        let _ = writeln!(out, "-- from {}", head(source));
    }
    out
}
