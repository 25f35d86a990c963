//! A lane's hands: reads a batch on its own connection, straight into a bulk body, and sends it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::addresses::fits;
use super::batch_read::BatchRead;
use super::batch_rows::{Purpose, Ready, Rows, Scattered, Several};
use super::core::{Input, Seen, Verdict, Written};
use super::misplaced::Elsewhere;
use super::shared::{Shared, sink_failure, source_failure, visibility};
use super::upsert::Documents;
use crate::mapping::Plan;
use crate::model::{Class, Key};
use crate::sink::{Bulk, BulkBody, SinkError, Timely, Verdict as Judged};
use crate::source::{KeyedQuery, SourceError};

/// Who reads nothing for so long gives up his buffer, and connections that nobody has used for as long are closed.
pub(super) const IDLE: Duration = Duration::from_secs(30);

/// What a lane is told.
pub(super) enum LaneCommand {
    /// Read these keys.
    Read { keys: Arc<[Key]>, version: u64, taken: u64, seen: Seen },
    /// Write what was read, and delete these.
    Write { missing: Vec<usize> },
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
                let told = self.read(keys, version, taken, seen).await;
                self.shared.metrics.read_seconds.took(begun.elapsed());
                self.shared.tell(told);
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

    async fn read(&mut self, keys: Arc<[Key]>, version: u64, taken: u64, seen: Seen) -> Input {
        let lane = self.number;
        let plan = self.shared.plan();
        let addresses = self.shared.addresses();
        let current = match self.shared.own_fields() {
            // before the rows are read: what is written holds for this state of the document only
            Some(own) => {
                let elsewhere = self.shared.misplaced.of(&keys);
                match Documents::look(&self.shared.sink, &addresses, own, &keys, elsewhere).await {
                    Ok(current) => Some(current),
                    Err(error) => return Input::WriteDone { lane, written: unwritten(&error, keys.len()) },
                }
            }
            None => None,
        };
        let policy = Several::of(&self.shared, &plan);
        let rows = Rows::new(
            Purpose { keys, version, addresses, policy },
            current,
            self.spare.take().unwrap_or_default(),
        );
        match self.rows(rows, &plan, &seen).await {
            Ok(rows) => {
                let (outcome, ready) = rows.finish(taken, seen, &self.shared.options.shape);
                self.ready = Some(ready);
                Input::ReadDone { lane, rows: Ok(outcome) }
            }
            Err(error) => Input::ReadDone { lane, rows: Err(source_failure(&error)) },
        }
    }

    /// Reads the rows of a batch.
    async fn rows(&self, mut rows: Rows, plan: &Plan, seen: &Seen) -> Result<Rows, SourceError> {
        let (mut reader, _permit) = self.shared.borrow_reader().await?;
        let (visible, shape) = (visibility(seen), &self.shared.options.shape);
        // an _id of the index that cannot be a key of the query has no row; asking MySQL would compare it
        // as a number and scan the table
        let (asked, others): (Vec<Key>, Vec<Key>) =
            rows.keys().iter().cloned().partition(|key| fits(plan.key_columns(), key));
        rows.respell(&others, plan.key_columns());
        if !BatchRead::is_plain(&self.shared, plan) {
            let read = BatchRead { shared: &self.shared, plan, visible: &visible };
            let found = read.read(&mut reader, &asked).await?;
            for (key, row) in &found.rows {
                rows.take(key.clone(), row.as_deref().map_err(Clone::clone), shape);
            }
            rows.keep(&found.kept);
            self.shared.give_back(reader);
            return Ok(rows);
        }
        let name = plan.read_sql(1);
        let read_sql = |size: usize| plan.read_sql(size);
        let query = KeyedQuery { name: &name, sql_for: &read_sql, key_output: plan.key_output() };
        let read = reader.read(&query, &asked, &visible, &mut |key, row| rows.take(key, row, shape)).await;
        match read {
            Ok(_) => {}
            Err(error) if error.class() == Class::Record => {
                rows = rows.restart();
                rows.respell(&others, plan.key_columns());
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
        self.shared.give_back(reader);
        Ok(rows)
    }

    async fn write(&mut self, mut ready: Ready, missing: &[usize]) -> Written {
        let elsewhere = ready.elsewhere(&self.shared.misplaced);
        let scattered = match self.scattered(ready.scattered(missing, &elsewhere)).await {
            Ok(scattered) => scattered,
            Err(error) => return unwritten(&error, ready.keys.len()),
        };
        ready.delete(missing);
        let written = ready.actions.len();
        ready.scatter(&scattered, missing);
        let mut bulk = std::mem::take(&mut ready.body).seal();
        let mut own = written;
        if !ready.void.is_empty() {
            let sound: Vec<usize> = (0..ready.actions.len()).filter(|at| !ready.void.contains(at)).collect();
            bulk = bulk.select(&sound);
            own = sound.iter().filter(|at| **at < written).count();
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
        for (number, (at, judged)) in ready.actions.iter().zip(judged).enumerate() {
            let Some(slot) = verdicts.get_mut(*at) else { continue };
            let verdict = match verdict(judged) {
                // the document that this very batch wrote
                Verdict::Superseded(current)
                    if number >= own && current.is_none_or(|current| current <= ready.version) =>
                {
                    Verdict::Done
                }
                verdict => verdict,
            };
            *slot = Some(slot.take().map_or(verdict.clone(), |before| worse(before, verdict)));
        }
        for at in &ready.kept {
            if let Some(slot) = verdicts.get_mut(*at) {
                slot.get_or_insert(Verdict::Done);
            }
        }
        for Elsewhere { at, routings } in &elsewhere {
            if let (Some(key), Some(Some(Verdict::Done))) = (ready.keys.get(*at), verdicts.get(*at))
                && ready.cleared.contains(at)
            {
                self.shared.misplaced.gone(key, routings);
            }
        }
        self.log(&ready, missing, &verdicts);
        Written::Verdicts(verdicts)
    }

    /// Asks where the shards are, for documents of which others may have older ones.
    async fn scattered(&self, keys: Vec<usize>) -> Result<Scattered, SinkError> {
        let shards = if keys.is_empty() { Arc::default() } else { self.shared.sink.shard_routings().await? };
        Ok(Scattered { keys, shards })
    }

    /// Sends a bulk, cut into requests of bounded size.
    async fn send(&self, bulk: &Bulk, taken: u64) -> Result<Vec<Judged>, Written> {
        let mut todo = vec![bulk.clone()];
        let mut judged = Vec::new();
        let (clock, max_age) = (self.shared.clock, self.shared.max_age);
        let timely: Timely = Arc::new(move || clock.millis().saturating_sub(taken) <= max_age);
        while let Some(part) = todo.pop() {
            if part.bytes() > self.shared.options.batch_bytes
                && let Some((first, second)) = part.split()
            {
                todo.extend([second, first]);
                continue;
            }
            match self.shared.sink.bulk_while(&part, &timely).await {
                Ok(verdicts) => judged.extend(verdicts),
                Err(SinkError::Expired) => return Err(Written::TooOld),
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

    fn log(&self, ready: &Ready, missing: &[usize], verdicts: &[Option<Verdict>]) {
        let Some(log) = &self.shared.write_log else { return };
        let actions = ready.ids.iter().zip(verdicts).enumerate().filter_map(|(at, (id, verdict))| {
            let op = if missing.contains(&at) { "delete" } else { "index" };
            verdict.as_ref().map(|verdict| (id.as_str(), op, verdict))
        });
        log.batch(&self.owner, ready.version, &ready.seen, actions);
    }
}

fn verdict(judged: Judged) -> Verdict {
    match judged {
        Judged::Done(_) => Verdict::Done,
        Judged::Superseded { current_version } => Verdict::Superseded(current_version),
        // whatever changed it, version 0 is none of another writer: the id is read again
        Judged::Outdated => Verdict::Superseded(Some(0)),
        Judged::Rejected { kind, reason } => Verdict::Rejected(format!("{kind}: {reason}")),
        Judged::Retry { reason, .. } => Verdict::Retry(reason),
        Judged::Halt { reason } => Verdict::Halt(reason),
        Judged::IndexMissing { reason } => Verdict::IndexMissing(reason),
    }
}

/// The verdict of an id that has several actions.
fn worse(one: Verdict, other: Verdict) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Done => (0, 0),
        Verdict::Superseded(current) => (1, current.unwrap_or(u64::MAX)),
        Verdict::Rejected(_) => (2, 0),
        Verdict::Retry(_) => (3, 0),
        Verdict::Halt(_) => (4, 0),
        Verdict::IndexMissing(_) => (5, 0),
    };
    if rank(&other) > rank(&one) { other } else { one }
}

/// What a request that was asked before the bulk means for the batch of so many keys.
fn unwritten(error: &SinkError, keys: usize) -> Written {
    match error {
        SinkError::Busy { .. } => Written::Busy(sink_failure(error)),
        SinkError::IndexMissing { reason, .. } => {
            Written::Verdicts(vec![Some(Verdict::IndexMissing(reason.clone())); keys])
        }
        _ => Written::Failed(sink_failure(error)),
    }
}
