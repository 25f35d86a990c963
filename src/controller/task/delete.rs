//! A task's end where its index is to go before it.

use std::time::Duration;

use kube::Resource as _;
use tracing::info;

use super::super::events::Turn;
use super::super::{ControllerError, Observed};
use super::{Actor, plan};
use crate::api::{DeletionPolicy, Finding, SyncTask};
use crate::model::{ConditionType as C, TaskStatus};
use crate::pipeline::TaskOptions;
use crate::sink::Sink;

/// What cannot be deleted within this time stays.
pub(super) const GIVE_UP: Duration = Duration::from_secs(300);

impl Actor {
    /// Deletes the index, then lets the task go.
    pub(super) async fn delete(&mut self, seen: &Observed<SyncTask>) -> Result<(), ControllerError> {
        if !self.alone(seen).await? {
            return Ok(());
        }
        // its policy may have been edited since: what is deleted does not come back
        let Some(task) = self.read_again().await? else { return Ok(()) };
        let keeps =
            task.resource.as_ref().is_ok_and(|task| task.spec.deletion_policy == DeletionPolicy::Keep);
        let (warning, reason, note) = if keeps {
            (false, "IndexKept", "spec.deletionPolicy is Keep by now".to_owned())
        } else {
            let since = task.meta().deletion_timestamp.as_ref();
            let since = since.map(|time| time.0.as_second()).unwrap_or_default();
            let waited = k8s_openapi::jiff::Timestamp::now().as_second() - since;
            match self.delete_index(&task).await {
                Ok(true) => {
                    (false, "IndexDeleted", "the index is deleted, as spec.deletionPolicy says".to_owned())
                }
                Ok(false) => {
                    (false, "IndexKept", "the index is not there, or not this task's alone".to_owned())
                }
                Err(words) if waited < GIVE_UP.as_secs() as i64 => {
                    let mut said = TaskStatus::default();
                    let words = format!("the index cannot be deleted yet: {words}");
                    said.set(C::Ready, false, "Deleting", words);
                    self.say(&task, said);
                    self.again_in(Duration::from_secs(5));
                    return Ok(());
                }
                Err(words) => (true, "IndexKept", format!("given up after {waited} s: {words}")),
            }
        };
        info!(task = self.name(), "{reason}: {note}");
        let turn = Turn { warning, reason: reason.to_owned(), note, action: "Delete" };
        self.context.events.tell(&task.object_ref(&()), turn).await;
        let mut others = task.meta().finalizers.clone().unwrap_or_default();
        others.retain(|name| name != plan::FINALIZER);
        self.set_finalizers(&task, &others).await
    }

    /// The task as it stands there now; `None` where it is gone.
    async fn read_again(&self) -> Result<Option<Observed<SyncTask>>, ControllerError> {
        let api = self.context.cluster.api::<Observed<SyncTask>>(&self.place.0);
        let what = format!("reading SyncTask {} before its index is deleted", self.name());
        let found = self.context.cluster.call(what, api.get_opt(&self.place.1)).await?;
        Ok(found.filter(|task| task.uid() == self.uid))
    }

    async fn delete_index(&mut self, task: &Observed<SyncTask>) -> Result<bool, String> {
        let findings = |all: &[Finding]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let resource = task.resource.as_ref().map_err(|all| findings(all))?;
        let credentials = self.credentials(task).await.map_err(|error| error.to_string())?;
        let credentials = credentials.map_err(|all| findings(&all))?;
        let options = TaskOptions::of(&self.name(), &self.uid, &resource.spec, &credentials);
        let sink = Sink::new(options.sink).map_err(|error| error.to_string())?;
        sink.delete().await.map_err(|error| error.to_string())
    }
}
