//! Speed of the whole way from MySQL to the index, as ratios to the servers' own limit in the same run:
//! `make bench`, or `cargo bench -p e2e --bench sync`. `ROUNDS` (3) is how often each figure is taken.
//!
//! The limit: the task's SELECT in pages of 500 ids on one connection through the mysql client, and `_bulk` of
//! ready-made NDJSON with the same version lines over 4 connections, at the same time, servers warm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod latency;
mod limit;

use std::time::{Duration, Instant};

use e2e::{
    ElasticServer, Engine, MysqlOptions, MysqlServer, Operator, Scratch, Search, Shop, Size, TaskFile,
};

pub(crate) const ORDERS: u64 = 100_000;
const SIZE: Size = Size { users: 5_000, orders: ORDERS, items_per_order: 3 };
const LONG: Duration = Duration::from_secs(600);

/// The servers and the shop.
pub(crate) struct Bench {
    pub(crate) mysql: MysqlServer,
    pub(crate) search: Search,
    pub(crate) url: String,
    pub(crate) shop: Shop,
    scratch: Scratch,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run());
}

async fn run() {
    let elastic = ElasticServer::start(Engine::Elasticsearch9).await;
    let mysql = MysqlServer::start(MysqlOptions::default()).await;
    let shop = Shop::create(mysql.opts(), "bench", SIZE).await;
    let (search, url, scratch) = (elastic.search(), elastic.url(), Scratch::new("bench"));
    let bench = Bench { mysql, search, url, shop, scratch };
    let rounds: usize = std::env::var("ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(3);

    eprintln!("warming up: one build of {ORDERS} orders");
    bench.build("warm").await;
    let ready = limit::Ready::prepare(&bench, "warm").await;
    let (mut limits, mut builds, mut drains, mut fans) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let limit = ready.measure(&bench).await;
        let build = bench.build(&format!("build{round}")).await;
        let drain = bench.drain(&format!("build{round}")).await;
        let fan = bench.fan(&format!("build{round}")).await;
        println!(
            "round {round}: limit {limit:.0}/s, build {build:.0}/s ({:.2}), drain {drain:.0}/s ({:.2}), child rows {fan:.0}/s",
            build / limit,
            drain / limit
        );
        limits.push(limit);
        builds.push(build);
        drains.push(drain);
        fans.push(fan);
    }
    let limit = median(&mut limits);
    let (build, drain, fan) = (median(&mut builds), median(&mut drains), median(&mut fans));
    println!("| what | per second | ratio to the limit | wanted |");
    println!("| --- | --- | --- | --- |");
    println!("| limit: SELECT and _bulk at once | {limit:.0} | 1 | |");
    println!("| full build of {ORDERS} orders | {build:.0} | {:.2} | 0.8 |", build / limit);
    println!("| drain of 20,000 one-row transactions | {drain:.0} | {:.2} | 0.5 |", drain / limit);
    println!("| one UPDATE of 30,000 child rows, rows | {fan:.0} | | 30,000/s |");
    latency::measure(&bench).await;
    bench.idle().await;
}

impl Bench {
    pub(crate) fn task(&self, index: &str) -> TaskFile {
        TaskFile::new(index, self.mysql.port(), &self.url, &self.shop.sql(), index)
    }

    pub(crate) fn operator(&self, index: &str) -> Operator {
        let folder = self.scratch.path().join(index);
        std::fs::create_dir_all(&folder).unwrap();
        let file = self.task(index).write(&folder);
        Operator::start(&file, &folder.join("state"), &[])
    }

    /// Documents per second of a full build, from the process's start to the last document.
    async fn build(&self, index: &str) -> f64 {
        let begun = Instant::now();
        let mut operator = self.operator(index);
        let took = self.indexed(&operator, index, ORDERS, begun).await;
        self.caught_up(&operator).await;
        operator.terminate(LONG).await;
        ORDERS as f64 / took.as_secs_f64()
    }

    /// Ids per second of a backlog of 20,000 one-row transactions, from the process's start to the last document.
    async fn drain(&self, index: &str) -> f64 {
        let workers = (0..8u64).map(|worker| async move {
            let mut conn = self.shop.conn().await;
            for id in (1..=20_000u64).filter(|id| id % 8 == worker) {
                let sql = format!("UPDATE bench.orders SET total = total + 1 WHERE id = {}", id * 5);
                mysql_async::prelude::Queryable::query_drop(&mut conn, sql).await.unwrap();
            }
        });
        futures_util::future::join_all(workers).await;
        let (before, begun) = (self.actions(index).await, Instant::now());
        let mut operator = self.operator(index);
        let took = self.indexed(&operator, index, before + 20_000, begun).await;
        self.caught_up(&operator).await;
        operator.terminate(LONG).await;
        20_000.0 / took.as_secs_f64()
    }

    /// Child rows per second of one statement that changes 30,000 items of 10,000 orders, from its commit to the last
    /// document.
    async fn fan(&self, index: &str) -> f64 {
        let mut operator = self.operator(index);
        self.caught_up(&operator).await;
        let before = self.actions(index).await;
        self.shop.run(&["UPDATE {db}.order_items SET qty = qty + 1 WHERE order_id <= 10000"]).await;
        let begun = Instant::now();
        let took = self.indexed(&operator, index, before + 10_000, begun).await;
        self.caught_up(&operator).await;
        operator.terminate(LONG).await;
        30_000.0 / took.as_secs_f64()
    }

    /// Documents that the index has taken so far, by its own count.
    async fn actions(&self, index: &str) -> u64 {
        let answer = self.search.call("GET", &format!("/{index}/_stats/indexing"), None).await.unwrap();
        if answer.status == 404 {
            return 0;
        }
        answer.ok().json()["_all"]["primaries"]["indexing"]["index_total"].as_u64().unwrap_or(0) // no shard has started yet
    }

    /// Time from `begun` until the index has taken so many. The operator's own word comes up to a second later.
    async fn indexed(&self, operator: &Operator, index: &str, wanted: u64, begun: Instant) -> Duration {
        let done = async || {
            let actions = self.actions(index).await;
            if actions >= wanted { Ok(begun.elapsed()) } else { Err(format!("{actions} of {wanted}")) }
        };
        operator.wait_until("all of them in the index", LONG, done).await
    }

    /// Waits until the operator says so.
    pub(crate) async fn caught_up(&self, operator: &Operator) {
        let done = async || {
            let metrics = operator.metrics().await?;
            let condition = |name: &str| {
                metrics.sum("binlog_operator_condition", &[&format!("type=\"{name}\"")]).unwrap_or(0.0)
            };
            let pending = metrics.sum("binlog_operator_pending_ids", &[]).unwrap_or(1.0);
            if condition("CaughtUp") > 0.5 && pending < 0.5 {
                Ok(())
            } else {
                Err(format!("{pending} ids wait"))
            }
        };
        operator.wait_until("caught up", LONG, done).await;
    }

    async fn idle(&self) {
        let mut operator = self.operator("build0");
        self.caught_up(&operator).await;
        println!("idle: {:.1} MiB resident (wanted: under 40 MB)", operator.resident_kib() as f64 / 1024.0);
        operator.terminate(LONG).await;
    }
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
