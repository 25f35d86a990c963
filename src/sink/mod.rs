//! Elasticsearch and OpenSearch: one index, written by `_bulk` with external versions, and a verdict per action.
//!
//! In: [`SinkOptions`], and batches of index and delete actions ([`BulkBody`]). Out: findings before the start
//! ([`Sink::preflight`]), the index made ready ([`Sink::prepare`]), one [`Verdict`] per action in order
//! ([`Sink::bulk`]), and the documents that a build did not reach ([`Sink::sweep`]).
//!
//! May fail: [`SinkError`] for whole requests, with a class and whether the request may have been carried out.
//!
//! Writes go to an alias of our own on the index, with `require_alias`. Where the index was deleted or replaced
//! the alias is gone, and the write is refused instead of making or filling an index that nobody prepared. The
//! alias has an upper-case letter, which no index name may have: deletes with external versions would otherwise
//! create an index of that name in spite of `require_alias`.

mod answer;
mod bulk;
mod client;
mod current;
mod describe;
mod difference;
mod error;
mod index;
mod marker;
mod options;
mod preflight;
mod routing;
mod setup;
mod sweep;
mod timely;
mod verdict;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use reqwest::Method;
use tokio::sync::OnceCell;

pub use bulk::{ActionKind, Bulk, BulkBody, Document, DocumentRef, Fence, MAX_ID_BYTES, SeqNo};
pub use current::Current;
pub use error::{Result, SinkError};
pub use index::IndexState;
pub use options::{Auth, CreateIndex, SinkOptions, Tls};
pub use preflight::{Finding, Severity};
pub use sweep::{Stale, SweepCursor, SweepPage};
pub use timely::Timely;
pub use verdict::{Outcome, Verdict};

use client::{Answer, Content, Http};

/// One index of one cluster. Clones share connections and state.
#[derive(Clone)]
pub struct Sink {
    inner: Arc<Inner>,
}

struct Inner {
    http: Http,
    options: SinkOptions,
    target: RwLock<Option<Arc<Target>>>,
}

/// Where [`Sink::prepare`] found that writes and sweeps go.
struct Target {
    /// Concrete index.
    index: String,
    bulk_path: String,
    /// A routing value for each of its shards, once they were asked for.
    shards: OnceCell<Arc<[String]>>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl Sink {
    /// Checks the options; nothing is sent.
    pub fn new(options: SinkOptions) -> Result<Self> {
        setup::check_names(&options)?;
        let http = Http::new(&options)?;
        Ok(Self { inner: Arc::new(Inner { http, options, target: RwLock::new(None) }) })
    }

    /// An empty batch.
    pub fn body(&self) -> BulkBody {
        BulkBody::default()
    }

    /// Sends a batch; one verdict per action, in order. Needs [`Sink::prepare`] first.
    pub async fn bulk(&self, bulk: &Bulk) -> Result<Vec<Verdict>> {
        self.bulk_while(bulk, &(Arc::new(|| true) as Timely)).await
    }

    /// The same, as long as `timely` says that it may still be sent: asked when its bytes go to the socket.
    ///
    /// # Errors
    /// Also [`SinkError::Expired`]: nothing that was not sent before lands any more.
    pub async fn bulk_while(&self, bulk: &Bulk, timely: &Timely) -> Result<Vec<Verdict>> {
        let target = self.target()?;
        let sent = bulk.list().iter().filter(|a| a.fault.is_none()).count();
        if sent == 0 {
            return Ok(bulk.list().iter().filter_map(|a| a.fault).map(verdict::judge_id).collect());
        }
        let body = Some((Content::Lines, bulk.payload()));
        let answer = self.inner.http.send_while(Method::POST, &target.bulk_path, body, Some(timely)).await?;
        match answer.status {
            200 => answer::verdicts(bulk, &answer.body).map_err(|reason| answer.bad(reason)),
            413 if sent == 1 => {
                Ok(bulk.list().iter().map(|a| verdict::judge_alone(a.fault, bulk.bytes())).collect())
            }
            413 => Err(SinkError::TooLarge { actions: sent, bytes: bulk.bytes() }),
            _ => Err(self.named(answer.error())),
        }
    }

    /// Makes everything written so far visible to searches.
    pub async fn refresh(&self) -> Result<()> {
        let path = format!("/{}/_refresh", setup::path_segment(&self.target()?.index));
        self.call(Method::POST, &path, None).await.map(drop)
    }

    fn target(&self) -> Result<Arc<Target>> {
        let target = self.inner.target.read().unwrap_or_else(PoisonError::into_inner);
        target.clone().ok_or(SinkError::NotPrepared)
    }

    fn set_target(&self, index: &str, alias: &str) {
        let shards = OnceCell::new();
        let target = Target { index: index.to_owned(), bulk_path: self.bulk_path(alias), shards };
        *self.inner.target.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(target));
    }

    fn bulk_path(&self, alias: &str) -> String {
        let options = &self.inner.options;
        // The server gives up waiting for a shard before we give up waiting for the server.
        let wait = (options.request_timeout / 2).as_millis().max(1);
        let refresh = options.refresh.as_ref().map(|r| format!("&refresh={}", setup::path_segment(r)));
        format!(
            "/{}/_bulk?require_alias=true&timeout={wait}ms&filter_path={}{}",
            setup::path_segment(alias),
            answer::BULK_FILTER,
            refresh.unwrap_or_default()
        )
    }

    /// A request with a JSON body whose answer must be 2xx.
    async fn call(&self, method: Method, path: &str, body: Option<&serde_json::Value>) -> Result<Answer> {
        let body = body.map(|json| (Content::Json, json.to_string().into()));
        let answer = self.inner.http.send(method, path, body).await?;
        answer.success().map_err(|e| self.named(e))
    }

    fn named(&self, error: SinkError) -> SinkError {
        match error {
            SinkError::IndexMissing { reason, .. } => {
                SinkError::IndexMissing { index: self.inner.options.index.clone(), reason }
            }
            other => other,
        }
    }
}
