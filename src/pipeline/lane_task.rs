//! A lane's hands: reads a batch on its own connection, straight into a bulk body, and sends it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::batch_read::BatchRead;
use super::core::{Input, ReadRows, Seen, Verdict, Written};
use super::several::merged;
use super::shared::{SeveralRows, Shared, sink_failure, source_failure, visibility};
use super::sweep_keys::fits;
use crate::document::{BadValue, Shape, Shaped};
use crate::mapping::Plan;
use crate::model::{Class, Key};
use crate::sink::{Bulk, BulkBody, SinkError, Verdict as Judged};
use crate::source::{KeyedQuery, RecordError, SourceError};

/// Who reads nothing for so long gives up his buffer, and connections that nobody has used for as long are closed.
pub(super) const IDLE: Duration = Duration::from_secs(30);

/// What a lane is told.
pub(super) enum LaneCommand {
    /// Read these keys.
    Read { keys: Arc<[Key]>, version: u64, taken: u64, seen: Seen },
    /// Write what was read, and delete these.
    Write { missing: Vec<usize> },
}

/// What was read and is not sent yet.
struct Ready {
    keys: Arc<[Key]>,
    version: u64,
    taken: u64,
    seen: Seen,
    body: BulkBody,
    /// The key of each action.
    actions: Vec<usize>,
    /// Actions of keys that turned out bad after they were put in.
    void: Vec<usize>,
    /// Keys whose document stays as it is.
    kept: Vec<usize>,
}

/// One lane.
pub(super) struct LaneTask {
    number: usize,
    shared: Arc<Shared>,
    owner: String,
    ready: Option<Ready>,
    spare: Option<BulkBody>,
}

impl LaneTask {
    pub(super) fn spawn(
        number: usize,
        shared: Arc<Shared>,
        owner: String,
    ) -> (mpsc::UnboundedSender<LaneCommand>, tokio::task::JoinHandle<()>) {
        let (sender, mut commands) = mpsc::unbounded_channel();
        let mut lane = Self { number, shared, owner, ready: None, spare: None };
        let task = tokio::spawn(async move {
            while let Some(command) = lane.next(&mut commands).await {
                // boxed: a lane that waits needs no room for its work
                Box::pin(lane.obey(command)).await;
            }
        });
        (sender, task)
    }

    /// The next command. Who waits long for it gives up what he does not need: an operator has many idle tasks.
    async fn next(&mut self, commands: &mut mpsc::UnboundedReceiver<LaneCommand>) -> Option<LaneCommand> {
        if self.spare.is_some() {
            if let Ok(command) = tokio::time::timeout(IDLE, commands.recv()).await {
                return command;
            }
            self.spare = None;
            self.shared.close_idle_readers();
        }
        commands.recv().await
    }

    async fn obey(&mut self, command: LaneCommand) {
        match command {
            LaneCommand::Read { keys, version, taken, seen } => {
                let begun = Instant::now();
                let rows = self.read(keys, version, taken, seen).await;
                self.shared.metrics.read_seconds.took(begun.elapsed());
                let rows = rows.map_err(|error| source_failure(&error));
                self.shared.tell(Input::ReadDone { lane: self.number, rows });
            }
            LaneCommand::Write { missing } => {
                let written = match self.ready.take() {
                    Some(ready) => self.write(ready, &missing).await,
                    None => Written::TooOld,
                };
                self.shared.tell(Input::WriteDone { lane: self.number, written });
            }
        }
    }

    async fn read(
        &mut self,
        keys: Arc<[Key]>,
        version: u64,
        taken: u64,
        seen: Seen,
    ) -> Result<ReadRows, SourceError> {
        let plan = self.shared.plan();
        let shared = Arc::clone(&self.shared);
        let (mut reader, _permit) = shared.borrow_reader().await?;
        let (visible, shape) = (visibility(&seen), &shared.options.shape);
        // an _id of the index that cannot be a key of the query has no row; asking MySQL would compare it
        // as a number and scan the table
        let asked: Vec<Key> = keys.iter().filter(|key| fits(plan.key_columns(), key)).cloned().collect();
        let policy = Several::of(&self.shared, &plan);
        let body = self.spare.take().unwrap_or_default();
        let mut rows = Rows::new(Arc::clone(&keys), version, body, policy.clone());
        if !BatchRead::is_plain(&self.shared, &plan) {
            let read = BatchRead { shared: &self.shared, plan: &plan, visible: &visible };
            let found = read.read(&mut reader, &asked).await?;
            for (key, row) in &found.rows {
                rows.take(key.clone(), row.as_deref().map_err(Clone::clone), shape);
            }
            rows.keep(&found.kept);
            shared.give_back(reader);
            let (outcome, ready) = rows.finish(taken, seen, shape);
            self.ready = Some(ready);
            return Ok(outcome);
        }
        let name = plan.query_hash();
        let read_sql = |size: usize| plan.read_sql(size);
        let query = KeyedQuery { name: &name, sql_for: &read_sql, key_output: plan.key_output() };
        let read = reader.read(&query, &asked, &visible, &mut |key, row| rows.take(key, row, shape)).await;
        match read {
            Ok(_) => {}
            Err(error) if error.class() == Class::Record => {
                rows = Rows::new(Arc::clone(&keys), version, BulkBody::default(), policy);
                for key in &asked {
                    let one = std::slice::from_ref(key);
                    let read =
                        reader.read(&query, one, &visible, &mut |key, row| rows.take(key, row, shape)).await;
                    match read {
                        Err(error) if error.class() == Class::Record => rows.refuse(key, error.to_string()),
                        read => read.map(|_| ())?,
                    }
                }
            }
            Err(error) => return Err(error),
        }
        shared.give_back(reader);
        let (outcome, ready) = rows.finish(taken, seen, shape);
        self.ready = Some(ready);
        Ok(outcome)
    }

    async fn write(&mut self, mut ready: Ready, missing: &[usize]) -> Written {
        for at in missing {
            let Some(key) = ready.keys.get(*at) else { continue };
            ready.body.push_delete(&key.document_id(), ready.version);
            ready.actions.push(*at);
        }
        let mut bulk = ready.body.seal();
        if !ready.void.is_empty() {
            let sound: Vec<usize> = (0..ready.actions.len()).filter(|at| !ready.void.contains(at)).collect();
            bulk = bulk.select(&sound);
            ready.actions = sound.iter().filter_map(|at| ready.actions.get(*at).copied()).collect();
        }
        let begun = Instant::now();
        let judged = self.send(&bulk, ready.taken).await;
        self.shared.metrics.bulk_seconds.took(begun.elapsed());
        self.spare = Some(bulk.recycle());
        let judged = match judged {
            Ok(judged) => judged,
            Err(written) => return written,
        };
        let mut verdicts: Vec<Option<Verdict>> = vec![None; ready.keys.len()];
        for (at, judged) in ready.actions.iter().zip(judged) {
            if let Some(slot) = verdicts.get_mut(*at) {
                *slot = Some(verdict(judged));
            }
        }
        for at in &ready.kept {
            if let Some(slot) = verdicts.get_mut(*at) {
                *slot = Some(Verdict::Done);
            }
        }
        self.log(&ready.keys, ready.version, &ready.seen, missing, &verdicts);
        Written::Verdicts(verdicts)
    }

    /// Sends a bulk, cut into requests of bounded size.
    async fn send(&self, bulk: &Bulk, taken: u64) -> Result<Vec<Judged>, Written> {
        let mut todo = vec![bulk.clone()];
        let mut judged = Vec::new();
        while let Some(part) = todo.pop() {
            if part.bytes() > self.shared.options.batch_bytes
                && let Some((first, second)) = part.split()
            {
                todo.extend([second, first]);
                continue;
            }
            // checked as late as can be: the process may have been stopped for a minute since the read
            if self.shared.clock.millis().saturating_sub(taken) > self.shared.max_age {
                return Err(Written::TooOld);
            }
            match self.shared.sink.bulk(&part).await {
                Ok(verdicts) => judged.extend(verdicts),
                Err(SinkError::TooLarge { .. }) => match part.split() {
                    Some((first, second)) => todo.extend([second, first]),
                    None => return Err(Written::TooLarge),
                },
                Err(error @ SinkError::Busy { .. }) => return Err(Written::Busy(sink_failure(&error))),
                Err(error) => return Err(Written::Failed(sink_failure(&error))),
            }
        }
        Ok(judged)
    }

    fn log(&self, keys: &[Key], version: u64, seen: &Seen, missing: &[usize], verdicts: &[Option<Verdict>]) {
        let Some(log) = &self.shared.write_log else { return };
        let ids: Vec<String> = keys.iter().map(Key::document_id).collect();
        let actions = ids.iter().zip(verdicts).enumerate().filter_map(|(at, (id, verdict))| {
            let op = if missing.contains(&at) { "delete" } else { "index" };
            verdict.as_ref().map(|verdict| (id.as_str(), op, verdict))
        });
        log.batch(&self.owner, version, seen, actions);
    }
}

/// Rows as they come.
struct Rows {
    keys: Arc<[Key]>,
    at: HashMap<Key, usize>,
    ids: Vec<String>,
    version: u64,
    body: BulkBody,
    actions: Vec<usize>,
    /// The action of each key that has one.
    action_of: HashMap<usize, usize>,
    void: Vec<usize>,
    kept: Vec<usize>,
    policy: Several,
    /// With [`SeveralRows::Array`], the rows of each key.
    several: BTreeMap<usize, Vec<Vec<u8>>>,
    outcome: ReadRows,
}

/// What several rows of one id are, and which members all of them have in common.
#[derive(Clone)]
struct Several {
    rows: SeveralRows,
    single: Vec<String>,
}

impl Several {
    fn of(shared: &Shared, plan: &Plan) -> Self {
        let key = plan.key_columns().iter().map(|column| column.output.clone());
        let children = plan.children().iter().map(|child| child.field().to_owned());
        Self { rows: shared.options.several, single: key.chain(children).collect() }
    }
}

impl Rows {
    fn new(keys: Arc<[Key]>, version: u64, body: BulkBody, policy: Several) -> Self {
        Self {
            at: keys.iter().enumerate().map(|(at, key)| (key.clone(), at)).collect(),
            ids: keys.iter().map(Key::document_id).collect(),
            version,
            body,
            actions: Vec::with_capacity(keys.len()),
            action_of: HashMap::with_capacity(keys.len()),
            keys,
            void: Vec::new(),
            kept: Vec::new(),
            policy,
            several: BTreeMap::new(),
            outcome: ReadRows::default(),
        }
    }

    fn take(&mut self, key: Key, row: Result<&[u8], RecordError>, shape: &Shape) {
        let Some(at) = self.at.get(&key).copied() else {
            if !self.outcome.others.contains(&key) {
                self.outcome.others.push(key);
            }
            return;
        };
        match row {
            Err(error) => self.refuse_at(at, error.to_string()),
            Ok(json) if self.policy.rows == SeveralRows::Array => {
                self.several.entry(at).or_default().push(json.to_vec());
            }
            Ok(_) if self.action_of.contains_key(&at) && self.policy.rows == SeveralRows::First => {}
            Ok(_) if self.action_of.contains_key(&at) => {
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
        match self.shaped(at, row, shape) {
            // as if the query had returned nothing for it
            Ok(Shaped::Skipped) => {}
            Ok(Shaped::Document) => {
                self.action_of.insert(at, self.actions.len());
                self.actions.push(at);
            }
            Err(bad) => self.refuse_at(at, bad.to_string()),
        }
    }

    /// Keys without a row whose document stays as it is.
    fn keep(&mut self, keys: &[Key]) {
        self.kept.extend(keys.iter().filter_map(|key| self.at.get(key).copied()));
    }

    fn shaped(&mut self, at: usize, row: &[u8], shape: &Shape) -> Result<Shaped, BadValue> {
        let id = self.ids.get(at).map_or("", String::as_str);
        if shape.is_empty() {
            self.body.push_index(id, self.version, row);
            return Ok(Shaped::Document);
        }
        // dropped without `finish` the action is taken back
        let mut document = self.body.begin_index(id, self.version);
        let shaped = shape.apply(row, document.buffer())?;
        if shaped == Shaped::Document {
            document.finish();
        }
        Ok(shaped)
    }

    fn refuse(&mut self, key: &Key, reason: String) {
        if let Some(at) = self.keys.iter().position(|k| k == key) {
            self.refuse_at(at, reason);
        }
    }

    fn refuse_at(&mut self, at: usize, reason: String) {
        if let Some(action) = self.action_of.get(&at)
            && !self.void.contains(action)
        {
            self.void.push(*action);
        }
        if !self.outcome.bad.iter().any(|(bad, _)| *bad == at) {
            self.outcome.bad.push((at, reason));
        }
    }

    fn finish(mut self, taken: u64, seen: Seen, shape: &Shape) -> (ReadRows, Ready) {
        for (at, rows) in std::mem::take(&mut self.several) {
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
        let Self { keys, version, body, actions, void, kept, outcome, .. } = self;
        (outcome, Ready { keys, version, taken, seen, body, actions, void, kept })
    }
}

fn verdict(judged: Judged) -> Verdict {
    match judged {
        Judged::Done(_) => Verdict::Done,
        Judged::Superseded { current_version } => Verdict::Superseded(current_version),
        Judged::Rejected { kind, reason } => Verdict::Rejected(format!("{kind}: {reason}")),
        Judged::Retry { reason, .. } => Verdict::Retry(reason),
        Judged::Halt { reason } => Verdict::Halt(reason),
        Judged::IndexMissing { reason } => Verdict::IndexMissing(reason),
    }
}
