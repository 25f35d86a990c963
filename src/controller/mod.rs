//! SyncTasks and Reindexes of a cluster: looked at, worked on, reported.
//!
//! In: what watches say of the resources, and Secrets read when they are needed. Out: one worker for each task,
//! its state in ConfigMaps, its status and that of its Reindexes, events on turns. `task` has one actor per
//! SyncTask, which resolves (reads the API), plans (pure), acts and reports; `reindex` has what concerns
//! Reindexes alone. May fail: [`ControllerError`].

mod cluster;
mod deployment;
mod error;
mod events;
mod lead;
mod letters;
mod observed;
mod reindex;
mod run;
mod secrets;
mod store;
mod task;
mod world;

use std::collections::BTreeMap;

pub use cluster::Cluster;
pub use error::ControllerError;
pub use lead::{LeadError, Outcome, Stage, lead};
pub use run::{Mode, Settings};
pub use store::ConfigMapStore;

use observed::Observed;

/// Our name as a field manager and as a reporter of events.
const MANAGER: &str = "binlog-operator";

/// Labels of everything that is made for a task. Its name may be too long for a label.
fn labels(uid: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("app.kubernetes.io/managed-by".to_owned(), MANAGER.to_owned()),
        ("binlog-operator.io/task-uid".to_owned(), uid.to_owned()),
    ])
}
