//! A stream that brings nothing. Either nothing happens, or it is the stream of a server that its address led to
//! before (failover by DNS or a moved address): such a one can stay connected for ever and never bring a change again.

use tokio::sync::watch;

use crate::binlog::Body;
use crate::model::{GtidSet, StreamPosition};

/// Heartbeats in a row after which a server that has executed more is another one. It sends the first when it
/// has nothing left to send.
const ENOUGH: u32 = 3;

/// Compares what a stream has brought with what the server at the address has executed.
pub(super) struct Quiet {
    /// `None` without GTIDs: see [`crate::source::Source::bind_to`].
    brought: Option<GtidSet>,
    executed: watch::Receiver<GtidSet>,
    lacking: GtidSet,
    heartbeats: u32,
}

impl Quiet {
    pub(super) fn new(from: &StreamPosition, executed: watch::Receiver<GtidSet>) -> Self {
        Self { brought: from.gtids.clone(), executed, lacking: GtidSet::default(), heartbeats: 0 }
    }

    /// Notes an event of the stream. An error says which transactions the stream will not bring.
    pub(super) fn note(&mut self, event: &Body<'_>) -> Result<(), String> {
        let Some(brought) = &mut self.brought else { return Ok(()) };
        if let Body::Gtid(gtid) = event {
            gtid.gtid.iter().for_each(|gtid| brought.insert(gtid));
        }
        if !matches!(event, Body::Heartbeat { .. }) {
            self.heartbeats = 0;
            return Ok(());
        }
        if self.heartbeats == 0 {
            self.lacking = self.executed.borrow().minus(brought);
        }
        if self.lacking.is_empty() {
            return Ok(());
        }
        self.heartbeats += 1;
        if self.heartbeats < ENOUGH {
            return Ok(());
        }
        Err(format!(
            "the server has executed {} and the stream does not bring it: its connection leads to another server than \
             the address does by now",
            self.lacking
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binlog::GtidEvent;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn set(numbers: &str) -> GtidSet {
        format!("{UUID}:{numbers}").parse().unwrap()
    }

    fn heartbeat() -> Body<'static> {
        Body::Heartbeat { file: "binlog.000001".into(), offset: 4 }
    }

    #[test]
    fn a_stream_that_is_silent_about_what_was_executed_is_another_servers() {
        let from = StreamPosition { gtids: Some(set("1-5")), ..StreamPosition::default() };
        let (executed, receiver) = watch::channel(set("1-5"));
        let mut quiet = Quiet::new(&from, receiver);
        for _ in 0..5 {
            quiet.note(&heartbeat()).unwrap();
        }
        executed.send_replace(set("1-7"));
        quiet.note(&heartbeat()).unwrap();
        quiet.note(&heartbeat()).unwrap();
        // it comes after all
        for number in 6..=7 {
            let gtid = format!("{UUID}:{number}").parse().unwrap();
            quiet.note(&Body::Gtid(GtidEvent { gtid: Some(gtid), ..GtidEvent::default() })).unwrap();
        }
        for _ in 0..5 {
            quiet.note(&heartbeat()).unwrap();
        }
        executed.send_replace(set("1-9"));
        quiet.note(&heartbeat()).unwrap();
        quiet.note(&heartbeat()).unwrap();
        let error = quiet.note(&heartbeat()).unwrap_err();
        assert!(error.contains(&format!("{UUID}:8-9")), "{error}");
    }

    #[test]
    fn without_gtids_it_says_nothing() {
        let (executed, receiver) = watch::channel(GtidSet::default());
        let mut quiet = Quiet::new(&StreamPosition::default(), receiver);
        executed.send_replace(set("1-7"));
        for _ in 0..9 {
            quiet.note(&heartbeat()).unwrap();
        }
    }
}
