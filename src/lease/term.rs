//! How long we lead, by our own clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// A time in which this process may write. Clones share it. `Instant` goes on while the process is stopped,
/// so that the first look after a long stop says no.
#[derive(Debug, Clone)]
pub struct Term {
    /// `None`: no lease is needed.
    ends: Option<Arc<watch::Sender<Instant>>>,
}

impl Term {
    /// Nobody else can want to lead.
    pub fn unlimited() -> Self {
        Self { ends: None }
    }

    pub(super) fn until(end: Instant) -> Self {
        Self { ends: Some(Arc::new(watch::Sender::new(end))) }
    }

    /// May this process write now?
    pub fn holds(&self) -> bool {
        self.ends.as_ref().is_none_or(|ends| Instant::now() < *ends.borrow())
    }

    /// Moves the end, unless it has passed: what is over stays over.
    pub(super) fn extend(&self, end: Instant) {
        if let Some(ends) = self.ends.as_ref().filter(|_| self.holds()) {
            ends.send_replace(end);
        }
    }

    pub(super) fn end(&self) {
        if let Some(ends) = &self.ends {
            ends.send_replace(Instant::now());
        }
    }

    /// Waits until it is over.
    pub async fn over(&self) {
        let Some(ends) = &self.ends else { return std::future::pending().await };
        let mut moved = ends.subscribe();
        while self.holds() {
            let end = *moved.borrow_and_update();
            tokio::select! {
                () = tokio::time::sleep_until(end.into()) => {}
                _ = moved.changed() => {}
            }
        }
    }

    /// Time left, for those who plan a call within it.
    pub(super) fn left(&self) -> Duration {
        let end = self.ends.as_ref().map(|ends| *ends.borrow());
        end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_over_stays_over() {
        let term = Term::until(Instant::now() + Duration::from_secs(60));
        let waiting = tokio::spawn({
            let term = term.clone();
            async move { term.over().await }
        });
        assert!(term.holds());
        term.end();
        waiting.await.unwrap();
        term.extend(Instant::now() + Duration::from_secs(60));
        assert!(!term.holds() && term.left().is_zero());
        assert!(Term::unlimited().holds());
    }
}
