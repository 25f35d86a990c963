//! What users of binlog-es-go met, case by case, each as a test that passes here.
//!
//! | case there | test here |
//! | --- | --- |
//! | kill -9 at a steady load loses updates (GTID) | `servers: engine::kill_nine_at_three_moments_loses_nothing` |
//! | a backlog, kill -9 early and late in draining it, GTID and file position | [`a_backlog_survives_kills_with_gtids`], [`a_backlog_survives_kills_without_gtids`] |
//! | SIGTERM under load loses updates and exits with 1 | the same two |
//! | Elasticsearch away, MySQL killed: updates lost | `long: outages_of_index_source_and_disk_lose_nothing`, `core` |
//! | one conflicting document among 50 stops the rest, leaves no dead letter | `servers: engine::one_document_of_a_thousand_is_rejected_kept_and_healed` |
//! | a build whose documents are all refused says that it is done | [`a_run_whose_documents_are_all_refused_does_not_end_well`] |
//! | ADD COLUMN at the end, FIRST; DROP COLUMN before the key; in a child after its id | [`columns_that_come_and_go_around_keys`], `servers: shapes::column_before_the_key_*` |
//! | RENAME of a selected column: everything until it is renamed back is lost | [`a_query_that_does_not_run_any_more_halts_and_resumes`] |
//! | DELETE in another schema's table of the same name deletes documents | `servers: shapes::the_same_tables_in_another_schema_are_ignored` |
//! | compressed transactions are not synced | `servers: shapes::compression_switched_on_by_one_session` |
//! | a tagged GTID stops every restart | `servers: shapes::tagged_gtids_and_a_restart_after_them` |
//! | TRUNCATE is ignored | `servers: shapes::truncate_is_a_gap_and_is_repaired` |
//! | a query slower than 5 s fails and its ids are dropped | [`a_slow_query_is_waited_for`] |
//! | INT UNSIGNED above 2^31, VARCHAR, composite and UUID keys are ignored | `servers: shapes::integers_beyond_the_signed_range`, `text_keys_*`, `composite_keys`, `binary_keys_that_end_in_zero_bytes` |
//! | mixed-case table names are never synced | `servers: shapes::tables_that_differ_by_case_only`, `a_server_that_folds_table_names` |
//! | a range with only `min` misses the last row; ids of 0 and below are never scanned | [`ids_of_zero_and_below_and_a_range_without_end`] |
//! | foreign keys that cascade | [`cascades_reach_the_documents`] |
//! | a start by file position on a server without SHOW MASTER STATUS | `servers: shapes::without_gtids` |
//! | of a batch, one id without row keeps its document; a primary key that changes leaves a ghost | [`rows_that_go_take_their_documents_with_them`] |
//! | keys that leave a JSON column stay in the document; big integers in JSON are rounded | [`documents_are_replaced_not_merged`] |

use super::rig::{Plan, Rig, statements};
use e2e::stage::PATIENCE;
use e2e::{Kind, MysqlOptions, MysqlServer, Size, Stage, Status, shared, wait_said, wait_until};
use serde_json::json;
use std::time::{Duration, Instant};

async fn backlog(options: MysqlOptions) {
    let (mysql, elastic) = tokio::join!(MysqlServer::start(options), shared::elastic());
    let size = Size { users: 500, orders: 20_000, items_per_order: 1 };
    let stage = Stage::new(&mysql, elastic, "backlog", size).await;
    let mut operator = stage.start();
    assert_eq!(stage.equal(&operator).await, 20_000);
    for after in [Duration::from_millis(400), Duration::from_secs(3)] {
        assert_eq!(operator.terminate(PATIENCE).await, Some(0));
        let rows: Vec<String> = (0..20)
            .map(|part| {
                let (low, high) = (part * 1_000 + 1, part * 1_000 + 1_000);
                format!("UPDATE {{db}}.orders SET total = total + 1 WHERE id BETWEEN {low} AND {high}")
            })
            .collect();
        stage.shop.run(&rows).await;
        operator.boot();
        tokio::time::sleep(after).await; // the moment of the kill is what is tested
        operator.kill9();
        operator.boot();
        stage.equal(&operator).await;
    }
    let driver = stage.shop.drive(71, 300);
    wait_until("500 transactions", PATIENCE, async || {
        if driver.done() >= 500 { Ok(()) } else { Err(driver.done().to_string()) }
    })
    .await;
    assert_eq!(operator.terminate(PATIENCE).await, Some(0), "SIGTERM under load");
    driver.stop().await;
    operator.boot();
    stage.equal(&operator).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_survives_kills_with_gtids() {
    backlog(MysqlOptions::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_survives_kills_without_gtids() {
    backlog(MysqlOptions { gtid: false, ..MysqlOptions::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_documents_are_all_refused_does_not_end_well() {
    let (mysql, elastic) = shared::both().await;
    let mut stage = Stage::new(mysql, elastic, "refused", Size::SMALL).await;
    let mappings = json!({"properties": {"status": {"type": "integer"}}});
    stage.set("sink.elasticsearch.create", json!({"mappings": mappings}));
    let mut operator = stage.start_with(&["--until-caught-up"]);
    assert_eq!(operator.exit(PATIENCE).await, Some(1), "{}", operator.log_tail(20));
    assert_eq!(stage.dead_letters().len(), 200);
    assert_eq!(stage.search.count(&stage.index).await, 0);
    let log = operator.log();
    assert!(log.contains("200 documents were refused"), "{}", operator.log_tail(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_come_and_go_around_keys() {
    let (mysql, elastic) = shared::both().await;
    let stage = Stage::new(mysql, elastic, "columns", Size::SMALL).await;
    let operator = stage.start();
    stage.equal(&operator).await;
    for change in [
        ["ALTER TABLE {db}.orders ADD COLUMN last_one INT", "UPDATE {db}.orders SET total = 1 WHERE id = 1"],
        [
            "ALTER TABLE {db}.order_items ADD COLUMN after_id BIGINT NOT NULL DEFAULT 3 AFTER id",
            "UPDATE {db}.order_items SET qty = 99 WHERE order_id = 2",
        ],
        [
            "ALTER TABLE {db}.order_items MODIFY COLUMN sku VARCHAR(32) NOT NULL FIRST",
            "UPDATE {db}.order_items SET qty = 98 WHERE order_id = 3",
        ],
        [
            "ALTER TABLE {db}.orders ADD COLUMN first_one BIGINT NOT NULL DEFAULT 9 FIRST",
            "DELETE FROM {db}.orders WHERE id = 4",
        ],
        ["ALTER TABLE {db}.orders DROP COLUMN first_one", "UPDATE {db}.orders SET total = 2 WHERE id = 5"],
        [
            "ALTER TABLE {db}.order_items DROP COLUMN after_id",
            "UPDATE {db}.order_items SET order_id = 6 WHERE order_id = 7",
        ],
        [
            "ALTER TABLE {db}.orders RENAME COLUMN note TO remark",
            "UPDATE {db}.orders SET total = 3 WHERE id = 8",
        ],
        [
            "ALTER TABLE {db}.users CONVERT TO CHARACTER SET latin1",
            "UPDATE {db}.users SET name = 'Zoë' WHERE id = 9",
        ],
    ] {
        stage.shop.run(&change).await;
    }
    stage.equal(&operator).await;
}

/// Online schema changes: a copy under another name is filled, and swapped in by RENAME.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_swapped_by_rename_and_partitions() {
    let (mysql, elastic) = shared::both().await;
    let stage = Stage::new(mysql, elastic, "swapped", Size::SMALL).await;
    let operator = stage.start();
    stage.equal(&operator).await;
    stage
        .shop
        .run(&[
            "CREATE TABLE {db}._orders_gho LIKE {db}.orders",
            "ALTER TABLE {db}._orders_gho ADD COLUMN extra BIGINT NOT NULL DEFAULT 1 FIRST",
            "INSERT INTO {db}._orders_gho (id, user_id, status, total, created_at, note)
               SELECT id, user_id, status, total, created_at, note FROM {db}.orders",
            "UPDATE {db}._orders_gho SET total = total + 5 WHERE id < 50",
            "RENAME TABLE {db}.orders TO {db}._orders_del, {db}._orders_gho TO {db}.orders",
            "UPDATE {db}.orders SET status = 'paid' WHERE id = 100",
            "UPDATE {db}._orders_del SET total = 1 WHERE id = 101",
            "DROP TABLE {db}._orders_del",
        ])
        .await;
    stage.equal(&operator).await;
    stage
        .shop
        .run(&[
            "ALTER TABLE {db}.orders PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (100), PARTITION b VALUES LESS THAN MAXVALUE)",
            "UPDATE {db}.orders SET total = 4 WHERE id IN (20, 150)",
            "ALTER TABLE {db}.orders TRUNCATE PARTITION a",
            "UPDATE {db}.orders SET total = 5 WHERE id = 151",
        ])
        .await;
    assert_eq!(stage.equal(&operator).await, 101);
    stage
        .shop
        .run(&["ALTER TABLE {db}.orders DROP PARTITION a", "UPDATE {db}.orders SET total = 6 WHERE id = 152"])
        .await;
    stage.equal(&operator).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_does_not_run_any_more_halts_and_resumes() {
    let (mysql, elastic) = shared::both().await;
    let stage = Stage::new(mysql, elastic, "renamed", Size::SMALL).await;
    let mut operator = stage.start();
    stage.equal(&operator).await;
    stage
        .shop
        .run(&[
            "ALTER TABLE {db}.orders RENAME COLUMN status TO state",
            "UPDATE {db}.orders SET total = 7 WHERE id < 20",
        ])
        .await;
    let status = wait_said(&operator, "Ready", "False").await;
    assert!(status.text.contains("status"), "the column is not named: {}", status.text);
    stage
        .shop
        .run(&[
            "DELETE FROM {db}.orders WHERE id = 30",
            "UPDATE {db}.users SET name = 'Meanwhile' WHERE id = 5",
        ])
        .await;
    operator.kill9();
    operator.boot();
    wait_said(&operator, "Ready", "False").await;
    stage
        .shop
        .run(&[
            "ALTER TABLE {db}.orders RENAME COLUMN state TO status",
            "UPDATE {db}.orders SET total = 8 WHERE id = 40",
        ])
        .await;
    stage.equal(&operator).await;
    operator.wait_ready(PATIENCE).await;
}

#[tokio::test]
async fn a_slow_query_is_waited_for() {
    let mysql = shared::mysql().await;
    let mut plan = Plan::on(mysql, "slow");
    plan.setup =
        statements(&["CREATE TABLE {db}.t (id INT PRIMARY KEY, v INT)", "INSERT INTO {db}.t VALUES (1, 1)"]);
    plan.sql = "SELECT t.id, t.v, SLEEP(6) AS slept FROM {db}.t t WHERE t.id IN (:ids)".to_owned();
    plan.check = "SELECT CAST(id AS CHAR), id, v, 0 AS slept FROM {db}.t".to_owned();
    plan.kinds = vec![Kind::Number; 3];
    plan.edit = |file, _| file.set("query.volatile", "Allow");
    let begun = Instant::now();
    let rig = Rig::start(plan).await;
    assert!(begun.elapsed() > Duration::from_secs(6));
    rig.run(&["UPDATE {db}.t SET v = 2", "INSERT INTO {db}.t VALUES (2, 2)"]).await;
    assert_eq!(rig.equal("two slow rows").await, 2);
    rig.no_gap().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_of_zero_and_below_and_a_range_without_end() {
    let (mysql, elastic) = shared::both().await;
    let mut stage = Stage::new(mysql, elastic, "zero", Size::SMALL).await;
    let rows = "(0, 1, 5, NOW(3)), (-7, 1, 5, NOW(3))";
    stage
        .shop
        .run(&[
            "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'".to_owned(),
            format!("INSERT INTO {{db}}.orders (id, user_id, total, created_at) VALUES {rows}"),
        ])
        .await;
    let mut operator = stage.start();
    assert_eq!(stage.equal(&operator).await, 202);
    assert_eq!(operator.terminate(PATIENCE).await, Some(0));
    let unlogged = ["SET sql_log_bin = 0", "UPDATE {db}.orders SET total = 123"];
    stage.shop.run(&unlogged).await;
    let file = stage.file.clone();
    stage.file = file
        .reindex("from-150", &json!({"range": {"min": 150}}))
        .reindex("up-to-1", &json!({"range": {"max": 1}}))
        .reindex("the-rest", &json!({"where": "o.id < 150 OR o.id = 999"}));
    stage.write();
    operator.boot();
    for name in ["from-150", "up-to-1", "the-rest"] {
        operator
            .wait_until(&format!("Reindex {name} complete"), PATIENCE, async || {
                let build = stage.build(name).unwrap_or_default();
                if build["phase"] == "Complete" { Ok(()) } else { Err(build.to_string()) }
            })
            .await;
    }
    assert_eq!(stage.equal(&operator).await, 202, "the last row, 0 and -7 too");
}

#[tokio::test]
async fn cascades_reach_the_documents() {
    let mysql = shared::mysql().await;
    let mut plan = Plan::on(mysql, "cascade");
    plan.setup = statements(&[
        "CREATE TABLE {db}.parent (id INT PRIMARY KEY)",
        "CREATE TABLE {db}.child (id INT PRIMARY KEY, parent_id INT, v INT, \
         FOREIGN KEY (parent_id) REFERENCES {db}.parent (id) ON DELETE CASCADE ON UPDATE CASCADE)",
        "INSERT INTO {db}.parent VALUES (1), (2), (3)",
        "INSERT INTO {db}.child VALUES (10, 1, 1), (11, 1, 2), (20, 2, 3), (30, 3, 4)",
    ]);
    plan.sql = "SELECT c.id, c.parent_id, c.v FROM {db}.child c WHERE c.id IN (:ids)".to_owned();
    plan.check = "SELECT CAST(id AS CHAR), id, parent_id, v FROM {db}.child".to_owned();
    plan.kinds = vec![Kind::Number; 3];
    let rig = Rig::start(plan).await;
    rig.run(&["DELETE FROM {db}.parent WHERE id = 1", "UPDATE {db}.parent SET id = 9 WHERE id = 3"]).await;
    assert_eq!(rig.equal("cascades").await, 2);
    rig.no_gap().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_go_take_their_documents_with_them() {
    let (mysql, elastic) = shared::both().await;
    let stage = Stage::new(mysql, elastic, "gone", Size::SMALL).await;
    let operator = stage.start();
    stage.equal(&operator).await;
    stage
        .shop
        .run(&[
            "START TRANSACTION",
            "UPDATE {db}.orders SET total = 1 WHERE id IN (1, 2)",
            "DELETE FROM {db}.orders WHERE id = 2",
            "COMMIT",
            "UPDATE {db}.orders SET id = 5000 WHERE id = 3",
        ])
        .await;
    assert_eq!(stage.equal(&operator).await, 199);
    for id in ["2", "3"] {
        assert!(stage.search.doc(&stage.index, id).await.is_none(), "{id}");
    }
}

#[tokio::test]
async fn documents_are_replaced_not_merged() {
    let mysql = shared::mysql().await;
    let mut plan = Plan::on(mysql, "replaced");
    plan.setup = statements(&[
        "CREATE TABLE {db}.t (id INT PRIMARY KEY, doc JSON)",
        r#"INSERT INTO {db}.t VALUES (1, '{"a": 1, "b": 9007199254740993}')"#,
    ]);
    plan.sql = "SELECT t.id, t.doc FROM {db}.t t WHERE t.id IN (:ids)".to_owned();
    plan.check = "SELECT CAST(id AS CHAR), id, doc FROM {db}.t".to_owned();
    plan.kinds = vec![Kind::Number, Kind::Json];
    let rig = Rig::start(plan).await;
    rig.run(&["UPDATE {db}.t SET doc = JSON_REMOVE(doc, '$.a')"]).await;
    rig.equal("a key that went").await;
    let doc = rig.search.doc(&rig.index, "1").await.unwrap();
    assert_eq!(doc.source.replace(' ', ""), r#"{"id":1,"doc":{"b":9007199254740993}}"#);
    let status = Status::of(&rig.operator).await.unwrap();
    assert!(status.ready, "{}", status.text);
}
