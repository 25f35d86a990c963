//! The real API server takes the CRDs, refuses what their schema and their rules do not allow, and says why.

use e2e::scratch::project;
use e2e::{Cluster, Namespace, TaskFile, cluster};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const API: &str = "binlog-operator.io/v1alpha1";

fn task() -> Value {
    json!({"apiVersion": API, "kind": "SyncTask", "metadata": {"name": "orders"}, "spec": {
        "source": {"host": "127.0.0.1", "credentials": {"secretRef": {"name": "shop-mysql"}}},
        "query": {"sql": "SELECT o.id FROM shop.orders o WHERE o.id IN (:ids)", "key": "id"},
        "sink": {"elasticsearch": {"addresses": ["https://127.0.0.1:9200"], "index": "orders"}},
    }})
}

fn reindex() -> Value {
    json!({"apiVersion": API, "kind": "Reindex", "metadata": {"name": "part"}, "spec": {"taskRef": {"name": "orders"}}})
}

/// Sets the value at a pointer below `spec`; `null` removes it.
fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let mut at = &mut object["spec"];
    for part in parent.split('/').filter(|part| !part.is_empty()) {
        at = &mut at[part];
        if at.is_null() {
            *at = json!({});
        }
    }
    match value {
        Value::Null => drop(at.as_object_mut().unwrap().remove(name)),
        value => at[name] = value,
    }
    object
}

/// What must be refused, and the words that the API server must say.
#[allow(clippy::too_many_lines, reason = "one line for each refusal")]
fn bad() -> Vec<(Value, &'static str)> {
    let task = |pointer: &str, value: Value| with(task(), pointer, value);
    let mut long = self::task();
    long["metadata"]["name"] = json!("x".repeat(201));
    let mut full = reindex();
    full["metadata"]["name"] = json!("full");
    let part = |selection: Value| with(reindex(), "/selection", selection);
    let rule = |rule: Value| task("/mapping/tables", json!([rule]));
    vec![
        (task("/source/hots", json!("x")), "unknown field \"spec.source.hots\""),
        (task("/source/host", Value::Null), "spec.source.host: Required value"),
        (task("/source/port", json!("3306")), "spec.source.port: Invalid value"),
        (task("/source/port", json!(0)), "should be greater than or equal to 1"),
        (task("/state", json!("running")), "supported values: \"Running\", \"Paused\", \"Stopped\""),
        (
            task("/sink/elasticsearch/index", json!("Orders")),
            "index: use lower case, no blanks, no punctuation but - _ . and +, and begin with a letter or digit",
        ),
        (
            task("/sink/elasticsearch/addresses", json!(["http://u:p@h"])),
            "addresses carry a login: put the login into a Secret and name it in auth",
        ),
        (task("/sink/elasticsearch/auth", json!({})), "must validate one and only one schema (oneOf)"),
        (task("/limits/queryTimeout", json!("2h")), "must be between 1s and 1h"),
        (task("/limits/linger", json!("11s")), "must be between 0s and 10s"),
        (task("/mapping/rewrite", json!([{"match": "^(a", "table": "a"}])), "must be a regular expression"),
        (
            task("/query/children", json!([{"field": "b", "key": "a_id", "sql": "SELECT a_id FROM b"}])),
            "the column of the document's key must be filtered by IN (:ids)",
        ),
        (task("/transforms", json!([{}])), "exactly one kind of transform must be given"),
        (
            task("/transforms", json!([{"skipWhen": {"field": "a"}}])),
            "exactly one of values and isNull must be given",
        ),
        (task("/limits/bulkTimeout", json!("11m")), "must be between 1s and 10m"),
        (task("/stallTimeout", json!("25h")), "must be between 1s and 24h"),
        (task("/stallTimeout", json!("soon")), "spec.stallTimeout in body should match"),
        (rule(json!({"table": "a", "ignore": false})), "leave it out instead of false"),
        (
            rule(json!({"table": "a"})),
            "exactly one of column, lookup, ignore and all must be given, or columns alone",
        ),
        (
            rule(json!({"table": "a", "all": true, "column": "b"})),
            "exactly one of column, lookup, ignore and all must be given, or columns alone",
        ),
        (
            task("/mapping/tables", json!([{"table": "a", "all": true}, {"table": "a", "all": true}])),
            "Duplicate value",
        ),
        (task("/query/sql", json!("SELECT id FROM a")), "the main table's key must be filtered by IN (:ids)"),
        (task("/query/keys", json!(["a", "b"])), "exactly one of key and keys must be given"),
        (task("/query/key", Value::Null), "exactly one of key and keys must be given"),
        (
            task(
                "/sink/elasticsearch/tls",
                json!({"caSecretRef": {"name": "ca"}, "insecureSkipVerify": true}),
            ),
            "caSecretRef and insecureSkipVerify exclude each other",
        ),
        (
            with(
                task("/sink/elasticsearch/tls", json!({})),
                "/sink/elasticsearch/addresses",
                json!(["http://h"]),
            ),
            "tls needs addresses that begin with https://",
        ),
        (
            task("/source/tls", json!({"caSecretRef": {"name": "ca"}})),
            "caSecretRef needs mode VerifyCa or VerifyIdentity",
        ),
        (
            task("/source/tls", json!({"mode": "Required", "serverName": "db"})),
            "serverName needs mode VerifyIdentity",
        ),
        (
            task("/source/tls", json!({"mode": "Disabled", "clientSecretRef": {"name": "me"}})),
            "clientSecretRef does nothing with mode Disabled",
        ),
        (task("/worker", json!({"image": "other"})), "worker needs isolation: Dedicated"),
        (full, "must be another one than full, which is the name of a task's own builds"),
        (long, "must be at most 200 characters, as names of other objects are made of it"),
        (part(json!({"range": {}})), "min or max must be given"),
        (part(json!({"range": {"min": 5, "max": 5}})), "min must be below max (max is excluded)"),
        (
            part(json!({"ids": [1], "where": "id > 1"})),
            "at most one of range, where, ids and deadLetters may be given",
        ),
        (part(json!({"deadLetters": false})), "leave it out instead of false"),
        (part(json!({"ids": []})), "should have at least 1 items"),
        (with(reindex(), "/taskRef", Value::Null), "spec.taskRef: Required value"),
    ]
}

async fn create(cluster: &Cluster, object: &Value) -> (u16, String) {
    let kind = if object["kind"] == "SyncTask" { "synctasks" } else { "reindexes" };
    let path = format!("/apis/{API}/namespaces/default/{kind}?dryRun=All&fieldValidation=Strict");
    let answer = cluster.kube().call("POST", &path, Some(object)).await.unwrap();
    let message = if answer.status == 201 { answer.body } else { text(&answer.json(), "message") };
    (answer.status, message)
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_hold_together_is_refused_with_the_reason() {
    let cluster = cluster::shared().await;
    for good in [task(), reindex()] {
        let (status, message) = create(cluster, &good).await;
        assert_eq!(status, 201, "{message}");
    }
    let mut seen = BTreeSet::new();
    for (object, words) in bad() {
        let (status, message) = create(cluster, &object).await;
        assert!(status == 422 || status == 400, "{status} for {object}\n{message}");
        assert!(message.contains(words), "{message}\nlacks: {words}");
        seen.insert(words);
    }
    for (object, patch, words) in bad_edits() {
        let (status, message) = edit(cluster, &object, &patch).await;
        assert_eq!(status, 422, "{patch} of {object}\n{message}");
        assert!(message.contains(words), "{message}\nlacks: {words}");
        seen.insert(words);
    }
    for message in messages() {
        assert!(seen.contains(message.as_str()), "no case breaks the rule: {message}");
    }
}

/// What may not be made of what: an object, a change of its spec, the words.
fn bad_edits() -> Vec<(Value, Value, &'static str)> {
    let keep = with(task(), "/onChange", json!("Keep"));
    vec![
        (reindex(), json!({"taskRef": {"name": "other"}}), "taskRef cannot change; make another Reindex"),
        (reindex(), json!({"selection": {"ids": [1]}}), "selection cannot change; make another Reindex"),
        (
            keep,
            json!({"query": {"key": "user_id"}}),
            "query.key cannot change with onChange: Keep, as every document would have another id; use onChange: Full",
        ),
    ]
}

async fn edit(cluster: &Cluster, object: &Value, spec: &Value) -> (u16, String) {
    let kind = if object["kind"] == "SyncTask" { "synctasks" } else { "reindexes" };
    let path = format!("/apis/{API}/namespaces/default/{kind}");
    let created = cluster.kube().post(&path, object).await;
    let path = format!("{path}/{}", text(&created["metadata"], "name"));
    let answer = cluster.kube().call("PATCH", &path, Some(&json!({"spec": spec}))).await.unwrap();
    cluster.kube().delete(&path).await;
    (answer.status, text(&answer.json(), "message"))
}

/// The messages of all CEL rules.
fn messages() -> BTreeSet<String> {
    let files = ["crds/synctasks.yaml", "crds/reindexes.yaml"];
    let texts = files.map(|file| std::fs::read_to_string(project(file)).unwrap());
    let lines = texts.iter().flat_map(|text| text.lines());
    lines
        .filter_map(|line| {
            Some(
                line.trim_start()
                    .trim_start_matches("- ")
                    .strip_prefix("message: ")?
                    .trim_matches('"')
                    .to_owned(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_shows_defaults_columns_short_names_and_explanations() {
    let cluster = cluster::shared().await;
    let space = cluster.namespace("columns").await;
    let folder = e2e::Scratch::new("columns");
    let file = TaskFile::new(
        "orders",
        3306,
        "http://127.0.0.1:9200",
        "SELECT id FROM a.b WHERE id IN (:ids)",
        "orders",
    )
    .reindex("part", &Value::Null)
    .write(folder.path())
    .display()
    .to_string();
    space.run(&["apply", "--validate=strict", "-f", &file]).await;
    let task = cluster.kube().get(&space.path("synctasks/orders")).await.unwrap();
    assert_eq!(task["spec"]["limits"]["lanes"], 8, "{task}");
    assert_eq!(task["spec"]["onGap"], "Repair", "{task}");
    assert_eq!(columns(&space, &["get", "st"]).await, ["NAME", "STATE", "READY", "LAG", "DEAD", "AGE"]);
    let wide = columns(&space, &["get", "st", "-o", "wide"]).await;
    let more = ["POSITION", "PENDING", "WORKER", "PURGE-AFTER", "AGE"];
    assert_eq!(wide, [&["NAME", "STATE", "READY", "LAG", "DEAD"][..], &more].concat());
    assert_eq!(columns(&space, &["get", "rx"]).await, ["NAME", "PHASE", "PROGRESS", "RATE", "ETA", "AGE"]);
    let both = space.run(&["get", "binlog", "-o", "name"]).await;
    assert_eq!(both, "reindex.binlog-operator.io/part\nsynctask.binlog-operator.io/orders\n");
    let explained = space.run(&["explain", "synctask.spec.onGap"]).await;
    assert!(
        explained.contains("Repair\n    Halt") && explained.contains("What to do when changes"),
        "{explained}"
    );
}

async fn columns(space: &Namespace<'_>, args: &[&str]) -> Vec<String> {
    let printed = space.run(args).await;
    printed.lines().next().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}
