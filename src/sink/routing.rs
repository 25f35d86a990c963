//! Which routing leads to which shard. With another routing a document is another shard's, and the server keeps both:
//! who does not know where an old one is deletes it in all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

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
        let (address, count) = self.count_shards(index).await?;
        let mut routings: Vec<Option<String>> = vec![None; count];
        for tried in 0..count * TRIES_PER_SHARD {
            if routings.iter().all(Option::is_some) {
                break;
            }
            let routing = tried.to_string();
            let reached = self.reached(index, &routing).await?;
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

    /// How many shards the index has, whether they can be reached or not.
    async fn count_shards(&self, index: &str) -> Result<(String, usize)> {
        let path = format!(
            "/{}/_settings?filter_path=*.settings.index.number_of_shards",
            setup::path_segment(index)
        );
        let answer = self.call(Method::GET, &path, None).await?;
        let address = answer.address.clone();
        let settings: BTreeMap<String, Value> = answer.json()?;
        let count = settings.values().find_map(|index| {
            index
                .pointer("/settings/index/number_of_shards")?
                .as_str()?
                .parse()
                .ok()
                .filter(|count| *count > 0)
        });
        if let Some(count) = count {
            return Ok((address, count));
        }
        Err(SinkError::BadAnswer { address, reason: format!("_settings: no number_of_shards of {index}") })
    }

    /// The shards that a routing value leads to. One without a copy that is assigned is not among them.
    async fn reached(&self, index: &str, routing: &str) -> Result<Vec<usize>> {
        let index = setup::path_segment(index);
        let path = format!("/{index}/_search_shards?filter_path=shards.shard&routing={routing}");
        let reached: Reached = self.call(Method::GET, &path, None).await?.json()?;
        Ok(reached.shards.iter().filter_map(|copies| copies.first()).map(|copy| copy.shard).collect())
    }
}
