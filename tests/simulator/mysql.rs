//! MySQL: commits with three moments (in the binlog, visible to SELECT, counted as executed), XA, purge,
//! and a restore that reuses GTIDs.

use std::collections::{BTreeMap, BTreeSet};

use binlog_operator::model::{BinlogPosition, Gtid, GtidSet, LastTransaction, StreamPosition, Tag, Uuid};
use binlog_operator::pipeline::core::Seen;

use crate::tables::{Change, Document, Pk, Table, Tables, of_key};

const SERVER: Uuid = Uuid([7; 16]);

/// What an entry of the binlog is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Commit(Vec<Change>),
    Prepare(u64, Vec<Change>),
    Resolve(u64, bool),
    /// An XA transaction that committed in one phase.
    OnePhase(u64, Vec<Change>),
    Truncate(Table),
}

/// One transaction of the binlog.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) gtid: Option<Gtid>,
    pub(crate) start: BinlogPosition,
    pub(crate) end: BinlogPosition,
    pub(crate) commit_ts: u64,
    pub(crate) kind: Kind,
    /// How many commits were visible before this one, once it is.
    pub(crate) visible: Option<u64>,
}

/// A document's change: by which entry, and after how many visible commits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changed {
    /// `None`: before everything that any stream can deliver.
    pub(crate) entry: Option<usize>,
    pub(crate) visible: u64,
    /// The document since then.
    pub(crate) document: Option<Document>,
    /// False where only rows moved, and the document is the same.
    pub(crate) differs: bool,
}

/// A copy of the server from a quiet moment.
#[derive(Clone, Debug)]
struct Backup {
    tables: Tables,
    entries: usize,
    executed: GtidSet,
}

#[derive(Debug)]
pub(crate) struct MySql {
    pub(crate) gtids: bool,
    pub(crate) tables: Tables,
    pub(crate) log: Vec<Entry>,
    file: u64,
    offset: u64,
    oldest_file: u64,
    number: u64,
    executed: GtidSet,
    pub(crate) locked: BTreeSet<Pk>,
    pub(crate) prepared: BTreeMap<u64, Vec<Change>>,
    /// Commits that are visible.
    pub(crate) seen: u64,
    pub(crate) changes: BTreeMap<i64, Vec<Changed>>,
    /// Counts restores: what was before one is not comparable with what is after.
    pub(crate) life: u32,
    backup: Option<Backup>,
}

impl MySql {
    pub(crate) fn new(gtids: bool) -> Self {
        Self {
            gtids,
            tables: Tables::default(),
            log: Vec::new(),
            file: 1,
            offset: 4,
            oldest_file: 1,
            number: 0,
            executed: GtidSet::default(),
            locked: BTreeSet::new(),
            prepared: BTreeMap::new(),
            seen: 1,
            changes: BTreeMap::new(),
            life: 0,
            backup: None,
        }
    }

    /// Everything that is there now was there before any binlog.
    pub(crate) fn found_so(&mut self, entry: Option<usize>) {
        let keys: Vec<i64> = self.tables.keys_after(None).collect();
        for key in keys {
            let changed =
                Changed { entry, visible: self.seen - 1, document: self.tables.document(key), differs: true };
            self.changes.entry(key).or_default().push(changed);
        }
    }

    fn at(&self, offset: u64) -> BinlogPosition {
        BinlogPosition { file: format!("binlog.{:06}", self.file), offset }
    }

    /// The end of the binlog.
    pub(crate) fn end(&self) -> BinlogPosition {
        self.at(self.offset)
    }

    /// Writes a transaction to the binlog, where streams see it. Gives its index.
    pub(crate) fn write(&mut self, now: u64, kind: Kind) -> usize {
        self.number += 1;
        let gtid = self.gtids.then(|| Gtid { uuid: SERVER, tag: Tag::default(), number: self.number });
        let rows = match &kind {
            Kind::Commit(changes) | Kind::Prepare(_, changes) | Kind::OnePhase(_, changes) => {
                self.locked.extend(changes.iter().map(|change| change.pk));
                changes.len() as u64
            }
            Kind::Resolve(..) | Kind::Truncate(_) => 0,
        };
        let start = self.at(self.offset);
        self.offset += 100 + rows * 10;
        let commit_ts = now * 1_000 + self.number % 1_000;
        self.log.push(Entry { gtid, start, end: self.end(), commit_ts, kind, visible: None });
        self.log.len() - 1
    }

    /// The transaction becomes visible to SELECT, and lets go of its rows.
    pub(crate) fn show(&mut self, index: usize) {
        let Some(entry) = self.log.get(index) else { return };
        let changes = match entry.kind.clone() {
            Kind::Commit(changes) | Kind::OnePhase(_, changes) => self.unlock(changes),
            Kind::Prepare(..) => Vec::new(),
            Kind::Resolve(xid, commit) => {
                let changes = self.prepared.remove(&xid).unwrap_or_default();
                let changes = self.unlock(changes);
                if commit { changes } else { Vec::new() }
            }
            Kind::Truncate(table) => {
                let rows = self.tables.rows.iter().filter(|(pk, _)| pk.0 == table);
                rows.map(|(pk, row)| Change { pk: *pk, before: Some(row.clone()), after: None }).collect()
            }
        };
        self.note(&changes, index);
        if let Some(entry) = self.log.get_mut(index) {
            entry.visible = Some(self.seen);
        }
        self.seen += 1;
    }

    fn unlock(&mut self, changes: Vec<Change>) -> Vec<Change> {
        for change in &changes {
            self.locked.remove(&change.pk);
        }
        changes
    }

    /// Applies changes and writes down which documents they touched.
    fn note(&mut self, changes: &[Change], index: usize) {
        // a main row that is found by its parent only afterwards has changed itself
        let keys = self.tables.touched(changes);
        let before: Vec<_> = keys.into_iter().map(|key| (key, self.tables.document(key))).collect();
        self.tables.apply(changes);
        for (key, held) in before {
            let document = self.tables.document(key);
            let one = Changed { entry: Some(index), visible: self.seen, document, differs: held != document };
            self.changes.entry(key).or_default().push(one);
        }
    }

    /// The transaction counts as executed.
    pub(crate) fn execute(&mut self, index: usize) {
        if let Some(gtid) = self.log.get(index).and_then(|entry| entry.gtid.as_ref()) {
            self.executed.insert(gtid);
        }
    }

    /// Has this connection what it must have before it may read?
    pub(crate) fn has(&self, need: &Need) -> bool {
        match need {
            Need::Nothing => true,
            Need::Gtids(set) => set.is_subset_of(&self.executed),
            Need::Rows(rows) => rows.iter().all(|row| !self.locked.contains(row)),
            Need::Visible(entries) => self.log.iter().take(*entries).all(|entry| entry.visible.is_some()),
        }
    }

    /// What the server has executed: `@@gtid_executed`, or the end of the binlog.
    pub(crate) fn executed(&self) -> StreamPosition {
        StreamPosition { gtids: self.gtids.then(|| self.executed.clone()), binlog: self.end() }
    }

    /// The last transaction before a position, if the binlog still has it: one that is gone could never be
    /// verified, and would make a gap of every place.
    pub(crate) fn last_before(&self, at: &StreamPosition) -> Option<LastTransaction> {
        let entry = self.log.iter().rev().find(|entry| covers(at, entry) && self.kept(entry))?;
        Some(LastTransaction {
            gtid: entry.gtid.clone(),
            start: entry.start.clone(),
            original_commit_timestamp: entry.commit_ts,
        })
    }

    /// Opens a stream: the index of its first entry, or why it cannot be (a gap).
    pub(crate) fn open(
        &self,
        from: &StreamPosition,
        verify: Option<&LastTransaction>,
    ) -> Result<usize, String> {
        let first_kept = self.log.iter().position(|entry| self.kept(entry)).unwrap_or(self.log.len());
        if let Some(last) = verify {
            let found = self.log.iter().find(|entry| match &last.gtid {
                Some(_) => entry.gtid == last.gtid,
                None => entry.start == last.start,
            });
            match found {
                None => return Err("the last transaction is not in the binlog".into()),
                Some(entry) if !self.kept(entry) => return Err("the last transaction was purged".into()),
                Some(entry) if entry.commit_ts != last.original_commit_timestamp => {
                    return Err("the last transaction is another one: the server was restored".into());
                }
                Some(_) => {}
            }
        }
        if let Some(gtids) = &from.gtids {
            let lost = self.log.iter().take(first_kept).filter_map(|entry| entry.gtid.as_ref());
            if lost.into_iter().any(|gtid| !gtids.contains(gtid)) {
                return Err("1236: purged".into());
            }
            let mut written = GtidSet::default();
            self.log.iter().filter_map(|entry| entry.gtid.as_ref()).for_each(|gtid| written.insert(gtid));
            if !gtids.is_subset_of(&written) {
                return Err("1236: the server has fewer transactions than the position".into());
            }
            return Ok(first_kept);
        }
        let boundary = |entry: &Entry| entry.start == from.binlog || entry.end == from.binlog;
        let known = self.log.iter().any(boundary) || from.binlog.offset == 4;
        if from.binlog.file_number() < self.oldest_file || !known || from.binlog > self.end() {
            return Err("1236: no such position".into());
        }
        Ok(self.log.iter().position(|entry| entry.start >= from.binlog).unwrap_or(self.log.len()))
    }

    fn kept(&self, entry: &Entry) -> bool {
        entry.start.file_number() >= self.oldest_file
    }

    pub(crate) fn rotate(&mut self) {
        self.file += 1;
        self.offset = 4;
    }

    /// Drops every file but the current one.
    pub(crate) fn purge(&mut self) {
        self.oldest_file = self.file;
    }

    /// True where nothing is under way.
    pub(crate) fn quiet(&self) -> bool {
        self.prepared.is_empty() && self.locked.is_empty() && self.log.iter().all(|e| e.visible.is_some())
    }

    pub(crate) fn back_up(&mut self) {
        if self.quiet() {
            let (tables, entries) = (self.tables.clone(), self.log.len());
            let mut executed = GtidSet::default();
            self.log.iter().filter_map(|entry| entry.gtid.as_ref()).for_each(|gtid| executed.insert(gtid));
            self.backup = Some(Backup { tables, entries, executed });
        }
    }

    /// The server comes back as it was at the backup; numbers and positions are used again. False where
    /// there is no backup.
    pub(crate) fn restore(&mut self) -> bool {
        let Some(backup) = self.backup.clone() else { return false };
        self.life += 1;
        self.tables = backup.tables;
        self.log.truncate(backup.entries);
        self.executed = backup.executed;
        self.number = backup.entries as u64;
        self.locked.clear();
        self.prepared.clear();
        if let Some(last) = self.log.last() {
            (self.file, self.offset) = (last.end.file_number(), last.end.offset);
        } else {
            (self.file, self.offset) = (1, 4);
        }
        self.oldest_file = self.oldest_file.min(self.file);
        // every document may have changed: only reads from here on count
        let entry = self.log.len().checked_sub(1);
        self.seen += 1;
        let visible = self.seen - 1;
        let keys: BTreeSet<i64> = self.changes.keys().copied().chain(self.tables.keys_after(None)).collect();
        let changed =
            |key: i64| Changed { entry, visible, document: self.tables.document(key), differs: true };
        self.changes = keys.into_iter().map(|key| (key, vec![changed(key)])).collect();
        true
    }
}

/// Is this entry before the position?
pub(crate) fn covers(at: &StreamPosition, entry: &Entry) -> bool {
    match (&at.gtids, &entry.gtid) {
        (Some(gtids), Some(gtid)) => gtids.contains(gtid),
        _ => entry.end <= at.binlog,
    }
}

/// [`Seen`], made ready to be asked often.
#[derive(Clone, Debug)]
pub(crate) enum Need {
    Nothing,
    Gtids(GtidSet),
    Rows(Vec<Pk>),
    /// So many entries of the binlog are visible.
    Visible(usize),
}

impl From<&Seen> for Need {
    fn from(seen: &Seen) -> Self {
        match seen {
            Seen::Nothing => Self::Nothing,
            Seen::Gtids(text) => Self::Gtids(text.parse().unwrap_or_default()),
            Seen::Locks(rows) => {
                let table = |name: &str| match name {
                    "main" => Table::Main,
                    "child" => Table::Child,
                    _ => Table::Parent,
                };
                Self::Rows(rows.iter().map(|row| (table(&row.table.table), of_key(&row.key))).collect())
            }
        }
    }
}
