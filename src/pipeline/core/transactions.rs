//! The transactions that are not acknowledged, and the low watermark below them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::protocol::{Begin, RowLock, Rows};
use crate::model::{BinlogPosition, Key, LastTransaction, StreamPosition, TableColumns};

#[derive(Debug)]
struct Transaction {
    begin: Begin,
    end: Option<BinlogPosition>,
    waiting: u64,
    /// Prepared and not yet resolved.
    prepared: bool,
    /// The prepared transaction that this one commits.
    resolves: Option<u64>,
    schemas: Option<Arc<Vec<TableColumns>>>,
}

/// Ids of an XA transaction between PREPARE and COMMIT, when they become visible.
#[derive(Clone, Debug, Default)]
pub(super) struct Prepared {
    pub(super) seq: u64,
    pub(super) keys: Vec<Key>,
    pub(super) lookups: Vec<(usize, Key)>,
    pub(super) lock: Option<RowLock>,
    pub(super) overflow: bool,
}

/// More ids than this in one prepared transaction are answered by a Full when it commits.
const MAX_PREPARED: usize = 200_000;

/// Transactions in the order of the stream. `acked` is the low watermark.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    open: VecDeque<Transaction>,
    first: u64,
    /// Prepared transactions that younger, acknowledged ones have passed (with GTIDs only).
    holes: BTreeMap<u64, Transaction>,
    pub(super) prepared: HashMap<Vec<u8>, Prepared>,
    collecting: Option<(Vec<u8>, Prepared)>,
    /// The xid that the open transaction resolves: known until it is whole, as it may come again.
    resolving: Option<Vec<u8>>,
    pub(super) acked: StreamPosition,
    pub(super) last: Option<LastTransaction>,
    pub(super) schemas: Arc<Vec<TableColumns>>,
    /// Where the stream stands after the last whole transaction: there a broken stream goes on.
    pub(super) delivered: StreamPosition,
    pub(super) delivered_last: Option<LastTransaction>,
    pub(super) delivered_schemas: Arc<Vec<TableColumns>>,
    /// Counts moves of the watermark.
    pub(super) moves: u64,
}

impl Transactions {
    /// Starts at a position with nothing outstanding.
    pub(super) fn reset(
        &mut self,
        at: StreamPosition,
        last: Option<LastTransaction>,
        schemas: Vec<TableColumns>,
    ) {
        let schemas = Arc::new(schemas);
        *self = Self {
            first: self.first + self.open.len() as u64 + 1,
            delivered: at.clone(),
            delivered_last: last.clone(),
            delivered_schemas: Arc::clone(&schemas),
            acked: at,
            last,
            schemas,
            moves: self.moves + 1,
            ..Self::default()
        };
    }

    /// The sequence number of the newest transaction; every waiter and lock is named by one.
    pub(super) fn newest(&self) -> u64 {
        (self.first + self.open.len() as u64).saturating_sub(1)
    }

    /// Nothing waits for acknowledgement any longer: a Full stands for all of it. What is prepared stays so.
    pub(super) fn forget_waiting(&mut self) {
        for transaction in self.open.iter_mut().chain(self.holes.values_mut()) {
            transaction.waiting = 0;
        }
    }

    /// How the open transaction began.
    pub(super) fn opened(&self) -> Option<&Begin> {
        self.open.back().filter(|open| open.end.is_none()).map(|open| &open.begin)
    }

    /// How many transactions wait for acknowledgement.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// The commit time of the oldest transaction that waits, microseconds since 1970.
    pub(super) fn oldest_commit(&self) -> Option<u64> {
        self.open.iter().find(|t| t.waiting > 0).map(|t| t.begin.commit_timestamp)
    }

    pub(super) fn begin(&mut self, begin: Begin) {
        self.abort();
        self.open.push_back(Transaction {
            begin,
            end: None,
            waiting: 0,
            prepared: false,
            resolves: None,
            schemas: None,
        });
    }

    /// Drops the transaction that the stream was in when it broke; its ids stay dirty.
    pub(super) fn abort(&mut self) {
        (self.collecting, self.resolving) = (None, None);
        if self.open.back().is_some_and(|t| t.end.is_none()) {
            // it keeps its number, so that no later transaction is taken for it by its waiters
            if let Some(broken) = self.open.back_mut() {
                broken.end = Some(self.delivered.binlog.clone());
                broken.begin = Begin { start: self.delivered.binlog.clone(), ..Begin::default() };
                broken.schemas = None;
                broken.resolves = None;
            }
        }
    }

    pub(super) fn xa_start(&mut self, xid: Vec<u8>) {
        self.collecting = Some((xid, Prepared { seq: self.newest(), ..Prepared::default() }));
    }

    /// Keeps rows back where they belong to an XA transaction; otherwise gives them back.
    pub(super) fn keep_back(&mut self, mut rows: Rows) -> Option<Rows> {
        let Some((_, prepared)) = &mut self.collecting else { return Some(rows) };
        prepared.overflow |= prepared.keys.len() + prepared.lookups.len() > MAX_PREPARED;
        prepared.lock = prepared.lock.take().or(rows.lock.take());
        if prepared.overflow {
            prepared.keys.clear();
            prepared.lookups.clear();
        } else {
            prepared.keys.append(&mut rows.keys);
            prepared.lookups.append(&mut rows.lookups);
        }
        None
    }

    /// Takes what was kept back of the open transaction.
    pub(super) fn kept_back(&mut self) -> Option<(Vec<u8>, Prepared)> {
        self.collecting.take()
    }

    pub(super) fn schemas_moved(&mut self, schemas: Arc<Vec<TableColumns>>) {
        if let Some(open) = self.open.back_mut() {
            open.schemas = Some(schemas);
        }
    }

    /// The open transaction is whole.
    pub(super) fn end(&mut self, end: BinlogPosition) {
        self.close(end);
    }

    /// The open transaction is whole and prepared: its ids wait for its commit.
    pub(super) fn end_prepared(&mut self, end: BinlogPosition) {
        if let Some((xid, prepared)) = self.collecting.take() {
            if let Some(open) = self.open.back_mut() {
                open.prepared = true;
            }
            self.prepared.insert(xid, prepared);
        }
        self.close(end);
    }

    /// The open transaction resolves a prepared one; `None` where its PREPARE was never seen.
    pub(super) fn resolve(&mut self, xid: &[u8]) -> Option<Prepared> {
        if self.collecting.as_ref().is_some_and(|(collected, _)| collected == xid) {
            return self.collecting.take().map(|(_, prepared)| prepared); // XA COMMIT ... ONE PHASE
        }
        let prepared = self.prepared.get(xid)?.clone();
        self.resolving = Some(xid.to_vec());
        if let Some(open) = self.open.back_mut() {
            open.resolves = Some(prepared.seq);
        }
        Some(prepared)
    }

    /// The stream stands here, between transactions. True where the watermark came to another file.
    pub(super) fn idle(&mut self, at: BinlogPosition) -> bool {
        let mut rotated = false;
        if self.open.is_empty() && at > self.acked.binlog {
            rotated = at.file != self.acked.binlog.file;
            self.acked.binlog = at.clone();
        }
        if at > self.delivered.binlog {
            self.delivered.binlog = at;
        }
        rotated
    }

    /// One more id or lookup waits for the newest transaction.
    pub(super) fn wait(&mut self) {
        if let Some(open) = self.open.back_mut() {
            open.waiting += 1;
        }
    }

    /// One more id waits for this transaction. False where it is not there any longer.
    pub(super) fn wait_for(&mut self, seq: u64) -> bool {
        let transaction = match seq.checked_sub(self.first) {
            Some(at) => self.open.get_mut(at as usize),
            None => self.holes.get_mut(&seq),
        };
        transaction.map(|transaction| transaction.waiting += 1).is_some()
    }

    /// One id or lookup of a transaction is acknowledged.
    pub(super) fn release(&mut self, seq: u64) {
        let transaction = match seq.checked_sub(self.first) {
            Some(at) => self.open.get_mut(at as usize),
            None => self.holes.get_mut(&seq),
        };
        if let Some(transaction) = transaction {
            transaction.waiting = transaction.waiting.saturating_sub(1);
        }
    }

    /// Moves the watermark over everything that is acknowledged. True where it moved. With `limit`
    /// transactions and more, a prepared one no longer holds the others back.
    pub(super) fn advance(&mut self, limit: usize) -> bool {
        let before = self.moves;
        loop {
            let passable = self.passable();
            for _ in 0..passable {
                self.pass();
            }
            if self.open.len() < limit.max(1) {
                break;
            }
            // should the worker restart before its commit, that will be a commit without a PREPARE: a gap
            match self.open.front_mut() {
                Some(front) if front.prepared && front.end.is_some() => front.prepared = false,
                _ => break,
            }
        }
        self.moves != before
    }

    /// How many of the oldest transactions can be passed at once. A prepared transaction without a GTID
    /// cannot be left behind as a hole: a position is before it or after its commit.
    fn passable(&self) -> usize {
        let (mut safe, mut unresolved) = (0, Vec::new());
        for (seq, transaction) in (self.first..).zip(&self.open) {
            if transaction.end.is_none() || transaction.waiting > 0 {
                break;
            }
            if transaction.prepared && transaction.begin.gtid.is_none() {
                if self.prepared.values().any(|prepared| prepared.seq == seq) {
                    break;
                }
                unresolved.push(seq);
            }
            unresolved.retain(|prepared| Some(*prepared) != transaction.resolves);
            if unresolved.is_empty() {
                safe = seq + 1 - self.first;
            }
        }
        safe as usize
    }

    fn pass(&mut self) {
        let Some(done) = self.open.pop_front() else { return };
        let seq = self.first;
        self.first += 1;
        if done.prepared && done.begin.gtid.is_some() {
            self.holes.insert(seq, done);
            return;
        }
        // the prepared one is done with its commit, not before: else a restart in between would find a
        // commit without a PREPARE
        let hole = done.resolves.and_then(|prepared| self.holes.remove(&prepared));
        // files and schemas are past the hole
        for gtid in [&done].into_iter().chain(&hole).filter_map(|passed| passed.begin.gtid.as_ref()) {
            self.acked.gtids.iter_mut().for_each(|gtids| gtids.insert(gtid));
        }
        self.moves += 1;
        self.move_to(done);
    }

    /// The watermark's place in files moves behind a transaction. It may go back: after a failover, by GTIDs, the new
    /// server numbers its files by itself.
    fn move_to(&mut self, done: Transaction) {
        let end = done.end.unwrap_or_default();
        if end > done.begin.start {
            self.last = Some(last_transaction(&done.begin));
        }
        self.acked.binlog = end;
        if let Some(schemas) = done.schemas {
            self.schemas = schemas;
        }
    }

    /// What is not acknowledged only because it is prepared and invisible.
    pub(super) fn invisible(&self) -> impl Iterator<Item = &crate::model::Gtid> {
        self.holes.values().filter(|hole| hole.prepared).filter_map(|hole| hole.begin.gtid.as_ref())
    }

    fn close(&mut self, end: BinlogPosition) {
        if let Some(xid) = self.resolving.take() {
            self.prepared.remove(&xid);
        }
        let Some(open) = self.open.back_mut().filter(|open| open.end.is_none()) else { return };
        if let (Some(gtids), Some(gtid)) = (&mut self.delivered.gtids, &open.begin.gtid) {
            gtids.insert(gtid);
        }
        self.delivered_last = Some(last_transaction(&open.begin));
        if let Some(schemas) = &open.schemas {
            self.delivered_schemas = Arc::clone(schemas);
        }
        self.delivered.binlog.clone_from(&end);
        open.end = Some(end);
    }
}

fn last_transaction(begin: &Begin) -> LastTransaction {
    LastTransaction {
        gtid: begin.gtid.clone(),
        start: begin.start.clone(),
        original_commit_timestamp: begin.commit_timestamp,
    }
}

#[cfg(test)]
mod tests;
