//! The only issuer of versions for an index: blocks reserved in the checkpoint.

use crate::model::VERSION_BLOCK;

/// Reserve the next block when fewer than this are left.
const LOW: u64 = VERSION_BLOCK / 4;

/// Versions of the block in use and of those before it.
#[derive(Debug, Default)]
pub(super) struct Versions {
    next: u64,
    end: u64,
    /// Highest version reserved in the stored checkpoint.
    pub(super) ceiling: u64,
}

impl Versions {
    /// No block yet; the first lies above this ceiling.
    pub(super) fn above(ceiling: u64) -> Self {
        Self { ceiling, ..Self::default() }
    }

    /// A version higher than any before, or `None` until a block is reserved. The one below it is free too: for
    /// what a batch deletes beside its own writes.
    pub(super) fn take(&mut self) -> Option<u64> {
        (self.next + 1 < self.end).then(|| {
            self.next += 2;
            self.next - 1
        })
    }

    /// False for a version above all that were ever taken: we did not write that.
    pub(super) fn issued(&self, version: u64) -> bool {
        version < self.next
    }

    pub(super) fn exhausted(&self) -> bool {
        self.next + 1 >= self.end
    }

    pub(super) fn low(&self) -> bool {
        self.end.saturating_sub(self.next) < LOW
    }

    /// The block to reserve: first version and ceiling. It begins above everything that was ever reserved
    /// and not below the clock, so that a task whose state is lost still outranks its old documents.
    pub(super) fn next_block(&self, unix_micros: u64, above: u64) -> (u64, u64) {
        let first = (self.ceiling.max(above) + 1).max(unix_micros);
        (first, first + VERSION_BLOCK - 1)
    }

    /// The reservation is stored: use it from now on.
    pub(super) fn adopt(&mut self, first: u64, ceiling: u64) {
        (self.next, self.end, self.ceiling) = (first, ceiling + 1, ceiling);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_only_rise() {
        let mut versions = Versions { ceiling: 5_000_000, ..Versions::default() };
        assert_eq!(versions.take(), None);
        let (first, ceiling) = versions.next_block(1_000, 0);
        assert_eq!((first, ceiling), (5_000_001, 5_000_000 + VERSION_BLOCK));
        versions.adopt(first, ceiling);
        assert_eq!(versions.take(), Some(first + 1));
        assert!(versions.issued(first + 1) && !versions.issued(first + 2));
        assert_eq!(versions.take(), Some(first + 3), "the version below is nobody else's");
        assert_eq!(versions.next_block(1_000, ceiling + 70).0, ceiling + 71);
        assert_eq!(versions.next_block(u64::MAX >> 12, 0).0, u64::MAX >> 12);
    }
}
