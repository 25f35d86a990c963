//! Commit to `GET _doc`, beside a bare loop of GTID wait, SELECT, bulk of one, GET, at 200 updates/s.

use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::{Bench, ORDERS};

const PROBES: usize = 400;
const PER_SECOND: u64 = 200;
const PROBE: u64 = ORDERS - 10;

/// Takes both in turns and prints p50 and p99.
pub(crate) async fn measure(bench: &Bench) {
    let mut operator = bench.operator("build0");
    bench.caught_up(&operator).await;
    let settings = serde_json::json!({"settings": {"gc_deletes": "1h"}});
    let _ = bench.search.put("/bare", &settings).await.ok();
    let load = tokio::spawn(load(bench.shop.conn().await));
    let mut conn = bench.shop.conn().await;
    let mut ours = Vec::new();
    let mut bare = Vec::new();
    for probe in 0..PROBES + 20 {
        let (total, committed) = change(&mut conn, probe).await;
        until_there(bench, "build0", total).await;
        let one = committed.elapsed();
        let (total, committed) = change(&mut conn, probe).await;
        write_bare(bench, &mut conn).await;
        until_there(bench, "bare", total).await;
        let other = committed.elapsed();
        // the first probes warm both up
        if probe >= 20 {
            ours.push(one);
            bare.push(other);
        }
    }
    load.abort();
    operator.terminate(Duration::from_secs(60)).await;
    let (ours, bare) = ((at(&mut ours, 50), at(&mut ours, 99)), (at(&mut bare, 50), at(&mut bare, 99)));
    println!("| commit to GET _doc at {PER_SECOND} updates/s | p50 ms | p99 ms |");
    println!("| --- | --- | --- |");
    println!("| bare loop | {:.1} | {:.1} |", bare.0, bare.1);
    println!("| binlog-operator | {:.1} | {:.1} |", ours.0, ours.1);
    println!("| ratio (wanted: at most 2 and 3) | {:.2} | {:.2} |", ours.0 / bare.0, ours.1 / bare.1);
}

fn at(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1_000.0
}

async fn load(mut conn: Conn) {
    let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / PER_SECOND));
    for n in 0u64.. {
        tick.tick().await;
        let id = n * 7_919 % (ORDERS - 100) + 1;
        let sql = format!("UPDATE bench.orders SET total = total + 1 WHERE id = {id}");
        conn.query_drop(sql).await.unwrap();
    }
}

/// Commits a change of the probed order: gives its new total and when the commit returned.
async fn change(conn: &mut Conn, probe: usize) -> (String, Instant) {
    let total: Option<String> = conn
        .query_first(format!("SELECT total + 1 + {probe} * 0 FROM bench.orders WHERE id = {PROBE}"))
        .await
        .unwrap();
    let total = total.unwrap();
    conn.query_drop(format!("UPDATE bench.orders SET total = {total} WHERE id = {PROBE}")).await.unwrap();
    (total, Instant::now())
}

async fn until_there(bench: &Bench, index: &str, total: String) {
    let wanted = format!("\"total\":{total},");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = bench.search.get(&format!("/{index}/_doc/{PROBE}")).await;
        if answer.body.contains(&wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "{wanted} is not in {}", answer.body);
    }
}

async fn write_bare(bench: &Bench, conn: &mut Conn) {
    let gtids: Option<String> = conn.query_first("SELECT @@gtid_executed").await.unwrap();
    let wait = format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{}', 10)", gtids.unwrap());
    conn.query_drop(wait).await.unwrap();
    let sql = bench.shop.sql().replace(":ids", &PROBE.to_string());
    let row: mysql_async::Row = conn.query_first(sql).await.unwrap().unwrap();
    let text = |at: usize| row.get::<Option<String>, _>(at).flatten().unwrap_or_else(|| "null".into());
    let version = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
    let head =
        format!(r#"{{"index":{{"_id":"{PROBE}","version":{version},"version_type":"external_gte"}}}}"#);
    let document = format!(
        r#"{{"id":{},"status":"{}","total":{},"created_at":"{}","customer":"{}","items":{}}}"#,
        text(0),
        text(1),
        text(2),
        text(3),
        text(4),
        text(5)
    );
    let lines = format!("{head}\n{document}\n").replace("_id\":\"", "_index\":\"bare\",\"_id\":\"");
    let _ = bench.search.bulk(lines).await.ok();
}
