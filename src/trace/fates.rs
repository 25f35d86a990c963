//! What became of transactions that XA prepared, as far as the binlogs say.

use std::collections::{HashMap, HashSet};

use super::transaction::{End, Transaction};
use crate::binlog::Xid;

/// A place: file and offset of a transaction.
type Place = (String, u64);

/// Fates by the place where each was prepared.
#[derive(Debug, Default)]
pub(super) struct Fates {
    /// All binlogs were looked at beforehand.
    known: bool,
    committed: HashSet<Place>,
    open: HashMap<Xid, Place>,
}

impl Fates {
    /// Fates that will be found.
    pub(super) fn looked_at() -> Self {
        Self { known: true, ..Self::default() }
    }

    /// A transaction at this place was prepared.
    pub(super) fn prepare(&mut self, xid: Xid, file: &str, start: u64) {
        self.open.insert(xid, (file.to_owned(), start));
    }

    /// XA COMMIT or XA ROLLBACK; false where its PREPARE was not seen.
    pub(super) fn decide(&mut self, xid: &Xid, commit: bool) -> bool {
        match self.open.remove(xid) {
            Some(place) => {
                if commit {
                    self.committed.insert(place);
                }
                true
            }
            None => false,
        }
    }

    pub(super) fn are_known(&self) -> bool {
        self.known
    }

    /// True where the transaction's end is known when it is prepared, or it needs none.
    pub(super) fn is_known(&self, tx: &Transaction) -> bool {
        self.known || tx.xid.is_none()
    }

    pub(super) fn committed(&self, tx: &Transaction) -> bool {
        self.committed.contains(&(tx.file.to_string(), tx.start))
    }

    /// What is said of a transaction that was prepared, and neither committed nor rolled back.
    pub(super) fn left_open(&self, tx: &Transaction, end: End) -> Option<String> {
        let place = (&*tx.file, tx.start);
        let open = self.open.values().any(|(file, start)| (file.as_str(), *start) == place);
        (end == End::Prepared && open)
            .then(|| format!("{tx}: prepared by XA and not decided in these binlogs; left out"))
    }
}
