//! The stores: one checkpoint object replaced by compare-and-swap, and the dead letters.

use std::collections::BTreeMap;

use binlog_operator::model::{Checkpoint, Key, StreamPosition};
use binlog_operator::pipeline::core::{DeadLetter, SaveResult};

/// What the checks know of a checkpoint beside what is in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// The position that the task last began at: a Full stands for all before it.
    pub(crate) base: StreamPosition,
    /// The server's life that positions belong to.
    pub(crate) life: u32,
    /// How many places this owner has begun at.
    pub(crate) places: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) stored: Option<(Checkpoint, Origin)>,
    pub(crate) letters: BTreeMap<Key, DeadLetter>,
    pub(crate) letters_epoch: u64,
    pub(crate) room: usize,
    /// How many owners have taken the task over.
    pub(crate) claims: u64,
}

impl Store {
    /// Stores the object if the stored one has the expected epoch and version ceiling, or is our own of an
    /// attempt whose outcome was not known.
    pub(crate) fn save(&mut self, expect: (u64, u64), checkpoint: Checkpoint, origin: Origin) -> SaveResult {
        let found = self.stored.as_ref().map(|(found, _)| found);
        let ours = found.is_some_and(|f| f.epoch == checkpoint.epoch && f.owner == checkpoint.owner);
        if found.map_or((0, 0), |found| (found.epoch, found.version_ceiling)) != expect && !ours {
            return SaveResult::Lost(found.map_or("nobody".into(), |found| found.owner.clone()));
        }
        self.stored = Some((checkpoint, origin));
        SaveResult::Done
    }

    /// An owner who was fenced must not remove what a later one has added.
    pub(crate) fn save_letters(&mut self, epoch: u64, add: &[DeadLetter], remove: &[Key]) -> SaveResult {
        if epoch < self.letters_epoch {
            return SaveResult::Lost(format!("epoch {}", self.letters_epoch));
        }
        let mut letters = self.letters.clone();
        for key in remove {
            letters.remove(key);
        }
        for letter in add {
            letters.insert(letter.key.clone(), letter.clone());
        }
        if letters.len() > self.room && letters.len() > self.letters.len() {
            return SaveResult::Full(format!("{} letters", self.letters.len()));
        }
        (self.letters, self.letters_epoch) = (letters, epoch);
        SaveResult::Done
    }
}
