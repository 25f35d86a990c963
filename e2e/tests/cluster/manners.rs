//! Many tasks on one operator are quiet: what is asked of the API server and what they cost is counted.

use e2e::cluster_task::condition_of;
use e2e::shop::grant_sync;
use e2e::stage::PATIENCE;
use e2e::{ClusterTask, MysqlOptions, MysqlServer, Namespace, Operator, Scratch, Size, TaskFile};
use e2e::{cluster, shared, wait_until};
use mysql_async::prelude::Queryable;
use std::time::{Duration, Instant};

const TASKS: usize = 200;
/// Resident memory of an operator with all of them, in KiB.
const MEMORY: u64 = 120 * 1_000_000 / 1024;
/// Writes are counted for so long.
const WINDOW: Duration = Duration::from_secs(60);
/// A busy task's checkpoint and status are written once in so many seconds at most.
const CHECKPOINT: u64 = 10;
const STATUS: u64 = 30;

/// What the operator has written so far, but for its lease: `VERB PATH CODE`.
fn writes(space: &Namespace<'_>) -> Vec<String> {
    let reads = ["get ", "list ", "watch "];
    let asked = space.cluster.requests_of(&space.user());
    let wrote = |line: &String| !reads.iter().any(|verb| line.starts_with(verb)) && !line.contains("/leases");
    asked.into_iter().filter(wrote).collect()
}

/// Waits until every task is ready and its initial sync complete.
async fn all_ready(space: &Namespace<'_>) {
    wait_until("every task in sync", PATIENCE * 3, async || {
        let kube = space.cluster.kube();
        let (tasks, builds) =
            (kube.get(&space.path("synctasks")).await?, kube.get(&space.path("reindexes")).await?);
        let tasks = tasks["items"].as_array().into_iter().flatten();
        let ready = tasks.filter(|task| condition_of(task, "Ready").starts_with("True InSync")).count();
        let builds = builds["items"].as_array().into_iter().flatten();
        let complete = builds.filter(|build| build["status"]["phase"] == "Complete").count();
        if (ready, complete) == (TASKS, TASKS) {
            Ok(())
        } else {
            Err(format!("{ready} ready, {complete} complete"))
        }
    })
    .await;
}

/// Waits until nothing has been written for longer than a status may be held back.
async fn quiet(space: &Namespace<'_>) {
    let mut last = (writes(space).len(), Instant::now());
    wait_until("no more writes", PATIENCE * 2, async || {
        let now = writes(space).len();
        if now != last.0 {
            last = (now, Instant::now());
        }
        let still = last.1.elapsed();
        if still > Duration::from_secs(STATUS + 5) {
            Ok(())
        } else {
            Err(format!("{now} writes, none for {still:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_idle_tasks_write_nothing_but_the_lease() {
    let space = &cluster::shared().await.namespace("idle").await;
    let mysql = MysqlServer::start(MysqlOptions::default().flag("--max-connections=2000")).await;
    let elastic = shared::elastic().await;
    mysql
        .run(&[
            "CREATE DATABASE idle",
            "CREATE TABLE idle.notes (id INT PRIMARY KEY, note VARCHAR(20))",
            "INSERT INTO idle.notes VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        ])
        .await;
    grant_sync(&mysql.opts(), "idle").await;
    let sql = "SELECT n.id, n.note FROM idle.notes n WHERE n.id IN (:ids)";
    let files: Vec<String> = (0..TASKS)
        .map(|n| TaskFile::new(&format!("idle-{n}"), mysql.port(), &elastic.url(), sql, &format!("idle-{n}")))
        .map(|file| file.render())
        .collect();
    let scratch = Scratch::new("idle");
    let path = scratch.path().join("tasks.yaml");
    std::fs::write(&path, files.join("---\n")).unwrap();
    let operator = Operator::in_cluster(space, &[]);
    space.run(&["apply", "-f", &path.display().to_string()]).await;
    all_ready(space).await;
    quiet(space).await;
    let (before, processor) = (writes(space), operator.processor_time());
    tokio::time::sleep(WINDOW).await; // a count over time needs time
    let (after, used) = (writes(space), operator.processor_time().saturating_sub(processor));
    let connections: Option<u64> = mysql
        .conn()
        .await
        .query_first("SELECT COUNT(*) FROM performance_schema.processlist WHERE USER = 'sync'")
        .await
        .unwrap();
    let (resident, connections) = (operator.resident_kib(), connections.unwrap_or_default());
    eprintln!(
        "{TASKS} idle tasks: {:.1} MB resident, {used:?} of processor time in {WINDOW:?}, {connections} connections to MySQL, {} writes",
        resident as f64 * 1024.0 / 1e6,
        after.len() - before.len()
    );
    assert_eq!(after[before.len()..], [] as [String; 0]);
    assert!(resident < MEMORY, "{resident} KiB resident");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_task_writes_its_checkpoint_and_status_now_and_then() {
    let space = &cluster::shared().await.namespace("busy").await;
    let (mysql, elastic) = shared::both().await;
    let mut task = ClusterTask::new(space, mysql, elastic, Size::SMALL).await;
    task.file = task.file.set("limits.checkpointInterval", serde_json::Value::Null);
    let operator = Operator::in_cluster(space, &[]);
    task.apply().await;
    task.wait_condition("Ready", "True InSync").await;
    let driver = task.shop.drive(7, 200);
    let done = driver.done();
    wait_until("a steady load", PATIENCE, async || {
        if driver.done() > done + 200 { Ok(()) } else { Err(driver.done().to_string()) }
    })
    .await;
    let before = writes(space);
    tokio::time::sleep(WINDOW).await; // a count over time needs time
    let after = writes(space);
    let transactions = driver.stop().await;
    let news = &after[before.len()..];
    let count = |path: &str| news.iter().filter(|line| line.contains(path)).count() as u64;
    let (checkpoints, statuses) = (count("-checkpoint"), count("/synctasks/busy/status"));
    let said = task.object().await.unwrap();
    let metrics = operator.metrics().await.unwrap();
    eprintln!("{:#}\n{metrics:?}", said["status"]);
    eprintln!(
        "busy: {transactions} transactions; in {WINDOW:?} {checkpoints} checkpoints, {statuses} statuses"
    );
    let found = || format!("{news:#?}\n{}", operator.log_tail(60));
    assert!((1..=WINDOW.as_secs() / CHECKPOINT + 1).contains(&checkpoints), "{}", found());
    assert!((1..=WINDOW.as_secs() / STATUS + 1).contains(&statuses), "{}", found());
    assert_eq!(count(""), checkpoints + statuses, "{}", found());
    task.equal().await;
}
