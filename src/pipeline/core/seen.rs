//! What the stream has delivered, as a condition on reads (DESIGN, invariant 3).

use std::collections::VecDeque;
use std::sync::Arc;

use super::protocol::{RowLock, Seen};
use crate::model::{Gtid, GtidSet};

#[derive(Debug, Default)]
pub(super) struct SeenSet {
    gtids: Option<GtidSet>,
    text: Option<Arc<str>>,
    /// With the sequence number of their transaction.
    locks: VecDeque<(u64, RowLock)>,
    /// Commits become visible in the order of the binlog: the last one's lock stands for all.
    ordered: bool,
}

impl SeenSet {
    pub(super) fn new(ordered: bool) -> Self {
        Self { ordered, ..Self::default() }
    }

    pub(super) fn reset(&mut self, gtids: Option<GtidSet>) {
        *self = Self { gtids, ordered: self.ordered, ..Self::default() };
    }

    pub(super) fn gtid(&mut self, gtid: Option<&Gtid>) {
        if let (Some(set), Some(gtid)) = (&mut self.gtids, gtid) {
            set.insert(gtid);
            self.text = None;
        }
    }

    pub(super) fn lock(&mut self, transaction: u64, lock: RowLock) {
        if self.gtids.is_some() || self.locks.back().is_some_and(|(last, _)| *last == transaction) {
            return;
        }
        if self.ordered {
            self.locks.clear();
        }
        self.locks.push_back((transaction, lock));
    }

    /// Some connection had to wait for everything up to this transaction and did.
    pub(super) fn confirmed(&mut self, transaction: u64) {
        while self.locks.front().is_some_and(|(seq, _)| *seq <= transaction) {
            self.locks.pop_front();
        }
    }

    /// How many commits must be waited for one by one.
    pub(super) fn unconfirmed(&self) -> usize {
        self.locks.len()
    }

    pub(super) fn token(&mut self) -> Seen {
        if let Some(set) = &self.gtids {
            let text = self.text.get_or_insert_with(|| set.to_string().into());
            return Seen::Gtids(Arc::clone(text));
        }
        if self.locks.is_empty() {
            return Seen::Nothing;
        }
        Seen::Locks(self.locks.iter().map(|(_, lock)| lock.clone()).collect())
    }
}
