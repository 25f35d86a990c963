//! The key's type changes in mid-stream. Its builds sweep away all documents, which waits until no write of before can
//! land any more.

use super::rig::{Plan, Rig, statements};
use e2e::{Kind, shared};

/// Keys are bound by their column's type: what is prepared before it changes does not find them after it, and ids
/// that wait for their turn are spelled as before.
async fn key_of_another_type(before: &str, after: &str, key: &str) {
    let mut plan = Plan::on(shared::mysql().await, "keytype");
    plan.sql = "SELECT m.id, m.n FROM {db}.main m WHERE m.id IN (:ids)".into();
    plan.check = "SELECT CAST(m.id AS CHAR), CAST(m.id AS CHAR) AS id, m.n FROM {db}.main m".into();
    plan.kinds = vec![Kind::Text, Kind::Number];
    plan.edit = |file, _| file.set("types.decimal", "String");
    plan.setup = statements(&[
        &format!("CREATE TABLE {{db}}.main (id {before} PRIMARY KEY, n INT)"),
        "INSERT INTO {db}.main WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 300)
           SELECT n, n FROM r",
    ]);
    let mut rig = Rig::start(plan).await;
    let alter = format!("ALTER TABLE {{db}}.main MODIFY id {after}");
    rig.run(&["UPDATE {db}.main SET n = 1 WHERE n < 100", &alter]).await;
    rig.run(&[&format!("INSERT INTO {{db}}.main VALUES ({key}, 1)"), "UPDATE {db}.main SET n = 2"]).await;
    rig.equal("another type of the key").await;
    rig.run(&[&format!("UPDATE {{db}}.main SET n = 3 WHERE id = {key}")]).await;
    rig.equal("a change after it").await;
    rig.stop().await;
    let back = format!("ALTER TABLE {{db}}.main MODIFY id {before}");
    rig.run(&["UPDATE {db}.main SET n = 4", &format!("DELETE FROM {{db}}.main WHERE id = {key}"), &back])
        .await;
    rig.run(&["UPDATE {db}.main SET n = 5 WHERE n % 2 = 0"]).await;
    rig.operator.boot();
    rig.equal("a type that came back while nobody looked").await;
}

#[tokio::test]
async fn key_of_more_digits() {
    key_of_another_type("DECIMAL(10,1)", "DECIMAL(12,4)", "1.2345").await;
}

#[tokio::test]
async fn key_that_becomes_text() {
    key_of_another_type("DECIMAL(20,0)", "VARCHAR(30)", "'seven'").await;
}
