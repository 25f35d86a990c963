//! `spec.source.reader` and `spec.source.session`: where and how rows are read.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A replica of the source that rows are read from, with the source's account and TLS mode. Its lag is waited out: each
/// read waits until the replica has every transaction that the binlog has delivered. Needs GTIDs.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceReader {
    /// Host name or address.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// Port.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

fn default_port() -> i32 {
    3306
}

/// Variables of the sessions that read rows.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceSession {
    /// The zone in which the query's functions work (DATE, HOUR, NOW), as an offset: `+05:30`; without it UTC. TIMESTAMP
    /// columns are written as types.timestampZone says in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = OFFSET))]
    pub time_zone: Option<String>,
    /// `group_concat_max_len` in bytes; without it 64 MiB. A value that is cut makes a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 4, max = 1_073_741_824))]
    pub group_concat_max_len: Option<i64>,
    /// `max_execution_time` in milliseconds (`max_statement_time` on MariaDB); without it two seconds more than
    /// limits.queryTimeout, after which the query is cancelled anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 3_600_000))]
    pub max_execution_time: Option<i64>,
}

/// An offset from UTC. Names are not taken: an hour of autumn comes twice in them.
pub(crate) const OFFSET: &str = r"^[+-](0[0-9]|1[0-3]):[0-5][0-9]$|^\+14:00$";
