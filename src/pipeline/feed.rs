//! The stream's task: reads events, asks the mapping what they touch, hands ids to the core.
//!
//! It ends with the stream: by a lost connection, a gap, or because nobody listens any more. What it found is
//! sent in chunks; while no chunk is taken it reads no further, down to the server's socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::poll_immediate;
use tokio::sync::{mpsc, watch};

use super::core::{ANOTHER_SERVER, Failure, Input};
use super::quiet::Quiet;
use super::translate::Translator;
use crate::binlog::{BinlogError, Decoder, Stream, StreamOptions, StreamStart, derive_server_id};
use crate::mapping::{Plan, SchemaHistory};
use crate::model::{BinlogPosition, Class, GtidSet, LastTransaction, StreamPosition, TableColumns};
use crate::source::{Source, SourceError};

/// Inputs in one chunk at most; a chunk is sent as soon as the stream has nothing more at hand.
const CHUNK: usize = 512;

/// How long a server may take to show what its binlog had delivered (a semisync stall) before it is taken for
/// one that lost transactions.
const CATCH_UP: Duration = Duration::from_secs(60);

/// Where and how to stream.
pub(super) struct Feed {
    pub(super) source: Source,
    pub(super) plan: Arc<Plan>,
    pub(super) from: StreamPosition,
    pub(super) verify: Option<LastTransaction>,
    /// See [`Translator`]: the end of what a place without GTIDs begins with.
    pub(super) settled: Option<BinlogPosition>,
    pub(super) schemas: Arc<Vec<TableColumns>>,
    pub(super) server_id: Option<u32>,
    pub(super) server_id_seed: String,
    pub(super) heartbeat: Duration,
    /// What the server has executed, asked anew every second.
    pub(super) executed: watch::Receiver<GtidSet>,
    pub(super) attempt: u32,
    pub(super) counts: Arc<StreamCounts>,
}

/// Counters of the stream, for the metrics.
#[derive(Debug, Default)]
pub(super) struct StreamCounts {
    pub(super) bytes: AtomicU64,
    pub(super) rows: AtomicU64,
    pub(super) pruned: AtomicU64,
    pub(super) ignored: AtomicU64,
}

/// Why a feed ended.
enum End {
    Input(Input),
    NobodyListens,
}

impl End {
    fn lost(message: String) -> Self {
        Self::Input(Input::StreamLost(Failure { class: Class::Retry, message }))
    }
}

impl From<BinlogError> for End {
    fn from(error: BinlogError) -> Self {
        Self::Input(match error.class() {
            Class::Gap => Input::Gap(error.to_string()),
            class => Input::StreamLost(Failure { class, message: error.to_string() }),
        })
    }
}

impl From<SourceError> for End {
    fn from(error: SourceError) -> Self {
        Self::Input(Input::StreamLost(Failure { class: error.class(), message: error.to_string() }))
    }
}

impl Feed {
    /// Streams until it cannot.
    pub(super) async fn run(self, inputs: mpsc::Sender<Vec<Input>>) {
        let End::Input(last) = self.stream(&inputs).await else { return };
        // nobody listening is as good an end
        let _ = inputs.send(vec![last]).await;
    }

    async fn stream(&self, inputs: &mpsc::Sender<Vec<Input>>) -> End {
        match self.try_stream(inputs).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn try_stream(&self, inputs: &mpsc::Sender<Vec<Input>>) -> Result<std::convert::Infallible, End> {
        let verify = self.verifiable().await?;
        let start = self.start(verify.as_ref());
        let options = StreamOptions { heartbeat: self.heartbeat, ..StreamOptions::new(self.server_id()) };
        let mut stream = Stream::open(&self.source.options().server, &start, options).await?;
        let history = SchemaHistory::new(self.schemas.iter().cloned());
        let mut decoder = Decoder::new();
        decoder.set_file(&self.from.binlog.file);
        let mut translator =
            Translator::new(&self.plan, history, &self.from, verify, self.settled.clone(), &self.counts);
        let mut quiet = Quiet::new(&self.from, self.executed.clone());
        let mut chunk = Vec::new();
        if translator.verified() {
            chunk.push(Input::StreamOpened);
        }
        loop {
            let raw = {
                let mut next = std::pin::pin!(stream.next_raw());
                let at_hand = if chunk.len() < CHUNK { poll_immediate(&mut next).await } else { None };
                if let Some(raw) = at_hand {
                    raw?
                } else {
                    if !chunk.is_empty() {
                        let full = std::mem::take(&mut chunk);
                        inputs.send(full).await.map_err(|_| End::NobodyListens)?;
                    }
                    next.await?
                }
            };
            if let Some(end) = self.elsewhere() {
                return Err(end);
            }
            let size = raw.bytes.len() as u64;
            self.counts.bytes.fetch_add(size, Ordering::Relaxed);
            decoder.push(raw);
            while let Some(event) = decoder.next()? {
                quiet.note(&event.body).map_err(End::lost)?;
                if let Err(gap) = translator.take(&event, &mut chunk) {
                    let _ = inputs.send(std::mem::take(&mut chunk)).await;
                    return Err(End::Input(Input::Gap(gap)));
                }
                if chunk.len() >= CHUNK * 4 {
                    let full = std::mem::take(&mut chunk);
                    inputs.send(full).await.map_err(|_| End::NobodyListens)?;
                }
            }
            self.counts.ignored.store(decoder.ignored(), Ordering::Relaxed);
        }
    }

    /// Where reads met another server than the stream's.
    fn elsewhere(&self) -> Option<End> {
        self.source.met_another().then(|| End::Input(Input::Gap(ANOTHER_SERVER.into())))
    }

    fn server_id(&self) -> u32 {
        self.server_id.unwrap_or_else(|| derive_server_id(&self.server_id_seed, self.attempt))
    }

    /// The transaction to check the server by, where it still has it; a gap where the server lacks what we
    /// have seen.
    async fn verifiable(&self) -> Result<Option<LastTransaction>, End> {
        let Some(ours) = &self.from.gtids else { return self.kept().await };
        let deadline = tokio::time::Instant::now() + CATCH_UP;
        loop {
            let executed = self.source.executed().await?.gtids.unwrap_or_default();
            if ours.is_subset_of(&executed) {
                break;
            }
            if tokio::time::Instant::now() >= deadline {
                let lacking = ours.minus(&executed);
                let cause = format!(
                    "the server lacks transactions {lacking} that were synced: it was restored to an older state, or lost them"
                );
                return Err(End::Input(Input::Gap(cause)));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let purged = self.source.purged().await?.unwrap_or_default();
        let there = |last: &LastTransaction| last.gtid.as_ref().is_some_and(|gtid| !purged.contains(gtid));
        Ok(self.verify.clone().filter(there))
    }

    /// Without GTIDs: the transaction to check the server by, where its file is still there. The one before a
    /// file's first can be purged while the position itself is not.
    async fn kept(&self) -> Result<Option<LastTransaction>, End> {
        if let Err(error) = self.source.reader().await {
            return Err(self.elsewhere().unwrap_or_else(|| error.into()));
        }
        let Some(last) = self.verify.clone().filter(|last| last.start.file != self.from.binlog.file) else {
            return Ok(self.verify.clone());
        };
        let files = self.source.binlogs().await?;
        let oldest = files.first().map(|file| BinlogPosition { file: file.name.clone(), offset: 0 });
        Ok(oldest.is_some_and(|oldest| oldest <= last.start).then_some(last))
    }

    fn start(&self, verify: Option<&LastTransaction>) -> StreamStart {
        match &self.from.gtids {
            Some(gtids) => {
                let mut gtids = gtids.clone();
                if let Some(gtid) = verify.and_then(|last| last.gtid.as_ref()) {
                    gtids.remove(gtid);
                }
                StreamStart::Gtids(gtids)
            }
            None => {
                StreamStart::File(verify.map_or_else(|| self.from.binlog.clone(), |last| last.start.clone()))
            }
        }
    }
}
