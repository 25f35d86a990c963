//! The engine's bad inputs as resources: the API server refuses them, or a condition names field, finding and remedy;
//! an edit mends each of them. No password is shown by anything on the way.

use crate::cases::{CASES, Case};
use crate::ground::{self, Ground, PLANTED, Server};
use e2e::stage::PATIENCE;
use e2e::wait::poll;
use e2e::{Namespace, Operator, Scratch, TcpMode, TcpProxy, cluster};
use futures_util::{StreamExt, stream};
use serde_json::Value;
use std::fmt::Write;

/// Cases at a time.
const AT_ONCE: usize = 6;

/// The other task of the case that has two.
const SECOND: &str = "second";

/// What a cluster says in other words than the file's reader does.
const OTHER_WORDS: &[(&str, &[&str])] = &[
    ("unknown-field", &["unknown field \"spec.source.hots\""]),
    ("wrong-type", &["spec.source.port", "must be of type integer"]),
    ("missing-field", &["spec.source.host", "required value"]),
    ("no-placeholder", &["spec.query.sql", "must be filtered by in (:ids)"]),
    ("upper-case-index", &["spec.sink.elasticsearch", "index: use lower case"]),
    ("two-keys", &["spec.query", "exactly one of key and keys"]),
    ("two-selections", &["spec.selection", "at most one of range, where, ids and deadletters"]),
    ("empty-range", &["spec.selection.range", "min must be below max"]),
    ("password-in-address", &["spec.sink.elasticsearch", "put the login into a secret"]),
    ("secret-without-map", &["stringdata"]),
    ("wrong-kind", &["no matches for kind \"synctsak\""]),
    ("wrong-version", &["no matches for kind \"synctask\" in version \"binlog-operator.io/v2\""]),
    ("other-task", &["there is no synctask \"another\""]),
    ("two-tasks", &["spec.sink.elasticsearch.index: index bad-two-tasks belongs to task"]),
    ("empty-file", &["no objects passed to apply"]),
    ("broken-yaml", &["error parsing"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_input_is_refused_or_named_and_mended_by_an_edit() {
    let ground = Ground::shared().await;
    let space = &cluster::shared().await.namespace("bad").await;
    let operator = Operator::in_cluster(space, &[]);
    let faults: Vec<String> = stream::iter(CASES)
        .map(|case| async move {
            let begun = std::time::Instant::now();
            let fault = examine(case, ground, space).await.err();
            eprintln!("{}: {:?}, {fault:?}", case.name, begun.elapsed());
            fault.map(|fault| format!("--- {}: {fault}\n", case.name))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(faults.is_empty(), "{} of {} cases:\n{}", faults.len(), CASES.len(), faults.concat());
    let events = space.run(&["get", "events.events.k8s.io", "-o", "yaml"]).await;
    let metrics = operator.get("/metrics").await.unwrap().body;
    for (who, text) in [("the log", operator.log()), ("the events", events), ("/metrics", metrics)] {
        assert!(!text.contains("panicked"), "{who}: {text}");
        assert_eq!(shown(&text), None, "{who} shows a planted password");
    }
}

fn shown(text: &str) -> Option<&&str> {
    PLANTED.iter().find(|secret| text.contains(**secret))
}

/// Applies a bad file, waits for its words, applies a good one, waits until it is ready.
async fn examine(case: &Case, ground: &Ground, space: &Namespace<'_>) -> Result<(), String> {
    let scratch = Scratch::new("bad");
    let dead = TcpProxy::start(ground.mysql.port()).await;
    dead.set(TcpMode::Cut);
    let server = if case.server == Server::Statement { &ground.statement } else { ground.mysql };
    let file = |port: u16| ground::file(case.name, port, &ground.elastic.url());
    let path = scratch.path().join("bad.yaml");
    let bad = (case.make)(file(server.port()), ground, dead.port());
    // all of them share the namespace
    let part = format!("part-{}", case.name);
    let bad = bad.replace("name: \"part\"", &format!("name: \"{part}\""));
    std::fs::write(&path, bad).map_err(|error| error.to_string())?;
    named(case, space, &path.display().to_string()).await?;
    let _ = space.kubectl(&["delete", "reindex", &part, "--ignore-not-found"]).await;
    let mut good = file(ground.mysql.port());
    if case.name == "two-tasks" {
        space.run(&["delete", "synctask", SECOND]).await;
        // the index says whose it is, and that may be the other's
        good = good.set("sink.elasticsearch.index", "bad-two-tasks-mended");
    }
    let good = good.write(scratch.path()).display().to_string();
    space.run(&["apply", "--validate=strict", "-f", &good]).await;
    poll(PATIENCE, async || {
        let task = object(space, "synctasks", case.name).await?;
        let seen = task["status"]["observedGeneration"] == task["metadata"]["generation"];
        let ready = e2e::cluster_task::condition_of(&task, "Ready");
        if seen && ready.starts_with("True") {
            Ok(())
        } else {
            Err(format!("after the edit: {:#}", task["status"]))
        }
    })
    .await?;
    space.run(&["delete", "synctask", case.name]).await;
    Ok(())
}

/// The refusal, or the conditions, say what they must.
async fn named(case: &Case, space: &Namespace<'_>, path: &str) -> Result<(), String> {
    let other = OTHER_WORDS.iter().find(|(name, _)| *name == case.name);
    let words = other.map_or(case.words, |(_, words)| words);
    let missing = |text: &str| {
        let text = text.replace("\\\"", "\"").to_lowercase();
        let plain = |word: &&&str| word.trim_start_matches("Reindex part: ").to_lowercase();
        words.iter().find(|word| !text.contains(&plain(word))).copied()
    };
    let output = space.kubectl(&["apply", "--validate=strict", "-f", path]).await;
    let refusal = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = async || {
        let text = if output.status.success() { conditions(case, space).await? } else { refusal.clone() };
        if let Some(secret) = shown(&text) {
            panic!("{} shows {secret}: {text}", case.name);
        }
        missing(&text).map_or(Ok(()), |word| Err(format!("{word:?} is missing in\n{text}")))
    };
    if output.status.success() { poll(PATIENCE, told).await } else { told().await }
}

/// What the conditions of the case's task and Reindexes say.
async fn conditions(case: &Case, space: &Namespace<'_>) -> Result<String, String> {
    let list = space.cluster.kube().get(&space.path("reindexes")).await?;
    let ours = |item: &&Value| {
        item["spec"]["taskRef"]["name"] == case.name
            || item["metadata"]["name"] == format!("part-{}", case.name)
    };
    let builds = list["items"].as_array().into_iter().flatten().filter(ours).cloned();
    let mut text = String::new();
    let second = object(space, "synctasks", SECOND).await;
    for object in builds.chain(object(space, "synctasks", case.name).await).chain(second) {
        for condition in object["status"]["conditions"].as_array().into_iter().flatten() {
            let kind = object["kind"].as_str().unwrap_or("Reindex");
            let message = condition["message"].as_str().unwrap_or_default();
            let _ = writeln!(text, "{kind} {}: {message}", condition["type"]);
        }
    }
    Ok(text)
}

async fn object(space: &Namespace<'_>, kind: &str, name: &str) -> Result<Value, String> {
    space.cluster.kube().get(&space.path(&format!("{kind}/{name}"))).await
}
