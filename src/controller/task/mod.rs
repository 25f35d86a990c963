//! One actor per SyncTask: looks, aims, acts, reports.
//!
//! There is never more than one worker: an edit drains the old one, and only when that is over the new one
//! starts. What is wrong with one task stays with it.

mod act;
mod delete;
mod elsewhere;
mod pace;
mod plan;
mod report;
mod status;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use self::pace::Pace;
use self::plan::{Wanted, aim};
use self::worker::Worker;
use super::run::Context;
use super::world::Place;
use super::{ControllerError, Observed, secrets};
use crate::api::{Credentials, Finding, ReindexStatus, SyncTask, SyncTaskStatus};
use crate::model::{ConditionType, TaskStatus};
use crate::pipeline::WorkerError;

pub(super) use status::condition;

/// Status and drain are looked at so often.
const TICK: Duration = Duration::from_secs(1);

/// A worker that ran so long began well.
const WELL: Duration = Duration::from_secs(300);

/// The Secrets' values, and what they were read for.
type Known = (Vec<(String, Option<String>)>, Result<Credentials, Vec<Finding>>);

/// A task's actor.
struct Actor {
    context: Arc<Context>,
    place: Place,
    /// The task that all of this is about: another one of the same name begins anew.
    uid: String,
    worker: Option<Worker>,
    known: Option<Known>,
    /// What is said while no worker says anything.
    local: TaskStatus,
    /// The generation of the spec that the status is about.
    generation: Option<i64>,
    base: Option<SyncTaskStatus>,
    pace: Pace,
    /// What was written of Reindexes, by UID.
    reindexes: HashMap<String, (Pace, ReindexStatus)>,
    failures: u32,
    /// What the last worker that failed was made of.
    failed: Option<Wanted>,
    /// So many looks in a row met a refusal of the API server.
    refusals: u32,
    not_before: Option<Instant>,
    /// When to look again although nothing changed.
    look_at: Option<Instant>,
    /// No pod of this task's own is there.
    alone: bool,
    deployed: Option<serde_json::Value>,
    /// Since when that Deployment has no pod that works.
    silent: Option<Instant>,
    over: bool,
}

/// Works on a task until it is gone, or until `stop` is true.
pub(super) async fn run(
    context: Arc<Context>,
    place: Place,
    wake: Arc<Notify>,
    mut stop: watch::Receiver<bool>,
) {
    let mut actor = Actor::new(context, place);
    loop {
        let stopping = *stop.borrow();
        actor.look(stopping).await;
        if actor.over {
            break;
        }
        // until there is a reason to look again
        loop {
            actor.report().await;
            let next = actor.next();
            tokio::select! {
                () = wake.notified() => break,
                Ok(()) = stop.changed() => break,
                ended = ended(&mut actor.worker) => {
                    actor.ended(ended);
                    break;
                }
                () = tokio::time::sleep_until(next.into()) => {
                    if actor.look_at.is_some_and(|at| at <= Instant::now()) {
                        break;
                    }
                }
            }
        }
    }
}

async fn ended(worker: &mut Option<Worker>) -> Result<(), WorkerError> {
    match worker {
        Some(worker) => worker.ended().await,
        None => std::future::pending().await,
    }
}

impl Actor {
    fn new(context: Arc<Context>, place: Place) -> Self {
        Self {
            context,
            place,
            uid: String::new(),
            worker: None,
            known: None,
            local: TaskStatus::default(),
            generation: None,
            base: None,
            pace: Pace::new(report::EVERY),
            reindexes: HashMap::new(),
            failures: 0,
            failed: None,
            refusals: 0,
            not_before: None,
            look_at: None,
            alone: false,
            deployed: None,
            silent: None,
            over: false,
        }
    }

    fn name(&self) -> String {
        format!("{}/{}", self.place.0, self.place.1)
    }

    /// When to wake at the latest.
    fn next(&self) -> Instant {
        let tick = Instant::now() + TICK;
        self.look_at.map_or(tick, |at| at.min(tick))
    }

    /// Looks at everything once more, and does what is to be done.
    async fn look(&mut self, stopping: bool) {
        self.look_at = None;
        let task = self.context.world.tasks.get(&self.place);
        let task = task.filter(|_| !stopping);
        if let Some(task) = &task
            && task.uid() != self.uid
        {
            let old = std::mem::replace(self, Self::new(Arc::clone(&self.context), self.place.clone()));
            self.worker = old.worker;
            task.uid().clone_into(&mut self.uid);
        }
        match self.follow(task.as_deref()).await {
            Ok(()) => self.refusals = 0,
            Err(error) => self.troubled(task.as_deref(), &error),
        }
    }

    /// A look did not come to its end. What the API server refuses lasts until somebody grants it.
    fn troubled(&mut self, task: Option<&Observed<SyncTask>>, error: &ControllerError) {
        warn!(task = self.name(), "{error}");
        let mut pause = Duration::from_secs(2);
        if let (ControllerError::Refused { .. }, Some(task), None) = (error, task, &self.worker) {
            let mut said = TaskStatus::default();
            said.set(ConditionType::Ready, false, "ApiRefused", error.to_string());
            self.say(task, said);
            pause *= 1 << self.refusals.min(5);
            self.refusals += 1;
        }
        self.again_in(pause);
    }

    async fn follow(&mut self, task: Option<&Observed<SyncTask>>) -> Result<(), ControllerError> {
        let credentials = match task {
            Some(task) if plan::runs_here(task, &self.context.settings.mode) => {
                self.credentials(task).await?
            }
            _ => Err(Vec::new()),
        };
        let running = self.worker.as_ref().map(|worker| &worker.wanted);
        let aim = aim(task, &credentials, running, &self.context.settings.mode);
        self.act(aim, task).await
    }

    /// The values of the Secrets, read again where one of them has changed.
    async fn credentials(
        &mut self,
        task: &Observed<SyncTask>,
    ) -> Result<Result<Credentials, Vec<Finding>>, ControllerError> {
        let Ok(resource) = &task.resource else { return Ok(Err(Vec::new())) };
        let versions = secrets::versions(&self.context.world, &self.place.0, &resource.spec);
        if let Some((known, credentials)) = &self.known
            && *known == versions
        {
            // other fields may be taken from the same Secrets
            if let Some(worker) = &self.worker
                && credentials.is_ok()
                && worker.wanted.spec.source == resource.spec.source
                && worker.wanted.spec.sink == resource.spec.sink
            {
                return Ok(credentials.clone());
            }
        }
        let read = secrets::read(&self.context.cluster, &self.place.0, &resource.spec).await?;
        self.known = Some((versions, read.clone()));
        Ok(read)
    }

    /// The worker is over: asked to or not.
    fn ended(&mut self, ended: Result<(), WorkerError>) {
        let Some(worker) = self.worker.take() else { return };
        self.local = act::last_words(&worker.status.borrow(), &ended);
        match ended {
            Ok(()) => info!(task = self.name(), "the worker has ended"),
            Err(error) => {
                if worker.started.elapsed() > WELL {
                    self.failures = 0;
                }
                let pause = Duration::from_secs(1 << self.failures.min(8));
                self.failures += 1;
                self.failed = Some(worker.wanted.clone());
                self.not_before = Some(Instant::now() + pause);
                warn!(task = self.name(), "the worker ended: {error}; the next one starts in {pause:?}");
            }
        }
    }

    fn again_in(&mut self, pause: Duration) {
        let at = Instant::now() + pause;
        self.look_at = Some(self.look_at.map_or(at, |other| other.min(at)));
    }
}

#[cfg(test)]
#[path = "actor_tests.rs"]
mod tests;
