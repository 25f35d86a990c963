//! What the stream has delivered, as a condition on reads (DESIGN, invariant 3).

use std::collections::VecDeque;
use std::sync::Arc;

use super::protocol::{RowLock, Seen};
use crate::model::{Gtid, GtidSet};

#[derive(Debug, Default)]
pub(super) struct SeenSet {
    gtids: Option<GtidSet>,
    text: Option<Arc<str>>,
    /// Numbered, and with the sequence number of their transaction.
    locks: VecDeque<(u64, u64, RowLock)>,
    /// The number of the newest lock.
    newest: u64,
    /// Commits become visible in the order of the binlog: the last one's lock stands for all.
    ordered: bool,
}

impl SeenSet {
    pub(super) fn new(ordered: bool) -> Self {
        Self { ordered, ..Self::default() }
    }

    pub(super) fn reset(&mut self, gtids: Option<GtidSet>) {
        *self = Self { gtids, ordered: self.ordered, newest: self.newest, ..Self::default() };
    }

    pub(super) fn gtid(&mut self, gtid: Option<&Gtid>) {
        if let (Some(set), Some(gtid)) = (&mut self.gtids, gtid) {
            set.insert(gtid);
            self.text = None;
        }
    }

    /// Reads wait for these as well. Gives all that they wait for.
    pub(super) fn extend(&mut self, gtids: &GtidSet) -> Option<GtidSet> {
        let set = self.gtids.as_mut()?;
        set.extend(gtids);
        self.text = None;
        Some(set.clone())
    }

    pub(super) fn lock(&mut self, transaction: u64, lock: RowLock) {
        if self.gtids.is_some() || self.locks.back().is_some_and(|(_, last, _)| *last == transaction) {
            return;
        }
        if self.ordered {
            self.locks.clear();
        }
        self.newest += 1;
        self.locks.push_back((self.newest, transaction, lock));
    }

    /// Names what [`SeenSet::token`] holds now.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Some connection had to wait for all locks up to this one and did. Not "for this transaction": the
    /// lock of the open one may have come after the connection was told what to wait for.
    pub(super) fn confirmed(&mut self, newest: u64) {
        while self.locks.front().is_some_and(|(number, ..)| *number <= newest) {
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
        Seen::Locks(self.locks.iter().map(|(.., lock)| lock.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Key, TableName};

    #[test]
    fn a_lock_that_came_later_is_not_confirmed() {
        let lock = |id| RowLock {
            table: TableName::new("shop", "orders"),
            columns: Arc::new(["id".to_owned()]),
            key: Key::int(id),
        };
        let mut seen = SeenSet::new(false);
        seen.lock(1, lock(1));
        let told = seen.newest();
        seen.lock(2, lock(2));
        seen.confirmed(told);
        assert_eq!(seen.token(), Seen::Locks(Arc::new([lock(2)])));
        seen.confirmed(seen.newest());
        assert_eq!((seen.token(), seen.unconfirmed()), (Seen::Nothing, 0));
    }
}
