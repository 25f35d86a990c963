//! What a task keeps between two runs: one small object, replaced as a whole by compare-and-swap.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Column, Gtid, Key, StreamPosition};

/// How many versions a reservation takes.
pub const VERSION_BLOCK: u64 = 1 << 20;

/// The checkpoint of one task. `position` is the acked low watermark: every change before it is written,
/// deleted or durably dead-lettered.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Checkpoint {
    /// Counts owners: each start of a worker adds one. A save that meets another epoch ends the worker.
    pub epoch: u64,
    /// Who holds the epoch: a random name of the worker's run.
    pub owner: String,
    /// Highest version reserved so far; the next block begins above it.
    pub version_ceiling: u64,
    /// The low watermark; absent before the first position is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<StreamPosition>,
    /// `@@server_uuid` of the server that `position` belongs to; empty where unknown.
    pub server_uuid: String,
    /// The last transaction before `position`, by which a restored server that reused it is found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transaction: Option<LastTransaction>,
    /// The task that this state belongs to (in Kubernetes its UID, standalone its namespace and name).
    pub task_uid: String,
    /// Hash of what decides the documents' content: the query and its mapping.
    pub query_hash: String,
    /// UUID of the index that the documents went to.
    pub index_uuid: String,
    /// Column lists of the mapped tables as of `position`, for servers without FULL row metadata.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<TableColumns>,
    /// Lookups that were cut into pages and are not through.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub continuations: Vec<Continuation>,
    /// Builds (initial sync, repair, Reindex resources) by name, under way or complete.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub builds: BTreeMap<String, Build>,
}

/// Identity of the last transaction before a position.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastTransaction {
    /// Its GTID; absent without GTIDs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid: Option<Gtid>,
    /// Offset of its first event in its file.
    pub start: super::BinlogPosition,
    /// Original commit timestamp in microseconds since 1970 (WL#7319); 0 where the server does not say.
    pub original_commit_timestamp: u64,
}

/// The columns of one table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TableColumns {
    /// The table.
    pub table: super::TableName,
    /// Its columns in the order of row images.
    pub columns: Vec<Column>,
}

/// A lookup that goes on from a cursor.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Continuation {
    /// The rule's number in the plan of `query_hash`.
    pub rule: usize,
    /// The values asked for, up to 1,000.
    pub keys: Vec<Key>,
    /// The last main key that is done; `None` at the start.
    pub cursor: Option<Key>,
}

/// A build's progress.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Build {
    /// Why it runs: `initial`, `repair: <cause>` or `reindex`.
    pub cause: String,
    /// Hash of its selection: a changed selection starts anew.
    pub selection_hash: String,
    /// Where it is.
    pub phase: BuildPhase,
    /// The last key whose page is wholly acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Key>,
    /// Documents with a version below this one are swept at the end of a Full.
    pub first_version: u64,
    /// Keys walked so far.
    pub keys_done: u64,
    /// Documents written for the keys walked; a key whose query returns nothing has none.
    #[serde(default)]
    pub documents: u64,
    /// Estimate of the keys in all; 0 where unknown.
    pub keys_estimate: u64,
    /// Why it was given up.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failed: String,
}

/// The steps of a build.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum BuildPhase {
    /// Not begun: others come first.
    #[default]
    Pending,
    /// Walking keys.
    Walking,
    /// Walking the index for documents that the walk did not reach.
    Sweeping,
    /// Done.
    Complete,
    /// Given up: its selection cannot be read.
    Failed,
}

impl BuildPhase {
    /// True where nothing more will come of it.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Complete | Self::Failed)
    }
}
