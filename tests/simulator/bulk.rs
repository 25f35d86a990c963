//! Bulk requests: sent once, landing once, at once or much later; their answers may be lost.

use binlog_operator::model::Class;
use binlog_operator::pipeline::core::{Failure, Input, Verdict, Written};

use crate::index::Action;
use crate::mutation::Mutation;
use crate::queries::later;
use crate::tables::Quality;
use crate::weather::LAND_LIMIT;
use crate::world::{Event, Mail, World};

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Bulk {
    pub(crate) owner: usize,
    pub(crate) lane: usize,
    /// For each key of the batch; `None` for those that have no action.
    pub(crate) actions: Vec<Option<Action>>,
    /// What becomes of the answer.
    pub(crate) answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It comes back.
    Heard,
    /// It comes back as a failure.
    Lost,
    /// The failure was told when the request had not landed yet.
    Told,
}

impl World {
    /// The shell sends a batch, if it is young enough by now.
    pub(crate) fn write(&mut self, owner: usize, lane: usize, missing: &[usize]) {
        let max_age = self.weather.config.max_age;
        let Some(batch) = self.owners[owner].batches.get(&lane) else { return };
        let taken = batch.taken;
        let mut actions: Vec<Option<Action>> = Vec::new();
        for (at, key) in batch.keys.iter().enumerate() {
            let document = batch.documents.get(at).copied().flatten();
            let bad = document.is_some_and(|document| document.quality == Quality::Bad);
            // the core's word counts for deletes, the shell's rows for documents
            let acts = !bad && (document.is_some() || missing.contains(&at));
            let action = Action { key: *key, document, version: batch.version, snapshot: batch.snapshot };
            actions.push(acts.then_some(action));
        }
        if self.mutation == Some(Mutation::VersionAfterRead) {
            let sent_at = self.unix_micros();
            actions.iter_mut().flatten().for_each(|action| action.version = sent_at);
        }
        self.note(|_| format!("o{owner} writes lane {lane}: {actions:?}"));
        if self.now - taken > max_age {
            return self.answer(owner, lane, Written::TooOld);
        }
        if actions.iter().flatten().count() > self.weather.too_large {
            return self.answer(owner, lane, Written::TooLarge);
        }
        self.send(Bulk { owner, lane, actions, answer: Answer::Heard }, taken);
    }

    fn send(&mut self, mut bulk: Bulk, taken: u64) {
        let (owner, lane) = (bulk.owner, bulk.lane);
        let latest = (taken + LAND_LIMIT).saturating_sub(self.now);
        if self.now < self.outages.sink {
            let failure = Written::Failed(later("connection refused"));
            return self.answer(owner, lane, failure);
        }
        let mut delay = self.latency().min(latest);
        if self.rng.chance(self.weather.bulk_fails) {
            match self.rng.below(5) {
                0 => return self.answer(owner, lane, Written::Busy(later("busy"))),
                1 if self.rng.chance(100) => {
                    let failure = Failure { class: Class::Halt, message: "403".into() };
                    return self.answer(owner, lane, Written::Failed(failure));
                }
                1 | 2 => bulk.answer = Answer::Lost,
                _ => {
                    bulk.answer = Answer::Told;
                    self.answer(owner, lane, Written::Failed(later("timed out")));
                    delay = self.rng.between(0, latest);
                    // now and then only a part of it ever lands
                    if self.rng.chance(300) {
                        let keep = self.rng.below(bulk.actions.len() as u64) as usize;
                        bulk.actions.iter_mut().skip(keep).for_each(|action| *action = None);
                    }
                }
            }
        }
        self.landing += 1;
        self.at(delay, Event::Land(Box::new(bulk)));
    }

    pub(crate) fn land(&mut self, bulk: &Bulk) {
        self.landing -= 1;
        let mut verdicts = Vec::new();
        for action in &bulk.actions {
            let verdict = action.as_ref().map(|action| self.apply(action));
            verdicts.push(verdict);
        }
        self.note(|_| format!("landed from o{} lane {}: {verdicts:?}", bulk.owner, bulk.lane));
        match bulk.answer {
            Answer::Heard => self.answer(bulk.owner, bulk.lane, Written::Verdicts(verdicts)),
            Answer::Lost => {
                let failure = Written::Failed(later("reset before the answer"));
                self.answer(bulk.owner, bulk.lane, failure);
            }
            Answer::Told => {}
        }
    }

    fn apply(&mut self, action: &Action) -> Verdict {
        if self.rng.chance(self.weather.item_fails) {
            return Verdict::Retry("es_rejected_execution_exception".into());
        }
        if self.rng.chance(self.weather.item_fails / 20) {
            return Verdict::Halt("cluster_block_exception".into());
        }
        let now = self.now;
        match self.index.apply(action, now) {
            // not every answer says what the index holds
            Verdict::Superseded(_) if self.rng.chance(50) => Verdict::Superseded(None),
            verdict => verdict,
        }
    }

    fn answer(&mut self, owner: usize, lane: usize, written: Written) {
        let size = self.owners[owner].batches.get(&lane).map_or(0, |batch| batch.keys.len());
        let dropped = self.mutation == Some(Mutation::FailedBatchDropped);
        let written = match written {
            Written::Failed(_) | Written::TooOld if dropped => {
                Written::Verdicts(vec![Some(Verdict::Done); size])
            }
            other => other,
        };
        let delay = self.latency();
        self.at(delay, Event::To(owner, Mail::Input(Input::WriteDone { lane, written })));
    }

    pub(crate) fn scroll(&mut self, owner: usize, build: String, run: u64, below: u64, first: bool) {
        let fails = self.now < self.outages.sink || self.rng.chance(self.weather.bulk_fails);
        let page = if fails || !self.index.exists {
            Err(later("search failed"))
        } else {
            if first {
                self.owners[owner].scroll = self.index.below(below);
            }
            let size = self.rng.between(1, 6) as usize;
            let scroll = &mut self.owners[owner].scroll;
            let keys = scroll.drain(..scroll.len().min(size)).map(binlog_operator::model::Key::int).collect();
            Ok(binlog_operator::pipeline::core::Page { keys, more: !scroll.is_empty() })
        };
        self.note(|_| format!("o{owner} sweeps below {below}: {page:?}"));
        let delay = self.latency();
        self.at(delay, Event::To(owner, Mail::Input(Input::Walked { build, run, page })));
    }

    /// The second issuer of that mutation reads a document.
    pub(crate) fn helper_reads(&mut self) {
        if self.quiet {
            return;
        }
        let key = self.rng.between(1, self.weather.mains) as i64;
        let document = self.mysql.tables.document(key);
        let action = Action { key, document, version: 0, snapshot: self.mysql.seen };
        let (way, pause) = (self.rng.between(5, 3_000), self.rng.between(500, 5_000));
        self.at(way, Event::HelperWrites(action));
        self.at(pause, Event::HelperReads);
    }

    /// And writes it with the next version, which the owner did not give it.
    pub(crate) fn helper_writes(&mut self, mut action: Action) {
        action.version = self.versions.newest() + 1;
        let now = self.now;
        self.note(|_| format!("the helper writes {action:?}"));
        self.index.apply(&action, now);
    }
}
