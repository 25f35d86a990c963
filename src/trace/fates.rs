//! What became of transactions that XA prepared, as far as the binlogs say.

use std::collections::{HashMap, HashSet};

use super::transaction::{End, Transaction};
use crate::binlog::Xid;

/// A place: file and offset of a transaction.
type Place = (String, u64);

/// Follows the text of an XA COMMIT whose rows do not come out.
pub(super) const PREPARED_BEFORE: &str =
    ": its rows were prepared before what is selected or given; begin there to have them";

/// Fates by the place where each was prepared.
#[derive(Debug, Default)]
pub(super) struct Fates {
    /// All binlogs were looked at beforehand.
    known: bool,
    committed: HashSet<Place>,
    /// Those that wait for their decision; true where their rows are selected.
    open: HashMap<Xid, (Place, bool)>,
    /// Committed after the time to stop at.
    later: HashSet<Place>,
    /// Places of XA COMMITs whose rows lie before what is selected or given.
    too_late: HashSet<Place>,
}

/// An XA COMMIT or XA ROLLBACK.
pub(super) struct Decision<'d> {
    pub(super) xid: &'d Xid,
    pub(super) commit: bool,
    /// Its own transaction.
    pub(super) tx: &'d Transaction,
    /// It is at or after the time to stop at.
    pub(super) beyond: bool,
}

impl Fates {
    /// Fates that will be found.
    pub(super) fn looked_at() -> Self {
        Self { known: true, ..Self::default() }
    }

    /// This transaction was prepared; `selected`: its rows may come out.
    pub(super) fn prepare(&mut self, xid: Xid, tx: &Transaction, selected: bool) {
        self.open.insert(xid, (place(tx), selected));
    }

    /// What was prepared is decided. A commit counts where the rows are, but not after the time to stop at.
    pub(super) fn decide(&mut self, decision: &Decision<'_>) {
        let prepared = self.open.remove(decision.xid);
        match prepared {
            _ if !decision.commit => {}
            Some((prepared, true)) if decision.beyond => drop(self.later.insert(prepared)),
            Some((prepared, true)) => drop(self.committed.insert(prepared)),
            Some((_, false)) | None => drop(self.too_late.insert(place(decision.tx))),
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
        self.committed.contains(&place(tx))
    }

    /// True for an XA COMMIT whose rows do not come out.
    pub(super) fn came_too_late(&self, tx: &Transaction) -> bool {
        !self.too_late.is_empty() && self.too_late.contains(&place(tx))
    }

    /// What is said of a transaction that was prepared, and neither committed nor rolled back in time.
    pub(super) fn left_open(&self, tx: &Transaction, end: End) -> Option<String> {
        if end != End::Prepared {
            return None;
        }
        let here = place(tx);
        if self.later.contains(&here) {
            return Some(format!("{tx}: prepared by XA and committed after the time to stop at; left out"));
        }
        let open = self.open.values().any(|(prepared, _)| *prepared == here);
        open.then(|| format!("{tx}: prepared by XA and not decided in these binlogs; left out"))
    }
}

fn place(tx: &Transaction) -> Place {
    (tx.file.to_string(), tx.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: u64) -> Transaction {
        Transaction { file: "binlog.1".into(), start, ..Transaction::default() }
    }

    fn xid(n: u8) -> Xid {
        Xid { format_id: 1, gtrid: [n].into(), bqual: Box::default() }
    }

    #[test]
    fn what_is_prepared_comes_out_where_it_was_committed_in_time() {
        let mut fates = Fates::looked_at();
        for (n, selected) in [(1, true), (2, true), (3, false), (4, true), (6, true)] {
            fates.prepare(xid(n), &at(u64::from(n)), selected);
        }
        for (n, commit, beyond) in
            [(1, true, false), (2, true, true), (3, true, false), (4, false, false), (5, true, false)]
        {
            fates.decide(&Decision { xid: &xid(n), commit, tx: &at(u64::from(n) + 100), beyond });
        }
        let committed: Vec<u64> = (1..7).filter(|start| fates.committed(&at(*start))).collect();
        assert_eq!(committed, [1]);
        let late: Vec<u64> = (101..107).filter(|start| fates.came_too_late(&at(*start))).collect();
        assert_eq!(late, [103, 105], "prepared before what is selected, and before what is given");
        let open = |start| fates.left_open(&at(start), End::Prepared);
        assert!(open(2).unwrap().contains("after the time to stop"));
        assert!(open(6).unwrap().contains("not decided"));
        assert_eq!((open(1), open(4)), (None, None));
    }
}
