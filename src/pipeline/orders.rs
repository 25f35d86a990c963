//! What a worker is told while it runs.

use tokio::sync::mpsc;

use super::BuildRequest;

/// What a running worker can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// Finish what is in flight, save, end.
    Stop,
    /// The definition or a Secret changed: try again at once what waits for a person.
    Probe,
    /// Run this build, or go on with it.
    Build(BuildRequest),
    /// End and forget the build of this name.
    Cancel(String),
}

/// The orders of a worker, kept where they come before it can obey.
pub(super) struct Orders {
    told: mpsc::Receiver<Control>,
    kept: std::collections::VecDeque<Control>,
}

impl Orders {
    pub(super) fn new(told: mpsc::Receiver<Control>) -> Self {
        Self { told, kept: std::collections::VecDeque::new() }
    }

    /// Waits for a word on the start itself: true to try at once, false to give up. Builds are kept for later.
    pub(super) async fn again(&mut self) -> bool {
        loop {
            match self.told.recv().await {
                Some(Control::Probe) => return true,
                None | Some(Control::Stop) => return false,
                Some(order) => self.kept.push_back(order),
            }
        }
    }

    /// The next order; nobody there to give any means Stop.
    pub(super) async fn next(&mut self) -> Control {
        match self.kept.pop_front() {
            Some(order) => order,
            None => self.told.recv().await.unwrap_or(Control::Stop),
        }
    }
}
