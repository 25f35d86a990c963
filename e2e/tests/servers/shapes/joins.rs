//! Joins of many kinds over two schemas, all changed in the stream.

use super::rig::{Plan, Rig, run, statements};
use e2e::shop::grant_sync;
use e2e::{Kind, shared};

const SETUP: &[&str] = &[
    "CREATE TABLE {db}.orders (id BIGINT PRIMARY KEY, customer_id BIGINT, state VARCHAR(10), KEY (customer_id))",
    "CREATE TABLE joins_second.customers (customer_id BIGINT PRIMARY KEY, city_id BIGINT, name VARCHAR(30), KEY (city_id))",
    "CREATE TABLE {db}.cities (city_id BIGINT PRIMARY KEY, country_id INT, city VARCHAR(30), KEY (country_id))",
    "CREATE TABLE {db}.countries (country_id INT PRIMARY KEY, country VARCHAR(30))",
    "CREATE TABLE {db}.notes (order_id BIGINT PRIMARY KEY, body VARCHAR(30))",
    "CREATE TABLE {db}.order_tags (order_id BIGINT, tag_id INT, PRIMARY KEY (order_id, tag_id), KEY (tag_id))",
    "CREATE TABLE {db}.tags (id INT PRIMARY KEY, name VARCHAR(30), hidden TINYINT NOT NULL DEFAULT 0)",
    "INSERT INTO {db}.countries VALUES (1, 'AT'), (2, 'BE')",
    "INSERT INTO {db}.cities VALUES (1, 1, 'Wien'), (2, 1, 'Graz'), (3, 2, 'Gent')",
    "INSERT INTO joins_second.customers VALUES (1, 1, 'Ada'), (2, 2, 'Bob'), (3, 3, 'Cyd'), (4, NULL, 'Dan')",
    "INSERT INTO {db}.orders SELECT n, n % 5 + 1, IF(n % 4, 'open', 'closed') FROM
       (WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 60) SELECT n FROM r) s",
    "INSERT INTO {db}.notes SELECT id, CONCAT('note ', id) FROM {db}.orders WHERE id % 3 = 0",
    "INSERT INTO {db}.tags (id, name) VALUES (1, 'red'), (2, 'green'), (3, 'blue')",
    "INSERT INTO {db}.order_tags SELECT id, id % 3 + 1 FROM {db}.orders WHERE id % 2 = 0",
];

/// From columns to the filter.
const COLUMNS: &str = "o.state, c.name AS customer, ci.city, co.country, n.body AS note,
       (SELECT JSON_ARRAYAGG(t.name) FROM {db}.order_tags ot JOIN {db}.tags t ON t.id = ot.tag_id
         WHERE ot.order_id = o.id AND t.hidden = 0) AS tags,
       (SELECT COUNT(*) FROM {db}.order_tags x WHERE x.order_id = o.id) AS tag_count
  FROM {db}.orders o
  LEFT JOIN joins_second.customers c ON c.customer_id = o.customer_id
  LEFT JOIN {db}.cities ci USING (city_id)
  LEFT JOIN {db}.countries co USING (country_id)
  LEFT JOIN {db}.notes n ON n.order_id = o.id AND n.body <> 'hide'
 WHERE o.state = 'open'";

#[tokio::test]
async fn left_joins_using_and_lookups_over_several_tables() {
    let mysql = shared::mysql().await;
    let mut plan = Plan::on(mysql, "joins");
    run(&plan.opts, &["DROP DATABASE IF EXISTS joins_second", "CREATE DATABASE joins_second"], "").await;
    grant_sync(&plan.opts, "joins_second").await;
    plan.setup = statements(SETUP);
    plan.sql = format!("SELECT o.id, {COLUMNS} AND o.id IN (:ids)");
    plan.check = format!("SELECT CAST(o.id AS CHAR), o.id, {COLUMNS}");
    let text = Kind::Text;
    plan.kinds = vec![Kind::Number, text, text, text, text, text, Kind::Json, Kind::Number];
    let rig = Rig::start(plan).await;
    let steps: [(&str, &[&str]); 6] = [
        (
            "a country renamed: three hops",
            &["UPDATE {db}.countries SET country = 'Austria' WHERE country_id = 1"],
        ),
        ("a city moved to another country", &["UPDATE {db}.cities SET country_id = 2 WHERE city_id = 2"]),
        (
            "a customer moved",
            &["UPDATE joins_second.customers SET city_id = 3, name = 'Ada L.' WHERE customer_id = 1"],
        ),
        (
            "rows of the outer side come and go",
            &[
                "DELETE FROM joins_second.customers WHERE customer_id = 2",
                "INSERT INTO joins_second.customers VALUES (5, 2, 'Eve')",
                "DELETE FROM {db}.cities WHERE city_id = 3",
                "DELETE FROM {db}.notes WHERE order_id = 3",
                "INSERT INTO {db}.notes VALUES (1, 'new'), (2, 'hide')",
                "UPDATE {db}.notes SET body = 'shown' WHERE order_id = 2",
                "UPDATE {db}.notes SET order_id = 7 WHERE order_id = 6",
            ],
        ),
        (
            "rows behind a subquery's join",
            &[
                "UPDATE {db}.tags SET name = 'rouge' WHERE id = 1",
                "UPDATE {db}.tags SET hidden = 1 WHERE id = 2",
                "DELETE FROM {db}.order_tags WHERE order_id BETWEEN 10 AND 20",
                "UPDATE {db}.order_tags SET order_id = order_id + 1 WHERE order_id = 22",
                "INSERT INTO {db}.order_tags VALUES (1, 3), (5, 1)",
                "DELETE FROM {db}.tags WHERE id = 3",
            ],
        ),
        (
            "rows that enter and leave the filter",
            &[
                "UPDATE {db}.orders SET state = 'open' WHERE id = 4",
                "UPDATE {db}.orders SET state = 'closed' WHERE id IN (5, 6)",
                "UPDATE {db}.orders SET customer_id = NULL WHERE id = 9",
                "UPDATE {db}.orders SET id = 1000 WHERE id = 10",
                "DELETE FROM {db}.orders WHERE id = 11",
            ],
        ),
    ];
    for (what, changes) in steps {
        rig.run(changes).await;
        rig.equal(what).await;
    }
    rig.no_gap().await;
}
