//! Which routing leads to which shard. With another routing a document is another shard's, and the server keeps both:
//! who does not know where an old one is deletes it in all of them.

use std::sync::Arc;

use reqwest::Method;
use serde::Deserialize;

use super::error::{Result, SinkError};
use super::{Sink, setup};

/// Routing values tried for each shard; each reaches any shard with about the same probability.
const TRIES_PER_SHARD: usize = 64;

#[derive(Deserialize)]
struct Reached {
    #[serde(default)]
    shards: Vec<Vec<Copy>>,
}

#[derive(Deserialize)]
struct Copy {
    shard: usize,
}

impl Sink {
    /// A routing value for each shard of the index, in the shards' order; asked for once. Needs
    /// [`Sink::prepare`] first.
    ///
    /// # Errors
    /// Those of a request.
    pub async fn shard_routings(&self) -> Result<Arc<[String]>> {
        let target = self.target()?;
        target.shards.get_or_try_init(|| self.find_shards(&target.index)).await.cloned()
    }

    async fn find_shards(&self, index: &str) -> Result<Arc<[String]>> {
        let (address, all) = self.reached(index, None).await?;
        let count = all.iter().max().map_or(0, |highest| highest + 1);
        let mut routings: Vec<Option<String>> = vec![None; count];
        for tried in 0..count * TRIES_PER_SHARD {
            if routings.iter().all(Option::is_some) {
                break;
            }
            let routing = tried.to_string();
            let (_, reached) = self.reached(index, Some(&routing)).await?;
            if let [shard] = reached.as_slice()
                && let Some(slot) = routings.get_mut(*shard)
            {
                slot.get_or_insert(routing);
            }
        }
        let found: Option<Vec<String>> = routings.into_iter().collect();
        found.map(Arc::from).ok_or_else(|| SinkError::BadAnswer {
            address,
            reason: format!("_search_shards: no routing leads to some of the {count} shards of {index}"),
        })
    }

    /// The shards that a routing value leads to; without one all.
    async fn reached(&self, index: &str, routing: Option<&str>) -> Result<(String, Vec<usize>)> {
        let routing = routing.map(|routing| format!("&routing={routing}")).unwrap_or_default();
        let index = setup::path_segment(index);
        let path = format!("/{index}/_search_shards?filter_path=shards.shard{routing}");
        let answer = self.call(Method::GET, &path, None).await?;
        let address = answer.address.clone();
        let reached: Reached = answer.json()?;
        Ok((
            address,
            reached.shards.iter().filter_map(|copies| copies.first()).map(|copy| copy.shard).collect(),
        ))
    }
}
