//! The checkpoint's compare-and-swap, version blocks, dead letters, and the end of a worker.

use super::protocol::{Command, Ended, SaveResult};
use super::{Core, Phase};
use crate::model::{BuildPhase, Checkpoint};

#[derive(Debug, Default)]
pub(super) struct Saving {
    claimed: bool,
    in_flight: Option<Flight>,
    /// Builds whose phase moved, to be told once it is durable.
    moved: Vec<(String, BuildPhase)>,
    moving: Vec<(String, BuildPhase)>,
    last: u64,
    retry_at: u64,
    failures: u32,
    pub(super) changed: bool,
    pub(super) urgent: bool,
    pub(super) error: Option<String>,
}

/// A save under way, with the version block that it reserves.
#[derive(Debug)]
struct Flight {
    block: Option<(u64, u64)>,
    /// It holds the place at which the worker is about to begin.
    place: bool,
}

impl Saving {
    pub(super) fn claim() -> Self {
        Self { urgent: true, ..Self::default() }
    }

    pub(super) fn due(&self, interval: u64) -> Option<u64> {
        let wanted = if self.urgent { 0 } else { self.last + interval };
        (self.in_flight.is_none() && (self.changed || self.urgent)).then_some(wanted.max(self.retry_at))
    }

    pub(super) fn moved(&mut self, build: String, phase: BuildPhase) {
        self.urgent = true;
        self.moved.push((build, phase));
    }
}

impl Core {
    pub(super) fn pump_saving(&mut self) {
        if self.saving.in_flight.is_some() {
            return; // what it reserves is not adopted yet: whether more is needed shows afterwards
        }
        self.saving.urgent |= self.versions.low();
        let due = self.saving.due(self.config.save_interval);
        if due.is_none_or(|due| due > self.now.millis) {
            return;
        }
        let block = (self.versions.low() || self.foreign.is_some() || !self.saving.claimed)
            .then(|| self.versions.next_block(self.now.unix_micros, self.foreign.unwrap_or(0)));
        let mut checkpoint = self.checkpoint();
        checkpoint.version_ceiling = block.map_or(self.versions.ceiling, |(_, ceiling)| ceiling);
        let expect = if self.saving.claimed { self.epoch } else { self.loaded.epoch };
        let ceiling = self.versions.ceiling;
        self.saving.in_flight = Some(Flight { block, place: self.phase == Phase::Recording });
        self.saving.moving = std::mem::take(&mut self.saving.moved);
        (self.saving.urgent, self.saving.changed) = (false, false);
        self.saving.last = self.now.millis;
        self.out.push(Command::Save { expect, ceiling, checkpoint: Box::new(checkpoint) });
    }

    fn checkpoint(&self) -> Checkpoint {
        let mine =
            Checkpoint { epoch: self.epoch, owner: self.identity.owner.clone(), ..Checkpoint::default() };
        if self.transactions.moves == 0 {
            // no position was taken yet: nothing is known that is better than what was loaded
            return Checkpoint { epoch: mine.epoch, owner: mine.owner, ..self.loaded.clone() };
        }
        Checkpoint {
            position: Some(self.transactions.acked.clone()),
            server_uuid: self.identity.server_uuid.clone(),
            last_transaction: self.transactions.last.clone(),
            task_uid: self.identity.task_uid.clone(),
            query_hash: self.identity.query_hash.clone(),
            index_uuid: self.identity.index_uuid.clone(),
            schemas: self.transactions.schemas.to_vec(),
            builds: self.build_records(),
            ..mine
        }
    }

    pub(super) fn saved(&mut self, result: SaveResult) {
        let Some(flight) = self.saving.in_flight.take() else { return };
        match result {
            SaveResult::Done => self.save_done(&flight),
            SaveResult::Lost(who) => self.end(Ended::Lost(who)),
            SaveResult::Failed(error) | SaveResult::Full(error) => {
                self.counts.store_retries += 1;
                let moving = std::mem::take(&mut self.saving.moving);
                self.saving.moved.splice(0..0, moving);
                self.saving.failures = (self.saving.failures + 1).min(6);
                self.saving.retry_at = self.now.millis + (100 << self.saving.failures);
                self.saving.error = Some(error);
                self.saving.urgent = true;
            }
        }
    }

    fn save_done(&mut self, flight: &Flight) {
        (self.saving.failures, self.saving.error) = (0, None);
        self.counts.saves += 1;
        if let Some((first, ceiling)) = flight.block {
            self.versions.adopt(first, ceiling);
            self.loaded.version_ceiling = ceiling;
            if !self.checking && self.foreign.is_some_and(|above| above < first) {
                self.foreign = None;
            }
        }
        for (build, phase) in std::mem::take(&mut self.saving.moving) {
            self.out.push(Command::BuildMoved { build, phase });
        }
        if !self.saving.claimed {
            self.saving.claimed = true;
            if self.phase == Phase::Claiming {
                self.claimed();
            }
        } else if self.phase == Phase::Recording && flight.place {
            self.phase = Phase::Running;
        }
    }

    /// A version above ours was met: is the epoch still ours?
    pub(super) fn pump_foreign(&mut self) {
        if self.foreign.is_some() && !self.checking && self.now.millis >= self.check_at {
            self.checking = true;
            self.out.push(Command::CheckEpoch { epoch: self.epoch });
        }
    }

    pub(super) fn epoch_checked(&mut self, answer: super::Outcome<bool>) {
        self.checking = false;
        self.check_at = self.now.millis + 1_000;
        match answer {
            Ok(true) => {
                // a lost counter or a foreign writer: go on above it
                self.counts.foreign_writers += 1;
                self.saving.urgent = true;
            }
            Ok(false) => self.end(Ended::Lost("the checkpoint has another epoch".into())),
            Err(failure) => self.saving.error = Some(failure.message),
        }
    }

    pub(super) fn pump_letters(&mut self) {
        if let Some((add, remove)) = self.letters.next_save(self.now.millis) {
            self.out.push(Command::SaveDeadLetters { epoch: self.epoch, add, remove });
        }
    }

    pub(super) fn letters_saved(&mut self, result: SaveResult) {
        match result {
            SaveResult::Done => {
                for waiting in self.letters.saved() {
                    self.release(waiting);
                }
            }
            SaveResult::Lost(who) => self.end(Ended::Lost(who)),
            SaveResult::Failed(error) => {
                self.counts.store_retries += 1;
                self.letters.save_failed(self.now.millis + 1_000, true);
                self.saving.error = Some(error);
            }
            SaveResult::Full(error) => {
                self.counts.store_retries += 1;
                self.letters.save_failed(self.now.millis + 5_000, false);
                self.letters.full = true;
                self.saving.error = Some(error);
            }
        }
    }

    pub(super) fn pump_stopping(&mut self) {
        let quiet = self.batches_in_flight() == 0 && self.letters.settled();
        let stored = self.saving.in_flight.is_none() && !self.saving.changed && !self.saving.urgent;
        if self.phase == Phase::Stopping && quiet && stored {
            self.end(Ended::Stopped);
        }
    }

    pub(super) fn end(&mut self, why: Ended) {
        self.phase = Phase::Ended;
        self.out.push(Command::End(why));
    }
}
