//! §4.1: the index equals the query after a full build and after every kind of change.

use e2e::stage::PATIENCE;
use e2e::{Operator, Size, Stage, shared, wait_until};

/// Each statement (or transaction) on rows that no other touches.
const CHANGES: &[&[&str]] = &[
    &["UPDATE {db}.order_items SET order_id = 11 WHERE order_id = 10 LIMIT 1"], // moved
    &["DELETE FROM {db}.order_items WHERE order_id = 12"],                      // the last items of an order
    &["UPDATE {db}.users SET name = 'Renamed' WHERE id = 7"],                   // fan-out
    &["UPDATE {db}.orders SET id = 900013 WHERE id = 13"],                      // another key; the items stay
    &[
        "START TRANSACTION",
        "UPDATE {db}.orders SET id = 900014 WHERE id = 14",
        "UPDATE {db}.order_items SET order_id = 900014 WHERE order_id = 14",
        "COMMIT",
    ],
    &[
        "START TRANSACTION",
        "UPDATE {db}.orders SET total = 0 WHERE id = 15",
        "DELETE FROM {db}.order_items WHERE order_id = 15",
        "ROLLBACK",
    ],
    &[
        "START TRANSACTION",
        "UPDATE {db}.orders SET total = 1.5 WHERE id = 16",
        "SAVEPOINT s",
        "DELETE FROM {db}.orders WHERE id = 17",
        "ROLLBACK TO SAVEPOINT s",
        "COMMIT",
    ],
    &["DELETE FROM {db}.users WHERE id = 8"], // an inner join: their orders go
    &["DELETE FROM {db}.users WHERE id = 9", "INSERT INTO {db}.users VALUES (9, 'New', NULL, '2026-01-01')"],
    &["REPLACE INTO {db}.orders VALUES (18, 18, 'paid', 7.25, '2026-05-05 05:05:05.555', NULL)"],
    &["INSERT INTO {db}.orders (id, user_id, total, created_at) VALUES (19, 1, 2, NOW(3))
         ON DUPLICATE KEY UPDATE total = 3.75"],
    &[
        "INSERT INTO {db}.orders (id, user_id, total, created_at) VALUES (800000, 1, 2, NOW(3))",
        "INSERT INTO {db}.order_items (order_id, sku, qty) VALUES (800000, 'x', 1), (800000, 'y', 2)",
    ],
    &["DELETE FROM {db}.orders WHERE id BETWEEN 100 AND 120"],
    &["UPDATE {db}.orders SET user_id = 3 WHERE id BETWEEN 1000 AND 4000"],
    &["UPDATE {db}.users SET name = 'Has 3,001 orders' WHERE id = 3"], // more than a page of a lookup
    &["UPDATE {db}.orders SET note = 'no document shows this' WHERE id < 500"], // pruned
    &["CREATE TABLE {db}.other (id INT PRIMARY KEY)", "INSERT INTO {db}.other VALUES (1)"],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_orders_stay_equal_through_every_kind_of_change() {
    let (mysql, elastic) = shared::both().await;
    let stage = Stage::new(mysql, elastic, "convergence", Size::FULL).await;
    let operator = stage.start();
    assert_eq!(stage.equal(&operator).await, 20_000);

    for change in CHANGES {
        stage.shop.run(change).await;
    }
    stage.equal(&operator).await;
    for (id, field) in
        [("12", r#""items":null"#), ("3000", "Has 3,001 orders"), ("900013", r#""items":null"#)]
    {
        let doc = stage.search.doc(&stage.index, id).await.expect(id);
        assert!(doc.source.contains(field), "{id}: {}", doc.source);
    }
    assert!(stage.search.doc(&stage.index, "13").await.is_none());
    wait_until("470 rows were pruned", PATIENCE, async || {
        let pruned = operator.metrics().await?.sum("binlog_operator_rows_pruned_total", &[]);
        if pruned >= Some(470.0) { Ok(()) } else { Err(format!("{pruned:?}")) }
    })
    .await;

    // one transaction of 50,000 rows
    stage.shop.run(&["UPDATE {db}.order_items SET qty = qty + 1 ORDER BY id LIMIT 50000"]).await;
    stage.equal(&operator).await;

    random_load(&stage).await;
    stage.equal(&operator).await;
    clean(&operator).await;
}

async fn random_load(stage: &Stage) {
    let driver = stage.shop.drive(41, 500);
    wait_until("3,000 transactions", PATIENCE, async || {
        if driver.done() >= 3_000 { Ok(()) } else { Err(driver.done().to_string()) }
    })
    .await;
    eprintln!("{} transactions, {} failed", driver.done(), driver.failed());
    driver.stop().await;
}

async fn clean(operator: &Operator) {
    let metrics = operator.metrics().await.unwrap();
    for name in
        ["dead_letters_total", "gaps_total", "foreign_writer_total", "superseded_total", "retries_total"]
    {
        let sum = metrics.sum(&format!("binlog_operator_{name}"), &[]).unwrap_or(0.0);
        assert!(sum == 0.0, "{name} is {sum}");
    }
}
