//! The stores as files in one directory: `checkpoint.EPOCH.json`, `dead-letters.EPOCH.json`, `lock`.
//!
//! `lock` keeps a second process out for as long as the first one runs. What is stored needs no lock: each
//! epoch has files of its own ([`EpochFiles`]), so an owner that was pushed aside (`--take-over`) cannot
//! overwrite its successor, wherever it was stopped. Both write first and look afterwards: an owner whether a
//! later epoch was claimed meanwhile, a claimant whether the owner before reserved versions meanwhile. Whoever
//! sees the other has lost.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::core::{DeadLetter, SaveResult};
use super::epoch_files::{EpochFiles, sync};
use super::store::{Expect, StoreError, Stored, Stores, may_replace};
use crate::model::{Checkpoint, Key};

/// A state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works with it.
    #[error("{0}")]
    Held(String),
    /// It cannot be made, read or written.
    #[error("{0}")]
    Unusable(String),
}

/// A task's state in a directory.
#[derive(Clone, Debug)]
pub struct FileStore {
    files: Files,
    /// Held until the last clone is gone.
    _lock: Option<Arc<File>>,
}

impl FileStore {
    /// Opens a state directory, made if it is not there, and locks it against a second process.
    /// `take_over` goes without the lock: the epoch then ends the other process at its next save.
    ///
    /// # Errors
    /// The directory cannot be made or written, or another process holds it.
    pub fn open(directory: &Path, take_over: bool) -> Result<Self, OpenError> {
        let words =
            |error: &dyn std::fmt::Display| format!("state directory {}: {error}", directory.display());
        let fail = |error: io::Error| {
            OpenError::Unusable(words(&format!("{error}; name one in --state-dir that this user can write")))
        };
        fs::create_dir_all(directory).map_err(fail)?;
        let lock = File::create(directory.join("lock")).map_err(fail)?;
        let lock = match lock.try_lock() {
            Ok(()) => Some(Arc::new(lock)),
            Err(TryLockError::WouldBlock) if take_over => None,
            Err(TryLockError::WouldBlock) => {
                let held = "another process works with it; stop that one, or start with --take-over to push it aside";
                return Err(OpenError::Held(words(&held)));
            }
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        };
        Ok(Self { files: Files::new(directory), _lock: lock })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let files = self.files.clone();
        match tokio::task::spawn_blocking(move || work(&files)).await {
            Ok(done) => done,
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn error(&self, error: &io::Error) -> StoreError {
        StoreError(format!("state directory {}: {error}", self.files.directory.display()))
    }

    fn result(&self, saved: io::Result<SaveResult>) -> SaveResult {
        match saved {
            Ok(result) => result,
            Err(error) => SaveResult::Failed(self.error(&error).to_string()),
        }
    }
}

impl Stores for FileStore {
    async fn load(&self) -> Result<Stored, StoreError> {
        let read = self.blocking(|files| {
            let letters: Option<Vec<DeadLetter>> = files.letters().newest(u64::MAX)?;
            Ok(Stored { checkpoint: files.stored()?, letters: letters.unwrap_or_default() })
        });
        read.await.map_err(|error| self.error(&error))
    }

    async fn save(&self, expect: Expect, checkpoint: &Checkpoint) -> SaveResult {
        let new = checkpoint.clone();
        let saved = self.blocking(move |files| files.or_lost(new.epoch, files.save(expect, &new))).await;
        self.result(saved)
    }

    async fn save_letters(&self, epoch: u64, add: &[DeadLetter], remove: &[Key]) -> SaveResult {
        let (add, remove) = (add.to_vec(), remove.to_vec());
        let save = move |files: &Files| files.or_lost(epoch, files.save_letters(epoch, add, &remove));
        self.result(self.blocking(save).await)
    }

    async fn holds(&self, epoch: u64) -> Result<bool, StoreError> {
        let stored = self.blocking(Files::stored).await.map_err(|error| self.error(&error))?;
        Ok(stored.is_some_and(|stored| stored.epoch == epoch))
    }
}

/// The files of a state directory.
#[derive(Clone, Debug)]
struct Files {
    directory: PathBuf,
    /// Where a test stops an owner: it has found that it may write, and has not written.
    #[cfg(test)]
    stop: Option<Arc<tests::Stop>>,
}

impl Files {
    fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            #[cfg(test)]
            stop: None,
        }
    }

    fn checkpoints(&self) -> EpochFiles<'_> {
        EpochFiles { directory: &self.directory, name: "checkpoint" }
    }

    fn letters(&self) -> EpochFiles<'_> {
        EpochFiles { directory: &self.directory, name: "dead-letters" }
    }

    /// The checkpoint of the highest epoch, with the highest ceiling of all: an epoch that was claimed while
    /// the owner before reserved versions does not count with the lower one.
    fn stored(&self) -> io::Result<Option<Checkpoint>> {
        let stored: Option<Checkpoint> = self.checkpoints().newest(u64::MAX)?;
        let Some(mut stored) = stored else { return Ok(None) };
        stored.version_ceiling = stored.version_ceiling.max(self.ceiling_below(stored.epoch)?);
        Ok(Some(stored))
    }

    fn ceiling_below(&self, epoch: u64) -> io::Result<u64> {
        let mut highest = 0;
        for below in self.checkpoints().epochs()?.range(..epoch) {
            let found: Option<Checkpoint> = self.checkpoints().read(*below)?;
            highest = highest.max(found.map_or(0, |found| found.version_ceiling));
        }
        Ok(highest)
    }

    fn save(&self, expect: Expect, new: &Checkpoint) -> io::Result<SaveResult> {
        let written = self.checkpoints().write(new.epoch, new)?;
        let stored = self.stored()?;
        if let Err(why) = may_replace(stored.as_ref(), expect, new) {
            return Ok(SaveResult::Lost(why));
        }
        self.stop_here();
        if stored.is_some_and(|stored| stored.epoch == new.epoch) {
            written.replace()?;
        } else if !written.create()? {
            return Ok(SaveResult::Lost(format!("another process claimed epoch {}", new.epoch)));
        }
        sync(&self.directory)?;
        if let Some(lost) = self.passed(new.epoch)? {
            return Ok(lost);
        }
        if expect.epoch != new.epoch {
            return self.claimed(expect, new.epoch);
        }
        Ok(SaveResult::Done)
    }

    /// A successor takes the files of lower epochs away, those under way too: then it is not the disk that
    /// failed.
    fn or_lost(&self, epoch: u64, saved: io::Result<SaveResult>) -> io::Result<SaveResult> {
        let later = |found: &u64| *found > epoch;
        match saved {
            Err(_) if self.checkpoints().epochs()?.last().is_some_and(later) => {
                Ok(SaveResult::Lost(format!("a later epoch than {epoch} was claimed")))
            }
            saved => saved,
        }
    }

    /// An epoch was claimed: what was expected must have been so to the end.
    fn claimed(&self, expect: Expect, epoch: u64) -> io::Result<SaveResult> {
        let found = self.ceiling_below(epoch)?;
        if found > expect.ceiling {
            self.checkpoints().remove(epoch)?;
            sync(&self.directory)?;
            let why = format!("the owner before reserved versions up to {found}; start again");
            return Ok(SaveResult::Lost(why));
        }
        self.checkpoints().remove_below(epoch)?;
        Ok(SaveResult::Done)
    }

    /// Has a later epoch been claimed?
    fn passed(&self, epoch: u64) -> io::Result<Option<SaveResult>> {
        let found = self.checkpoints().epochs()?.last().copied().unwrap_or(0);
        let lost = || SaveResult::Lost(format!("the checkpoint is at epoch {found}, ours is {epoch}"));
        Ok((found != epoch).then(lost))
    }

    fn save_letters(&self, epoch: u64, add: Vec<DeadLetter>, remove: &[Key]) -> io::Result<SaveResult> {
        if let Some(lost) = self.passed(epoch)? {
            return Ok(lost);
        }
        let letters: Option<Vec<DeadLetter>> = self.letters().newest(epoch)?;
        let letters = letters.unwrap_or_default().into_iter().chain(add);
        let mut letters: BTreeMap<Key, DeadLetter> = letters.map(|l| (l.key.clone(), l)).collect();
        letters.retain(|key, _| !remove.contains(key));
        let written = self.letters().write(epoch, &letters.into_values().collect::<Vec<_>>())?;
        self.stop_here();
        written.replace()?;
        sync(&self.directory)?;
        if let Some(lost) = self.passed(epoch)? {
            return Ok(lost);
        }
        self.letters().remove_below(epoch)?;
        Ok(SaveResult::Done)
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self)] // it is used in tests
    const fn stop_here(&self) {}

    #[cfg(test)]
    fn stop_here(&self) {
        if let Some(stop) = &self.stop {
            stop.here();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Temporary(PathBuf);

    impl Temporary {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("binlog-operator-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn at(epoch: u64, owner: &str) -> Checkpoint {
        Checkpoint { epoch, owner: owner.into(), ..Checkpoint::default() }
    }

    #[tokio::test]
    async fn keeps_what_it_was_given_and_who_may_give() {
        let directory = Temporary::new("swap");
        let store = FileStore::open(&directory.0, false).unwrap();
        assert!(FileStore::open(&directory.0, false).unwrap_err().to_string().contains("--take-over"));
        let expect = |epoch| Expect { epoch, ceiling: 0 };
        let thief = FileStore::open(&directory.0, true).unwrap();
        assert_eq!(store.save(expect(0), &at(1, "a")).await, SaveResult::Done);
        assert_eq!(thief.save(expect(1), &at(2, "b")).await, SaveResult::Done);
        assert!(matches!(store.save(expect(1), &at(1, "a")).await, SaveResult::Lost(_)));
        assert!(!store.holds(1).await.unwrap() && store.holds(2).await.unwrap());
        let letter = DeadLetter { key: Key::int(7), version: 3, reason: "no".into() };
        assert!(matches!(
            store.save_letters(1, std::slice::from_ref(&letter), &[]).await,
            SaveResult::Lost(_)
        ));
        assert_eq!(thief.save_letters(2, std::slice::from_ref(&letter), &[]).await, SaveResult::Done);
        assert_eq!(thief.load().await.unwrap().letters, [letter]);
        assert_eq!(thief.save_letters(2, &[], &[Key::int(7)]).await, SaveResult::Done);
        assert!(thief.load().await.unwrap().letters.is_empty());
    }

    /// Stops an owner between the look and the write, until the test lets it go on.
    #[derive(Debug)]
    pub(super) struct Stop {
        reached: std::sync::Barrier,
        goes_on: std::sync::Barrier,
    }

    impl Stop {
        fn new() -> Arc<Self> {
            let two = || std::sync::Barrier::new(2);
            Arc::new(Self { reached: two(), goes_on: two() })
        }

        pub(super) fn here(&self) {
            self.reached.wait();
            self.goes_on.wait();
        }
    }

    /// Stops the first owner in `work`, has a second one take over in `meanwhile`, and thaws the first.
    async fn with_a_frozen_owner<F, G>(
        name: &str,
        work: impl FnOnce(FileStore) -> F,
        meanwhile: impl FnOnce(FileStore) -> G,
    ) -> (SaveResult, FileStore, Temporary)
    where
        F: Future<Output = SaveResult> + Send + 'static,
        G: Future<Output = ()>,
    {
        let directory = Temporary::new(name);
        let first = FileStore::open(&directory.0, false).unwrap();
        assert_eq!(first.save(Expect::default(), &at(1, "a")).await, SaveResult::Done);
        let stop = Stop::new();
        let mut frozen = first.clone();
        frozen.files.stop = Some(Arc::clone(&stop));
        let saving = tokio::spawn(work(frozen));
        let reached = Arc::clone(&stop);
        tokio::task::spawn_blocking(move || reached.reached.wait()).await.unwrap();
        let second = FileStore::open(&directory.0, true).unwrap();
        let limit = std::time::Duration::from_secs(60);
        tokio::time::timeout(limit, meanwhile(second.clone()))
            .await
            .expect("a frozen owner keeps nobody out");
        tokio::task::spawn_blocking(move || stop.goes_on.wait()).await.unwrap();
        (saving.await.unwrap(), second, directory)
    }

    const AFTER_1: Expect = Expect { epoch: 1, ceiling: 0 };

    #[tokio::test(flavor = "multi_thread")]
    async fn an_owner_frozen_in_its_save_is_passed_and_has_lost_when_it_thaws() {
        let late = Checkpoint { version_ceiling: 900, ..at(1, "a") };
        let (thawed, second, _directory) = with_a_frozen_owner(
            "frozen-save",
            |store| async move { store.save(AFTER_1, &late).await },
            |second| async move {
                assert_eq!(second.save(AFTER_1, &at(2, "b")).await, SaveResult::Done);
            },
        )
        .await;
        assert!(matches!(thawed, SaveResult::Lost(_)), "{thawed:?}");
        assert_eq!(second.load().await.unwrap().checkpoint.unwrap().epoch, 2);
        assert!(second.holds(2).await.unwrap());
        assert_eq!(second.save(Expect { epoch: 2, ceiling: 0 }, &at(2, "b")).await, SaveResult::Done);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_owner_frozen_among_its_letters_does_not_overwrite_its_successors() {
        let letter = |id| DeadLetter { key: Key::int(id), version: 3, reason: "no".into() };
        let (thawed, second, _directory) = with_a_frozen_owner(
            "frozen-letters",
            move |store| async move { store.save_letters(1, &[letter(1)], &[]).await },
            move |second| async move {
                assert_eq!(second.save(AFTER_1, &at(2, "b")).await, SaveResult::Done);
                assert_eq!(second.save_letters(2, &[letter(2)], &[]).await, SaveResult::Done);
            },
        )
        .await;
        assert!(matches!(thawed, SaveResult::Lost(_)), "{thawed:?}");
        assert_eq!(second.load().await.unwrap().letters, [letter(2)]);
    }

    /// Two claimants of one epoch, the first of which is stopped before it writes.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_claimant_that_thaws_too_late_has_lost() {
        let (thawed, second, _directory) = with_a_frozen_owner(
            "frozen-claim",
            |store| async move { store.save(AFTER_1, &at(2, "a")).await },
            |second| async move {
                assert_eq!(second.save(AFTER_1, &at(2, "b")).await, SaveResult::Done);
            },
        )
        .await;
        assert!(matches!(thawed, SaveResult::Lost(_)), "{thawed:?}");
        assert_eq!(second.load().await.unwrap().checkpoint.unwrap().owner, "b");
    }

    /// The owner before reserves versions while a claimant is stopped: the claimant's own are too low.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_claim_on_an_old_ceiling_is_lost_and_the_ceiling_kept() {
        let moved = || Checkpoint { version_ceiling: 900, ..at(1, "a") };
        let (thawed, second, _directory) = with_a_frozen_owner(
            "frozen-ceiling",
            |store| async move { store.save(AFTER_1, &at(2, "b")).await },
            |first| async move {
                assert_eq!(first.save(AFTER_1, &moved()).await, SaveResult::Done);
            },
        )
        .await;
        assert!(matches!(thawed, SaveResult::Lost(_)), "{thawed:?}");
        assert_eq!(second.load().await.unwrap().checkpoint, Some(moved()));
    }

    #[tokio::test]
    async fn the_state_of_an_older_version_is_taken_on() {
        let directory = Temporary::new("older");
        let store = FileStore::open(&directory.0, false).unwrap();
        let letter = DeadLetter { key: Key::int(7), version: 3, reason: "no".into() };
        let old = Checkpoint { version_ceiling: 70, ..at(6, "a") };
        fs::write(directory.0.join("checkpoint.json"), serde_json::to_vec(&old).unwrap()).unwrap();
        fs::write(directory.0.join("dead-letters.json"), serde_json::to_vec(&[&letter]).unwrap()).unwrap();
        fs::write(directory.0.join("checkpoint.json.77.new"), "{").unwrap();
        let stored = store.load().await.unwrap();
        assert_eq!((stored.checkpoint, stored.letters), (Some(old), vec![letter.clone()]));
        let expect = Expect { epoch: 6, ceiling: 70 };
        assert_eq!(store.save(expect, &at(7, "b")).await, SaveResult::Done);
        assert_eq!(store.load().await.unwrap().letters, [letter]);
        assert_eq!(store.save_letters(7, &[], &[Key::int(7)]).await, SaveResult::Done);
        let mut left: Vec<_> = fs::read_dir(&directory.0)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["checkpoint.7.json", "dead-letters.7.json", "lock"]);
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_told_from_what_is_held() {
        let directory = Temporary::new("open");
        let _held = FileStore::open(&directory.0, false).unwrap();
        assert!(matches!(FileStore::open(&directory.0, false), Err(OpenError::Held(_))));
        let file = directory.0.join("a-file");
        fs::write(&file, "").unwrap();
        assert!(matches!(FileStore::open(&file, false), Err(OpenError::Unusable(_))));
    }

    #[tokio::test]
    async fn a_broken_file_is_named() {
        let directory = Temporary::new("broken");
        let store = FileStore::open(&directory.0, false).unwrap();
        fs::write(directory.0.join("checkpoint.3.json"), "{").unwrap();
        let error = store.load().await.unwrap_err().0;
        assert!(error.contains("checkpoint.3.json") && error.contains("Full"), "{error}");
    }
}
