//! Sharded books with their loans as nested arrays: variables, logical names, lookups and children together.

use super::rig::{Plan, Rig, statements};
use e2e::{Kind, shared};
use serde_json::json;

const SHARDS: u32 = 8;

/// For each shard; `NN` is its number.
const SHARD: &[&str] = &[
    "CREATE TABLE {db}.book_NN (id BIGINT PRIMARY KEY, title VARCHAR(40), author_id INT, KEY (author_id))",
    "CREATE TABLE {db}.book_ext_NN (id BIGINT PRIMARY KEY AUTO_INCREMENT, book_id BIGINT, meta JSON, KEY (book_id))",
    "INSERT INTO {db}.book_NN SELECT id, CONCAT('book ', id), id % 3 + 1 FROM {db}.ids WHERE CRC32(id) % 8 = NN + 0",
    "INSERT INTO {db}.book_ext_NN (book_id, meta) SELECT id, JSON_OBJECT('n', id) FROM {db}.ids
      WHERE CRC32(id) % 8 = NN + 0 AND id % 2 = 0",
];

const REST: &[&str] = &[
    "CREATE TABLE {db}.authors (id INT PRIMARY KEY, name VARCHAR(30), born INT)",
    "CREATE TABLE {db}.loans (id BIGINT PRIMARY KEY AUTO_INCREMENT, book_id BIGINT, reader_id INT, due DATE, KEY (book_id), KEY (reader_id))",
    "CREATE TABLE {db}.readers (id INT PRIMARY KEY, name VARCHAR(30), mail VARCHAR(30))",
    "CREATE TABLE {db}.audit (id INT PRIMARY KEY, book_id BIGINT)",
    "INSERT INTO {db}.authors VALUES (1, 'Ada', 1815), (2, 'Bob', 1900), (3, 'Cyd', 1950)",
    "INSERT INTO {db}.readers VALUES (1, 'Rita', 'r@x'), (2, 'Sam', 's@x'), (3, 'Tom', 't@x')",
    "INSERT INTO {db}.loans (book_id, reader_id, due) SELECT id, id % 3 + 1, DATE_ADD('2026-01-01', INTERVAL id % 9 DAY) FROM {db}.ids WHERE id % 3 > 0",
    "INSERT INTO {db}.loans (book_id, reader_id, due) SELECT id, id % 2 + 1, DATE_ADD('2026-01-01', INTERVAL id % 5 DAY) FROM {db}.ids WHERE id % 5 = 0",
];

const QUERY: &str = "SELECT b.id, b.title, e.meta, a.name AS author FROM {db}.book_{{shard}} b
   LEFT JOIN {db}.book_ext_{{Shard}} e ON e.book_id = b.id
   LEFT JOIN {db}.authors a ON a.id = b.author_id
  WHERE b.id IN (:auto_ids)";

fn setup() -> Vec<String> {
    let mut all = statements(&[
        "CREATE TABLE {db}.ids (id BIGINT PRIMARY KEY)",
        "INSERT INTO {db}.ids WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 300) SELECT n FROM r",
        "INSERT INTO {db}.ids VALUES (258652761531355136), (258652848596717568)",
    ]);
    for shard in 0..SHARDS {
        all.extend(SHARD.iter().map(|text| text.replace("NN", &format!("{shard:02}"))));
    }
    all.extend(statements(REST));
    all
}

/// The same for all rows: every shard, loans as an array.
fn check() -> String {
    let each = (0..SHARDS).map(|shard| {
        format!(
            "SELECT CAST(b.id AS CHAR), b.id, b.title, e.meta, a.name AS author,
              COALESCE((SELECT CAST(CONCAT('[', GROUP_CONCAT(JSON_OBJECT('due', l.due, 'name', r.name) ORDER BY l.due, l.id), ']') AS JSON)
                FROM {{db}}.loans l JOIN {{db}}.readers r ON r.id = l.reader_id WHERE l.book_id = b.id), JSON_ARRAY()) AS loans
             FROM {{db}}.book_{shard:02} b LEFT JOIN {{db}}.book_ext_{shard:02} e ON e.book_id = b.id
             LEFT JOIN {{db}}.authors a ON a.id = b.author_id"
        )
    });
    each.collect::<Vec<_>>().join(" UNION ALL ")
}

async fn books() -> Rig {
    let mut plan = Plan::on(shared::mysql().await, "lib");
    (plan.setup, plan.sql, plan.check) = (setup(), QUERY.to_owned(), check());
    plan.kinds = vec![Kind::Number, Kind::Text, Kind::Json, Kind::Text, Kind::Json];
    plan.edit = |file, db| {
        let loans = "SELECT l.book_id, l.due, r.name FROM {db}.loans l JOIN {db}.readers r ON r.id = l.reader_id \
             WHERE l.book_id IN (:ids) ORDER BY l.due, l.id";
        let found = "SELECT l.book_id FROM {db}.loans l WHERE l.reader_id IN (:keys)";
        let lookup =
            json!({"sql": found.replace("{db}", db), "key": "id", "pageSize": 7, "orderKey": "book_id"});
        file.set("query.table", format!("{db}.book"))
            .set("query.children", json!([{"field": "loans", "key": "book_id", "sql": loans.replace("{db}", db)}]))
            .set(
                "mapping",
                json!({
                    "sharding": {"variable": "shard", "strategy": "crc32_ieee_uint32", "shards": SHARDS, "suffixWidth": 2},
                    "rewrite": [{"match": "^(book|book_ext)_[0-9]{2}$", "table": "$1"}],
                    "tables": [
                        {"table": format!("{db}.book_ext"), "column": "book_id"},
                        {"table": format!("{db}.readers"), "lookup": lookup},
                        {"table": format!("{db}.audit"), "ignore": true},
                    ],
                }),
            )
            .set("onMissing", "Delete")
            .set("limits.linger", "20ms")
    };
    Rig::start(plan).await
}

#[tokio::test]
async fn sharded_books_with_loans() {
    let rig = books().await;
    let steps: [(&str, &[&str]); 6] = [
        (
            "rows of shards",
            &[
                "UPDATE {db}.book_00 SET title = CONCAT(title, '!')",
                "UPDATE {db}.book_ext_03 SET meta = JSON_OBJECT('changed', book_id)",
                "DELETE FROM {db}.book_ext_05",
                "DELETE FROM {db}.book_02 WHERE id % 2 = 0",
                "INSERT INTO {db}.book_02 SELECT id, 'again', 1 FROM {db}.ids WHERE CRC32(id) % 8 = 2 AND id % 4 = 0",
            ],
        ),
        ("a lookup over all shards", &["UPDATE {db}.authors SET name = 'Ada L.' WHERE id = 1"]),
        (
            "children come, go and move",
            &[
                "INSERT INTO {db}.loans (book_id, reader_id, due) VALUES (3, 1, '2025-01-01'), (3, 2, NULL)",
                "UPDATE {db}.loans SET book_id = 6 WHERE book_id = 1",
                "DELETE FROM {db}.loans WHERE book_id BETWEEN 20 AND 40",
                "UPDATE {db}.loans SET due = '2027-01-01' WHERE book_id IN (5, 258652848596717568)",
            ],
        ),
        ("a lookup of many pages", &["UPDATE {db}.readers SET name = 'Rita R.' WHERE id = 1"]),
        (
            "what nobody reads",
            &["INSERT INTO {db}.audit VALUES (1, 5)", "UPDATE {db}.readers SET mail = 'new' WHERE id = 2"],
        ),
        ("a reader who is gone", &["DELETE FROM {db}.readers WHERE id = 3"]),
    ];
    for (what, changes) in steps {
        rig.run(changes).await;
        rig.equal(what).await;
    }
    rig.no_gap().await;
    let before = rig.metric_now("lookups_total").await;
    rig.run(&["ALTER TABLE {db}.book_04 ADD COLUMN spare INT FIRST", "UPDATE {db}.book_04 SET title = 'x'"])
        .await;
    rig.equal("a column that one shard has more").await;
    rig.no_gap().await;
    assert_eq!(rig.metric_now("lookups_total").await, before, "direct rules look nothing up");
    for counted in ["source_bytes", "transactions", "rows", "rows_pruned", "reads", "checkpoint_saves"] {
        assert!(rig.metric(&format!("{counted}_total")).await > 0, "{counted}");
    }
}

/// Unsharded orders whose items are in shards; products lead to orders over all of them.
#[tokio::test]
async fn sharded_children_under_an_unsharded_main() {
    let mut plan = Plan::on(shared::mysql().await, "under");
    plan.setup = statements(&[
        "CREATE TABLE {db}.orders (id INT PRIMARY KEY, note VARCHAR(20))",
        "CREATE TABLE {db}.products (id INT PRIMARY KEY, name VARCHAR(20))",
        "CREATE TABLE {db}.i_0 (id INT PRIMARY KEY, order_id INT, product_id INT, KEY (order_id), KEY (product_id))",
        "CREATE TABLE {db}.i_1 LIKE {db}.i_0",
        "CREATE TABLE {db}.i_2 LIKE {db}.i_0",
        "INSERT INTO {db}.orders WITH RECURSIVE r (n) AS (SELECT -5 UNION ALL SELECT n + 1 FROM r WHERE n < 50) SELECT n, CONCAT('o', n) FROM r",
        "INSERT INTO {db}.products VALUES (1, 'one'), (2, 'two')",
        "INSERT INTO {db}.i_0 SELECT id + 100, id, 1 FROM {db}.orders WHERE ABS(id) % 3 = 0",
        "INSERT INTO {db}.i_1 SELECT id + 100, id, 2 FROM {db}.orders WHERE ABS(id) % 3 = 1",
        "INSERT INTO {db}.i_2 SELECT id + 100, id, 1 FROM {db}.orders WHERE ABS(id) % 3 = 2 AND id > 9",
    ]);
    let select = |key: &str, table: &str, filter: &str| {
        format!(
            "SELECT {key}o.id, o.note, p.name FROM {{db}}.orders o LEFT JOIN {{db}}.{table} i ON i.order_id = o.id
               LEFT JOIN {{db}}.products p ON p.id = i.product_id WHERE {filter}"
        )
    };
    plan.sql = select("", "i_{{n}}", "o.id IN (:ids)");
    let each = |n: u32| select("CAST(o.id AS CHAR), ", &format!("i_{n}"), &format!("ABS(o.id) % 3 = {n}"));
    plan.check = (0..3).map(each).collect::<Vec<_>>().join(" UNION ALL ");
    plan.kinds = vec![Kind::Number, Kind::Text, Kind::Text];
    plan.edit = |file, _| {
        file.set(
            "mapping.sharding",
            json!([{"variable": "N", "strategy": "mod", "shards": 3, "suffixWidth": 1}]),
        )
    };
    let rig = Rig::start(plan).await;
    for change in [
        "UPDATE {db}.products SET name = 'uno' WHERE id = 1",
        "UPDATE {db}.i_1 SET product_id = 1 WHERE order_id < 20",
        "DELETE FROM {db}.i_0 WHERE order_id < 10",
        // in a shard where nobody looks for it
        "INSERT INTO {db}.i_0 VALUES (1, 1, 2)",
        "DELETE FROM {db}.orders WHERE id < 0",
    ] {
        rig.run(&[change]).await;
        rig.equal(change).await;
    }
    rig.no_gap().await;
}
