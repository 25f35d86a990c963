//! Where a task's state lives: a file here, a ConfigMap in a cluster.

use std::future::Future;

use super::core::{DeadLetter, SaveResult};
use crate::model::Checkpoint;

/// The state that a worker begins with.
#[derive(Debug, Default)]
pub struct Stored {
    /// The checkpoint; `None` where the task has none.
    pub checkpoint: Option<Checkpoint>,
    /// Its dead letters.
    pub letters: Vec<DeadLetter>,
}

/// A store could not be read. The words name the object and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// A task's checkpoint and dead letters. Whatever was answered with [`SaveResult::Done`] survives a crash.
pub trait Stores: Send + Sync + 'static {
    /// Reads both.
    fn load(&self) -> impl Future<Output = Result<Stored, StoreError>> + Send;

    /// Replaces the checkpoint if the stored one has the expected epoch (0: there is none), or if it is an
    /// earlier save of the same epoch and owner whose answer was lost. Otherwise [`SaveResult::Lost`].
    fn save(&self, expect: u64, checkpoint: &Checkpoint) -> impl Future<Output = SaveResult> + Send;

    /// Adds or replaces dead letters by key, and removes others, as one change. The store belongs to the
    /// owner of `epoch`: another's is [`SaveResult::Lost`].
    fn save_letters(
        &self,
        epoch: u64,
        add: &[DeadLetter],
        remove: &[crate::model::Key],
    ) -> impl Future<Output = SaveResult> + Send;

    /// Is the stored epoch this one?
    fn holds(&self, epoch: u64) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// The rule of every store: may a checkpoint with this epoch and owner replace what is stored?
pub fn may_replace(stored: Option<&Checkpoint>, expect: u64, new: &Checkpoint) -> Result<(), String> {
    let found = stored.map_or(0, |stored| stored.epoch);
    let mine = stored.is_some_and(|stored| stored.epoch == new.epoch && stored.owner == new.owner);
    if mine || (found == expect && expect != new.epoch) {
        return Ok(());
    }
    let owner = stored.map_or("nobody", |stored| stored.owner.as_str());
    Err(format!("the checkpoint is at epoch {found} of {owner}, ours is {}", new.epoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_and_a_claim_replace() {
        let at = |epoch, owner: &str| Checkpoint { epoch, owner: owner.into(), ..Checkpoint::default() };
        assert!(may_replace(None, 0, &at(1, "a")).is_ok());
        assert!(may_replace(Some(&at(1, "a")), 1, &at(2, "b")).is_ok());
        assert!(may_replace(Some(&at(2, "b")), 2, &at(2, "b")).is_ok());
        assert!(may_replace(Some(&at(2, "b")), 1, &at(2, "b")).is_ok());
        assert!(may_replace(Some(&at(2, "b")), 1, &at(2, "c")).is_err());
        assert!(may_replace(Some(&at(2, "b")), 1, &at(1, "a")).is_err());
        assert!(may_replace(None, 1, &at(1, "a")).is_err());
    }
}
