//! Dead letters: durable before the watermark passes them, one for each id, bounded.

use std::collections::BTreeMap;

use super::lane::Waiting;
use super::protocol::DeadLetter;
use crate::model::Key;

/// Letters by id, with those who wait for them to be stored.
type Adding = BTreeMap<Key, (DeadLetter, Vec<Waiting>)>;

#[derive(Debug)]
pub(super) struct DeadLetters {
    stored: BTreeMap<Key, u64>,
    adding: Adding,
    removing: Vec<Key>,
    saving: Option<(Adding, Vec<Key>)>,
    limit: usize,
    pub(super) full: bool,
    pub(super) refused: u64,
    pub(super) retry_at: u64,
}

impl DeadLetters {
    pub(super) fn new(stored: impl IntoIterator<Item = DeadLetter>, limit: usize) -> Self {
        Self {
            stored: stored.into_iter().map(|letter| (letter.key, letter.version)).collect(),
            adding: BTreeMap::new(),
            removing: Vec::new(),
            saving: None,
            limit,
            full: false,
            refused: 0,
            retry_at: 0,
        }
    }

    /// How many ids are dead letters, stored or about to be.
    pub(super) fn len(&self) -> usize {
        let saving = self.saving.as_ref().map(|(adding, _)| adding);
        let new = self.adding.keys().chain(saving.into_iter().flat_map(BTreeMap::keys));
        let new: std::collections::BTreeSet<_> = new.filter(|key| !self.stored.contains_key(*key)).collect();
        self.stored.len() + new.len()
    }

    /// The keys of all that are stored.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.stored.keys().cloned().collect()
    }

    /// An action was refused for good; its waiters wait until the letter is stored.
    pub(super) fn refuse(&mut self, letter: DeadLetter, waiting: Waiting) {
        self.refused += 1;
        self.removing.retain(|key| *key != letter.key);
        let key = letter.key.clone();
        let (slot, waiters) = self.adding.entry(key).or_insert_with(|| (letter.clone(), Vec::new()));
        *slot = letter;
        waiters.push(waiting);
    }

    /// An action of this version was accepted: an older letter is void. Gives its waiters, if it had not
    /// been stored yet.
    pub(super) fn accept(&mut self, key: &Key, version: u64) -> Vec<Waiting> {
        if self.stored.is_empty() && self.adding.is_empty() && self.saving.is_none() {
            return Vec::new();
        }
        let being_saved = self.saving.as_ref().and_then(|(adding, _)| adding.get(key));
        let stored = self.stored.get(key).copied().or(being_saved.map(|(letter, _)| letter.version));
        if stored.is_some_and(|stored| stored <= version) && !self.removing.contains(key) {
            self.removing.push(key.clone());
        }
        if self.adding.get(key).is_some_and(|(letter, _)| letter.version <= version) {
            return self.adding.remove(key).map(|(_, waiters)| waiters).unwrap_or_default();
        }
        Vec::new()
    }

    /// The next change to store, if there is one and none is under way.
    pub(super) fn next_save(&mut self, now: u64) -> Option<(Vec<DeadLetter>, Vec<Key>)> {
        let nothing = self.adding.is_empty() && self.removing.is_empty();
        if nothing || self.saving.is_some() || now < self.retry_at {
            return None;
        }
        let removing = std::mem::take(&mut self.removing);
        let mut room = self.limit.saturating_sub(self.stored.len().saturating_sub(removing.len()));
        let mut adding = BTreeMap::new();
        let mut kept = BTreeMap::new();
        for (key, value) in std::mem::take(&mut self.adding) {
            let replaces = self.stored.contains_key(&key);
            if replaces || room > 0 {
                room -= usize::from(!replaces);
                adding.insert(key, value);
            } else {
                kept.insert(key, value);
            }
        }
        self.full = !kept.is_empty();
        self.adding = kept;
        if adding.is_empty() && removing.is_empty() {
            return None;
        }
        let letters = adding.values().map(|(letter, _)| letter.clone()).collect();
        self.saving = Some((adding, removing.clone()));
        Some((letters, removing))
    }

    /// The change is stored: gives the waiters that go on.
    pub(super) fn saved(&mut self) -> Vec<Waiting> {
        let Some((adding, removing)) = self.saving.take() else { return Vec::new() };
        for key in &removing {
            self.stored.remove(key);
        }
        let mut waiters = Vec::new();
        for (key, (letter, waiting)) in adding {
            self.stored.insert(key, letter.version);
            waiters.extend(waiting);
        }
        waiters
    }

    /// The change could not be stored: it is tried again.
    pub(super) fn save_failed(&mut self, retry_at: u64) {
        self.retry_at = retry_at;
        let Some((adding, removing)) = self.saving.take() else { return };
        for (key, (letter, waiting)) in adding {
            let (_, waiters) = self.adding.entry(key).or_insert_with(|| (letter, Vec::new()));
            waiters.extend(waiting);
        }
        for key in removing {
            if !self.removing.contains(&key) && !self.adding.contains_key(&key) {
                self.removing.push(key);
            }
        }
    }

    /// True while something waits to be stored.
    pub(super) fn unsaved(&self) -> bool {
        self.saving.is_some() || !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// Transactions of before a gap are void.
    pub(super) fn forget_transactions(&mut self) {
        let saving = self.saving.iter_mut().flat_map(|(adding, _)| adding.values_mut());
        for (_, waiters) in self.adding.values_mut().chain(saving) {
            for waiting in waiters {
                waiting.transaction = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(id: i64, version: u64) -> DeadLetter {
        DeadLetter { key: Key::int(id), version, reason: "no".into() }
    }

    #[test]
    fn a_letter_lets_go_only_once_it_is_stored() {
        let mut letters = DeadLetters::new([], 10);
        let waiting = Waiting { transaction: Some(4), pages: Vec::new() };
        letters.refuse(letter(1, 5), waiting.clone());
        assert_eq!(letters.next_save(0).unwrap().0, [letter(1, 5)]);
        letters.save_failed(9);
        assert!(letters.next_save(8).is_none() && letters.unsaved());
        assert!(letters.next_save(9).is_some());
        assert_eq!(letters.saved(), [waiting]);
        assert_eq!((letters.len(), letters.keys()), (1, vec![Key::int(1)]));
    }

    #[test]
    fn an_accepted_action_removes_it_even_while_it_is_being_stored() {
        let mut letters = DeadLetters::new([letter(1, 5)], 10);
        letters.accept(&Key::int(1), 4);
        assert!(letters.next_save(0).is_none());
        letters.refuse(letter(2, 6), Waiting::default());
        letters.next_save(0).unwrap();
        assert!(letters.accept(&Key::int(2), 7).is_empty());
        letters.accept(&Key::int(1), 7);
        letters.saved();
        assert_eq!(letters.next_save(0).unwrap().1, [Key::int(2), Key::int(1)]);
        letters.saved();
        assert_eq!(letters.len(), 0);
    }

    #[test]
    fn a_full_store_keeps_the_rest_waiting() {
        let mut letters = DeadLetters::new([letter(1, 1)], 2);
        letters.refuse(letter(2, 2), Waiting::default());
        letters.refuse(letter(3, 2), Waiting::default());
        assert_eq!(letters.next_save(0).unwrap().0.len(), 1);
        assert!(letters.full);
        letters.saved();
        letters.accept(&Key::int(1), 9);
        assert_eq!(letters.next_save(0).unwrap().0, [letter(3, 2)]);
        assert!(!letters.full);
    }
}
