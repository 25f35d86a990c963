//! Row images of every kind, chosen by single sessions; rows that are not logged as rows.

use super::rig::{Plan, Rig, statements};
use e2e::shared::{self, name};
use e2e::{Kind, MysqlOptions, MysqlServer, Shop, Size};
use mysql_async::prelude::Queryable;

async fn shop(prefix: &str) -> Rig {
    let mysql = shared::mysql().await;
    Rig::shop(mysql, &Shop::create(mysql.opts(), &name(prefix), Size::SMALL).await).await
}

#[tokio::test]
async fn images_without_blobs_and_without_what_did_not_change() {
    let rig = shop("images").await;
    let mut conn = rig.conn().await;
    rig.on(&mut conn, "SET SESSION binlog_row_image = NOBLOB").await;
    for statement in [
        "UPDATE {db}.orders SET total = 1.5 WHERE id < 20",
        "UPDATE {db}.order_items SET order_id = 30 WHERE order_id = 31",
        "DELETE FROM {db}.order_items WHERE order_id = 40",
    ] {
        rig.on(&mut conn, statement).await;
    }
    rig.equal("NOBLOB").await;
    rig.no_gap().await;
    // the main table's key is in every image
    rig.on(&mut conn, "SET SESSION binlog_row_image = MINIMAL").await;
    rig.on(&mut conn, "UPDATE {db}.orders SET total = 2.5 WHERE id BETWEEN 15 AND 25").await;
    rig.on(&mut conn, "INSERT INTO {db}.order_items (order_id, sku, qty) VALUES (50, 'thin', 1)").await;
    rig.on(&mut conn, "DELETE FROM {db}.orders WHERE id = 60").await;
    rig.equal("MINIMAL where the needed columns are there").await;
    rig.no_gap().await;
    // the child's foreign key is not
    rig.on(&mut conn, "UPDATE {db}.order_items SET qty = 77 WHERE order_id = 70").await;
    rig.on(&mut conn, "DELETE FROM {db}.order_items WHERE order_id = 71").await;
    rig.equal("MINIMAL where a needed column is not there").await;
    assert!(rig.metric_now("gaps_total").await >= 1, "{}", rig.operator.log_tail(40));
    let log = rig.operator.log();
    assert!(log.contains("order_items") && log.contains("order_id"), "the gap is not named: {log}");
}

#[tokio::test]
async fn json_columns_logged_as_differences() {
    let mysql = shared::mysql().await;
    let mut plan = Plan::on(mysql, "partial");
    plan.setup = statements(&[
        "CREATE TABLE {db}.t (id INT PRIMARY KEY, owner INT, doc JSON, KEY (owner))",
        "CREATE TABLE {db}.o (id INT PRIMARY KEY, name VARCHAR(20))",
        r#"INSERT INTO {db}.t VALUES (1, 1, '{"a": [1, 2, 3], "b": "long enough to be worth a difference"}')"#,
        r#"INSERT INTO {db}.t VALUES (2, 2, '{"a": [1, 2, 3], "b": "long enough to be worth a difference"}')"#,
        "INSERT INTO {db}.o VALUES (1, 'one'), (2, 'two')",
    ]);
    let select = "SELECT {key}t.id, t.doc, o.name FROM {db}.t t JOIN {db}.o o ON o.id = t.owner";
    plan.sql = select.replace("{key}", "") + " WHERE t.id IN (:ids)";
    plan.check = select.replace("{key}", "CAST(t.id AS CHAR), ");
    plan.kinds = vec![Kind::Number, Kind::Json, Kind::Text];
    let rig = Rig::start(plan).await;
    rig.run(&[
        "SET SESSION binlog_row_value_options = PARTIAL_JSON",
        "UPDATE {db}.t SET doc = JSON_SET(doc, '$.a[1]', 7) WHERE id = 1",
        "UPDATE {db}.t SET doc = JSON_REMOVE(doc, '$.b'), owner = 1 WHERE id = 2",
        "SET SESSION binlog_row_image = MINIMAL",
        "UPDATE {db}.t SET doc = JSON_SET(doc, '$.a[0]', 8)",
    ])
    .await;
    rig.equal("differences of JSON").await;
    rig.no_gap().await;
}

/// Whatever a session of format STATEMENT changes is a gap: triggers may have changed any table.
#[tokio::test]
async fn statements_logged_as_text_are_a_gap() {
    // a server of its own: every task that follows the shared one would see this
    let mysql = MysqlServer::start(MysqlOptions::default()).await;
    let rig = Rig::shop(&mysql, &Shop::create(mysql.opts(), &name("text"), Size::SMALL).await).await;
    rig.run(&["SET SESSION binlog_format = STATEMENT", "UPDATE {db}.orders SET total = 9.5 WHERE id < 10"])
        .await;
    rig.equal("a statement as text").await;
    assert_eq!(rig.metric_now("gaps_total").await, 1, "{}", rig.operator.log_tail(40));
    let log = rig.operator.log();
    assert!(log.contains("logged as text"), "{log}");
}

#[tokio::test]
async fn rows_that_come_by_load_data_and_by_select() {
    let mysql = shared::mysql().await;
    mysql.run(&["SET GLOBAL local_infile = ON"]).await;
    let rig = shop("loaded").await;
    let mut conn = rig.conn().await;
    conn.set_infile_handler(async {
        let rows = "150\tloaded-a\t7\n151\tloaded-b\t8\n";
        let stream = futures_util::stream::once(async move { Ok(rows.as_bytes().into()) });
        Ok(Box::pin(stream) as mysql_async::InfileData)
    });
    rig.on(&mut conn, "LOAD DATA LOCAL INFILE 'items' INTO TABLE {db}.order_items (order_id, sku, qty)")
        .await;
    rig.equal("LOAD DATA").await;
    rig.run(&[
        "CREATE TABLE {db}.more AS SELECT * FROM {db}.order_items WHERE order_id = 5",
        "INSERT INTO {db}.order_items (order_id, sku, qty) SELECT 6, sku, qty FROM {db}.more",
        "DROP TABLE {db}.more",
    ])
    .await;
    rig.equal("CREATE TABLE ... SELECT and INSERT ... SELECT").await;
    let found: Option<u64> = conn
        .query_first(format!("SELECT COUNT(*) FROM {}.order_items WHERE sku LIKE 'loaded%'", rig.db))
        .await
        .unwrap();
    assert_eq!(found, Some(2));
    rig.no_gap().await;
}

#[tokio::test]
async fn tables_without_transactions_and_several_sources_of_gtids() {
    let mysql = shared::mysql().await;
    let mut plan = Plan::on(mysql, "myisam");
    plan.setup = statements(&[
        "CREATE TABLE {db}.t (id INT PRIMARY KEY, v INT)",
        "CREATE TABLE {db}.m (id INT PRIMARY KEY, t_id INT, v INT, KEY (t_id)) ENGINE = MyISAM",
        "INSERT INTO {db}.t VALUES (1, 1), (2, 2), (3, 3)",
        "INSERT INTO {db}.m VALUES (1, 1, 10), (2, 2, 20)",
    ]);
    let select = "SELECT {key}t.id, t.v, m.v AS w FROM {db}.t t LEFT JOIN {db}.m m ON m.t_id = t.id";
    plan.sql = select.replace("{key}", "") + " WHERE t.id IN (:ids)";
    plan.check = select.replace("{key}", "CAST(t.id AS CHAR), ");
    plan.kinds = vec![Kind::Number; 3];
    let rig = Rig::start(plan).await;
    rig.run(&["UPDATE {db}.m SET v = 11 WHERE id = 1", "INSERT INTO {db}.m VALUES (3, 3, 30)"]).await;
    for source in 1..4 {
        rig.run(&[
            format!("SET gtid_next = '0000000{source}-0000-4000-8000-00000000000{source}:7'"),
            format!("UPDATE {{db}}.t SET v = v + {source}"),
            "SET gtid_next = 'AUTOMATIC'".to_owned(),
        ])
        .await;
    }
    rig.equal("MyISAM and foreign GTIDs").await;
    rig.no_gap().await;
}
