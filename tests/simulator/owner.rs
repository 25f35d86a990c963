//! An owner: the shell around one core. It does what the core says, and tells it what came of it.

use std::collections::{BTreeMap, BTreeSet};

use binlog_operator::model::StreamPosition;
use binlog_operator::pipeline::core::{Core, Identity, Input, Now, Outcome, ReadRows};

use crate::store::Origin;
use crate::stream::Cursor;
use crate::tables::{Document, of_key};
use crate::world::{Event, Mail, World};

/// Virtual time begins here, microseconds since 1970.
const EPOCH: u64 = 1_700_000_000_000_000;

/// A batch in the shell's hands.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) keys: Vec<i64>,
    pub(crate) version: u64,
    pub(crate) taken: u64,
    pub(crate) documents: Vec<Option<Document>>,
    pub(crate) snapshot: u64,
}

#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) rows: ReadRows,
    pub(crate) documents: Vec<Option<Document>>,
    pub(crate) snapshot: u64,
}

pub(crate) type ReadAnswer = Outcome<Read>;

pub(crate) struct Owner {
    pub(crate) core: Core,
    pub(crate) alive: bool,
    /// The process stands still until then.
    pub(crate) frozen: u64,
    /// What came meanwhile.
    held: Vec<Mail>,
    pub(crate) epoch: u64,
    /// Its place in the order in which owners took the task over; 0 before it did.
    pub(crate) claim: u64,
    /// The dead letters that it found when it started.
    pub(crate) letters: BTreeSet<i64>,
    pub(crate) stream: Option<Cursor>,
    pub(crate) streams: u64,
    /// A `More` is on its way.
    pub(crate) pouring: bool,
    pub(crate) batches: BTreeMap<usize, Batch>,
    /// The batch whose rows are just being handed to the core.
    pub(crate) holding: Option<Batch>,
    pub(crate) scroll: Vec<i64>,
    pub(crate) origin: Origin,
    /// The place that was found and not handed over yet.
    pub(crate) placing: Option<(StreamPosition, u32)>,
    pub(crate) index_uuid: String,
    pub(crate) locating: bool,
    /// Ids that builds asked for.
    pub(crate) walked: BTreeSet<i64>,
    /// What the stream gave, for the mutation that saves it.
    pub(crate) delivered: Option<StreamPosition>,
    wake: u64,
}

impl World {
    pub(crate) fn unix_micros(&self) -> u64 {
        EPOCH + self.now * 1_000
    }

    fn clock(&self) -> Now {
        Now { millis: self.now, unix_micros: self.unix_micros() }
    }

    /// Loads the state; the first step comes a moment later.
    pub(crate) fn start(&mut self) {
        let number = self.owners.len();
        self.index.create();
        let stored = self.store.stored.clone();
        let identity = Identity {
            task_uid: "task".into(),
            owner: format!("o{number}"),
            query_hash: "query".into(),
            index_uuid: self.index.uuid(),
            server_uuid: "server".into(),
            initial_full: true,
            was_synced: self.index.synced,
            deliver_first: None,
        };
        let known = self.store.letters.keys().map(of_key).collect();
        let letters = self.store.letters.values().cloned().collect();
        let mut config = self.weather.config.clone();
        config.seed = config.seed.wrapping_mul(131).wrapping_add(number as u64);
        let origin = stored.as_ref().map_or_else(Origin::default, |(_, origin)| origin.clone());
        let core =
            Core::new(config, identity, stored.map(|(checkpoint, _)| checkpoint), letters, self.clock());
        let epoch = core.view().epoch;
        self.note(|_| format!("o{number} starts with epoch {epoch}"));
        self.owners.push(Owner {
            core,
            alive: true,
            frozen: 0,
            held: Vec::new(),
            epoch,
            claim: 0,
            letters: known,
            stream: None,
            streams: 0,
            pouring: false,
            batches: BTreeMap::new(),
            holding: None,
            scroll: Vec::new(),
            origin,
            placing: None,
            index_uuid: self.index.uuid(),
            locating: false,
            walked: BTreeSet::new(),
            delivered: None,
            wake: u64::MAX,
        });
        let delay = self.latency();
        self.at(delay, Event::To(number, Mail::Begin));
        self.at(delay, Event::To(number, Mail::Poll));
    }

    pub(crate) fn deliver(&mut self, owner: usize, mail: Mail) {
        if !self.owners[owner].alive {
            return;
        }
        let who = &mut self.owners[owner];
        if who.frozen > self.now {
            return who.held.push(mail);
        }
        match mail {
            Mail::Begin => {
                let builds = self.builds.iter().filter(|(_, complete)| !complete);
                let builds = builds.map(|(spec, _)| Input::Build(spec.clone())).collect();
                self.step(owner, builds);
            }
            Mail::Wake => {
                self.owners[owner].wake = u64::MAX;
                self.step(owner, vec![Input::Tick]);
            }
            Mail::Input(input) => self.hear(owner, input),
            Mail::Read(lane, answer) => self.read_answered(owner, lane, answer),
            Mail::Open { stream, from, verify } => self.open_stream(owner, stream, &from, verify.as_ref()),
            Mail::More(stream) => self.more(owner, stream),
            Mail::Poll => self.poll(owner),
        }
    }

    /// The process goes on: what had come for it is read now.
    pub(crate) fn thaw(&mut self, owner: usize) {
        if self.owners[owner].frozen <= self.now {
            for mail in std::mem::take(&mut self.owners[owner].held) {
                self.at(0, Event::To(owner, mail));
            }
        }
    }

    /// What the shell itself notes of an answer before the core has it.
    fn hear(&mut self, owner: usize, input: Input) {
        let who = &mut self.owners[owner];
        match &input {
            Input::WriteDone { lane, .. } => _ = who.batches.remove(lane),
            Input::Walked { page: Ok(page), .. } => who.walked.extend(page.keys.iter().map(of_key)),
            Input::PlaceTaken(place) => {
                who.locating = false;
                if let (Ok(place), Some((mut base, life))) = (place, who.placing.take()) {
                    // after rows that nobody knows the stream goes on: the Full stands for what it had given too,
                    // which the server may not count as executed yet
                    let goes_on = who.core.view().repairing.is_some_and(|cause| cause.starts_with("XA "));
                    let given = who.delivered.as_ref().and_then(|delivered| delivered.gtids.as_ref());
                    if let (true, Some(gtids), Some(given)) = (goes_on, &mut base.gtids, given) {
                        gtids.extend(given);
                    }
                    who.index_uuid.clone_from(&place.index_uuid);
                    who.delivered = Some(base.clone());
                    who.origin = Origin { base, life, places: who.origin.places + 1 };
                }
            }
            _ => {}
        }
        self.step(owner, vec![input]);
    }

    fn read_answered(&mut self, owner: usize, lane: usize, answer: ReadAnswer) {
        let who = &mut self.owners[owner];
        // unless the core says Write, the batch is over with this step
        who.holding = who.batches.remove(&lane);
        let rows = match answer {
            Ok(read) => {
                if let Some(batch) = &mut who.holding {
                    (batch.documents, batch.snapshot) = (read.documents, read.snapshot);
                }
                Ok(read.rows)
            }
            Err(failure) => Err(failure),
        };
        self.step(owner, vec![Input::ReadDone { lane, rows }]);
        self.owners[owner].holding = None;
    }

    /// Hands inputs to the core and does what it says.
    pub(crate) fn step(&mut self, owner: usize, inputs: Vec<Input>) {
        self.note(|_| format!("o{owner} << {inputs:?}"));
        let now = self.clock();
        let commands = self.owners[owner].core.step(now, inputs);
        for command in commands {
            self.note(|_| format!("o{owner} >> {command:?}"));
            self.obey(owner, command);
        }
        if !self.owners[owner].alive {
            return;
        }
        if self.rng.chance(self.weather.crash) && self.rng.chance(500) {
            return self.crash(owner);
        }
        if let Some(deadline) = self.owners[owner].core.deadline()
            && deadline < self.owners[owner].wake
        {
            self.owners[owner].wake = deadline;
            let delay = deadline.saturating_sub(self.now);
            self.at(delay, Event::To(owner, Mail::Wake));
        }
        self.pour(owner);
    }

    pub(crate) fn crash(&mut self, owner: usize) {
        self.note(|_| format!("o{owner} crashes"));
        self.owners[owner].alive = false;
        self.owners[owner].stream = None;
    }
}
