//! Do reads of a sharded table scale with connections? `make bench`, or `cargo bench -p e2e --bench shards`.
//!
//! 64 shards, one lane, a MySQL that is a network away (its answers come 2 ms later): a full build with one connection
//! for the shards of a batch, then with more. `ROUNDS` (3) is how often each figure is taken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::time::{Duration, Instant};

use e2e::shop::grant_sync;
use e2e::{ElasticServer, Engine, MysqlOptions, MysqlServer, Operator, Scratch, Search, TaskFile, TcpProxy};
use mysql_async::prelude::Queryable;
use serde_json::json;

const SHARDS: u32 = 64;
const ROWS: u64 = 20_000;
const WAY: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(600);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run());
}

async fn run() {
    let elastic = ElasticServer::start(Engine::Elasticsearch9).await;
    let mysql = MysqlServer::start(MysqlOptions::default()).await;
    fill(&mysql).await;
    let far = TcpProxy::far(mysql.port(), WAY).await;
    let scratch = Scratch::new("shards");
    let rounds: usize = std::env::var("ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(3);
    let mut rates: Vec<(u32, Vec<f64>)> = [1, 2, 4, 8].map(|connections| (connections, Vec::new())).to_vec();
    for round in 0..rounds {
        for (connections, found) in &mut rates {
            let index = format!("books-{round}-{connections}");
            found.push(build(&far, &elastic.url(), &elastic.search(), &scratch, &index, *connections).await);
        }
    }
    println!("| connections | documents/s | times one |");
    println!("| --- | --- | --- |");
    let mut one = None;
    for (connections, found) in &mut rates {
        found.sort_by(f64::total_cmp);
        let rate = found[found.len() / 2];
        println!("| {connections} | {rate:.0} | {:.1} |", rate / *one.get_or_insert(rate));
    }
}

async fn fill(mysql: &MysqlServer) {
    let mut conn = mysql_async::Conn::new(mysql.opts()).await.unwrap();
    let mut run = async |sql: String| conn.query_drop(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    run("CREATE DATABASE lib".into()).await;
    run("SET SESSION cte_max_recursion_depth = 100000".into()).await;
    run("CREATE TABLE lib.ids (id BIGINT PRIMARY KEY, shard INT, KEY (shard))".into()).await;
    run(format!(
        "INSERT INTO lib.ids WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {ROWS}) SELECT n, CRC32(n) % {SHARDS} FROM r"
    ))
    .await;
    for shard in 0..SHARDS {
        run(format!("CREATE TABLE lib.book_{shard:02} (id BIGINT PRIMARY KEY, title VARCHAR(40))")).await;
        run(format!(
            "INSERT INTO lib.book_{shard:02} SELECT id, CONCAT('book ', id) FROM lib.ids WHERE shard = {shard}"
        ))
        .await;
    }
    grant_sync(&mysql.opts(), "lib").await;
}

/// Documents per second of a full build, from the first to the last document.
async fn build(
    far: &TcpProxy,
    url: &str,
    search: &Search,
    scratch: &Scratch,
    index: &str,
    connections: u32,
) -> f64 {
    let folder = scratch.path().join(index);
    std::fs::create_dir_all(&folder).unwrap();
    let sql = "SELECT b.id, b.title FROM lib.book_{{shard}} b WHERE b.id IN (:ids)";
    let sharding = json!({"variable": "shard", "shards": SHARDS, "suffixWidth": 2});
    let file = TaskFile::new(index, far.port(), url, sql, index)
        .set("query.table", "lib.book")
        .set(
            "mapping",
            json!({"sharding": sharding, "rewrite": [{"match": "^book_[0-9]{2}$", "table": "book"}]}),
        )
        .set("limits", json!({"lanes": 1, "connections": connections}))
        .write(&folder);
    let mut operator = Operator::start(&file, &folder.join("state"), &[]);
    let indexed = async || {
        let answer = search.call("GET", &format!("/{index}/_stats/indexing"), None).await?;
        let total = || answer.json()["_all"]["primaries"]["indexing"]["index_total"].as_u64();
        Ok::<u64, String>(if answer.status == 200 { total().unwrap_or(0) } else { 0 })
    };
    let reached = async |wanted: u64| {
        let condition = async || match indexed().await? {
            count if count >= wanted => Ok(count),
            count => Err(format!("{count} of {wanted}")),
        };
        let count = operator.wait_until("documents", LONG, condition).await;
        (count, Instant::now())
    };
    let (first, begun) = reached(1).await;
    let (last, ended) = reached(ROWS).await;
    operator.terminate(LONG).await;
    (last - first) as f64 / (ended - begun).as_secs_f64()
}
