//! Output whose last transaction is open: it may be taken back, whole or to a savepoint.

use std::collections::HashMap;

use super::TraceError;
use super::pieces::Pieces;

/// What a transaction has written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub(super) rows: u64,
    pub(super) statements: u64,
}

/// Pieces, the open transaction's last.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) pieces: Pieces,
    /// Where the open transaction's pieces begin; `None` before its first.
    mark: Option<u64>,
    /// Where each begins, and what was written before it.
    savepoints: HashMap<String, (u64, Written)>,
    /// Written by the open transaction.
    pub(super) pending: Written,
}

impl Draft {
    /// Pieces that are read in this direction.
    pub(super) fn new(backward: bool) -> Self {
        Self { pieces: Pieces::new(backward), ..Self::default() }
    }

    /// True from the open transaction's first piece on.
    pub(super) fn is_begun(&self) -> bool {
        self.mark.is_some()
    }

    /// The open transaction begins here, unless it has begun. True where it had not.
    pub(super) fn begin(&mut self) -> bool {
        let first = self.mark.is_none();
        self.mark.get_or_insert(self.pieces.len());
        first
    }

    /// The open transaction begins here, wherever the one before began.
    pub(super) fn begin_anew(&mut self) {
        self.mark = Some(self.pieces.len());
    }

    pub(super) fn savepoint(&mut self, name: &str) {
        self.savepoints.insert(name.to_owned(), (self.pieces.len(), self.pending));
    }

    /// Takes back what came after a savepoint; all others stay.
    pub(super) fn rollback_to(&mut self, name: &str) -> Result<(), TraceError> {
        let Some((place, pending)) = self.savepoints.get(name).copied() else { return Ok(()) };
        self.pending = pending;
        if self.mark.is_some_and(|mark| place <= mark) {
            self.mark = None;
        }
        self.truncate(place)
    }

    /// The open transaction stays. What it has written, and whether it had begun.
    pub(super) fn keep(&mut self) -> (Written, bool) {
        self.savepoints.clear();
        (std::mem::take(&mut self.pending), self.mark.take().is_some())
    }

    /// The open transaction goes.
    pub(super) fn abandon(&mut self) -> Result<(), TraceError> {
        self.savepoints.clear();
        self.pending = Written::default();
        self.mark.take().map_or(Ok(()), |mark| self.truncate(mark))
    }

    fn truncate(&mut self, len: u64) -> Result<(), TraceError> {
        self.pieces.truncate(len).map_err(TraceError::io("the spill file"))
    }
}
