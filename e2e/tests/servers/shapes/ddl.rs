//! Tables that change in mid-stream.

use super::rig::{Plan, Rig, full_metadata, statements};
use e2e::shared::{self, name};
use e2e::{Kind, MysqlServer, Shop, Size};

/// Without names in the table maps a column before the key moves every position: the old one's place now holds
/// a number that would be an order's id too.
async fn column_before_the_key(mysql: &MysqlServer, prefix: &str) {
    let shop = Shop::create(mysql.opts(), &name(prefix), Size::SMALL).await;
    let mut rig = Rig::shop(mysql, &shop).await;
    rig.run(&[
        "UPDATE {db}.orders SET total = 1 WHERE id < 20",
        "ALTER TABLE {db}.orders ADD COLUMN extra BIGINT NOT NULL DEFAULT 7 FIRST",
        "UPDATE {db}.orders SET total = 2 WHERE id BETWEEN 10 AND 30",
        "ALTER TABLE {db}.order_items ADD COLUMN extra BIGINT NOT NULL DEFAULT 9 FIRST, ADD INDEX by_sku (sku)",
        "UPDATE {db}.order_items SET qty = qty + 5 WHERE order_id = 40",
        "DELETE FROM {db}.orders WHERE id = 50",
        "INSERT INTO {db}.orders (user_id, total, created_at) VALUES (3, 5.5, NOW(3))",
    ])
    .await;
    rig.equal("columns added before the key").await;
    rig.no_gap().await;
    rig.stop().await;
    rig.run(&[
        "UPDATE {db}.orders SET total = 3 WHERE id BETWEEN 60 AND 70",
        "ALTER TABLE {db}.orders ADD COLUMN more VARCHAR(10) NOT NULL DEFAULT 'x' AFTER extra, ALGORITHM=INPLACE",
        "UPDATE {db}.orders SET total = 4 WHERE id BETWEEN 65 AND 75",
        "ALTER TABLE {db}.orders DROP COLUMN extra",
        "UPDATE {db}.orders SET total = 5 WHERE id BETWEEN 70 AND 80",
        "ALTER TABLE {db}.users MODIFY COLUMN email VARCHAR(300) FIRST",
        "UPDATE {db}.users SET name = 'moved' WHERE id = 5",
    ])
    .await;
    rig.operator.boot();
    rig.equal("columns that came and went while nobody looked").await;
    rig.no_gap().await;
}

#[tokio::test]
async fn column_before_the_key_with_minimal_metadata() {
    column_before_the_key(shared::mysql().await, "ddlminimal").await;
}

#[tokio::test]
async fn column_before_the_key_with_full_metadata() {
    column_before_the_key(full_metadata().await, "ddlfull").await;
}

/// Rows go without row events: a gap, repaired by a build with a sweep.
#[tokio::test]
async fn truncate_is_a_gap_and_is_repaired() {
    let mysql = shared::mysql().await;
    let shop = Shop::create(mysql.opts(), &name("truncate"), Size::SMALL).await;
    let rig = Rig::shop(mysql, &shop).await;
    rig.run(&["UPDATE {db}.orders SET total = 1 WHERE id < 20", "TRUNCATE TABLE {db}.order_items"]).await;
    rig.equal("TRUNCATE of a child table").await;
    assert_eq!(rig.metric_now("gaps_total").await, 1, "{}", rig.operator.log_tail(40));
    rig.run(&["INSERT INTO {db}.order_items (order_id, sku, qty) VALUES (4, 'after', 1)"]).await;
    rig.equal("an insert after it").await;
    rig.run(&["TRUNCATE TABLE {db}.orders"]).await;
    assert_eq!(rig.equal("TRUNCATE of the main table").await, 0);
    let log = rig.operator.log();
    assert!(log.contains("TRUNCATE"), "the gap is not named: {log}");
    rig.run(&["INSERT INTO {db}.orders (user_id, total, created_at) VALUES (3, 5.5, NOW(3))"]).await;
    assert_eq!(rig.equal("a new row").await, 1);
}

/// A name that the query writes without a table stands for another column from one moment to the next: documents
/// of rows that never changed are other ones.
#[tokio::test]
async fn a_new_column_that_captures_a_name_rebuilds_the_documents() {
    let mysql = shared::mysql().await;
    let mut plan = Plan::on(mysql, "capture");
    let columns =
        "(SELECT COUNT(*) FROM {db}.child c WHERE c.main_id = m.id AND note = 'one') AS n FROM {db}.main m";
    plan.sql = format!("SELECT m.id, {columns} WHERE m.id IN (:ids)");
    plan.check = format!("SELECT CAST(m.id AS CHAR), m.id, {columns}");
    plan.kinds = vec![Kind::Number, Kind::Number];
    plan.setup = statements(&[
        "CREATE TABLE {db}.main (id BIGINT PRIMARY KEY, note VARCHAR(50))",
        "CREATE TABLE {db}.child (id BIGINT AUTO_INCREMENT PRIMARY KEY, main_id BIGINT, KEY (main_id))",
        "INSERT INTO {db}.main VALUES (1, 'one'), (2, 'two'), (3, 'one')",
        "INSERT INTO {db}.child (main_id) VALUES (1), (1), (2), (3)",
    ]);
    let rig = Rig::start(plan).await;
    rig.run(&["ALTER TABLE {db}.child ADD COLUMN other VARCHAR(50)", "UPDATE {db}.child SET other = 'x'"])
        .await;
    rig.equal("a column that captures nothing").await;
    rig.no_gap().await;
    rig.run(&["ALTER TABLE {db}.child ADD COLUMN note VARCHAR(50)"]).await;
    rig.equal("a column that captures a name").await;
    assert_eq!(rig.metric_now("gaps_total").await, 1, "{}", rig.operator.log_tail(40));
    rig.run(&["UPDATE {db}.child SET note = 'one' WHERE main_id = 3"]).await;
    rig.equal("a change of the column that the name stands for now").await;
}
