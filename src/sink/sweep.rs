//! Walks the index for documents that a build did not reach: those with a version below the build's first.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::Answer;
use super::error::{Result, SinkError};
use super::{Sink, setup};

/// How long the server keeps the walk's context between two pages.
const KEEP: &str = "10m";

/// The server's default limit of a page (`index.max_result_window`).
const MAX_PAGE: usize = 10_000;

const FILTER: &str = "filter_path=_scroll_id,timed_out,_shards.failed,hits.total,hits.hits._id,hits.hits._version,hits.hits._routing";

/// Where a sweep stands. Not cloneable, and used up by each page: the server moves on even where its answer is
/// lost, so after an error only a new sweep is right.
#[derive(Debug)]
pub struct SweepCursor {
    scroll: String,
    below: u64,
    scanned: u64,
}

/// One page of a sweep.
#[derive(Debug)]
pub struct SweepPage {
    /// Documents of this page whose version is below the limit; may be empty before the end.
    pub stale: Vec<Stale>,
    /// Where to go on; `None` at the end.
    pub cursor: Option<SweepCursor>,
    /// Documents looked at so far.
    pub scanned: u64,
    /// Documents in the index.
    pub total: u64,
}

/// A document that is older than the build.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stale {
    /// Its `_id`.
    pub id: String,
    /// Its version.
    pub version: u64,
    /// Its `routing`, where it was written with one.
    pub routing: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(rename = "_scroll_id")]
    scroll: String,
    timed_out: bool,
    #[serde(rename = "_shards")]
    shards: Shards,
    hits: Hits,
}

#[derive(Deserialize)]
struct Shards {
    failed: u64,
}

#[derive(Deserialize)]
struct Hits {
    total: Total,
    #[serde(default)]
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Total {
    value: u64,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_version")]
    version: u64,
    #[serde(rename = "_routing", default)]
    routing: Option<String>,
}

impl Sink {
    /// The next page of the documents with a version below `below`. Begins (with a refresh) without a cursor.
    /// After an error the sweep begins again: what was dealt with meanwhile has a higher version.
    pub async fn sweep(&self, below: u64, after: Option<SweepCursor>, size: usize) -> Result<SweepPage> {
        let (answer, scanned) = match after {
            None => (self.open_sweep(size).await?, 0),
            Some(cursor) if cursor.below == below => (self.continue_sweep(&cursor).await?, cursor.scanned),
            Some(cursor) => {
                self.close_sweep(cursor).await;
                return Err(SinkError::SweepLost { reason: "its limit changed".to_owned() });
            }
        };
        let page: Page = answer.json()?;
        if page.timed_out || page.shards.failed > 0 {
            let reason = format!("{} shards failed", page.shards.failed);
            self.close_scroll(&page.scroll).await;
            return Err(SinkError::SweepLost { reason });
        }
        let (found, total) = (page.hits.hits.len() as u64, page.hits.total.value);
        let scanned = scanned + found;
        let stale = page.hits.hits.into_iter().filter(|hit| hit.version < below);
        let stale =
            stale.map(|hit| Stale { id: hit.id, version: hit.version, routing: hit.routing }).collect();
        let cursor = SweepCursor { scroll: page.scroll, below, scanned };
        let cursor = if found > 0 && scanned < total {
            Some(cursor)
        } else {
            self.close_sweep(cursor).await;
            None
        };
        if cursor.is_none() && scanned < total {
            return Err(SinkError::SweepLost { reason: format!("{scanned} of {total} documents came") });
        }
        Ok(SweepPage { stale, cursor, scanned, total })
    }

    /// Gives up a sweep before its end; the server forgets it later by itself if this fails.
    pub async fn close_sweep(&self, cursor: SweepCursor) {
        self.close_scroll(&cursor.scroll).await;
    }

    async fn open_sweep(&self, size: usize) -> Result<Answer> {
        self.refresh().await?;
        let index = setup::path_segment(&self.target()?.index);
        let path = format!("/{index}/_search?scroll={KEEP}&allow_partial_search_results=false&{FILTER}");
        let body = json!({
            "size": size.clamp(1, MAX_PAGE),
            "_source": false,
            "version": true,
            "sort": ["_doc"],
            "track_total_hits": true,
        });
        self.call(Method::POST, &path, Some(&body)).await
    }

    async fn continue_sweep(&self, cursor: &SweepCursor) -> Result<Answer> {
        let body = json!({"scroll": KEEP, "scroll_id": cursor.scroll});
        let path = format!("/_search/scroll?{FILTER}");
        match self.call(Method::POST, &path, Some(&body)).await {
            Err(SinkError::Unexpected { reason, .. } | SinkError::IndexMissing { reason, .. }) => {
                Err(SinkError::SweepLost { reason })
            }
            other => other,
        }
    }

    async fn close_scroll(&self, scroll: &str) {
        let body = json!({"scroll_id": [scroll]});
        self.call(Method::DELETE, "/_search/scroll", Some(&body)).await.ok();
    }
}
