//! §4.3: a change's event arrives seconds before the change is visible (invariant 3).

use e2e::shared;
use e2e::stage::{BinlogEnd, PATIENCE};
use e2e::{MysqlOptions, MysqlServer, Operator, Size, Stage, wait_until};
use mysql_async::prelude::Queryable;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Ended by hand long before.
const STALL: Duration = Duration::from_secs(300);
/// So long the changes stay invisible once their events are there.
const HOLD: Duration = Duration::from_secs(3);

/// Commits that wait for their stall to end.
struct Stalled(Vec<JoinHandle<()>>);

impl Stalled {
    /// Begins to commit each statement on a connection of its own; returns once all are in the binlog.
    async fn begin(mysql: &MysqlServer, stage: &Stage, statements: &[&str]) -> Self {
        mysql.arm_stall(STALL).await;
        let mut commits = Vec::new();
        for statement in statements {
            let (_, before, _) = mysql.position().await;
            let (shop, sql) = (stage.shop.clone(), statement.replace("{db}", &stage.shop.database));
            commits.push(tokio::spawn(async move { shop.conn().await.query_drop(sql).await.unwrap() }));
            wait_until("the event is in the binlog", PATIENCE, async || {
                if mysql.position().await.1 > before { Ok(()) } else { Err("not yet".into()) }
            })
            .await;
        }
        Self(commits)
    }

    /// Keeps them invisible for a while, then lets them go.
    async fn end(self, mysql: &MysqlServer) {
        tokio::time::sleep(HOLD).await;
        assert!(self.0.iter().all(|commit| !commit.is_finished()), "the stall ended too early");
        mysql.end_stall().await;
        for commit in self.0 {
            commit.await.unwrap();
        }
    }
}

async fn transactions(operator: &Operator) -> Result<f64, String> {
    Ok(operator.metrics().await?.sum("binlog_operator_transactions_total", &[]).unwrap_or(0.0))
}

const CHANGES: &[&str] = &[
    "UPDATE {db}.orders SET total = 777.77 WHERE id = 7",
    "INSERT INTO {db}.orders (id, user_id, total, created_at) VALUES (5000, 1, 5, NOW(3))",
    "DELETE FROM {db}.orders WHERE id = 8",
    "DELETE FROM {db}.order_items WHERE order_id = 9",
    "UPDATE {db}.users SET name = 'Stalled' WHERE id = 5",
];

/// The operator runs when commits stall: it has their events before they can be read.
async fn stall_while_running(mysql: &MysqlServer, stage: &Stage, operator: &Operator) {
    let before = transactions(operator).await.unwrap();
    let stalled = Stalled::begin(mysql, stage, CHANGES).await;
    operator
        .wait_until("the operator has the events", PATIENCE, async || {
            let now = transactions(operator).await?;
            if now >= before + 5.0 { Ok(()) } else { Err(format!("{before} to {now}")) }
        })
        .await;
    let doc = stage.search.doc(&stage.index, "7").await.unwrap();
    assert!(!doc.source.contains("777.77"), "read before the commit was visible");
    stalled.end(mysql).await;
    stage.equal(operator).await;
}

/// The operator is killed while commits stall, and starts at its checkpoint.
async fn stall_across_a_restart(mysql: &MysqlServer, stage: &Stage, operator: &mut Operator) {
    let changes =
        ["UPDATE {db}.orders SET total = 888.88 WHERE id = 17", "DELETE FROM {db}.orders WHERE id = 18"];
    let stalled = Stalled::begin(mysql, stage, &changes).await;
    operator.kill9();
    operator.boot();
    operator
        .wait_until("it has the events again", PATIENCE, async || {
            let now = transactions(operator).await?;
            if now >= 2.0 { Ok(()) } else { Err(now.to_string()) }
        })
        .await;
    stalled.end(mysql).await;
    stage.equal(operator).await;
}

/// The start position of a new task is taken while commits stall.
async fn stall_across_the_start(mysql: &MysqlServer, stage: &Stage) {
    let stalled = Stalled::begin(mysql, stage, CHANGES).await;
    let operator = stage.start();
    let asks = "SELECT COUNT(*) FROM performance_schema.processlist WHERE ID <> CONNECTION_ID() AND INFO LIKE '%performance_schema.log_status%'";
    operator
        .wait_until("a position is waited for, or taken", PATIENCE, async || {
            let asked: Option<u64> = mysql.conn().await.query_first(asks).await.unwrap();
            let taken = operator.log().contains("opening the binlog stream");
            if taken || asked > Some(0) { Ok(()) } else { Err("not yet".into()) }
        })
        .await;
    stalled.end(mysql).await;
    stage.equal(&operator).await;
    assert!(stage.search.doc(&stage.index, "7").await.unwrap().source.contains("777.77"));
}

async fn all(gtid: bool) {
    let (mysql, elastic) =
        tokio::join!(MysqlServer::start(MysqlOptions { gtid, ..MysqlOptions::default() }), shared::elastic());
    let prefix = if gtid { "stall_gtid" } else { "stall_file" };
    let stage = Stage::new(&mysql, elastic, prefix, Size::SMALL).await;
    let mut operator = stage.start();
    assert_eq!(stage.equal(&operator).await, 200);
    stall_while_running(&mysql, &stage, &operator).await;
    stall_across_a_restart(&mysql, &stage, &mut operator).await;
    drop(operator);

    let stage = Stage::new(&mysql, elastic, prefix, Size::SMALL).await;
    stall_across_the_start(&mysql, &stage).await;
    if !gtid {
        // with the grants by which the server itself says what is visible
        mysql
            .run(&[
                "GRANT BACKUP_ADMIN ON *.* TO sync@'%'",
                "GRANT SELECT ON performance_schema.log_status TO sync@'%'",
            ])
            .await;
        let stage = Stage::new(&mysql, elastic, prefix, Size::SMALL).await;
        stall_across_the_start(&mysql, &stage).await;
        assert!(matches!(BinlogEnd::of(stage.shop.opts()).await.unwrap(), BinlogEnd::File(..)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_not_visible_yet_is_waited_for_with_gtids() {
    all(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_not_visible_yet_is_waited_for_without_gtids() {
    all(false).await;
}
