//! Which transactions, tables and rows are asked for.

use std::sync::Arc;

use regex::Regex;

use super::TraceError;
use super::predicate::Predicate;
use super::transaction::Transaction;
use crate::binlog::RowsKind;
use crate::model::{GtidSet, TableName};

/// What is selected; everything where nothing is set. Times are microseconds since 1970 UTC.
#[derive(Debug, Default)]
pub struct Selection {
    /// Transactions committed at this time or later.
    pub start_time: Option<u64>,
    /// Transactions committed before this time.
    pub stop_time: Option<u64>,
    /// Transactions of the first file that begin at this offset or later.
    pub start_position: Option<u64>,
    /// Transactions of the last file that begin before this offset.
    pub stop_position: Option<u64>,
    /// Only transactions of these GTIDs.
    pub include_gtids: Option<GtidSet>,
    /// No transactions of these GTIDs.
    pub exclude_gtids: Option<GtidSet>,
    /// Only tables of these databases: exact names, else globs.
    pub databases: Vec<String>,
    /// Only these tables, `DB.TABLE`: exact names, else globs.
    pub tables: Vec<String>,
    /// Not these tables.
    pub exclude_tables: Vec<String>,
    /// Only tables whose `DB.TABLE` matches.
    pub table_regex: Option<Regex>,
    /// Kinds of events; empty: all.
    pub events: Vec<EventKind>,
    /// Only updates that changed one of these columns: `DB.TABLE.COLUMN` or `COLUMN`.
    pub changed_columns: Vec<String>,
    /// Only rows that match one of these.
    pub predicates: Vec<Predicate>,
    /// Only transactions of this connection.
    pub thread_id: Option<u32>,
    /// Only transactions of this server.
    pub server_id: Option<u32>,
    /// Only transactions with so many selected rows.
    pub min_transaction_rows: u64,
    /// Only transactions that begin here.
    pub span: Option<Span>,
    /// Of this file only transactions that begin here; those of other files as they are.
    pub rest: Option<Span>,
    /// Only this row of a transaction.
    pub row: Option<RowNumber>,
    /// What must be selected by this as well.
    pub within: Option<Arc<Selection>>,
}

/// A part of one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// The file's name.
    pub file: String,
    /// The offset of its first byte.
    pub from: u64,
    /// The offset after its last byte.
    pub to: u64,
}

/// Which row of a transaction: `3.0` is the first row of its third event of rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowNumber {
    /// Counts the transaction's events of rows, selected or not, from 1.
    pub event: u64,
    /// Counts the event's rows from 0.
    pub row: u64,
}

impl std::fmt::Display for RowNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.event, self.row)
    }
}

impl std::str::FromStr for RowNumber {
    type Err = TraceError;

    fn from_str(text: &str) -> Result<Self, TraceError> {
        let numbers = text
            .split_once('.')
            .and_then(|(event, row)| Some(Self { event: event.parse().ok()?, row: row.parse().ok()? }));
        numbers.ok_or_else(|| {
            TraceError::Option(format!("row {text:?}: write it as the changes have it, for example 1.0"))
        })
    }
}

/// A kind of change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// DDL, and other statements logged as text.
    Ddl,
}

impl Selection {
    /// Finds what contradicts itself.
    pub fn check(&self) -> Result<(), TraceError> {
        if let (Some(start), Some(stop)) = (self.start_time, self.stop_time)
            && start >= stop
        {
            return Err(TraceError::Option(
                "--start-time is not before --stop-time: nothing is selected".into(),
            ));
        }
        for table in self.tables.iter().chain(&self.exclude_tables) {
            if !table.contains('.') {
                return Err(TraceError::Option(format!(
                    "table {table:?}: write DB.TABLE, for example shop.{table}"
                )));
            }
        }
        Ok(())
    }

    /// False for transactions that surely are outside: by place, time and GTID. `first`, `last`: the
    /// transaction is in the first, the last file.
    pub(super) fn may_hold(&self, tx: &Transaction, first: bool, last: bool) -> bool {
        self.layers().all(|layer| layer.may_hold_itself(tx, first, last))
    }

    /// This and what it is within.
    pub(super) fn layers(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |layer| layer.within.as_deref())
    }

    fn may_hold_itself(&self, tx: &Transaction, first: bool, last: bool) -> bool {
        let time = tx.time();
        let after_start = !first || self.start_position.is_none_or(|at| tx.start >= at);
        let before_stop = !last || self.stop_position.is_none_or(|at| tx.start < at);
        let placed = after_start && before_stop;
        let timed = self.start_time.is_none_or(|start| time >= start)
            && self.stop_time.is_none_or(|stop| time < stop);
        let spanned = self
            .span
            .as_ref()
            .is_none_or(|span| *span.file == *tx.file && (span.from..span.to).contains(&tx.start));
        let rest = self
            .rest
            .as_ref()
            .is_none_or(|span| *span.file != *tx.file || (span.from..span.to).contains(&tx.start));
        placed && timed && spanned && rest && self.holds_gtid(tx)
    }

    /// False where no transaction of these times (microseconds since 1970, the first and the last) is asked for.
    pub(super) fn may_hold_times(&self, (first, last): (u64, u64)) -> bool {
        self.layers().all(|layer| {
            layer.start_time.is_none_or(|start| last >= start)
                && layer.stop_time.is_none_or(|stop| first < stop)
        })
    }

    /// True for transactions at or after the time to stop at.
    pub(super) fn stops_before(&self, tx: &Transaction) -> bool {
        self.layers().any(|layer| layer.stop_time.is_some_and(|stop| tx.time() >= stop))
    }

    fn holds_gtid(&self, tx: &Transaction) -> bool {
        let included =
            self.include_gtids.as_ref().is_none_or(|set| tx.gtid.as_ref().is_some_and(|g| set.contains(g)));
        let excluded =
            self.exclude_gtids.as_ref().is_some_and(|set| tx.gtid.as_ref().is_some_and(|g| set.contains(g)));
        included && !excluded
    }

    /// False for transactions of other connections and servers. The connection is known only from the
    /// transaction's second event on.
    pub(super) fn holds_origin(&self, tx: &Transaction) -> bool {
        self.layers().all(|layer| {
            layer.server_id.is_none_or(|id| tx.server_id == id)
                && layer.thread_id.is_none_or(|id| tx.thread_id == Some(id))
        })
    }

    pub(super) fn holds_kind(&self, kind: EventKind) -> bool {
        self.layers().all(|layer| layer.events.is_empty() || layer.events.contains(&kind))
    }

    pub(super) fn holds_rows(&self, kind: RowsKind) -> bool {
        self.holds_kind(match kind {
            RowsKind::Insert => EventKind::Insert,
            RowsKind::Update => EventKind::Update,
            RowsKind::Delete => EventKind::Delete,
        })
    }

    /// True where tables are chosen in any way: statements that are about no table are then left out.
    pub(super) fn chooses_tables(&self) -> bool {
        self.layers().any(|layer| {
            !(layer.databases.is_empty()
                && layer.tables.is_empty()
                && layer.exclude_tables.is_empty()
                && layer.table_regex.is_none()
                && layer.predicates.is_empty()
                && layer.changed_columns.is_empty())
        })
    }

    /// True where single rows are chosen.
    pub(super) fn chooses_rows(&self) -> bool {
        self.layers().any(|layer| !(layer.predicates.is_empty() && layer.changed_columns.is_empty()))
    }

    /// False for rows that are not the one asked for.
    pub(super) fn holds_row(&self, number: RowNumber) -> bool {
        self.row.is_none_or(|row| row == number)
    }

    pub(super) fn holds_database(&self, database: &str) -> bool {
        self.layers().all(|layer| layer.lists_database(database))
    }

    fn lists_database(&self, database: &str) -> bool {
        self.databases.is_empty() || self.databases.iter().any(|pattern| matches(pattern, database))
    }

    pub(super) fn holds_table(&self, table: &TableName) -> bool {
        self.layers().all(|layer| layer.lists_table(table))
    }

    fn lists_table(&self, table: &TableName) -> bool {
        let listed = |list: &[String]| list.iter().any(|pattern| matches_table(pattern, table));
        self.lists_database(&table.schema)
            && (self.tables.is_empty() || listed(&self.tables))
            && !listed(&self.exclude_tables)
            && self.table_regex.as_ref().is_none_or(|regex| regex.is_match(&table.to_string()))
            && (self.predicates.is_empty() || self.predicates.iter().any(|p| p.is_about(table)))
            && (self.changed_columns.is_empty()
                || self.changed_columns.iter().any(|column| {
                    column.rsplit_once('.').is_none_or(|(pattern, _)| matches_table(pattern, table))
                }))
    }

    /// The fewest selected rows of a transaction.
    pub(super) fn least_rows(&self) -> u64 {
        self.layers().map(|layer| layer.min_transaction_rows).max().unwrap_or(0)
    }

    /// The names of the columns of which one must have changed, leaving out what it is within; empty: any.
    pub(super) fn changed_of(&self, table: &TableName) -> Vec<&str> {
        let of = |column: &'_ String| -> bool {
            column.rsplit_once('.').is_none_or(|(pattern, _)| matches_table(pattern, table))
        };
        let columns = self.changed_columns.iter().filter(|column| of(column));
        columns.map(|column| column.rsplit_once('.').map_or(column.as_str(), |(_, name)| name)).collect()
    }
}

/// `DB.TABLE` as it is (names may hold points), else a glob of both.
fn matches_table(pattern: &str, table: &TableName) -> bool {
    let name = table.to_string();
    name == pattern || (is_glob(pattern) && glob(pattern.as_bytes(), name.as_bytes()))
}

fn matches(pattern: &str, name: &str) -> bool {
    name == pattern || (is_glob(pattern) && glob(pattern.as_bytes(), name.as_bytes()))
}

fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// `*` is any run of characters, `?` any one byte.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, name);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (rest.split_first(), left.split_first()) {
            (Some((b'*', after)), _) => {
                retry = Some((after, left));
                rest = after;
            }
            (Some((p, after)), Some((n, tail))) if p == n || *p == b'?' => (rest, left) = (after, tail),
            (None, None) => return true,
            _ => match retry {
                Some((after, from)) if !from.is_empty() => {
                    let tail = from.split_first().map_or(from, |(_, tail)| tail);
                    retry = Some((after, tail));
                    (rest, left) = (after, tail);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_first_then_globs() {
        let table = |text: &str| {
            let (schema, table) = text.split_once('.').unwrap();
            TableName::new(schema, table)
        };
        for (pattern, name, expected) in [
            ("shop.orders", "shop.orders", true),
            ("shop.orders", "shop.orders2", false),
            ("shop.*", "shop.orders", true),
            ("*.orders", "other.orders", true),
            ("sh?p.or*s", "shop.orders", true),
            ("sh?p.or*s", "shop.order", false),
            ("d.a*b", "d.a*b", true),
            ("d.ab", "d.a*b", false),
            ("*", "d.a", true),
        ] {
            assert_eq!(matches_table(pattern, &table(name)), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn lists_join() {
        let selection = Selection {
            databases: vec!["shop".into()],
            tables: vec!["shop.o*".into(), "shop.users".into()],
            exclude_tables: vec!["shop.old".into()],
            ..Selection::default()
        };
        let holds = |table| selection.holds_table(&TableName::new("shop", table));
        assert!(holds("orders") && holds("users") && !holds("old") && !holds("items"));
        assert!(!selection.holds_table(&TableName::new("x", "orders")));
        assert!(Selection { tables: vec!["orders".into()], ..Selection::default() }.check().is_err());
    }

    #[test]
    fn within_another_both_hold() {
        let outer = Selection {
            tables: vec!["shop.o*".into()],
            events: vec![EventKind::Update],
            ..Selection::default()
        };
        let inner = Selection {
            databases: vec!["shop".into()],
            start_time: Some(10),
            min_transaction_rows: 2,
            within: Some(Arc::new(outer)),
            ..Selection::default()
        };
        let holds = |schema, table| inner.holds_table(&TableName::new(schema, table));
        assert!(holds("shop", "orders") && !holds("shop", "users") && !holds("x", "orders"));
        assert!(inner.holds_kind(EventKind::Update) && !inner.holds_kind(EventKind::Insert));
        assert!(inner.may_hold_times((5, 10)) && !inner.may_hold_times((5, 9)));
        assert!(inner.chooses_tables() && !inner.chooses_rows() && inner.least_rows() == 2);
    }

    #[test]
    fn rows_are_numbered() {
        let number: RowNumber = "3.0".parse().unwrap();
        assert_eq!((number.event, number.row, number.to_string().as_str()), (3, 0, "3.0"));
        for wrong in ["", "3", "3.x", "-1.0"] {
            assert!(wrong.parse::<RowNumber>().is_err(), "{wrong}");
        }
    }
}
