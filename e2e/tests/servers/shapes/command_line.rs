//! Builds from the command line, without a stream.

use std::path::Path;

use super::rig::{run, statements};
use e2e::operator::binary;
use e2e::shop::grant_sync;
use e2e::stage::PATIENCE;
use e2e::{Checker, Kind, Scratch, TaskFile, shared};

/// Runs `binlog-operator` to its end: exit code, standard output and standard error.
async fn command(folder: &Path, args: &[&str]) -> (i32, String) {
    let output = tokio::process::Command::new(binary())
        .args(args)
        .current_dir(folder)
        .env("RUST_LOG", "info")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, output).await.unwrap().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn documents_are_built_once() {
    let (mysql, elastic) = shared::both().await;
    let db = shared::name("once");
    let setup = [
        "CREATE DATABASE {db}",
        "CREATE TABLE {db}.orders (id INT PRIMARY KEY, state VARCHAR(10))",
        "INSERT INTO {db}.orders WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 500) SELECT n, 'new' FROM r",
    ];
    run(&mysql.opts(), &statements(&setup), &db).await;
    grant_sync(&mysql.opts(), &db).await;
    let (index, search, scratch) = (db.to_lowercase(), elastic.search(), Scratch::new("once"));
    let sql = format!("SELECT o.id, o.state FROM {db}.orders o WHERE o.id IN (:ids)");
    let file = TaskFile::new("once", mysql.port(), "http://127.0.0.1:1", &sql, &index);
    file.write(scratch.path());
    let checker = Checker::new(
        format!("SELECT CAST(id AS CHAR), id, state FROM {db}.orders"),
        &[Kind::Number, Kind::Text],
    );
    let address = format!("spec.sink.elasticsearch.addresses[0]={}", elastic.url());
    let base = ["reindex", "-f", "task.yaml", "--set", &address];
    let with = |more: &[&'static str]| [&base[..], more].concat();
    let (code, said) = command(scratch.path(), &with(&["--log-file", "log"])).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("500 written, 0 deleted, 0 dead letter(s)"), "{said}");
    assert_eq!(checker.check(&mysql.opts(), &search, &index).await, Ok(500));
    let log = std::fs::read_to_string(scratch.path().join("log")).unwrap();
    assert!(log.contains("taking a position"), "{log}");
    // another one: only what is selected
    let changes =
        ["UPDATE {db}.orders SET state = 'old' WHERE id < 5", "DELETE FROM {db}.orders WHERE id = 7"];
    run(&mysql.opts(), &statements(&changes), &db).await;
    let (code, said) = command(scratch.path(), &with(&["--where", "o.id < 3", "--page-size", "1"])).await;
    assert!(code == 0 && said.contains("2 written"), "{said}");
    let (code, said) = command(scratch.path(), &with(&["--id", "3", "--id", "4", "--id", "7"])).await;
    assert!(code == 0 && said.contains("2 written, 1 deleted"), "{said}");
    assert_eq!(checker.check(&mysql.opts(), &search, &index).await, Ok(499));
    let (code, said) = command(scratch.path(), &with(&["--where", "nope > 3"])).await;
    assert!(code == 1 && said.contains("nope"), "{said}");
    let (code, said) = command(scratch.path(), &with(&["--set", "spec.limits.lanse=3"])).await;
    assert!(code == 1 && said.contains("did you mean \"lanes\""), "{said}");
}

#[tokio::test]
async fn explain_asks_the_server() {
    let (mysql, elastic) = shared::both().await;
    let db = shared::name("explained");
    let setup = [
        "CREATE DATABASE {db}",
        "CREATE TABLE {db}.orders (id INT PRIMARY KEY, user_id INT, KEY by_user (user_id))",
        "CREATE TABLE {db}.users (id INT PRIMARY KEY, name VARCHAR(20))",
        "CREATE TABLE {db}.items (id INT PRIMARY KEY, order_id INT)",
        "INSERT INTO {db}.users WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 300) SELECT n, 'u' FROM r",
        "INSERT INTO {db}.orders SELECT id, id FROM {db}.users",
        "INSERT INTO {db}.items SELECT id, id FROM {db}.users",
        "ANALYZE TABLE {db}.orders, {db}.users, {db}.items",
    ];
    run(&mysql.opts(), &statements(&setup), &db).await;
    grant_sync(&mysql.opts(), &db).await;
    let scratch = Scratch::new("explained");
    let sql = format!(
        "SELECT o.id, u.name, (SELECT COUNT(*) FROM {db}.items i WHERE i.order_id = o.id) AS n
           FROM {db}.orders o JOIN {db}.users u ON u.id = o.user_id WHERE o.id IN (:ids)"
    );
    TaskFile::new("explained", mysql.port(), &elastic.url(), &sql, &db).write(scratch.path());
    let (code, said) = command(scratch.path(), &["explain", "-f", "task.yaml"]).await;
    assert_eq!(code, 0, "{said}");
    for want in [
        "on this server",
        "reading a document",
        "i: ALL, no index, about 300 row(s)",
        &format!("a change of {db}.users: looking up its id"),
        "o: ref, by_user, about 1 row(s)",
        &format!(
            "each read of a document goes through all of {db}.items: CREATE INDEX ... ON {db}.items (order_id)"
        ),
    ] {
        assert!(said.contains(want), "{want}\n{said}");
    }
}
