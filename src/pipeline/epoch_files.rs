//! Files of one name in a directory, one per epoch, of which the highest counts: `checkpoint.7.json`.
//!
//! There is no lock that a stopped process could hold. An epoch's file is made by an exclusive create (a hard
//! link of a file that is whole and on disk) and only its maker replaces it, so whoever was pushed aside writes
//! into a file that does not count any longer, and finds that out by looking again afterwards.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Looks for a file that was replaced while it was looked for, at most so often.
const LOOKS: usize = 100;

/// The files of one name.
#[derive(Clone, Copy, Debug)]
pub(super) struct EpochFiles<'d> {
    pub(super) directory: &'d Path,
    pub(super) name: &'static str,
}

impl EpochFiles<'_> {
    fn path(&self, epoch: u64) -> PathBuf {
        let name = match epoch {
            0 => format!("{}.json", self.name), // of versions that kept one file for all epochs
            epoch => format!("{}.{epoch}.json", self.name),
        };
        self.directory.join(name)
    }

    /// The epochs that have a file; 0 is a file of an older version, which tells its epoch inside.
    pub(super) fn epochs(&self) -> io::Result<BTreeSet<u64>> {
        let mut found = BTreeSet::new();
        // twice: a listing may miss an entry that is replaced at this very moment
        for _ in 0..2 {
            for entry in fs::read_dir(self.directory)? {
                found.extend(self.epoch_of(&entry?.file_name().to_string_lossy()));
            }
        }
        Ok(found)
    }

    fn epoch_of(&self, file: &str) -> Option<u64> {
        match file.strip_prefix(self.name)?.strip_suffix(".json")? {
            "" => Some(0),
            epoch => epoch.strip_prefix('.')?.parse().ok(),
        }
    }

    /// The file of the highest epoch, not above `most`.
    pub(super) fn newest<T: serde::de::DeserializeOwned>(&self, most: u64) -> io::Result<Option<T>> {
        for _ in 0..LOOKS {
            let Some(epoch) = self.epochs()?.range(..=most).next_back().copied() else { return Ok(None) };
            if let Some(value) = self.read(epoch)? {
                return Ok(Some(value));
            }
        }
        Err(io::Error::other(format!("{} moves all the time: too many processes work with it", self.name)))
    }

    /// An epoch's file; `None` where it is not there (any longer).
    pub(super) fn read<T: serde::de::DeserializeOwned>(&self, epoch: u64) -> io::Result<Option<T>> {
        let path = self.path(epoch);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let value = serde_json::from_slice(&text).map_err(|error| {
            let advice = "restore the file, or remove it to have the task repaired by a Full";
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            io::Error::new(io::ErrorKind::InvalidData, format!("{name} cannot be read: {error}; {advice}"))
        })?;
        Ok(Some(value))
    }

    /// Writes a new file for an epoch, on disk but not in its place yet.
    pub(super) fn write<T: serde::Serialize>(&self, epoch: u64, value: &T) -> io::Result<Written> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let new = self.directory.join(format!("{}.{epoch}.{process}-{count}.new", self.name));
        let written = Written { new, place: self.path(epoch) };
        let mut file = File::create(&written.new)?;
        file.write_all(&serde_json::to_vec_pretty(value)?)?;
        file.sync_all()?;
        Ok(written)
    }

    /// Takes an epoch's file away.
    pub(super) fn remove(&self, epoch: u64) -> io::Result<()> {
        match fs::remove_file(self.path(epoch)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes everything of lower epochs away, what a crash left behind included.
    pub(super) fn remove_below(&self, epoch: u64) -> io::Result<()> {
        for entry in fs::read_dir(self.directory)? {
            let name = entry?.file_name();
            let text = name.to_string_lossy();
            let Some(rest) = text.strip_prefix(self.name).and_then(|rest| rest.strip_prefix('.')) else {
                continue;
            };
            let of = rest.split('.').next().unwrap_or_default();
            if of == "json" || of.parse().is_ok_and(|of: u64| of < epoch) {
                match fs::remove_file(self.directory.join(&name)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// A file that is on disk beside its place.
#[derive(Debug)]
pub(super) struct Written {
    new: PathBuf,
    place: PathBuf,
}

impl Written {
    /// Puts it into its place where nothing is there. False where something is.
    pub(super) fn create(self) -> io::Result<bool> {
        match fs::hard_link(&self.new, &self.place) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            done => done.map(|()| true),
        }
    }

    /// Puts it into its place, whatever is there.
    pub(super) fn replace(self) -> io::Result<()> {
        fs::rename(&self.new, &self.place)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // renamed, or taken away with all of a lower epoch: then it is not there
        let _ = fs::remove_file(&self.new);
    }
}

/// Makes what was done in a directory survive a crash.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
