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

    /// Replaces the checkpoint if the stored one is as expected, or if it is an earlier save of the same
    /// epoch and owner whose answer was lost. Otherwise [`SaveResult::Lost`].
    fn save(&self, expect: Expect, checkpoint: &Checkpoint) -> impl Future<Output = SaveResult> + Send;

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

/// What a save must find stored; both 0 where nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Expect {
    /// The epoch.
    pub epoch: u64,
    /// The version ceiling: an owner that lives may have moved it since it was loaded.
    pub ceiling: u64,
}

/// The rule of every store: may a checkpoint replace what is stored?
pub fn may_replace(stored: Option<&Checkpoint>, expect: Expect, new: &Checkpoint) -> Result<(), String> {
    let found = stored.map_or(0, |stored| stored.epoch);
    let ceiling = stored.map_or(0, |stored| stored.version_ceiling);
    let mine = stored.is_some_and(|stored| stored.epoch == new.epoch && stored.owner == new.owner);
    if mine || (expect == Expect { epoch: found, ceiling } && found != new.epoch) {
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
        let expect = |epoch| Expect { epoch, ceiling: 0 };
        assert!(may_replace(None, expect(0), &at(1, "a")).is_ok());
        assert!(may_replace(Some(&at(1, "a")), expect(1), &at(2, "b")).is_ok());
        assert!(may_replace(Some(&at(2, "b")), expect(2), &at(2, "b")).is_ok());
        assert!(may_replace(Some(&at(2, "b")), expect(1), &at(2, "b")).is_ok());
        assert!(may_replace(Some(&at(2, "b")), expect(1), &at(2, "c")).is_err());
        assert!(may_replace(Some(&at(2, "b")), expect(1), &at(1, "a")).is_err());
        assert!(may_replace(None, expect(1), &at(1, "a")).is_err());
        let moved = Checkpoint { version_ceiling: 9, ..at(1, "a") };
        assert!(may_replace(Some(&moved), expect(1), &at(2, "b")).is_err());
        assert!(may_replace(Some(&moved), Expect { epoch: 1, ceiling: 9 }, &at(2, "b")).is_ok());
    }
}
