//! §4.5: a second owner by force, while the first is frozen for longer than deletes are remembered (invariant 5).

use e2e::stage::PATIENCE;
use e2e::{Audit, Operator, Size, Stage, shared, wait_until};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Longer than `index.gc_deletes`.
const FROZEN: Duration = Duration::from_secs(75);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_owner_that_wakes_up_harms_nothing_and_ends() {
    let (mysql, elastic) = shared::both().await;
    let size = Size { users: 200, orders: 3_000, items_per_order: 2 };
    let mut stage = Stage::new(mysql, elastic, "owners", size).await;
    stage.set("limits.batchActions", 20); // so that batches are in flight when it freezes
    let settings = json!({"settings": {"index": {"number_of_replicas": 0, "gc_deletes": "60s"}}});
    let _ = stage.search.put(&format!("/{}", stage.index), &settings).await.ok();
    let mut first = stage.start();
    assert_eq!(stage.equal(&first).await, 3_000);

    let driver = stage.shop.drive(45, 150);
    let done = driver.done();
    wait_until("steady load", PATIENCE, async || {
        if driver.done() > done + 500 { Ok(()) } else { Err(driver.done().to_string()) }
    })
    .await;
    // a burst, so that deletes are in flight at the moment of the freeze
    let burst = {
        let shop = stage.shop.clone();
        tokio::spawn(async move {
            for id in 1_000..1_400 {
                shop.run(&[format!("DELETE FROM {{db}}.orders WHERE id = {id}")]).await;
            }
        })
    };
    let before = stage.audit().actions.len();
    wait_until("the burst is under way", PATIENCE, async || {
        if stage.audit().actions.len() > before + 100 { Ok(()) } else { Err(String::new()) }
    })
    .await;
    first.freeze();
    let since = Instant::now();
    let frozen_at = stage.audit().actions.len();

    let log = stage.state_dir.with_file_name("second.ndjson");
    let log_text = log.display().to_string();
    let second =
        Operator::start(&stage.write(), &stage.state_dir, &["--take-over", "--write-log", &log_text]);
    second.wait_ready(PATIENCE).await;
    burst.await.unwrap();
    wait_until("the first one's thaw", PATIENCE, async || {
        if since.elapsed() >= FROZEN { Ok(()) } else { Err(format!("{:?}", since.elapsed())) }
    })
    .await;
    first.resume();
    assert_eq!(first.exit(PATIENCE).await, Some(3), "{}", first.log_tail(20));
    driver.stop().await;

    let woken = stage.audit().since(frozen_at);
    let theirs = Audit::read(&log);
    fencing(&woken, &theirs);
    stage.audited = false; // there are two logs
    stage.equal(&second).await;
    let mut both = stage.audit();
    both.actions.extend(Audit::read(&log).actions);
    both.check(&stage.search.docs(&stage.index).await.unwrap());
    eprintln!("the first sent {} actions after its thaw", woken.actions.len());
}

/// Whatever the first did after its thaw carried a version below every one of the second's, and won over none.
fn fencing(woken: &Audit, second: &Audit) {
    let lowest = second.actions.iter().map(|action| action.version).min().expect("the second worked");
    let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
    for action in woken.actions.iter().chain(&second.actions) {
        *owners.entry(&action.owner).or_default() += 1;
    }
    eprintln!("actions by owner: {owners:?}");
    for action in &woken.actions {
        assert!(action.version < lowest, "{action:?} is above the second owner's versions");
    }
}
