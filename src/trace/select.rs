//! Which transactions, tables and rows are asked for.

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
        let time = tx.time();
        let after_start = !first || self.start_position.is_none_or(|at| tx.start >= at);
        let before_stop = !last || self.stop_position.is_none_or(|at| tx.start < at);
        let placed = after_start && before_stop;
        let timed = self.start_time.is_none_or(|start| time >= start)
            && self.stop_time.is_none_or(|stop| time < stop);
        placed && timed && self.holds_gtid(tx)
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
        self.server_id.is_none_or(|id| tx.server_id == id)
            && self.thread_id.is_none_or(|id| tx.thread_id == Some(id))
    }

    pub(super) fn holds_kind(&self, kind: EventKind) -> bool {
        self.events.is_empty() || self.events.contains(&kind)
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
        !(self.databases.is_empty()
            && self.tables.is_empty()
            && self.exclude_tables.is_empty()
            && self.table_regex.is_none()
            && self.predicates.is_empty()
            && self.changed_columns.is_empty())
    }

    /// True where single rows are chosen.
    pub(super) fn chooses_rows(&self) -> bool {
        !(self.predicates.is_empty() && self.changed_columns.is_empty())
    }

    pub(super) fn holds_database(&self, database: &str) -> bool {
        self.databases.is_empty() || self.databases.iter().any(|pattern| matches(pattern, database))
    }

    pub(super) fn holds_table(&self, table: &TableName) -> bool {
        let listed = |list: &[String]| list.iter().any(|pattern| matches_table(pattern, table));
        self.holds_database(&table.schema)
            && (self.tables.is_empty() || listed(&self.tables))
            && !listed(&self.exclude_tables)
            && self.table_regex.as_ref().is_none_or(|regex| regex.is_match(&table.to_string()))
            && (self.predicates.is_empty() || self.predicates.iter().any(|p| p.is_about(table)))
            && (self.changed_columns.is_empty()
                || self.changed_columns.iter().any(|column| {
                    column.rsplit_once('.').is_none_or(|(pattern, _)| matches_table(pattern, table))
                }))
    }

    /// The names of the columns of which one must have changed; empty: any.
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
}
