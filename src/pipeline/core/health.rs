//! Backoff and circuit breaker of one outside system.

use crate::model::Class;

/// Full-jitter backoff between 0.1 s and 5 s; 10 s to 5 min for what needs a person.
#[derive(Debug, Clone)]
pub(super) struct Health {
    failures: u32,
    until: u64,
    halted: Option<String>,
    last_error: Option<String>,
    random: u64,
}

impl Health {
    pub(super) fn new(seed: u64) -> Self {
        Self { failures: 0, until: 0, halted: None, last_error: None, random: seed | 1 }
    }

    /// True where nothing failed since the last success.
    pub(super) fn well(&self) -> bool {
        self.failures == 0
    }

    /// May something be tried? While it fails, one thing at a time is.
    pub(super) fn allows(&self, now: u64, in_flight: usize) -> bool {
        self.well() || (now >= self.until && in_flight == 0)
    }

    /// When the next try is due, while it fails.
    pub(super) fn retry_at(&self) -> Option<u64> {
        (!self.well()).then_some(self.until)
    }

    /// It waits for somebody: the words for a person.
    pub(super) fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }

    /// The words of the last failure while it fails.
    pub(super) fn error(&self) -> Option<&str> {
        if self.well() { None } else { self.last_error.as_deref() }
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.until = 0;
        self.halted = None;
    }

    pub(super) fn failed(&mut self, now: u64, class: Class, message: &str) {
        let waits = !matches!(class, Class::Retry);
        if waits != self.halted.is_some() {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.last_error = Some(message.to_owned());
        self.halted = waits.then(|| message.to_owned());
        let (base, top) = if waits { (10_000u64, 300_000) } else { (100, 5_000) };
        let ceiling = base.saturating_mul(1 << (self.failures - 1).min(12)).min(top);
        let jitter = if waits { ceiling } else { self.jitter(ceiling) };
        self.until = now + jitter.max(20);
    }

    /// Forget the wait: what a person was to change has changed.
    pub(super) fn probe(&mut self, now: u64) {
        self.until = self.until.min(now);
    }

    fn jitter(&mut self, ceiling: u64) -> u64 {
        // xorshift64*: the core must be replayable, so it carries its own random numbers
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) % ceiling.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let mut health = Health::new(7);
        let mut longest = 0;
        for _ in 0..50 {
            health.failed(1_000, Class::Retry, "refused");
            longest = longest.max(health.until - 1_000);
        }
        assert!((1_000..=5_000).contains(&longest));
        assert!(!health.allows(999, 0) && !health.allows(100_000, 1) && health.allows(100_000, 0));
        health.failed(0, Class::Halt, "403");
        assert_eq!((health.until, health.halted()), (10_000, Some("403")));
        health.probe(5);
        assert!(health.allows(5, 0));
        health.succeeded();
        assert!(health.allows(0, 9) && health.halted().is_none());
    }
}
