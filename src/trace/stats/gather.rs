//! Counting, and joining the counts of chunks that follow each other.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::hot::{HotRow, RowNames};
use super::top::{Largest, Top, Weight};
use crate::binlog::{Event, RowsEvent, RowsKind, TableMap};
use crate::model::{GtidSet, TableName};
use crate::trace::TraceError;
use crate::trace::as_text::{Statement, head};
use crate::trace::known::{Chosen, Known};
use crate::trace::request::Request;
use crate::trace::transaction::{End, Transaction};
use crate::trace::walk::Output;

/// Widths of intervals in seconds; each divides the next.
const WIDTHS: [u64; 7] = [1, 10, 60, 300, 600, 3600, 86_400];
/// Intervals kept before they are joined into wider ones.
const MAX_INTERVALS: usize = 4096;
/// Rows, and connections, that are counted at once.
const MAX_HOT: usize = 4096;

/// Rows and bytes by kind of change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) transactions: u64,
    pub(super) inserted: u64,
    pub(super) updated: u64,
    pub(super) deleted: u64,
    /// Bytes of rows events; of the whole transaction where transactions are counted by time.
    pub(super) bytes: u64,
}

impl Amount {
    pub(super) fn rows(&self) -> u64 {
        self.inserted + self.updated + self.deleted
    }

    fn add(&mut self, other: &Self) {
        self.transactions += other.transactions;
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.deleted += other.deleted;
        self.bytes += other.bytes;
    }
}

impl Weight for Amount {
    fn weight(&self) -> u64 {
        self.rows()
    }
    fn join(&mut self, other: Self) {
        self.add(&other);
    }
}

/// One transaction in a list.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) tx: Transaction,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) tables: String,
}

/// The counts.
#[derive(Clone, Debug)]
pub struct Stats {
    pub(super) total: Amount,
    pub(super) statements: u64,
    pub(super) tables: BTreeMap<TableName, Amount>,
    pub(super) width: u64,
    fixed_width: bool,
    /// By the interval's first second.
    pub(super) intervals: BTreeMap<u64, Amount>,
    pub(super) longest: Largest<Listed>,
    pub(super) most_rows: Largest<Listed>,
    pub(super) most_bytes: Largest<Listed>,
    /// By microseconds between the first server's commit and the read server's.
    pub(super) most_delayed: Largest<Listed>,
    pub(super) hot: Top<u64, HotRow>,
    pub(super) threads: Top<u32, Amount>,
    pub(super) sources: BTreeMap<String, Amount>,
    /// Microseconds without a transaction, and when each began.
    pub(super) idle: Largest<u64>,
    /// Microseconds of the first and last commit.
    pub(super) first: Option<u64>,
    pub(super) last: Option<u64>,
    pub(super) gtids: GtidSet,
    pub(super) top: usize,
    /// Statements as text: when, and what.
    pub(super) ddl: Vec<(u64, String)>,
}

/// Statements that are listed.
const MAX_DDL: usize = 1000;

impl Stats {
    /// Counts of nothing yet.
    pub(in crate::trace) fn new(request: &Request) -> Self {
        let top = request.top.max(1);
        Self {
            total: Amount::default(),
            statements: 0,
            tables: BTreeMap::new(),
            width: if request.interval > 0 { request.interval } else { 1 },
            fixed_width: request.interval > 0,
            intervals: BTreeMap::new(),
            longest: Largest::new(top),
            most_rows: Largest::new(top),
            most_bytes: Largest::new(top),
            most_delayed: Largest::new(top),
            hot: Top::new(MAX_HOT),
            threads: Top::new(MAX_HOT),
            sources: BTreeMap::new(),
            idle: Largest::new(top),
            first: None,
            last: None,
            gtids: GtidSet::default(),
            top,
            ddl: Vec::new(),
        }
    }

    /// Adds the counts of what follows.
    pub(crate) fn add(&mut self, other: Self) {
        self.total.add(&other.total);
        self.statements += other.statements;
        for (table, amount) in other.tables {
            self.tables.entry(table).or_default().add(&amount);
        }
        while self.width < other.width && self.widen() {}
        for (second, amount) in other.intervals {
            self.intervals.entry(second / self.width * self.width).or_default().add(&amount);
        }
        self.bound_intervals();
        self.longest.add(other.longest);
        self.most_rows.add(other.most_rows);
        self.most_bytes.add(other.most_bytes);
        self.most_delayed.add(other.most_delayed);
        self.hot.add(other.hot);
        self.threads.add(other.threads);
        for (source, amount) in other.sources {
            self.sources.entry(source).or_default().add(&amount);
        }
        self.idle.add(other.idle);
        if let (Some(last), Some(first)) = (self.last, other.first) {
            self.idle.offer(first.saturating_sub(last), || last);
        }
        self.first = self.first.min(other.first).or(self.first).or(other.first);
        self.last = self.last.max(other.last);
        self.gtids.extend(&other.gtids);
        self.ddl.extend(other.ddl);
        self.ddl.truncate(MAX_DDL);
    }

    /// Forgets which rows changed often: their keys may have wrong names.
    pub(in crate::trace) fn forget_rows(&mut self) {
        self.hot = Top::new(MAX_HOT);
    }

    fn widen(&mut self) -> bool {
        let Some(wider) = WIDTHS.iter().find(|width| **width > self.width && !self.fixed_width) else {
            return false;
        };
        self.width = *wider;
        for (second, amount) in std::mem::take(&mut self.intervals) {
            self.intervals.entry(second / self.width * self.width).or_default().add(&amount);
        }
        true
    }

    fn bound_intervals(&mut self) {
        while self.intervals.len() > MAX_INTERVALS && self.widen() {}
    }

    /// Joins intervals until there are few enough for a list that is read.
    pub(super) fn readable(&mut self, most: usize) {
        while self.intervals.len() > most && self.widen() {}
    }

    fn transaction(&mut self, tx: &Transaction, mut amount: Amount, tables: &[TableName]) {
        amount.transactions = 1;
        let rows_bytes = amount.bytes;
        amount.bytes =
            if tx.length > 0 { tx.length } else { tx.end.saturating_sub(tx.start).max(rows_bytes) };
        let time = tx.time();
        self.total.add(&amount);
        let interval = time / 1_000_000 / self.width * self.width;
        self.intervals.entry(interval).or_default().add(&amount);
        self.bound_intervals();
        let listed = || {
            let mut names: Vec<String> = tables.iter().take(3).map(ToString::to_string).collect();
            if tables.len() > 3 {
                names.push(format!("and {} more", tables.len() - 3));
            }
            Listed { tx: tx.clone(), rows: amount.rows(), bytes: amount.bytes, tables: names.join(", ") }
        };
        self.longest.offer(tx.duration(), listed);
        self.most_rows.offer(amount.rows(), listed);
        self.most_bytes.offer(amount.bytes, listed);
        if tx.originally_committed > 0 {
            self.most_delayed.offer(tx.committed.saturating_sub(tx.originally_committed), listed);
        }
        if let Some(thread) = tx.thread_id {
            self.threads.entry(&thread, Amount::default).add(&amount);
        }
        let source = match (&tx.gtid, tx.server_id) {
            (Some(gtid), server) => format!("{} (server {server})", gtid.uuid),
            (None, server) => format!("server {server}"),
        };
        self.sources.entry(source).or_default().add(&amount);
        if let Some(gtid) = &tx.gtid {
            self.gtids.insert(gtid);
        }
        if let Some(last) = self.last {
            self.idle.offer(time.saturating_sub(last), || last);
        }
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = Some(self.last.map_or(time, |last| last.max(time)));
    }
}

/// Counts while events pass.
pub(in crate::trace) struct Gather<'r> {
    request: &'r Request,
    stats: Stats,
    /// Bytes of the event that is seen.
    bytes: u64,
    /// The open transaction's changes by table.
    open: Vec<(TableName, Amount)>,
    statements: Vec<(u64, String)>,
    /// Tables whose rows can be told apart, by the address of the event's table.
    keyed: HashMap<usize, (Arc<TableMap>, Option<Arc<Chosen>>)>,
}

impl<'r> Gather<'r> {
    pub(in crate::trace) fn new(request: &'r Request) -> Self {
        Self {
            request,
            stats: Stats::new(request),
            bytes: 0,
            open: Vec::new(),
            statements: Vec::new(),
            keyed: HashMap::new(),
        }
    }

    pub(in crate::trace) fn finish(self) -> Stats {
        self.stats
    }

    fn count(&mut self, rows: &RowsEvent<'_>, count: u64) {
        let mut amount = Amount { bytes: self.bytes, ..Amount::default() };
        match rows.kind {
            RowsKind::Insert => amount.inserted = count,
            RowsKind::Update => amount.updated = count,
            RowsKind::Delete => amount.deleted = count,
        }
        match self.open.iter_mut().find(|(name, _)| *name == rows.table.name) {
            Some((_, sum)) => sum.add(&amount),
            None => self.open.push((rows.table.name.clone(), amount)),
        }
    }

    /// The table, where its rows can be told apart.
    fn keyed(&mut self, rows: &RowsEvent<'_>, known: &mut Known) -> Option<Arc<Chosen>> {
        let address = Arc::as_ptr(&rows.table) as usize;
        if let Some((_, chosen)) = self.keyed.get(&address) {
            return chosen.clone();
        }
        if self.keyed.len() > MAX_HOT {
            self.keyed.clear();
        }
        let chosen =
            known.choose(rows, self.request).ok().flatten().filter(|chosen| !chosen.table.key.is_empty());
        self.keyed.insert(address, (Arc::clone(&rows.table), chosen.clone()));
        chosen
    }
}

impl Output for Gather<'_> {
    fn event(&mut self, event: &Event<'_>) -> Result<(), TraceError> {
        self.bytes = event.header.length.into();
        Ok(())
    }

    fn rows(
        &mut self,
        _tx: &Transaction,
        rows: &RowsEvent<'_>,
        known: &mut Known,
    ) -> Result<u64, TraceError> {
        let selection = &self.request.selection;
        if !selection.holds_rows(rows.kind) || !selection.holds_table(&rows.table.name) {
            return Ok(0);
        }
        let chosen = if selection.chooses_rows() {
            known.choose(rows, self.request)?
        } else {
            self.keyed(rows, known)
        };
        let Some(chosen) = chosen else {
            let count = rows.count()?;
            self.count(rows, count);
            return Ok(count);
        };
        let rows = rows.with_table(Arc::clone(&chosen.table.map));
        let mut key = chosen.table.key.clone();
        key.sort_unstable();
        let names = RowNames::of(&chosen);
        let mut values = Vec::with_capacity(key.len());
        let (mut iterator, mut count) = (rows.rows(), 0);
        while let Some(row) = iterator.next()? {
            if !chosen.takes_all() {
                let (mut before, mut after) = (Vec::new(), Vec::new());
                row.before.map_or(Ok(()), |image| image.read_all(&mut before))?;
                row.after.map_or(Ok(()), |image| image.read_all(&mut after))?;
                if !chosen.holds(rows.kind, &before, &after) {
                    continue;
                }
            }
            count += 1;
            if let Some(image) = row.before.or(row.after) {
                values.clear();
                image.read(&key, &mut values)?;
                let new = || HotRow::new(&chosen, &key, &values);
                self.stats.hot.entry(&names.of_row(&values), new).changes += 1;
            }
        }
        if count > 0 {
            self.count(&rows, count);
        }
        Ok(count)
    }

    fn statement(&mut self, tx: &Transaction, statement: &Statement<'_>) -> Result<(), TraceError> {
        self.statements.push((tx.time(), head(&statement.query.sql)));
        Ok(())
    }

    fn end(&mut self, tx: &Transaction, end: End) -> Result<u64, TraceError> {
        let open = std::mem::take(&mut self.open);
        let statements = std::mem::take(&mut self.statements);
        let chosen_away = tx.rows == 0 && statements.is_empty() && self.request.selection.chooses_tables();
        if end == End::RolledBack || tx.rows < self.request.selection.least_rows() || chosen_away {
            return Ok(0);
        }
        self.stats.statements += statements.len() as u64;
        self.stats.ddl.extend(statements);
        self.stats.ddl.truncate(MAX_DDL);
        let mut sum = Amount::default();
        for (table, amount) in &open {
            sum.add(amount);
            let of_table = self.stats.tables.entry(table.clone()).or_default();
            of_table.add(&Amount { transactions: 1, ..*amount });
        }
        let tables: Vec<TableName> = open.into_iter().map(|(table, _)| table).collect();
        self.stats.transaction(tx, sum, &tables);
        Ok(tx.rows)
    }

    fn abandon(&mut self) -> Result<(), TraceError> {
        self.open.clear();
        self.statements.clear();
        Ok(())
    }
}
