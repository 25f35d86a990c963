//! Does the harness itself do what the other tests rely on?

use e2e::http_proxy::Counts;
use e2e::mysql::mysqlbinlog;
use e2e::process::Process;
use e2e::shared::{self, name};
use e2e::{
    ElasticServer, Engine, Fault, FaultProxy, MysqlOptions, MysqlServer, Scratch, Search, Shop, Size,
    SmallDisk, TcpMode, TcpProxy, wait_until,
};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

/// The documents that the checker expects, written to an index.
async fn write_documents(shop: &Shop, search: &Search, index: &str) {
    let expected = shop.checker().expected(shop.opts()).await.unwrap();
    let lines: Vec<String> = expected
        .into_iter()
        .map(|(id, document)| {
            let head = json!({"index": {"_index": index, "_id": id}});
            format!("{head}\n{}\n", Value::Object(document))
        })
        .collect();
    let answer = search.bulk(lines.concat()).await.ok().json();
    assert_eq!(answer["errors"], false, "{answer}");
}

#[tokio::test]
async fn checker_sees_equality_and_every_kind_of_difference() {
    let (mysql, elastic) = shared::both().await;
    let (search, index) = (elastic.search(), name("checker"));
    let shop = Shop::create(mysql.opts(), &name("checker"), Size::SMALL).await;
    write_documents(&shop, &search, &index).await;
    assert_eq!(shop.checker().check(shop.opts(), &search, &index).await, Ok(200));

    shop.run(&["UPDATE {db}.order_items SET qty = qty + 1 WHERE order_id = 7 LIMIT 1"]).await;
    let _ = search.put(&format!("/{index}/_doc/ghost"), &json!({"id": 1})).await.ok();
    let _ = search.delete(&format!("/{index}/_doc/9")).await.ok();
    let report = shop.checker().check(shop.opts(), &search, &index).await.unwrap_err();
    assert!(report.contains("id 7 (version 1): items:"), "{report}");
    assert!(report.contains("id ghost") && report.contains("id 9: missing"), "{report}");
    let excused = shop.checker().except(["7", "9", "ghost"]);
    assert_eq!(excused.check(shop.opts(), &search, &index).await, Ok(200));
}

#[tokio::test]
async fn documents_are_read_with_version_and_raw_source() {
    let search = shared::elastic().await.search();
    let index = name("docs");
    let path = format!("/{index}/_doc/a%2Fb?version=77&version_type=external_gte");
    let answer = search.call("PUT", &path, Some(r#"{"n": 1.50}"#.to_owned())).await.unwrap().ok();
    assert_eq!(answer.status, 201);
    let doc = search.doc(&index, "a/b").await.expect("the document");
    assert_eq!((doc.version, doc.source.as_str()), (77, r#"{"n": 1.50}"#));
    assert_eq!(search.docs(&index).await.unwrap()["a/b"], doc);
    assert_eq!(search.count(&index).await, 1);
    assert_eq!(search.doc(&index, "none").await, None);
}

#[tokio::test]
async fn workload_touches_all_tables_at_its_rate() {
    let mysql = shared::mysql().await;
    let shop = Shop::create(mysql.opts(), &name("workload"), Size::SMALL).await;
    let before = shop.checker().expected(shop.opts()).await.unwrap();
    let driver = shop.drive(1, 200);
    wait_until("400 transactions", SOON, async || {
        if driver.done() >= 400 { Ok(()) } else { Err(driver.done().to_string()) }
    })
    .await;
    assert!(driver.stop().await >= 400);
    assert_ne!(before, shop.checker().expected(shop.opts()).await.unwrap());
    let (file, ..) = mysql.position().await;
    let path = mysql.dir().join(file).display().to_string();
    let log = mysqlbinlog(&["-v", &path]);
    for change in ["UPDATE", "INSERT INTO", "DELETE FROM"] {
        for table in ["orders", "order_items"] {
            let statement = format!("### {change} `{}`.`{table}`", shop.database);
            assert!(log.contains(&statement), "{statement}");
        }
    }
    assert!(log.contains(&format!("### UPDATE `{}`.`users`", shop.database)));
}

#[tokio::test]
async fn the_sync_user_may_read_and_replicate_but_not_write() {
    let mysql = shared::mysql().await;
    let shop = Shop::create(mysql.opts(), &name("grants"), Size::SMALL).await;
    let opts =
        OptsBuilder::from_opts(mysql.opts()).user(Some("sync")).pass(Some("sync-pw")).prefer_socket(false);
    let mut conn = Conn::new(opts).await.unwrap();
    let orders: Option<u64> =
        conn.query_first(format!("SELECT COUNT(*) FROM {}.orders", shop.database)).await.unwrap();
    assert_eq!(orders, Some(200));
    conn.query_drop("SHOW BINARY LOG STATUS").await.unwrap();
    conn.query_drop(format!("DELETE FROM {}.orders", shop.database)).await.unwrap_err();
}

#[tokio::test]
async fn proxy_injects_every_fault() {
    let elastic = shared::elastic().await;
    let (index, direct) = (name("proxy"), elastic.search());
    let proxy = FaultProxy::start(&elastic.url()).await;
    let search = Search::new(&proxy.url());
    let lines = |id: u32| {
        let head = json!({"index": {"_index": index, "_id": id.to_string()}});
        format!("{head}\n{}\n", json!({"n": id}))
    };
    proxy.record(true);
    assert_eq!(search.bulk(lines(1)).await.status, 200);
    let records = proxy.take_records();
    assert_eq!((records.len(), records[0].status), (1, Some(200)));
    assert_eq!(records[0].request, lines(1));
    assert!(records[0].answer.contains(r#""result":"created""#), "{}", records[0].answer);

    for code in [429, 503, 413, 401, 403] {
        proxy.set(Fault::Status { code, share: 1.0 });
        assert_eq!(search.bulk(lines(2)).await.status, code);
    }
    assert_eq!(search.get(&format!("/{index}/_doc/1")).await.status, 200); // only _bulk is hit
    assert_eq!(direct.doc(&index, "2").await, None);

    proxy.set(Fault::DropAnswer { share: 1.0 });
    search.call("POST", "/_bulk", Some(lines(3))).await.unwrap_err();
    assert!(direct.doc(&index, "3").await.is_some(), "the write landed although its answer was lost");

    proxy.set(Fault::DelayAnswer(Duration::from_millis(300)));
    let begin = Instant::now();
    assert_eq!(search.bulk(lines(4)).await.status, 200);
    assert!(begin.elapsed() >= Duration::from_millis(300));

    proxy.set(Fault::DelayRequest(Duration::from_millis(300)));
    let late = search.call("POST", "/_bulk", Some(lines(5)));
    let _ = tokio::time::timeout(Duration::from_millis(100), late).await.unwrap_err();
    assert_eq!(direct.doc(&index, "5").await, None);
    let landed = async || direct.doc(&index, "5").await.ok_or("not yet".to_owned());
    wait_until("the late write lands", SOON, landed).await;

    proxy.set(Fault::Status { code: 429, share: 0.3 });
    let Counts { hit: before, .. } = proxy.counts();
    for id in 0..100 {
        search.bulk(lines(id)).await;
    }
    let hit = proxy.counts().hit - before;
    assert!((15..45).contains(&hit), "{hit} of 100 requests");
}

#[tokio::test]
async fn proxy_black_hole_and_cut_end_with_pass() {
    let elastic = shared::elastic().await;
    let proxy = FaultProxy::start(&elastic.url()).await;
    let search = Search::new(&proxy.url());
    proxy.set(Fault::BlackHole);
    let silent = search.call("GET", "/_cluster/health", None);
    let _ = tokio::time::timeout(Duration::from_millis(200), silent).await.unwrap_err();
    proxy.set(Fault::Cut);
    search.call("GET", "/_cluster/health", None).await.unwrap_err();
    proxy.set(Fault::Pass);
    assert_eq!(search.get("/_cluster/health").await.status, 200);
}

#[tokio::test]
async fn tcp_proxy_passes_stalls_and_cuts() {
    let mysql = shared::mysql().await;
    let proxy = TcpProxy::start(mysql.port()).await;
    let opts =
        Opts::from_url(&format!("mysql://root@127.0.0.1:{}/?prefer_socket=false", proxy.port())).unwrap();
    let mut conn = Conn::new(opts.clone()).await.unwrap();
    let one: Option<u8> = conn.query_first("SELECT 1").await.unwrap();
    assert_eq!(one, Some(1));
    proxy.set(TcpMode::BlackHole);
    let stalled = tokio::time::timeout(Duration::from_millis(200), conn.query_drop("SELECT 1"));
    let _ = stalled.await.unwrap_err();
    proxy.set(TcpMode::Cut);
    Conn::new(opts.clone()).await.unwrap_err();
    proxy.set(TcpMode::Pass);
    Conn::new(opts).await.unwrap().query_drop("SELECT 1").await.unwrap();
    assert_eq!(proxy.connections(), 3);
}

#[tokio::test]
async fn mysql_survives_kill_restart_and_goes_back_to_a_snapshot() {
    let mut mysql = MysqlServer::start(MysqlOptions { full_metadata: true, ..Default::default() }).await;
    mysql
        .run(&["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)", "INSERT INTO d.t VALUES (1)"])
        .await;
    let rows = async |mysql: &MysqlServer| -> Option<u64> {
        mysql.conn().await.query_first("SELECT COUNT(*) FROM d.t").await.unwrap()
    };
    let snapshot = mysql.snapshot().await;
    let (.., then) = mysql.position().await;
    mysql.run(&["INSERT INTO d.t VALUES (2)"]).await;
    mysql.kill9();
    mysql.boot().await;
    assert_eq!(rows(&mysql).await, Some(2), "a killed server keeps its commits");

    mysql.freeze();
    let frozen = tokio::time::timeout(Duration::from_millis(300), mysql.conn()).await;
    mysql.resume();
    assert!(frozen.is_err(), "a frozen server does not answer");

    mysql.restore(&snapshot).await;
    assert_eq!(rows(&mysql).await, Some(1));
    assert_eq!(mysql.position().await.2, then, "the restored server gives its GTIDs out again");
    mysql.purge().await;
    assert_eq!(mysql.binlogs().await.len(), 1);
    mysql.stop().await;
}

#[tokio::test]
async fn a_stalled_commit_is_invisible_until_the_stall_ends() {
    let mysql = MysqlServer::start(MysqlOptions { gtid: false, ..Default::default() }).await;
    mysql.run(&["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)"]).await;
    for (id, ended_by_hand) in [(1, false), (2, true)] {
        let pause = Duration::from_millis(if ended_by_hand { 60_000 } else { 1_500 });
        mysql.arm_stall(pause).await;
        let (before, begin) = (mysql.position().await, Instant::now());
        let mut writer = mysql.conn().await;
        let commit = tokio::spawn(async move {
            writer.query_drop(format!("INSERT INTO d.t VALUES ({id})")).await.unwrap();
        });
        wait_until("the event is in the binlog", SOON, async || {
            if mysql.position().await.1 > before.1 { Ok(()) } else { Err("not yet".into()) }
        })
        .await;
        let sql = format!("SELECT COUNT(*) FROM d.t WHERE id = {id}");
        let seen: Option<u8> = mysql.conn().await.query_first(&sql).await.unwrap();
        assert_eq!(seen, Some(0), "{:?} after the commit began", begin.elapsed());
        if ended_by_hand {
            mysql.end_stall().await;
        }
        commit.await.unwrap();
        let seen: Option<u8> = mysql.conn().await.query_first(&sql).await.unwrap();
        assert_eq!(seen, Some(1));
        assert!(ended_by_hand || begin.elapsed() >= pause);
    }
}

#[tokio::test]
async fn elasticsearch_keeps_documents_over_kill_and_restart() {
    let mut elastic = ElasticServer::start(Engine::Elasticsearch9).await;
    let search = elastic.search();
    let _ = search.put("/kept/_doc/1", &json!({"n": 1})).await.ok();
    elastic.kill9();
    search.call("GET", "/kept/_doc/1", None).await.unwrap_err();
    elastic.boot().await;
    assert!(search.doc("kept", "1").await.is_some());
    elastic.freeze();
    let frozen = tokio::time::timeout(Duration::from_millis(300), search.doc("kept", "1")).await;
    elastic.resume();
    assert!(frozen.is_err(), "a frozen server does not answer");
}

#[test]
fn a_small_disk_can_be_filled_and_freed() {
    let disk = SmallDisk::mount(256);
    let write = |name| std::fs::write(disk.path().join(name), "state");
    write("old").unwrap();
    disk.fill();
    assert_eq!(write("new").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    disk.free();
    write("new").unwrap();
}

/// One test process must never see the servers of another, nor leave its own behind.
#[tokio::test]
async fn a_process_dies_with_its_owner_and_its_thread_does_not_matter() {
    let scratch = Scratch::new("process");
    let log = scratch.path().join("log");
    let spawn = {
        let log = log.clone();
        move || Process::spawn("sleep", &["600".to_owned()], &[], &log)
    };
    let mut process = std::thread::spawn(spawn).join().unwrap();
    assert!(
        process.wait(Duration::from_millis(100)).await.is_none(),
        "it outlives the thread that asked for it"
    );
    let pid = process.pid();
    drop(process);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}
