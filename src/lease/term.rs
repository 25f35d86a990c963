//! How long we lead, by our own clock.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// A time in which this process may write. Clones share it. `Instant` goes on while the process is stopped,
/// so that the first look after a long stop says no.
#[derive(Debug, Clone)]
pub struct Term {
    /// `None`: no lease is needed.
    state: Option<Arc<watch::Sender<State>>>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    end: Instant,
    lost: bool,
}

impl Term {
    /// Nobody else can want to lead.
    pub fn unlimited() -> Self {
        Self { state: None }
    }

    pub(super) fn until(end: Instant) -> Self {
        Self { state: Some(Arc::new(watch::Sender::new(State { end, lost: false }))) }
    }

    /// May this process write now?
    pub fn holds(&self) -> bool {
        self.state.as_ref().is_none_or(|state| {
            let State { end, lost } = *state.borrow();
            !lost && Instant::now() < end
        })
    }

    /// Waits until this process may not write any more. However long it was stopped: each look asks the clock.
    pub async fn ended(&self) {
        let Some(state) = &self.state else { return std::future::pending().await };
        let mut changes = state.subscribe();
        let mut waiting = pin!(async {
            loop {
                let end = changes.borrow_and_update().end;
                tokio::select! {
                    () = tokio::time::sleep_until(end.into()) => {}
                    _ = changes.changed() => {}
                }
                if !self.holds() {
                    break;
                }
            }
        });
        poll_fn(|context| if self.holds() { waiting.as_mut().poll(context) } else { Poll::Ready(()) }).await;
    }

    /// The Lease was renewed: nobody else had it meanwhile.
    pub(super) fn extend(&self, end: Instant) {
        if let Some(state) = &self.state {
            state.send_modify(|state| state.end = end);
        }
    }

    /// It does not come back.
    pub(super) fn lose(&self) {
        if let Some(state) = &self.state {
            state.send_modify(|state| state.lost = true);
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.borrow().lost)
    }

    /// How long ago it ended.
    pub(super) fn since_end(&self) -> Duration {
        let end = self.state.as_ref().map(|state| state.borrow().end);
        end.map_or(Duration::ZERO, |end| Instant::now().saturating_duration_since(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn its_end_is_waited_for() {
        let term = Term::until(Instant::now() + Duration::from_millis(50));
        term.extend(Instant::now() + Duration::from_millis(100));
        let ended = async { tokio::time::timeout(Duration::from_secs(10), term.ended()).await };
        assert!(ended.await.is_ok() && !term.holds());
        let (lost, long) =
            (Term::until(Instant::now() + Duration::from_secs(3_600)), Duration::from_secs(10));
        let waiting = tokio::spawn({
            let lost = lost.clone();
            async move { lost.ended().await }
        });
        tokio::task::yield_now().await;
        lost.lose();
        tokio::time::timeout(long, waiting).await.unwrap().unwrap();
    }

    #[test]
    fn ends_by_the_clock_and_comes_back_unless_it_is_lost() {
        let (now, hour) = (Instant::now(), Duration::from_secs(3_600));
        let term = Term::until(now + hour);
        assert!(term.holds() && term.since_end().is_zero());
        term.extend(now);
        assert!(!term.holds() && !term.is_lost());
        term.extend(now + hour);
        assert!(term.clone().holds());
        term.lose();
        term.extend(now + hour);
        assert!(!term.holds() && term.is_lost());
        assert!(Term::unlimited().holds() && !Term::unlimited().is_lost());
    }
}
