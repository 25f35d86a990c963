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

fn dedicated(object: &mut Value) {
    object["spec"]["isolation"] = "Dedicated".into();
}

const INITIAL: &str = "POST /apis/binlog-operator.io/v1alpha1/namespaces/shop/reindexes";
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
