//! Kinds of transactions: compressed, with a tagged GTID, XA, without GTIDs.

use super::rig::{PATIENCE, Rig, full_metadata};
use e2e::shared::{self, name};
use e2e::{MysqlOptions, MysqlServer, Shop, Size, wait_until};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

async fn shop(mysql: &MysqlServer, prefix: &str) -> Rig {
    let shop = Shop::create(mysql.opts(), &name(prefix), Size::SMALL).await;
    Rig::shop(mysql, &shop).await
}

/// Is there an event of this type in a binlog of the server?
async fn logged(mysql: &MysqlServer, event: &str) -> bool {
    let mut conn = mysql.conn().await;
    for file in mysql.binlogs().await {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let events: Vec<Row> = conn.query(format!("SHOW BINLOG EVENTS IN '{name}'")).await.unwrap();
        if events.iter().any(|row| row.get::<String, _>(2).as_deref() == Some(event)) {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn compression_switched_on_by_one_session() {
    let mysql = MysqlServer::start(MysqlOptions::default()).await;
    let mut rig = shop(&mysql, "compressed").await;
    let (mut squeezed, mut plain) = (rig.conn().await, rig.conn().await);
    rig.on(&mut squeezed, "SET SESSION binlog_transaction_compression = ON").await;
    for (squeeze, first) in [(true, 1), (false, 60), (true, 120)] {
        let conn = if squeeze { &mut squeezed } else { &mut plain };
        rig.on(conn, "START TRANSACTION").await;
        let range = format!("BETWEEN {first} AND {}", first + 50);
        for statement in [
            format!("UPDATE {{db}}.orders SET total = total + 1.25 WHERE id {range}"),
            format!("UPDATE {{db}}.order_items SET qty = qty + 1 WHERE order_id {range} AND id % 2 = 0"),
            format!("DELETE FROM {{db}}.order_items WHERE order_id = {first}"),
            format!("UPDATE {{db}}.users SET name = CONCAT(name, '!') WHERE id = {}", first % 50 + 1),
        ] {
            rig.on(conn, &statement).await;
        }
        rig.on(conn, "COMMIT").await;
    }
    rig.equal("compressed transactions among plain ones").await;
    assert!(logged(&mysql, "Transaction_payload").await, "nothing was compressed");
    rig.no_gap().await;
    // a restart reads the last transaction once more, and it is a compressed one
    rig.stop().await;
    rig.on(&mut squeezed, "UPDATE {db}.orders SET status = 'paid'").await;
    rig.operator.boot();
    rig.equal("a restart").await;
    rig.no_gap().await;
}

#[tokio::test]
async fn tagged_gtids_and_a_restart_after_them() {
    let mysql = MysqlServer::start(MysqlOptions::default()).await;
    let mut rig = shop(&mysql, "tagged").await;
    let mut conn = rig.conn().await;
    rig.on(&mut conn, "UPDATE {db}.orders SET total = 1 WHERE id = 1").await;
    rig.on(&mut conn, "SET gtid_next = 'AUTOMATIC:blue'").await;
    rig.on(&mut conn, "UPDATE {db}.orders SET total = 2 WHERE id < 50").await;
    rig.on(&mut conn, "DELETE FROM {db}.order_items WHERE order_id = 3").await;
    rig.on(&mut conn, "SET gtid_next = 'AUTOMATIC:green'").await;
    rig.on(&mut conn, "UPDATE {db}.users SET name = 'tagged' WHERE id = 7").await;
    rig.equal("tagged transactions").await;
    assert!(mysql.position().await.2.contains(":blue:1"), "no tag was used");
    rig.no_gap().await;
    rig.stop().await;
    rig.on(&mut conn, "UPDATE {db}.orders SET total = 3 WHERE id BETWEEN 40 AND 90").await;
    rig.on(&mut conn, "SET gtid_next = 'AUTOMATIC'").await;
    rig.on(&mut conn, "UPDATE {db}.orders SET total = 4 WHERE id BETWEEN 80 AND 120").await;
    rig.operator.boot();
    rig.equal("a restart after tagged transactions").await;
    rig.no_gap().await;
    rig.on(&mut conn, "SET gtid_next = 'AUTOMATIC:blue'").await;
    rig.on(&mut conn, "DELETE FROM {db}.orders WHERE id = 11").await;
    rig.equal("a tagged transaction after the restart").await;
    rig.operator.kill9();
    rig.on(&mut conn, "DELETE FROM {db}.orders WHERE id = 12").await;
    rig.operator.boot();
    rig.equal("kill -9").await;
    rig.no_gap().await;
}

/// A server of its own: the commit of a transaction that was prepared before a task began is a gap for that task,
/// whatever the transaction changed.
async fn xa_server() -> MysqlServer {
    MysqlServer::start(MysqlOptions::default()).await
}

#[tokio::test]
async fn xa_transactions_committed_and_rolled_back() {
    let mysql = xa_server().await;
    let rig = shop(&mysql, "xa").await;
    let mut conn = rig.conn().await;
    let ends = ["XA COMMIT", "XA ROLLBACK", "XA COMMIT"];
    for (number, end) in ends.into_iter().enumerate() {
        // bytes that are no text, a branch and a format of its own
        let xid = format!("X'00ff27{number:02x}', '{}branch', {}", rig.db, 7 + number);
        let low = number * 30;
        for statement in [
            format!("XA START {xid}"),
            format!(
                "UPDATE {{db}}.orders SET total = 77.5, status = 'shipped' WHERE id BETWEEN {low} AND {low} + 40"
            ),
            format!("DELETE FROM {{db}}.order_items WHERE order_id = {low} + 5"),
            format!("XA END {xid}"),
            format!("XA PREPARE {xid}"),
            format!("{end} {xid}"),
        ] {
            rig.on(&mut conn, &statement).await;
        }
        rig.equal(end).await;
    }
    for statement in [
        "XA START '{db}one'",
        "UPDATE {db}.users SET name = 'one phase' WHERE id = 3",
        "XA END '{db}one'",
        "XA COMMIT '{db}one' ONE PHASE",
    ] {
        rig.on(&mut conn, statement).await;
    }
    rig.equal("XA COMMIT ONE PHASE").await;
    rig.no_gap().await;
}

#[tokio::test]
async fn xa_prepared_stays_open_beside_other_transactions() {
    let mysql = xa_server().await;
    let rig = shop(&mysql, "xaopen").await;
    let mut conn = rig.conn().await;
    prepare(&rig, "open", "UPDATE {db}.orders SET total = 11 WHERE id IN (1, 2, 3)").await;
    rig.on(&mut conn, "UPDATE {db}.orders SET total = 12 WHERE id IN (4, 5, 6)").await;
    rig.on(&mut conn, "INSERT INTO {db}.order_items (order_id, sku, qty) VALUES (1, 'beside', 1)").await;
    rig.equal("transactions beside one that is prepared").await;
    rig.on(&mut conn, "XA COMMIT '{db}open'").await;
    rig.equal("its commit").await;
    rig.no_gap().await;
}

#[tokio::test]
async fn xa_prepared_before_a_restart_and_committed_after_it() {
    let mysql = xa_server().await;
    let mut rig = shop(&mysql, "xarestart").await;
    for (kill, end) in [(false, "XA COMMIT"), (true, "XA COMMIT"), (false, "XA ROLLBACK")] {
        let mut conn = rig.conn().await;
        prepare(&rig, "held", "UPDATE {db}.orders SET total = total + 3 WHERE id BETWEEN 20 AND 60").await;
        rig.on(&mut conn, "UPDATE {db}.orders SET total = total + 4 WHERE id BETWEEN 100 AND 120").await;
        rig.equal("a prepared transaction").await;
        if kill {
            rig.operator.kill9();
        } else {
            rig.stop().await;
        }
        rig.on(&mut conn, "UPDATE {db}.users SET name = CONCAT(name, '?') WHERE id < 5").await;
        rig.operator.boot();
        rig.equal("the restart").await;
        rig.on(&mut conn, &format!("{end} '{{db}}held'")).await;
        rig.on(&mut conn, "UPDATE {db}.users SET name = CONCAT(name, '.') WHERE id = 9").await;
        rig.equal(end).await;
    }
    println!("gaps of the last life: {}", rig.metric_now("gaps_total").await);
}

/// The rows of these were in the binlog before the task began: nobody knows them when they are committed.
#[tokio::test]
async fn xa_prepared_before_the_task_began_is_repaired_by_one_full() {
    let mysql = xa_server().await;
    let shop = Shop::create(mysql.opts(), &name("xabefore"), Size::SMALL).await;
    let db = shop.database.clone();
    for (xid, change) in [
        ("one", "UPDATE {db}.orders SET total = 11 WHERE id IN (1, 2, 3)"),
        ("two", "UPDATE {db}.orders SET total = 12 WHERE id IN (4, 5, 6)"),
    ] {
        let (start, end) = (format!("XA START '{db}{xid}'"), format!("XA END '{db}{xid}'"));
        mysql.run(&[start, change.replace("{db}", &db), end, format!("XA PREPARE '{db}{xid}'")]).await;
    }
    let rig = Rig::shop(&mysql, &shop).await;
    rig.operator.freeze(); // the place of the repair is behind both
    rig.run(&[
        "XA COMMIT '{db}one'",
        "UPDATE {db}.orders SET total = 13 WHERE id = 7",
        "XA COMMIT '{db}two'",
    ])
    .await;
    rig.operator.resume();
    rig.equal("their commits").await;
    assert_eq!(rig.metric_now("gaps_total").await, 1, "{}", rig.operator.log_tail(60));
}

/// At any moment something is prepared, so no place is without XA transactions that it has not seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn constant_xa_traffic_does_not_make_fulls_follow_each_other() {
    let mysql = xa_server().await;
    let shop = Shop::create(mysql.opts(), &name("xaalways"), Size::SMALL).await;
    let db = shop.database.clone();
    mysql.run(&[format!("CREATE TABLE {db}.other (id INT PRIMARY KEY, n INT NOT NULL)")]).await;
    let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let sessions: Vec<_> = (0..2)
        .map(|id| {
            let (opts, db) = (mysql.opts(), db.clone());
            let (done, stop) = (Arc::clone(&done), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut conn = Conn::new(opts).await.unwrap();
                // each is prepared before the one before it commits
                let (mut last, mut number) = (None, 0);
                while !stop.load(Ordering::Relaxed) || last.is_some() {
                    let mut statements = Vec::new();
                    let before = last.take();
                    if !stop.load(Ordering::Relaxed) {
                        number += 1;
                        let (xid, row) = (format!("'{db}{id}-{number}'"), id * 2 + number % 2);
                        statements.push(format!("XA START {xid}"));
                        statements.push(format!("REPLACE INTO {db}.other VALUES ({row}, {number})"));
                        statements.push(format!("XA END {xid}"));
                        statements.push(format!("XA PREPARE {xid}"));
                        last = Some(xid);
                    }
                    statements.extend(before.map(|before| format!("XA COMMIT {before}")));
                    for statement in statements {
                        conn.query_drop(&statement)
                            .await
                            .unwrap_or_else(|error| panic!("{statement}: {error}"));
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let rig = Rig::shop(&mysql, &shop).await;
    let before = done.load(Ordering::Relaxed);
    wait_until("more traffic", PATIENCE, async || {
        let more = done.load(Ordering::Relaxed) - before;
        if more > 500 { Ok(()) } else { Err(format!("{more} transactions")) }
    })
    .await;
    rig.run(&["UPDATE {db}.orders SET total = 3 WHERE id < 20"]).await;
    rig.equal("a change beside the traffic").await;
    let gaps = rig.metric_now("gaps_total").await;
    eprintln!("{gaps} gaps beside {} XA transactions", done.load(Ordering::Relaxed));
    assert!(gaps <= 2, "{gaps} gaps: {}", rig.operator.log_tail(60));
    stop.store(true, Ordering::Relaxed);
    for session in sessions {
        session.await.unwrap();
    }
}

/// A prepared transaction whose session has gone.
async fn prepare(rig: &Rig, xid: &str, change: &str) {
    let mut conn = rig.conn().await;
    let xid = format!("'{{db}}{xid}'");
    for statement in
        [format!("XA START {xid}"), change.to_owned(), format!("XA END {xid}"), format!("XA PREPARE {xid}")]
    {
        rig.on(&mut conn, &statement).await;
    }
    conn.disconnect().await.unwrap();
}

#[tokio::test]
async fn metadata_minimal_under_random_writes() {
    let mysql = shared::mysql().await;
    random_writes(mysql, "minimal", 11).await;
}

#[tokio::test]
async fn metadata_full_under_random_writes() {
    random_writes(full_metadata().await, "full", 12).await;
}

async fn random_writes(mysql: &MysqlServer, prefix: &str, seed: u64) {
    let shop = Shop::create(mysql.opts(), &name(prefix), Size::SMALL).await;
    let rig = Rig::shop(mysql, &shop).await;
    let driver = shop.drive(seed, 100);
    let enough = async || (driver.done() >= 400).then_some(()).ok_or(driver.done().to_string());
    e2e::wait_until("400 transactions", PATIENCE, enough).await;
    driver.stop().await;
    rig.equal("random writes").await;
    rig.no_gap().await;
}

#[tokio::test]
async fn metadata_changes_in_mid_stream() {
    let mysql = MysqlServer::start(MysqlOptions { full_metadata: true, ..Default::default() }).await;
    let rig = shop(&mysql, "metadata").await;
    for (step, metadata) in ["MINIMAL", "FULL", "MINIMAL"].into_iter().enumerate() {
        let ids = format!("BETWEEN {} AND {}", step * 40, step * 40 + 60);
        rig.run(&[
            format!("SET GLOBAL binlog_row_metadata = {metadata}"),
            format!("UPDATE {{db}}.orders SET total = {step}.75 WHERE id {ids}"),
            format!(
                "UPDATE {{db}}.order_items SET order_id = order_id + 1 WHERE order_id {ids} AND id % 3 = 0"
            ),
        ])
        .await;
    }
    rig.equal("changes of binlog_row_metadata").await;
    rig.no_gap().await;
}

#[tokio::test]
async fn without_gtids() {
    let mut mysql = MysqlServer::start(MysqlOptions { gtid: false, ..Default::default() }).await;
    let shop = Shop::create(mysql.opts(), &name("nogtid"), Size::SMALL).await;
    let mut rig = Rig::shop(&mysql, &shop).await;
    let driver = shop.drive(5, 100);
    let enough = async || (driver.done() >= 300).then_some(()).ok_or(driver.done().to_string());
    e2e::wait_until("300 transactions", PATIENCE, enough).await;
    rig.run(&["FLUSH BINARY LOGS"]).await;
    rig.stop().await;
    let enough = async || (driver.done() >= 500).then_some(()).ok_or(driver.done().to_string());
    e2e::wait_until("500 transactions", PATIENCE, enough).await;
    rig.operator.boot();
    driver.stop().await;
    rig.equal("random writes and a restart").await;
    rig.no_gap().await;
    mysql.restart().await;
    shop.run(&["UPDATE {db}.orders SET total = 9 WHERE id < 30", "DELETE FROM {db}.orders WHERE id = 31"])
        .await;
    rig.equal("a restart of MySQL").await;
    rig.no_gap().await;
    let mode: Option<String> = mysql.conn().await.query_first("SELECT @@gtid_mode").await.unwrap();
    assert_eq!(mode.as_deref(), Some("OFF"));
}
