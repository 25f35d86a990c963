//! The shell around the core: carries out its commands, tells it what came of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::core::{Command, Core, Ended, FULL, Failure, Identity, Input};
use super::feed::{Feed, StreamCounts};
use super::lane_task::{LaneCommand, LaneTask};
use super::orders::{Control, Orders};
use super::prepare::{Obstacle, Prepared, pause, prepare};
use super::shared::{Clock, Shared, TaskOptions};
use super::status::Reporter;
use super::store::{Expect, Stored, Stores};
use super::{place, watches};
use crate::metrics::TaskMetrics;
use crate::model::{BuildPhase, Class, ConditionType, GtidSet, TaskStatus};
use crate::sink::{Sink, SweepCursor};
use crate::source::Source;

/// The status is told at most so often.
const TELL_STATUS: Duration = Duration::from_millis(100);

/// Why a worker ended otherwise than by being stopped.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Something stands in the way that waiting does not remove.
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
    /// Another owner has the task.
    #[error("another worker took the task over: {0}")]
    Lost(String),
    /// The state cannot be read.
    #[error("{0}")]
    Store(String),
}

/// Runs a task until it is stopped or lost. `status` is kept up to date.
pub async fn run<S: Stores>(
    options: TaskOptions,
    stores: S,
    control: mpsc::Receiver<Control>,
    status: watch::Sender<TaskStatus>,
    metrics: TaskMetrics,
) -> Result<(), WorkerError> {
    let mut orders = Orders::new(control);
    let sink = Sink::new(options.sink.clone()).map_err(Obstacle::from)?;
    let Some(prepared) = start(&options, &sink, &mut orders, &status).await? else { return Ok(()) };
    let mut stored = stores.load().await.map_err(|error| WorkerError::Store(error.to_string()))?;
    if let Some(checkpoint) = &mut stored.checkpoint {
        checkpoint.builds.retain(|name, _| options.asks_for(name));
    }
    let mut worker = Worker::new(options, sink, prepared, stored, stores, status, metrics)?;
    worker.work(orders).await
}

/// Prepares until it works out. `None` where the worker was stopped meanwhile.
async fn start(
    options: &TaskOptions,
    sink: &Sink,
    orders: &mut Orders,
    status: &watch::Sender<TaskStatus>,
) -> Result<Option<Prepared>, WorkerError> {
    let mut tries = 0;
    loop {
        let obstacle = tokio::select! {
            prepared = prepare(options, sink) => match prepared {
                Ok(prepared) => {
                    prepared.warnings.iter().for_each(|warning| warn!(task = options.name, "{warning}"));
                    return Ok(Some(prepared));
                }
                Err(obstacle) => obstacle,
            },
            again = orders.again() => if again { continue } else { return Ok(None) },
        };
        if options.impatient && obstacle.class != Class::Retry {
            return Err(obstacle.into());
        }
        tell_obstacle(options, &obstacle, status);
        let wait = pause(obstacle.class, tries);
        tries += 1;
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            again = orders.again() => if !again { return Ok(None) },
        }
    }
}

fn tell_obstacle(options: &TaskOptions, obstacle: &Obstacle, status: &watch::Sender<TaskStatus>) {
    let words = obstacle.to_string();
    status.send_modify(|status| {
        let reason = if obstacle.class == Class::Retry { "Unreachable" } else { "Refused" };
        let news = status.set(ConditionType::Preflight, false, reason, words.as_str());
        status.set(ConditionType::Ready, false, "Preflight", words.as_str());
        if news {
            warn!(task = options.name, reason, "{words}");
        }
    });
}

/// A stream that is being read.
struct OpenFeed {
    inputs: mpsc::Receiver<Vec<Input>>,
    task: JoinHandle<()>,
}

struct Worker<S> {
    core: Core,
    /// Those that the options ask for, until the first step.
    builds: Vec<Input>,
    shared: Arc<Shared>,
    stores: Arc<S>,
    done: mpsc::UnboundedReceiver<Input>,
    lanes: Vec<mpsc::UnboundedSender<LaneCommand>>,
    tasks: Vec<JoinHandle<()>>,
    feed: Option<OpenFeed>,
    feeds: u32,
    /// What the server had executed when it was last asked.
    executed: watch::Sender<GtidSet>,
    stream_counts: Arc<StreamCounts>,
    sweeps: HashMap<String, oneshot::Receiver<Option<SweepCursor>>>,
    reporter: Reporter,
    status: watch::Sender<TaskStatus>,
    told: tokio::time::Instant,
}

/// What works for a worker ends with it, however it ends.
impl<S> Drop for Worker<S> {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        if let Some(feed) = &self.feed {
            feed.task.abort();
        }
    }
}

impl<S: Stores> Worker<S> {
    #[allow(clippy::too_many_arguments)] // made in one place
    fn new(
        options: TaskOptions,
        sink: Sink,
        prepared: Prepared,
        stored: Stored,
        stores: S,
        status: watch::Sender<TaskStatus>,
        metrics: TaskMetrics,
    ) -> Result<Self, WorkerError> {
        let source = Source::new(options.source.clone()).map_err(Obstacle::from)?;
        let reads = match &options.reader {
            Some(reader) => Source::new(reader.clone()).map_err(Obstacle::from)?,
            None => source.clone(),
        };
        if !options.streamless {
            source.bind_to(prepared.server.bound_name());
        }
        let (sender, done) = mpsc::unbounded_channel();
        let clock = Clock::start();
        let owner = format!("{}-{:016x}", options.name.replace('/', "."), rand::random::<u64>());
        let gc_deletes = prepared.index.gc_deletes.as_millis() as u64;
        let mut config = options.core.clone();
        config.late_answer = gc_deletes / 2;
        config.max_age = config.max_age.min(gc_deletes / 2).max(1_000);
        config.ordered_commits = prepared.server.binlog_order_commits;
        config.seed = rand::random();
        config.fresh_pages = prepared.plan.lookups().iter().map(|lookup| lookup.max_pages).collect();
        let identity = Identity {
            task_uid: options.uid.clone(),
            owner: owner.clone(),
            query_hash: options.content_hash(&prepared.plan),
            index_uuid: prepared.index.uuid.clone(),
            server_uuid: prepared.server.server_uuid.clone(),
            initial_full: options.initial_full,
            was_synced: !options.streamless && (prepared.index.was_synced || options.was_synced),
            deliver_first: prepared.binlog_end.clone().filter(|_| !options.streamless),
        };
        let lanes = config.lanes;
        let max_age = config.max_age;
        let reporter = Reporter::new(options.stall_timeout, &prepared.warnings);
        let core = Core::new(config, identity, stored.checkpoint, stored.letters, clock.now());
        let kept = prepared.server.binlog_expire_seconds;
        let shared =
            Shared::new(options, source, reads, sink, prepared.plan, clock, sender, metrics, max_age, kept)
                .map_err(|error| WorkerError::Store(format!("the write log cannot be opened: {error}")))?;
        shared.set_index_uuid(&prepared.index.uuid);
        shared.set_own_fields(prepared.own_fields);
        let builds = prepared.builds.into_iter().map(|build| build.asked(&shared)).collect();
        let shared = Arc::new(shared);
        let (lanes, tasks) =
            (0..lanes).map(|n| LaneTask::spawn(n, Arc::clone(&shared), owner.clone())).unzip();
        Ok(Self {
            core,
            builds,
            shared,
            stores: Arc::new(stores),
            done,
            lanes,
            tasks,
            feed: None,
            feeds: 0,
            executed: watch::Sender::default(),
            stream_counts: Arc::default(),
            sweeps: HashMap::new(),
            reporter,
            status,
            told: tokio::time::Instant::now(),
        })
    }

    async fn work(&mut self, mut orders: Orders) -> Result<(), WorkerError> {
        self.tasks.push(tokio::spawn(watches::executed(Arc::clone(&self.shared), self.executed.clone())));
        self.tasks.push(tokio::spawn(watches::index(Arc::clone(&self.shared))));
        self.tasks.push(tokio::spawn(watches::server(self.shared.source.clone())));
        self.tasks.push(tokio::spawn(place::estimate(Arc::clone(&self.shared))));
        let mut inputs = std::mem::take(&mut self.builds);
        let ended = loop {
            let commands = self.core.step(self.shared.clock.now(), inputs);
            let mut ended = None;
            for command in commands {
                if let Command::End(why) = command {
                    ended = Some(why);
                } else {
                    self.obey(command);
                }
            }
            self.tell(ended.is_some());
            if let Some(ended) = ended {
                break ended;
            }
            inputs = self.next_inputs(&mut orders).await;
        };
        match ended {
            Ended::Stopped => Ok(()),
            Ended::Lost(who) => Err(WorkerError::Lost(who)),
        }
    }

    /// Waits for something to happen, and takes all that has.
    async fn next_inputs(&mut self, orders: &mut Orders) -> Vec<Input> {
        let wake = self.core.deadline().map(|at| self.shared.clock.at(at).into());
        let next_tell = self.told + TELL_STATUS * 10;
        let wake = wake.map_or(next_tell, |wake: tokio::time::Instant| wake.min(next_tell));
        let wants_events = self.core.wants_events();
        let feed = self.feed.as_mut().filter(|_| wants_events);
        let mut inputs = tokio::select! {
            chunk = receive(feed) => chunk.unwrap_or_else(|| {
                self.feed = None;
                let message = "the stream's task ended".to_owned();
                vec![Input::StreamLost(Failure { class: Class::Retry, message })]
            }),
            Some(input) = self.done.recv() => vec![input],
            order = orders.next() => vec![self.ordered(order)],
            () = tokio::time::sleep_until(wake) => vec![Input::Tick],
        };
        if let Some(Input::StreamLost(failure)) = inputs.last() {
            info!(task = self.shared.options.name, "the binlog stream ended: {}", failure.message);
        }
        while let Ok(input) = self.done.try_recv() {
            inputs.push(input);
        }
        inputs
    }

    fn ordered(&mut self, order: Control) -> Input {
        match order {
            Control::Stop => Input::Stop,
            Control::Probe => Input::Probe,
            Control::Cancel(name) => {
                self.reporter.refused.remove(&name);
                self.shared.set_walk(&name, None);
                Input::Cancel(name)
            }
            Control::Build(request) => match request.compile(&self.shared.plan()) {
                Ok(build) => build.asked(&self.shared),
                // its own trouble, not the task's
                Err(words) => {
                    self.reporter.refused.insert(request.name, words);
                    Input::Tick
                }
            },
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Read { lane, keys, version, taken, seen } => {
                self.lane(lane, LaneCommand::Read { keys, version, taken, seen });
            }
            Command::Write { lane, missing } => self.lane(lane, LaneCommand::Write { missing }),
            Command::Lookup { .. } | Command::Walk { .. } => {
                tokio::spawn(place::fetch(Arc::clone(&self.shared), command));
            }
            Command::Sweep { build, run, below, first } => self.sweep(build, run, below, first),
            Command::OpenStream { .. } if self.shared.options.streamless => {}
            Command::OpenStream { from, verify, schemas } => self.open_feed(from, verify, schemas),
            Command::CloseStream => self.close_feed(),
            Command::TakePlace => {
                self.say_why();
                let shared = Arc::clone(&self.shared);
                tokio::spawn(async move {
                    let place = place::take_place(&shared).await;
                    shared.tell(Input::PlaceTaken(place));
                });
            }
            Command::BuildMoved { build, phase } => self.build_moved(&build, phase),
            command => self.store(command),
        }
    }

    /// Names the reason of a new position: every gap is said aloud (DESIGN, invariant 7).
    fn say_why(&self) {
        let (task, view) = (&self.shared.options.name, self.core.view());
        let cause = view.repairing.unwrap_or_default();
        if view.counts.gaps > 0 {
            warn!(task, cause, "changes may have been missed: taking a new position, then a Full");
        } else {
            info!(task, cause, "taking a position");
        }
    }

    fn lane(&self, lane: usize, command: LaneCommand) {
        if let Some(lane) = self.lanes.get(lane) {
            let _ = lane.send(command);
        }
    }

    fn store(&self, command: Command) {
        let (stores, shared) = (Arc::clone(&self.stores), Arc::clone(&self.shared));
        tokio::spawn(async move {
            match command {
                Command::Save { expect: epoch, ceiling, checkpoint } => {
                    let expect = Expect { epoch, ceiling };
                    shared.tell(Input::Saved(stores.save(expect, &checkpoint).await));
                }
                Command::SaveDeadLetters { epoch, add, remove } => {
                    for letter in &add {
                        warn!(task = shared.options.name, id = %letter.key, reason = letter.reason, "dead letter");
                    }
                    let saved = stores.save_letters(epoch, &add, &remove).await;
                    shared.tell(Input::DeadLettersSaved(saved));
                }
                Command::CheckEpoch { epoch } => {
                    let held = stores.holds(epoch).await;
                    let failure =
                        |error: super::StoreError| Failure { class: Class::Retry, message: error.0 };
                    shared.tell(Input::EpochChecked(held.map_err(failure)));
                }
                _ => {}
            }
        });
    }

    fn sweep(&mut self, build: String, run: u64, below: u64, first: bool) {
        let before = self.sweeps.remove(&build).filter(|_| !first);
        let (cursor, kept) = oneshot::channel();
        self.sweeps.insert(build.clone(), kept);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let before = match before {
                Some(before) => before.await.ok().flatten(),
                None => None,
            };
            // where nobody keeps the cursor the sweep begins again
            let _ = cursor.send(place::sweep(shared, build, run, below, before).await);
        });
    }

    fn open_feed(
        &mut self,
        from: crate::model::StreamPosition,
        verify: Option<crate::model::LastTransaction>,
        schemas: Arc<Vec<crate::model::TableColumns>>,
    ) {
        self.close_feed();
        info!(task = self.shared.options.name, position = %from, "opening the binlog stream");
        let (sender, inputs) = mpsc::channel(4);
        let feed = Feed {
            source: self.shared.source.clone(),
            plan: self.shared.plan(),
            from,
            verify,
            settled: self.shared.settled(),
            schemas,
            server_id: self.shared.options.server_id,
            server_id_seed: self.shared.options.uid.clone(),
            heartbeat: Duration::from_secs(5),
            executed: self.executed.subscribe(),
            attempt: self.feeds,
            counts: Arc::clone(&self.stream_counts),
        };
        self.feeds += 1;
        self.feed = Some(OpenFeed { inputs, task: tokio::spawn(feed.run(sender)) });
    }

    fn close_feed(&mut self) {
        if let Some(feed) = self.feed.take() {
            feed.task.abort();
        }
    }

    fn build_moved(&self, build: &str, phase: BuildPhase) {
        info!(task = self.shared.options.name, build, ?phase, "build");
        if build == FULL && phase == BuildPhase::Complete {
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move {
                if let Err(error) = shared.sink.mark_synced().await {
                    warn!(task = shared.options.name, "the index could not be marked as synced: {error}");
                }
            });
        }
    }

    fn tell(&mut self, at_once: bool) {
        let now = tokio::time::Instant::now();
        if !at_once && now - self.told < TELL_STATUS {
            return;
        }
        self.told = now;
        let view = self.core.view();
        let status = self.reporter.status(&view, &self.shared);
        self.reporter.metrics(&view, &status, &self.stream_counts, &self.shared.metrics);
        self.status.send_replace(status);
    }
}

async fn receive(feed: Option<&mut OpenFeed>) -> Option<Vec<Input>> {
    match feed {
        Some(feed) => feed.inputs.recv().await,
        None => std::future::pending().await,
    }
}
