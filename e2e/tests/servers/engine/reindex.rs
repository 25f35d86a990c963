//! §4.7: a Reindex builds exactly what it selects, beside live updates, and goes on at its cursor after a kill.

use e2e::stage::PATIENCE;
use e2e::{Fault, FaultProxy, Size, Stage, shared};
use mysql_async::prelude::Queryable;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinHandle;

const SIZE: Size = Size { users: 300, orders: 3_000, items_per_order: 2 };

/// Changes that the binlog does not tell.
async fn unseen(stage: &Stage, statements: &[&str]) {
    let mut conn = stage.shop.conn().await;
    conn.query_drop("SET sql_log_bin = 0").await.unwrap();
    for statement in statements {
        conn.query_drop(statement.replace("{db}", &stage.shop.database)).await.unwrap();
    }
    conn.disconnect().await.unwrap();
}

/// 2,000 updates of orders from 2,001 on.
fn updates(stage: &Stage) -> JoinHandle<()> {
    let shop = stage.shop.clone();
    tokio::spawn(async move {
        let mut conn = shop.conn().await;
        for n in 0..2_000_u32 {
            let (db, id) = (&shop.database, 2_001 + n * 7 % 1_000);
            let sql = format!("UPDATE {db}.orders SET total = {n}, status = 'paid' WHERE id = {id}");
            conn.query_drop(sql).await.unwrap();
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn selections_build_what_they_name_and_nothing_else() {
    let (mysql, elastic) = shared::both().await;
    let mut stage = Stage::new(mysql, elastic, "reindex", SIZE).await;
    let mut operator = stage.start();
    assert_eq!(stage.equal(&operator).await, 3_000);
    assert_eq!(operator.terminate(PATIENCE).await, Some(0));

    unseen(
        &stage,
        &["UPDATE {db}.orders SET total = total + 1000", "DELETE FROM {db}.orders WHERE id = 150"],
    )
    .await;
    let before = stage.search.docs(&stage.index).await.unwrap();
    let file = stage.file.clone();
    let file = file.reindex("a-range", &json!({"range": {"min": 100, "max": 200}}));
    let file = file.reindex("a-where", &json!({"where": "o.id >= 300 AND o.id < 400"})).page_size(30);
    let file = file.reindex("some-ids", &json!({"ids": [500, 501, "7", 99_999]}));
    stage.file = file;
    stage.write();
    operator.boot();
    let load = updates(&stage);
    for name in ["a-range", "a-where", "some-ids"] {
        operator
            .wait_until(&format!("Reindex {name} complete"), PATIENCE, async || {
                let build = stage.build(name).unwrap_or_default();
                if build["phase"] == "Complete" { Ok(()) } else { Err(build.to_string()) }
            })
            .await;
    }
    load.await.unwrap();
    stage.settle(&operator).await;

    // 150 is not in the table any more, so a walk of the table does not meet it
    let chosen: BTreeSet<u64> = (100..200)
        .filter(|id| *id != 150)
        .chain(300..400)
        .chain([500, 501, 7])
        .chain(2_001..=3_000)
        .collect();
    let stale: Vec<String> = (1..=3_000).filter(|id| !chosen.contains(id)).map(|id| id.to_string()).collect();
    let ids: Vec<&str> = stale.iter().map(String::as_str).collect();
    stage.equal_except(&operator, &ids).await;
    let after = stage.search.docs(&stage.index).await.unwrap();
    for id in &stale {
        assert_eq!(after.get(id), before.get(id), "{id} was not selected");
    }

    // everything: also what the table does not hold any longer
    assert_eq!(operator.terminate(PATIENCE).await, Some(0));
    let file = stage.file.clone().reindex("everything", &json!(null));
    stage.file = file;
    stage.write();
    operator.boot();
    let load = updates(&stage);
    operator
        .wait_until("Reindex everything complete", PATIENCE, async || {
            let build = stage.build("everything").unwrap_or_default();
            if build["phase"] == "Complete" { Ok(()) } else { Err(build.to_string()) }
        })
        .await;
    load.await.unwrap();
    assert_eq!(stage.equal(&operator).await, 2_999);
    assert!(stage.search.doc(&stage.index, "150").await.is_none(), "swept");

    // all of them are complete: another start does nothing
    let reads = stage.audit().actions.len();
    assert_eq!(operator.terminate(PATIENCE).await, Some(0));
    operator.boot();
    stage.equal(&operator).await;
    assert_eq!(stage.audit().actions.len(), reads, "a complete Reindex ran again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reindex_killed_half_way_goes_on_at_its_cursor() {
    let (mysql, elastic) = shared::both().await;
    let proxy = FaultProxy::start(&elastic.url()).await;
    let mut stage = Stage::new(mysql, elastic, "resumed", SIZE).await;
    stage.set("sink.elasticsearch.addresses", json!([proxy.url()]));
    stage.set("limits.batchActions", 20);
    let mut operator = stage.start();
    assert_eq!(stage.equal(&operator).await, 3_000);
    assert_eq!(operator.terminate(PATIENCE).await, Some(0));

    unseen(&stage, &["UPDATE {db}.orders SET total = total + 1000 WHERE id <= 2000"]).await;
    let file = stage.file.clone().reindex("half", &json!({"range": {"max": 2001}})).page_size(50);
    stage.file = file;
    stage.write();
    proxy.set(Fault::DelayAnswer(Duration::from_millis(300))); // so that it lasts
    operator.boot();
    let load = updates(&stage);
    let cursor = operator
        .wait_until("a stored cursor", PATIENCE, async || {
            let build = stage.build("half").unwrap_or_default();
            let cursor = build["cursor"][0]["Int"].as_u64().unwrap_or(0);
            if cursor >= 300 { Ok(cursor) } else { Err(build.to_string()) }
        })
        .await;
    operator.kill9();
    let stored = stage.build("half").unwrap();
    assert_eq!(stored["phase"], "Walking", "{stored}");
    let cursor = stored["cursor"][0]["Int"].as_u64().unwrap_or(0).max(cursor);
    let written = stage.audit().actions.len();
    proxy.set(Fault::Pass);
    operator.boot();
    load.await.unwrap();
    assert_eq!(stage.equal(&operator).await, 3_000);
    let again: BTreeSet<u64> =
        stage.audit().since(written).actions.iter().map(|a| a.id.parse().unwrap()).collect();
    eprintln!("killed at {cursor}, went on with {:?}", again.first());
    let first = again.first().copied().unwrap_or(0);
    assert!(first > cursor, "the walk had reached {cursor}, and began again at {first}");
    assert!(again.range(..=2_000).next_back() == Some(&2_000));
}
