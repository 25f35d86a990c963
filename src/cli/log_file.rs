//! A log file that is begun anew when it is full, as the ones before it are kept for a while.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of one file.
const FULL: u64 = 50 << 20;

/// Files that are kept besides the one in use.
const KEPT: u32 = 7;

/// A file that log lines go to. Clones write to the same.
#[derive(Clone)]
pub(super) struct LogFile {
    inner: Arc<Mutex<Open>>,
}

struct Open {
    path: PathBuf,
    file: File,
    size: u64,
    full: u64,
}

impl LogFile {
    /// Appends to a file, made where it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::with_size(path, FULL)
    }

    fn with_size(path: &Path, full: u64) -> io::Result<Self> {
        let file = append(path)?;
        let size = file.metadata()?.len();
        Ok(Self { inner: Arc::new(Mutex::new(Open { path: path.to_owned(), file, size, full })) })
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Open {
    /// `log` becomes `log.1`, that `log.2`, and so on; the oldest goes.
    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..KEPT).rev() {
            let (from, to) = (numbered(number), numbered(number + 1));
            if from.exists() {
                std::fs::rename(from, to)?;
            }
        }
        std::fs::rename(&self.path, numbered(1))?;
        self.file = append(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut open = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if open.size > 0 && open.size + line.len() as u64 > open.full {
            open.rotate()?;
        }
        open.file.write_all(line)?;
        open.size += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_files_are_kept_and_the_oldest_goes() {
        let folder = std::env::temp_dir().join(format!("binlog-operator-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("log");
        for run in 0..2 {
            // what is there is appended to
            let mut log = LogFile::with_size(&path, 20).unwrap();
            for line in 0..10 {
                log.write_all(format!("run {run} line {line}\n").as_bytes()).unwrap();
            }
        }
        let mut names: Vec<String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["log", "log.1", "log.2", "log.3", "log.4", "log.5", "log.6", "log.7"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "run 1 line 9\n");
        assert_eq!(std::fs::read_to_string(folder.join("log.7")).unwrap(), "run 1 line 2\n");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
