//! The binlog as a stream gives it: pieces of transactions, as the shell hands them to the core.

use std::collections::BTreeSet;
use std::sync::Arc;

use binlog_operator::model::{GtidSet, Key, TableName};
use binlog_operator::pipeline::core::{Begin, Input, RowLock, Rows};

use crate::mysql::{Entry, Kind};
use crate::tables::{BY_CHILD, BY_PARENT, Change, Pk, Row, Table, spelled};

/// Where an open stream stands.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    pub(crate) entry: usize,
    /// With GTIDs, transactions of this set are not sent.
    pub(crate) skip: Option<GtidSet>,
    /// Pieces of an entry that is being sent.
    pub(crate) pieces: Vec<Input>,
    pub(crate) heard: u64,
}

fn lock(pk: Pk) -> RowLock {
    let table = match pk.0 {
        Table::Main => "main",
        Table::Child => "child",
        Table::Parent => "parent",
    };
    let columns: Arc<[String]> = Arc::new(["id".to_owned()]);
    RowLock { table: TableName::new("shop", table), columns, key: Key::int(pk.1) }
}

/// What the mapping makes of some rows.
fn rows(changes: &[Change], child_lookups: bool) -> Rows {
    let (mut keys, mut lookups) = (BTreeSet::new(), BTreeSet::new());
    for change in changes {
        for row in [&change.before, &change.after].into_iter().flatten() {
            match row {
                Row::Main { other, .. } => _ = keys.insert(spelled(change.pk.1, *other)),
                Row::Child { main, .. } if child_lookups => _ = lookups.insert((BY_CHILD, *main)),
                Row::Child { main, other, .. } => _ = keys.insert(spelled(*main, *other)),
                Row::Parent { .. } => _ = lookups.insert((BY_PARENT, change.pk.1)),
            }
        }
    }
    Rows {
        keys: keys.into_iter().map(Key::int).collect(),
        lookups: lookups.into_iter().map(|(rule, key)| (rule, Key::int(key))).collect(),
        lock: changes.first().map(|change| lock(change.pk)),
    }
}

/// A transaction, cut into what the shell hands over one by one.
pub(crate) fn pieces(entry: &Entry, child_lookups: bool, chunk: usize) -> Vec<Input> {
    let begin =
        Begin { gtid: entry.gtid.clone(), start: entry.start.clone(), commit_timestamp: entry.commit_ts };
    let mut pieces = vec![Input::Begin(begin)];
    let xid = |xid: &u64| xid.to_be_bytes().to_vec();
    match &entry.kind {
        Kind::Prepare(id, _) | Kind::OnePhase(id, _) => pieces.push(Input::XaStart(xid(id))),
        Kind::Resolve(id, commit) => pieces.push(Input::XaResolved { xid: xid(id), commit: *commit }),
        Kind::Truncate(table) => {
            pieces.push(Input::Gap(format!("TRUNCATE of {table:?}")));
            return pieces;
        }
        Kind::Commit(_) => {}
    }
    if let Kind::Commit(changes) | Kind::Prepare(_, changes) | Kind::OnePhase(_, changes) = &entry.kind {
        pieces.extend(changes.chunks(chunk.max(1)).map(|part| Input::Rows(rows(part, child_lookups))));
    }
    pieces.push(match &entry.kind {
        Kind::Prepare(..) => Input::XaPrepared(entry.end.clone()),
        _ => Input::End(entry.end.clone()),
    });
    pieces
}
