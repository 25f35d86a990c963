//! A task's pod of its own: made, looked at, waited for.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use tracing::warn;

use super::super::deployment::Found;
use super::super::{ControllerError, Observed, deployment, reindex};
use super::act::refused;
use super::delete::GIVE_UP;
use super::{Actor, plan};
use crate::api::{Finding, Reindex, SyncTask, SyncTaskStatus};
use crate::model::{ConditionType as C, TaskStatus};

/// A Deployment without a pod so long has none that works, whatever its last pod said.
const SILENCE: Duration = Duration::from_secs(30);

impl Actor {
    /// The initial sync as a Reindex, for people to see; the worker runs it by itself. False where one of a
    /// task of before is still there.
    pub(super) async fn initial(&self, task: &Observed<SyncTask>) -> Result<bool, ControllerError> {
        let (namespace, name) = &self.place;
        let place = (namespace.clone(), format!("{name}-initial"));
        if let Some(there) = self.context.world.reindexes.get(&place) {
            // one that is no task's is somebody's own of that name: left alone
            return Ok(reindex::owner(&there).is_none_or(|owner| owner == self.uid));
        }
        let initial = reindex::initial(task);
        let api = self.context.cluster.api::<Reindex>(namespace);
        let what = format!("creating Reindex {namespace}/{name}-initial");
        match self.context.cluster.call(what, api.create(&PostParams::default(), &initial)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes sure that no pod of the task's own is left. False while one is.
    pub(super) async fn alone(&mut self, task: &Observed<SyncTask>) -> Result<bool, ControllerError> {
        if self.alone || !self.context.is_operator() {
            return Ok(true);
        }
        (self.deployed, self.silent) = (None, None);
        let since = deployment::remove(&self.context.cluster, task).await?;
        let waited = since.map(|since| Timestamp::now().as_second() - since);
        if let Some(waited) = waited.filter(|waited| *waited < GIVE_UP.as_secs() as i64) {
            let words = format!(
                "its pod is not gone yet, after {waited} s; a pod on a node that is lost is waited for no longer than {} s",
                GIVE_UP.as_secs()
            );
            self.wait(task, "WaitingForPod", &words);
            self.again_in(Duration::from_secs(2));
            return Ok(false);
        }
        if let Some(waited) = waited {
            // whoever claims the checkpoint next fences it
            warn!(
                task = self.name(),
                "the task's pod is not gone after {waited} s; it is waited for no longer"
            );
        }
        self.alone = true;
        Ok(true)
    }

    fn wait(&mut self, task: &Observed<SyncTask>, reason: &str, words: &str) {
        let mut said = TaskStatus::default();
        said.set(C::Ready, false, reason, words);
        self.say(task, said);
    }

    /// The task runs in a pod of its own: the operator makes it, and its worker reports.
    pub(super) async fn elsewhere(&mut self, task: &Observed<SyncTask>) -> Result<(), ControllerError> {
        self.alone = false;
        // what stands in the status is the other's from now on
        (self.local, self.base) = (TaskStatus::default(), None);
        if !self.context.is_operator() {
            return Ok(());
        }
        if plan::begins(task) && !self.initial(task).await? {
            self.again_in(Duration::from_secs(1));
            return Ok(());
        }
        match self.deploy(task).await {
            Err(error @ ControllerError::Refused { .. }) => {
                warn!(task = self.name(), "{error}");
                let finding = Finding::new(
                    "spec.worker",
                    error.to_string(),
                    "correct it, or grant the operator what it lacks",
                );
                self.say(task, refused(&[finding]));
                self.again_in(Duration::from_secs(60));
                Ok(())
            }
            done => done,
        }
    }

    /// Makes the pod, and speaks for it while it cannot.
    async fn deploy(&mut self, task: &Observed<SyncTask>) -> Result<(), ControllerError> {
        let found = deployment::find(&self.context.cluster, task).await?;
        if found == Found::Before {
            self.deployed = None;
            self.wait(task, "WaitingForPod", "waiting for the Deployment of a task of before to be gone");
            self.again_in(Duration::from_secs(2));
            return Ok(());
        }
        let wanted = deployment::wanted(task, &self.context.settings.mode);
        if found == Found::Nothing || self.deployed.as_ref() != Some(&wanted) {
            deployment::apply(&self.context.cluster, task, &wanted).await?;
            self.deployed = Some(wanted);
        }
        if found == (Found::Ours { available: true }) {
            self.silent = None;
            self.again_in(Duration::from_secs(30));
            return Ok(());
        }
        let since = *self.silent.get_or_insert_with(Instant::now);
        let speaker = task.status::<SyncTaskStatus>().worker;
        // a pod that begins may speak before its Deployment counts it
        let speaks = speaker.is_some_and(|who| who != self.context.settings.identity);
        if !speaks || since.elapsed() > SILENCE {
            let words = "the task's Deployment has no available pod; look at its pods and their events";
            self.wait(task, "WorkerPodNotAvailable", words);
        }
        self.again_in(Duration::from_secs(5));
        Ok(())
    }
}
