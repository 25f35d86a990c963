//! The invariants, checked against what the simulator knows and no worker does.

use std::collections::{BTreeMap, BTreeSet};

use binlog_operator::model::{BuildPhase, Checkpoint, Key};
use binlog_operator::pipeline::core::FULL;

use crate::mysql::{Changed, Kind, covers};
use crate::owner::Owner;
use crate::store::Origin;
use crate::tables::{Quality, Tables, of_key};
use crate::world::World;

/// Versions as they were issued, by claim, and what each one's read could see.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    issued: BTreeMap<u64, (usize, u64, u64)>,
    snapshots: BTreeMap<u64, u64>,
    newest: u64,
}

impl Versions {
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    fn claim_of(&self, version: u64) -> Option<u64> {
        let mut claims =
            self.issued.iter().filter(|(_, (_, first, last))| (*first..=*last).contains(&version));
        claims.next().map(|(claim, _)| *claim)
    }

    pub(crate) fn read_at(&mut self, version: u64, snapshot: u64) {
        self.snapshots.insert(version, snapshot);
    }

    /// Invariant 5: versions rise, and those of a later claim are all above those of an earlier one.
    fn issue(&mut self, owner: usize, claim: u64, version: u64) -> Result<(), String> {
        if let Some((_, of)) = self.issued.range(..claim).rev().find(|(_, of)| of.2 >= version) {
            return Err(format!("version {version} was issued already, by o{}", of.0));
        }
        if let Some((_, of)) = self.issued.range(claim + 1..).find(|(_, of)| of.1 <= version) {
            return Err(format!("version {version} reaches into the block of o{}", of.0));
        }
        let of = self.issued.entry(claim).or_insert((owner, version, 0));
        if of.0 != owner || of.2 >= version {
            return Err(format!("version {version} was issued twice"));
        }
        of.2 = version;
        self.newest = self.newest.max(version);
        Ok(())
    }
}

impl World {
    /// Invariant 4, one batch for an id at a time; and 5, versions.
    pub(crate) fn check_read(&mut self, owner: usize, lane: usize, keys: &[i64], version: u64) {
        self.check_recorded(owner);
        let mut held: BTreeSet<i64> = BTreeSet::new();
        for (other, batch) in &self.owners[owner].batches {
            if *other == lane {
                self.violation.get_or_insert(format!("o{owner}: lane {lane} has two batches in flight"));
            }
            held.extend(&batch.keys);
        }
        if let Some(key) = keys.iter().find(|key| !held.insert(**key)) {
            self.violated(|| format!("o{owner}: id {key} is in two actions at the same time"));
        }
        let claim = self.owners[owner].claim;
        if let Err(what) = self.versions.issue(owner, claim, version) {
            self.violated(|| format!("o{owner}: {what}"));
        }
    }

    /// Invariant 2: the place is saved before the first read.
    pub(crate) fn check_recorded(&mut self, owner: usize) {
        let (places, name) = (self.owners[owner].origin.places, format!("o{owner}"));
        let recorded = match &self.store.stored {
            Some((checkpoint, origin)) if checkpoint.owner == name => origin.places >= places,
            _ => true, // another owner has it, and this one is about to learn it
        };
        if !recorded {
            self.violated(|| format!("{name} reads before its place is saved"));
        }
    }

    /// Invariants 2 and 9: what is before the watermark is in the index, or a durable dead letter.
    pub(crate) fn check_checkpoint(&mut self, checkpoint: &Checkpoint, origin: &Origin) {
        let Some(position) = &checkpoint.position else { return };
        let comparable =
            origin.life == self.mysql.life && self.index.exists && checkpoint.index_uuid == self.index.uuid();
        if !comparable {
            return;
        }
        let full = checkpoint.builds.get(FULL).is_some_and(|build| build.phase == BuildPhase::Complete);
        let covered: Vec<bool> = self.mysql.log.iter().map(|entry| covers(position, entry)).collect();
        let in_base: Vec<bool> = self.mysql.log.iter().map(|entry| covers(&origin.base, entry)).collect();
        // until a Full is through, it stands for everything before the place where it began
        let passed = |c: &&Changed| c.entry.is_none_or(|at| covered[at]);
        let stands = |c: &&Changed| full || c.entry.is_some_and(|at| !in_base[at]);
        // a change that will be replayed makes its id dirty anyway; a read that found nothing after it need
        // not have known of the changes before
        let replayed = |c: &Changed| c.entry.is_some_and(|at| !covered[at]);
        let mut broken = None;
        for (key, changes) in &self.mysql.changes {
            if changes.iter().any(replayed) {
                continue;
            }
            let last = changes.iter().filter(|c| c.differs && passed(c)).max_by_key(|change| change.visible);
            if let Some(change) = last.filter(stands).filter(|change| !self.reflects(*key, change)) {
                broken = Some(format!(
                    "the watermark {position} passed a change of {key} (entry {:?}, visible as {}), which the \
                     index lacks: its state is of a read at {:?}",
                    change.entry,
                    change.visible,
                    self.index.reads.get(key)
                ));
            }
        }
        // the reads of a Full wait for the GTIDs of the place where it began, whoever goes on with it
        let awaited = |at: usize| !full && position.gtids.is_some() && in_base[at];
        let invisible = self.mysql.log.iter().zip(&covered).enumerate().find(|(at, (entry, covered))| {
            let shows = match &entry.kind {
                Kind::Commit(changes) | Kind::OnePhase(_, changes) => !changes.is_empty(),
                Kind::Resolve(_, commit) => *commit,
                Kind::Prepare(..) | Kind::Truncate(_) => false,
            };
            **covered && shows && entry.visible.is_none() && !awaited(*at)
        });
        if let Some((_, (entry, _))) = invisible {
            broken = Some(format!("the watermark passed a commit that is not visible: {:?}", entry.kind));
        }
        if let Some(what) = broken {
            self.violated(|| what);
        }
    }

    fn reflects(&self, key: i64, change: &Changed) -> bool {
        let read = self.index.reads.get(&key).is_some_and(|read| *read > change.visible);
        let letter = self.store.letters.get(&Key::int(key));
        let refused = letter
            .and_then(|letter| self.versions.snapshots.get(&letter.version))
            .is_some_and(|read| *read > change.visible);
        // an id that no build and no change brought up need not have been read to be right
        let held = self.index.documents.get(&key).map(|(_, document)| *document);
        read || refused || held == change.document || self.index.foreign.contains(&key)
    }

    /// The owner whose epoch is stored.
    fn present_owner(&self) -> Option<&Owner> {
        let (checkpoint, _) = self.store.stored.as_ref()?;
        let owners = self.owners.iter().enumerate();
        let mut present = owners.filter(|(number, owner)| {
            owner.alive && owner.epoch == checkpoint.epoch && checkpoint.owner == format!("o{number}")
        });
        present.next().map(|(_, owner)| owner)
    }

    /// The source is quiet, and the present owner says that it is caught up.
    pub(crate) fn caught_up(&self) -> bool {
        let Some(owner) = self.present_owner() else { return false };
        let view = owner.core.view();
        let built = view.builds_idle && self.builds.iter().all(|(_, complete)| *complete);
        self.landing == 0 && view.caught_up && built && view.pending == 0
    }

    /// Invariant 1: every document equals the query's answer, but for the dead letters; and those (9) are
    /// exactly the ids that cannot be written.
    pub(crate) fn check_convergence(&mut self) {
        let mut keys: BTreeSet<i64> = self.index.documents.keys().copied().collect();
        keys.extend(self.mysql.tables.keys_after(None));
        let mut wrong = Vec::new();
        for key in keys {
            let wanted = self.mysql.tables.document(key);
            let held = self.index.documents.get(&key).map(|(_, document)| *document);
            let letter = self.store.letters.contains_key(&Key::int(key));
            if wanted != held && !letter {
                wrong.push(format!("{key}: the query says {wanted:?}, the index {held:?}"));
            }
        }
        let healthy =
            |tables: &Tables, key: i64| tables.document(key).is_none_or(|d| d.quality == Quality::Good);
        for (key, letter) in &self.store.letters {
            let key = of_key(key);
            // a fenced owner may have added one that the present owner did not find when it started
            let known = self.present_owner().is_some_and(|owner| {
                owner.letters.contains(&key) || self.versions.claim_of(letter.version) == Some(owner.claim)
            });
            if known && healthy(&self.mysql.tables, key) {
                wrong.push(format!("{key} is a dead letter, and could be written"));
            }
        }
        if !wrong.is_empty() {
            self.violated(|| format!("quiet and caught up, but {}", wrong.join("; ")));
        }
    }
}
