//! What to do about a Lease that was just read: pure, so that every case can be tried.

use std::time::{Duration, Instant};

/// A Lease as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// Who holds it; empty where it was released.
    pub(super) holder: String,
    /// When they say they renewed it. Only whether it changes counts: their clock is not ours.
    pub(super) renewed: String,
    /// How long they want it to count.
    pub(super) duration: Duration,
}

/// What was seen of somebody else's Lease, and since when by our own clock.
#[derive(Debug, Default)]
pub(super) struct Watch {
    last: Option<(Seen, Instant)>,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// It is free, expired, or ours from a life before: write our name.
    Take,
    /// Somebody else leads.
    Wait,
}

impl Watch {
    /// Judges what was read at `now` by the process of this identity.
    pub(super) fn judge(&mut self, seen: Option<Seen>, identity: &str, now: Instant) -> Move {
        let Some(seen) = seen.filter(|seen| !seen.holder.is_empty() && seen.holder != identity) else {
            return Move::Take;
        };
        match &self.last {
            Some((last, since)) if *last == seen => {
                if now.saturating_duration_since(*since) > seen.duration {
                    Move::Take
                } else {
                    Move::Wait
                }
            }
            _ => {
                self.last = Some((seen, now));
                Move::Wait
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unnecessary_wraps, reason = "as the claim takes it")]
    fn lease(holder: &str, renewed: &str) -> Option<Seen> {
        Some(Seen { holder: holder.into(), renewed: renewed.into(), duration: Duration::from_secs(10) })
    }

    #[test]
    fn another_is_waited_for_by_our_own_clock() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        // however old the time in it is: their clock may be wrong
        assert_eq!(watch.judge(lease("b", "1970"), "a", at(0)), Move::Wait);
        assert_eq!(watch.judge(lease("b", "1970"), "a", at(9)), Move::Wait);
        assert_eq!(watch.judge(lease("b", "1971"), "a", at(10)), Move::Wait);
        assert_eq!(watch.judge(lease("b", "1971"), "a", at(20)), Move::Wait);
        assert_eq!(watch.judge(lease("b", "1971"), "a", at(21)), Move::Take);
    }

    #[test]
    fn what_is_free_or_ours_is_taken_at_once() {
        let now = Instant::now();
        for seen in [None, lease("", "1"), lease("a", "1")] {
            assert_eq!(Watch::default().judge(seen, "a", now), Move::Take);
        }
    }
}
