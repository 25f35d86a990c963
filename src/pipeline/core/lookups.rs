//! Values whose main keys must be looked up, coalesced, and the lookups under way.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::model::Key;

/// Lookups that fetch pages at the same time.
const AT_ONCE: usize = 4;

#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) rule: usize,
    pub(super) keys: Arc<[Key]>,
    /// The transactions that wait for it, one for each key.
    pub(super) transactions: Vec<u64>,
    pub(super) after: Option<Key>,
    pub(super) pages: usize,
    asked: bool,
    /// What the connection was told to wait for.
    pub(super) seen: u64,
    fetched: bool,
    /// Ids of its pages that are not acknowledged.
    waiting: u64,
}

#[derive(Debug, Default)]
pub(super) struct Lookups {
    queues: BTreeMap<usize, VecDeque<Key>>,
    queued: HashMap<(usize, Key), u64>,
    pub(super) running: BTreeMap<u64, Lookup>,
    /// The one that failed last.
    failed: u64,
}

impl Lookups {
    /// Values and lookups that are not done.
    pub(super) fn pending(&self) -> usize {
        self.queued.len() + self.running.len()
    }

    /// Asks for a value's main keys. True where the transaction now waits for it; a value that waits for
    /// an older one already is looked up once for both.
    pub(super) fn ask(&mut self, rule: usize, key: Key, transaction: u64) -> bool {
        if self.queued.contains_key(&(rule, key.clone())) {
            return false;
        }
        self.queues.entry(rule).or_default().push_back(key.clone());
        self.queued.insert((rule, key), transaction);
        true
    }

    /// Starts lookups of what is queued, at most `keys` values in one; `name` gives their numbers.
    pub(super) fn start(&mut self, keys: usize, mut name: impl FnMut() -> u64) {
        while self.running.values().filter(|lookup| !lookup.fetched).count() < AT_ONCE {
            let Some((&rule, queue)) = self.queues.iter_mut().next() else { return };
            let values: Vec<Key> = queue.drain(..queue.len().min(keys)).collect();
            if queue.is_empty() {
                self.queues.remove(&rule);
            }
            let transactions =
                values.iter().filter_map(|key| self.queued.remove(&(rule, key.clone()))).collect();
            let lookup = Lookup {
                rule,
                keys: values.into(),
                transactions,
                after: None,
                pages: 0,
                asked: false,
                seen: 0,
                fetched: false,
                waiting: 0,
            };
            self.running.insert(name(), lookup);
        }
    }

    /// The lookups whose next page can be asked for: the first page of any, a later one of a single lookup
    /// at a time. First those behind the one that failed last: while one thing at a time is tried, what always fails must
    /// not be tried alone for ever.
    pub(super) fn ready(&self) -> Vec<u64> {
        let behind = self.running.range(self.failed + 1..).chain(self.running.range(..=self.failed));
        behind.filter(|(_, l)| !l.asked && !l.fetched).map(|(id, _)| *id).collect()
    }

    pub(super) fn asked(&mut self, id: u64, seen: u64) -> Option<&Lookup> {
        let lookup = self.running.get_mut(&id)?;
        (lookup.asked, lookup.seen) = (true, seen);
        Some(lookup)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.running.values().filter(|lookup| lookup.asked).count()
    }

    /// A page came (or failed: `None`).
    pub(super) fn answered(&mut self, id: u64, page: Option<(Option<Key>, bool)>) {
        let Some(lookup) = self.running.get_mut(&id) else { return };
        lookup.asked = false;
        let Some((last, more)) = page else {
            self.failed = id;
            return;
        };
        lookup.pages += 1;
        lookup.fetched = !more;
        lookup.after = last.or(lookup.after.take());
    }

    /// One more id of a lookup's page waits.
    pub(super) fn wait(&mut self, id: u64) {
        if let Some(lookup) = self.running.get_mut(&id) {
            lookup.waiting += 1;
        }
    }

    /// An id of a lookup's page is acknowledged.
    pub(super) fn release(&mut self, id: u64) {
        if let Some(lookup) = self.running.get_mut(&id) {
            lookup.waiting = lookup.waiting.saturating_sub(1);
        }
    }

    /// Takes the lookup out where it is done: gives the transactions that waited for it.
    pub(super) fn finish(&mut self, id: u64) -> Vec<u64> {
        let done = self.running.get(&id).is_some_and(|l| l.fetched && !l.asked && l.waiting == 0);
        if done { self.running.remove(&id).map(|l| l.transactions).unwrap_or_default() } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lookup_for_many_changes() {
        let mut lookups = Lookups::default();
        assert!(lookups.ask(0, Key::int(1), 5) && !lookups.ask(0, Key::int(1), 6));
        assert!(lookups.ask(1, Key::int(1), 6));
        let mut ids = 10..;
        lookups.start(100, || ids.next().unwrap());
        assert_eq!(lookups.ready(), [10, 11]);
        lookups.asked(10, 0);
        lookups.answered(10, Some((Some(Key::int(3)), true)));
        lookups.wait(10);
        assert_eq!(lookups.running[&10].after, Some(Key::int(3)));
        lookups.asked(10, 0);
        lookups.answered(10, None);
        lookups.asked(10, 0);
        lookups.answered(10, Some((None, false)));
        assert!(lookups.finish(10).is_empty());
        lookups.release(10);
        assert_eq!(lookups.finish(10), [5]);
        assert_eq!(lookups.pending(), 1);
    }
}
