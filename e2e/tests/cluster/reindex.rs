//! A Reindex as people see it: it waits with its task, goes on at its cursor, is cancelled, is tidied up.

use e2e::stage::PATIENCE;
use e2e::{ClusterTask, Fault, FaultProxy, Operator, Size, cluster, shared, wait_until};
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};
use std::time::Duration;

const SIZE: Size = Size { users: 50, orders: 2_000, items_per_order: 1 };

fn keys(reindex: &Value) -> u64 {
    reindex["status"]["keysDone"].as_u64().unwrap_or(0)
}

/// Waits until so many keys are done, and not all.
async fn walked(task: &ClusterTask<'_>, name: &str, more_than: u64) -> u64 {
    wait_until(&format!("{name} has walked more than {more_than}"), PATIENCE, async || {
        let checkpoint = task.checkpoint().await?;
        let build = &checkpoint["builds"][name];
        let done = build["keysDone"].as_u64().unwrap_or(0);
        assert!(done < SIZE.orders, "too fast to be caught in the middle");
        if done > more_than { Ok(done) } else { Err(build.to_string()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reindex_is_paused_resumed_cancelled_and_tidied_up() {
    let space = cluster::shared().await.namespace("reindex").await;
    let (mysql, elastic) = shared::both().await;
    let proxy = FaultProxy::start(&elastic.url()).await;
    let slow = Fault::DelayAnswer(Duration::from_millis(200));
    let mut task = ClusterTask::new(&space, mysql, elastic, SIZE).await;
    task.file = task
        .file
        .clone()
        .set("sink.elasticsearch.addresses", json!([proxy.url()]))
        .set("limits", json!({"checkpointInterval": "1s", "lanes": 1, "batchActions": 20}));
    let mut operator = Operator::in_cluster(&space, &[]);
    task.apply().await;
    assert_eq!(task.equal().await, 2_000);

    proxy.set_for("_bulk", slow);
    task.file = task.file.clone().reindex("all", &Value::Null).page_size(20);
    task.apply().await;
    let done = walked(&task, "all", 60).await;
    task.wait_phase("all", "Walking").await;
    operator.kill9();
    operator.boot();
    let later = walked(&task, "all", done).await;

    task.edit("state", "Paused").await;
    task.wait_condition("Paused", "True").await;
    let paused = task.checkpoint().await.unwrap()["builds"]["all"]["keysDone"].as_u64().unwrap();
    assert!(paused >= later, "{paused} after {later}");
    task.edit("state", "Running").await;
    walked(&task, "all", paused).await;
    proxy.set(Fault::Pass);
    let complete = task.wait_phase("all", "Complete").await;
    assert_eq!((keys(&complete), &complete["status"]["progress"]), (2_000, &json!("100%")), "{complete:#}");
    task.equal().await;

    proxy.set_for("_bulk", slow);
    task.file = task.file.clone().reindex("cancelled", &Value::Null).page_size(20);
    task.apply().await;
    walked(&task, "cancelled", 0).await;
    space.run(&["delete", "reindex", "cancelled"]).await;
    wait_until("the build is gone", PATIENCE, async || {
        let builds = task.checkpoint().await?["builds"].clone();
        if builds["cancelled"].is_null() { Ok(()) } else { Err(builds.to_string()) }
    })
    .await;
    proxy.set(Fault::Pass);

    let short = json!({"apiVersion": "binlog-operator.io/v1alpha1", "kind": "Reindex", "metadata": {"name": "short"},
        "spec": {"taskRef": {"name": task.name}, "selection": {"ids": [1, 2]}, "ttlSecondsAfterFinished": 1}});
    space.cluster.kube().post(&space.path("reindexes"), &short).await;
    wait_until("the finished Reindex is gone", PATIENCE, async || {
        let found = task.reindex("short").await;
        if found.is_err() { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_shown_replayed_and_gone() {
    let space = cluster::shared().await.namespace("letters").await;
    let (mysql, elastic) = shared::both().await;
    let mut task = ClusterTask::new(&space, mysql, elastic, Size::SMALL).await;
    // 32,767 is the largest total
    let mapping = json!({
        "settings": {"index": {"number_of_replicas": 0, "gc_deletes": "1h"}},
        "mappings": {"properties": {"total": {"type": "short"}}},
    });
    let _ = task.search.put(&format!("/{}", task.index), &mapping).await.ok();
    task.shop.run(&["UPDATE {db}.orders SET total = 99999 WHERE id = 50"]).await;
    let _operator = Operator::in_cluster(&space, &[]);
    task.apply().await;
    let dead = task.wait_condition("DeadLetters", "True").await;
    assert_eq!(dead["status"]["deadLetters"], 1, "{dead:#}");
    let printed = space.run(&["get", "synctasks", "--no-headers"]).await;
    assert_eq!(printed.split_whitespace().nth(4), Some("1"), "{printed}");
    let stored = space.run(&["get", "configmap", &format!("{}-dead-letters", task.name), "-o", "yaml"]).await;
    assert!(stored.contains("99999"), "{stored}");

    // the cause goes in a way that the binlog does not tell
    let mut conn = task.shop.conn().await;
    conn.query_drop("SET sql_log_bin = 0").await.unwrap();
    conn.query_drop(format!("UPDATE {}.orders SET total = 5 WHERE id = 50", task.shop.database))
        .await
        .unwrap();
    conn.disconnect().await.unwrap();
    task.file = task.file.clone().reindex("letters", &json!({"deadLetters": true}));
    task.apply().await;
    task.wait_phase("letters", "Complete").await;
    let healed = task.wait_condition("DeadLetters", "False").await;
    assert_eq!(healed["status"]["deadLetters"], 0, "{healed:#}");
    assert_eq!(task.equal().await, 200);
}
