//! The worker's decisions as one pure state machine: inputs in, commands out, no I/O and no clock.
//!
//! In: [`Input`]s with the time. Out: [`Command`]s for the shell, and a [`View`] for people. A seeded
//! simulator drives it through every order of events (`tests/simulator`), so what is right here is right
//! before any server is asked.

mod batches;
mod builds;
mod health;
mod lane;
mod letters;
mod lookups;
mod lost;
mod protocol;
mod saving;
mod seen;
mod stream;
mod transactions;
mod versions;
mod view;
mod work;

use std::hash::{DefaultHasher, Hash, Hasher};

pub use builds::{FULL, INITIAL};
pub use protocol::{
    Begin, BuildSpec, Command, DeadLetter, Ended, Failure, Input, Now, Outcome, Page, Place, ReadRows,
    RowLock, Rows, SaveResult, Seen, Selection, Verdict, Written,
};
pub use stream::ANOTHER_SERVER;
pub use view::{BuildView, Counts, View};

use self::builds::Builds;
use self::health::Health;
use self::lane::{Lane, Waiter, Waiting};
use self::letters::DeadLetters;
use self::lookups::Lookups;
use self::lost::Had;
use self::saving::Saving;
use self::seen::SeenSet;
use self::transactions::Transactions;
use self::versions::Versions;
use crate::model::{BinlogPosition, Checkpoint, Key, StreamPosition};

/// Bounds and habits of a worker. Times in milliseconds.
#[derive(Clone, Debug)]
pub struct Config {
    /// Lanes: batches that are in flight at the same time. Default 8.
    pub lanes: usize,
    /// Most ids in a batch. Default 1,000.
    pub batch: usize,
    /// How long a batch that is not full waits for more ids. Default 0.
    pub linger: u64,
    /// For each lookup rule, after how many of its pages the rest gives way to fresh ids; 1 for rules beyond.
    pub fresh_pages: Vec<usize>,
    /// Ids and lookups that may wait before the stream is held back. Default 100,000.
    pub max_pending: usize,
    /// Transactions that may wait for acknowledgement. Default 100,000.
    pub max_transactions: usize,
    /// Values in one lookup. Default 1,000.
    pub lookup_keys: usize,
    /// Main keys in one page of a lookup. Default 1,000.
    pub lookup_page: usize,
    /// Keys in one page of a Full. Default 2,000.
    pub full_page: usize,
    /// The checkpoint is saved at most so often. Default 10,000.
    pub save_interval: u64,
    /// No action older than this is sent. Default 30,000.
    pub max_age: u64,
    /// What was sent lands at most so long after its version was taken: `max_age` and the way to the index.
    /// No sweep begins earlier after its Full, as it would miss what a dead or fenced owner has under way;
    /// only the first Full of a task that has neither state nor a synced index does not wait.
    /// Default 40,000.
    pub landing: u64,
    /// Documents that are not there are created without a version (`write: Upsert`). One that lands late could bring
    /// a document back whose row is gone: as long as that may be (`landing`), such ids are looked at again.
    pub late_creates: bool,
    /// An answer later than this after the version was taken does not count: half of `index.gc_deletes`.
    pub late_answer: u64,
    /// Dead letters that the store may hold. Default 10,000.
    pub max_dead_letters: usize,
    /// Repair gaps by a Full; otherwise halt.
    pub repair: bool,
    /// Where the query is another one than the checkpoint's, go on with it instead of building everything.
    pub keep_on_change: bool,
    /// Sweep the index at the end of a Full: not for shared indices.
    pub sweep: bool,
    /// `binlog_order_commits`.
    pub ordered_commits: bool,
    /// Seed of the backoff's jitter.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lanes: 8,
            batch: 1_000,
            linger: 0,
            fresh_pages: Vec::new(),
            max_pending: 100_000,
            max_transactions: 100_000,
            lookup_keys: 1_000,
            lookup_page: 1_000,
            full_page: 2_000,
            save_interval: 10_000,
            max_age: 30_000,
            landing: 40_000,
            late_creates: false,
            late_answer: 1_800_000,
            max_dead_letters: 10_000,
            repair: true,
            keep_on_change: false,
            sweep: true,
            ordered_commits: true,
            seed: 1,
        }
    }
}

/// Who the worker is and what it found when it started.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The task.
    pub task_uid: String,
    /// This run's random name.
    pub owner: String,
    /// Hash of query and mapping.
    pub query_hash: String,
    /// UUID of the index.
    pub index_uuid: String,
    /// UUID of the source server.
    pub server_uuid: String,
    /// Begin with a Full where there is no state.
    pub initial_full: bool,
    /// The index says that this task was in sync once.
    pub was_synced: bool,
    /// Without GTIDs, the end of the server's binlog at the start, see [`Place::deliver_first`].
    pub deliver_first: Option<BinlogPosition>,
}

/// Where the worker is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// The epoch is being claimed.
    Claiming,
    /// Source and index are asked where they are, to begin (or begin anew) there.
    Locating,
    /// That is being saved.
    Recording,
    Running,
    /// A gap was found and `onGap` is Halt.
    Halted,
    Stopping,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamState {
    Closed,
    Opening,
    Open,
}

/// One task's worker, without hands.
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own, none excludes another
#[derive(Debug)]
pub struct Core {
    config: Config,
    identity: Identity,
    phase: Phase,
    stream: StreamState,
    /// Why the next position is taken; a Full follows where `full_due`.
    cause: String,
    full_due: bool,
    /// The stream is whole and goes on where it stands: only a Full is due, that begins after this moment.
    stream_whole: bool,
    /// What was committed before this is seen by every read of the newest Full.
    full_sees: StreamPosition,
    locating: bool,
    /// When a place was settled last, ms.
    settled_at: Option<u64>,
    /// Places that streams were to begin at since one was open.
    unopened: u32,
    loaded: Checkpoint,
    epoch: u64,
    saving: Saving,
    versions: Versions,
    transactions: Transactions,
    seen: SeenSet,
    lanes: Vec<Lane>,
    next_lane: usize,
    batch_limit: usize,
    lookups: Lookups,
    builds: Builds,
    waiting_builds: Vec<BuildSpec>,
    /// No sweep before this time.
    sweep_from: u64,
    /// Until then documents of this owner or of one before may be created late, ms.
    creates_until: u64,
    /// Nobody wrote to the index before this owner.
    first: bool,
    letters: DeadLetters,
    source: Health,
    sink: Health,
    streaming: Health,
    names: u64,
    /// Version that somebody else wrote; nothing is read until the epoch is checked.
    foreign: Option<u64>,
    checking: bool,
    check_at: u64,
    /// What the server had executed when it was last asked.
    executed: Option<view::Executed>,
    had: Had,
    progressed: u64,
    counts: Counts,
    now: Now,
    out: Vec<Command>,
}

impl Core {
    /// A worker that has loaded this state, and claims it as its first act.
    pub fn new(
        config: Config,
        identity: Identity,
        loaded: Option<Checkpoint>,
        letters: Vec<DeadLetter>,
        now: Now,
    ) -> Self {
        // where state is lost, an owner of before may still live: his epochs must not come again
        let epoch = loaded.as_ref().map_or(now.unix_micros / 1_000, |loaded| loaded.epoch) + 1;
        let first = loaded.is_none() && !identity.was_synced;
        let loaded = loaded.unwrap_or_default();
        let lanes = (0..config.lanes.max(1)).map(|_| Lane::default()).collect();
        let health = |salt: u64| Health::new(config.seed.wrapping_mul(31).wrapping_add(salt));
        Self {
            phase: Phase::Claiming,
            stream: StreamState::Closed,
            cause: String::new(),
            full_due: false,
            stream_whole: false,
            full_sees: StreamPosition::default(),
            locating: false,
            settled_at: None,
            unopened: 0,
            epoch,
            saving: Saving::claim(),
            versions: Versions::above(loaded.version_ceiling),
            transactions: Transactions::default(),
            seen: SeenSet::new(config.ordered_commits),
            lanes,
            next_lane: 0,
            batch_limit: config.batch.clamp(1, 500),
            lookups: Lookups::default(),
            builds: Builds::new(config.sweep),
            waiting_builds: Vec::new(),
            sweep_from: now.millis,
            creates_until: if config.late_creates && !first { now.millis + config.landing } else { 0 },
            first,
            letters: DeadLetters::new(letters, config.max_dead_letters),
            source: health(1),
            sink: health(2),
            streaming: health(3),
            names: 0,
            foreign: None,
            checking: false,
            check_at: 0,
            executed: None,
            had: Had::default(),
            progressed: now.millis,
            counts: Counts::default(),
            now,
            out: Vec::new(),
            loaded,
            identity,
            config,
        }
    }

    /// Takes what happened, in order, and gives what to do. Call it with no input to begin.
    pub fn step(&mut self, now: Now, inputs: impl IntoIterator<Item = Input>) -> Vec<Command> {
        self.now = now;
        for input in inputs {
            if self.phase == Phase::Ended {
                break;
            }
            self.take(input);
        }
        self.pump();
        std::mem::take(&mut self.out)
    }

    fn take(&mut self, input: Input) {
        match input {
            // after a gap, what the old stream still says must not move the watermark
            _ if input.is_of_stream() && self.phase != Phase::Running => {}
            Input::Begin(begin) => self.begin(begin),
            Input::XaStart(xid) => self.transactions.xa_start(xid),
            Input::Rows(rows) => self.rows(rows),
            Input::End(end) => self.whole(end),
            Input::XaPrepared(end) => self.transactions.end_prepared(end),
            Input::XaResolved { xid, commit } => self.xa_resolved(&xid, commit),
            Input::Schemas(schemas) => self.transactions.schemas_moved(schemas),
            Input::Idle(at) => self.idle(at),
            Input::StreamLost(failure) => self.stream_lost(&failure),
            Input::StreamOpened => self.stream_opened(),
            Input::Gap(cause) => self.gap(cause),
            Input::PlaceTaken(place) => self.place_taken(place),
            Input::ReadDone { lane, rows } => self.read_done(lane, rows),
            Input::WriteDone { lane, written } => self.write_done(lane, written),
            Input::LookupDone { lookup, page } => self.lookup_done(lookup, page),
            Input::Walked { build, run, page } => self.walked(&build, run, page),
            Input::Saved(result) => self.saved(result),
            Input::DeadLettersSaved(result) => self.letters_saved(result),
            Input::EpochChecked(answer) => self.epoch_checked(answer),
            Input::Executed { position, asked } => self.executed(position, asked),
            Input::Build(spec) => self.waiting_builds.push(spec),
            Input::Cancel(build) => self.cancel(&build),
            Input::Estimate { build, keys } => self.builds.estimate(&build, keys),
            Input::Probe => self.probe(),
            Input::Stop => self.stop(),
            Input::Tick => {}
        }
    }

    /// Does everything that can be done now.
    fn pump(&mut self) {
        if self.phase == Phase::Ended {
            return;
        }
        if self.transactions.advance(self.config.max_transactions) {
            self.progressed = self.now.millis;
            self.saving.changed = true;
        }
        if self.builds.advance() {
            self.progressed = self.now.millis;
            self.saving.changed = true;
        }
        self.pump_locating();
        if self.phase == Phase::Running {
            self.pump_stream();
            self.pump_foreign();
            self.pump_lookups();
            self.pump_builds();
            self.pump_lanes();
        }
        self.pump_letters();
        self.pump_saving();
        self.pump_stopping();
    }

    fn lane_of(&self, key: &Key) -> usize {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        (hasher.finish() % self.lanes.len() as u64) as usize
    }

    fn name(&mut self) -> u64 {
        self.names += 1;
        self.names
    }

    /// Marks an id dirty in its lane; true where the waiter must be counted.
    fn mark(&mut self, key: &Key, waiter: Waiter, fresh: bool) -> bool {
        let lane = self.lane_of(key);
        self.lanes.get_mut(lane).is_some_and(|lane| lane.mark(key, waiter, fresh))
    }

    /// Lets go of everybody who waited for an id.
    fn release(&mut self, waiting: Waiting) {
        if let Some(transaction) = waiting.transaction {
            self.transactions.release(transaction);
        }
        for page in waiting.pages {
            if !self.builds.release(page) {
                self.lookups.release(page);
                self.finish_lookup(page);
            }
        }
    }

    /// Ids that wait or are in flight.
    fn ids(&self) -> usize {
        let in_flight = self.lanes.iter().filter_map(|lane| lane.batch.as_ref()).map(|b| b.keys.len());
        let queued = self.lanes.iter().map(Lane::pending);
        queued.chain(in_flight).sum()
    }

    /// Ids that wait or are in flight, and lookups.
    fn pending(&self) -> usize {
        self.ids() + self.lookups.pending()
    }

    fn batches_in_flight(&self) -> usize {
        self.lanes.iter().filter(|lane| lane.batch.is_some()).count()
    }
}

#[cfg(test)]
mod batches_tests;
#[cfg(test)]
mod gap_tests;
#[cfg(test)]
mod upsert_tests;
#[cfg(test)]
mod xa_tests;
