//! MariaDB: the same room, other spellings. `make test-all` runs these.

use std::sync::Arc;
use std::time::{Duration, Instant};

use binlog_operator::model::{Class, Key, KeyPart, TableName};
use binlog_operator::source::{Flavor, LockTarget, Source, SourceError, SourceOptions, Visibility};
use e2e::mariadb::MariaDb;
use e2e::stage::PATIENCE;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::read;

fn source_of_root(server: &MariaDb) -> Source {
    let (server, connect_timeout) = (server.login(), PATIENCE);
    Source::new(SourceOptions { server, connect_timeout, ..SourceOptions::default() }).unwrap()
}

#[tokio::test]
async fn mariadb_is_described_read_and_waited_for() {
    let server = MariaDb::start(&[]).await;
    server
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.p (id INT PRIMARY KEY)",
            "CREATE TABLE shop.t (id INT PRIMARY KEY, v INT, u UUID, at DATETIME(3), d DECIMAL(9,2), doc JSON, \
             twice INT AS (v * 2), p INT, FOREIGN KEY (p) REFERENCES shop.p (id) ON DELETE CASCADE)",
            "INSERT INTO shop.t (id, v, u, at, d, doc) VALUES (1, 1, '123e4567-e89b-12d3-a456-426655440000', \
             '2026-11-21 12:00:00.120', 1.50, '{\"a\": 1}')",
        ])
        .await;
    let source = source_of_root(&server);
    let info = source.server().await.unwrap();
    assert!(
        info.flavor == Flavor::MariaDb && !info.gtid && info.log_bin && info.is_replica == Some(false),
        "{info:?}"
    );
    let table = TableName::new("shop", "t");
    assert_eq!(source.preflight(std::slice::from_ref(&table)).await.unwrap(), []);
    let catalog = source.catalog(std::slice::from_ref(&table)).await.unwrap();
    let described = &catalog.tables[&table];
    assert_eq!(
        (described.columns.len(), described.primary_key.as_slice()),
        (8, ["id".to_owned()].as_slice())
    );
    assert_eq!(described.columns[6].generated_from, ["v"]);
    assert!(described.foreign_keys[0].acts_on_delete && !catalog.cascades_logged);

    let start = source.start_position().await.unwrap();
    assert_eq!(start.wait_until, None);
    assert_eq!(start.position.binlog, source.executed().await.unwrap().binlog);

    let mut reader = source.reader().await.unwrap();
    let sql = "SELECT id, v, u, at, d, doc, twice FROM shop.t WHERE id IN (:ids)";
    let rows = read(&mut reader, sql, &[Key::int(1)], &Visibility::Nothing).await.unwrap();
    let want = r#"{"id":1,"v":1,"u":"123e4567-e89b-12d3-a456-426655440000","at":"2026-11-21T12:00:00.120","d":1.50,"doc":"{\"a\": 1}","twice":2}"#;
    assert_eq!(rows[0].1, want);
    let keys = reader
        .keys("SELECT u FROM shop.t WHERE id >= ?", &[KeyPart::Int(1)], &Visibility::Nothing)
        .await
        .unwrap();
    assert_eq!(keys, [Key::new([KeyPart::Text("123e4567-e89b-12d3-a456-426655440000".into())])]);

    let mut conn = Conn::new(server.opts()).await.unwrap();
    conn.query_drop("BEGIN").await.unwrap();
    conn.query_drop("UPDATE shop.t SET v = 7 WHERE id = 1").await.unwrap();
    let commit = tokio::spawn(async move {
        conn.query_drop("DO SLEEP(1)").await.unwrap();
        conn.query_drop("COMMIT").await.unwrap();
    });
    let target = LockTarget { table: "`shop`.`t`".into(), columns: "`id`".into(), key: Key::int(1) };
    let begun = Instant::now();
    let rows = read(&mut reader, sql, &[Key::int(1)], &Visibility::Locks(Arc::from([target]))).await.unwrap();
    assert!(rows[0].1.contains("\"v\":7") && begun.elapsed() > Duration::from_millis(500), "{rows:?}");
    commit.await.unwrap();

    let gtids = Visibility::Gtids("00000000-0000-0000-0000-000000000001:1".into());
    let error = read(&mut reader, sql, &[Key::int(1)], &gtids).await.unwrap_err();
    assert_eq!(error.class(), Class::Config, "{error}");
    let options = SourceOptions { query_timeout: Duration::from_millis(300), ..source.options().clone() };
    let mut hasty = Source::new(options).unwrap().reader().await.unwrap();
    let sql = "SELECT 1 AS id, SLEEP(20) FROM DUAL WHERE 1 IN (:ids)";
    let error = read(&mut hasty, sql, &[Key::int(1)], &Visibility::Nothing).await.unwrap_err();
    assert!(matches!(error, SourceError::Timeout { .. }), "{error}");
}
