//! Events: one for each turn that a person may want to know of, none for what merely goes on.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tracing::debug;

use super::Cluster;

/// An API server takes this many bytes of words.
const MAX_NOTE: usize = 900;

/// Tells the API server of turns.
#[derive(Clone)]
pub(super) struct Events {
    cluster: Cluster,
    recorder: Recorder,
}

/// A turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) warning: bool,
    pub(super) reason: String,
    pub(super) note: String,
    pub(super) action: &'static str,
}

impl Events {
    pub(super) fn new(cluster: Cluster, identity: &str) -> Self {
        let reporter = Reporter { controller: super::MANAGER.into(), instance: Some(identity.to_owned()) };
        let recorder = Recorder::new(cluster.raw(), reporter);
        Self { cluster, recorder }
    }

    /// Says it once; a turn that nobody hears of is in conditions and log all the same.
    pub(super) async fn tell(&self, about: &ObjectReference, turn: Turn) {
        let note = turn.note.chars().scan(0, |bytes, c| {
            *bytes += c.len_utf8();
            (*bytes <= MAX_NOTE).then_some(c)
        });
        let note: String = note.collect();
        let event = Event {
            type_: if turn.warning { EventType::Warning } else { EventType::Normal },
            reason: turn.reason,
            note: Some(note),
            action: turn.action.to_owned(),
            secondary: None,
        };
        let told = self.cluster.call("writing an event", self.recorder.publish(&event, about)).await;
        if let Err(error) = told {
            debug!("{error}");
        }
    }
}
