//! What concerns a Reindex alone: what it is, what is written of it, and when it goes.

mod chores;
mod status;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

pub(super) use chores::clear_up;
pub(super) use status::{has_turned, status, turn};

use super::{Cluster, ControllerError, MANAGER, Observed};
use crate::api::{Reindex, ReindexSpec, ReindexStatus, Selection, SyncTask, TaskRef};

/// True where nothing more will come of it: it is never run again.
pub(super) fn is_finished(reindex: &Observed<Reindex>) -> bool {
    finished_at(&reindex.status()).is_some()
}

/// When it finished, in seconds since 1970.
fn finished_at(status: &ReindexStatus) -> Option<i64> {
    let over = |c: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        c.status == "True" && (c.type_ == "Complete" || c.type_ == "Failed")
    };
    status.conditions.iter().find(over).map(|c| c.last_transition_time.0.as_second())
}

/// The UID of the SyncTask that made it.
pub(super) fn owner(reindex: &Observed<Reindex>) -> Option<String> {
    let owners = reindex.meta().owner_references.as_ref()?;
    let task = |owner: &&OwnerReference| owner.controller == Some(true) && owner.kind == "SyncTask";
    owners.iter().find(task).map(|owner| owner.uid.clone())
}

/// True for the initial sync of the task of this UID, which the task runs by itself.
pub(super) fn is_initial(reindex: &Observed<Reindex>, task_uid: &str) -> bool {
    owner(reindex).is_some_and(|owner| owner == task_uid) && reindex.name().ends_with("-initial")
}

/// The initial sync of a task.
pub(super) fn initial(task: &Observed<SyncTask>) -> Reindex {
    let spec = ReindexSpec {
        task_ref: TaskRef { name: task.name().to_owned() },
        selection: Selection::default(),
        page_size: 1_000,
        ttl_seconds_after_finished: None,
    };
    let mut initial = Reindex::new(&format!("{}-initial", task.name()), spec);
    initial.metadata.owner_references = task.controller_owner_ref(&()).map(|owner| vec![owner]);
    initial.metadata.labels = Some(super::labels(task.uid()));
    initial
}

/// Applies the status of an object, if it is still the one that was seen.
pub(super) async fn write_status<R>(
    cluster: &Cluster,
    object: &Observed<R>,
    status: &Value,
) -> Result<(), ControllerError>
where
    R: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + crate::api::Resource
        + Clone
        + std::fmt::Debug,
{
    let (kind, namespace) = (R::kind(&()), object.meta().namespace.clone().unwrap_or_default());
    let patch = json!({
        "apiVersion": R::api_version(&()),
        "kind": kind,
        "metadata": {"name": object.name(), "uid": object.uid()},
        "status": status,
    });
    let api: Api<Observed<R>> = cluster.api(&namespace);
    let what = format!("writing the status of {kind} {namespace}/{}", object.name());
    let (how, patch) = (PatchParams::apply(MANAGER).force(), Patch::Apply(&patch));
    cluster.call(what, api.patch_status(object.name(), &how, &patch)).await.map(drop)
}
