//! The Reindex resource.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::KeyText;

/// Builds documents of a task once more: all of them, or a selection.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, PartialEq, KubeSchema)]
#[kube(
    group = "binlog-operator.io",
    version = "v1alpha1",
    kind = "Reindex",
    plural = "reindexes",
    namespaced,
    status = "ReindexStatus",
    derive = "PartialEq",
    validation = Rule::new("self.metadata.name != 'full'").message("must be another one than full, which is the name of a task's own builds"),
    shortname = "rx",
    category = "binlog",
    doc = "Builds documents of a SyncTask once more: all of them, or a selection.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress"),
    printcolumn(name = "Rate", type_ = "string", json_path = ".status.rate"),
    printcolumn(name = "ETA", type_ = "string", json_path = ".status.eta"),
    printcolumn(name = "Task", type_ = "string", json_path = ".spec.taskRef.name", priority = 1),
    printcolumn(name = "Cursor", type_ = "string", json_path = ".status.cursor", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.taskRef == oldSelf.taskRef").message("taskRef cannot change; make another Reindex"),
    validation = Rule::new("self.selection == oldSelf.selection").message("selection cannot change; make another Reindex")
)]
pub struct ReindexSpec {
    /// The task, in the same namespace.
    pub task_ref: TaskRef,
    /// Which documents; without it all of them, and documents that the query no longer returns are removed.
    #[serde(default)]
    pub selection: Selection,
    /// Keys per page of the walk; progress is kept after each page.
    #[serde(default = "default_page_size")]
    #[schemars(range(min = 1, max = 10_000))]
    pub page_size: i32,
    /// Once it is finished it is deleted after so many seconds; without it, when reindexHistoryLimit of the
    /// task says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub ttl_seconds_after_finished: Option<i32>,
}

fn default_page_size() -> i32 {
    1_000
}

/// Names a SyncTask.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
pub struct TaskRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Which documents: at most one of range, where, ids and deadLetters.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.range), has(self.where), has(self.ids), has(self.deadLetters)].filter(x, x).size() <= 1")
    .message("at most one of range, where, ids and deadLetters may be given"))]
pub struct Selection {
    /// Keys from min (included) to max (excluded).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<KeyRange>,
    /// A SQL condition on the main table's columns, for example `created_at >= '2026-01-01'`. Where the query
    /// joins tables, write the columns with the query's alias of the main table: `o.created_at >= '2026-01-01'`.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub condition: Option<String>,
    /// These keys, as the documents' `_id` shows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10_000))]
    pub ids: Option<Vec<KeyText>>,
    /// True: the documents that Elasticsearch refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message("leave it out instead of false"))]
    pub dead_letters: Option<bool>,
}

/// Keys from min (included) to max (excluded); one of them may be missing.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[x_kube(
    validation = Rule::new("has(self.min) || has(self.max)").message("min or max must be given"),
    validation = Rule::new("!has(self.min) || !has(self.max) || type(self.min) != int || type(self.max) != int || self.min < self.max")
        .message("min must be below max (max is excluded)")
)]
pub struct KeyRange {
    /// The first key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<KeyText>,
    /// The first key that is not meant any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<KeyText>,
}

/// A [`Selection`] that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected<'a> {
    /// Everything, with a sweep.
    Full,
    /// Keys from min (included) to max (excluded).
    Range {
        /// The first key.
        min: Option<&'a KeyText>,
        /// The first key beyond.
        max: Option<&'a KeyText>,
    },
    /// Rows of the main table for which this SQL condition holds.
    Where(&'a str),
    /// These keys.
    Ids(&'a [KeyText]),
    /// The keys in the dead letters.
    DeadLetters,
}

impl Selection {
    /// What is selected. Of a selection that the checks refuse, the first one that it gives.
    pub fn selected(&self) -> Selected<'_> {
        match self {
            Self { range: Some(range), .. } => {
                Selected::Range { min: range.min.as_ref(), max: range.max.as_ref() }
            }
            Self { condition: Some(condition), .. } => Selected::Where(condition),
            Self { ids: Some(ids), .. } => Selected::Ids(ids),
            Self { dead_letters: Some(true), .. } => Selected::DeadLetters,
            _ => Selected::Full,
        }
    }
}

/// What a Reindex reports.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReindexStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions by type: Complete, Failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
    /// Pending, Walking, Sweeping, Complete or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Keys walked so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_done: Option<i64>,
    /// Documents written for those keys; a key whose query returns nothing has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<i64>,
    /// Estimate of the keys in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_estimate: Option<i64>,
    /// Share done, for example `42%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Speed, for example `12000/s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// Time left, for example `3m20s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<String>,
    /// The last key whose page is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
