//! `spec.sink.elasticsearch.create`: what a missing index is created with.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::Free;

/// What a missing index is created with, as in `PUT /index`. Of an index that is there already nothing is changed:
/// what differs is told in the condition Preflight.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Create {
    /// Settings, with or without `index.` before their names. `index.gc_deletes` is 1h unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Free>,
    /// Mappings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mappings: Option<Free>,
    /// Aliases by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aliases: Option<Free>,
}
