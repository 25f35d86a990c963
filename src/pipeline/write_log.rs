//! A log of every action with its version, what had been seen, and the verdict: for audits of the fencing.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::core::{Seen, Verdict};

/// One JSON object per line: `id`, `version`, `op`, `snapshot`, `verdict`, `owner`.
pub(super) struct WriteLog(Mutex<BufWriter<File>>);

impl WriteLog {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        if file.metadata()?.len() > 0 {
            // a process that was killed may have left a part of a line, which must not swallow the next one
            file.write_all(b"\n")?;
        }
        Ok(Self(Mutex::new(BufWriter::new(file))))
    }

    pub(super) fn batch<'a>(
        &self,
        owner: &str,
        version: u64,
        seen: &Seen,
        actions: impl Iterator<Item = (&'a str, &'static str, &'a Verdict)>,
    ) {
        let snapshot = match seen {
            Seen::Gtids(gtids) => gtids.to_string(),
            Seen::Locks(locks) => format!("{} locks", locks.len()),
            Seen::Nothing => String::new(),
        };
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, op, verdict) in actions {
            let line = serde_json::json!({
                "id": id, "version": version, "op": op, "snapshot": snapshot,
                "verdict": format!("{verdict:?}"), "owner": owner,
            });
            // an audit log that cannot be written must not stop the sync
            let _ = writeln!(file, "{line}");
        }
        let _ = file.flush();
    }
}
