//! Invariant 3: a read sees every transaction that the stream had delivered.

use std::sync::Arc;
use std::time::Duration;

use binlog_operator::model::{Class, Key, KeyPart};
use binlog_operator::source::{LockTarget, Source, SourceError, SourceOptions, Visibility};
use e2e::{MysqlOptions, MysqlServer};
use mysql_async::prelude::Queryable;

use super::stall::Stall;
use super::{options, read, read_at_last, source_of};

const QUERY: &str = "SELECT id, v FROM stall.t WHERE id IN (:ids)";

async fn stalling(gtid: bool) -> MysqlServer {
    let server = MysqlServer::start(MysqlOptions { gtid, ..MysqlOptions::default() }).await;
    server
        .run(&[
            "CREATE DATABASE stall",
            "CREATE TABLE stall.t (id INT PRIMARY KEY, v INT, other INT, KEY covering (other))",
            "CREATE TABLE stall.s (a VARCHAR(20), b BINARY(4), v INT, PRIMARY KEY (a, b))",
            "INSERT INTO stall.t VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)",
            "INSERT INTO stall.s VALUES ('it''s', x'01020300', 1)",
            "CREATE USER sync IDENTIFIED BY 'sync-pw'",
            "GRANT SELECT ON stall.* TO sync",
        ])
        .await;
    server
}

#[tokio::test]
async fn gtids_the_snapshot_is_made_after_the_wait() {
    let server = stalling(true).await;
    let mut reader = source_of(&server, "sync", "sync-pw").reader().await.unwrap();
    // an older snapshot is open on this very connection
    let before = Visibility::Gtids(server.position().await.2.into());
    let rows = read(&mut reader, QUERY, &[Key::int(1)], &before).await.unwrap();
    assert_eq!(rows[0].1, r#"{"id":1,"v":1}"#);
    let stall = Stall::begin(&server, "UPDATE stall.t SET v = 10 WHERE id = 1").await;
    let rows = read(&mut reader, QUERY, &[Key::int(1)], &Visibility::Nothing).await.unwrap();
    assert_eq!(rows[0].1, r#"{"id":1,"v":1}"#, "the stall does not work");
    let (delivered, ids) = (stall.delivered(), [Key::int(1)]);
    let asked = read(&mut reader, QUERY, &ids, &delivered);
    let rows = stall.until_asked("WAIT_FOR_EXECUTED_GTID_SET", asked).await.unwrap();
    assert_eq!(rows[0].1, r#"{"id":1,"v":10}"#);
    let found =
        reader.keys("SELECT id FROM stall.t WHERE v >= ?", &[KeyPart::Int(10)], &before).await.unwrap();
    assert_eq!(found, [Key::int(1)], "the next read is not bound to the snapshot before");
}

#[tokio::test]
async fn gtids_not_visible_in_time_is_no_answer() {
    let server = stalling(true).await;
    let limit = Duration::from_millis(700);
    let options = SourceOptions { visibility_timeout: limit, ..options(&server) };
    let mut reader = Source::new(options).unwrap().reader().await.unwrap();
    let stall = Stall::begin(&server, "DELETE FROM stall.t WHERE id = 1").await;
    let set = stall.delivered();
    let error = read(&mut reader, QUERY, &[Key::int(1)], &set).await.unwrap_err();
    assert!(matches!(error, SourceError::NotVisible { .. }) && error.class() == Class::Retry, "{error}");
    stall.end().await;
    assert!(read_at_last(&mut reader, QUERY, &[Key::int(1)], &set).await.is_empty());
    // thousands of intervals
    let uuid = server.position().await.2.split(':').next().unwrap().to_owned();
    let many: Vec<String> = (1..5000).map(|n| format!("{}-{}", 2 * n, 2 * n)).collect();
    let never = Visibility::Gtids(format!("{uuid}:{}", many.join(":")).into());
    let error = read(&mut reader, QUERY, &[Key::int(1)], &never).await.unwrap_err();
    assert!(matches!(error, SourceError::NotVisible { .. }), "{error}");
}

#[tokio::test]
async fn without_gtids_locks_wait_for_the_commit() {
    let server = stalling(false).await;
    let mut reader = source_of(&server, "sync", "sync-pw").reader().await.unwrap();
    let target = |table: &str, columns: &str, parts: Vec<KeyPart>| {
        let (table, columns) = (table.to_owned(), columns.to_owned());
        LockTarget { table, columns, key: Key::new(parts) }
    };
    let row = |id: i64| target("`stall`.`t`", "`id`", vec![KeyPart::Int(id)]);
    let text = || {
        let parts = vec![KeyPart::Text("it's".into()), KeyPart::Binary([1, 2, 3, 0].into())];
        target("`stall`.`s`", "`a`, `b`", parts)
    };
    let cases = [
        ("UPDATE stall.t SET v = 10 WHERE id = 1", row(1), 1, Some(r#"{"id":1,"v":10}"#)),
        ("DELETE FROM stall.t WHERE id = 2", row(2), 2, None),
        ("INSERT INTO stall.t VALUES (4, 4, 4)", row(4), 4, Some(r#"{"id":4,"v":4}"#)),
        ("UPDATE stall.s, stall.t SET s.v = 2, t.v = 5 WHERE t.id = 3", text(), 3, Some(r#"{"id":3,"v":5}"#)),
    ];
    for (sql, target, id, want) in cases {
        let before = read(&mut reader, QUERY, &[Key::int(id)], &Visibility::Nothing).await.unwrap();
        let stall = Stall::begin(&server, sql).await;
        let still = read(&mut reader, QUERY, &[Key::int(id)], &Visibility::Nothing).await.unwrap();
        assert_eq!(still, before, "the stall does not work: {sql}");
        let locks = Visibility::Locks(Arc::from([row(999), target]));
        let ids = [Key::int(id)];
        let asked = read(&mut reader, QUERY, &ids, &locks);
        let rows = stall.until_asked("LOCK IN SHARE MODE", asked).await.unwrap();
        assert_eq!(rows.first().map(|row| row.1.as_str()), want, "{sql}");
    }
    // thousands of rows, none of which is locked, and no lock stays behind
    let many: Vec<LockTarget> = (1000..4000).map(row).chain([row(1)]).collect();
    read(&mut reader, QUERY, &[Key::int(1)], &Visibility::Locks(many.into())).await.unwrap();
    server.run(&["SET innodb_lock_wait_timeout = 1", "UPDATE stall.t SET v = 11 WHERE id = 1"]).await;
    server.run(&["SET innodb_lock_wait_timeout = 1", "INSERT INTO stall.t VALUES (1000, 1, 1)"]).await;
}

#[tokio::test]
async fn a_lock_that_does_not_come_is_a_retry() {
    let server = stalling(false).await;
    let options = SourceOptions { visibility_timeout: Duration::from_secs(1), ..options(&server) };
    let mut reader = Source::new(options).unwrap().reader().await.unwrap();
    let mut conn = server.conn().await;
    conn.query_drop("BEGIN").await.unwrap();
    conn.query_drop("UPDATE stall.t SET v = 10 WHERE id = 1").await.unwrap();
    let target = LockTarget { table: "stall.t".into(), columns: "id".into(), key: Key::int(1) };
    let locks = Visibility::Locks(Arc::from([target]));
    let error = read(&mut reader, QUERY, &[Key::int(1)], &locks).await.unwrap_err();
    assert_eq!(error.class(), Class::Retry, "{error}");
    conn.query_drop("ROLLBACK").await.unwrap();
    let rows = read_at_last(&mut reader, QUERY, &[Key::int(1)], &locks).await;
    assert_eq!(rows[0].1, r#"{"id":1,"v":1}"#);
}
