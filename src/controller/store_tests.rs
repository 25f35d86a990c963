//! The stores on an API server that keeps ConfigMaps as the real one does: versions, conflicts, lost answers.

use std::sync::{Arc, Mutex as Held, PoisonError};

use http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;
use crate::lease::Term;

#[derive(Default)]
struct Server {
    maps: BTreeMap<String, Value>,
    versions: u64,
    /// The next so many writes are done, and their answers lost.
    lose: u32,
}

type Shared = Arc<Held<Server>>;

impl Server {
    fn answer(&mut self, method: &Method, name: &str, body: &Value) -> (StatusCode, Value) {
        let found = self.maps.get(name).cloned();
        let version = |map: &Value| map.pointer("/metadata/resourceVersion").cloned();
        match (method, found) {
            (&Method::GET, Some(map)) => (StatusCode::OK, map),
            (&Method::GET | &Method::PUT, None) => failure(StatusCode::NOT_FOUND, "NotFound"),
            (&Method::POST, Some(_)) => failure(StatusCode::CONFLICT, "AlreadyExists"),
            (&Method::PUT, Some(map)) if version(&map) != version(body) => {
                failure(StatusCode::CONFLICT, "Conflict")
            }
            (_, _) => {
                self.versions += 1;
                let mut map = body.clone();
                map["metadata"]["resourceVersion"] = self.versions.to_string().into();
                self.maps.insert(name.to_owned(), map.clone());
                if self.lose > 0 {
                    self.lose -= 1;
                    return failure(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable");
                }
                (StatusCode::OK, map)
            }
        }
    }
}

fn failure(code: StatusCode, reason: &str) -> (StatusCode, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason, "code": code.as_u16()});
    (code, status)
}

fn server() -> (Shared, kube::Client) {
    let server = Shared::default();
    let held = Arc::clone(&server);
    let service = tower::service_fn(move |request: Request<Body>| {
        let held = Arc::clone(&held);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let named = body.pointer("/metadata/name").and_then(Value::as_str);
            let last = head.uri.path().rsplit('/').next().unwrap_or_default();
            let name = named.unwrap_or(last).to_owned();
            let mut server = held.lock().unwrap_or_else(PoisonError::into_inner);
            let (code, answer) = server.answer(&head.method, &name, &body);
            let body = Body::from(answer.to_string().into_bytes());
            Ok::<_, kube::Error>(Response::builder().status(code).body(body).unwrap())
        }
    });
    (server, kube::Client::new(service, "shop"))
}

fn store(client: &kube::Client, uid: &str) -> ConfigMapStore {
    ConfigMapStore::new(Cluster::new(client.clone(), Term::unlimited()), "shop", "orders", uid)
}

fn at(epoch: u64, owner: &str) -> Checkpoint {
    Checkpoint { epoch, owner: owner.into(), version_ceiling: epoch * 10, ..Checkpoint::default() }
}

fn expect(epoch: u64) -> Expect {
    Expect { epoch, ceiling: epoch * 10 }
}

fn letter(id: i64) -> DeadLetter {
    DeadLetter { key: Key::int(id), version: 3, reason: "no".into() }
}

async fn claimed(client: &kube::Client, epoch: u64, owner: &str) -> ConfigMapStore {
    let store = store(client, "u1");
    store.load().await.unwrap();
    assert_eq!(store.save(expect(epoch - 1), &at(epoch, owner)).await, SaveResult::Done);
    store
}

/// Invariant 5: the epoch fences.
#[tokio::test]
async fn an_owner_of_before_stores_nothing_more() {
    let (_, client) = server();
    let old = claimed(&client, 1, "a").await;
    assert_eq!(old.save_letters(1, &[letter(7)], &[]).await, SaveResult::Done);
    let new = claimed(&client, 2, "b").await;
    assert!(matches!(old.save_letters(1, &[letter(8)], &[]).await, SaveResult::Lost(_)));
    assert!(matches!(old.save(expect(1), &at(1, "a")).await, SaveResult::Lost(_)));
    assert!(!old.holds(1).await.unwrap() && new.holds(2).await.unwrap());
    assert_eq!(new.save_letters(2, &[], &[Key::int(7)]).await, SaveResult::Done);
    let stored = store(&client, "u1").load().await.unwrap();
    assert_eq!((stored.checkpoint, stored.letters), (Some(at(2, "b")), Vec::new()));
}

#[tokio::test]
async fn letters_that_came_after_the_load_end_the_claim() {
    let (_, client) = server();
    let old = claimed(&client, 1, "a").await;
    let new = store(&client, "u1");
    assert!(new.load().await.unwrap().letters.is_empty());
    assert_eq!(old.save_letters(1, &[letter(7)], &[]).await, SaveResult::Done);
    assert!(matches!(new.save(expect(1), &at(2, "b")).await, SaveResult::Lost(_)));
    assert_eq!(new.load().await.unwrap().letters, [letter(7)]);
    assert_eq!(new.save(expect(1), &at(2, "b")).await, SaveResult::Done);
}

#[tokio::test]
async fn a_lost_answer_is_no_lost_task() {
    let (server, client) = server();
    let store = store(&client, "u1");
    store.load().await.unwrap();
    // the letters' claim, then the checkpoint's: each is done and its answer lost
    for _ in 0..2 {
        server.lock().unwrap().lose = 1;
        assert!(matches!(store.save(expect(0), &at(1, "a")).await, SaveResult::Failed(_)));
    }
    assert_eq!(store.save(expect(0), &at(1, "a")).await, SaveResult::Done);
    server.lock().unwrap().lose = 1;
    assert!(matches!(store.save_letters(1, &[letter(7)], &[]).await, SaveResult::Failed(_)));
    assert_eq!(store.save_letters(1, &[letter(7)], &[]).await, SaveResult::Done);
    server.lock().unwrap().lose = 1;
    assert!(matches!(store.save(expect(1), &at(1, "a")).await, SaveResult::Failed(_)));
    assert_eq!(store.save(expect(1), &at(1, "a")).await, SaveResult::Done);
}

/// Invariant 2: objects of another UID are waited out; a checkpoint that is gone is never made up for.
#[tokio::test]
async fn others_objects_and_lost_ones() {
    let (server, client) = server();
    let old = claimed(&client, 1, "a").await;
    let words = store(&client, "u2").load().await.unwrap_err().0;
    assert!(words.contains("uid u1") && words.contains("uid u2"), "{words}");
    server.lock().unwrap().maps.remove("orders-checkpoint");
    assert!(matches!(old.save(expect(1), &at(1, "a")).await, SaveResult::Lost(_)));
    // letters that are gone are known to their owner
    assert_eq!(old.save_letters(1, &[letter(7)], &[]).await, SaveResult::Done);
    server.lock().unwrap().maps.remove("orders-dead-letters");
    assert_eq!(old.save_letters(1, &[letter(8)], &[]).await, SaveResult::Done);
    assert_eq!(store(&client, "u1").load().await.unwrap().letters, [letter(7), letter(8)]);
}

/// Invariant 9: bounded, and what is healed makes room.
#[tokio::test]
async fn a_full_store_says_so_and_lets_go() {
    let (_, client) = server();
    let store = claimed(&client, 1, "a").await;
    let long = |id| DeadLetter { reason: "x".repeat(10_000), ..letter(id) };
    let many: Vec<_> = (0..2_000).map(long).collect();
    assert_eq!(store.save_letters(1, &many, &[]).await, SaveResult::Done);
    let more: Vec<_> = (2_000..3_000).map(long).collect();
    let full = store.save_letters(1, &more, &[Key::int(0)]).await;
    assert!(matches!(&full, SaveResult::Full(words) if words.contains("heal or replay")), "{full:?}");
    let stored = store.load().await.unwrap().letters;
    assert_eq!((stored.len(), stored[0].key.clone()), (1_999, Key::int(1)));
}
