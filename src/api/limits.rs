//! `spec.limits`: how much at once, and how long.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::Period;

/// How much at once, and how long. The defaults suit most tasks.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Lanes that read and write side by side; each has one batch in flight.
    #[serde(default = "lanes")]
    #[schemars(range(min = 1, max = 64))]
    pub lanes: i32,
    /// Documents per batch at most. Batches shrink when Elasticsearch is busy, and grow back.
    #[serde(default = "batch_actions")]
    #[schemars(range(min = 1, max = 10_000))]
    pub batch_actions: i32,
    /// How long a batch that is not full waits for more ids. Changes of one document in this time cost one read.
    #[serde(default = "nothing")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('0s') && duration(self) <= duration('10s')").message("must be between 0s and 10s"))]
    pub linger: Period,
    /// Connections by which one lane reads the shards of its batch at the same time.
    #[serde(default = "connections")]
    #[schemars(range(min = 1, max = 64))]
    pub connections: i32,
    /// Bytes per batch at most.
    #[serde(default = "batch_bytes")]
    #[schemars(range(min = 65_536, max = 104_857_600))]
    pub batch_bytes: i32,
    /// Ids that wait at most; beyond, the binlog is read no further.
    #[serde(default = "max_pending")]
    #[schemars(range(min = 1_000, max = 10_000_000))]
    pub max_pending: i32,
    /// Dead letters kept at most; with that many the task stalls.
    #[serde(default = "max_dead_letters")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_dead_letters: i32,
    /// Connections that read rows at most, beside the one for short questions and the binlog's; without it as many as
    /// lanes, lookups and builds ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000))]
    pub pool_size: Option<i32>,
    /// How long a query may run; then it is cancelled on the server.
    #[serde(default = "half_a_minute")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('1h')").message("must be between 1s and 1h"))]
    pub query_timeout: Period,
    /// How long Elasticsearch may take to answer.
    #[serde(default = "a_minute")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('10m')").message("must be between 1s and 10m"))]
    pub bulk_timeout: Period,
    /// How often the checkpoint is saved at most.
    #[serde(default = "ten_seconds")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('10m')").message("must be between 1s and 10m"))]
    pub checkpoint_interval: Period,
}

fn lanes() -> i32 {
    8
}

fn batch_actions() -> i32 {
    1_000
}

fn nothing() -> Period {
    Period::seconds(0)
}

fn connections() -> i32 {
    4
}

fn batch_bytes() -> i32 {
    5 << 20
}

fn max_pending() -> i32 {
    100_000
}

fn max_dead_letters() -> i32 {
    10_000
}

fn half_a_minute() -> Period {
    Period::seconds(30)
}

fn a_minute() -> Period {
    Period::seconds(60)
}

fn ten_seconds() -> Period {
    Period::seconds(10)
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lanes: lanes(),
            batch_actions: batch_actions(),
            linger: nothing(),
            connections: connections(),
            batch_bytes: batch_bytes(),
            max_pending: max_pending(),
            max_dead_letters: max_dead_letters(),
            pool_size: None,
            query_timeout: half_a_minute(),
            bulk_timeout: a_minute(),
            checkpoint_interval: ten_seconds(),
        }
    }
}
