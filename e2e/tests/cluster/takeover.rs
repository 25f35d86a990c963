//! Two operators and one lease, and an API server that goes away: nothing is lost, and one works at a time.

use e2e::stage::PATIENCE;
use e2e::{Cluster, ClusterTask, Namespace, Operator, Size, cluster, shared, wait_until};
use std::time::{Duration, Instant};

/// A dead or frozen leader is replaced within this time.
const TAKEOVER: Duration = Duration::from_secs(15);

async fn holder(space: &Namespace<'_>) -> Result<String, String> {
    let lease = space.cluster.kube().get(&space.path("leases/binlog-operator")).await?;
    Ok(lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned())
}

/// Waits until somebody else holds the lease, and a change made now is in the index; the time of both.
async fn taken_over(task: &ClusterTask<'_>, from: &str, total: u32) -> Duration {
    let begin = Instant::now();
    wait_until("another leader", PATIENCE, async || {
        let now = holder(task.space).await?;
        if now.is_empty() || now.starts_with(from) { Err(now) } else { Ok(()) }
    })
    .await;
    let led = begin.elapsed();
    task.shop.run(&[format!("UPDATE {{db}}.orders SET total = {total} WHERE id = 1")]).await;
    wait_until("the change is in the index", PATIENCE, async || {
        let doc = task.search.doc(&task.index, "1").await.ok_or("no document")?;
        if doc.source.contains(&format!("{total}.")) { Ok(()) } else { Err(doc.source) }
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
    let time = taken_over(&task, "first", 70_001).await;
    assert!(time < TAKEOVER, "{time:?} after kill -9");
    driver.stop().await;
    task.equal().await;

    first.boot();
    first.wait_ready(PATIENCE).await;
    let driver = task.shop.drive(12, 200);
    second.freeze();
    let time = taken_over(&task, "second", 70_002).await;
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
    let time = taken_over(&task, "first", 70_003).await;
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
    // without an API server there is no lease: it must not go on as if it led
    let code = operator.exit(Duration::from_secs(30)).await;
    assert_ne!(code, Some(0), "a lost lease is no success");
    operator.boot(); // as a kubelet does
    let before = driver.done();
    wait_until("transactions without an API server", PATIENCE, async || {
        if driver.done() > before + 500 { Ok(()) } else { Err(driver.done().to_string()) }
    })
    .await;
    cluster.boot_api().await;
    driver.stop().await;
    task.wait_condition("Ready", "True").await;
    task.equal().await;
}
