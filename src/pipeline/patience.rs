//! How long a stream may be silent: longer where it was silent before at the same place.
//!
//! A very large event over a slow line takes its time, and its parts are not seen: to give up on it after the
//! same time again and again would stop the task for ever.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::model::BinlogPosition;

/// At most so many doublings: from 15 s to more than an hour.
const DOUBLINGS: u32 = 8;

/// What is known of silences, over all streams of a worker.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience(Arc<Mutex<Option<Silence>>>);

#[derive(Debug)]
struct Silence {
    at: BinlogPosition,
    times: u32,
}

impl Patience {
    fn silence(&self) -> std::sync::MutexGuard<'_, Option<Silence>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the next stream may be silent, where `usual` is the limit.
    pub(super) fn limit(&self, usual: Duration) -> Duration {
        let doublings = self.silence().as_ref().map_or(0, |silence| silence.times.saturating_sub(1));
        usual * 2_u32.pow(doublings.min(DOUBLINGS))
    }

    /// The stream was silent at this place.
    pub(super) fn met(&self, at: BinlogPosition) {
        let mut silence = self.silence();
        let before = silence.take().filter(|silence| silence.at == at).map_or(0, |silence| silence.times);
        *silence = Some(Silence { at, times: before + 1 });
    }

    /// The stream came here. True where it got past the place where it had been silent: the usual limit holds
    /// again.
    pub(super) fn reached(&self, file: &str, offset: u64) -> bool {
        let mut silence = self.silence();
        let past = |silence: &Silence| BinlogPosition { file: file.to_owned(), offset } > silence.at;
        silence.take_if(|silence| past(silence)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> BinlogPosition {
        BinlogPosition { file: "b.000002".into(), offset }
    }

    #[test]
    fn a_silence_that_repeats_at_one_place_is_waited_out_longer_until_it_is_past() {
        let usual = Duration::from_secs(15);
        let patience = Patience::default();
        let limit = || patience.limit(usual).as_secs();
        assert_eq!(limit(), 15);
        patience.met(at(700));
        assert_eq!(limit(), 15, "once may be a broken line");
        patience.met(at(700));
        assert_eq!(limit(), 30);
        patience.met(at(700));
        assert_eq!(limit(), 60);
        // the stream begins a transaction earlier, perhaps in the file before
        assert!(!patience.reached("b.000001", 9_000) && !patience.reached("b.000002", 700));
        assert_eq!(limit(), 60);
        assert!(patience.reached("b.000002", 701));
        assert_eq!(limit(), 15);
        assert!(!patience.reached("b.000002", 800), "it is past already");
        patience.met(at(900));
        patience.met(at(950));
        assert_eq!(limit(), 15, "another place is progress");
        (0..40).for_each(|_| patience.met(at(950)));
        assert_eq!(limit(), 15 << DOUBLINGS);
    }
}
