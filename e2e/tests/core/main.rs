//! The core suite: build, every kind of change, `kill -9`, outages, on a pair of servers chosen by `CORE_SOURCE` (mysql,
//! mariadb) and `CORE_SINK` (es9, es7, opensearch). `make test-all` runs it on three pairs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken environment has to fail the test at once, with its place"
)]

mod pair;

use e2e::stage::PATIENCE;
use e2e::{Driver, Operator, Size, Stage, wait_condition, wait_until};
use pair::Pair;

const SIZE: Size = Size { users: 200, orders: 4_000, items_per_order: 3 };

/// Each list of statements on rows that no other touches.
const CHANGES: &[&[&str]] = &[
    &["UPDATE {db}.order_items SET order_id = 11 WHERE order_id = 10 LIMIT 1"], // moved
    &["DELETE FROM {db}.order_items WHERE order_id = 12"],                      // the last items of an order
    &["UPDATE {db}.users SET name = 'Renamed' WHERE id = 7"],                   // fan-out
    &["UPDATE {db}.orders SET id = 900013 WHERE id = 13"],                      // another key; the items stay
    &[
        "START TRANSACTION",
        "UPDATE {db}.orders SET total = 1.5 WHERE id = 16",
        "SAVEPOINT s",
        "DELETE FROM {db}.orders WHERE id = 17",
        "ROLLBACK TO SAVEPOINT s",
        "COMMIT",
    ],
    &[
        "START TRANSACTION",
        "UPDATE {db}.orders SET total = 0 WHERE id = 15",
        "DELETE FROM {db}.order_items WHERE order_id = 15",
        "ROLLBACK",
    ],
    &["DELETE FROM {db}.users WHERE id = 8"], // an inner join: their orders go
    &["REPLACE INTO {db}.orders VALUES (18, 18, 'paid', 7.25, '2026-05-05 05:05:05.555', NULL)"],
    &["INSERT INTO {db}.orders (id, user_id, total, created_at) VALUES (19, 1, 2, NOW(3))
         ON DUPLICATE KEY UPDATE total = 3.75"],
    &[
        "INSERT INTO {db}.orders (id, user_id, total, created_at) VALUES (800000, 1, 2, NOW(3))",
        "INSERT INTO {db}.order_items (order_id, sku, qty) VALUES (800000, 'x', 1), (800000, 'y', 2)",
    ],
    &["DELETE FROM {db}.orders WHERE id BETWEEN 100 AND 120"],
    &["UPDATE {db}.orders SET user_id = 3 WHERE id BETWEEN 1000 AND 2500"],
    &["UPDATE {db}.users SET name = 'Has 1,501 orders' WHERE id = 3"], // more than a page of a lookup
    &["UPDATE {db}.orders SET note = 'no document shows this' WHERE id < 500"], // pruned
    &[
        "XA START 'core'",
        "UPDATE {db}.orders SET total = 77 WHERE id = 40",
        "XA END 'core'",
        "XA PREPARE 'core'",
        "XA COMMIT 'core'",
    ],
    &[
        "XA START 'back'",
        "UPDATE {db}.orders SET total = 78 WHERE id = 41",
        "XA END 'back'",
        "XA PREPARE 'back'",
        "XA ROLLBACK 'back'",
    ],
    &[
        "CREATE TABLE {db}.copied AS SELECT * FROM {db}.users",
        "INSERT INTO {db}.copied SELECT * FROM {db}.users",
    ],
    &["ALTER TABLE {db}.orders ADD COLUMN extra BIGINT NOT NULL DEFAULT 7 FIRST"],
    &["UPDATE {db}.orders SET total = 5 WHERE id BETWEEN 50 AND 60", "DELETE FROM {db}.orders WHERE id = 61"],
    &["ALTER TABLE {db}.orders DROP COLUMN extra", "UPDATE {db}.orders SET total = 6 WHERE id = 62"],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_follows_through_changes_kills_and_outages() {
    let mut pair = Pair::start().await;
    let stage = pair.stage("core", SIZE).await;
    let mut operator = stage.start();
    assert_eq!(stage.equal(&operator).await, 4_000, "the full build");

    for change in CHANGES {
        stage.shop.run(change).await;
    }
    stage.equal(&operator).await;
    stage.shop.run(&["UPDATE {db}.order_items SET qty = qty + 1"]).await;
    stage.equal(&operator).await;
    assert_eq!(total(&operator, "gaps_total").await, 0, "{}", operator.log_tail(60));

    kills(&stage, &mut operator).await;
    outages(&mut pair, &stage, &operator).await;
    for name in ["dead_letters_total", "gaps_total", "foreign_writer_total"] {
        assert_eq!(total(&operator, name).await, 0, "{name}: {}", operator.log_tail(60));
    }
}

/// `kill -9` under load, three times, and a clean stop with changes while nobody looks.
async fn kills(stage: &Stage, operator: &mut Operator) {
    let driver = stage.shop.drive(51, 200);
    for _ in 0..3 {
        more(&driver, 300).await;
        operator.kill9();
        more(&driver, 100).await;
        operator.boot();
        operator.wait_ready(PATIENCE).await;
    }
    driver.stop().await;
    stage.equal(operator).await;
    assert_eq!(operator.terminate(PATIENCE).await, Some(0));
    stage.shop.run(&["UPDATE {db}.orders SET total = 8 WHERE id BETWEEN 200 AND 300"]).await;
    stage.shop.run(&["DELETE FROM {db}.orders WHERE id = 301"]).await;
    operator.boot();
    stage.equal(operator).await;
}

/// Both servers are killed and come back, under load.
async fn outages(pair: &mut Pair, stage: &Stage, operator: &Operator) {
    let driver = stage.shop.drive(52, 100);
    pair.sink.kill9();
    wait_condition(operator, "SinkConnected", "False").await;
    more(&driver, 100).await;
    pair.sink.boot().await;
    wait_condition(operator, "SinkConnected", "True").await;
    pair.kill_source();
    wait_condition(operator, "SourceConnected", "False").await;
    pair.boot_source().await;
    wait_condition(operator, "SourceConnected", "True").await;
    more(&driver, 100).await;
    driver.stop().await;
    stage.equal(operator).await;
}

async fn more(driver: &Driver, transactions: u64) {
    let before = driver.done();
    wait_until("more transactions", PATIENCE, async || {
        let done = driver.done() - before;
        if done >= transactions { Ok(()) } else { Err(format!("{done}, {} failed", driver.failed())) }
    })
    .await;
}

async fn total(operator: &Operator, name: &str) -> u64 {
    let metrics = operator.metrics().await.unwrap();
    metrics.sum(&format!("binlog_operator_{name}"), &[]).unwrap_or(0.0) as u64
}
