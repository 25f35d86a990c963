//! Batches: read under a version, written with it, judged id by id.

use super::lane::Batch;
use super::protocol::{Command, DeadLetter, Failure, Outcome, ReadRows, Verdict, Written};
use super::{Core, Waiter};
use crate::model::{Class, Key};

/// What the verdicts of one batch add up to.
#[derive(Default)]
struct Sum {
    settled: usize,
    retry: Option<String>,
    halt: Option<String>,
    missing: Option<String>,
    /// Some ids are only to be looked at again.
    later: bool,
}

/// So soon is looked again at ids whose documents may be created late, ms.
const LOOK_AGAIN: u64 = 500;

impl Core {
    pub(super) fn pump_lanes(&mut self) {
        if self.foreign.is_some() {
            return;
        }
        let first = self.next_lane;
        for step in 0..self.lanes.len() {
            let lane = (first + step) % self.lanes.len();
            let in_flight = self.batches_in_flight();
            let now = self.now.millis;
            if !self.source.allows(now, in_flight) || !self.sink.allows(now, in_flight) {
                return;
            }
            if self.start_batch(lane) {
                // while one thing at a time is tried, what always fails must not be tried alone for ever
                self.next_lane = (lane + 1) % self.lanes.len();
            }
        }
    }

    /// True where there was something to begin.
    fn start_batch(&mut self, lane_number: usize) -> bool {
        let (now, limit, linger) = (self.now.millis, self.batch_limit, self.config.linger);
        let Some(lane) = self.lanes.get_mut(lane_number) else { return false };
        if lane.batch.is_some() || lane.pending() == 0 || now < lane.not_before {
            return false;
        }
        if lane.pending() < limit && now < lane.since.get_or_insert(now).saturating_add(linger) {
            return false;
        }
        let Some(version) = self.versions.take() else { return false };
        let seen = self.seen.token();
        lane.since = None;
        let (keys, waiting, fresh) = lane.take(limit);
        let keys: std::sync::Arc<[Key]> = keys.into();
        lane.batch = Some(Batch {
            keys: std::sync::Arc::clone(&keys),
            waiting,
            fresh,
            version,
            taken: now,
            seen: self.seen.newest(),
            bad: Vec::new(),
            missing: Vec::new(),
            others: Vec::new(),
        });
        self.counts.reads += 1;
        self.out.push(Command::Read { lane: lane_number, keys, version, taken: now, seen });
        true
    }

    pub(super) fn read_done(&mut self, lane: usize, rows: Outcome<ReadRows>) {
        let Some(taken) = self.lanes.get(lane).and_then(|l| l.batch.as_ref()).map(|batch| batch.taken) else {
            return;
        };
        let age = self.now.millis.saturating_sub(taken);
        match rows {
            Err(failure) => {
                // the same again may fail again: what takes too long, or one id of many
                self.shrink();
                self.source_failed(&failure);
                self.put_back(lane);
            }
            Ok(_) if age > self.config.max_age => {
                self.shrink();
                self.put_back(lane);
            }
            Ok(rows) => {
                self.source.succeeded();
                self.rows_read(lane, rows);
            }
        }
    }

    fn rows_read(&mut self, lane_number: usize, rows: ReadRows) {
        let Some(batch) = self.lanes.get_mut(lane_number).and_then(|lane| lane.batch.as_mut()) else {
            return;
        };
        let mut has_row = vec![false; batch.keys.len()];
        for at in rows.found.iter().chain(rows.bad.iter().map(|(at, _)| at)) {
            if let Some(slot) = has_row.get_mut(*at) {
                *slot = true;
            }
        }
        batch.missing = has_row.iter().enumerate().filter(|(_, has)| !**has).map(|(at, _)| at).collect();
        (batch.bad, batch.others) = (rows.bad, rows.others);
        let missing = batch.missing.clone();
        self.seen.confirmed(batch.seen);
        let nothing = rows.found.is_empty() && missing.is_empty();
        let verdicts = if nothing { Some(vec![None; batch.keys.len()]) } else { None };
        match verdicts {
            Some(verdicts) => self.write_done(lane_number, Written::Verdicts(verdicts)),
            None => self.out.push(Command::Write { lane: lane_number, missing }),
        }
    }

    /// The same key in another spelling: dirty in its own lane, and awaited by all that the batch is, also
    /// where a younger transaction waits for it already.
    fn mark_others(&mut self, batch: &Batch) {
        let oldest = batch.waiting.iter().filter_map(|waiting| waiting.transaction).min();
        let mut pages: Vec<u64> = batch.waiting.iter().flat_map(|waiting| waiting.pages.clone()).collect();
        pages.sort_unstable();
        pages.dedup();
        for key in &batch.others {
            if let Some(transaction) = oldest {
                self.transactions.wait_for(transaction);
                let lane = self.lane_of(key);
                let lane = self.lanes.get_mut(lane);
                if let Some(relieved) = lane.and_then(|lane| lane.hold(key, transaction)) {
                    self.transactions.release(relieved);
                }
            }
            for page in &pages {
                if self.mark(key, Waiter::Page(*page), false) {
                    self.builds.wait(*page);
                    self.lookups.wait(*page);
                }
            }
        }
    }

    pub(super) fn write_done(&mut self, lane: usize, written: Written) {
        let Some(batch) = self.lanes.get(lane).and_then(|l| l.batch.as_ref()) else { return };
        let age = self.now.millis.saturating_sub(batch.taken);
        let single = batch.keys.len() == 1;
        match written {
            Written::TooOld => {
                // the same again would be too old again
                self.shrink();
                self.creates_may_land();
                self.put_back(lane);
            }
            Written::TooLarge if single => {
                let reason = "the document alone is larger than the server takes in one request";
                self.judge(lane, vec![Some(Verdict::Rejected(reason.into()))]);
            }
            Written::TooLarge => {
                self.shrink();
                self.put_back(lane);
            }
            Written::Busy(failure) => {
                self.shrink();
                self.sink_failed(failure.class, &failure.message);
                self.put_back(lane);
            }
            Written::Failed(failure) => {
                // what takes the server too long would take it as long again
                self.shrink();
                self.creates_may_land();
                self.sink_failed(failure.class, &failure.message);
                self.put_back(lane);
            }
            Written::Verdicts(_) if age > self.config.late_answer => {
                self.creates_may_land();
                self.put_back(lane);
            }
            Written::Verdicts(verdicts) => self.judge(lane, verdicts),
        }
    }

    /// Nobody knows what became of what was sent.
    fn creates_may_land(&mut self) {
        if self.config.late_creates {
            self.creates_until = self.now.millis + self.config.landing;
        }
    }

    /// Something that was asked of the source failed.
    pub(super) fn source_failed(&mut self, failure: &Failure) {
        self.counts.source_retries += 1;
        self.source.failed(self.now.millis, failure.class, &failure.message);
    }

    /// Something that was asked of the index failed.
    pub(super) fn sink_failed(&mut self, class: Class, message: &str) {
        self.counts.sink_retries += 1;
        self.sink.failed(self.now.millis, class, message);
    }

    fn shrink(&mut self) {
        self.batch_limit = (self.batch_limit / 2).max(1);
    }

    /// Every id of the batch is read again, with a new version; one that was alone, after all others.
    fn put_back(&mut self, lane_number: usize) {
        let Some(lane) = self.lanes.get_mut(lane_number) else { return };
        let Some(batch) = lane.batch.take() else { return };
        let last = batch.keys.len() == 1;
        let ids = batch.keys.iter().zip(batch.waiting).zip(batch.fresh).rev();
        let relieved: Vec<u64> =
            ids.filter_map(|((key, waiting), fresh)| lane.put_back(key, waiting, fresh, last)).collect();
        for transaction in relieved {
            self.transactions.release(transaction);
        }
    }

    fn judge(&mut self, lane_number: usize, verdicts: Vec<Option<Verdict>>) {
        let Some(mut batch) = self.lanes.get_mut(lane_number).and_then(|lane| lane.batch.take()) else {
            return;
        };
        if !batch.others.is_empty() {
            // not before: each try of a batch that fails would find them anew and put them in its own way
            self.mark_others(&batch);
        }
        let mut sum = Sum::default();
        let mut bad: std::collections::HashMap<usize, String> =
            std::mem::take(&mut batch.bad).into_iter().collect();
        let missing: std::collections::HashSet<usize> = batch.missing.iter().copied().collect();
        let mut verdicts = verdicts.into_iter();
        let size = batch.keys.len();
        let ids = batch.keys.iter().zip(batch.waiting).zip(batch.fresh).enumerate();
        for (at, ((key, waiting), fresh)) in ids {
            // an answer that is short of verdicts decides nothing about the rest
            let verdict = verdicts.next().unwrap_or(None);
            let verdict = match bad.remove(&at) {
                Some(reason) => Verdict::Rejected(reason),
                None => verdict.unwrap_or(Verdict::Retry("the answer lacks a verdict".into())),
            };
            let (deleted, alone) = (missing.contains(&at), size == 1);
            let one = One { key, version: batch.version, lane: lane_number, fresh, deleted, alone };
            self.judge_one(&one, waiting, verdict, &mut sum);
        }
        self.judged(lane_number, size, sum);
    }

    fn judge_one(&mut self, one: &One<'_>, waiting: super::Waiting, verdict: Verdict, sum: &mut Sum) {
        match verdict {
            Verdict::Done if one.deleted && self.now.millis < self.creates_until => sum.later = true,
            Verdict::Done => {
                sum.settled += 1;
                if one.deleted {
                    self.counts.deleted += 1;
                } else {
                    self.counts.written += 1;
                    self.builds.wrote(&waiting.pages);
                }
                if self.letters.none() {
                    return self.release(waiting);
                }
                for relieved in self.letters.accept(one.key, one.version, waiting) {
                    self.release(relieved);
                }
                return;
            }
            // one of ours, or it seems so: what it was read from is not known here, so the id is read again,
            // with a version above
            Verdict::Superseded(Some(current)) if self.versions.issued(current) => {
                sum.settled += 1;
                self.counts.superseded += 1;
            }
            Verdict::Rejected(reason) => {
                sum.settled += 1;
                self.counts.rejected += 1;
                let letter = DeadLetter { key: one.key.clone(), version: one.version, reason };
                return self.letters.refuse(letter, waiting);
            }
            Verdict::Superseded(current) => {
                sum.settled += 1;
                self.foreign = self.foreign.max(Some(current.unwrap_or(0)));
            }
            Verdict::Retry(reason) => sum.retry = Some(reason),
            Verdict::Halt(reason) => sum.halt = Some(reason),
            Verdict::IndexMissing(reason) => sum.missing = Some(reason),
        }
        let lane = self.lanes.get_mut(one.lane);
        if let Some(transaction) = lane.and_then(|lane| lane.put_back(one.key, waiting, one.fresh, one.alone))
        {
            self.transactions.release(transaction);
        }
    }

    fn judged(&mut self, lane_number: usize, size: usize, sum: Sum) {
        let now = self.now.millis;
        if let Some(reason) = sum.missing {
            return self.gap(format!("the index is gone or was replaced: {reason}"));
        }
        if let Some(reason) = sum.halt {
            return self.sink_failed(Class::Halt, &reason);
        }
        if let Some(lane) = self.lanes.get_mut(lane_number).filter(|_| sum.later) {
            lane.not_before = now + LOOK_AGAIN;
        }
        let refusals = self.lanes.get(lane_number).map_or(0, |lane| lane.refusals);
        match (sum.settled, sum.retry) {
            (0, Some(reason)) => {
                self.shrink();
                self.sink_failed(Class::Retry, &reason);
            }
            (_, Some(_)) => {
                self.shrink();
                self.counts.sink_retries += 1;
                if let Some(lane) = self.lanes.get_mut(lane_number) {
                    lane.refusals = (refusals + 1).min(6);
                    lane.not_before = now + (50 << lane.refusals);
                }
            }
            _ => {
                self.sink.succeeded();
                if let Some(lane) = self.lanes.get_mut(lane_number) {
                    lane.refusals = 0;
                }
                if size >= self.batch_limit {
                    self.batch_limit =
                        (self.batch_limit + self.batch_limit / 8 + 1).min(self.config.batch.max(1));
                }
            }
        }
    }
}

/// One id of a judged batch.
struct One<'a> {
    key: &'a Key,
    version: u64,
    lane: usize,
    fresh: bool,
    deleted: bool,
    alone: bool,
}
