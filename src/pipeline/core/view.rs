//! What people may know of a worker.

use super::{Core, FULL, Phase, StreamState};
use crate::model::{Build, StreamPosition};

/// What the server had executed counts for so long, ms.
const EXECUTED_VALID: u64 = 10_000;

/// Counters since the worker's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Transactions begun in the stream.
    pub transactions: u64,
    /// Documents written.
    pub written: u64,
    /// Documents deleted, those that were not there included.
    pub deleted: u64,
    /// Actions that a later one had overtaken.
    pub superseded: u64,
    /// Actions refused for good.
    pub rejected: u64,
    /// Reads, lookups and pages of the source that failed; they are tried again.
    pub source_retries: u64,
    /// Bulk requests and sweeps that failed, or of which a part is to be sent later; they are tried again.
    pub sink_retries: u64,
    /// Saves of the checkpoint and of dead letters that failed; they are tried again.
    pub store_retries: u64,
    /// Batches read.
    pub reads: u64,
    /// Lookup pages asked for.
    pub lookups: u64,
    /// Checkpoints saved.
    pub saves: u64,
    /// Streams lost.
    pub reconnects: u64,
    /// Gaps found.
    pub gaps: u64,
    /// Times that somebody else's version was met under our own epoch.
    pub foreign_writers: u64,
}

/// One build's progress.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildView {
    /// Its name.
    pub name: String,
    /// Its record.
    pub build: Build,
}

/// A worker's state at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The watermark.
    pub position: StreamPosition,
    /// The owner's epoch.
    pub epoch: u64,
    /// Ids and lookups that wait or are in flight.
    pub pending: usize,
    /// Batches in flight.
    pub in_flight: usize,
    /// Dead letters.
    pub dead_letters: usize,
    /// The dead letters' store takes no more: the task stands still until letters are gone.
    pub dead_letters_full: bool,
    /// Commit time of the oldest change that is not acknowledged, microseconds since 1970; `None` where
    /// there is none. 0 where the server does not tell commit times.
    pub oldest_commit: Option<u64>,
    /// The watermark has reached what the server had executed when it was last asked, and no build of the
    /// task's own is under way.
    pub caught_up: bool,
    /// Everything committed before this time is in the index or among the dead letters, microseconds since 1970; `None`
    /// where no such time is known.
    pub complete_until: Option<u64>,
    /// The stream is open.
    pub streaming: bool,
    /// The stream's, the reads', the index's and the stores' trouble, in words.
    pub stream_error: Option<String>,
    /// The reads' trouble.
    pub source_error: Option<String>,
    /// The index's trouble.
    pub sink_error: Option<String>,
    /// The stores' trouble.
    pub store_error: Option<String>,
    /// Something waits for a person, in words.
    pub halted: Option<String>,
    /// Why a Full runs or a position is being taken.
    pub repairing: Option<String>,
    /// Builds, running and complete.
    pub builds: Vec<BuildView>,
    /// No build waits or runs.
    pub builds_idle: bool,
    /// When watermark or a cursor last moved, or the idle source was last heard, ms.
    pub progressed: u64,
    /// Counters.
    pub counts: Counts,
    /// Somebody else writes to the index.
    pub foreign_writer: bool,
}

/// What the server had executed when it was asked.
#[derive(Clone, Debug)]
pub(super) struct Executed {
    pub(super) position: StreamPosition,
    /// Microseconds since 1970.
    pub(super) asked: u64,
    /// When the answer came, ms.
    pub(super) read: u64,
}

impl Core {
    /// The state for people.
    pub fn view(&self) -> View {
        let builds = self.builds.records();
        let full = builds.get(FULL).filter(|build| !build.phase.is_over());
        let locating = matches!(self.phase, Phase::Locating | Phase::Recording | Phase::Halted);
        let gap = locating.then(|| self.cause.clone());
        let halted_gap = (self.phase == Phase::Halted).then(|| format!("gap: {}", self.cause));
        let halted = |health: &super::Health| health.halted().map(str::to_owned);
        let caught_up = self.caught_up() && full.is_none();
        View {
            position: self.transactions.acked.clone(),
            epoch: self.epoch,
            pending: self.pending(),
            in_flight: self.batches_in_flight(),
            dead_letters: self.letters.len(),
            dead_letters_full: self.letters.full,
            oldest_commit: self.transactions.oldest_commit(),
            caught_up,
            complete_until: self.complete_until(caught_up).filter(|_| full.is_none()),
            streaming: self.stream == StreamState::Open,
            stream_error: self.streaming.error().map(str::to_owned),
            source_error: self.source.error().map(str::to_owned),
            sink_error: self.sink.error().map(str::to_owned),
            store_error: self.saving.error.clone(),
            halted: halted_gap
                .or_else(|| halted(&self.source))
                .or_else(|| halted(&self.sink))
                .or_else(|| halted(&self.streaming)),
            repairing: gap.or_else(|| full.map(|build| build.cause.clone())),
            builds: builds.into_iter().map(|(name, build)| BuildView { name, build }).collect(),
            builds_idle: self.builds.idle() && self.waiting_builds.is_empty(),
            progressed: self.progressed,
            counts: self.counts,
            foreign_writer: self.foreign.is_some() || self.counts.foreign_writers > 0,
        }
    }

    /// The commit time of the oldest change that waits; else when the server was asked, where all of what it had executed
    /// then is there.
    fn complete_until(&self, caught_up: bool) -> Option<u64> {
        if self.phase != Phase::Running {
            return None;
        }
        let executed = || self.executed.as_ref().filter(|_| caught_up).map(|executed| executed.asked);
        self.transactions.oldest_commit().map_or_else(executed, |commit| (commit > 0).then_some(commit))
    }

    fn caught_up(&self) -> bool {
        let Some(Executed { position: executed, read, .. }) = &self.executed else { return false };
        if self.now.millis.saturating_sub(*read) > EXECUTED_VALID {
            return false;
        }
        if self.phase != Phase::Running || self.stream != StreamState::Open {
            return false;
        }
        let acked = &self.transactions.acked;
        match (&executed.gtids, &acked.gtids) {
            (Some(executed), Some(acked)) => {
                // what is only prepared is not there to be seen
                let mut acked = acked.clone();
                self.transactions.invisible().for_each(|gtid| acked.insert(gtid));
                executed.is_subset_of(&acked)
            }
            (None, None) => executed.binlog <= acked.binlog,
            _ => false,
        }
    }

    /// When the core wants to be stepped again although nothing happened, ms.
    pub fn deadline(&self) -> Option<u64> {
        let lanes = self.lanes.iter().filter(|lane| lane.batch.is_none() && lane.pending() > 0);
        let healths = [&self.source, &self.sink, &self.streaming];
        let letters = self.letters.unsaved().then_some(self.letters.retry_at);
        let linger = self.config.linger;
        (lanes.map(|lane| lane.not_before.max(lane.since.map_or(0, |since| since.saturating_add(linger)))))
            .chain(healths.into_iter().filter_map(super::Health::retry_at))
            .chain(self.saving.due(self.config.save_interval))
            .chain(letters)
            .chain(self.builds.sweeps().then_some(self.sweep_from))
            .chain(self.foreign.map(|_| self.check_at))
            .chain(self.rested_at())
            .filter(|at| *at > self.now.millis)
            .min()
    }
}
