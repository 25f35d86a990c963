//! Dead letters: durable before the watermark passes them, one for each id, bounded.

use std::collections::{BTreeMap, BTreeSet};

use super::lane::Waiting;
use super::protocol::DeadLetter;
use crate::model::Key;

/// Letters by id, with those who wait for them to be stored.
type Adding = BTreeMap<Key, (DeadLetter, Vec<Waiting>)>;
/// Ids whose letters are void, with those who wait until that is stored: else a crash would leave the letter
/// of a healthy document behind, and nobody would ever look at it again.
type Removing = BTreeMap<Key, Vec<Waiting>>;

#[derive(Debug)]
pub(super) struct DeadLetters {
    stored: BTreeMap<Key, u64>,
    adding: Adding,
    removing: Removing,
    saving: Option<(Adding, Removing)>,
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
            removing: BTreeMap::new(),
            saving: None,
            limit,
            full: false,
            refused: 0,
            retry_at: 0,
        }
    }

    /// True where there is no letter, nor one on its way.
    pub(super) fn none(&self) -> bool {
        self.stored.is_empty() && !self.unsaved()
    }

    /// How many ids are dead letters, stored or about to be.
    pub(super) fn len(&self) -> usize {
        let saving = self.saving.iter().flat_map(|(adding, _)| adding.keys());
        let new: BTreeSet<&Key> = saving.chain(self.adding.keys()).collect();
        self.stored.len() + new.into_iter().filter(|key| !self.stored.contains_key(*key)).count()
    }

    /// The keys of all that are stored or about to be.
    pub(super) fn keys(&self) -> Vec<Key> {
        let saving = self.saving.iter().flat_map(|(adding, _)| adding.keys());
        let all: BTreeSet<&Key> = self.stored.keys().chain(saving).chain(self.adding.keys()).collect();
        all.into_iter().cloned().collect()
    }

    /// An action was refused for good; its waiters wait until the letter is stored.
    pub(super) fn refuse(&mut self, letter: DeadLetter, waiting: Waiting) {
        self.refused += 1;
        let removal = self.removing.remove(&letter.key).unwrap_or_default();
        let key = letter.key.clone();
        let (slot, waiters) = self.adding.entry(key).or_insert_with(|| (letter.clone(), Vec::new()));
        *slot = letter;
        waiters.extend(removal);
        waiters.push(waiting);
    }

    /// An action of this version was accepted: an older letter is void. Gives those who need not wait until
    /// its removal is stored.
    pub(super) fn accept(&mut self, key: &Key, version: u64, waiting: Waiting) -> Vec<Waiting> {
        let mut waiters = vec![waiting];
        if self.adding.get(key).is_some_and(|(letter, _)| letter.version <= version) {
            waiters.extend(self.adding.remove(key).into_iter().flat_map(|(_, waiters)| waiters));
        }
        let being_saved = self.saving.as_ref().and_then(|(adding, _)| adding.get(key));
        let stored = being_saved.map(|(letter, _)| letter.version).or(self.stored.get(key).copied());
        if stored.is_some_and(|stored| stored <= version) {
            self.removing.entry(key.clone()).or_default().append(&mut waiters);
        }
        waiters
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
        let keys = removing.keys().cloned().collect();
        self.saving = Some((adding, removing));
        Some((letters, keys))
    }

    /// The change is stored: gives the waiters that go on.
    pub(super) fn saved(&mut self) -> Vec<Waiting> {
        let Some((adding, removing)) = self.saving.take() else { return Vec::new() };
        let mut waiters = Vec::new();
        for (key, waiting) in removing {
            self.stored.remove(&key);
            waiters.extend(waiting);
        }
        for (key, (letter, waiting)) in adding {
            self.stored.insert(key, letter.version);
            waiters.extend(waiting);
        }
        waiters
    }

    /// The change could not be stored: it is tried again. Where the outcome is `unknown`, what was added may
    /// be there, so that only a removal brings it away.
    pub(super) fn save_failed(&mut self, retry_at: u64, unknown: bool) {
        self.retry_at = retry_at;
        let Some((adding, removing)) = self.saving.take() else { return };
        for (key, (letter, waiting)) in adding {
            if unknown {
                self.stored.insert(key.clone(), letter.version);
            }
            if let Some(accepted) = self.removing.get_mut(&key) {
                accepted.extend(waiting);
                continue;
            }
            let (_, waiters) = self.adding.entry(key).or_insert_with(|| (letter, Vec::new()));
            waiters.extend(waiting);
        }
        for (key, waiting) in removing {
            match self.adding.get_mut(&key) {
                Some((_, waiters)) => waiters.extend(waiting),
                None => self.removing.entry(key).or_default().extend(waiting),
            }
        }
    }

    /// True while something waits to be stored.
    pub(super) fn unsaved(&self) -> bool {
        self.saving.is_some() || !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// True where no more can be stored now: what a full store has no room for is read again by the next
    /// owner, as its transactions are not acknowledged.
    pub(super) fn settled(&self) -> bool {
        self.saving.is_none() && (self.full || !self.unsaved())
    }

    /// Transactions of before a gap are void.
    pub(super) fn forget_transactions(&mut self) {
        let (mut adding, mut removing) = (Vec::new(), Vec::new());
        if let Some((saving, unsaving)) = &mut self.saving {
            adding.extend(saving.values_mut());
            removing.extend(unsaving.values_mut());
        }
        let adding = self.adding.values_mut().chain(adding).flat_map(|(_, waiters)| waiters);
        let removing = self.removing.values_mut().chain(removing).flatten();
        for waiting in adding.chain(removing) {
            waiting.transaction = None;
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
        letters.save_failed(9, false);
        assert!(letters.next_save(8).is_none() && letters.unsaved());
        assert!(letters.next_save(9).is_some());
        assert_eq!(letters.saved(), [waiting]);
        assert_eq!((letters.len(), letters.keys()), (1, vec![Key::int(1)]));
    }

    #[test]
    fn an_accepted_action_removes_it_even_while_it_is_being_stored() {
        let mut letters = DeadLetters::new([letter(1, 5)], 10);
        let waiting = Waiting { transaction: Some(4), pages: Vec::new() };
        assert_eq!(letters.accept(&Key::int(1), 4, waiting.clone()), std::slice::from_ref(&waiting));
        assert!(letters.next_save(0).is_none());
        letters.refuse(letter(2, 6), Waiting::default());
        letters.next_save(0).unwrap();
        assert!(letters.accept(&Key::int(2), 7, waiting.clone()).is_empty());
        assert!(letters.accept(&Key::int(1), 7, waiting.clone()).is_empty());
        assert_eq!(letters.saved(), [Waiting::default()]);
        assert_eq!(letters.next_save(0).unwrap().1, [Key::int(1), Key::int(2)]);
        // it lets go only once the removal is stored
        assert_eq!(letters.saved(), [waiting.clone(), waiting]);
        assert_eq!(letters.len(), 0);
    }

    #[test]
    fn a_letter_that_may_be_stored_is_removed() {
        let mut letters = DeadLetters::new([], 10);
        letters.refuse(letter(1, 5), Waiting::default());
        letters.next_save(0).unwrap();
        letters.accept(&Key::int(1), 6, Waiting::default());
        letters.save_failed(0, true);
        assert_eq!(letters.next_save(0), Some((Vec::new(), vec![Key::int(1)])));
        letters.save_failed(0, true);
        letters.refuse(letter(1, 7), Waiting::default());
        assert_eq!(letters.next_save(0), Some((vec![letter(1, 7)], Vec::new())));
    }

    #[test]
    fn a_full_store_keeps_the_rest_waiting() {
        let mut letters = DeadLetters::new([letter(1, 1)], 2);
        letters.refuse(letter(2, 2), Waiting::default());
        letters.refuse(letter(3, 2), Waiting::default());
        assert_eq!(letters.next_save(0).unwrap().0.len(), 1);
        assert!(letters.full);
        letters.saved();
        letters.accept(&Key::int(1), 9, Waiting::default());
        assert_eq!(letters.next_save(0).unwrap().0, [letter(3, 2)]);
        assert!(!letters.full);
    }
}
