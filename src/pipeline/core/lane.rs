//! A lane: the ids that hash to it, and at most one batch of them in flight.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::model::Key;

/// Who waits for an id: the transaction that made it dirty first, and pages of lookups and builds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Sequence number of the oldest transaction; a younger one need not wait too, as the older blocks it.
    pub(super) transaction: Option<u64>,
    /// Holds of pages.
    pub(super) pages: Vec<u64>,
}

/// One waiter of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiter {
    Transaction(u64),
    Page(u64),
}

#[derive(Debug)]
struct Entry {
    waiting: Waiting,
    fresh: bool,
}

/// A batch in flight.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) keys: Arc<[Key]>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) fresh: Vec<bool>,
    pub(super) version: u64,
    /// When the version was taken, ms.
    pub(super) taken: u64,
    /// What the connection was told to wait for.
    pub(super) seen: u64,
    /// Keys without a row, once read; those that cannot be documents, with the reason.
    pub(super) bad: Vec<(usize, String)>,
    pub(super) missing: Vec<usize>,
    /// Other spellings of its keys, to be read once it is through.
    pub(super) others: Vec<Key>,
}

#[derive(Debug, Default)]
pub(super) struct Lane {
    fresh: VecDeque<Key>,
    background: VecDeque<Key>,
    pending: HashMap<Key, Entry>,
    pub(super) batch: Option<Batch>,
    /// No batch before this time: the last one was refused in part.
    pub(super) not_before: u64,
    pub(super) refusals: u32,
    /// Batches taken, modulo 8.
    taken: u8,
    /// When the ids that wait were first looked at, while they linger.
    pub(super) since: Option<u64>,
}

impl Lane {
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Marks an id dirty. True where the waiter now waits for it (and must be counted).
    pub(super) fn mark(&mut self, key: &Key, waiter: Waiter, fresh: bool) -> bool {
        if let Some(entry) = self.pending.get_mut(key) {
            if fresh && !entry.fresh {
                entry.fresh = true;
                self.fresh.push_back(key.clone());
            }
            return add(&mut entry.waiting, waiter);
        }
        let mut waiting = Waiting::default();
        add(&mut waiting, waiter);
        self.pending.insert(key.clone(), Entry { waiting, fresh });
        let queue = if fresh { &mut self.fresh } else { &mut self.background };
        queue.push_back(key.clone());
        true
    }

    /// Marks an id dirty for a transaction that has been counted as waiting for it. Gives the one of two
    /// transactions that need not wait, because the older does.
    pub(super) fn hold(&mut self, key: &Key, transaction: u64) -> Option<u64> {
        if self.mark(key, Waiter::Transaction(transaction), true) {
            return None;
        }
        let waiting = &mut self.pending.get_mut(key)?.waiting.transaction;
        let other = waiting.unwrap_or(transaction);
        *waiting = Some(other.min(transaction));
        Some(other.max(transaction))
    }

    /// Puts an id of a failed batch back at the head, or as the `last`. Gives a transaction that need not wait for it
    /// any longer, because an older one does.
    pub(super) fn put_back(&mut self, key: &Key, waiting: Waiting, fresh: bool, last: bool) -> Option<u64> {
        let Some(entry) = self.pending.get_mut(key) else {
            self.pending.insert(key.clone(), Entry { waiting, fresh });
            let queue = if fresh { &mut self.fresh } else { &mut self.background };
            if last {
                queue.push_back(key.clone());
            } else {
                queue.push_front(key.clone());
            }
            return None;
        };
        entry.waiting.pages.extend(waiting.pages);
        match (entry.waiting.transaction, waiting.transaction) {
            (Some(new), Some(old)) => {
                entry.waiting.transaction = Some(old.min(new));
                Some(old.max(new))
            }
            (new, old) => {
                entry.waiting.transaction = new.or(old);
                None
            }
        }
    }

    /// No id waits for a transaction any longer: a gap made them all void.
    pub(super) fn forget_transactions(&mut self) {
        let in_flight = self.batch.iter_mut().flat_map(|batch| &mut batch.waiting);
        for waiting in self.pending.values_mut().map(|entry| &mut entry.waiting).chain(in_flight) {
            waiting.transaction = None;
        }
    }

    /// Takes up to `limit` ids, fresh ones first; an eighth (of the batches, where they are that small) is kept for
    /// the background so that a build goes on under any load.
    pub(super) fn take(&mut self, limit: usize) -> (Vec<Key>, Vec<Waiting>, Vec<bool>) {
        let mut taken = (Vec::new(), Vec::new(), Vec::new());
        self.taken = (self.taken + 1) % 8;
        let least = usize::from(self.taken == 0);
        let share = if self.background.is_empty() { 0 } else { (limit / 8).max(least) };
        self.take_from(limit - share, true, &mut taken);
        self.take_from(limit, false, &mut taken);
        self.take_from(limit, true, &mut taken);
        taken
    }

    fn take_from(&mut self, limit: usize, fresh: bool, taken: &mut (Vec<Key>, Vec<Waiting>, Vec<bool>)) {
        while taken.0.len() < limit {
            let queue = if fresh { &mut self.fresh } else { &mut self.background };
            let Some(key) = queue.pop_front() else { return };
            // an id that was marked fresh later also stands, stale, in the background queue
            if self.pending.get(&key).is_none_or(|entry| entry.fresh != fresh) {
                continue;
            }
            if let Some(entry) = self.pending.remove(&key) {
                taken.0.push(key);
                taken.1.push(entry.waiting);
                taken.2.push(fresh);
            }
        }
    }
}

fn add(waiting: &mut Waiting, waiter: Waiter) -> bool {
    match waiter {
        Waiter::Transaction(_) if waiting.transaction.is_some() => false,
        Waiter::Transaction(seq) => {
            waiting.transaction = Some(seq);
            true
        }
        Waiter::Page(hold) if waiting.pages.contains(&hold) => false,
        Waiter::Page(hold) => {
            waiting.pages.push(hold);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_first_and_each_id_once() {
        let mut lane = Lane::default();
        assert!(lane.mark(&Key::int(1), Waiter::Page(9), false));
        assert!(lane.mark(&Key::int(2), Waiter::Transaction(5), true));
        assert!(lane.mark(&Key::int(1), Waiter::Transaction(6), true));
        assert!(!lane.mark(&Key::int(2), Waiter::Transaction(7), true));
        let (keys, waiting, _) = lane.take(10);
        assert_eq!(keys, [Key::int(2), Key::int(1)]);
        assert_eq!(waiting[1], Waiting { transaction: Some(6), pages: vec![9] });
        assert_eq!(lane.pending(), 0);
    }

    #[test]
    fn a_build_goes_on_under_load() {
        let mut lane = Lane::default();
        for id in 0..100 {
            lane.mark(&Key::int(id), Waiter::Transaction(1), true);
            lane.mark(&Key::int(1_000 + id), Waiter::Page(1), false);
        }
        let (keys, ..) = lane.take(80);
        assert_eq!(keys.iter().filter(|key| **key >= Key::int(1_000)).count(), 10);
    }

    #[test]
    fn one_that_fails_alone_stands_in_nobodys_way() {
        let mut lane = Lane::default();
        for id in 0..3 {
            lane.mark(&Key::int(id), Waiter::Transaction(1), true);
            lane.mark(&Key::int(10 + id), Waiter::Page(1), false);
        }
        let mut through = Vec::new();
        for _ in 0..40 {
            let (keys, waiting, fresh) = lane.take(1);
            match keys.as_slice() {
                [key] if *key == Key::int(0) => {
                    lane.put_back(key, waiting[0].clone(), fresh[0], true);
                }
                keys => through.extend_from_slice(keys),
            }
        }
        assert_eq!(through, [1, 2, 10, 11, 12].map(Key::int));
    }

    #[test]
    fn an_older_transaction_relieves_a_younger() {
        let mut lane = Lane::default();
        lane.mark(&Key::int(1), Waiter::Transaction(8), true);
        let old = Waiting { transaction: Some(3), pages: vec![4] };
        assert_eq!(lane.put_back(&Key::int(1), old, true, false), Some(8));
        let (_, waiting, _) = lane.take(1);
        assert_eq!(waiting, [Waiting { transaction: Some(3), pages: vec![4] }]);
    }
}
