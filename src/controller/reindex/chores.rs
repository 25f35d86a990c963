//! Reindexes that go because they are finished, and those whose task is not there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Resource as _;
use kube::api::{DeleteParams, Preconditions};
use tracing::{info, warn};

use super::super::Observed;
use super::super::run::Context;
use super::{finished_at, write_status};
use crate::api::{Reindex, ReindexStatus};

/// How often they are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// What is to be done about one.
#[derive(Debug, PartialEq, Eq)]
enum Chore {
    /// Its time is over, or there are enough younger ones.
    Delete,
    /// Its task is not there.
    NoTask,
}

/// Does the chores for as long as the operator leads.
pub(in super::super) async fn clear_up(context: Arc<Context>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let all = context.world.reindexes.all();
        let limit = |reindex: &Observed<Reindex>| {
            let task = reindex.resource.as_ref().ok()?.spec.task_ref.name.clone();
            let place = (reindex.meta().namespace.clone().unwrap_or_default(), task);
            let task = context.world.tasks.get(&place)?;
            // of a task that cannot be read all are kept
            Some(
                task.resource
                    .as_ref()
                    .map_or(usize::MAX, |task| usize::try_from(task.spec.reindex_history_limit).unwrap_or(0)),
            )
        };
        for (reindex, chore) in chores(&all, limit, Timestamp::now().as_second()) {
            if let Err(error) = carry_out(&context, &reindex, &chore).await
                && !error.is_not_found()
                && !error.is_conflict()
            {
                warn!("{error}");
            }
        }
    }
}

/// A finished one, and when it finished.
type Finished<'a> = (i64, &'a Arc<Observed<Reindex>>);

/// What is to be done. `limit` says how many finished ones the task keeps; `None` where there is no task.
fn chores(
    all: &[Arc<Observed<Reindex>>],
    limit: impl Fn(&Observed<Reindex>) -> Option<usize>,
    now: i64,
) -> Vec<(Arc<Observed<Reindex>>, Chore)> {
    let mut chores = Vec::new();
    let mut finished: BTreeMap<(String, String), Vec<Finished<'_>>> = BTreeMap::new();
    for reindex in all.iter().filter(|reindex| !reindex.is_going()) {
        let Ok(resource) = &reindex.resource else { continue };
        let status: ReindexStatus = reindex.status();
        let Some(at) = finished_at(&status) else {
            if limit(reindex).is_none() {
                chores.push((Arc::clone(reindex), Chore::NoTask));
            }
            continue;
        };
        let ttl = resource.spec.ttl_seconds_after_finished.map(i64::from);
        if ttl.is_some_and(|ttl| at + ttl <= now) {
            chores.push((Arc::clone(reindex), Chore::Delete));
        } else if ttl.is_none() && limit(reindex).is_some() {
            let namespace = reindex.meta().namespace.clone().unwrap_or_default();
            finished.entry((namespace, resource.spec.task_ref.name.clone())).or_default().push((at, reindex));
        }
    }
    for mut of_task in finished.into_values() {
        of_task.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let keep = of_task.first().and_then(|(_, reindex)| limit(reindex)).unwrap_or(usize::MAX);
        chores
            .extend(of_task.into_iter().skip(keep).map(|(_, reindex)| (Arc::clone(reindex), Chore::Delete)));
    }
    chores
}

async fn carry_out(
    context: &Context,
    reindex: &Observed<Reindex>,
    chore: &Chore,
) -> Result<(), super::super::ControllerError> {
    let namespace = reindex.meta().namespace.clone().unwrap_or_default();
    match chore {
        Chore::Delete => {
            let preconditions = Preconditions { uid: Some(reindex.uid().to_owned()), resource_version: None };
            let how = DeleteParams::default().preconditions(preconditions);
            let what = format!("deleting the finished Reindex {namespace}/{}", reindex.name());
            info!("{what}");
            let api = context.cluster.api::<Reindex>(&namespace);
            context.cluster.call(what, api.delete(reindex.name(), &how)).await.map(drop)
        }
        Chore::NoTask => {
            let before: ReindexStatus = reindex.status();
            let task = reindex.resource.as_ref().map_or("", |reindex| &reindex.spec.task_ref.name);
            let message = format!(
                "spec.taskRef.name: there is no SyncTask {task:?} in namespace {namespace}; create it, or delete this Reindex"
            );
            let waiting = ("TaskNotFound", message.as_str());
            let after = super::status(&before, None, waiting, reindex.generation(), &Time(Timestamp::now()));
            if before == after {
                return Ok(());
            }
            let value = serde_json::to_value(&after).unwrap_or_default();
            write_status(&context.cluster, reindex, &value).await
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reindex(name: &str, task: &str, finished: Option<i64>, ttl: Option<i64>) -> Arc<Observed<Reindex>> {
        let time = finished.map(|at| Timestamp::from_second(at).unwrap().to_string());
        let status = time.map_or(json!({}), |time| {
            let condition = json!({"type": "Complete", "status": "True", "reason": "Complete", "message": "", "lastTransitionTime": time});
            json!({"phase": "Complete", "conditions": [condition]})
        });
        let mut spec = json!({"taskRef": {"name": task}});
        if let Some(ttl) = ttl {
            spec["ttlSecondsAfterFinished"] = ttl.into();
        }
        let object = json!({
            "apiVersion": crate::api::API_VERSION, "kind": "Reindex",
            "metadata": {"name": name, "namespace": "shop", "uid": name}, "spec": spec, "status": status,
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn finished_ones_go_by_age_and_number() {
        let all = [
            reindex("old", "orders", Some(10), None),
            reindex("young", "orders", Some(30), None),
            reindex("middle", "orders", Some(20), None),
            reindex("running", "orders", None, None),
            reindex("timed", "orders", Some(10), Some(60)),
            reindex("timed-out", "orders", Some(10), Some(40)),
            reindex("lost", "nothing", None, None),
        ];
        let limit = |reindex: &Observed<Reindex>| {
            (reindex.resource.as_ref().unwrap().spec.task_ref.name == "orders").then_some(2)
        };
        let found = chores(&all, limit, 50);
        let found: Vec<_> = found.iter().map(|(reindex, chore)| (reindex.name(), chore)).collect();
        assert_eq!(found, [("timed-out", &Chore::Delete), ("lost", &Chore::NoTask), ("old", &Chore::Delete)]);
    }
}
