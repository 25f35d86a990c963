//! What a read has to see, as SQL that goes before it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Key, KeyPart};

use super::session::literal;
use super::{Result, SourceError};

/// What has to be visible before a read begins (DESIGN, invariant 3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Visibility {
    /// Whatever is.
    Nothing,
    /// Every transaction of this set, in MySQL's text form; may have thousands of intervals.
    Gtids(Arc<str>),
    /// The transactions that changed these rows: each row's lock is waited for. Only on the very server
    /// that is streamed.
    Locks(Arc<[LockTarget]>),
}

/// One changed row of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LockTarget {
    /// The table as SQL, quoted.
    pub table: String,
    /// Its primary key's columns as SQL, quoted, separated by commas.
    pub columns: String,
    /// The row's primary key, before or after the change.
    pub key: Key,
}

/// Rows locked by one statement.
const LOCKS_AT_ONCE: usize = 500;

/// The statements that wait and begin the transaction that reads: one round trip.
/// The wait runs before the snapshot exists, which the first SELECT from a table makes.
///
/// Without anything to wait for, a statement reads from a snapshot of its own: `None` needs no round trip.
pub(super) fn opening(visible: &Visibility, limit: Duration) -> Result<Option<String>> {
    let mut sql = String::new();
    match visible {
        Visibility::Nothing => return Ok(None),
        Visibility::Gtids(set) => {
            let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_:, \n".contains(&b);
            if !set.bytes().all(legal) {
                return Err(SourceError::Options(format!("not a GTID set: {set:?}")));
            }
            let limit = limit.as_secs_f64();
            let _ = write!(
                sql,
                "START TRANSACTION READ ONLY; SELECT WAIT_FOR_EXECUTED_GTID_SET('{set}', {limit:.3})"
            );
        }
        Visibility::Locks(targets) => {
            push_locks(&mut sql, targets);
            sql.push_str("START TRANSACTION READ ONLY");
        }
    }
    Ok(Some(sql))
}

/// Locking reads, each a transaction of its own, so that no lock outlives its wait. READ COMMITTED: no gap
/// is locked where a row is gone. PRIMARY, since a shared lock on a covering index would not meet the lock on
/// the row. `LOCK IN SHARE MODE` is what every server knows, and needs SELECT only.
fn push_locks(sql: &mut String, targets: &[LockTarget]) {
    let mut tables: BTreeMap<(&str, &str), Vec<&Key>> = BTreeMap::new();
    for target in targets {
        tables.entry((&target.table, &target.columns)).or_default().push(&target.key);
    }
    for ((table, columns), keys) in tables {
        for keys in keys.chunks(LOCKS_AT_ONCE) {
            let rows = keys.iter().map(|key| tuple(key)).collect::<Vec<_>>().join(", ");
            let _ = write!(
                sql,
                "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; \
                 SELECT COUNT(*) FROM {table} FORCE INDEX (PRIMARY) \
                 WHERE ({columns}) IN ({rows}) LOCK IN SHARE MODE; "
            );
        }
    }
}

fn tuple(key: &Key) -> String {
    let parts = key.parts().iter().map(|part| match part {
        KeyPart::Int(v) => v.to_string(),
        KeyPart::UInt(v) => v.to_string(),
        KeyPart::Text(text) | KeyPart::DocumentId(text) => literal(text),
        KeyPart::Binary(bytes) => {
            let mut hex = String::from("x'");
            for byte in bytes {
                let _ = write!(hex, "{byte:02x}");
            }
            hex.push('\'');
            hex
        }
    });
    format!("({})", parts.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_cannot_carry_sql() {
        let evil = Visibility::Gtids("x'); DROP TABLE t; --".into());
        assert!(opening(&evil, Duration::from_secs(1)).is_err());
    }

    #[test]
    fn locks_are_grouped_by_table() {
        let target = |table: &str, key| LockTarget { table: table.into(), columns: "`id`".into(), key };
        let targets = [target("`a`", Key::int(1)), target("`b`", Key::int(2)), target("`a`", Key::int(3))];
        let sql = opening(&Visibility::Locks(targets.into()), Duration::from_secs(1)).unwrap().unwrap();
        assert!(
            sql.contains("FROM `a` FORCE INDEX (PRIMARY) WHERE (`id`) IN ((1), (3)) LOCK IN SHARE MODE"),
            "{sql}"
        );
        assert_eq!(sql.matches("LOCK IN SHARE MODE").count(), 2);
        assert!(sql.ends_with("START TRANSACTION READ ONLY"));
    }
}
