//! The shell's hands: what each command of the core sets in motion.

use binlog_operator::model::{BuildPhase, Checkpoint, Key};
use binlog_operator::pipeline::core::{Command, DeadLetter, FULL, Input, SaveResult};

use crate::mutation::Mutation;
use crate::mysql::covers;
use crate::owner::Batch;
use crate::queries::{Ask, later, numbers};
use crate::store::Origin;
use crate::stream::{Cursor, pieces};
use crate::tables::of_key;
use crate::world::{Event, Mail, World};

/// How often an owner asks what the server has executed, and whether the index is still the same, ms.
const POLL: u64 = 2_000;
/// An idle stream is heard so often, ms.
const HEARTBEAT: u64 = 5_000;

impl World {
    pub(crate) fn obey(&mut self, owner: usize, command: Command) {
        let delay = self.latency();
        let number = |key: Option<Key>| key.as_ref().map(of_key);
        match command {
            Command::Save { expect, ceiling, checkpoint } => {
                self.send_save(owner, (expect, ceiling), checkpoint, delay);
            }
            Command::SaveDeadLetters { epoch, add, remove } => {
                let fails = self.store_fails();
                if fails && self.rng.chance(500) {
                    let failed = Input::DeadLettersSaved(SaveResult::Failed("no answer".into()));
                    return self.at(delay, Event::To(owner, Mail::Input(failed)));
                }
                self.at(delay, Event::Letters { owner, epoch, add, remove, heard: !fails });
            }
            Command::TakePlace => {
                self.close(owner);
                self.owners[owner].locating = true;
                let asked = self.mysql.executed();
                self.ask(owner, &binlog_operator::pipeline::core::Seen::Nothing, Ask::Place(asked));
            }
            Command::OpenStream { from, verify, .. } => {
                self.close(owner);
                let stream = self.owners[owner].streams;
                self.at(delay, Event::To(owner, Mail::Open { stream, from, verify }));
            }
            Command::CloseStream => self.close(owner),
            Command::Read { lane, keys, version, taken, seen } => {
                let keys = numbers(&keys);
                self.check_read(owner, lane, &keys, version);
                let (documents, snapshot) = (Vec::new(), 0);
                let batch = Batch { keys: keys.clone(), version, taken, documents, snapshot };
                self.owners[owner].batches.insert(lane, batch);
                self.ask(owner, &seen, Ask::Read { lane, keys, version });
            }
            Command::Write { lane, missing } => {
                if let Some(batch) = self.owners[owner].holding.take() {
                    self.owners[owner].batches.insert(lane, batch);
                }
                self.write(owner, lane, &missing);
            }
            Command::Lookup { lookup, rule, keys, after, limit, seen } => {
                self.check_recorded(owner);
                let (values, after) = (numbers(&keys), number(after));
                self.ask(owner, &seen, Ask::Lookup { lookup, rule, values, after, limit });
            }
            Command::Walk { build, run, after, limit, seen } => {
                self.check_recorded(owner);
                self.ask(owner, &seen, Ask::Walk { build, run, after: number(after), limit });
            }
            Command::Sweep { build, run, below, first } => {
                self.at(delay, Event::Scroll { owner, build, run, below, first });
            }
            Command::CheckEpoch { epoch } => {
                let found = self.store.stored.as_ref().map_or(0, |(found, _)| found.epoch);
                let answer = if self.store_fails() { Err(later("no answer")) } else { Ok(found == epoch) };
                self.at(delay, Event::To(owner, Mail::Input(Input::EpochChecked(answer))));
            }
            Command::BuildMoved { build, phase } => self.build_moved(&build, phase),
            Command::End(_) => self.owners[owner].alive = false,
        }
    }

    fn close(&mut self, owner: usize) {
        self.owners[owner].streams += 1;
        self.owners[owner].stream = None;
    }

    fn build_moved(&mut self, build: &str, phase: BuildPhase) {
        if phase != BuildPhase::Complete {
            return;
        }
        if build == FULL {
            self.index.synced = true;
        }
        for (_, complete) in self.builds.iter_mut().filter(|(spec, _)| spec.name == build) {
            *complete = true;
        }
    }

    fn store_fails(&mut self) -> bool {
        self.now < self.outages.store || self.rng.chance(self.weather.store_fails)
    }

    fn send_save(&mut self, owner: usize, expect: (u64, u64), mut checkpoint: Box<Checkpoint>, delay: u64) {
        if self.mutation == Some(Mutation::ReadPositionSaved)
            && let Some(delivered) = &self.owners[owner].delivered
        {
            checkpoint.position = checkpoint.position.map(|_| delivered.clone());
            checkpoint.last_transaction = self.mysql.last_before(delivered);
        }
        let fails = self.store_fails();
        if fails && self.rng.chance(500) {
            let failed = Input::Saved(SaveResult::Failed("no answer".into()));
            return self.at(delay, Event::To(owner, Mail::Input(failed)));
        }
        let origin = self.owners[owner].origin.clone();
        self.at(delay, Event::Save { owner, expect, checkpoint, origin, heard: !fails });
    }

    pub(crate) fn save_arrives(
        &mut self,
        owner: usize,
        expect: (u64, u64),
        checkpoint: &Checkpoint,
        origin: &Origin,
        heard: bool,
    ) {
        let mut result = self.store.save(expect, checkpoint.clone(), origin.clone());
        if matches!(result, SaveResult::Lost(_)) && self.mutation == Some(Mutation::SwapRetried) {
            let found =
                self.store.stored.as_ref().map_or((0, 0), |(found, _)| (found.epoch, found.version_ceiling));
            result = self.store.save(found, checkpoint.clone(), origin.clone());
        }
        self.note(|_| format!("o{owner}'s checkpoint arrives: {result:?}"));
        if result == SaveResult::Done {
            if self.owners[owner].claim == 0 {
                self.store.claims += 1;
                self.owners[owner].claim = self.store.claims;
            }
            self.check_checkpoint(checkpoint, origin);
        }
        let told = if heard { result } else { SaveResult::Failed("reset before the answer".into()) };
        let delay = self.latency();
        self.at(delay, Event::To(owner, Mail::Input(Input::Saved(told))));
    }

    pub(crate) fn letters_arrive(
        &mut self,
        owner: usize,
        epoch: u64,
        add: &[DeadLetter],
        remove: &[Key],
        heard: bool,
    ) {
        self.store.room = self.weather.letters_room;
        let result = self.store.save_letters(epoch, add, remove);
        self.note(|_| format!("o{owner}'s letters arrive: +{add:?} -{remove:?} {result:?}"));
        let told = if heard { result } else { SaveResult::Failed("reset before the answer".into()) };
        let delay = self.latency();
        self.at(delay, Event::To(owner, Mail::Input(Input::DeadLettersSaved(told))));
    }

    pub(crate) fn open_stream(
        &mut self,
        owner: usize,
        stream: u64,
        from: &binlog_operator::model::StreamPosition,
        verify: Option<&binlog_operator::model::LastTransaction>,
    ) {
        if self.owners[owner].streams != stream {
            return;
        }
        if self.now < self.outages.source || self.rng.chance(self.weather.read_fails) {
            return self.step(owner, vec![Input::StreamLost(later("connection refused"))]);
        }
        match self.mysql.open(from, verify) {
            Err(cause) => self.step(owner, vec![Input::Gap(cause)]),
            Ok(entry) => {
                let skip = from.gtids.clone();
                let heard = self.now;
                self.owners[owner].delivered.get_or_insert_with(|| from.clone());
                self.owners[owner].stream = Some(Cursor { entry, skip, pieces: Vec::new(), heard });
                self.step(owner, vec![Input::StreamOpened]);
            }
        }
    }

    /// Sees to it that an open stream goes on, if there is more and the core takes it.
    pub(crate) fn pour(&mut self, owner: usize) {
        let who = &mut self.owners[owner];
        let Some(cursor) = &who.stream else { return };
        let more = cursor.entry < self.mysql.log.len();
        if !who.alive || who.pouring || !more || !who.core.wants_events() {
            return;
        }
        who.pouring = true;
        let stream = who.streams;
        let delay = self.latency().min(200);
        self.at(delay, Event::To(owner, Mail::More(stream)));
    }

    /// The stream gives some pieces; they come to the core in one step or in several.
    pub(crate) fn more(&mut self, owner: usize, stream: u64) {
        self.owners[owner].pouring = false;
        if self.owners[owner].streams != stream {
            return self.pour(owner);
        }
        if self.rng.chance(self.weather.read_fails / 8) {
            return self.cut(owner);
        }
        let (mut inputs, most) = (Vec::new(), self.rng.between(1, 8));
        while inputs.len() < most as usize {
            let Some(input) = self.next_piece(owner) else { break };
            inputs.push(input);
            if matches!(inputs.last(), Some(Input::Gap(_) | Input::XaResolved { .. })) {
                break;
            }
        }
        if !inputs.is_empty() {
            if matches!(inputs.last(), Some(Input::XaResolved { commit: true, .. })) {
                self.check_gap(owner, |world| world.step(owner, inputs));
            } else {
                self.step(owner, inputs);
            }
        }
    }

    /// The stream breaks, in the middle of a transaction or not.
    pub(crate) fn cut(&mut self, owner: usize) {
        if self.owners[owner].stream.is_some() {
            self.close(owner);
            self.step(owner, vec![Input::StreamLost(later("connection reset"))]);
        }
    }

    fn next_piece(&mut self, owner: usize) -> Option<Input> {
        let chunk = self.rng.between(1, 6) as usize;
        let who = &mut self.owners[owner];
        let cursor = who.stream.as_mut()?;
        while cursor.pieces.is_empty() {
            let entry = self.mysql.log.get(cursor.entry)?;
            let sent = cursor.skip.as_ref().zip(entry.gtid.as_ref()).is_some_and(|(s, g)| s.contains(g));
            if sent {
                cursor.entry += 1;
                continue;
            }
            cursor.pieces = pieces(entry, self.weather.child_lookups, chunk);
            if let Some(delivered) = &mut who.delivered {
                delivered.binlog.clone_from(&entry.end);
                if let (Some(set), Some(gtid)) = (&mut delivered.gtids, &entry.gtid) {
                    set.insert(gtid);
                }
            }
        }
        let piece = cursor.pieces.remove(0);
        if cursor.pieces.is_empty() {
            cursor.entry += 1;
        }
        cursor.heard = self.now;
        if matches!(piece, Input::Gap(_)) {
            self.close(owner);
        }
        Some(piece)
    }

    pub(crate) fn poll(&mut self, owner: usize) {
        self.at(POLL, Event::To(owner, Mail::Poll));
        if self.now < self.outages.source || self.rng.chance(self.weather.read_fails) {
            return;
        }
        let mut inputs = vec![Input::Executed { position: self.mysql.executed(), asked: self.unix_micros() }];
        let end = self.mysql.end();
        let (now, entries) = (self.now, self.mysql.log.len());
        let who = &mut self.owners[owner];
        let replaced = !self.index.exists || self.index.uuid() != who.index_uuid;
        if let Some(cursor) = &mut who.stream
            && cursor.entry == entries
            && cursor.pieces.is_empty()
            && now >= cursor.heard + HEARTBEAT
        {
            cursor.heard = now;
            inputs.push(Input::Idle(end));
        }
        if replaced && !who.locating {
            inputs.push(Input::Gap("the index was replaced".into()));
        }
        self.step(owner, inputs);
    }

    /// A gap must have a cause: an XA COMMIT is one only where its PREPARE was before the place.
    fn check_gap(&mut self, owner: usize, step: impl FnOnce(&mut Self)) {
        let before = self.owners[owner].core.view().counts.gaps;
        let entry = self.owners[owner].stream.as_ref().map(|cursor| cursor.entry);
        step(self);
        let Some(crate::mysql::Kind::Resolve(xid, true)) =
            entry.and_then(|at| self.mysql.log.get(at)).map(|entry| entry.kind.clone())
        else {
            return;
        };
        let who = &self.owners[owner];
        if who.core.view().counts.gaps == before {
            return;
        }
        let prepare = |entry: &&crate::mysql::Entry| matches!(&entry.kind, crate::mysql::Kind::Prepare(x, _) if *x == xid);
        let seen = self.mysql.log.iter().find(prepare);
        // without GTIDs the core passes a PREPARE rather than hold too many transactions
        let passed = !self.mysql.gtids && self.mysql.log.len() >= self.weather.config.max_transactions;
        let unseen = passed || seen.is_none_or(|entry| covers(&who.origin.base, entry));
        if !unseen {
            self.violated(|| {
                format!("o{owner}: a gap at the commit of xid {xid}, whose PREPARE it could see")
            });
        }
    }
}
