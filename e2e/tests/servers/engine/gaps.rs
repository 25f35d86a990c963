//! §4.8: whatever changed unseen is named, and repaired by a Full with its sweep (invariants 2 and 7).

use e2e::stage::PATIENCE;
use e2e::{
    ElasticServer, MysqlOptions, MysqlServer, Operator, Shop, Size, Stage, TcpProxy, shared, wait_until,
};
use mysql_async::prelude::Queryable;
use serde_json::json;

pub(super) const SIZE: Size = Size { users: 200, orders: 2_000, items_per_order: 2 };

/// The repair is named in the checkpoint's record of the Full, in the log and in the metrics, and done.
pub(super) async fn repaired(stage: &Stage, operator: &Operator, cause: &str) {
    operator
        .wait_until(&format!("a repair of: {cause}"), PATIENCE, async || {
            let full = stage.build("full").unwrap_or_default();
            let named = full["cause"].as_str().is_some_and(|found| found.contains(cause));
            if named && full["phase"] == "Complete" { Ok(()) } else { Err(full.to_string()) }
        })
        .await;
    stage.equal(operator).await;
    let gaps = operator.metrics().await.unwrap().sum("binlog_operator_gaps_total", &[]);
    assert!(gaps >= Some(1.0), "gaps_total is {gaps:?}");
    let log = operator.log();
    assert!(
        log.lines().any(|line| line.contains("WARN") && line.contains(cause)),
        "no warning names: {cause}\n{log}"
    );
}

async fn begin(mysql: &MysqlServer, elastic: &ElasticServer, prefix: &str) -> (Stage, Operator) {
    let mut stage = Stage::new(mysql, elastic, prefix, SIZE).await;
    stage.audited = false; // index and server go back in time here
    let operator = stage.start();
    assert_eq!(stage.equal(&operator).await, 2_000);
    (stage, operator)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_state_is_noticed_by_the_index_and_repaired() {
    let (mysql, elastic) = shared::both().await;
    let (stage, mut operator) = begin(mysql, elastic, "lost").await;
    assert_eq!(operator.terminate(PATIENCE).await, Some(0));
    std::fs::remove_dir_all(&stage.state_dir).unwrap();
    stage
        .shop
        .run(&[
            "DELETE FROM {db}.orders WHERE id BETWEEN 100 AND 299",
            "UPDATE {db}.users SET name = 'Unseen'",
        ])
        .await;
    operator.boot();
    repaired(&stage, &operator, "state is lost").await;
    assert_eq!(stage.search.count(&stage.index).await, 1_800, "ghosts are swept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_deleted_or_replaced_under_load_is_built_anew() {
    let (mysql, elastic) = shared::both().await;
    let (stage, operator) = begin(mysql, elastic, "replaced").await;
    let driver = stage.shop.drive(48, 100);
    let path = format!("/{}", stage.index);
    let gaps =
        async || operator.metrics().await.unwrap().sum("binlog_operator_gaps_total", &[]).unwrap_or(0.0);

    let _ = stage.search.delete(&path).await.ok();
    wait_until("the deleted index is noticed", PATIENCE, async || {
        if gaps().await >= 1.0 { Ok(()) } else { Err(operator.log_tail(5)) }
    })
    .await;
    stage.settle(&operator).await; // the load goes on
    driver.stop().await;
    repaired(&stage, &operator, "the index").await;

    let (before, driver) = (gaps().await, stage.shop.drive(49, 100));
    let _ = stage.search.delete(&path).await.ok();
    // the operator may be faster
    let _ = stage.search.put(&path, &json!({"settings": {"number_of_replicas": 0}})).await;
    wait_until("the replaced index is noticed", PATIENCE, async || {
        if gaps().await > before { Ok(()) } else { Err(operator.log_tail(5)) }
    })
    .await;
    driver.stop().await;
    repaired(&stage, &operator, "the index").await;

    // while nobody looks
    let mut operator = operator;
    assert_eq!(operator.terminate(PATIENCE).await, Some(0));
    let _ = stage.search.delete(&path).await.ok();
    let _ = stage.search.put(&path, &json!({"settings": {"number_of_replicas": 0}})).await.ok();
    operator.boot();
    repaired(&stage, &operator, "replaced while the task was down").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purged_binlog_and_a_restored_server_are_noticed_and_repaired() {
    let (server, elastic) = tokio::join!(MysqlServer::start(MysqlOptions::default()), shared::elastic());
    let mut mysql = server;
    let (stage, mut operator) = begin(&mysql, elastic, "purged").await;

    // purged while the operator was down
    assert_eq!(operator.terminate(PATIENCE).await, Some(0));
    stage.shop.run(&["DELETE FROM {db}.orders WHERE id BETWEEN 100 AND 199"]).await;
    mysql.purge().await;
    stage.shop.run(&["UPDATE {db}.orders SET total = 12.5 WHERE id BETWEEN 200 AND 299"]).await;
    operator.boot();
    repaired(&stage, &operator, "1236").await;
    assert_eq!(stage.search.count(&stage.index).await, 1_900);

    // restored to an older state, then other transactions under the same GTIDs, while the operator was down
    let snapshot = mysql.snapshot().await;
    stage
        .shop
        .run(&[
            "DELETE FROM {db}.orders WHERE id BETWEEN 300 AND 399",
            "UPDATE {db}.orders SET total = 13.5 WHERE id BETWEEN 400 AND 499",
            "UPDATE {db}.users SET name = 'Before the restore'",
        ])
        .await;
    stage.equal(&operator).await;
    assert_eq!(operator.terminate(PATIENCE).await, Some(0));
    mysql.restore(&snapshot).await;
    stage.shop.run(&others(1)).await;
    operator.boot();
    repaired(&stage, &operator, "restored").await;
    assert_eq!(stage.search.count(&stage.index).await, 1_900);

    // the same while the operator runs
    stage.shop.run(&others(2)).await;
    stage.equal(&operator).await;
    mysql.restore(&snapshot).await;
    for round in 3..7 {
        stage.shop.run(&others(round)).await;
    }
    operator
        .wait_until("the second restore is noticed", PATIENCE, async || {
            let gaps = operator.metrics().await?.sum("binlog_operator_gaps_total", &[]).unwrap_or(0.0);
            if gaps > 1.0 { Ok(()) } else { Err(format!("{gaps} gaps")) }
        })
        .await;
    repaired(&stage, &operator, "restored").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_gtids_another_server_at_the_address_is_noticed() {
    let plain = || MysqlOptions { gtid: false, ..MysqlOptions::default() };
    let (one, other, elastic) =
        tokio::join!(MysqlServer::start(plain()), MysqlServer::start(plain()), shared::elastic());
    let mut stage = Stage::new(&one, elastic, "failover", SIZE).await;
    stage.audited = false; // the other server's rows are others
    let proxy = TcpProxy::start(one.port()).await;
    stage.set("source.port", proxy.port());
    let operator = stage.start();
    assert_eq!(stage.equal(&operator).await, 2_000);
    stage.shop = Shop::create(other.opts(), &stage.index, SIZE).await;
    stage.shop.run(&["DELETE FROM {db}.orders WHERE id BETWEEN 100 AND 199"]).await;
    proxy.redirect(other.port());
    proxy.cut().await;
    repaired(&stage, &operator, "another server").await;
    assert_eq!(stage.search.count(&stage.index).await, 1_900);
    stage.shop.run(&others(1)).await;
    stage.equal(&operator).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_a_server_that_the_address_left_is_left_as_well() {
    let second = MysqlOptions::default().flag("--server-id=2");
    let (one, other, elastic) = tokio::join!(
        MysqlServer::start(MysqlOptions::default()),
        MysqlServer::start(second),
        shared::elastic()
    );
    let mut stage = Stage::new(&one, elastic, "moved", SIZE).await;
    other.replicate(&one, "").await;
    let proxy = TcpProxy::start(one.port()).await;
    stage.set("source.port", proxy.port());
    let operator = stage.start();
    assert_eq!(stage.equal(&operator).await, 2_000);
    let (_, _, executed): (_, _, String) = one.position().await;
    let waited = format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{executed}', {})", PATIENCE.as_secs());
    assert_eq!(
        other.conn().await.query_first::<u8, _>(waited).await.unwrap(),
        Some(0),
        "the replica has all"
    );
    other.run(&["STOP REPLICA"]).await;

    // the old one answers whoever has a connection to it
    proxy.redirect(other.port());
    stage.shop = stage.shop.at(other.opts());
    stage.shop.run(&["DELETE FROM {db}.orders WHERE id BETWEEN 100 AND 199"]).await;
    stage.shop.run(&others(1)).await;
    stage.equal(&operator).await;
    assert_eq!(stage.search.count(&stage.index).await, 1_900);
    let gaps = operator.metrics().await.unwrap().sum("binlog_operator_gaps_total", &[]);
    assert_eq!(gaps.unwrap_or(0.0), 0.0, "it goes on where it stood");
    let log = operator.log();
    assert!(log.contains("its connection leads to another server than"), "{log}");
}

/// Five transactions that change something, other ones in each round.
pub(super) fn others(round: u32) -> Vec<String> {
    (1..=5).map(|id| format!("UPDATE {{db}}.orders SET total = {round}{id}.5 WHERE id = {id}")).collect()
}
