//! Which changes come out, and what statistics count.

use std::path::PathBuf;

use e2e::{MysqlOptions, MysqlServer, Scratch};
use serde_json::{Value, json};

use super::rig::trace;

const STREAM: &[&str] = &[
    "CREATE DATABASE shop",
    "CREATE DATABASE other",
    "CREATE TABLE shop.orders (id INT PRIMARY KEY, state VARCHAR(10), total DECIMAL(10,2))",
    "CREATE TABLE shop.users (id INT PRIMARY KEY, name VARCHAR(10))",
    "CREATE TABLE other.orders LIKE shop.orders",
    "INSERT INTO shop.orders VALUES (1, 'new', 10.50), (2, 'new', 20), (3, 'it''s', 30)",
    "INSERT INTO shop.users VALUES (1, 'ann')",
    "INSERT INTO other.orders VALUES (1, 'new', 1)",
    "UPDATE shop.orders SET state = 'paid' WHERE id = 1",
    "UPDATE shop.orders SET total = 21 WHERE id = 2",
    "DELETE FROM shop.orders WHERE id = 3",
    "BEGIN",
    "UPDATE shop.users SET name = 'bob'",
    "UPDATE shop.orders SET state = 'done'",
    "COMMIT",
];

async fn ground() -> (MysqlServer, Scratch, PathBuf) {
    let server = MysqlServer::start(MysqlOptions::default().flag("--binlog-row-metadata=FULL")).await;
    server.run(STREAM).await;
    let binlog = server.binlogs().await.pop().unwrap();
    server.flush_logs().await;
    (server, Scratch::new("trace-selection"), binlog)
}

/// The statements on rows, short: verb, table, rest from WHERE or VALUES.
fn rows(args: &[&str], binlog: &str) -> Vec<String> {
    let ran = trace(&[&["sql"], args, &[binlog]].concat());
    let out = ran.ok();
    out.lines()
        .filter(|l| ["INSERT", "UPDATE", "DELETE"].iter().any(|v| l.starts_with(v)))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn every_flag_selects() {
    let (server, _scratch, binlog) = ground().await;
    let binlog = binlog.to_str().unwrap();
    let count = |args: &[&str]| rows(args, binlog).len();
    assert_eq!(count(&[]), 11);
    assert_eq!(count(&["--database", "shop"]), 10);
    assert_eq!(count(&["--table", "shop.orders"]), 8);
    assert_eq!(count(&["--table", "*.orders"]), 9);
    assert_eq!(count(&["--table", "shop.users", "--table", "other.*"]), 3);
    assert_eq!(count(&["--exclude-table", "shop.orders"]), 3);
    assert_eq!(count(&["--table-regex", r"^shop\.(u|x)"]), 2);
    assert_eq!(count(&["--event", "insert"]), 5);
    assert_eq!(count(&["--event", "update,delete"]), 6);
    assert_eq!(count(&["--event", "ddl"]), 0);
    assert_eq!(count(&["--changed-column", "shop.orders.state"]), 3);
    assert_eq!(count(&["--changed-column", "total"]), 1);
    assert_eq!(count(&["--where", "shop.orders.id = 2"]), 3);
    assert_eq!(count(&["--where", "shop.orders.state = 'it''s'"]), 2);
    assert_eq!(count(&["--where", "shop.orders.total >= 20.5 AND shop.orders.id < 3"]), 2);
    assert_eq!(count(&["--where", "shop.orders.id = 3", "--where", "shop.users.id = 1"]), 4);
    assert_eq!(count(&["--min-transaction-rows", "3"]), 6);
    assert_eq!(count(&["--server-id", "1"]), 11);
    assert_eq!(count(&["--server-id", "2"]), 0);
    let thread = first_thread(binlog);
    assert_eq!(count(&["--thread-id", &thread]), 11);
    assert_eq!(count(&["--thread-id", "999999"]), 0);
    assert_eq!(count(&["--start-time", "2020-01-01 00:00:00", "--stop-time", "2099-01-01 00:00:00"]), 11);
    assert_eq!(count(&["--stop-time", "2020-01-01 00:00:00"]), 0);
    assert_eq!(count(&["--start-time", "2099-01-01T00:00:00+02:00"]), 0);
    let (_, _, gtids) = server.position().await;
    let uuid = gtids.split(':').next().unwrap();
    assert_eq!(count(&["--include-gtids", &format!("{uuid}:6-7")]), 4);
    assert_eq!(count(&["--exclude-gtids", &format!("{uuid}:6")]), 8);
    let starts: Vec<u64> = transactions(binlog);
    assert_eq!(count(&["--start-position", &starts[8].to_string()]), 6);
    assert_eq!(count(&["--stop-position", &starts[8].to_string()]), 5);
    let follow = rows(&["--where", "shop.orders.id = 1"], binlog);
    assert_eq!(
        follow,
        [
            "INSERT INTO `shop`.`orders` (`id`,`state`,`total`) VALUES (1,'new',10.50);",
            "UPDATE `shop`.`orders` SET `state`='paid' WHERE `id`=1 LIMIT 1;",
            "UPDATE `shop`.`orders` SET `state`='done' WHERE `id`=1 LIMIT 1;"
        ]
    );
    let exact =
        trace(&["rollback", "--exact", "--with-original", "--where", "shop.orders.id = 2", binlog]).ok();
    assert_eq!(exact.matches(" x 1\n").count(), 3, "{exact}");
}

fn lines(args: &[&str], binlog: &str) -> Vec<Value> {
    let out = trace(&[args, &[binlog]].concat()).ok();
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn transactions(binlog: &str) -> Vec<u64> {
    let events = lines(&["events"], binlog);
    events.iter().filter(|e| e["type"] == "GTID").map(|e| e["start"].as_u64().unwrap()).collect()
}

fn first_thread(binlog: &str) -> String {
    let events = lines(&["events"], binlog);
    events.iter().find_map(|e| e["threadId"].as_u64()).unwrap().to_string()
}

#[tokio::test]
async fn flags_that_make_no_sense_are_refused() {
    for (args, expected) in [
        (&["--table", "orders"][..], "write DB.TABLE"),
        (&["--where", "id = 4"], "--where"),
        (&["--start-time", "noon"], "--start-time"),
        (&["--time-zone", "Mars"], "--time-zone"),
        (&["--include-gtids", "x"], "--include-gtids"),
        (
            &["--start-time", "2026-01-02 00:00:00", "--stop-time", "2026-01-01 00:00:00"],
            "nothing is selected",
        ),
        (&["--table-regex", "("], "--table-regex"),
    ] {
        let ran = trace(&[&["sql"], args, &["/dev/null"]].concat());
        assert!(ran.code == 1 && ran.err.contains(expected), "{args:?}: {}", ran.err);
    }
}

#[tokio::test]
async fn records_events_and_statistics() {
    let (_server, scratch, binlog) = ground().await;
    let binlog = binlog.to_str().unwrap();
    let json = lines(&["sql", "--format", "json", "--table", "shop.orders", "--event", "update"], binlog);
    assert_eq!(json.len(), 4);
    assert_eq!((&json[0]["before"]["state"], &json[0]["after"]["state"]), (&"new".into(), &"paid".into()));
    assert_eq!((&json[0]["database"], &json[0]["event"]), (&"shop".into(), &"update".into()));
    assert!(json[0]["time"].as_str().unwrap().ends_with('Z') && json[0]["threadId"].is_u64());
    let csv = trace(&["sql", "--format", "csv", "--table", "shop.orders", binlog]).ok();
    assert_eq!(csv.lines().count(), 1 + 8 + 1, "{csv}");
    assert!(csv.contains(r#""{""id"":1,""state"":""new"",""total"":""10.50""}""#), "{csv}");

    let events = lines(&["events"], binlog);
    let types: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(types[0], "FORMAT_DESCRIPTION");
    assert_eq!(types.iter().filter(|t| **t == "XID").count(), 7);
    let rows: u64 = events.iter().filter_map(|e| e["rows"].as_u64()).sum();
    assert_eq!(rows, 11);
    assert!(events.windows(2).all(|w| w[0]["end"] == w[1]["start"]), "events follow each other");

    let out = scratch.path().join("stats.json");
    let ran = trace(&["stats", "--format", "json", "--out", out.to_str().unwrap(), binlog]);
    assert!(ran.code == 0 && ran.err.contains("11 rows"), "{}", ran.err);
    let stats: Value = serde_json::from_str(&std::fs::read_to_string(out).unwrap()).unwrap();
    let total = &stats["total"];
    assert_eq!((&total["inserted"], &total["updated"], &total["deleted"]), (&5.into(), &5.into(), &1.into()));
    assert_eq!((&total["transactions"], &stats["statements"]), (&12.into(), &5.into()));
    let orders = stats["tables"]
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["database"] == "shop" && t["table"] == "orders")
        .unwrap();
    assert_eq!(
        (&orders["inserted"], &orders["updated"], &orders["transactions"]),
        (&3.into(), &4.into(), &5.into())
    );
    assert_eq!(stats["hotRows"][0]["changes"], 3);
    assert_eq!(stats["mostRows"][0]["rows"], 3);
    let page = trace(&["stats", "--format", "html", binlog]).ok();
    assert!(
        page.starts_with("<!doctype html>")
            && page.contains("shop.orders")
            && page.matches("<svg").count() == 2
    );
    assert!(!page.contains("http") && !page.contains("<script"), "the page needs nothing else");
    let text = trace(&["stats", binlog]).ok();
    for expected in [
        "12 transactions",
        "11 rows",
        "by table",
        "shop.orders",
        "rows that changed most often",
        "by connection",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

/// ENUM and SET are numbers in row images; their labels come from the schema, or from FULL metadata.
#[tokio::test]
async fn labels_are_shown_and_asked_for() {
    for full_metadata in [false, true] {
        let server = MysqlServer::start(MysqlOptions { full_metadata, ..MysqlOptions::default() }).await;
        server
            .run(&[
                "CREATE DATABASE d",
                "CREATE TABLE d.l (id INT PRIMARY KEY, e ENUM('new', 'it''s'), s SET('a', 'b', 'c'))",
                "INSERT INTO d.l VALUES (1, 'it''s', 'a,c'), (2, 'new', ''), (3, 'new', 'b')",
            ])
            .await;
        let binlogs = server.binlogs().await;
        let binlog = binlogs.last().unwrap().to_str().unwrap();
        let flags = ["sql", "--format", "json", "--event", "insert", "--where"];
        let found = |condition: &str| lines(&[&flags[..], &[condition]].concat(), binlog);
        for condition in ["d.l.e = 'it''s'", "d.l.e = 2", "d.l.s = 'a,c'", "d.l.s = 5"] {
            let rows = found(condition);
            assert_eq!(rows.len(), 1, "{condition}");
            assert_eq!(rows[0]["after"], json!({"id": 1, "e": "it's", "s": "a,c"}), "{condition}");
        }
        assert_eq!(found("d.l.s = ''")[0]["after"]["id"], 2);
    }
}
