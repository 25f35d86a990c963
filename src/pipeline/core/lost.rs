//! Whether the server lost transactions that reads may have seen.
//!
//! A server that is restored, or promoted without all that the one before had, may lack transactions which the stream had
//! not delivered yet. The stream then goes on without a gap, but documents that were read meanwhile hold what is gone, and
//! no event will ever say so. What the server had executed when it was last asked tells.

use crate::model::GtidSet;

/// So long a server may lag behind another one at the same address, ms: reads do not wait longer either.
const LAG: u64 = 10_000;

/// What the server has had executed.
#[derive(Debug, Default)]
pub(super) struct Had {
    gtids: GtidSet,
    /// Since when it lacks some, ms.
    lacks_since: Option<u64>,
}

impl Had {
    /// Takes what it has executed now. Gives what is gone for good: a Full stands for it from then on.
    pub(super) fn lost(&mut self, now: u64, executed: &GtidSet) -> Option<GtidSet> {
        if self.gtids.is_subset_of(executed) {
            *self = Self { gtids: executed.clone(), lacks_since: None };
            return None;
        }
        let since = *self.lacks_since.get_or_insert(now);
        (now.saturating_sub(since) >= LAG).then(|| std::mem::take(self).gtids.minus(executed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(numbers: &str) -> GtidSet {
        format!("3e11fa47-71ca-11e1-9e33-c80aa9429562:{numbers}").parse().unwrap()
    }

    #[test]
    fn what_does_not_come_back_is_lost() {
        let mut had = Had::default();
        assert_eq!(had.lost(0, &set("1-7")), None);
        assert_eq!(had.lost(1_000, &set("1-9")), None);
        // a replica that lags answers in between
        assert_eq!(had.lost(2_000, &set("1-8")), None);
        assert_eq!(had.lost(11_000, &set("1-9")), None);
        assert_eq!(had.lost(12_000, &set("1-6")), None);
        assert_eq!(had.lost(21_999, &set("1-7:10-12")), None);
        assert_eq!(had.lost(22_000, &set("1-7:10-12")), Some(set("8-9")));
        assert_eq!(had.lost(23_000, &set("1-7:10-12")), None);
    }
}
