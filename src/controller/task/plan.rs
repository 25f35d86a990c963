//! What is to become of a task: pure, so that every case can be tried.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Resource as _;

use super::super::{Mode, Observed, reindex};
use crate::api::{
    Credentials, DeletionPolicy, Finding, InitialSync, Isolation, OnChange, Reindex, State, SyncTask,
    SyncTaskSpec, SyncTaskStatus,
};
use crate::pipeline::BuildRequest;

/// Keeps a task until its index is deleted.
pub(super) const FINALIZER: &str = "binlog-operator.io/delete-index";

/// A new value restarts the worker.
const RESTART: &str = "binlog-operator.io/restartedAt";

/// All that a worker is made of: with another one it is another worker.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) uid: String,
    pub(super) spec: SyncTaskSpec,
    pub(super) credentials: Credentials,
    restart: Option<String>,
}

impl Wanted {
    pub(super) fn new(task: &Observed<SyncTask>, spec: &SyncTaskSpec, credentials: &Credentials) -> Self {
        let annotations = task.meta().annotations.as_ref();
        Self {
            uid: task.uid().to_owned(),
            spec: spec.clone(),
            credentials: credentials.clone(),
            restart: annotations.and_then(|all| all.get(RESTART).cloned()),
        }
    }

    /// True where a worker of the one does what the other asks for.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.uid == other.uid
            && self.restart == other.restart
            && self.credentials == other.credentials
            && at_work(&self.spec) == at_work(&other.spec)
    }
}

/// A spec without what a running worker does not look at.
fn at_work(spec: &SyncTaskSpec) -> SyncTaskSpec {
    SyncTaskSpec {
        state: State::Running,
        on_change: OnChange::Full,
        deletion_policy: DeletionPolicy::Keep,
        isolation: Isolation::Shared,
        worker: None,
        reindex_history_limit: 0,
        ..spec.clone()
    }
}

/// What is to become of a task.
#[derive(Debug)]
pub(super) enum Aim {
    /// It is not there any more, or not ours: no worker, and nothing else.
    Gone,
    /// It goes, and its index before it.
    Delete,
    /// It runs in another process.
    Elsewhere,
    /// Its user says so.
    Rest(State),
    /// It cannot run as it is written.
    Refused(Vec<Finding>),
    /// A worker of this kind runs.
    Run(Box<Wanted>),
}

/// Aims. `credentials` as they were read, `running` the worker that there is.
pub(super) fn aim(
    task: Option<&Observed<SyncTask>>,
    credentials: &Result<Credentials, Vec<Finding>>,
    running: Option<&Wanted>,
    mode: &Mode,
) -> Aim {
    let Some(task) = task else { return Aim::Gone };
    let operator = matches!(mode, Mode::Operator { .. });
    if task.is_going() {
        return if operator && has_finalizer(task) { Aim::Delete } else { Aim::Gone };
    }
    let spec = match &task.resource {
        Ok(resource) => &resource.spec,
        Err(findings) => return Aim::Refused(findings.clone()),
    };
    if (spec.isolation == Isolation::Dedicated) == operator {
        return Aim::Elsewhere;
    }
    if spec.state != State::Running {
        return Aim::Rest(spec.state);
    }
    match credentials {
        Ok(credentials) => Aim::Run(Box::new(Wanted::new(task, spec, credentials))),
        Err(findings) => match running {
            // a Secret that is being replaced: what runs has what it needs
            Some(running) if running.same(&Wanted::new(task, spec, &running.credentials)) => {
                Aim::Run(Box::new(running.clone()))
            }
            _ => Aim::Refused(findings.clone()),
        },
    }
}

/// True where this process needs the Secrets of a task: it is to run here.
pub(super) fn runs_here(task: &Observed<SyncTask>, mode: &Mode) -> bool {
    let operator = matches!(mode, Mode::Operator { .. });
    let Ok(spec) = task.resource.as_ref().map(|resource| &resource.spec) else { return false };
    !task.is_going() && spec.state == State::Running && (spec.isolation == Isolation::Shared) == operator
}

/// True where the next worker begins with a full build, as far as the task's status says.
pub(super) fn begins(task: &Observed<SyncTask>) -> bool {
    let Ok(spec) = task.resource.as_ref().map(|resource| &resource.spec) else { return false };
    let position = task.status::<SyncTaskStatus>().position;
    position.is_none() && spec.initial_sync == InitialSync::Full && spec.state == State::Running
}

pub(super) fn has_finalizer(task: &Observed<SyncTask>) -> bool {
    task.meta().finalizers.as_ref().is_some_and(|all| all.iter().any(|name| name == FINALIZER))
}

/// The finalizers that a task is to have, where they are others than it has.
pub(super) fn finalizers(task: &Observed<SyncTask>) -> Option<Vec<String>> {
    let spec = task.resource.as_ref().ok().map(|resource| &resource.spec)?;
    let wanted = spec.deletion_policy == DeletionPolicy::DeleteIndex;
    if task.is_going() || wanted == has_finalizer(task) {
        return None;
    }
    let mut all = task.meta().finalizers.clone().unwrap_or_default();
    all.retain(|name| name != FINALIZER);
    all.extend(wanted.then(|| FINALIZER.to_owned()));
    Some(all)
}

/// What a worker is to be told of builds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BuildOrders {
    pub(super) cancel: Vec<String>,
    pub(super) build: Vec<BuildRequest>,
}

/// The builds that Reindexes ask for, oldest first.
pub(super) fn asked(task_uid: &str, reindexes: &[Arc<Observed<Reindex>>]) -> Vec<BuildRequest> {
    let mut asked: Vec<_> = (reindexes.iter())
        .filter(|reindex| {
            !reindex.is_going() && !reindex::is_finished(reindex) && !reindex::is_initial(reindex, task_uid)
        })
        .filter_map(|reindex| {
            Some((reindex.meta().creation_timestamp.clone(), reindex.resource.as_ref().ok()?))
        })
        .collect();
    asked.sort_by(|a, b| (&a.0, &a.1.metadata.name).cmp(&(&b.0, &b.1.metadata.name)));
    asked.into_iter().map(|(_, reindex)| BuildRequest::from(reindex)).collect()
}

/// What is new and what is gone, where the worker knows of builds by these names and UIDs.
pub(super) fn orders(asked: &[BuildRequest], known: &BTreeMap<String, String>) -> BuildOrders {
    let still =
        |name: &String, uid: &String| asked.iter().any(|build| build.name == *name && build.uid == *uid);
    let cancel = known.iter().filter(|(name, uid)| !still(name, uid)).map(|(name, _)| name.clone()).collect();
    let build = asked.iter().filter(|build| known.get(&build.name) != Some(&build.uid)).cloned().collect();
    BuildOrders { cancel, build }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
