//! The stream's side of the core: transactions, gaps, and where to begin.

use super::lost::Had;
use super::protocol::{Begin, BuildSpec, Command, Failure, Outcome, Place, Rows, Selection};
use super::transactions::Prepared;
use super::view::Executed;
use super::{Core, FULL, Phase, StreamState, Waiter};
use crate::model::{BinlogPosition, Key, StreamPosition};

/// Why there is a gap where an address leads to another server than before.
pub const ANOTHER_SERVER: &str =
    "the source is another server, and without GTIDs positions do not carry over";

/// A place is not taken sooner than this after the last one, ms: a gap that comes back at once must not make
/// a hot loop.
pub(super) const GAP_PAUSE: u64 = 5_000;

impl Core {
    pub(super) fn begin(&mut self, begin: Begin) {
        self.seen.gtid(begin.gtid.as_ref());
        self.transactions.begin(begin);
        self.counts.transactions += 1;
    }

    pub(super) fn rows(&mut self, rows: Rows) {
        let Some(rows) = self.transactions.keep_back(rows) else { return };
        let asks = !rows.keys.is_empty() || !rows.lookups.is_empty();
        if let Some(lock) = rows.lock.filter(|_| asks) {
            self.seen.lock(self.transactions.newest(), lock);
        }
        self.dirty(&rows.keys, rows.lookups);
    }

    fn dirty(&mut self, keys: &[Key], lookups: Vec<(usize, Key)>) {
        let newest = self.transactions.newest();
        for key in keys {
            if self.mark(key, Waiter::Transaction(newest), true) {
                self.transactions.wait();
            }
        }
        for (rule, key) in lookups {
            if self.lookups.ask(rule, key, newest) {
                self.transactions.wait();
            }
        }
    }

    /// The open transaction is whole; what was kept back as XA has then committed in one phase.
    pub(super) fn whole(&mut self, end: BinlogPosition) {
        if let Some((xid, kept)) = self.transactions.kept_back() {
            self.committed(&xid, kept);
        }
        self.transactions.end(end);
    }

    pub(super) fn xa_resolved(&mut self, xid: &[u8], commit: bool) {
        match self.transactions.resolve(xid) {
            None if commit => {
                let xid = String::from_utf8_lossy(xid).into_owned();
                self.unknown_rows(format!("XA COMMIT of {xid}, whose PREPARE was not seen"));
            }
            Some(prepared) if commit => self.committed(xid, prepared),
            _ => {}
        }
    }

    /// The rows of an XA transaction become visible with the open transaction.
    fn committed(&mut self, xid: &[u8], prepared: Prepared) {
        if prepared.overflow {
            let xid = String::from_utf8_lossy(xid).into_owned();
            let cause = format!("XA transaction {xid} has too many rows to be kept until its commit");
            return self.unknown_rows(cause);
        }
        if let Some(lock) = prepared.lock {
            self.seen.lock(self.transactions.newest(), lock);
        }
        self.dirty(&prepared.keys, prepared.lookups);
    }

    /// The open transaction commits rows that nobody knows. The stream itself missed nothing: to begin it anew
    /// would only miss the PREPAREs that come meanwhile, and under constant XA traffic Fulls would follow each
    /// other for ever. So it goes on where it stands, and one Full begins after all that was committed by then.
    fn unknown_rows(&mut self, cause: String) {
        let seen =
            self.transactions.opened().is_some_and(|begin| match (&self.full_sees.gtids, &begin.gtid) {
                (Some(gtids), Some(gtid)) => gtids.contains(gtid),
                (None, None) => begin.start < self.full_sees.binlog,
                _ => false,
            });
        if seen {
            return;
        }
        let running = self.phase == Phase::Running;
        self.gap(cause);
        self.stream_whole = running && self.phase == Phase::Locating;
    }

    pub(super) fn idle(&mut self, at: BinlogPosition) {
        // the file before may be purged as soon as nothing is left in it to be read
        self.saving.changed |= self.transactions.idle(at);
        if self.transactions.len() == 0 {
            self.progressed = self.now.millis;
        }
    }

    pub(super) fn stream_lost(&mut self, failure: &Failure) {
        self.stream = StreamState::Closed;
        self.transactions.abort();
        self.counts.reconnects += 1;
        self.streaming.failed(self.now.millis, failure.class, &failure.message);
    }

    pub(super) fn stream_opened(&mut self) {
        if self.stream == StreamState::Opening {
            self.stream = StreamState::Open;
            self.streaming.succeeded();
            self.unopened = 0;
        }
    }

    /// True where events may be handed in: there is a stream and there is room.
    pub fn wants_events(&self) -> bool {
        self.phase == Phase::Running
            && self.stream != StreamState::Closed
            && self.pending() < self.config.max_pending
            && self.transactions.len() < self.config.max_transactions
            && self.seen.unconfirmed() < 1_000
    }

    pub(super) fn pump_stream(&mut self) {
        if self.stream == StreamState::Closed && self.streaming.allows(self.now.millis, 0) {
            self.stream = StreamState::Opening;
            self.out.push(Command::OpenStream {
                from: self.transactions.delivered.clone(),
                verify: self.transactions.delivered_last.clone(),
                schemas: std::sync::Arc::clone(&self.transactions.delivered_schemas),
            });
        }
    }

    /// Something was missed: all that was known of the stream is void, and a Full follows.
    pub(super) fn gap(&mut self, cause: String) {
        if matches!(self.phase, Phase::Locating | Phase::Recording | Phase::Halted | Phase::Stopping) {
            return;
        }
        self.counts.gaps += 1;
        if self.config.repair {
            self.locate(cause, true);
        } else {
            self.close_stream();
            self.cause = cause;
            self.phase = Phase::Halted;
        }
    }

    pub(super) fn executed(&mut self, position: StreamPosition, asked: u64) {
        let gtids = position.gtids.as_ref().filter(|_| self.phase == Phase::Running);
        let lost = gtids.and_then(|gtids| self.had.lost(self.now.millis, gtids));
        self.executed = Some(Executed { position, asked, read: self.now.millis });
        if let Some(lost) = lost {
            let (count, lost) = (lost.len(), lost.to_string());
            self.gap(format!(
                "the server was restored, or promoted without all: it lacks {count} transactions that it had ({lost:.200})"
            ));
        }
    }

    /// Begins (anew) at the place that source and index are at.
    pub(super) fn locate(&mut self, cause: String, full: bool) {
        self.close_stream();
        self.cause = cause;
        self.full_due |= full;
        self.stream_whole = false;
        self.phase = Phase::Locating;
        self.locating = false;
    }

    fn close_stream(&mut self) {
        if self.stream != StreamState::Closed {
            self.out.push(Command::CloseStream);
        }
        self.stream = StreamState::Closed;
    }

    /// When the next place may be taken. A server that streams from no place, not even the newest (its binlog is
    /// damaged), is asked less and less often.
    pub(super) fn rested_at(&self) -> Option<u64> {
        let pause = GAP_PAUSE << self.unopened.saturating_sub(1).min(6);
        self.settled_at.map(|at| at + pause)
    }

    pub(super) fn pump_locating(&mut self) {
        let ready = self.phase == Phase::Locating && !self.locating && !self.versions.exhausted();
        let rested = self.rested_at().is_none_or(|at| self.now.millis >= at);
        if ready && rested && self.streaming.allows(self.now.millis, 0) {
            self.locating = true;
            self.out.push(Command::TakePlace);
        }
    }

    pub(super) fn place_taken(&mut self, place: Outcome<Box<Place>>) {
        if self.phase != Phase::Locating {
            return;
        }
        self.locating = false;
        match place {
            Err(failure) => self.streaming.failed(self.now.millis, failure.class, &failure.message),
            Ok(place) => self.settle(*place),
        }
    }

    fn settle(&mut self, place: Place) {
        self.streaming.succeeded();
        self.settled_at = Some(self.now.millis);
        let first_version = if self.full_due {
            let Some(version) = self.versions.take() else { return };
            Some(version)
        } else {
            None
        };
        let end = place.deliver_first.clone().unwrap_or_else(|| place.position.binlog.clone());
        let mut sees = StreamPosition { gtids: place.position.gtids.clone(), binlog: end };
        if std::mem::take(&mut self.stream_whole) && self.is_at(&place) {
            self.transactions.abort();
            self.transactions.forget_waiting();
            // every read waits for them from now on, wherever it reads
            sees.gtids = sees.gtids.and_then(|gtids| self.seen.extend(&gtids));
        } else {
            self.begin_at(place);
            self.unopened = self.unopened.saturating_add(1);
        }
        self.forget_transactions();
        self.full_sees = StreamPosition::default();
        if let Some(first_version) = first_version {
            self.full_due = false;
            self.full_sees = sees;
            self.builds.remove(FULL);
            self.builds.add(self.full_spec(), None, &self.cause, first_version, true);
            self.full_begins();
        }
        self.phase = Phase::Recording;
        self.saving.urgent = true;
    }

    /// Is this still the server and the index that the stream and the lanes are about? Where the place begins at
    /// a file's head, the schemas are not those of where the stream stands. And without GTIDs nobody who goes on from
    /// where the stream stands knows that there are commits before it which are not visible yet.
    fn is_at(&self, place: &Place) -> bool {
        let (delivered, position) = (&self.transactions.delivered, &place.position);
        place.deliver_first.is_none()
            && place.server_uuid == self.identity.server_uuid
            && place.index_uuid == self.identity.index_uuid
            && position.gtids.is_some() == delivered.gtids.is_some()
            && (position.gtids.is_some() || delivered.binlog <= position.binlog)
    }

    /// All that was known of the stream is void: it begins here.
    fn begin_at(&mut self, place: Place) {
        self.had = Had::default();
        self.seen.reset(place.position.gtids.clone());
        self.identity.server_uuid = place.server_uuid;
        self.identity.index_uuid = place.index_uuid;
        self.identity.deliver_first = place.deliver_first;
        self.transactions.reset(place.position, place.last_transaction, place.schemas);
    }

    /// The Full that follows stands for all that transactions waited for.
    fn forget_transactions(&mut self) {
        for lane in &mut self.lanes {
            lane.forget_transactions();
        }
        self.letters.forget_transactions();
        self.lookups = super::Lookups::default();
    }

    /// A Full begins or goes on. It awaits the dead letters too, and what is in flight and may become one: an id that is
    /// in neither table nor index is nowhere else. And its sweep waits until all has landed that was read before.
    fn full_begins(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.sweep_from = self.now.millis + self.config.landing;
        }
        let hold = self.name();
        self.builds.also(FULL, hold);
        let batches = self.lanes.iter().filter_map(|lane| lane.batch.as_ref());
        let in_flight = batches.flat_map(|batch| batch.keys.iter().cloned());
        for key in in_flight.chain(self.letters.keys()).collect::<Vec<_>>() {
            if self.mark(&key, Waiter::Page(hold), false) {
                self.builds.wait(hold);
            }
        }
    }

    pub(super) fn full_spec(&self) -> BuildSpec {
        BuildSpec {
            name: FULL.into(),
            selection: Selection::Full,
            selection_hash: self.identity.query_hash.clone(),
            page_size: self.config.full_page,
        }
    }

    /// Decides where to begin, once the epoch is ours.
    pub(super) fn claimed(&mut self) {
        let loaded = &self.loaded;
        let same_task = loaded.task_uid.is_empty() || loaded.task_uid == self.identity.task_uid;
        let known = loaded.position.clone().filter(|_| same_task);
        let Some(position) = known else {
            let lost = self.identity.was_synced;
            self.counts.gaps += u64::from(lost);
            let cause = if lost { "the task's state is lost" } else { super::INITIAL };
            return self.locate(cause.into(), self.identity.initial_full || lost);
        };
        let moved = |found: &str, now: &str| !found.is_empty() && found != now;
        if loaded.query_hash != self.identity.query_hash {
            if !self.config.keep_on_change {
                return self.locate("the query changed".into(), true);
            }
            self.saving.changed = true;
        }
        let (last, schemas) = (loaded.last_transaction.clone(), loaded.schemas.clone());
        let replaced = moved(&loaded.index_uuid, &self.identity.index_uuid);
        let elsewhere = position.gtids.is_none() && moved(&loaded.server_uuid, &self.identity.server_uuid);
        self.seen.reset(position.gtids.clone());
        self.transactions.reset(position, last, schemas);
        self.phase = Phase::Running;
        if let Some(mut full) = self.loaded.builds.remove(FULL) {
            let spec = self.full_spec();
            // under another query that was to be kept it is still the same Full: it goes on, or is over
            full.selection_hash.clone_from(&spec.selection_hash);
            let cause = full.cause.clone();
            self.builds.add(spec, Some(full), &cause, 0, true);
            self.full_begins();
        }
        // What is saved before the place is taken still tells the next owner of the gap.
        if replaced {
            self.identity.index_uuid.clone_from(&self.loaded.index_uuid);
            self.gap("the index was replaced while the task was down".into());
        }
        if elsewhere {
            self.identity.server_uuid.clone_from(&self.loaded.server_uuid);
            self.gap(ANOTHER_SERVER.into()); // where the index was replaced too, that gap stands for both
        }
    }

    /// What waits for a person is tried at once.
    pub(super) fn probe(&mut self) {
        for health in [&mut self.source, &mut self.sink, &mut self.streaming] {
            health.probe(self.now.millis);
        }
    }

    pub(super) fn stop(&mut self) {
        self.close_stream();
        self.phase = Phase::Stopping;
        self.saving.urgent = true;
    }
}

#[cfg(test)]
mod tests;
