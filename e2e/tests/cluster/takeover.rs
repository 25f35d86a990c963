//! Two operators and one lease, and an API server that goes away: nothing is lost, and one works at a time.

use e2e::stage::PATIENCE;
use e2e::{Cluster, ClusterTask, Namespace, Operator, Size, cluster, shared, wait_until};
use std::time::{Duration, Instant};

/// A dead or frozen leader is replaced within this time.
const TAKEOVER: Duration = Duration::from_secs(15);

/// How long the API server is away.
const OUTAGE: Duration = Duration::from_secs(30);

async fn holder(space: &Namespace<'_>) -> Result<String, String> {
    let lease = space.cluster.kube().get(&space.path("leases/binlog-operator")).await?;
    Ok(lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned())
}

/// Waits until somebody else holds the lease, and a change made now is in the index; the time of both.
async fn taken_over(task: &ClusterTask<'_>, from: &str, id: u64) -> Duration {
    let begin = Instant::now();
    wait_until("another leader", PATIENCE, async || {
        let now = holder(task.space).await?;
        if now.is_empty() || now.starts_with(from) { Err(now) } else { Ok(()) }
    })
    .await;
    let led = begin.elapsed();
    // a row of its own: the load changes and deletes the others
    task.shop
        .run(&[format!(
            "INSERT INTO {{db}}.orders (id, user_id, total, created_at) VALUES ({id}, 1, 1, NOW(3))"
        )])
        .await;
    wait_until("the change is in the index", PATIENCE, async || {
        task.search.doc(&task.index, &id.to_string()).await.map(drop).ok_or_else(|| "no document".to_owned())
    })
    .await;
    eprintln!("another leader after {led:.1?}, following after {:.1?}", begin.elapsed());
    led
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_and_a_frozen_leader_are_replaced() {
    let space = cluster::shared().await.namespace("takeover").await;
    let (mysql, elastic) = shared::both().await;
    let task = ClusterTask::new(&space, mysql, elastic, Size::SMALL).await;
    let mut first = Operator::in_cluster(&space, &["--identity", "first"]);
    task.apply().await;
    task.equal().await;
    assert!(holder(&space).await.unwrap().starts_with("first"));
    let second = Operator::in_cluster(&space, &["--identity", "second"]);
    // a standby is ready, so that a rollout goes on
    second.wait_ready(PATIENCE).await;

    let driver = task.shop.drive(11, 200);
    first.kill9();
    let time = taken_over(&task, "first", 20_000_000).await;
    assert!(time < TAKEOVER, "{time:?} after kill -9");
    driver.stop().await;
    task.equal().await;

    first.boot();
    first.wait_ready(PATIENCE).await;
    let driver = task.shop.drive(12, 200);
    second.freeze();
    let time = taken_over(&task, "second", 30_000_000).await;
    assert!(time < TAKEOVER, "{time:?} after SIGSTOP");
    // what it still had in flight meets the new owner's versions
    second.resume();
    let mut second = second;
    second.exit(PATIENCE).await;
    driver.stop().await;
    task.equal().await;
    assert!(holder(&space).await.unwrap().starts_with("first"));

    // a stopped one gives the lease back: no need to wait for it to expire
    second.boot();
    second.wait_ready(PATIENCE).await;
    assert_eq!(first.terminate(PATIENCE).await, Some(0));
    let time = taken_over(&task, "first", 40_000_000).await;
    assert!(time < Duration::from_secs(5), "{time:?} after SIGTERM");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_goes_away_loses_nothing() {
    let cluster = Cluster::start().await; // its own: the others need theirs
    let space = cluster.namespace("away").await;
    let (mysql, elastic) = shared::both().await;
    let task = ClusterTask::new(&space, mysql, elastic, Size::SMALL).await;
    let mut operator = Operator::in_cluster(&space, &[]);
    task.apply().await;
    task.equal().await;
    let driver = task.shop.drive(13, 200);
    cluster.kill_api().await;
    let begin = Instant::now();
    let outage =
        async || if begin.elapsed() < OUTAGE { Err(format!("{:?}", begin.elapsed())) } else { Ok(()) };
    wait_until("the outage to last", PATIENCE, outage).await;
    // nobody else can take the lease meanwhile, so the documents go on following
    let id = 20_000_000u64;
    task.shop
        .run(&[format!(
            "INSERT INTO {{db}}.orders (id, user_id, total, created_at) VALUES ({id}, 1, 1, NOW(3))"
        )])
        .await;
    wait_until("a change is in the index without an API server", PATIENCE, async || {
        task.search.doc(&task.index, &id.to_string()).await.map(drop).ok_or_else(|| "no document".to_owned())
    })
    .await;
    let written =
        operator.metrics().await.unwrap().sum("binlog_operator_documents_written_total", &[]).unwrap();
    assert!(written > 400.0, "{written}");
    cluster.boot_api().await;
    driver.stop().await;
    task.equal().await;
    let written =
        operator.metrics().await.unwrap().sum("binlog_operator_documents_written_total", &[]).unwrap();
    wait_until("the status has caught up", PATIENCE, async || {
        let status = task.object().await?["status"].clone();
        let told = status["documentsWritten"].as_f64().unwrap_or(0.0);
        if told >= written { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    // not by starting anew
    assert_eq!(operator.terminate(PATIENCE).await, Some(0));
    assert_eq!(operator.log().matches("starting a worker").count(), 1, "{}", operator.log());
}
