//! The rows of a batch on their way into a bulk body.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::addresses::{Addresses, Routing, fits};
use super::core::{ReadRows, Seen};
use super::misplaced::{Elsewhere, Misplaced};
use super::several::merged;
use super::shared::{SeveralRows, Shared};
use super::upsert::Documents;
use crate::document::{Shape, Shaped};
use crate::mapping::{KeyColumn, Plan};
use crate::model::Key;
use crate::sink::{BulkBody, DocumentRef, Fence};
use crate::source::RecordError;

/// What was read and is not sent yet.
pub(super) struct Ready {
    pub(super) keys: Arc<[Key]>,
    /// Each key's `_id`.
    pub(super) ids: Vec<String>,
    pub(super) addresses: Arc<Addresses>,
    pub(super) current: Option<Documents>,
    pub(super) version: u64,
    pub(super) taken: u64,
    pub(super) seen: Seen,
    pub(super) body: BulkBody,
    /// The key of each action.
    pub(super) actions: Vec<usize>,
    /// Actions of keys that turned out bad after they were put in.
    pub(super) void: Vec<usize>,
    /// Keys whose document stays as it is.
    pub(super) kept: Vec<usize>,
    /// Keys whose documents in other shards these actions deal with.
    pub(super) cleared: Vec<usize>,
}

/// Documents that are deleted in every shard but the one where they are written.
#[derive(Default)]
pub(super) struct Scattered {
    /// By their keys' places in the batch.
    pub(super) keys: Vec<usize>,
    /// A routing for each shard.
    pub(super) shards: Arc<[String]>,
}

impl Ready {
    /// Where sweeps found other documents of these keys.
    pub(super) fn elsewhere(&self, misplaced: &Misplaced) -> Vec<Elsewhere> {
        match &self.current {
            Some(current) => current.elsewhere().to_vec(),
            None => misplaced.of(&self.keys),
        }
    }

    /// The keys whose documents another shard may have too: where the routing may change all of them, else those
    /// that were seen elsewhere.
    pub(super) fn scattered(&self, missing: &[usize], elsewhere: &[Elsewhere]) -> Vec<usize> {
        if self.current.is_some() {
            return Vec::new();
        }
        let all = matches!(self.addresses.routing, Routing::Column(_));
        if !all && elsewhere.is_empty() {
            return Vec::new();
        }
        let sound = self.actions.iter().enumerate().filter(|(action, _)| !self.void.contains(action));
        let touched = sound.map(|(_, at)| at).chain(missing).copied();
        touched.filter(|at| all || elsewhere.iter().any(|found| found.at == *at)).collect()
    }

    /// Puts in what becomes of the documents of keys without a row.
    pub(super) fn delete(&mut self, missing: &[usize]) {
        for at in missing {
            let (Some(key), Some(id)) = (self.keys.get(*at), self.ids.get(*at)) else { continue };
            let routing = self.addresses.routing_of(key);
            let routing = routing.as_deref();
            if let Some(current) = &self.current {
                if current.remove(&mut self.body, id, routing) {
                    self.actions.push(*at);
                } else {
                    self.kept.push(*at);
                }
                let others = current.remove_elsewhere(&mut self.body, id);
                self.actions.extend(std::iter::repeat_n(*at, others));
                self.cleared.push(*at);
            } else if !matches!(self.addresses.routing, Routing::Column(_)) {
                self.body.push_delete(DocumentRef { id, routing, fence: Fence::Version(self.version) });
                self.actions.push(*at);
            }
        }
    }

    /// Deletes documents in all shards. Where the batch writes one it has a higher version than its deletions, which
    /// the document's own shard therefore refuses; and they have a higher one than all batches before.
    pub(super) fn scatter(&mut self, scattered: &Scattered, missing: &[usize]) {
        self.cleared.extend(&scattered.keys);
        for at in &scattered.keys {
            let Some(id) = self.ids.get(*at) else { continue };
            let gone = missing.contains(at);
            if scattered.shards.len() < 2 && !gone {
                continue;
            }
            let version = if gone { self.version } else { self.version - 1 };
            for shard in scattered.shards.iter() {
                self.body.push_delete(DocumentRef {
                    id,
                    routing: Some(shard),
                    fence: Fence::Version(version),
                });
                self.actions.push(*at);
            }
        }
    }
}

/// What a batch is read for.
#[derive(Clone)]
pub(super) struct Purpose {
    pub(super) keys: Arc<[Key]>,
    pub(super) version: u64,
    pub(super) addresses: Arc<Addresses>,
    pub(super) policy: Several,
}

/// What the rows of a key have come to so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// None has come, or none that has a document.
    Nothing,
    /// This action of the body.
    Action(usize),
    /// The index has the document already.
    Same,
    /// It cannot be a document.
    Bad,
}

/// What became of a row.
enum Placed {
    /// An action of the body.
    Action,
    /// The index has it already.
    Same,
    /// It has no document.
    Skipped,
}

/// Rows as they come.
pub(super) struct Rows {
    keys: Arc<[Key]>,
    at: HashMap<Key, usize>,
    ids: Vec<String>,
    addresses: Arc<Addresses>,
    /// The documents as the index has them, where only some of their fields are written.
    current: Option<Documents>,
    version: u64,
    body: BulkBody,
    actions: Vec<usize>,
    /// Of each key.
    answers: Vec<Answer>,
    void: Vec<usize>,
    kept: Vec<usize>,
    policy: Several,
    /// With [`SeveralRows::Array`], the rows of each key.
    several: BTreeMap<usize, Vec<Vec<u8>>>,
    outcome: ReadRows,
}

/// What several rows of one id are, and which members all of them have in common.
#[derive(Clone)]
pub(super) struct Several {
    rows: SeveralRows,
    single: Vec<String>,
}

impl Several {
    pub(super) fn of(shared: &Shared, plan: &Plan) -> Self {
        let key = plan.key_columns().iter().map(|column| column.output.clone());
        let children = plan.children().iter().map(|child| child.field().to_owned());
        Self { rows: shared.options.several, single: key.chain(children).collect() }
    }
}

impl Rows {
    pub(super) fn new(purpose: Purpose, current: Option<Documents>, body: BulkBody) -> Self {
        let Purpose { keys, version, addresses, policy } = purpose;
        Self {
            at: keys.iter().enumerate().map(|(at, key)| (key.clone(), at)).collect(),
            ids: keys.iter().map(|key| addresses.ids.id_of(key)).collect(),
            addresses,
            current,
            version,
            body,
            actions: Vec::with_capacity(keys.len()),
            answers: vec![Answer::Nothing; keys.len()],
            keys,
            void: Vec::new(),
            kept: Vec::new(),
            policy,
            several: BTreeMap::new(),
            outcome: ReadRows::default(),
        }
    }

    /// The keys of the batch.
    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Takes all back, to begin anew.
    pub(super) fn restart(self) -> Self {
        let Self { keys, addresses, current, version, policy, .. } = self;
        Self::new(Purpose { keys, version, addresses, policy }, current, BulkBody::default())
    }

    pub(super) fn take(&mut self, key: Key, row: Result<&[u8], RecordError>, shape: &Shape) {
        let Some(at) = self.at.get(&key).copied() else {
            if !self.outcome.others.contains(&key) {
                self.outcome.others.push(key);
            }
            return;
        };
        let is_first = self.answers.get(at) == Some(&Answer::Nothing);
        match row {
            _ if !is_first && self.policy.rows == SeveralRows::First => {}
            Err(error) => self.refuse_at(at, error.to_string()),
            Ok(json) if self.policy.rows == SeveralRows::Array => {
                self.several.entry(at).or_default().push(json.to_vec());
            }
            Ok(_) if !is_first => {
                let id = self.ids.get(at).map_or("", String::as_str);
                let reason = format!(
                    "the query returns several rows for id {id}: read its one-to-many join by query.children, \
                     aggregate it (JSON_ARRAYAGG in a subquery), or set query.rows: First or Array"
                );
                self.refuse_at(at, reason);
            }
            Ok(json) => self.push(at, json, shape),
        }
    }

    /// Puts the document of a key's row into the body.
    fn push(&mut self, at: usize, row: &[u8], shape: &Shape) {
        match self.place(at, row, shape) {
            // as if the query had returned nothing for it
            Ok(Placed::Skipped) => {}
            Ok(Placed::Same) => {
                self.answer(at, Answer::Same);
                self.kept.push(at);
            }
            Ok(Placed::Action) => {
                self.answer(at, Answer::Action(self.actions.len()));
                self.actions.push(at);
            }
            Err(reason) => self.refuse_at(at, reason),
        }
    }

    fn answer(&mut self, at: usize, answer: Answer) -> Answer {
        self.answers.get_mut(at).map_or(Answer::Nothing, |slot| std::mem::replace(slot, answer))
    }

    /// Keys of before the key's type changed: the document is that of the key with the same `_id`, which is read in
    /// its stead. An `_id` that is no key at all has no row.
    pub(super) fn respell(&mut self, keys: &[Key], columns: &[KeyColumn]) {
        for key in keys {
            let now = self.addresses.ids.key_of(columns, &self.addresses.ids.id_of(key));
            if fits(columns, &now) {
                self.keep(std::slice::from_ref(key));
                if !self.outcome.others.contains(&now) {
                    self.outcome.others.push(now);
                }
            }
        }
    }

    /// Keys without a row whose document stays as it is.
    pub(super) fn keep(&mut self, keys: &[Key]) {
        self.kept.extend(keys.iter().filter_map(|key| self.at.get(key).copied()));
    }

    fn place(&mut self, at: usize, row: &[u8], shape: &Shape) -> Result<Placed, String> {
        let id = self.ids.get(at).map_or("", String::as_str);
        let routing = match self.keys.get(at) {
            Some(key) => self.addresses.routing_of_row(key, row)?,
            None => None,
        };
        let routing = routing.as_deref();
        if let Some(current) = &self.current {
            let mut own = Vec::new();
            if !shape.is_empty()
                && shape.apply(row, &mut own).map_err(|bad| bad.to_string())? == Shaped::Skipped
            {
                return Ok(Placed::Skipped);
            }
            let own = if shape.is_empty() { row } else { &own };
            let changed = current.write(&mut self.body, id, routing, own)?;
            return Ok(if changed { Placed::Action } else { Placed::Same });
        }
        let target = DocumentRef { id, routing, fence: Fence::Version(self.version) };
        if shape.is_empty() {
            self.body.push_index(target, row);
            return Ok(Placed::Action);
        }
        // dropped without `finish` the action is taken back
        let mut document = self.body.begin_index(target);
        if shape.apply(row, document.buffer()).map_err(|bad| bad.to_string())? == Shaped::Skipped {
            return Ok(Placed::Skipped);
        }
        document.finish();
        Ok(Placed::Action)
    }

    pub(super) fn refuse(&mut self, key: &Key, reason: String) {
        if let Some(at) = self.keys.iter().position(|k| k == key) {
            self.refuse_at(at, reason);
        }
    }

    fn refuse_at(&mut self, at: usize, reason: String) {
        match self.answer(at, Answer::Bad) {
            Answer::Bad => return,
            Answer::Action(action) => self.void.push(action),
            Answer::Same => self.kept.retain(|kept| *kept != at),
            Answer::Nothing => {}
        }
        self.outcome.bad.push((at, reason));
    }

    pub(super) fn finish(mut self, taken: u64, seen: Seen, shape: &Shape) -> (ReadRows, Ready) {
        for (at, rows) in std::mem::take(&mut self.several) {
            if self.answers.get(at) == Some(&Answer::Bad) {
                continue;
            }
            let single: Vec<&str> = self.policy.single.iter().map(String::as_str).collect();
            match merged(&rows, &single) {
                Ok(json) => self.push(at, &json, shape),
                Err(reason) => self.refuse_at(at, reason),
            }
        }
        let sound = |action: &usize| !self.void.contains(action);
        let sound_keys = self.actions.iter().enumerate().filter(|(action, _)| sound(action));
        self.outcome.found = sound_keys.map(|(_, at)| *at).collect();
        self.outcome.found.extend(&self.kept);
        let cleared = self.clear_elsewhere();
        let Self { keys, ids, addresses, current, version, body, actions, void, kept, outcome, .. } = self;
        let ready =
            Ready { keys, ids, addresses, current, version, taken, seen, body, actions, void, kept, cleared };
        (outcome, ready)
    }

    /// Takes the task's fields out of what other shards have of the documents it writes; which it writes.
    fn clear_elsewhere(&mut self) -> Vec<usize> {
        let Some(current) = self.current.as_ref().filter(|current| !current.elsewhere().is_empty()) else {
            return Vec::new();
        };
        let has_row = |(_, answer): &(usize, &Answer)| matches!(answer, Answer::Action(_) | Answer::Same);
        let rows: Vec<usize> = self.answers.iter().enumerate().filter(has_row).map(|(at, _)| at).collect();
        for (at, id) in rows.iter().filter_map(|at| Some((*at, self.ids.get(*at)?))) {
            let others = current.remove_elsewhere(&mut self.body, id);
            self.actions.extend(std::iter::repeat_n(at, others));
        }
        rows
    }
}
