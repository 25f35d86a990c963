//! Carries out what is aimed at.

use std::time::{Duration, Instant};

use kube::Resource as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tracing::info;

use super::super::{ConfigMapStore, ControllerError, Observed};
use super::Actor;
use super::plan::{self, Aim, Wanted};
use super::worker::Worker;
use crate::api::{Finding, State, SyncTask, SyncTaskStatus};
use crate::model::{ConditionStatus, ConditionType as C, TaskStatus};
use crate::pipeline::{TaskOptions, WorkerError};

impl Actor {
    pub(super) async fn act(
        &mut self,
        aim: Aim,
        task: Option<&Observed<SyncTask>>,
    ) -> Result<(), ControllerError> {
        if let Some(task) = task {
            self.finalizers(task).await?;
        }
        if let Some(worker) = &mut self.worker {
            match &aim {
                Aim::Run(wanted) if !worker.is_stopping() && worker.wanted.same(wanted) => {
                    let reindexes = self.context.world.reindexes_of(&self.place);
                    let asked = plan::asked(&self.uid, &reindexes);
                    worker.order(plan::orders(&asked, worker.builds()));
                    self.generation = task.and_then(Observed::generation);
                }
                _ => {
                    worker.stop();
                    self.again_in(Duration::from_secs(1));
                }
            }
            return Ok(());
        }
        match (aim, task) {
            (Aim::Run(wanted), Some(task)) => self.start(*wanted, task).await,
            (Aim::Delete, Some(task)) => self.delete(task).await,
            (Aim::Elsewhere, Some(task)) => self.elsewhere(task).await,
            (Aim::Rest(state), Some(task)) => {
                self.alone(task).await?;
                self.say(task, resting(state));
                Ok(())
            }
            (Aim::Refused(findings), Some(task)) => {
                self.say(task, refused(&findings));
                Ok(())
            }
            (_, task) => {
                // one that another's finalizer still holds is looked at again when it changes
                self.over = task.is_none();
                self.context.metrics.forget(&self.name());
                Ok(())
            }
        }
    }

    /// Says something in the worker's stead.
    pub(super) fn say(&mut self, task: &Observed<SyncTask>, what: TaskStatus) {
        self.generation = task.generation();
        // the figures stay what they were
        self.local = TaskStatus { conditions: what.conditions, ..std::mem::take(&mut self.local) };
        (self.failures, self.not_before) = (0, None);
    }

    async fn start(&mut self, wanted: Wanted, task: &Observed<SyncTask>) -> Result<(), ControllerError> {
        // what made the last one fail may be what was corrected
        if self.failed.take_if(|failed| !failed.same(&wanted)).is_some() {
            (self.failures, self.not_before) = (0, None);
        }
        if let Some(at) = self.not_before.filter(|at| *at > Instant::now()) {
            self.look_at = Some(at);
            return Ok(());
        }
        if !self.alone(task).await? {
            return Ok(());
        }
        let (namespace, name) = &self.place;
        let before: SyncTaskStatus = task.status();
        let store = ConfigMapStore::new(self.context.cluster.clone(), namespace, name, &wanted.uid);
        let there = match store.is_there().await {
            Ok(there) => there,
            Err(error) => {
                let mut said = TaskStatus::default();
                said.set(C::Ready, false, "StateUnavailable", error.to_string());
                self.say(task, said);
                self.again_in(Duration::from_secs(2));
                return Ok(());
            }
        };
        // a pod's ServiceAccount may not make Reindexes: the operator has made it for the pod
        let begins = plan::begins(task) && !there && self.context.is_operator();
        if begins && !self.initial(task).await? {
            self.again_in(Duration::from_secs(1));
            return Ok(());
        }
        let reindexes = self.context.world.reindexes_of(&self.place);
        let asked = plan::asked(&self.uid, &reindexes);
        let options = TaskOptions {
            was_synced: before.position.is_some(),
            later_builds: asked.iter().map(|build| build.name.clone()).collect(),
            ..TaskOptions::of(&self.name(), &wanted.uid, &wanted.spec, &wanted.credentials)
        };
        let metrics = self.context.metrics.task(&self.name())?;
        info!(task = self.name(), "starting a worker");
        let mut worker = Worker::start(wanted, options, store, metrics);
        worker.order(plan::orders(&asked, worker.builds()));
        self.worker = Some(worker);
        self.generation = task.generation();
        Ok(())
    }

    async fn finalizers(&self, task: &Observed<SyncTask>) -> Result<(), ControllerError> {
        let Some(finalizers) = plan::finalizers(task).filter(|_| self.context.is_operator()) else {
            return Ok(());
        };
        self.set_finalizers(task, &finalizers).await
    }

    pub(super) async fn set_finalizers(
        &self,
        task: &Observed<SyncTask>,
        finalizers: &[String],
    ) -> Result<(), ControllerError> {
        let api = self.context.cluster.api::<Observed<SyncTask>>(&self.place.0);
        // with the version: somebody else's finalizer must not get lost
        let version = &task.meta().resource_version;
        let patch =
            json!({"metadata": {"finalizers": finalizers, "resourceVersion": version, "uid": task.uid()}});
        let what = format!("setting finalizers of SyncTask {}", self.name());
        let (how, patch) = (PatchParams::default(), Patch::Merge(&patch));
        match self.context.cluster.call(what, api.patch(&self.place.1, &how, &patch)).await {
            Err(error) if error.is_not_found() => Ok(()),
            done => done.map(drop),
        }
    }
}

/// What is said of a task that its user holds back.
fn resting(state: State) -> TaskStatus {
    let (mut said, reason) = (TaskStatus::default(), format!("{state:?}"));
    let words = format!("spec.state is {reason}");
    said.set(C::Ready, false, reason.as_str(), words.as_str());
    said.set(C::Paused, true, reason.as_str(), words.as_str());
    said.set(C::SourceConnected, false, reason.as_str(), words.as_str());
    said.set(C::SinkConnected, false, reason.as_str(), words.as_str());
    said.set(C::CaughtUp, ConditionStatus::Unknown, reason.as_str(), words);
    said
}

pub(super) fn refused(findings: &[Finding]) -> TaskStatus {
    let mut said = TaskStatus::default();
    let words = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    said.set(C::Preflight, false, "Refused", words.as_str());
    said.set(C::Ready, false, "Preflight", words);
    said
}

/// What is said between a worker's end and the next one's first word.
pub(super) fn last_words(said: &TaskStatus, ended: &Result<(), WorkerError>) -> TaskStatus {
    // a build of that name is another one by then
    let mut said = TaskStatus { builds: <_>::default(), ..said.clone() };
    match ended {
        Ok(()) => return TaskStatus { conditions: <_>::default(), ..said },
        Err(WorkerError::Obstacle(obstacle)) => {
            said.set(C::Preflight, false, "Refused", obstacle.to_string());
            said.set(C::Ready, false, "Preflight", obstacle.to_string());
        }
        Err(WorkerError::Lost(who)) => {
            said.set(C::Ready, false, "TakenOver", who.as_str());
        }
        Err(WorkerError::Store(words)) => {
            said.set(C::Ready, false, "StateUnavailable", words.as_str());
        }
    }
    said
}
