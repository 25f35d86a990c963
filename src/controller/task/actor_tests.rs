//! An actor in a world that stands still, on an API server that answers as each test says.

use std::sync::{Mutex as Held, PoisonError};

use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

use super::super::run::{Mode, Settings};
use super::super::world::World;
use super::super::{Cluster, events::Events};
use super::*;
use crate::lease::Term;
use crate::metrics::Metrics;

const OPERATOR: Mode = Mode::Operator { image: None, service_account: String::new() };

/// The calls that were made: verb and path.
type Calls = Arc<Held<Vec<(String, Value)>>>;

type Answer = fn(&str) -> Option<(u16, Value)>;

fn task(change: impl FnOnce(&mut Value)) -> Observed<SyncTask> {
    let mut object = json!({
        "apiVersion": crate::api::API_VERSION, "kind": "SyncTask",
        "metadata": {"name": "orders", "namespace": "shop", "uid": "u1", "generation": 3},
        "spec": {
            "source": {"host": "mysql", "port": 3306, "credentials": {"secretRef": {"name": "mysql"}}},
            "query": {"sql": "SELECT id FROM shop.orders WHERE id IN (:ids)", "key": "id"},
            "sink": {"elasticsearch": {"addresses": ["http://es:9200"], "index": "orders"}},
        },
    });
    change(&mut object);
    serde_json::from_value(object).unwrap()
}

/// Without another answer nothing is there, and what is written is taken.
fn answered(call: &str, body: &Value) -> (u16, Value) {
    let secret = json!({"metadata": {"name": "mysql"}, "data": {"username": "c3luYw==", "password": "cHc="}});
    match call {
        "GET /api/v1/namespaces/shop/secrets/mysql" => (200, secret),
        _ if call.starts_with("GET") || call.starts_with("PUT") => (404, failure(404, "NotFound")),
        _ => (200, body.clone()),
    }
}

fn failure(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason, "code": code})
}

fn actor(mode: Mode, task: Observed<SyncTask>, answer: Answer) -> (Actor, Calls) {
    let calls = Calls::default();
    let held = Arc::clone(&calls);
    let service = tower::service_fn(move |request: Request<Body>| {
        let held = Arc::clone(&held);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let call = format!("{} {}", head.method, head.uri.path());
            let (code, said) = answer(&call).unwrap_or_else(|| answered(&call, &body));
            held.lock().unwrap_or_else(PoisonError::into_inner).push((call, body));
            let body = Body::from(said.to_string().into_bytes());
            Ok::<_, kube::Error>(Response::builder().status(code).body(body).unwrap())
        }
    });
    let cluster = Cluster::new(kube::Client::new(service, "shop"), Term::unlimited());
    let context = Context {
        events: Events::new(cluster.clone(), "me"),
        cluster,
        world: World::of(vec![task], Vec::new()),
        metrics: Arc::new(Metrics::new().unwrap()),
        settings: Settings { namespaces: Vec::new(), identity: "me".into(), mode },
    };
    (Actor::new(Arc::new(context), ("shop".into(), "orders".into())), calls)
}

fn made(calls: &Calls) -> Vec<String> {
    calls.lock().unwrap().iter().map(|(call, _)| call.clone()).collect()
}

fn says(
    actor: &Actor,
    type_: crate::model::ConditionType,
) -> (crate::model::ConditionStatus, String, String) {
    let said = actor.local.conditions.get(&type_).unwrap();
    (said.status, said.reason.clone(), said.message.clone())
}

fn dedicated(object: &mut Value) {
    object["spec"]["isolation"] = "Dedicated".into();
}

const TASK: &str = "/apis/binlog-operator.io/v1alpha1/namespaces/shop/synctasks/orders";
const INITIAL: &str = "POST /apis/binlog-operator.io/v1alpha1/namespaces/shop/reindexes";
const FOUND: &str = "GET /apis/apps/v1/namespaces/shop/deployments/orders-worker";
const APPLIED: &str = "PATCH /apis/apps/v1/namespaces/shop/deployments/orders-worker";

#[tokio::test]
async fn the_operator_makes_the_initial_reindex_of_a_pod() {
    let (mut operator, calls) = actor(OPERATOR, task(dedicated), |_| None);
    operator.look(false).await;
    let calls = made(&calls);
    let at = |call: &str| calls.iter().position(|made| made == call);
    assert!(at(INITIAL).is_some() && at(INITIAL) < at(APPLIED), "{calls:?}");
    let begun = task(|object| {
        dedicated(object);
        object["status"] = json!({"position": "a:1"});
    });
    let (mut operator, calls) = actor(OPERATOR, begun, |_| None);
    operator.look(false).await;
    assert!(!made(&calls).contains(&INITIAL.to_owned()));
    let pod = Mode::Worker { task: "orders".into() };
    let forbidden: Answer = |call| (call == INITIAL).then(|| (403, failure(403, "Forbidden")));
    let (mut pod, calls) = actor(pod, task(dedicated), forbidden);
    pod.look(false).await;
    assert!(pod.worker.is_some(), "{:?}", made(&calls));
}

#[tokio::test]
async fn a_task_that_anothers_finalizer_holds_is_not_over() {
    let going = task(|object| {
        object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        object["metadata"]["finalizers"] = json!(["a/b"]);
    });
    let (mut held, calls) = actor(OPERATOR, going, |_| None);
    held.look(false).await;
    assert!(!held.over && held.look_at.is_none() && made(&calls).is_empty());
    // but the process ends
    held.look(true).await;
    assert!(held.over);
}

#[tokio::test]
async fn a_worker_that_drains_does_not_come_back() {
    let (mut actor, _) = actor(OPERATOR, task(|_| {}), |_| None);
    actor.look(false).await;
    actor.worker.as_mut().unwrap().stop();
    actor.look(false).await;
    // the end of the drain is looked for
    assert!(actor.look_at.is_some() && actor.worker.as_ref().unwrap().is_stopping());
}

#[tokio::test]
async fn a_worker_ends_with_its_actor() {
    let (mut actor, _) = actor(OPERATOR, task(|_| {}), |_| None);
    actor.look(false).await;
    let mut status = actor.worker.as_ref().unwrap().status.clone();
    drop(actor);
    // its end drops the sender
    let gone = async { while status.changed().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}

/// Invariant: a Reindex made anew under the name of a build is not told that build's end.
#[tokio::test]
async fn builds_end_with_their_worker() {
    let mut said = TaskStatus::default();
    said.builds.insert("again".into(), crate::model::BuildProgress::default());
    for ended in [Ok(()), Err(WorkerError::Store("no answer".into()))] {
        assert!(act::last_words(&said, &ended).builds.is_empty());
    }
}

#[tokio::test]
async fn an_edit_does_not_wait_for_what_failed_before() {
    let (mut actor, _) = actor(OPERATOR, task(|_| {}), |_| None);
    actor.look(false).await;
    actor.failures = 8;
    actor.ended(Err(WorkerError::Store("no answer".into())));
    actor.look(false).await;
    assert!(actor.worker.is_none() && actor.look_at > Some(Instant::now() + Duration::from_secs(200)));
    actor.failed.as_mut().unwrap().spec.source.host = "corrected".into();
    actor.look(false).await;
    assert!(actor.worker.is_some() && actor.failures == 0);
}

#[tokio::test]
async fn what_the_api_server_refuses_is_said() {
    let forbidden: Answer =
        |call| call.contains("/secrets/").then(|| (403, failure(403, "secrets is forbidden")));
    let (mut actor, _) = actor(OPERATOR, task(|_| {}), forbidden);
    actor.look(false).await;
    let (status, reason, words) = says(&actor, ConditionType::Ready);
    assert_eq!((status, reason.as_str()), (false.into(), "ApiRefused"));
    assert!(words.contains("secrets is forbidden") && words.contains("Secret shop/mysql"), "{words}");
    for _ in 0..5 {
        actor.look(false).await;
    }
    assert!(actor.look_at > Some(Instant::now() + Duration::from_secs(50)));
}

#[tokio::test]
async fn an_index_stays_where_the_policy_was_edited_last() {
    let going = |object: &mut Value| {
        object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        object["metadata"]["finalizers"] = json!(["a/b", plan::FINALIZER]);
        object["spec"]["deletionPolicy"] = "DeleteIndex".into();
    };
    // the watch has not told of the edit
    let edited: Answer = |call| {
        let there = json!({
            "apiVersion": crate::api::API_VERSION, "kind": "SyncTask",
            "metadata": {"name": "orders", "namespace": "shop", "uid": "u1", "resourceVersion": "8",
                "finalizers": ["a/b", plan::FINALIZER], "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {
                "source": {"host": "mysql", "credentials": {"secretRef": {"name": "mysql"}}},
                "query": {"sql": "SELECT id FROM shop.orders WHERE id IN (:ids)", "key": "id"},
                "sink": {"elasticsearch": {"addresses": ["http://es:9200"], "index": "orders"}},
                "deletionPolicy": "Keep",
            },
        });
        (call == format!("GET {TASK}")).then_some((200, there))
    };
    let (mut actor, calls) = actor(OPERATOR, task(going), edited);
    actor.look(false).await;
    let calls = calls.lock().unwrap().clone();
    assert!(calls.iter().all(|(call, _)| !call.contains("/secrets/")), "{calls:?}");
    let (_, patch) = calls.iter().find(|(call, _)| *call == format!("PATCH {TASK}")).unwrap();
    assert_eq!(patch["metadata"]["finalizers"], json!(["a/b"]));
    assert_eq!(patch["metadata"]["resourceVersion"], "8");
}

fn deployment(owner: &str, more: Value) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "orders-worker", "namespace": "shop", "ownerReferences": [
            {"apiVersion": crate::api::API_VERSION, "kind": "SyncTask", "name": "orders", "uid": owner, "controller": true}]},
    });
    let Value::Object(more) = more else { return object };
    for (name, value) in more {
        match object.get_mut(&name).and_then(Value::as_object_mut) {
            Some(there) => there.extend(value.as_object().unwrap().clone()),
            None => object[name] = value,
        }
    }
    object
}

#[tokio::test]
async fn a_pod_that_is_not_there_is_spoken_for() {
    let none: Answer = |call| (call == FOUND).then(|| (200, deployment("u1", json!({"status": {}}))));
    let some: Answer =
        |call| (call == FOUND).then(|| (200, deployment("u1", json!({"status": {"availableReplicas": 1}}))));
    let spoken = |who: &'static str| {
        move |object: &mut Value| {
            dedicated(object);
            object["status"] = json!({"position": "a:1", "worker": who});
        }
    };
    let (mut operator, _) = actor(OPERATOR, task(spoken("me")), none);
    operator.look(false).await;
    let (status, reason, _) = says(&operator, ConditionType::Ready);
    assert_eq!((status, reason.as_str()), (false.into(), "WorkerPodNotAvailable"));
    // one that begins speaks for itself, one that is long gone does not
    let (mut operator, _) = actor(OPERATOR, task(spoken("orders-worker-1")), none);
    operator.look(false).await;
    assert!(operator.local.conditions.is_empty());
    operator.silent = Instant::now().checked_sub(Duration::from_secs(60));
    operator.look(false).await;
    assert_eq!(says(&operator, ConditionType::Ready).1, "WorkerPodNotAvailable");
    let (mut operator, _) = actor(OPERATOR, task(spoken("me")), some);
    operator.look(false).await;
    assert!(operator.local.conditions.is_empty());
}

#[tokio::test]
async fn a_process_that_was_spoken_for_speaks_again() {
    let spoken = task(|object| {
        dedicated(object);
        object["status"] = json!({"worker": "operator", "conditions": [{"type": "Ready", "status": "False",
            "reason": "WorkerPodNotAvailable", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
    });
    let (mut pod, calls) = actor(Mode::Worker { task: "orders".into() }, spoken, |_| None);
    pod.uid = "u1".into();
    pod.local.set(ConditionType::Ready, true, "Ready", "");
    // what it wrote last is what it says
    let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(k8s_openapi::jiff::Timestamp::now());
    pod.base = Some(status::status(&SyncTaskStatus::default(), &pod.local, None, "me", &now));
    pod.report().await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    pod.report().await;
    assert!(made(&calls).contains(&format!("PATCH {TASK}/status")), "{:?}", made(&calls));
}

#[tokio::test]
async fn a_deployment_of_before_is_waited_for() {
    let before: Answer = |call| (call == FOUND).then(|| (200, deployment("u0", json!({}))));
    let going: Answer = |call| {
        let gone = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        (call == FOUND).then(|| (200, deployment("u1", gone)))
    };
    for answer in [before, going] {
        let (mut operator, calls) = actor(OPERATOR, task(dedicated), answer);
        operator.look(false).await;
        assert_eq!(says(&operator, ConditionType::Ready).1, "WaitingForPod");
        assert!(!made(&calls).contains(&APPLIED.to_owned()));
        assert!(operator.look_at < Some(Instant::now() + Duration::from_secs(3)));
    }
}

#[tokio::test]
async fn a_pod_on_a_lost_node_is_not_waited_for_without_end() {
    let fresh: Answer = |call| (call == FOUND).then(|| (200, deployment("u1", json!({}))));
    let (mut waiting, calls) = actor(OPERATOR, task(|_| {}), fresh);
    waiting.look(false).await;
    assert!(made(&calls).contains(&FOUND.replace("GET", "DELETE")) && waiting.worker.is_none());
    assert_eq!(says(&waiting, ConditionType::Ready).1, "WaitingForPod");
    let long: Answer = |call| {
        let gone = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        (call == FOUND).then(|| (200, deployment("u1", gone)))
    };
    let (mut given_up, _) = actor(OPERATOR, task(|_| {}), long);
    given_up.look(false).await;
    assert!(given_up.worker.is_some());
}
