//! Main queries of other forms: several SELECTs, views, `*`, ids read alone, several rows, rows that are missing.

use super::rig::{Plan, Rig, statements};
use e2e::{Kind, TaskFile, shared};
use serde_json::json;

#[tokio::test]
async fn union_all_views_and_stars() {
    let mut plan = Plan::on(shared::mysql().await, "wholes");
    plan.setup = statements(&[
        "CREATE TABLE {db}.users (id INT PRIMARY KEY, name VARCHAR(20), secret INT INVISIBLE DEFAULT 7)",
        "CREATE TABLE {db}.orders (id INT PRIMARY KEY, user_id INT, total INT, KEY (user_id))",
        "CREATE TABLE {db}.archive (id INT PRIMARY KEY, user_id INT, total INT, KEY (user_id))",
        "CREATE TABLE {db}.lines (id INT PRIMARY KEY, order_id INT, qty INT, KEY (order_id))",
        "CREATE VIEW {db}.sums (oid, qty) AS SELECT order_id, SUM(qty) FROM {db}.lines GROUP BY order_id",
        "CREATE USER IF NOT EXISTS sync@'%' IDENTIFIED BY 'sync-pw'",
        "GRANT SHOW VIEW ON {db}.* TO sync@'%'",
        "INSERT INTO {db}.users (id, name) VALUES (1, 'Ada'), (2, 'Bob')",
        "INSERT INTO {db}.orders VALUES (1, 1, 10), (2, 2, 20), (3, 1, 30)",
        "INSERT INTO {db}.archive VALUES (11, 1, 11), (12, 2, 12)",
        "INSERT INTO {db}.lines VALUES (1, 1, 5), (2, 1, 6), (3, 2, 7), (4, 11, 8)",
    ]);
    let branch = |key: &str, table: &str, filter: &str| {
        format!(
            "SELECT {key}o.*, u.name, s.qty FROM {{db}}.{table} o LEFT JOIN {{db}}.users u ON u.id = o.user_id
               LEFT JOIN {{db}}.sums s ON s.oid = o.id WHERE {filter}"
        )
    };
    let both = |key: &str, filter: &str| {
        format!("{} UNION ALL {}", branch(key, "orders", filter), branch(key, "archive", filter))
    };
    plan.sql = both("", "o.id IN (:ids)");
    plan.check = both("CAST(o.id AS CHAR), ", "TRUE");
    let number = Kind::Number;
    plan.kinds = vec![number, number, number, Kind::Text, number];
    let rig = Rig::start(plan).await;
    for change in [
        "UPDATE {db}.users SET name = 'Ada L.' WHERE id = 1",
        "UPDATE {db}.lines SET qty = qty + 1 WHERE order_id IN (1, 11)",
        "UPDATE {db}.lines SET order_id = 12 WHERE id = 3",
        "DELETE FROM {db}.archive WHERE id = 11",
        "INSERT INTO {db}.archive SELECT * FROM {db}.orders WHERE id = 3",
        "DELETE FROM {db}.orders WHERE id = 3",
        "UPDATE {db}.orders SET id = 5 WHERE id = 2",
    ] {
        if change.starts_with("INSERT INTO {db}.archive") {
            // one id in both tables for a moment is one row too many: move it within a transaction
            let moved = "DELETE FROM {db}.orders WHERE id = 3";
            rig.run(&["BEGIN", change, moved, "COMMIT"]).await;
        } else {
            rig.run(&[change]).await;
        }
        rig.equal(change).await;
    }
    rig.no_gap().await;
    rig.run(&["CREATE OR REPLACE VIEW {db}.sums (oid, qty) AS SELECT order_id, SUM(qty) FROM {db}.lines WHERE qty < 7 GROUP BY order_id"]).await;
    rig.equal("another view of the same name").await;
    assert!(rig.metric_now("gaps_total").await > 0, "a view that changed is a gap");
}

const LATEST: &[&str] = &[
    "CREATE TABLE {db}.orders (id INT PRIMARY KEY, state VARCHAR(10))",
    "CREATE TABLE {db}.events (id INT PRIMARY KEY, order_id INT, what VARCHAR(20), KEY (order_id))",
    "INSERT INTO {db}.orders VALUES (1, 'open'), (2, 'open'), (3, 'closed')",
    "INSERT INTO {db}.events VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 2, 'c'), (4, 3, 'd')",
];

#[tokio::test]
async fn ids_that_are_read_alone() {
    let mut plan = Plan::on(shared::mysql().await, "alone");
    plan.setup = statements(LATEST);
    plan.sql = "SELECT o.id, o.state, e.what FROM {db}.orders o JOIN {db}.events e ON e.order_id = o.id
                 WHERE o.id IN (:ids) ORDER BY e.id DESC LIMIT 1"
        .into();
    plan.check = "SELECT CAST(o.id AS CHAR), o.id, o.state, e.what FROM {db}.orders o JOIN {db}.events e
        ON e.id = (SELECT MAX(x.id) FROM {db}.events x WHERE x.order_id = o.id)"
        .into();
    plan.kinds = vec![Kind::Number, Kind::Text, Kind::Text];
    plan.edit = |file, _| file.set("query.batch", "One");
    let rig = Rig::start(plan).await;
    for change in [
        "INSERT INTO {db}.events VALUES (9, 1, 'z'), (10, 2, 'y')",
        "DELETE FROM {db}.events WHERE id > 8",
        "DELETE FROM {db}.events WHERE order_id = 3",
    ] {
        rig.run(&[change]).await;
        rig.equal(change).await;
    }
    rig.no_gap().await;
}

#[tokio::test]
async fn several_rows_are_one_document_of_arrays() {
    let mut plan = Plan::on(shared::mysql().await, "several");
    plan.setup = statements(LATEST);
    plan.sql = "SELECT o.id, e.what FROM {db}.orders o JOIN {db}.events e ON e.order_id = o.id
                 WHERE o.id IN (:ids) ORDER BY e.id"
        .into();
    plan.check = "SELECT CAST(order_id AS CHAR), order_id AS id,
        CAST(CONCAT('[', GROUP_CONCAT(JSON_QUOTE(what) ORDER BY id), ']') AS JSON) AS what FROM {db}.events GROUP BY order_id".into();
    plan.kinds = vec![Kind::Number, Kind::Json];
    plan.edit = |file, _| file.set("query.rows", "Array");
    let rig = Rig::start(plan).await;
    let change = "INSERT INTO {db}.events VALUES (9, 1, 'z'), (10, 2, '\"')";
    rig.run(&[change]).await;
    rig.equal(change).await;
    rig.no_gap().await;
}

const FIRST: &str =
    "SELECT CAST(o.id AS CHAR), o.id, (SELECT e.what FROM {db}.events e WHERE e.order_id = o.id
    AND e.what <> 'skip' ORDER BY e.id LIMIT 1) AS what FROM {db}.orders o
    WHERE EXISTS (SELECT 1 FROM {db}.events e WHERE e.order_id = o.id AND e.what <> 'skip')";

/// A row that is skipped is no first one, and with `Upsert` a first row that is there already is still the first.
#[tokio::test]
async fn the_first_row_that_has_a_document() {
    for write in ["Index", "Upsert"] {
        let mut plan = Plan::on(shared::mysql().await, "first");
        plan.setup = statements(LATEST);
        plan.sql = "SELECT o.id, e.what FROM {db}.orders o JOIN {db}.events e ON e.order_id = o.id
                     WHERE o.id IN (:ids) ORDER BY e.id"
            .into();
        (plan.check, plan.kinds) = (FIRST.to_owned(), vec![Kind::Number, Kind::Text]);
        plan.edit = match write {
            "Index" => |file, _| first(file, "Index"),
            _ => |file, _| first(file, "Upsert"),
        };
        let rig = Rig::start(plan).await;
        for change in [
            "INSERT INTO {db}.events VALUES (0, 1, 'skip'), (9, 1, 'z')",
            "UPDATE {db}.events SET what = 'y' WHERE id = 9",
            "UPDATE {db}.events SET what = 'skip' WHERE id = 1",
            "UPDATE {db}.events SET what = 'skip' WHERE order_id = 2",
            "INSERT INTO {db}.events VALUES (11, 2, 'back'), (12, 2, 'more')",
        ] {
            rig.run(&[change]).await;
            rig.equal(&format!("{write}: {change}")).await;
        }
        rig.no_gap().await;
    }
}

fn first(file: TaskFile, write: &str) -> TaskFile {
    file.set("query.rows", "First")
        .set("transforms", json!([{"skipWhen": {"field": "what", "values": ["skip"]}}]))
        .set("sink.elasticsearch.write", write)
}

#[tokio::test]
async fn a_document_stays_while_its_row_does() {
    let mut plan = Plan::on(shared::mysql().await, "stays");
    plan.setup = statements(LATEST);
    plan.sql = "SELECT o.id, o.state FROM {db}.orders o WHERE o.id IN (:ids) AND o.state = 'open'".into();
    // what was open once, as it was then
    plan.check = "SELECT CAST(id AS CHAR), id, 'open' AS state FROM {db}.orders WHERE id <> 3".into();
    plan.kinds = vec![Kind::Number, Kind::Text];
    plan.edit = |file, _| file.set("onMissing", "Keep");
    let rig = Rig::start(plan).await;
    for change in [
        "UPDATE {db}.orders SET state = 'closed' WHERE id = 1",
        "DELETE FROM {db}.orders WHERE id = 2",
        "INSERT INTO {db}.orders VALUES (4, 'open')",
        "UPDATE {db}.orders SET state = 'gone' WHERE id = 4",
        "DELETE FROM {db}.orders WHERE id = 1",
    ] {
        rig.run(&[change]).await;
        rig.equal(change).await;
    }
    rig.no_gap().await;
}

/// Keys that differ in case only are one row; its children are found under each spelling.
#[tokio::test]
async fn children_of_text_keys() {
    let mut plan = Plan::on(shared::mysql().await, "spelled");
    plan.setup = statements(&[
        "CREATE TABLE {db}.books (code VARCHAR(10) PRIMARY KEY, title VARCHAR(20))",
        "CREATE TABLE {db}.loans (id INT PRIMARY KEY, code VARCHAR(10), who VARCHAR(10), KEY (code))",
        "INSERT INTO {db}.books VALUES ('Ab', 'one'), ('straße', 'two'), ('c', 'three')",
        "INSERT INTO {db}.loans VALUES (1, 'AB', 'x'), (2, 'ab', 'y'), (3, 'STRASSE', 'z'), (4, 'c', 'w')",
    ]);
    plan.sql = "SELECT b.code, b.title FROM {db}.books b WHERE b.code IN (:ids)".into();
    plan.check = "SELECT b.code, b.code AS code, b.title,
        COALESCE((SELECT CAST(CONCAT('[', GROUP_CONCAT(JSON_OBJECT('who', l.who) ORDER BY l.id), ']') AS JSON)
           FROM {db}.loans l WHERE l.code = b.code), JSON_ARRAY()) AS loans FROM {db}.books b"
        .into();
    plan.kinds = vec![Kind::Text, Kind::Text, Kind::Json];
    plan.edit = |file, db| {
        let sql = format!("SELECT * FROM {db}.loans WHERE code IN (:ids)");
        let child = json!({"field": "loans", "key": "code", "sql": sql, "orderBy": "id", "fields": ["who"]});
        file.set("query.key", "code").set("query.children", json!([child]))
    };
    let rig = Rig::start(plan).await;
    for change in [
        "UPDATE {db}.loans SET who = 'q' WHERE id IN (2, 3)",
        "INSERT INTO {db}.loans VALUES (5, 'aB', 'v'), (6, 'C', 'u')",
        "DELETE FROM {db}.loans WHERE id IN (1, 4)",
    ] {
        rig.run(&[change]).await;
        rig.equal(change).await;
    }
    rig.no_gap().await;
}
