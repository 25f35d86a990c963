//! §4.6: a document that the mapping rejects stops nobody else, and is not forgotten (invariants 6 and 9).

use e2e::stage::{PATIENCE, wait_condition};
use e2e::{Operator, Size, Stage, Status, shared};
use mysql_async::prelude::Queryable;
use serde_json::json;

async fn letters(operator: &Operator, count: usize) -> Status {
    let status = operator
        .wait_until(&format!("{count} dead letters"), PATIENCE, async || {
            let status = Status::of(operator).await?;
            let listed = status.text.lines().any(|line| line == format!("dead_letters {count}"));
            let metric = operator.metrics().await?.sum("binlog_operator_dead_letters", &[]);
            // a dead letter is no reason to be unready
            if status.ready && listed && metric == Some(count as f64) { Ok(status) } else { Err(status.text) }
        })
        .await;
    assert_eq!(status.is("DeadLetters"), count > 0, "{}", status.text);
    status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_document_of_a_thousand_is_rejected_kept_and_healed() {
    let (mysql, elastic) = shared::both().await;
    let size = Size { users: 100, orders: 1_000, items_per_order: 2 };
    let mut stage = Stage::new(mysql, elastic, "letters", size).await;
    // 32,767 is the largest total
    let mapping = json!({
        "settings": {"index": {"number_of_replicas": 0, "gc_deletes": "1h"}},
        "mappings": {"properties": {"total": {"type": "short"}}},
    });
    let _ = stage.search.put(&format!("/{}", stage.index), &mapping).await.ok();
    stage.shop.run(&["UPDATE {db}.orders SET total = 99999 WHERE id = 500"]).await;

    let mut operator = stage.start();
    letters(&operator, 1).await;
    assert_eq!(stage.equal_except(&operator, &["500"]).await, 1_000);
    assert!(stage.search.doc(&stage.index, "500").await.is_none());
    let stored = stage.dead_letters();
    assert_eq!(stored.len(), 1);
    let reason = stored[0]["reason"].as_str().unwrap();
    assert!(reason.contains("total") && reason.contains("99999"), "{reason}");
    let log = operator.log();
    let line = log.lines().find(|line| line.contains("dead letter")).expect("a line of the log");
    assert!(line.contains("500"), "{line}");

    // a bulk of all of them, one bad: the others are there at once
    stage.shop.run(&["UPDATE {db}.orders SET status = 'shipped'"]).await;
    stage.equal_except(&operator, &["500"]).await;
    letters(&operator, 1).await;

    // healed by a later update
    stage.shop.run(&["UPDATE {db}.orders SET total = 5 WHERE id = 500"]).await;
    assert_eq!(stage.equal(&operator).await, 1_000);
    letters(&operator, 0).await;
    assert!(stage.dead_letters().is_empty());

    // a document that was accepted once is rejected: the index keeps the old one
    stage.shop.run(&["UPDATE {db}.orders SET total = 88888 WHERE id IN (501, 502, 503)"]).await;
    letters(&operator, 3).await;
    stage.equal_except(&operator, &["501", "502", "503"]).await;
    // one row goes: so does its letter, and its document
    stage.shop.run(&["DELETE FROM {db}.orders WHERE id = 503"]).await;
    letters(&operator, 2).await;
    assert!(stage.search.doc(&stage.index, "503").await.is_none());

    // letters outlive the process; replayed once the cause is gone, which the binlog does not tell
    assert_eq!(operator.terminate(PATIENCE).await, Some(0));
    assert_eq!(stage.dead_letters().len(), 2);
    heal_unseen(&stage).await;
    let replay = stage.file.clone().reindex("replay", &json!({"deadLetters": true}));
    stage.file = replay;
    stage.write();
    operator.boot();
    letters(&operator, 0).await;
    assert_eq!(stage.equal(&operator).await, 999);
    assert!(stage.dead_letters().is_empty());
    operator
        .wait_until("the replay's record", PATIENCE, async || {
            let build = stage.build("replay").unwrap_or_default();
            if build["phase"] == "Complete" { Ok(()) } else { Err(build.to_string()) }
        })
        .await;
    wait_condition(&operator, "DeadLetters", "False").await;
}

async fn heal_unseen(stage: &Stage) {
    let mut conn = stage.shop.conn().await;
    conn.query_drop("SET sql_log_bin = 0").await.unwrap();
    let db = &stage.shop.database;
    conn.query_drop(format!("UPDATE {db}.orders SET total = 6.5 WHERE id IN (501, 502)")).await.unwrap();
}
