//! Scratch folders and ports: unique among the test processes that run at once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static NUMBER: AtomicU32 = AtomicU32::new(0);
static SWEEP: Once = Once::new();

/// A number that no other caller in this process gets.
pub fn unique() -> u32 {
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// A folder that is removed when dropped, unless the test failed or `E2E_KEEP` is set. What a dead process
/// left behind is removed by the next one.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes a folder; `name` only helps to tell folders apart.
    pub fn new(name: &str) -> Self {
        let root = root();
        SWEEP.call_once(|| remove_leftovers(&root));
        let path = root.join(format!("{}-{}-{name}", std::process::id(), unique()));
        fs::create_dir_all(&path).expect("scratch folder");
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("E2E_KEEP").is_some() {
            eprintln!("kept for inspection: {}", self.path.display());
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn root() -> PathBuf {
    std::env::temp_dir().join("binlog-operator-e2e")
}

fn remove_leftovers(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.split('-').next().unwrap_or_default();
        // what has our own number is of a process before: this one has no folder yet
        let gone = |pid: u32| pid == std::process::id() || !Path::new("/proc").join(owner).exists();
        if owner.parse().is_ok_and(gone) {
            if name.ends_with("-disk") {
                crate::disk::unmount(&entry.path().join("mount"));
            }
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A port on 127.0.0.1 that stays ours while this lives, also among other test processes, and that the
/// kernel does not give to outgoing connections (it lies below their range), so that a restarted server
/// finds it free.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _claim: File,
}

impl Port {
    /// Claims a free port.
    pub fn claim() -> Self {
        let locks = root().join("ports");
        fs::create_dir_all(&locks).expect("folder of port locks");
        let first = std::process::id() % 10_000;
        (first..first + 10_000)
            .find_map(|offset| {
                let number = 20_000 + u16::try_from(offset % 10_000).ok()?;
                let claim = File::create(locks.join(number.to_string())).ok()?;
                claim.try_lock().ok()?;
                is_free(number).then_some(Self { number, _claim: claim })
            })
            .expect("a free port")
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// Whether nobody listens on the port.
pub fn is_free(port: u16) -> bool {
    std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// A file below the project's folder.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project's folder").join(path)
}
