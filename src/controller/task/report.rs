//! Writes the status of a task and of its Reindexes.

use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Resource as _;
use tracing::warn;

use super::super::{Observed, reindex};
use super::Actor;
use super::pace::Pace;
use super::status::{is_urgent, status, turns};
use crate::api::{Reindex, SyncTask, SyncTaskStatus};
use crate::model::{ConditionType, TaskStatus};
use crate::pipeline::core::FULL;

/// A task's status is written at most so often, but for turns.
pub(super) const EVERY: Duration = Duration::from_secs(30);

/// A Reindex' status likewise, while it runs.
const REINDEX_EVERY: Duration = Duration::from_secs(10);

impl Actor {
    /// Writes what is due.
    pub(super) async fn report(&mut self) {
        let said = match &self.worker {
            Some(worker) => worker.status.borrow().clone(),
            None => self.local.clone(),
        };
        let task = self.context.world.tasks.get(&self.place).filter(|task| task.uid() == self.uid);
        let Some(task) = task.filter(|_| said.conditions.contains_key(&ConditionType::Ready)) else { return };
        self.report_task(&task, &said).await;
        let reindexes = self.context.world.reindexes_of(&self.place);
        self.reindexes.retain(|uid, _| reindexes.iter().any(|reindex| reindex.uid() == uid));
        for reindex in reindexes {
            if !reindex::is_finished(&reindex) && !reindex.is_going() {
                self.report_reindex(&reindex, &said).await;
            }
        }
    }

    async fn report_task(&mut self, task: &Observed<SyncTask>, said: &TaskStatus) {
        // another process spoke since
        let worker = task.status::<SyncTaskStatus>().worker;
        if worker.is_some_and(|who| who != self.context.settings.identity) {
            self.base = None;
        }
        let before = self.base.get_or_insert_with(|| task.status());
        let now = Time(Timestamp::now());
        let after = status(before, said, self.generation, &self.context.settings.identity, &now);
        let (changed, urgent) = (*before != after, is_urgent(before, &after));
        if !self.pace.is_due(changed, urgent, Instant::now()) {
            return;
        }
        let turns = turns(before, &after);
        let Ok(value) = serde_json::to_value(&after) else { return };
        match reindex::write_status(&self.context.cluster, task, &value).await {
            Ok(()) => {
                self.pace.wrote(Instant::now());
                self.base = Some(after);
                for turn in turns {
                    self.context.events.tell(&task.object_ref(&()), turn).await;
                }
            }
            // gone, or another one by now: the watch will say so
            Err(error) if error.is_not_found() || error.is_conflict() => self.pace.failed(Instant::now()),
            Err(error) => {
                warn!(task = self.name(), "{error}");
                self.pace.failed(Instant::now());
            }
        }
    }

    async fn report_reindex(&mut self, reindex: &Observed<Reindex>, said: &TaskStatus) {
        let build = if reindex::is_initial(reindex, &self.uid) { FULL } else { reindex.name() };
        let waiting = match said.conditions.get(&ConditionType::Paused) {
            Some(paused) if paused.status == true.into() => {
                ("TaskPaused", "it begins, or goes on, when the task runs")
            }
            _ if said.is_ready() => ("Waiting", "it runs after those before it"),
            _ => ("TaskNotReady", "it begins, or goes on, when the task is ready"),
        };
        let known = self.reindexes.remove(reindex.uid());
        let (mut pace, before) = known.unwrap_or_else(|| (Pace::new(REINDEX_EVERY), reindex.status()));
        let now = Time(Timestamp::now());
        let after = reindex::status(&before, said.builds.get(build), waiting, reindex.generation(), &now);
        let urgent = before.phase != after.phase || reindex::has_turned(&before, &after);
        if !pace.is_due(before != after, urgent, Instant::now()) {
            self.reindexes.insert(reindex.uid().to_owned(), (pace, before));
            return;
        }
        let value = serde_json::to_value(&after).unwrap_or_default();
        let written = reindex::write_status(&self.context.cluster, reindex, &value).await;
        let known = match written {
            Ok(()) => {
                pace.wrote(Instant::now());
                if let Some(turn) = reindex::turn(&after).filter(|_| urgent) {
                    self.context.events.tell(&reindex.object_ref(&()), turn).await;
                }
                after
            }
            Err(error) => {
                pace.failed(Instant::now());
                if !(error.is_not_found() || error.is_conflict()) {
                    warn!(reindex = reindex.name(), "{error}");
                }
                before
            }
        };
        self.reindexes.insert(reindex.uid().to_owned(), (pace, known));
    }
}
