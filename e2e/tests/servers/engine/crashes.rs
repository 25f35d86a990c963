//! §4.2: `kill -9` loses nothing, and the checkpoint never runs ahead of acknowledged work (invariant 2).

use e2e::audit::{Action, numbers};
use e2e::stage::PATIENCE;
use e2e::{Fault, FaultProxy, Operator, Size, Stage, Status, shared, wait_until};
use mysql_async::prelude::Queryable;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// The source of the transactions whose ids we know: number n changes order n % ORDERS + 1, and only it.
const UUID: &str = "aaaaaaaa-0000-4000-8000-00000000000a";
const ORDERS: u64 = 4_000;
/// Orders that the random load does not reach (it knows the first ones only).
const MARKED: u64 = 1_000_000;

/// A writer of marked transactions.
struct Marked {
    halt: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Marked {
    async fn start(stage: &Stage) -> Self {
        let rows: Vec<String> =
            (1..=ORDERS).map(|n| format!("({}, 1, 0, '2026-01-01')", MARKED + n)).collect();
        let insert = "INSERT INTO {db}.orders (id, user_id, total, created_at) VALUES ";
        stage.shop.run(&[format!("{insert}{}", rows.join(","))]).await;
        let (halt, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stop, count, shop) = (Arc::clone(&halt), Arc::clone(&done), stage.shop.clone());
        let task = tokio::spawn(async move {
            let mut conn = shop.conn().await;
            while !stop.load(Ordering::Relaxed) {
                let n = count.load(Ordering::Relaxed) + 1;
                let (id, db) = (marked(n), &shop.database);
                for statement in [
                    format!("SET gtid_next = '{UUID}:{n}'"),
                    format!("UPDATE {db}.orders SET total = {n} WHERE id = {id}"),
                    "SET gtid_next = 'AUTOMATIC'".to_owned(),
                ] {
                    conn.query_drop(&statement).await.unwrap();
                }
                count.store(n, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(10)).await; // its rate
            }
        });
        Self { halt, done, task }
    }

    async fn stop(self) -> u64 {
        self.halt.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.done.load(Ordering::Relaxed)
    }
}

fn marked(n: u64) -> u64 {
    MARKED + n % ORDERS + 1
}

/// Reads the checkpoint again and again; what it includes must stand in the log of actions.
struct Watch {
    halt: Arc<AtomicBool>,
    task: JoinHandle<u64>,
}

impl Watch {
    fn start(stage: &Arc<Stage>) -> Self {
        let halt = Arc::new(AtomicBool::new(false));
        let (stop, stage) = (Arc::clone(&halt), Arc::clone(stage));
        let task = tokio::spawn(async move {
            let (mut acked, mut checked, mut found) = (Acked::default(), 0, 0);
            while !stop.load(Ordering::Relaxed) {
                // the checkpoint first: the log may only be ahead of it
                let included = included(&stage);
                acked.read_on(&stage);
                // a new task's position stands before its Full has written anything
                let from = if checked == 0 { included } else { checked };
                for n in from + 1..=included {
                    let id = marked(n).to_string();
                    let until = acked.by_id.get(&id).copied().unwrap_or(0);
                    assert!(
                        until >= n,
                        "the checkpoint includes {n}, but {id} is acknowledged up to {until}"
                    );
                    found += 1;
                }
                checked = included.max(checked);
                tokio::time::sleep(Duration::from_millis(100)).await; // between two looks
            }
            found
        });
        Self { halt, task }
    }

    async fn stop(self) -> u64 {
        self.halt.store(true, Ordering::Relaxed);
        self.task.await.expect("the checkpoint never ran ahead")
    }
}

/// The last marked transaction that the stored checkpoint includes.
fn included(stage: &Stage) -> u64 {
    let checkpoint = stage.checkpoint().unwrap_or_default();
    let text = checkpoint["position"]["gtids"].as_str().unwrap_or_default().to_owned();
    numbers(&text).get(UUID).copied().unwrap_or(0)
}

/// By id: the newest marked transaction that an accepted action had seen.
#[derive(Default)]
struct Acked {
    by_id: HashMap<String, u64>,
    offset: usize,
}

impl Acked {
    fn read_on(&mut self, stage: &Stage) {
        let text = std::fs::read(stage.write_log()).unwrap_or_default();
        let new = text.get(self.offset..).unwrap_or_default();
        let Some(end) = new.iter().rposition(|byte| *byte == b'\n') else { return };
        self.offset += end + 1;
        let lines = new[..end].split(|byte| *byte == b'\n');
        for action in lines.filter_map(|line| serde_json::from_slice::<Action>(line).ok()) {
            if action.done() || action.verdict.starts_with("Superseded") {
                let seen = numbers(&action.snapshot).get(UUID).copied().unwrap_or(0);
                let slot = self.by_id.entry(action.id).or_insert(0);
                *slot = seen.max(*slot);
            }
        }
    }
}

async fn wait_status(operator: &Operator, what: &str, condition: impl Fn(&Status) -> bool) -> Status {
    operator
        .wait_until(what, PATIENCE, async || {
            let status = Status::of(operator).await?;
            if condition(&status) { Ok(status) } else { Err(status.text) }
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_nine_at_three_moments_loses_nothing() {
    let (mysql, elastic) = shared::both().await;
    let size = Size { users: 500, orders: 8_000, items_per_order: 3 };
    let mut stage = Stage::new(mysql, elastic, "crashes", size).await;
    let proxy = FaultProxy::start(&elastic.url()).await;
    stage.set("sink.elasticsearch.addresses", json!([proxy.url()]));
    stage.set("limits.batchActions", 50);
    proxy.set(Fault::DelayAnswer(Duration::from_millis(100))); // so that a build lasts
    let stage = Arc::new(stage);
    let marks = Marked::start(&stage).await;
    let driver = stage.shop.drive(42, 560);
    let (watch, begin) = (Watch::start(&stage), Instant::now());

    // 1. during the initial build
    let mut operator = stage.start();
    let status = wait_status(&operator, "a build half-way", |status| status.keys_done("full") >= 2_000).await;
    assert!(status.builds["full"].starts_with("Walking"), "{}", status.text);
    operator.kill9();

    // 2. in the middle of steady load, after the index was too busy for some of it
    proxy.set(Fault::Status { code: 429, share: 0.2 });
    operator.boot();
    operator
        .wait_until("requests are sent again", PATIENCE, async || {
            let sent =
                operator.metrics().await?.sum("binlog_operator_retries_total", &["component=\"sink\""]);
            if sent >= Some(10.0) { Ok(()) } else { Err(format!("{sent:?}")) }
        })
        .await;
    proxy.set(Fault::Pass);
    // while more changes come than it takes at once, a build stands: without them it comes to its end on any machine
    let earlier = (driver.failed(), driver.stop().await);
    wait_status(&operator, "the build's end", |status| {
        status.builds.get("full").is_some_and(|build| build.starts_with("Complete"))
    })
    .await;
    let (before, driver) = (included(&stage), stage.shop.drive(43, 560));
    wait_until("a checkpoint under load", PATIENCE, async || {
        let now = included(&stage);
        if now > before + 50 && driver.done() > 500 { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
    operator.kill9();

    // 3. while a backlog is drained
    let done = driver.done();
    wait_until("a backlog", PATIENCE, async || {
        if driver.done() > done + 2_000 { Ok(()) } else { Err(driver.done().to_string()) }
    })
    .await;
    operator.boot();
    let before = included(&stage);
    operator
        .wait_until("a part of the backlog", PATIENCE, async || {
            let position = Status::of(&operator).await?.position;
            let gtids = position.split(" (").next().unwrap_or_default();
            let now = numbers(gtids).get(UUID).copied().unwrap_or(0);
            if now > before { Ok(()) } else { Err(format!("{now}")) }
        })
        .await;
    operator.kill9();
    operator.boot();

    let (seconds, failed) = (begin.elapsed().as_secs_f64(), earlier.0 + driver.failed());
    let done = earlier.1 + driver.stop().await;
    let last = marks.stop().await;
    eprintln!("{:.0} transactions/s for {seconds:.0} s; {failed} failed", (done + last) as f64 / seconds);
    stage.equal(&operator).await;
    assert_eq!(operator.terminate(PATIENCE).await, Some(0));
    assert_eq!(included(&stage), last, "SIGTERM saves");
    let checked = watch.stop().await;
    eprintln!("{checked} of {last} marked transactions were found in checkpoints, none too early");
    assert!(checked > last / 2);
}
