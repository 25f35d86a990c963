//! Documents that a sweep found in other shards than those where their keys' are written: of another routing before.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::Key;

/// What sweeps found and nobody has dealt with yet.
#[derive(Default)]
pub(super) struct Misplaced {
    found: Mutex<HashMap<Key, BTreeSet<Option<String>>>>,
}

/// A key of a batch whose document is elsewhere too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Elsewhere {
    /// The key's place in the batch.
    pub(super) at: usize,
    /// The routings under which it was found; `None` where it has none.
    pub(super) routings: Vec<Option<String>>,
}

impl Misplaced {
    /// A document of this key was found under a routing that is not the key's.
    pub(super) fn found(&self, key: &Key, routing: Option<&str>) {
        self.lock().entry(key.clone()).or_default().insert(routing.map(str::to_owned));
    }

    /// Those of the keys whose documents were found elsewhere.
    pub(super) fn of(&self, keys: &[Key]) -> Vec<Elsewhere> {
        let found = self.lock();
        if found.is_empty() {
            return Vec::new();
        }
        let elsewhere = |(at, key)| {
            found.get(key).map(|routings| Elsewhere { at, routings: routings.iter().cloned().collect() })
        };
        keys.iter().enumerate().filter_map(elsewhere).collect()
    }

    /// What was found of this key is gone; what was found since stays known.
    pub(super) fn gone(&self, key: &Key, routings: &[Option<String>]) {
        let mut found = self.lock();
        if let Some(left) = found.get_mut(key) {
            left.retain(|routing| !routings.contains(routing));
            if left.is_empty() {
                found.remove(key);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, BTreeSet<Option<String>>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_while_another_goes_stays_known() {
        let (misplaced, key) = (Misplaced::default(), Key::int(7));
        misplaced.found(&key, Some("a"));
        misplaced.found(&key, None);
        let seen = misplaced.of(&[Key::int(1), key.clone()]);
        assert_eq!(seen, [Elsewhere { at: 1, routings: vec![None, Some("a".into())] }]);
        misplaced.found(&key, Some("b"));
        misplaced.gone(&key, &seen[0].routings);
        let left = misplaced.of(std::slice::from_ref(&key));
        assert_eq!(left, [Elsewhere { at: 0, routings: vec![Some("b".into())] }]);
        misplaced.gone(&key, &left[0].routings);
        assert_eq!(misplaced.of(&[key]), []);
    }
}
