//! What all tasks of a worker share.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use super::addresses::{Addresses, IdTemplate, Routing};
use super::core::{FULL, Failure, Input, Now, Seen};
use super::misplaced::Misplaced;
use super::request::BuildRequest;
use super::write_log::WriteLog;
use crate::document::{OwnFields, Shape};
use crate::mapping::{Plan, QueryText, WalkSelection};
use crate::metrics::TaskMetrics;
use crate::model::{BinlogPosition, TableMapping, quoted};
use crate::sink::{Sink, SinkError, SinkOptions};
use crate::source::{LockTarget, Reader, Source, SourceError, SourceOptions, Visibility};

/// A task as the pipeline needs it.
#[derive(Debug, Clone)]
pub struct TaskOptions {
    /// The task's name for people and metrics, `namespace/name`.
    pub name: String,
    /// Whose state it is: in a cluster the object's UID.
    pub uid: String,
    /// The MySQL server.
    pub source: SourceOptions,
    /// A replica that rows are read from.
    pub reader: Option<SourceOptions>,
    /// Connections that read rows at most.
    pub pool_size: Option<usize>,
    /// The replica's server id; derived from the task where absent.
    pub server_id: Option<u32>,
    /// The query and its overrides.
    pub query: QueryText,
    /// What several rows of one id are.
    pub several: SeveralRows,
    /// `onMissing: Keep`: a document stays while the main table has its row.
    pub keep_missing: bool,
    /// Connections by which one lane reads the shards of its batch, as far as the pool has them. Default 4.
    pub connections: usize,
    /// What becomes of a row on its way to a document.
    pub shape: Shape,
    /// How `_id`s are made of keys, where not plainly.
    pub id_template: Option<String>,
    /// The column of the result whose value is the document's routing.
    pub routing: Option<String>,
    /// The task's fields are put into documents that other tasks write too.
    pub upsert: bool,
    /// Tells apart what else decides the documents' content beside the query; empty where nothing else does.
    pub content: String,
    /// The index.
    pub sink: SinkOptions,
    /// Build everything where there is no state.
    pub initial_full: bool,
    /// The task is known to have been in sync once: where it has no state, that is lost.
    pub was_synced: bool,
    /// Bounds and habits; `late_answer`, `ordered_commits`, `seed` are set from what the servers say.
    pub core: super::core::Config,
    /// Bytes of one bulk request at most. Default 5 MiB.
    pub batch_bytes: usize,
    /// Not ready after so long without progress. Default 5 min.
    pub stall_timeout: Duration,
    /// Builds to run, in order; what is wrong with one of them keeps the task from starting.
    pub builds: Vec<BuildRequest>,
    /// Names of builds that [`super::Control::Build`] will ask for: what the checkpoint knows of them is kept,
    /// of others not.
    pub later_builds: Vec<String>,
    /// Where every action is written down, for audits.
    pub write_log: Option<PathBuf>,
    /// The binlog is not followed: only builds run.
    pub streamless: bool,
    /// End with an error instead of waiting where something needs a person.
    pub impatient: bool,
}

/// What several rows of one id are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SeveralRows {
    /// An error of that document.
    #[default]
    Error,
    /// The first counts.
    First,
    /// One document with arrays.
    Array,
}

impl TaskOptions {
    /// A hash of all that decides the documents' content.
    pub(super) fn content_hash(&self, plan: &Plan) -> String {
        if self.content.is_empty() {
            return plan.query_hash();
        }
        let digest = Sha256::digest(format!("{} {}", plan.query_hash(), self.content));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Where the documents of the plan's keys are.
    fn addresses(&self, plan: &Plan) -> Addresses {
        let columns = plan.key_columns();
        // a template that cannot be read has been refused before the start
        let ids = self.id_template.as_deref().and_then(|template| IdTemplate::parse(template, columns).ok());
        let ids = ids.unwrap_or_else(|| IdTemplate::plain(columns.len()));
        Addresses { ids, routing: Routing::of(self.routing.as_deref(), columns) }
    }

    /// False for builds in a checkpoint that nobody asks for any more.
    pub(super) fn asks_for(&self, build: &str) -> bool {
        let mut asked = self.builds.iter().map(|build| &build.name).chain(&self.later_builds);
        build == FULL || asked.any(|name| name == build)
    }
}

/// A monotonic clock and the wall clock. `Instant` goes on while the process is stopped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { millis: self.millis(), unix_micros: unix.as_micros() as u64 }
    }

    pub(super) fn millis(self) -> u64 {
        self.0.elapsed().as_millis() as u64
    }

    pub(super) fn at(self, millis: u64) -> Instant {
        self.0 + Duration::from_millis(millis)
    }
}

/// Connections, plan and channels of one worker.
pub(super) struct Shared {
    pub(super) options: TaskOptions,
    pub(super) source: Source,
    pub(super) sink: Sink,
    /// What builds of users walk, by name.
    walks: Mutex<HashMap<String, WalkSelection>>,
    plan: RwLock<Arc<Plan>>,
    /// The fields that the task writes, where others stay.
    own_fields: RwLock<Option<Arc<OwnFields>>>,
    /// Where the documents of keys are, by the plan's key.
    addresses: RwLock<Arc<Addresses>>,
    pub(super) misplaced: Misplaced,
    pub(super) clock: Clock,
    pub(super) done: mpsc::UnboundedSender<Input>,
    pub(super) write_log: Option<WriteLog>,
    pub(super) metrics: TaskMetrics,
    /// No action older than this is sent, ms.
    pub(super) max_age: u64,
    /// Where rows are read.
    reads: Source,
    idle_readers: Mutex<Vec<(Instant, Reader)>>,
    /// As many reads at once as there may be connections.
    pool: Semaphore,
    index_uuid: Mutex<String>,
    settled: Mutex<Option<BinlogPosition>>,
    /// How long the server keeps its binlog, in seconds; `None` for ever.
    pub(super) binlog_kept: Option<u64>,
    /// About so many rows has the main table; 0 where unknown.
    pub(super) main_rows: AtomicU64,
    mapping: Mutex<Arc<Vec<TableMapping>>>,
}

impl Shared {
    #[allow(clippy::too_many_arguments)] // made in one place
    pub(super) fn new(
        options: TaskOptions,
        source: Source,
        reads: Source,
        sink: Sink,
        plan: Plan,
        clock: Clock,
        done: mpsc::UnboundedSender<Input>,
        metrics: TaskMetrics,
        max_age: u64,
        binlog_kept: Option<u64>,
    ) -> Result<Self, std::io::Error> {
        let write_log = options.write_log.as_deref().map(WriteLog::open).transpose()?;
        let mapping = Mutex::new(Arc::new(plan.rules_in_words()));
        let addresses = RwLock::new(Arc::new(options.addresses(&plan)));
        let plan = RwLock::new(Arc::new(plan));
        let pool = Semaphore::new(options.pool_size.unwrap_or(Semaphore::MAX_PERMITS));
        let (idle_readers, index_uuid, settled) = (Mutex::default(), Mutex::default(), Mutex::default());
        Ok(Self {
            options,
            source,
            sink,
            walks: Mutex::default(),
            plan,
            own_fields: RwLock::default(),
            addresses,
            misplaced: Misplaced::default(),
            clock,
            done,
            write_log,
            metrics,
            max_age,
            reads,
            idle_readers,
            pool,
            index_uuid,
            settled,
            binlog_kept,
            main_rows: AtomicU64::new(0),
            mapping,
        })
    }

    pub(super) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where the documents of keys are.
    pub(super) fn addresses(&self) -> Arc<Addresses> {
        Arc::clone(&self.addresses.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The fields that the task writes, where those of others stay.
    pub(super) fn own_fields(&self) -> Option<Arc<OwnFields>> {
        self.own_fields.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_own_fields(&self, own: Option<OwnFields>) {
        *self.own_fields.write().unwrap_or_else(PoisonError::into_inner) = own.map(Arc::new);
    }

    /// What each table's changes mean, for people.
    pub(super) fn mapping(&self) -> Arc<Vec<TableMapping>> {
        Arc::clone(&self.mapping.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_plan(&self, plan: Plan) {
        *self.mapping.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(plan.rules_in_words());
        *self.addresses.write().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(self.options.addresses(&plan));
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(plan);
    }

    /// What a build walks; `None` where nobody asks for it any more.
    pub(super) fn walk(&self, build: &str) -> Option<WalkSelection> {
        if build == FULL {
            return Some(WalkSelection::All);
        }
        self.walks.lock().unwrap_or_else(PoisonError::into_inner).get(build).cloned()
    }

    pub(super) fn set_walk(&self, build: &str, walk: Option<WalkSelection>) {
        let mut walks = self.walks.lock().unwrap_or_else(PoisonError::into_inner);
        match walk {
            Some(walk) => walks.insert(build.to_owned(), walk),
            None => walks.remove(build),
        };
    }

    /// The identity of the index that was prepared last.
    pub(super) fn index_uuid(&self) -> String {
        self.index_uuid.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_index_uuid(&self, uuid: &str) {
        uuid.clone_into(&mut self.index_uuid.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Without GTIDs, the end of what had happened when the last place was taken by this process.
    pub(super) fn settled(&self) -> Option<BinlogPosition> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_settled(&self, end: Option<BinlogPosition>) {
        *self.settled.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    /// Tells the core. Where it has ended, nobody needs to know any longer.
    pub(super) fn tell(&self, input: Input) {
        let _ = self.done.send(input);
    }

    /// A connection that reads rows, once one is free; to be given back when it did well, and within the time of its
    /// permit.
    pub(super) async fn borrow_reader(&self) -> Result<(Reader, SemaphorePermit<'_>), SourceError> {
        let closed =
            |_| SourceError::Unexpected { doing: "waiting for a connection".into(), found: "no pool".into() };
        let permit = self.pool.acquire().await.map_err(closed)?;
        Ok((self.connected().await?, permit))
    }

    /// At most so many permits for more connections, those that are free now: who has a connection must not wait for
    /// another one, or all may wait for each other.
    pub(super) fn free_permits(&self, most: usize) -> Vec<SemaphorePermit<'_>> {
        (0..most).map_while(|_| self.pool.try_acquire().ok()).collect()
    }

    /// A connection that reads rows, for the holder of a permit.
    pub(super) async fn connected(&self) -> Result<Reader, SourceError> {
        let idle = self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some((_, reader)) => Ok(reader),
            None => self.reads.reader().await,
        }
    }

    pub(super) fn give_back(&self, reader: Reader) {
        self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), reader));
    }

    /// Closes connections that nobody has borrowed lately.
    pub(super) fn close_idle_readers(&self) {
        let mut idle = self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(since, _)| since.elapsed() < super::lane_task::IDLE);
    }
}

pub(super) fn source_failure(error: &SourceError) -> Failure {
    Failure { class: error.class(), message: error.to_string() }
}

pub(super) fn sink_failure(error: &SinkError) -> Failure {
    Failure { class: error.class(), message: error.to_string() }
}

pub(super) fn visibility(seen: &Seen) -> Visibility {
    match seen {
        Seen::Nothing => Visibility::Nothing,
        Seen::Gtids(gtids) => Visibility::Gtids(Arc::clone(gtids)),
        Seen::Locks(locks) => {
            let target = |lock: &super::core::RowLock| LockTarget {
                table: lock.table.quoted(),
                columns: lock.columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "),
                key: lock.key.clone(),
            };
            Visibility::Locks(locks.iter().map(target).collect())
        }
    }
}
