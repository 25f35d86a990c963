//! A task's pod of its own: made, looked at, waited for.

use std::time::Duration;

use kube::api::PostParams;
use tracing::warn;

use super::super::{ControllerError, Observed, deployment, reindex};
use super::act::refused;
use super::{Actor, plan};
use crate::api::{Finding, Reindex, SyncTask};
use crate::model::TaskStatus;

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
        if !self.alone && self.context.is_operator() {
            self.deployed = None;
            self.alone = deployment::remove(&self.context.cluster, task).await?;
            if !self.alone {
                self.again_in(Duration::from_secs(2));
                return Ok(false);
            }
        }
        Ok(true)
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
        self.again_in(Duration::from_secs(60));
        let wanted = deployment::wanted(task, &self.context.settings.mode);
        if self.deployed.as_ref() == Some(&wanted)
            && deployment::is_there(&self.context.cluster, task).await?
        {
            return Ok(());
        }
        match deployment::apply(&self.context.cluster, task, &wanted).await {
            Ok(()) => {
                self.deployed = Some(wanted);
                Ok(())
            }
            Err(error @ ControllerError::Refused { .. }) => {
                warn!(task = self.name(), "{error}");
                let finding = Finding::new(
                    "spec.worker",
                    error.to_string(),
                    "correct it, or grant the operator what it lacks",
                );
                self.say(task, refused(&[finding]));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
