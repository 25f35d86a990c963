//! Lookups and builds: where ids come from besides row images.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::builds::Need;
use super::protocol::{BuildSpec, Command, Outcome, Page, Selection};
use super::{Core, FULL, Waiter};
use crate::model::{Build, BuildPhase, Class};

impl Core {
    pub(super) fn pump_lookups(&mut self) {
        let names = &mut self.names;
        self.lookups.start(self.config.lookup_keys, || {
            *names += 1;
            *names
        });
        // lookups do not count: they are what waits for the room
        let room = self.ids() <= self.config.max_pending / 2;
        for id in self.lookups.ready() {
            let later = self.lookups.running.get(&id).is_some_and(|lookup| lookup.pages > 0);
            let allowed = self.source.allows(self.now.millis, self.lookups.in_flight());
            if !allowed || (later && !room) {
                continue;
            }
            let seen = self.seen.token();
            let limit = self.config.lookup_page;
            let Some(lookup) = self.lookups.asked(id, self.seen.newest()) else { continue };
            self.counts.lookups += 1;
            self.out.push(Command::Lookup {
                lookup: id,
                rule: lookup.rule,
                keys: Arc::clone(&lookup.keys),
                after: lookup.after.clone(),
                limit,
                seen,
            });
        }
    }

    pub(super) fn lookup_done(&mut self, id: u64, page: Outcome<Page>) {
        let lookup = self.lookups.running.get(&id);
        let Some((rule, pages, seen)) = lookup.map(|lookup| (lookup.rule, lookup.pages, lookup.seen)) else {
            return;
        };
        let fresh = pages < self.config.fresh_pages.get(rule).copied().unwrap_or(1);
        match page {
            Err(failure) => {
                self.lookups.answered(id, None);
                self.source_failed(&failure);
            }
            Ok(page) => {
                self.source.succeeded();
                self.seen.confirmed(seen);
                for key in &page.keys {
                    // a fan-out of many pages gives way to fresh ids
                    if self.mark(key, Waiter::Page(id), fresh) {
                        self.lookups.wait(id);
                    }
                }
                self.lookups.answered(id, Some((page.keys.last().cloned(), page.more)));
                self.finish_lookup(id);
            }
        }
    }

    pub(super) fn finish_lookup(&mut self, id: u64) {
        for transaction in self.lookups.finish(id) {
            self.transactions.release(transaction);
        }
    }

    pub(super) fn pump_builds(&mut self) {
        self.add_builds();
        let first = self.identity.deliver_first.as_ref();
        if first.is_some_and(|first| self.transactions.delivered.binlog < *first) {
            return;
        }
        let most = self.lanes.len() * self.batch_limit * 3;
        while self.pending() < most {
            match self.builds.need(self.now.millis >= self.sweep_from) {
                Need::Nothing => return,
                Need::Sweeping => self.build_moved(BuildPhase::Sweeping),
                Need::Complete => {
                    if let Some(name) = self.builds.complete() {
                        self.progressed = self.now.millis;
                        self.saving.moved(name, BuildPhase::Complete);
                    }
                }
                Need::Keys(page) => self.give_keys(&page),
                Need::Walk { after, limit } => {
                    if !self.ask_build(|build, run, seen| Command::Walk { build, run, after, limit, seen }) {
                        return;
                    }
                }
                Need::Sweep { below, first } => {
                    if !self.ask_build(|build, run, _| Command::Sweep { build, run, below, first }) {
                        return;
                    }
                }
            }
        }
    }

    fn build_moved(&mut self, phase: BuildPhase) {
        if let Some(build) = self.builds.active() {
            self.saving.moved(build.spec.name.clone(), phase);
        }
    }

    /// Sends the active build's question; where its server is down, the build is told that it failed.
    fn ask_build(&mut self, command: impl FnOnce(String, u64, super::Seen) -> Command) -> bool {
        let seen = self.seen.token();
        let (now, in_flight) = (self.now.millis, self.batches_in_flight());
        let Some(build) = self.builds.active() else { return false };
        let (name, run) = (build.spec.name.clone(), build.run);
        let health = if build.record.phase == BuildPhase::Sweeping { &self.sink } else { &self.source };
        if !health.allows(now, in_flight) {
            self.builds.walk_failed(&name, run);
            return false;
        }
        self.out.push(command(name, run, seen));
        true
    }

    fn give_keys(&mut self, page: &Page) {
        let Some(build) = self.builds.active() else { return };
        let (name, run) = (build.spec.name.clone(), build.run);
        self.page_of_build(&name, run, page);
    }

    pub(super) fn walked(&mut self, name: &str, run: u64, page: Outcome<Page>) {
        let sweeping = self
            .builds
            .running()
            .any(|b| b.spec.name == name && b.run == run && b.record.phase == BuildPhase::Sweeping);
        match page {
            // a selection that the server does not understand is the Reindex's trouble, not the task's
            Err(failure)
                if failure.class == Class::Config && self.builds.fail(name, run, &failure.message) =>
            {
                self.saving.moved(name.to_owned(), BuildPhase::Failed);
            }
            // of a build that was cancelled meanwhile
            Err(_) if !self.builds.running().any(|b| b.spec.name == name && b.run == run) => {}
            Err(failure) => {
                if sweeping {
                    self.sink_failed(failure.class, &failure.message);
                } else {
                    self.source_failed(&failure);
                }
                self.builds.walk_failed(name, run);
            }
            Ok(page) => {
                if sweeping { &mut self.sink } else { &mut self.source }.succeeded();
                self.page_of_build(name, run, &page);
            }
        }
    }

    fn page_of_build(&mut self, name: &str, run: u64, page: &Page) {
        let hold = self.name();
        if !self.builds.walked(name, run, hold, page) {
            return;
        }
        for key in &page.keys {
            if self.mark(key, Waiter::Page(hold), false) {
                self.builds.wait(hold);
            }
        }
        self.builds.advance();
        self.saving.changed = true;
    }

    /// Builds that were asked for begin (or go on) once there are versions.
    fn add_builds(&mut self) {
        if self.versions.exhausted() {
            return;
        }
        for spec in std::mem::take(&mut self.waiting_builds) {
            let known =
                self.loaded.builds.remove(&spec.name).or_else(|| self.builds.done.get(&spec.name).cloned());
            let Some(first) = self.versions.take() else { return };
            // where the store of dead letters is full, what runs now may be waiting for just this one
            let urgent = spec.selection == Selection::DeadLetters;
            let selection = match spec.selection {
                Selection::DeadLetters => Selection::Keys(self.letters.keys()),
                other => other,
            };
            let build = spec.name.clone();
            self.builds.add(BuildSpec { selection, ..spec }, known, "reindex", first, urgent);
            if self.builds.done.contains_key(&build) {
                // an owner of before completed it, and perhaps could not say so any more
                self.out.push(Command::BuildMoved { build, phase: BuildPhase::Complete });
                continue;
            }
            self.saving.urgent = true;
        }
    }

    /// Ends and forgets a build that somebody asked for; the task's own is not theirs to end.
    pub(super) fn cancel(&mut self, name: &str) {
        if name != FULL {
            self.waiting_builds.retain(|build| build.name != name);
            self.loaded.builds.remove(name);
            self.builds.remove(name);
            self.saving.changed = true;
        }
    }

    /// Records of all builds, those of the loaded checkpoint that were not asked for again included.
    pub(super) fn build_records(&self) -> BTreeMap<String, Build> {
        let mut records = self.loaded.builds.clone();
        records.extend(self.builds.records());
        records
    }
}
