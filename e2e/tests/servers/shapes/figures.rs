//! What changes cost, counted at the server: executions of prepared statements, which only reads and lookups are.

use super::rig::{Plan, Rig, statements};
use e2e::{Kind, MysqlOptions, MysqlServer};
use mysql_async::prelude::Queryable;
use serde_json::json;

const SETUP: &[&str] = &[
    "CREATE TABLE {db}.orders (id INT PRIMARY KEY, customer_id INT, KEY (customer_id))",
    "CREATE TABLE {db}.customers (id INT PRIMARY KEY, name VARCHAR(20), seen INT)",
    "CREATE TABLE {db}.items (id INT PRIMARY KEY, order_id INT, qty INT, place INT, KEY (order_id))",
    "INSERT INTO {db}.customers WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 1000) SELECT n, 'c', 0 FROM r",
    "INSERT INTO {db}.orders SELECT id, id FROM {db}.customers",
    // the first thousand belong to one order, the second to as many
    "INSERT INTO {db}.items SELECT id, 1, 1, 1 FROM {db}.customers",
    "INSERT INTO {db}.items SELECT id + 1000, id, 1, 1 FROM {db}.customers",
];

async fn executed(rig: &Rig) -> u64 {
    let mut conn = rig.conn().await;
    let row: Option<(String, String)> =
        conn.query_first("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'").await.unwrap();
    row.unwrap().1.parse().unwrap()
}

/// Executions that a change costs, once all of it is in the index.
async fn cost(rig: &Rig, change: &str) -> u64 {
    let before = executed(rig).await;
    rig.run(&[change]).await;
    rig.equal(change).await;
    rig.metric_now("reads_total").await; // all that was committed is done
    executed(rig).await - before
}

#[tokio::test]
async fn changes_cost_few_queries() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    let mut plan = Plan::on(&server, "figures");
    plan.setup = statements(SETUP);
    let select = |key: &str, filter: &str| {
        format!(
            "SELECT {key}o.id, c.name, (SELECT SUM(i.qty) FROM {{db}}.items i WHERE i.order_id = o.id) AS qty
               FROM {{db}}.orders o JOIN {{db}}.customers c ON c.id = o.customer_id WHERE {filter}"
        )
    };
    plan.sql = select("", "o.id IN (:ids)");
    plan.check = select("CAST(o.id AS CHAR), ", "TRUE");
    plan.kinds = vec![Kind::Number, Kind::Text, Kind::Number];
    plan.edit = |file, _| file.set("limits", json!({"lanes": 1, "linger": "200ms"}));
    let rig = Rig::start(plan).await;
    let pruned = cost(&rig, "UPDATE {db}.items SET place = place + 1").await;
    let unread = cost(&rig, "UPDATE {db}.customers SET seen = seen + 1").await;
    let one = cost(&rig, "UPDATE {db}.items SET qty = qty + 1 WHERE id <= 1000").await;
    let many = cost(&rig, "UPDATE {db}.items SET qty = qty + 1 WHERE id > 1000").await;
    let looked_up = cost(&rig, "UPDATE {db}.customers SET name = 'd'").await;
    println!(
        "executions: pruned {pruned}, unread {unread}, 1,000 rows of one order {one}, of 1,000 orders {many}, 1,000 customers {looked_up}"
    );
    assert_eq!((pruned, unread), (0, 0), "an UPDATE of columns that nobody reads");
    assert!((1..=3).contains(&one) && (1..=3).contains(&many), "{one} {many}");
    // one lookup of a thousand values in pages of a thousand, and the reads
    assert!((2..=6).contains(&looked_up), "{looked_up}");
    rig.no_gap().await;
}
