//! Binlog events into the core's inputs.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::core::{Begin, Input, RowLock, Rows};
use super::feed::StreamCounts;
use super::last::moment;
use crate::binlog::{
    Body, Event, EventPosition, GtidEvent, Image, QueryEvent, QueryKind, RowsEvent, TableMap,
};
use crate::mapping::{BoundTable, DdlEffect, Plan, SchemaHistory, Touched};
use crate::model::{BinlogPosition, Column, LastTransaction, StreamPosition, Value};

/// A table map and what the plan makes of it.
struct Known {
    map: Arc<TableMap>,
    bound: Option<Bound>,
}

struct Bound {
    table: BoundTable,
    lock_columns: Arc<[String]>,
    /// For servers whose table maps do not say all: the map with the columns of the schema history.
    completed: Option<Arc<TableMap>>,
}

/// Turns one stream's events into inputs. A gap is an error with words that name event, file and position.
pub(super) struct Translator<'p> {
    plan: &'p Plan,
    history: SchemaHistory,
    known: HashMap<u64, Known>,
    verify: Option<LastTransaction>,
    done: StreamPosition,
    /// Without GTIDs: what begins before this happened before the schemas were taken, and every read sees it.
    settled: Option<BinlogPosition>,
    counts: &'p StreamCounts,
    /// The transaction that is passed over: it was done before.
    skipping: bool,
    /// BEGIN was seen: statements as text do not end the transaction.
    begun: bool,
    open: bool,
    without_gtids: bool,
}

impl<'p> Translator<'p> {
    pub(super) fn new(
        plan: &'p Plan,
        history: SchemaHistory,
        from: &StreamPosition,
        verify: Option<LastTransaction>,
        settled: Option<BinlogPosition>,
        counts: &'p StreamCounts,
    ) -> Self {
        Self {
            settled: settled.filter(|_| from.gtids.is_none()),
            plan,
            history,
            known: HashMap::new(),
            verify,
            without_gtids: from.gtids.is_none(),
            done: from.clone(),
            counts,
            skipping: false,
            begun: false,
            open: false,
        }
    }

    /// The transaction before the position was met and matched, or there is none to meet.
    pub(super) fn verified(&self) -> bool {
        self.verify.is_none()
    }

    /// Takes one event.
    pub(super) fn take(&mut self, event: &Event<'_>, out: &mut Vec<Input>) -> Result<(), String> {
        let at = &event.position;
        match &event.body {
            Body::Gtid(gtid) => self.begin(gtid, at, out),
            Body::Query(query) => self.query(query, at, out),
            Body::Xid(_) => {
                self.end(at, out, Input::End);
                Ok(())
            }
            Body::XaPrepare { one_phase, .. } => {
                // XA COMMIT ... ONE PHASE ends like any other transaction
                self.end(at, out, if *one_phase { Input::End } else { Input::XaPrepared });
                Ok(())
            }
            Body::Rows(rows) => match self.rows(rows, at, out) {
                // older than the schemas, and than the reads that begin once this part has been delivered
                Err(_) if self.is_settled(at) => Ok(()),
                done => done,
            },
            Body::Rotate { file, offset, artificial } => {
                if !artificial && !self.open {
                    out.push(Input::Idle(BinlogPosition { file: file.to_string(), offset: *offset }));
                }
                Ok(())
            }
            Body::Heartbeat { file, offset } => {
                if !self.open && self.verified() && !file.is_empty() {
                    out.push(Input::Idle(BinlogPosition { file: file.to_string(), offset: *offset }));
                }
                Ok(())
            }
            // before the position: a Full that began after it has what it left out
            Body::Incident { .. } if self.skipping || self.is_settled(at) => Ok(()),
            Body::Incident { code, message } => Err(format!(
                "INCIDENT event {code} at {}: {message}: changes may be missing from the binlog",
                place(at)
            )),
            _ => Ok(()),
        }
    }

    fn push(&self, out: &mut Vec<Input>, input: Input) {
        if !self.skipping {
            out.push(input);
        }
    }

    fn begin(&mut self, event: &GtidEvent, at: &EventPosition, out: &mut Vec<Input>) -> Result<(), String> {
        let start = BinlogPosition { file: at.file.to_string(), offset: at.start };
        // on MariaDB the event is the BEGIN
        self.begun = event.maria.as_ref().is_some_and(|maria| maria.begins);
        self.open = true;
        self.skipping = self.was_done(event, &start);
        if self.skipping {
            return self.compare(event, &start, out);
        }
        out.push(Input::Begin(Begin { gtid: event.gtid.clone(), start, commit_timestamp: moment(event) }));
        if let Some(xid) = event.maria.as_ref().and_then(|maria| maria.xa_start.as_ref()) {
            out.push(Input::XaStart(xid.to_string().into_bytes()));
        }
        Ok(())
    }

    /// Was this transaction before the position?
    fn was_done(&self, event: &GtidEvent, start: &BinlogPosition) -> bool {
        match (&self.done.gtids, &event.gtid) {
            (Some(done), Some(gtid)) => done.contains(gtid),
            (None, _) => *start < self.done.binlog,
            (Some(_), None) => false,
        }
    }

    /// The transaction before the position must be the one that we know.
    fn compare(
        &mut self,
        event: &GtidEvent,
        start: &BinlogPosition,
        out: &mut Vec<Input>,
    ) -> Result<(), String> {
        let Some(known) = self.verify.as_ref() else { return Ok(()) };
        if known.gtid != event.gtid || (known.gtid.is_none() && known.start != *start) {
            return Ok(());
        }
        let moment = moment(event);
        if known.original_commit_timestamp != moment {
            let name = known.gtid.as_ref().map_or_else(|| start.to_string(), ToString::to_string);
            return Err(format!(
                "transaction {name} was committed at {} us, but is one of {} us on this server: it was restored or failed over and reuses positions",
                known.original_commit_timestamp, moment
            ));
        }
        self.verify = None;
        out.push(Input::StreamOpened);
        Ok(())
    }

    fn end(&mut self, at: &EventPosition, out: &mut Vec<Input>, input: impl FnOnce(BinlogPosition) -> Input) {
        if self.open {
            self.push(out, input(BinlogPosition { file: at.file.to_string(), offset: at.end }));
        }
        (self.open, self.begun, self.skipping) = (false, false, false);
    }

    fn query(
        &mut self,
        query: &QueryEvent<'_>,
        at: &EventPosition,
        out: &mut Vec<Input>,
    ) -> Result<(), String> {
        match &query.kind {
            QueryKind::Begin => self.begun = true,
            QueryKind::XaStart(xid) => {
                self.begun = true;
                self.push(out, Input::XaStart(xid.to_string().into_bytes()));
            }
            QueryKind::XaCommit(xid) => self.xa(xid.to_string(), true, at, out),
            QueryKind::XaRollback(xid) => self.xa(xid.to_string(), false, at, out),
            QueryKind::Commit | QueryKind::Rollback => self.end(at, out, Input::End),
            QueryKind::XaEnd(_) | QueryKind::Savepoint | QueryKind::RollbackToSavepoint => {}
            QueryKind::Other => return self.statement(query, at, out),
        }
        Ok(())
    }

    fn xa(&mut self, xid: String, commit: bool, at: &EventPosition, out: &mut Vec<Input>) {
        self.push(out, Input::XaResolved { xid: xid.into_bytes(), commit });
        self.end(at, out, Input::End);
    }

    fn is_settled(&self, at: &EventPosition) -> bool {
        let here = || BinlogPosition { file: at.file.to_string(), offset: at.start };
        self.settled.as_ref().is_some_and(|settled| here() < *settled)
    }

    /// DDL, or rows changed by a statement that was logged as text.
    fn statement(
        &mut self,
        query: &QueryEvent<'_>,
        at: &EventPosition,
        out: &mut Vec<Input>,
    ) -> Result<(), String> {
        if !self.skipping && !self.is_settled(at) {
            match self.history.apply(&query.sql, &query.schema, self.plan) {
                DdlEffect::None => {}
                DdlEffect::SchemaChanged { .. } => {
                    self.known.clear();
                    out.push(Input::Schemas(Arc::new(self.history.to_tables())));
                }
                DdlEffect::Gap { reason } => return Err(format!("{reason} ({})", place(at))),
            }
        }
        // CREATE TABLE ... SELECT is followed by its rows
        if query.sql.trim_end().to_ascii_uppercase().ends_with("START TRANSACTION") {
            self.begun = true;
        }
        if !self.begun {
            self.end(at, out, Input::End);
        }
        Ok(())
    }

    fn rows(
        &mut self,
        event: &RowsEvent<'_>,
        at: &EventPosition,
        out: &mut Vec<Input>,
    ) -> Result<(), String> {
        if self.skipping {
            return Ok(());
        }
        self.learn(event, at)?;
        let Some(Known { bound: Some(bound), .. }) = self.known.get(&event.table.table_id) else {
            return Ok(());
        };
        let completed = bound.completed.as_ref().map(|map| event.with_table(Arc::clone(map)));
        let event = completed.as_ref().unwrap_or(event);
        let mut touched = Touched::default();
        let mut lock = None;
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let mut rows = event.rows();
        let mut count = 0;
        let wrong = |error: &dyn std::fmt::Display| {
            format!("rows of {} in {} at {}: {error}", event.table.name, event.kind, place(at))
        };
        while let Some(row) = rows.next().map_err(|error| error.to_string())? {
            count += 1;
            let before =
                images(row.before.as_ref(), bound.table.wanted(), &mut before).map_err(|e| wrong(&e))?;
            let after =
                images(row.after.as_ref(), bound.table.wanted(), &mut after).map_err(|e| wrong(&e))?;
            bound.table.touch(before, after, &mut touched).map_err(|e| wrong(&e))?;
            if self.without_gtids && lock.is_none() {
                lock = before.or(after).and_then(|values| bound.table.row_key(values));
            }
        }
        self.counts.rows.fetch_add(count, Ordering::Relaxed);
        self.counts.pruned.fetch_add(touched.pruned, Ordering::Relaxed);
        if touched.rebuild {
            return Err(format!(
                "table {} changed, and its rule says that any change rebuilds all ({})",
                event.table.name,
                place(at)
            ));
        }
        if touched.keys.is_empty() && touched.lookups.is_empty() {
            return Ok(());
        }
        let columns = Arc::clone(&bound.lock_columns);
        let lock = lock.map(|key| RowLock { table: event.table.name.clone(), columns, key });
        out.push(Input::Rows(Rows { keys: touched.keys, lookups: touched.lookups, lock }));
        Ok(())
    }

    /// Binds a table map that is new.
    fn learn(&mut self, event: &RowsEvent<'_>, at: &EventPosition) -> Result<(), String> {
        let map = &event.table;
        if self.known.get(&map.table_id).is_some_and(|known| Arc::ptr_eq(&known.map, map)) {
            return Ok(());
        }
        let bound = self.bind(map).map_err(|error| format!("{error} ({} at {})", event.kind, place(at)))?;
        if self.known.len() > 10_000 {
            self.known.clear();
        }
        self.known.insert(map.table_id, Known { map: Arc::clone(map), bound });
        Ok(())
    }

    fn bind(&self, map: &Arc<TableMap>) -> Result<Option<Bound>, String> {
        let Some(table) = self.plan.table(&map.name) else { return Ok(None) };
        let whole = map.has_names && map.has_signedness && map.has_collations;
        let columns: Vec<Column> = if whole { map.columns.clone() } else { self.complete(map)? };
        let completed = if whole {
            None
        } else {
            let mismatch = || format!("table {}: the schema history does not fit its rows", map.name);
            Some(Arc::new(map.with_columns(&columns).ok_or_else(mismatch)?))
        };
        let table = table.bind(&columns).map_err(|error| error.to_string())?;
        let lock_columns = table.row_key_columns().iter().map(ToString::to_string).collect();
        Ok(Some(Bound { table, lock_columns, completed }))
    }

    /// What the table map does not say is filled in from the schema history.
    fn complete(&self, map: &TableMap) -> Result<Vec<Column>, String> {
        let known = self.history.columns(&map.name).ok_or_else(|| {
            format!("table {}: its columns have no names in the binlog, and its schema at this point is not known", map.name)
        })?;
        if known.len() != map.columns.len() {
            return Err(format!(
                "table {} has {} columns in the binlog but {} in the schema known for this point; binlog_row_metadata=FULL avoids the doubt",
                map.name,
                map.columns.len(),
                known.len()
            ));
        }
        let fill = |(there, known): (&Column, &Column)| Column {
            name: if map.has_names { there.name.clone() } else { known.name.clone() },
            unsigned: if map.has_signedness { there.unsigned } else { known.unsigned },
            collation: if map.has_collations { there.collation } else { known.collation },
            kind: if map.has_collations { there.kind } else { known.kind },
            width: there.width.max(known.width),
        };
        Ok(map.columns.iter().zip(known).map(fill).collect())
    }
}

fn images<'v, 'r>(
    image: Option<&Image<'r>>,
    wanted: &[usize],
    values: &'v mut Vec<Value<'r>>,
) -> Result<Option<&'v [Value<'r>]>, crate::binlog::BinlogError> {
    values.clear();
    let Some(image) = image else { return Ok(None) };
    image.read(wanted, values)?;
    Ok(Some(values))
}

fn place(at: &EventPosition) -> String {
    format!("{}:{}", at.file, at.start)
}
