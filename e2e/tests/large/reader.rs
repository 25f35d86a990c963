//! Reads from a replica that lags, a small pool of connections, `explain --mapping`.

use e2e::operator::command;
use e2e::stage::PATIENCE;
use e2e::{MysqlOptions, MysqlServer, Size, Stage, shared, wait_condition, wait_said, wait_until};
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};

/// A replica that applies every transaction two seconds late.
async fn replica_of(source: &MysqlServer) -> MysqlServer {
    let replica = MysqlServer::start(MysqlOptions::default().flag("--server-id=2")).await;
    replica.replicate(source, ", SOURCE_DELAY = 2").await;
    replica
}

async fn reads(server: &MysqlServer) -> u64 {
    let sql = "SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'";
    let row: Option<(String, u64)> = server.conn().await.query_first(sql).await.unwrap();
    row.unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lags_is_read_and_never_gives_old_documents() {
    let (source, elastic) = tokio::join!(MysqlServer::start(MysqlOptions::default()), shared::elastic());
    let replica = replica_of(&source).await;
    let mut stage = Stage::new(&source, elastic, "reader", Size::SMALL).await;
    stage.set("source.reader", json!({"host": "127.0.0.1", "port": replica.port()}));
    let before = reads(&source).await;
    let operator = stage.start();
    assert_eq!(stage.equal(&operator).await, 200);
    for round in 0..3 {
        let changes = [
            format!("UPDATE {{db}}.orders SET total = {round}.25 WHERE id < 100"),
            format!("UPDATE {{db}}.users SET name = 'Round {round}' WHERE id < 10"),
            format!("DELETE FROM {{db}}.orders WHERE id = {}", 150 + round),
        ];
        stage.shop.run(&changes).await;
        stage.equal(&operator).await;
    }
    let driver = stage.shop.drive(81, 50);
    wait_until("300 transactions", PATIENCE, async || {
        if driver.done() >= 300 { Ok(()) } else { Err(driver.done().to_string()) }
    })
    .await;
    driver.stop().await;
    stage.equal(&operator).await;
    assert_eq!(reads(&source).await, before, "the source was asked for rows");
    assert!(reads(&replica).await > 10);

    // replication breaks off: documents wait, and follow once it is back
    replica.run(&["STOP REPLICA SQL_THREAD"]).await;
    stage.shop.run(&["UPDATE {db}.orders SET total = 99 WHERE id = 1"]).await;
    wait_condition(&operator, "CaughtUp", "False").await;
    replica.run(&["START REPLICA SQL_THREAD"]).await;
    stage.equal(&operator).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_without_gtids_is_refused() {
    let (source, elastic) = tokio::join!(
        MysqlServer::start(MysqlOptions { gtid: false, ..MysqlOptions::default() }),
        shared::elastic()
    );
    let mut stage = Stage::new(&source, elastic, "nogtids", Size::SMALL).await;
    stage.set("source.reader", json!({"host": "127.0.0.1", "port": source.port()}));
    let operator = stage.start();
    let status = wait_said(&operator, "Preflight", "False Refused").await;
    assert!(
        status.condition("Preflight").contains("spec.source.reader: the source has gtid_mode OFF"),
        "{}",
        status.text
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_connections_read_than_the_pool_has() {
    let (source, elastic) = tokio::join!(MysqlServer::start(MysqlOptions::default()), shared::elastic());
    let mut stage =
        Stage::new(&source, elastic, "pool", Size { users: 50, orders: 4_000, items_per_order: 3 }).await;
    stage.set("limits.poolSize", 2);
    stage.set("limits.lanes", 16);
    let operator = stage.start();
    let driver = stage.shop.drive(82, 200);
    let mut most = 0;
    wait_until("1,000 transactions", PATIENCE, async || {
        let sql = "SELECT COUNT(*) FROM performance_schema.processlist WHERE USER = 'sync' AND COMMAND NOT LIKE 'Binlog%'";
        let count: Option<u64> = source.conn().await.query_first(sql).await.unwrap();
        most = most.max(count.unwrap());
        if driver.done() >= 1_000 { Ok(()) } else { Err(driver.done().to_string()) }
    })
    .await;
    driver.stop().await;
    stage.equal(&operator).await;
    // one more for short questions, and short-lived ones that look at the binlog's end
    assert!((2..=4).contains(&most), "{most} connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mappings_are_proposed_as_they_stand_in_the_file() {
    let (mysql, elastic) = shared::both().await;
    let mut stage = Stage::new(mysql, elastic, "proposed", Size::SMALL).await;
    stage.set("transforms", json!([{"rename": {"from": "customer", "to": "buyer"}}]));
    let file = stage.write().display().to_string();
    let output = command(&["explain", "--mapping", "-f", &file]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text} {}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "create:",
        "id:",
        "type: long",
        "buyer:",
        "type: keyword",
        "scaling_factor: 100",
        "created_at:",
        "type: date",
    ] {
        assert!(text.lines().any(|l| l.trim() == line), "{line}: {text}");
    }
    assert!(!text.contains("items") && !text.contains("customer"), "{text}");
    // what is proposed is what the index takes
    let mappings = json!({"properties": proposed(&text)});
    for (field, type_) in [("id", "long"), ("total", "double"), ("buyer", "keyword"), ("created_at", "date")]
    {
        assert_eq!(mappings["properties"][field]["type"], type_, "{mappings}");
    }
    stage.set("sink.elasticsearch.create", json!({"mappings": mappings}));
    let operator = stage.start();
    stage.settle(&operator).await;
    assert_eq!(stage.search.count(&stage.index).await, 200);
    assert_eq!(stage.dead_letters(), Vec::<Value>::new());
}

/// The types of the fields in what `explain --mapping` printed. Elasticsearch as the tests have it lacks the module
/// `mapper-extras`, and with it `scaled_float`, for which it gets the type that holds the same numbers.
fn proposed(text: &str) -> Value {
    let (mut types, mut field) = (serde_json::Map::new(), "");
    for line in text.lines().map(str::trim) {
        match line.split_once(':') {
            Some((name, "")) => field = name,
            Some(("type", type_)) => {
                let type_ = type_.trim().replace("scaled_float", "double");
                types.insert(field.to_owned(), json!({"type": type_}));
            }
            _ => {}
        }
    }
    Value::Object(types)
}
