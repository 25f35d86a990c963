//! §4.4: outages of the index, the source and the state's disk lose nothing and are told (invariants 6 and 11).

use e2e::stage::PATIENCE;
use e2e::{
    ElasticServer, Engine, MysqlOptions, MysqlServer, Operator, Size, SmallDisk, Stage, Status,
    wait_condition, wait_until,
};
use std::time::{Duration, Instant};

const OUTAGE: Duration = Duration::from_secs(20);

/// While it lasts, the operator stays unready and alive.
async fn stays_unready(operator: &Operator, since: Instant, lasts: Duration) {
    wait_until("the end of the outage", PATIENCE, async || {
        let status = Status::of(operator).await?;
        assert!(!status.ready, "ready in an outage: {}", status.text);
        if since.elapsed() >= lasts { Ok(()) } else { Err(String::new()) }
    })
    .await;
}

async fn recovered(operator: &Operator) {
    operator.wait_ready(PATIENCE).await;
    for condition in ["SinkConnected", "SourceConnected"] {
        wait_condition(operator, condition, "True").await;
    }
    let metrics = operator.metrics().await.unwrap();
    for name in ["dead_letters", "dead_letters_total", "gaps_total"] {
        let sum = metrics.sum(&format!("binlog_operator_{name}"), &[]).unwrap_or(0.0);
        assert!(sum == 0.0, "{name} is {sum}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outages_of_index_source_and_disk_lose_nothing() {
    let (mut mysql, mut elastic) = tokio::join!(
        MysqlServer::start(MysqlOptions::default()),
        ElasticServer::start(Engine::Elasticsearch9)
    );
    let size = Size { users: 500, orders: 5_000, items_per_order: 3 };
    let disk = SmallDisk::mount(512);
    let mut stage = Stage::new(&mysql, &elastic, "outages", size).await;
    stage.state_dir = disk.path().join("state");
    let operator = stage.start();
    assert_eq!(stage.equal(&operator).await, 5_000);
    let driver = stage.shop.drive(44, 200);

    // Elasticsearch is killed
    elastic.kill9();
    let since = Instant::now();
    wait_condition(&operator, "SinkConnected", "False NotWriting").await;
    wait_condition(&operator, "Ready", "False SinkUnavailable").await;
    stays_unready(&operator, since, OUTAGE).await;
    elastic.boot().await;
    recovered(&operator).await;

    // MySQL is restarted
    mysql.stop().await;
    wait_condition(&operator, "SourceConnected", "False NotStreaming").await;
    wait_condition(&operator, "Ready", "False SourceUnavailable").await;
    mysql.boot().await;
    recovered(&operator).await;
    mysql.kill9();
    wait_condition(&operator, "SourceConnected", "False NotStreaming").await;
    mysql.boot().await;
    recovered(&operator).await;

    // the state's disk is full
    disk.fill();
    wait_condition(&operator, "Ready", "False CheckpointNotSaved").await;
    let written = async || {
        operator.metrics().await.unwrap().sum("binlog_operator_documents_written_total", &[]).unwrap_or(0.0)
    };
    let before = written().await;
    wait_until("documents are written although the disk is full", PATIENCE, async || {
        let now = written().await;
        if now > before + 500.0 { Ok(()) } else { Err(format!("{before} to {now}")) }
    })
    .await;
    disk.free();
    recovered(&operator).await;

    eprintln!("{} transactions failed, {} done", driver.failed(), driver.stop().await);
    stage.equal(&operator).await;
    recovered(&operator).await;
}
