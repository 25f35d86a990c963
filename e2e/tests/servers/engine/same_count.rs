//! A server restored to the very place that was stored: nothing but the times of its last transactions tells.

use super::gaps::{SIZE, others, repaired};
use e2e::stage::PATIENCE;
use e2e::{MysqlOptions, MysqlServer, Stage, shared};

/// Restored to before its last transactions, and run on to the very count that was stored when the Full was
/// done, and by which nothing was followed since: only those transactions' times tell.
async fn restored_to_the_same_count(options: MysqlOptions) {
    let (server, elastic) = tokio::join!(MysqlServer::start(options), shared::elastic());
    let mut mysql = server;
    let mut stage = Stage::new(&mysql, elastic, "same_count", SIZE).await;
    stage.audited = false; // the server goes back in time here
    let snapshot = mysql.snapshot().await;
    stage.shop.run(&others(1)).await;
    let mut operator = stage.start();
    assert_eq!(stage.equal(&operator).await, 2_000);
    let (file, end, gtids) = mysql.position().await;
    assert_eq!(operator.terminate(PATIENCE).await, Some(0));

    mysql.restore(&snapshot).await;
    stage.shop.run(&others(2)).await;
    assert_eq!(mysql.position().await, (file, end, gtids), "the same place, by other transactions");
    operator.boot();
    repaired(&stage, &operator, "restored").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_restored_to_the_very_same_count_after_a_full_is_noticed() {
    restored_to_the_same_count(MysqlOptions::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_gtids_a_server_restored_to_the_very_same_offset_after_a_full_is_noticed() {
    restored_to_the_same_count(MysqlOptions { gtid: false, ..MysqlOptions::default() }).await;
}
