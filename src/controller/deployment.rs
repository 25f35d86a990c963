//! The Deployment of a task with a pod of its own.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::jiff::Timestamp;
use kube::Resource as _;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PropagationPolicy};
use kube::core::ApiResource;
use serde_json::{Value, json};

use super::run::Mode;
use super::{Cluster, ControllerError, MANAGER, Observed, labels};
use crate::api::{Placement, SyncTask};

/// The port of `/healthz`, `/readyz` and `/metrics`.
const PORT: u16 = 8222;

fn name(task: &Observed<SyncTask>) -> String {
    format!("{}-worker", task.name())
}

fn namespace(task: &Observed<SyncTask>) -> &str {
    task.meta().namespace.as_deref().unwrap_or_default()
}

/// Deployments as they are, for their own type reads ports in a way that exact numbers do not bear.
fn api(cluster: &Cluster, task: &Observed<SyncTask>) -> Api<DynamicObject> {
    Api::namespaced_with(cluster.raw(), namespace(task), &ApiResource::erase::<Deployment>(&()))
}

/// The Deployment that a task is to have.
pub(super) fn wanted(task: &Observed<SyncTask>, mode: &Mode) -> Value {
    let default = Placement::default();
    let placement =
        task.resource.as_ref().ok().and_then(|task| task.spec.worker.as_ref()).unwrap_or(&default);
    let labels = labels(task.uid());
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name(task),
            "namespace": namespace(task),
            "labels": labels,
            "ownerReferences": [task.controller_owner_ref(&())],
        },
        "spec": {
            "replicas": 1,
            // never two at a time
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod(task, placement, mode)},
        },
    })
}

fn pod(task: &Observed<SyncTask>, placement: &Placement, mode: &Mode) -> Value {
    let (image, account) = match mode {
        Mode::Operator { image, service_account } => (image.as_deref(), Some(service_account.clone())),
        Mode::Worker { .. } => (None, None),
    };
    let mut pod = json!({
        "containers": [container(task, placement, placement.image.as_deref().or(image))],
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 40,
    });
    let mut set = |field: &str, value: Option<Value>| {
        if let (Some(value), Some(pod)) = (value, pod.as_object_mut()) {
            pod.insert(field.to_owned(), value);
        }
    };
    set("serviceAccountName", placement.service_account_name.clone().or(account).map(Value::from));
    set("nodeSelector", placement.node_selector.as_ref().map(|all| json!(all)));
    set("tolerations", placement.tolerations.as_ref().map(|all| json!(all)));
    set("affinity", placement.affinity.as_ref().map(|all| json!(all)));
    set("priorityClassName", placement.priority_class_name.clone().map(Value::from));
    pod
}

fn container(task: &Observed<SyncTask>, placement: &Placement, image: Option<&str>) -> Value {
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": PORT}, "periodSeconds": 10, "timeoutSeconds": 5});
    let mut container = json!({
        "name": "worker",
        "image": image,
        "args": ["worker", "--namespace", namespace(task), "--task", task.name(), "--listen", format!(":{PORT}")],
        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "ports": [{"name": "http", "containerPort": PORT}],
        "livenessProbe": probe("/healthz"),
        "readinessProbe": probe("/readyz"),
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
    });
    if let (Some(resources), Some(container)) = (&placement.resources, container.as_object_mut()) {
        container.insert("resources".to_owned(), json!(resources));
    }
    container
}

/// Makes it so.
pub(super) async fn apply(
    cluster: &Cluster,
    task: &Observed<SyncTask>,
    wanted: &Value,
) -> Result<(), ControllerError> {
    let what = format!("applying Deployment {}/{}", namespace(task), name(task));
    let how = PatchParams::apply(MANAGER).force();
    cluster.call(what, api(cluster, task).patch(&name(task), &how, &Patch::Apply(wanted))).await.map(drop)
}

/// What stands in the place of a task's Deployment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing that a task made.
    Nothing,
    /// One on its way out: of a task of before, or of a life before of this one.
    Before,
    /// The task's own.
    Ours {
        /// Its pod works.
        available: bool,
    },
}

impl Found {
    fn of(found: Option<&DynamicObject>, task_uid: &str) -> Self {
        let Some(found) = found else { return Self::Nothing };
        let mut owners = found.metadata.owner_references.iter().flatten();
        match owners.find(|owner| owner.kind == "SyncTask") {
            None => Self::Nothing,
            Some(owner) if owner.uid != task_uid || found.metadata.deletion_timestamp.is_some() => {
                Self::Before
            }
            Some(_) => {
                let available = found.data.pointer("/status/availableReplicas").and_then(Value::as_i64);
                Self::Ours { available: available.is_some_and(|number| number > 0) }
            }
        }
    }
}

/// Looks for the task's Deployment.
pub(super) async fn find(cluster: &Cluster, task: &Observed<SyncTask>) -> Result<Found, ControllerError> {
    let what = format!("looking for Deployment {}/{}", namespace(task), name(task));
    let found = cluster.call(what, api(cluster, task).get_opt(&name(task))).await?;
    Ok(Found::of(found.as_ref(), task.uid()))
}

/// Removes the task's pod. `None` once it is gone; until then since when it goes, in seconds since 1970.
pub(super) async fn remove(
    cluster: &Cluster,
    task: &Observed<SyncTask>,
) -> Result<Option<i64>, ControllerError> {
    let what = format!("looking for Deployment {}/{}", namespace(task), name(task));
    let found = match cluster.call(what, api(cluster, task).get_metadata_opt(&name(task))).await {
        // who may not see Deployments has made none
        Err(ControllerError::Refused { .. }) => return Ok(None),
        found => found?,
    };
    let owners = |found: &kube::core::PartialObjectMeta<DynamicObject>| {
        found.metadata.owner_references.iter().flatten().any(|owner| owner.uid == task.uid())
    };
    let Some(found) = found.filter(owners) else { return Ok(None) };
    if let Some(time) = found.metadata.deletion_timestamp {
        return Ok(Some(time.0.as_second()));
    }
    // it stays until its pods are gone
    let how =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    let what = format!("deleting Deployment {}/{}", namespace(task), name(task));
    cluster.call(what, api(cluster, task).delete(&name(task), &how)).await?;
    Ok(Some(Timestamp::now().as_second()))
}
