//! A task is applied, edited, held back, restarted, deleted: documents equal the query throughout.

use e2e::cluster_task::condition_of;
use e2e::stage::PATIENCE;
use e2e::{Checker, ClusterTask, Namespace, Operator, Size, cluster, shared, wait_until};
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};
use std::time::Duration;

/// Nobody else says these words.
const PLANTED: &str = "pl4nted-7c1f";
const ROTATED: &str = "r0tated-9e2b";

async fn stage(space: &'static Namespace<'static>, size: Size) -> ClusterTask<'static> {
    let (mysql, elastic) = shared::both().await;
    ClusterTask::new(space, mysql, elastic, size).await
}

async fn namespace(name: &str) -> &'static Namespace<'static> {
    // for the tests' whole life: its scratch folder is swept by the next run
    Box::leak(Box::new(cluster::shared().await.namespace(name).await))
}

async fn load(task: &ClusterTask<'_>, seed: u64, during: impl Future<Output = ()>) {
    let driver = task.shop.drive(seed, 200);
    during.await;
    let before = driver.done();
    wait_until("more transactions", PATIENCE, async || {
        if driver.done() > before + 200 { Ok(()) } else { Err(driver.done().to_string()) }
    })
    .await;
    driver.stop().await;
}

async fn user(task: &ClusterTask<'_>, statements: &[&str]) {
    let name = task.index.clone();
    let statements: Vec<String> = statements.iter().map(|text| text.replace("{user}", &name)).collect();
    task.shop.run(&statements).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apply_edit_and_rotate_to_equal_documents() {
    let space = namespace("apply").await;
    let mut task = stage(space, Size::SMALL).await;
    user(
        &task,
        &[
            &format!("CREATE USER {{user}}@'%' IDENTIFIED BY '{PLANTED}'"),
            "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {user}@'%'",
            "GRANT SELECT ON {db}.* TO {user}@'%'",
        ],
    )
    .await;
    task.file = task.file.clone().credentials(&task.index, PLANTED);
    let operator = Operator::in_cluster(space, &[]);
    task.apply().await;
    task.wait_condition("Ready", "True").await;
    assert_eq!(task.equal().await, 200);
    looks_right(&task).await;

    load(&task, 1, async {}).await;
    task.equal().await;
    rotate(&task, &operator).await;
    task.file = task.file.clone().credentials(&task.index, ROTATED);
    edits(&mut task).await;
    assert_nowhere(&task, &operator).await;
    let log = operator.log();
    assert!(!log.contains("panicked"), "{log}");
    let refused = space.cluster.requests_of(&space.user());
    let refused: Vec<&String> = refused.iter().filter(|line| line.ends_with(" 403")).collect();
    assert!(refused.is_empty(), "the chart's rights do not suffice: {refused:?}");
}

/// What `kubectl get` and the status say of a task that is equal.
async fn looks_right(task: &ClusterTask<'_>) {
    let initial = format!("{}-initial", task.name);
    let reindex = task.wait_phase(&initial, "Complete").await;
    assert_eq!(reindex["status"]["progress"], "100%", "{reindex:#}");
    assert_eq!(reindex["status"]["documents"], 200, "{reindex:#}");
    assert!(condition_of(&reindex, "Complete").starts_with("True"), "{reindex:#}");
    let printed = task.space.run(&["get", "synctasks", "--no-headers"]).await;
    let cells: Vec<&str> = printed.split_whitespace().collect();
    assert_eq!(cells[..5], [task.name.as_str(), "Running", "True", "0", "0"], "{printed}");
    let object = task.object().await.unwrap();
    let status = &object["status"];
    assert_eq!(status["observedGeneration"], object["metadata"]["generation"], "{status:#}");
    for (condition, words) in [
        ("Preflight", "True"),
        ("SourceConnected", "True"),
        ("SinkConnected", "True"),
        ("DeadLetters", "False"),
    ] {
        assert!(condition_of(&object, condition).starts_with(words), "{condition}: {status:#}");
    }
    let tables: Vec<&str> =
        status["mapping"].as_array().unwrap().iter().filter_map(|t| t["table"].as_str()).collect();
    for table in ["orders", "users", "order_items"] {
        assert!(tables.iter().any(|found| found.ends_with(table)), "{tables:?}");
    }
    assert!(task.space.run(&["get", "events.events.k8s.io"]).await.contains("Ready"));
}

/// The password changes in MySQL and in the Secret, and the connections are cut: the task goes on, without a gap.
async fn rotate(task: &ClusterTask<'_>, operator: &Operator) {
    let builds = task.space.cluster.kube().get(&task.space.path("reindexes")).await.unwrap();
    let path = task.space.path(&format!("secrets/{}-mysql", task.name));
    load(task, 2, async {
        user(task, &[&format!("ALTER USER {{user}}@'%' IDENTIFIED BY '{ROTATED}'")]).await;
        task.space.cluster.kube().patch(&path, &json!({"stringData": {"password": ROTATED}})).await;
        cut_connections(task).await;
    })
    .await;
    task.equal().await;
    task.wait_condition("SourceConnected", "True").await;
    let after = task.space.cluster.kube().get(&task.space.path("reindexes")).await.unwrap();
    let count = |list: &Value| list["items"].as_array().unwrap().len();
    assert_eq!(count(&after), count(&builds), "a rotation is no gap");
    let gaps = operator.metrics().await.unwrap().sum("binlog_operator_gaps_total", &[]);
    assert!(gaps.unwrap_or(0.0) < 1.0, "a rotation is no gap");
}

async fn cut_connections(task: &ClusterTask<'_>) {
    let mut conn = task.shop.conn().await;
    let sql = format!("SELECT ID FROM performance_schema.processlist WHERE USER = '{}'", task.index);
    let ids: Vec<u64> = conn.query(sql).await.unwrap();
    assert!(!ids.is_empty(), "the task is connected as its user");
    for id in ids {
        let _ = conn.query_drop(format!("KILL {id}")).await; // it may have gone by itself
    }
    conn.disconnect().await.unwrap();
}

/// Sql, sink and source are edited under load.
async fn edits(task: &mut ClusterTask<'_>) {
    let driver = task.shop.drive(3, 100);
    let (sql, checker) = task.shop.narrowed("o.status <> 'cancelled'");
    task.edit("query.sql", sql).await;
    task.wait_condition("Ready", "True").await;
    driver.stop().await;
    assert_equal(task, &checker).await;

    let driver = task.shop.drive(4, 100);
    task.index = format!("{}_moved", task.index);
    task.edit("sink.elasticsearch.index", task.index.clone()).await;
    task.wait_condition("Ready", "True").await;
    driver.stop().await;
    assert_equal(task, &checker).await;

    let driver = task.shop.drive(5, 100);
    task.edit("source.host", "localhost").await;
    task.wait_condition("Ready", "True").await;
    driver.stop().await;
    assert_equal(task, &checker).await;
}

async fn assert_equal(task: &ClusterTask<'_>, checker: &Checker) {
    task.settle().await;
    checker.check(task.shop.opts(), &task.search, &task.index).await.unwrap();
}

/// Passwords stand in no log, event, status, ConfigMap or metric.
async fn assert_nowhere(task: &ClusterTask<'_>, operator: &Operator) {
    let mut texts = vec![operator.log(), operator.get("/metrics").await.unwrap().body];
    for kind in ["synctasks", "reindexes", "events", "configmaps", "leases"] {
        texts.push(task.space.cluster.kube().get(&task.space.path(kind)).await.unwrap().to_string());
    }
    for text in texts {
        // kubectl's own note of what was applied holds the Secret's text, but only on the Secret
        assert!(!text.contains(PLANTED) && !text.contains(ROTATED), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_restart_and_deletion() {
    let space = namespace("states").await;
    let mut task = stage(space, Size::SMALL).await;
    let operator = Operator::in_cluster(space, &[]);
    task.apply().await;
    task.equal().await;

    task.edit("state", "Paused").await;
    task.wait_condition("Paused", "True Paused").await;
    task.shop.run(&["UPDATE {db}.orders SET total = total + 1"]).await;
    task.edit("state", "Running").await;
    task.wait_condition("Paused", "False").await;
    task.equal().await;
    assert_eq!(reindexes(&task).await, 1, "a pause is no gap");

    let epoch = task.checkpoint().await.unwrap()["epoch"].as_u64().unwrap();
    let restart = format!("binlog-operator.io/restartedAt={epoch}");
    space.run(&["annotate", "synctask", &task.name, "--overwrite", &restart]).await;
    wait_until("another worker", PATIENCE, async || {
        let now = task.checkpoint().await?["epoch"].as_u64().unwrap_or(0);
        if now > epoch { Ok(()) } else { Err(now.to_string()) }
    })
    .await;

    // state wins over failures
    task.edit("source.port", 1).await;
    task.wait_condition("Ready", "False").await;
    task.edit("state", "Stopped").await;
    task.wait_condition("Paused", "True Stopped").await;
    task.edit("source.port", shared::mysql().await.port()).await;
    task.edit("state", "Running").await;
    task.equal().await;

    deleted_and_recreated(&mut task).await;
    drop(operator);
}

async fn reindexes(task: &ClusterTask<'_>) -> usize {
    let list = task.space.cluster.kube().get(&task.space.path("reindexes")).await.unwrap();
    list["items"].as_array().unwrap().len()
}

/// The index stays; what is recreated at once does not take its predecessor's objects for its own; `DeleteIndex`
/// takes the index along.
async fn deleted_and_recreated(task: &mut ClusterTask<'_>) {
    let uid = task.object().await.unwrap()["metadata"]["uid"].clone();
    task.space.run(&["delete", "synctask", &task.name, "--timeout=60s"]).await;
    assert_eq!(task.search.count(&task.index).await, 200, "the index stays");
    task.shop.run(&["DELETE FROM {db}.orders WHERE id <= 10"]).await;
    task.apply().await;
    wait_until("a checkpoint of the new task", PATIENCE, async || {
        let checkpoint = task.checkpoint().await?;
        let old = checkpoint["taskUid"] == uid;
        if old { Err("still the old one's".into()) } else { Ok(()) }
    })
    .await;
    assert_eq!(task.equal().await, 190);

    task.edit("deletionPolicy", "DeleteIndex").await;
    wait_until("the finalizer", PATIENCE, async || {
        let task = task.object().await?;
        if task["metadata"]["finalizers"].is_array() { Ok(()) } else { Err(task["metadata"].to_string()) }
    })
    .await;
    task.space.run(&["delete", "synctask", &task.name, "--timeout=60s"]).await;
    let answer = task.search.get(&format!("/{}", task.index)).await;
    assert_eq!(answer.status, 404, "{}", answer.body);
    wait_until("its objects are gone", Duration::from_secs(120), async || {
        let path = task.space.path("configmaps");
        let list = task.space.cluster.kube().get(&path).await?.to_string();
        if list.contains("-checkpoint") { Err(list) } else { Ok(()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_checkpoint_is_a_gap_and_repaired() {
    let space = namespace("lost").await;
    let task = stage(space, Size::SMALL).await;
    let _operator = Operator::in_cluster(space, &[]);
    task.apply().await;
    task.equal().await;
    // changes that the binlog does not tell: only a build of everything finds them
    let mut conn = task.shop.conn().await;
    conn.query_drop("SET sql_log_bin = 0").await.unwrap();
    conn.query_drop(format!("UPDATE {}.orders SET total = total + 1000", task.shop.database)).await.unwrap();
    conn.disconnect().await.unwrap();
    space.cluster.kube().delete(&space.path(&format!("configmaps/{}-checkpoint", task.name))).await;
    load(&task, 7, async {}).await;
    wait_until("repaired", PATIENCE, async || {
        task.shop.checker().check(task.shop.opts(), &task.search, &task.index).await
    })
    .await;
    task.equal().await;
}
