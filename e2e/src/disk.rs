//! A small disk that can be filled: for the day on which the state cannot be saved.

use crate::scratch::Scratch;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tmpfs of a few hundred KiB (mounting needs root). Dropping it unmounts it.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
    _scratch: Scratch,
}

impl SmallDisk {
    /// Mounts an empty disk of that size.
    pub fn mount(kib: u32) -> Self {
        let scratch = Scratch::new("disk");
        let path = scratch.path().join("mount");
        fs::create_dir(&path).expect("the mount point");
        let size = format!("size={kib}k");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).status();
        assert!(status.is_ok_and(|status| status.success()), "mounting a tmpfs needs root");
        Self { path, _scratch: scratch }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills it to the last byte: every further write of its users fails with ENOSPC.
    pub fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("the filler");
        for block in [4096, 1] {
            while filler.write_all(&vec![0; block]).is_ok() {}
        }
    }

    /// Makes room again.
    pub fn free(&self) {
        fs::remove_file(self.filler()).expect("remove the filler");
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.path);
    }
}

/// Unmounts lazily: users that still run keep what they have open.
pub(crate) fn unmount(path: &Path) {
    let _ = Command::new("umount").arg("--lazy").arg(path).status();
}
