//! The SyncTask resource.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Isolation, Limits, Mapping, OnMissing, Period, Placement, Query, Sink, Source, Transform, Types,
};

/// Keeps the documents of one index equal to a query.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, PartialEq, KubeSchema)]
#[kube(
    group = "binlog-operator.io",
    version = "v1alpha1",
    kind = "SyncTask",
    namespaced,
    status = "SyncTaskStatus",
    derive = "PartialEq",
    validation = Rule::new("self.metadata.name.size() <= 200").message("must be at most 200 characters, as names of other objects are made of it"),
    shortname = "st",
    category = "binlog",
    doc = "Keeps the documents of an Elasticsearch or OpenSearch index equal to a SQL query over MySQL.",
    printcolumn(name = "State", type_ = "string", json_path = ".spec.state"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Lag", type_ = "integer", json_path = ".status.lagSeconds"),
    printcolumn(name = "Dead", type_ = "integer", json_path = ".status.deadLetters"),
    printcolumn(name = "Position", type_ = "string", json_path = ".status.position", priority = 1),
    printcolumn(name = "Pending", type_ = "integer", json_path = ".status.pendingIds", priority = 1),
    printcolumn(name = "Worker", type_ = "string", json_path = ".status.worker", priority = 1),
    printcolumn(name = "Purge-After", type_ = "string", json_path = ".status.purgeAfter", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.onChange != 'Keep' || (has(self.query.key) ? self.query.key : '') == (has(oldSelf.query.key) ? oldSelf.query.key : '')")
        .message("query.key cannot change with onChange: Keep, as every document would have another id; use onChange: Full"),
    validation = Rule::new("self.isolation == 'Dedicated' || !has(self.worker)")
        .message("worker needs isolation: Dedicated")
)]
pub struct SyncTaskSpec {
    /// Running; Paused: connections closed, checkpoint kept; Stopped: as Paused, for changes of the position.
    #[serde(default)]
    pub state: State,
    /// The MySQL server.
    pub source: Source,
    /// The query whose rows are the documents.
    pub query: Query,
    /// What the SQL cannot say about its tables.
    #[serde(default)]
    pub mapping: Mapping,
    /// How MySQL's types become JSON.
    #[serde(default)]
    pub types: Types,
    /// What becomes of a row on its way to a document, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub transforms: Vec<Transform>,
    /// Where the documents go.
    pub sink: Sink,
    /// Whether a task without a checkpoint begins by building everything.
    #[serde(default)]
    pub initial_sync: InitialSync,
    /// What becomes of a document whose id the query returns nothing for. With Keep it stays while the main table
    /// has the row.
    #[serde(default)]
    pub on_missing: OnMissing,
    /// What to do when changes may have gone by unseen (binlog purged, TRUNCATE, index replaced and the like).
    #[serde(default)]
    pub on_gap: OnGap,
    /// What to do when the query or its mapping is edited.
    #[serde(default)]
    pub on_change: OnChange,
    /// What becomes of the index when the task is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Where the task runs.
    #[serde(default)]
    pub isolation: Isolation,
    /// The pod of a task with isolation: Dedicated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Placement>,
    /// So many finished Reindexes of the task are kept; older ones are deleted.
    #[serde(default = "default_history")]
    #[schemars(range(min = 0, max = 1_000))]
    pub reindex_history_limit: i32,
    /// A task that has work and makes no progress for so long is not ready.
    #[serde(default = "default_stall_timeout")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')").message("must be between 1s and 24h"))]
    pub stall_timeout: Period,
    /// How much at once, and how long.
    #[serde(default)]
    pub limits: Limits,
}

fn default_history() -> i32 {
    10
}

fn default_stall_timeout() -> Period {
    Period::seconds(300)
}

/// What the user wants of a task.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum State {
    /// Follow the changes.
    #[default]
    Running,
    /// Connections closed, checkpoint kept.
    Paused,
    /// As Paused; the position may be changed.
    Stopped,
}

/// What a task without a checkpoint begins with.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum InitialSync {
    /// Builds every document.
    #[default]
    Full,
    /// Follows changes from now on.
    None,
}

/// What to do when changes may have gone by unseen.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum OnGap {
    /// Takes a new position and builds everything at low priority.
    #[default]
    Repair,
    /// Stops with a condition.
    Halt,
}

/// What to do when the query or its mapping is edited.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum OnChange {
    /// Builds everything anew.
    #[default]
    Full,
    /// Goes on from where it is: documents change as their rows do. A Reindex brings the others up to date.
    Keep,
}

/// What becomes of the index when the task is deleted.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum DeletionPolicy {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is deleted, unless other tasks write to it.
    DeleteIndex,
}

/// What a task reports.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncTaskStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions by type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
    /// Age in seconds of the oldest change that is not in the index yet; 0 when caught up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<i64>,
    /// Ids that wait to be read and written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_ids: Option<i64>,
    /// Documents that Elasticsearch refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<i64>,
    /// Documents written since the worker started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents_written: Option<i64>,
    /// Documents deleted since the worker started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents_deleted: Option<i64>,
    /// Every change before this position is in the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// How long the source keeps its binlog, in seconds; absent where it keeps it for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binlog_kept_seconds: Option<i64>,
    /// While the task is held back: from this time on the source may have purged what the task needs to go on. It then
    /// builds everything anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_after: Option<Time>,
    /// What the changes of each table mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mapping: Vec<MappingStatus>,
    /// Who works on the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

/// What the changes of one table mean, in one of the ways in which they matter.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MappingStatus {
    /// The table.
    pub table: String,
    /// How its rows lead to documents.
    pub rule: String,
    /// The columns whose change matters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub columns: String,
}
