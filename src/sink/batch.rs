//! How large a batch may be: halved where the server refuses, doubled while that brings throughput. Pure.

use std::time::Duration;

const START_ACTIONS: usize = 500;
const START_BYTES: usize = 5 << 20;
const MAX_ACTIONS: usize = 8_000;
const MAX_BYTES: usize = 20 << 20;
const MIN_BYTES: usize = 64 << 10;

/// Full batches that a size is judged by.
const SAMPLE: u32 = 4;

/// Full batches after which a settled size is questioned again.
const SETTLED: u32 = 200;

/// The size of the next batch.
#[derive(Clone, PartialEq, Debug)]
pub struct BatchLimit {
    actions: usize,
    bytes: usize,
    /// Actions and seconds of the full batches at this size.
    work: f64,
    seconds: f64,
    batches: u32,
    /// Actions per second at the size before this one; 0 where there is none to compare with.
    before: f64,
    /// Full batches to wait before growing.
    rest: u32,
}

impl Default for BatchLimit {
    fn default() -> Self {
        Self {
            actions: START_ACTIONS,
            bytes: START_BYTES,
            work: 0.0,
            seconds: 0.0,
            batches: 0,
            before: 0.0,
            rest: 0,
        }
    }
}

impl BatchLimit {
    /// Actions per batch.
    pub fn actions(&self) -> usize {
        self.actions
    }

    /// Bytes per batch; a single larger document is still sent.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// True where a batch should be sent now.
    pub fn is_full(&self, actions: usize, bytes: usize) -> bool {
        actions >= self.actions || bytes >= self.bytes
    }

    /// A batch was carried out.
    pub fn on_success(&mut self, actions: usize, bytes: usize, elapsed: Duration) {
        if actions * 4 < self.actions * 3 && bytes / 3 * 4 < self.bytes {
            return; // says nothing about this size
        }
        if self.rest > 0 {
            self.rest -= 1;
            return;
        }
        self.work += actions as f64;
        self.seconds += elapsed.as_secs_f64();
        self.batches += 1;
        if self.batches >= SAMPLE {
            self.judge();
        }
    }

    /// The server refused a batch as too much (413, 429) or did not answer in time.
    pub fn on_rejected(&mut self) {
        self.resize(self.actions / 2, self.bytes / 2);
        self.before = 0.0;
        self.rest = SETTLED / 10;
    }

    fn judge(&mut self) {
        let rate = self.work / self.seconds.max(1e-6);
        if rate > self.before * 1.1 {
            self.resize(self.actions * 2, self.bytes * 2);
            self.before = rate;
        } else {
            self.resize(self.actions / 2, self.bytes / 2);
            self.before = 0.0;
            self.rest = SETTLED;
        }
    }

    fn resize(&mut self, actions: usize, bytes: usize) {
        self.actions = actions.clamp(1, MAX_ACTIONS);
        self.bytes = bytes.clamp(MIN_BYTES, MAX_BYTES);
        (self.work, self.seconds, self.batches) = (0.0, 0.0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server whose requests cost `fixed` and 20 us per action.
    fn run(limit: &mut BatchLimit, fixed: Duration, batches: u32) {
        for _ in 0..batches {
            let actions = limit.actions();
            let elapsed = fixed + Duration::from_micros(20) * actions as u32;
            limit.on_success(actions, actions * 200, elapsed);
        }
    }

    #[test]
    fn grows_while_it_pays_then_stays() {
        let mut limit = BatchLimit::default();
        run(&mut limit, Duration::from_millis(10), 24);
        assert_eq!(limit.actions(), 4_000);
        let mut cheap = BatchLimit::default();
        run(&mut cheap, Duration::ZERO, 24);
        assert_eq!((cheap.actions(), cheap.bytes()), (START_ACTIONS, START_BYTES));
    }

    #[test]
    fn halves_where_refused_and_recovers() {
        let mut limit = BatchLimit::default();
        for _ in 0..40 {
            limit.on_rejected();
        }
        assert_eq!((limit.actions(), limit.bytes()), (1, MIN_BYTES));
        assert!(limit.is_full(1, 10) && !limit.is_full(0, 10));
        run(&mut limit, Duration::from_millis(10), 200);
        assert!(limit.actions() >= 500, "{limit:?}");
    }

    #[test]
    fn small_batches_say_nothing() {
        let mut limit = BatchLimit::default();
        for _ in 0..1000 {
            limit.on_success(3, 600, Duration::from_millis(5));
        }
        assert_eq!(limit, BatchLimit::default());
    }
}
