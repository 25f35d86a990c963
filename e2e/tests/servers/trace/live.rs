//! What comes from servers: their binlogs as they are streamed, and the relay logs of replicas.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use e2e::operator::binary;
use e2e::process::Process;
use e2e::stage::PATIENCE;
use e2e::{MysqlOptions, MysqlServer, Scratch, wait_until};
use mysql_async::prelude::Queryable;

use super::inputs::{ids, three_files, with};
use super::rig::{apply, differences, dump, fingerprint, trace, trace_from};

#[tokio::test]
async fn a_live_server_is_read_to_its_end_and_followed() {
    let (server, scratch, files) = three_files(MysqlOptions::default()).await;
    let url = format!("mysql://root@127.0.0.1:{}/", server.port());
    let statements = |out: &str| -> Vec<String> {
        out.lines().filter(|line| line.starts_with("INSERT")).map(str::to_owned).collect()
    };
    let live = trace(&["sql", "--from", &url]);
    assert_eq!(live.code, 0, "{}", live.err);
    assert_eq!(statements(&live.out), statements(&trace(&with(&["sql"], &files)).ok()));
    assert!(live.out.contains("binlog.000002:"), "places are the server's");
    let late = trace(&["sql", "--from", &url, "--start-file", "binlog.000003", "--schema-from", &url]);
    assert_eq!((late.code, ids(&late)), (0, (10..15).collect()), "{}", late.err);
    let (_, _, executed) = server.position().await;
    let args =
        ["trace", "sql", "--from", &url, "--executed-gtids", &executed, "--schema-from", &url, "--follow"];
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let follower = Process::spawn(binary(), &args, &[], &scratch.path().join("follower"));
    server.run(&["INSERT INTO d.t VALUES (77, 'live')"]).await;
    wait_until("the row", PATIENCE, async || {
        let log = follower.log();
        let found = log.lines().any(|line| line.starts_with("INSERT") && line.contains("(77,'live')"));
        if found { Ok(()) } else { Err(log) }
    })
    .await;
    killed_is_not_done(&server, follower).await;
}

/// A server whose thread is killed ends its stream as one does that has no more.
async fn killed_is_not_done(server: &MysqlServer, mut follower: Process) {
    let mut conn = server.conn().await;
    let threads = "SELECT ID FROM performance_schema.processlist WHERE COMMAND LIKE 'Binlog Dump%'";
    for id in conn.query::<u64, _>(threads).await.unwrap() {
        conn.query_drop(format!("KILL QUERY {id}")).await.unwrap();
    }
    let status = follower.wait(PATIENCE).await.expect("it ends");
    let log = follower.log();
    assert!(
        status.code() == Some(3) && log.contains("the server ended the binlog stream at"),
        "{status}: {log}"
    );
}

fn url(server: &MysqlServer) -> String {
    format!("mysql://root@127.0.0.1:{}/", server.port())
}

/// Statements without what says where the input came from.
fn body(out: &str) -> String {
    out.lines().filter(|line| !line.starts_with("-- from ")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_live_server_is_rolled_back_like_its_files() {
    let (server, scratch, _) = three_files(MysqlOptions::default()).await;
    server.run(&["INSERT INTO d.t VALUES (90, 'newest')", "UPDATE d.t SET v = 'changed' WHERE id = 3"]).await;
    let files = server.binlogs().await;
    let url = url(&server);
    for form in [&["rollback"][..], &["rollback", "--exact"]] {
        let live = trace(&[form, &["--from", &url]].concat()).ok();
        let there = trace(&with(form, &files)).ok();
        assert!(live.contains("binlog.00000"), "places are the server's");
        assert_eq!(body(&live), body(&there), "{form:?}");
    }
    let mut conn = server.conn().await;
    let before = fingerprint(&mut conn, "d").await;
    let position = server.position().await;
    let change = ["DELETE FROM d.t WHERE id < 8", "UPDATE d.t SET id = id + 1000 WHERE id > 10"];
    server.run(&change).await;
    let (file, offset) = (position.0, position.1.to_string());
    let args = ["--start-file", &file, "--start-position", &offset, "--schema-from", &url];
    let back = trace(&[&["rollback", "--from", &url], args.as_slice()].concat()).ok();
    apply(&server, &scratch, "back.sql", &back);
    assert_eq!(differences(&before, &fingerprint(&mut conn, "d").await, &[]), Vec::<String>::new());

    for (flags, instead) in
        [(&["--follow"][..], "leave --follow out"), (&["--executed-gtids", ""], "give --exclude-gtids")]
    {
        let ran = trace(&[&["rollback", "--from", &url], flags].concat());
        assert!(ran.code == 1 && ran.err.contains(instead), "{}", ran.err);
    }
}

/// What MariaDB streams to a client that says nothing of its abilities is what its files have.
#[cfg(feature = "long")]
#[tokio::test]
async fn a_live_mariadb_is_traced_like_its_files() {
    for compressed in ["OFF", "ON"] {
        let scratch = Scratch::new("live-mariadb");
        let server = e2e::mariadb::MariaDb::start(&[
            format!("--log-bin={}", scratch.path().join("m").display()),
            "--binlog-format=ROW".to_owned(),
            format!("--log-bin-compress={compressed}"),
            "--log-bin-compress-min-len=10".to_owned(),
        ])
        .await;
        server
            .run(&[
                "CREATE DATABASE d",
                "CREATE TABLE d.t (id INT PRIMARY KEY, v VARCHAR(500))",
                "INSERT INTO d.t VALUES (1, 'a'), (2, REPEAT('x', 400))",
                "FLUSH BINARY LOGS",
                "UPDATE d.t SET v = REPEAT('y', 300) WHERE id = 2",
                "DELETE FROM d.t WHERE id = 1",
            ])
            .await;
        let files: Vec<PathBuf> = ["m.000001", "m.000002"].map(|name| scratch.path().join(name)).into();
        let url = format!("mysql://root@127.0.0.1:{}/", server.port());
        for form in [&["sql"][..], &["rollback"], &["rollback", "--exact"]] {
            let live = trace(&[form, &["--from", &url]].concat()).ok();
            let there = trace(&with(form, &files)).ok();
            assert!(live.contains("m.000002:"), "places are the server's: {live}");
            assert_eq!(body(&live), body(&there), "{form:?}, compressed {compressed}");
        }
    }
}

/// What a replica has fetched and not thrown away.
fn relay_logs(replica: &MysqlServer) -> Vec<PathBuf> {
    let numbered =
        |path: &Path| path.extension().is_some_and(|end| end.to_string_lossy().parse::<u32>().is_ok());
    let entries = std::fs::read_dir(replica.dir().join("data")).unwrap().map(|entry| entry.unwrap().path());
    let mut logs: Vec<PathBuf> = entries
        .filter(|path| path.file_name().unwrap().to_string_lossy().contains("relay") && numbered(path))
        .collect();
    logs.sort();
    logs
}

#[tokio::test]
async fn relay_logs_are_read_like_binlogs() {
    let (source, _scratch, files) = three_files(MysqlOptions::default()).await;
    let replica =
        MysqlServer::start(MysqlOptions::default().flag("--server-id=2").flag("--relay-log-purge=OFF")).await;
    replica.replicate(&source, "").await;
    // all of them: where it stops within a transaction, the relay log ends there
    let executed = source.position().await.2.replace('\n', "");
    let done = format!("SELECT GTID_SUBSET('{executed}', @@GLOBAL.gtid_executed)");
    wait_until("the replica has everything", PATIENCE, async || {
        let done: Option<u8> = replica.conn().await.query_first(&done).await.unwrap();
        if done == Some(1) { Ok(()) } else { Err(format!("not {executed}")) }
    })
    .await;
    replica.run(&["STOP REPLICA"]).await;
    let logs = relay_logs(&replica);
    assert!(!logs.is_empty(), "no relay logs in {}", replica.dir().display());
    let scratch = Scratch::new("relay");
    let ddl = dump(&source, "d", &scratch);
    let args = |verb| [verb, "--ddl", ddl.to_str().unwrap(), "--allow-gaps"];
    let forward = trace(&with(&args("sql"), &logs));
    assert_eq!((forward.code, ids(&forward)), (0, (0..15).collect()), "{}", forward.err);
    let back = trace(&with(&args("rollback"), &logs));
    assert_eq!((back.code, ids(&back)), (0, (0..15).rev().collect()), "{}", back.err);
    assert_eq!(ids(&trace(&with(&["sql"], &files))), ids(&forward));
}

/// In a stream nobody knows yet what becomes of a prepared transaction: it is prepared there as well, and decided where
/// it was decided.
#[tokio::test]
async fn xa_in_a_stream_is_prepared_and_decided_there_as_well() {
    let (server, other) = tokio::join!(
        MysqlServer::start(MysqlOptions::default()),
        MysqlServer::start(MysqlOptions::default())
    );
    server.run(&["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, v VARCHAR(20))"]).await;
    for (xid, id, end) in [("a", 1, "COMMIT"), ("b", 2, "ROLLBACK")] {
        let statements = [
            format!("XA START '{xid}'"),
            format!("INSERT INTO d.t VALUES ({id}, 'xa')"),
            format!("XA END '{xid}'"),
            format!("XA PREPARE '{xid}'"),
        ];
        server.run(&statements).await;
        server.run(&[format!("INSERT INTO d.t VALUES ({}, 'between')", id + 10)]).await;
        server.run(&[format!("XA {end} '{xid}'")]).await;
    }
    server.flush_logs().await;
    let files = server.binlogs().await;
    let expected = fingerprint(&mut server.conn().await, "d").await;
    let scratch = Scratch::new("xa");
    let file = trace(&with(&["sql"], &files));
    let piped = trace_from(&["sql", "-"], Stdio::from(std::fs::File::open(&files[0]).unwrap()));
    for (name, ran) in [("file", file), ("piped", piped), ("live", trace(&["sql", "--from", &url(&server)]))]
    {
        apply(&other, &scratch, name, &ran.ok());
        let found = fingerprint(&mut other.conn().await, "d").await;
        assert_eq!(differences(&expected, &found, &[]), Vec::<String>::new(), "{name}");
        other.run(&["DROP DATABASE d"]).await;
    }
}
