//! What is looked at from time to time, since nobody tells of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use super::core::Input;
use super::lane_task::IDLE;
use super::shared::Shared;
use crate::model::GtidSet;
use crate::source::Source;

const EXECUTED: Duration = Duration::from_secs(1);
const INDEX: Duration = Duration::from_secs(15);
const SERVER: Duration = Duration::from_secs(60);

/// Looks whether the index is still the one that was prepared: one restored from a snapshot takes writes as
/// if nothing had happened.
pub(super) async fn index(shared: Arc<Shared>) {
    let mut interval = every(INDEX);
    loop {
        interval.tick().await;
        let before = shared.index_uuid();
        let Ok(now) = shared.sink.index_uuid().await else { continue };
        if now.as_ref() != Some(&before) && shared.index_uuid() == before {
            shared.tell(Input::Gap("the index was replaced or restored".to_owned()));
        }
    }
}

/// Looks where the address leads: one who has a connection to another server would not see it.
pub(super) async fn server(source: Source) {
    let mut interval = every(SERVER);
    loop {
        interval.tick().await;
        source.check_bound().await;
    }
}

/// Asks what the server has executed.
pub(super) async fn executed(shared: Arc<Shared>, executed: watch::Sender<GtidSet>) {
    let mut interval = every(EXECUTED);
    loop {
        interval.tick().await;
        let asked = shared.clock.now().unix_micros;
        // a server that does not answer is noticed by the stream and the reads
        if let Ok(position) = shared.source.executed().await {
            executed.send_replace(position.gtids.clone().unwrap_or_default());
            shared.tell(Input::Executed { position, asked });
        }
        shared.source.rest(IDLE).await;
    }
}

/// After a delay it goes on at its pace: what was missed is not made up for.
fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
