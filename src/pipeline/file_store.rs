//! The stores as files in one directory: `checkpoint.json`, `dead-letters.json`, `lock`.
//!
//! Files are replaced by rename after an fsync, the directory is synced too. `lock` keeps a second process
//! out for as long as the first one runs; `swap.lock` is held for the moment of a compare-and-swap, so that
//! an owner that was pushed aside (`--take-over`) cannot overwrite its successor.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::core::{DeadLetter, SaveResult};
use super::store::{Expect, StoreError, Stored, Stores, may_replace};
use crate::model::{Checkpoint, Key};

const CHECKPOINT: &str = "checkpoint.json";
const LETTERS: &str = "dead-letters.json";

/// A task's state in a directory.
#[derive(Clone, Debug)]
pub struct FileStore {
    directory: PathBuf,
    /// Held until the last clone is gone.
    _lock: Option<Arc<File>>,
}

impl FileStore {
    /// Opens a state directory, made if it is not there, and locks it against a second process.
    /// `take_over` goes without the lock: the epoch then ends the other process at its next save.
    ///
    /// # Errors
    /// The directory cannot be made or written, or another process holds it.
    pub fn open(directory: &Path, take_over: bool) -> Result<Self, StoreError> {
        let fail = |error: &dyn std::fmt::Display| {
            StoreError(format!("state directory {}: {error}", directory.display()))
        };
        fs::create_dir_all(directory).map_err(|error| fail(&error))?;
        let lock = File::create(directory.join("lock")).map_err(|error| fail(&error))?;
        let lock = match lock.try_lock() {
            Ok(()) => Some(Arc::new(lock)),
            Err(TryLockError::WouldBlock) if take_over => None,
            Err(TryLockError::WouldBlock) => {
                return Err(fail(
                    &"another process works with it; stop that one, or start with --take-over to push it aside",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(fail(&error)),
        };
        Ok(Self { directory: directory.to_owned(), _lock: lock })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let directory = self.directory.clone();
        match tokio::task::spawn_blocking(move || work(&directory)).await {
            Ok(done) => done,
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn error(&self, error: &io::Error) -> StoreError {
        StoreError(format!("state directory {}: {error}", self.directory.display()))
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
        let read = self.blocking(|directory| {
            let checkpoint: Option<Checkpoint> = read(directory, CHECKPOINT)?;
            let letters: Option<Vec<DeadLetter>> = read(directory, LETTERS)?;
            Ok(Stored { checkpoint, letters: letters.unwrap_or_default() })
        });
        read.await.map_err(|error| self.error(&error))
    }

    async fn save(&self, expect: Expect, checkpoint: &Checkpoint) -> SaveResult {
        let new = checkpoint.clone();
        let saved = self.blocking(move |directory| {
            // written before the lock is taken: a process that is stopped while it holds the lock would keep
            // its successor out
            let written = Written::new(directory, CHECKPOINT, &new)?;
            {
                let _swap = swap_lock(directory)?;
                let stored: Option<Checkpoint> = read(directory, CHECKPOINT)?;
                if let Err(why) = may_replace(stored.as_ref(), expect, &new) {
                    return Ok(SaveResult::Lost(why));
                }
                written.replace()?;
            }
            sync(directory)?;
            Ok(SaveResult::Done)
        });
        self.result(saved.await)
    }

    async fn save_letters(&self, epoch: u64, add: &[DeadLetter], remove: &[Key]) -> SaveResult {
        let (add, remove) = (add.to_vec(), remove.to_vec());
        let saved = self.blocking(move |directory| {
            let _swap = swap_lock(directory)?;
            let stored: Option<Checkpoint> = read(directory, CHECKPOINT)?;
            let found = stored.map_or(0, |stored| stored.epoch);
            if found != epoch {
                return Ok(SaveResult::Lost(format!("the checkpoint is at epoch {found}, ours is {epoch}")));
            }
            let letters: Option<Vec<DeadLetter>> = read(directory, LETTERS)?;
            let letters = letters.unwrap_or_default().into_iter().chain(add);
            let mut letters: BTreeMap<Key, DeadLetter> = letters.map(|l| (l.key.clone(), l)).collect();
            letters.retain(|key, _| !remove.contains(key));
            Written::new(directory, LETTERS, &letters.into_values().collect::<Vec<_>>())?.replace()?;
            sync(directory)?;
            Ok(SaveResult::Done)
        });
        self.result(saved.await)
    }

    async fn holds(&self, epoch: u64) -> Result<bool, StoreError> {
        let stored = self.blocking(|directory| read::<Checkpoint>(directory, CHECKPOINT)).await;
        let stored = stored.map_err(|error| self.error(&error))?;
        Ok(stored.is_some_and(|stored| stored.epoch == epoch))
    }
}

fn swap_lock(directory: &Path) -> io::Result<File> {
    let file = File::create(directory.join("swap.lock"))?;
    file.lock()?;
    Ok(file)
}

fn read<T: serde::de::DeserializeOwned>(directory: &Path, name: &str) -> io::Result<Option<T>> {
    let text = match fs::read(directory.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let value = serde_json::from_slice(&text).map_err(|error| {
        let advice = "restore the file, or remove it to have the task repaired by a Full";
        io::Error::new(io::ErrorKind::InvalidData, format!("{name} cannot be read: {error}; {advice}"))
    })?;
    Ok(Some(value))
}

/// A new file beside the one that it is to replace, on disk already. Each process writes one of its own.
struct Written {
    new: PathBuf,
    name: PathBuf,
}

impl Written {
    fn new<T: serde::Serialize>(directory: &Path, name: &str, value: &T) -> io::Result<Self> {
        let new = directory.join(format!("{name}.{}.new", std::process::id()));
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec_pretty(value)?)?;
        file.sync_all()?;
        Ok(Self { new, name: directory.join(name) })
    }

    fn replace(self) -> io::Result<()> {
        fs::rename(&self.new, &self.name)
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
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
        assert!(FileStore::open(&directory.0, false).unwrap_err().0.contains("--take-over"));
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

    #[tokio::test]
    async fn a_broken_file_is_named() {
        let directory = Temporary::new("broken");
        let store = FileStore::open(&directory.0, false).unwrap();
        fs::write(directory.0.join(CHECKPOINT), "{").unwrap();
        let error = store.load().await.unwrap_err().0;
        assert!(error.contains(CHECKPOINT) && error.contains("Full"), "{error}");
    }
}
