//! When a status is written: turns soon, the rest seldom, and never in a hot loop.

use std::time::{Duration, Instant};

/// A turn must last so long: what turns back at once is no news.
const SETTLE: Duration = Duration::from_secs(1);

/// Turns are at least so far apart.
const APART: Duration = Duration::from_secs(2);

/// The writes of one status.
#[derive(Debug)]
pub(super) struct Pace {
    every: Duration,
    turned: Option<Instant>,
    written: Option<Instant>,
    not_before: Option<Instant>,
    failures: u32,
}

impl Pace {
    /// What is no turn is written at most so often.
    pub(super) fn new(every: Duration) -> Self {
        Self { every, turned: None, written: None, not_before: None, failures: 0 }
    }

    /// True where what changed is to be written now.
    pub(super) fn is_due(&mut self, changed: bool, urgent: bool, now: Instant) -> bool {
        self.turned =
            self.turned.filter(|_| changed && urgent).or_else(|| (changed && urgent).then_some(now));
        let after = |moment: Option<Instant>, wait| moment.map(|moment| moment + wait);
        let due = match self.turned {
            Some(turned) => after(self.written, APART).max(Some(turned + SETTLE)),
            None => after(self.written, self.every),
        };
        changed && due.max(self.not_before).is_none_or(|due| due <= now)
    }

    pub(super) fn wrote(&mut self, now: Instant) {
        (self.written, self.turned, self.not_before, self.failures) = (Some(now), None, None, 0);
    }

    /// It could not be written.
    pub(super) fn failed(&mut self, now: Instant) {
        self.failures = (self.failures + 1).min(5);
        self.not_before = Some(now + Duration::from_millis(500 << self.failures));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_soon_and_the_rest_is_seldom() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut pace = Pace::new(Duration::from_secs(30));
        assert!(!pace.is_due(true, true, at(0)) && !pace.is_due(true, true, at(900)));
        assert!(pace.is_due(true, true, at(1_000)));
        pace.wrote(at(1_000));
        assert!(!pace.is_due(false, false, at(99_000)));
        assert!(!pace.is_due(true, false, at(30_000)) && pace.is_due(true, false, at(31_000)));
        // back and forth is no turn
        assert!(!pace.is_due(true, true, at(2_000)) && !pace.is_due(false, false, at(2_500)));
        assert!(!pace.is_due(true, true, at(3_200)) && pace.is_due(true, true, at(4_200)));
        pace.failed(at(4_200));
        assert!(!pace.is_due(true, true, at(5_100)) && pace.is_due(true, true, at(5_200)));
    }
}
