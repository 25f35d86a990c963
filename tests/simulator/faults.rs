//! What goes wrong on a larger scale, and the builds that people ask for meanwhile.

use binlog_operator::model::Key;
use binlog_operator::pipeline::core::{BuildSpec, Input, Selection};

use crate::tables::{Document, Quality};
use crate::world::{Event, Mail, World};

impl World {
    pub(crate) fn fault(&mut self) {
        if self.quiet || self.weather.faults == 0 {
            return;
        }
        let next = self.rng.between(0, self.weather.faults * 2);
        self.at(next, Event::Fault);
        match self.rng.below(if self.weather.gaps { 23 } else { 16 }) {
            0..2 => self.some_owner(Self::crash),
            2..4 => self.some_owner(Self::freeze),
            4 => self.start(),
            5 => self.some_owner(|world, owner| world.step(owner, vec![Input::Stop])),
            6 => self.some_owner(Self::cut),
            7 => self.outages.source = self.now + self.rng.between(500, 15_000),
            8 => self.outages.sink = self.now + self.rng.between(500, 20_000),
            9 => self.outages.store = self.now + self.rng.between(500, 20_000),
            10..12 => self.outages.commits = self.now + self.rng.between(500, 10_000),
            12 | 13 => self.build(),
            14 => self.some_owner(|world, owner| world.step(owner, vec![Input::Probe])),
            15 => self.foreign_writer(),
            _ => self.gap(),
        }
    }

    /// Somebody writes a document with a version that nobody reserved, and somebody has it repaired.
    fn foreign_writer(&mut self) {
        let key = self.rng.between(1, self.weather.mains) as i64;
        let version = self.versions.newest() + self.rng.between(1, 3 << 20);
        self.note(|_| format!("a foreign writer writes {key} with version {version}"));
        if self.index.exists {
            let document = Document { content: version, quality: Quality::Good };
            self.index.documents.insert(key, (version, document));
            self.index.foreign.insert(key);
            self.run_build(format!("repair-{}", self.builds.len()), Selection::Keys(vec![Key::int(key)]));
        }
    }

    fn some_owner(&mut self, what: impl FnOnce(&mut Self, usize)) {
        let awake = |owner: &usize| self.owners[*owner].alive && self.owners[*owner].frozen <= self.now;
        let awake: Vec<usize> = (0..self.owners.len()).filter(awake).collect();
        if let Some(owner) = self.rng.pick(&awake) {
            what(self, owner);
        }
    }

    /// The process stands still; often another one is started meanwhile.
    fn freeze(&mut self, owner: usize) {
        let length = if self.rng.chance(400) { 75_000 } else { self.rng.between(500, 40_000) };
        self.owners[owner].frozen = self.now + length;
        self.at(length, Event::Thaw(owner));
        self.note(|_| format!("o{owner} is frozen for {length} ms"));
        if self.rng.chance(700) {
            let after = self.rng.between(500, 20_000);
            self.at(after, Event::Another);
        }
    }

    pub(crate) fn another(&mut self) {
        if !self.quiet {
            self.start();
        }
    }

    fn gap(&mut self) {
        self.note(|_| "something is lost".into());
        match self.rng.below(8) {
            0 => {
                self.mysql.rotate();
                self.mysql.purge();
            }
            1 => self.mysql.rotate(),
            2 => self.mysql.back_up(),
            3 => self.restore(),
            // both state and index gone under a living owner look like a task that never ran: its first Full
            // sweeps without waiting for what that owner has under way (see docs of `Config::landing`)
            5 if self.store.stored.is_some() => {
                self.note(|_| "the index is deleted".into());
                self.index.delete();
                let after = if self.rng.chance(500) { 0 } else { self.rng.between(0, 20_000) };
                self.at(after, Event::Recreate);
            }
            6 if self.index.synced => {
                self.note(|_| "the task's state is deleted".into());
                self.store.stored = None;
            }
            _ => self.truncate(),
        }
    }

    fn restore(&mut self) {
        if self.mysql.restore() {
            self.note(|world| format!("the server is restored, life {}", world.mysql.life));
            self.drop_queries();
            for owner in 0..self.owners.len() {
                if self.owners[owner].stream.is_some() {
                    self.owners[owner].stream = None;
                    self.owners[owner].streams += 1;
                    let lost = Input::StreamLost(crate::queries::later("server has gone away"));
                    self.at(0, Event::To(owner, Mail::Input(lost)));
                }
            }
        }
    }

    fn build(&mut self) {
        let number = self.builds.len();
        let (name, selection) = match self.rng.below(4) {
            0 => (format!("whole-{number}"), Selection::Full),
            1 => (format!("part-{number}"), Selection::Part),
            2 => {
                let most = self.weather.mains;
                let keys = (0..self.rng.between(1, 12)).map(|_| Key::int(self.rng.between(1, most) as i64));
                (format!("keys-{number}"), Selection::Keys(keys.collect()))
            }
            _ => (format!("letters-{number}"), Selection::DeadLetters),
        };
        self.run_build(name, selection);
        if self.rng.chance(300) {
            self.cancel_build(number);
        }
    }

    /// Nobody asks for a build any more, at some time of its life.
    fn cancel_build(&mut self, number: usize) {
        let name = self.builds[number].0.name.clone();
        self.note(|_| format!("{name} will be cancelled"));
        let after = self.rng.between(1, 20_000);
        for owner in 0..self.owners.len() {
            self.at(after, Event::To(owner, Mail::Input(Input::Cancel(name.clone()))));
        }
        // whoever starts from now on is not told of it
        self.builds[number].1 = true;
    }

    /// Every dead letter is tried again.
    pub(crate) fn replay_letters(&mut self, build: &str) {
        self.run_build(build.into(), Selection::DeadLetters);
    }

    fn run_build(&mut self, name: String, selection: Selection) {
        let page_size = self.rng.between(1, 10) as usize;
        let spec = BuildSpec { name, selection, selection_hash: "hash".into(), page_size };
        self.builds.push((spec.clone(), false));
        for owner in 0..self.owners.len() {
            let delay = self.latency();
            self.at(delay, Event::To(owner, Mail::Input(Input::Build(spec.clone()))));
        }
    }

    /// Where no owner lives, one is started.
    pub(crate) fn supervise(&mut self) {
        if !self.owners.iter().any(|owner| owner.alive) {
            self.start();
        }
        let next = self.rng.between(200, 4_000);
        self.at(next, Event::Supervise);
    }
}
