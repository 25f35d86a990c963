//! Preflight: each obstacle is found and named.

use binlog_operator::model::TableName;
use binlog_operator::source::{Finding, Severity};
use e2e::{MysqlOptions, MysqlServer, shared};

use super::source_of;

fn table(text: &str) -> TableName {
    let (schema, table) = text.split_once('.').unwrap();
    TableName::new(schema, table)
}

fn find<'a>(findings: &'a [Finding], subject: &str) -> &'a Finding {
    let found = findings.iter().find(|finding| finding.subject == subject);
    found.unwrap_or_else(|| panic!("{subject} is not among {findings:#?}"))
}

#[tokio::test]
async fn a_fit_server_has_no_findings_and_grants_are_tried() {
    let server = shared::mysql().await;
    let db = shared::name("fit");
    server
        .run(&[
            format!("CREATE DATABASE {db}"),
            format!("CREATE TABLE {db}.open (id INT PRIMARY KEY)"),
            format!("CREATE TABLE {db}.closed (id INT PRIMARY KEY)"),
            format!("CREATE TABLE {db}.old (id INT PRIMARY KEY) ENGINE = MyISAM"),
            format!("CREATE USER {db} IDENTIFIED BY 'x'"),
            format!("GRANT SELECT (id) ON {db}.open TO {db}"),
        ])
        .await;
    let source = source_of(server, &db, "x");
    let findings =
        source.preflight(&[table(&format!("{db}.open")), table(&format!("{db}.closed"))]).await.unwrap();
    assert_eq!(findings.len(), 3, "{findings:#?}");
    assert!(findings.iter().all(|finding| finding.severity == Severity::Error), "{findings:#?}");
    assert!(find(&findings, &format!("{db}.closed")).remedy.contains("GRANT SELECT"));
    assert!(find(&findings, "REPLICATION CLIENT").found.contains("Access denied"));
    let slave = find(&findings, "REPLICATION SLAVE");
    assert!(slave.found.contains("Access denied"), "{slave:?}");
    server
        .run(&[
            format!("GRANT REPLICATION CLIENT, REPLICATION SLAVE ON *.* TO {db}"),
            format!("GRANT SELECT ON {db}.* TO {db}"),
        ])
        .await;
    let source = source_of(server, &db, "x");
    let findings = source.preflight(&[table(&format!("{db}.open"))]).await.unwrap();
    assert_eq!(findings, []);
    let asked = [table(&format!("{db}.gone")), table("no_such_schema.t"), table(&format!("{db}.old"))];
    let findings = source.preflight(&asked).await.unwrap();
    assert!(find(&findings, &format!("{db}.gone")).found.contains("doesn't exist"));
    assert_eq!(find(&findings, "no_such_schema.t").severity, Severity::Error);
    let old = find(&findings, &format!("{db}.old"));
    assert_eq!((old.severity, old.found.as_str()), (Severity::Warning, "engine MyISAM"));
}

#[tokio::test]
async fn an_unfit_server_is_named_in_every_respect() {
    let flags = [
        "--binlog-format=MIXED",
        "--binlog-row-image=MINIMAL",
        "--binlog-expire-logs-seconds=600",
        "--binlog-do-db=other",
        "--binlog-order-commits=OFF",
    ];
    let mut options = MysqlOptions { gtid: false, ..MysqlOptions::default() };
    options.flags = flags.map(str::to_owned).to_vec();
    let server = MysqlServer::start(options).await;
    server
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT PRIMARY KEY)",
            "CREATE USER sync IDENTIFIED BY 'x'",
            "GRANT SELECT ON shop.* TO sync",
            "GRANT REPLICATION CLIENT, REPLICATION SLAVE ON *.* TO sync",
        ])
        .await;
    let source = source_of(&server, "sync", "x");
    let info = source.server().await.unwrap();
    assert!(!info.gtid && info.is_replica == Some(false) && info.binlog_expire_seconds == Some(600));
    let findings = source.preflight(&[table("shop.t")]).await.unwrap();
    for (subject, severity) in [
        ("binlog_format", Severity::Error),
        ("schema shop", Severity::Error),
        ("binlog_order_commits", Severity::Error),
        ("binlog_row_image", Severity::Warning),
        ("binlog_expire_logs_seconds", Severity::Warning),
        ("performance_schema.log_status", Severity::Warning),
    ] {
        assert_eq!(find(&findings, subject).severity, severity);
    }
    assert_eq!(findings.len(), 6, "{findings:#?}");
}

#[tokio::test]
async fn a_server_without_binlog_and_a_replica_that_does_not_log() {
    let server = MysqlServer::start(MysqlOptions::default().flag("--skip-log-bin")).await;
    let source = source_of(&server, "root", "");
    let findings = source.preflight(&[]).await.unwrap();
    assert_eq!(find(&findings, "log_bin").severity, Severity::Error);

    let flags = ["--log-replica-updates=OFF", "--replicate-wild-ignore-table=shop.hid%"];
    let server = MysqlServer::start(MysqlOptions {
        flags: flags.map(str::to_owned).to_vec(),
        ..MysqlOptions::default()
    })
    .await;
    server
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.hidden (id INT PRIMARY KEY)",
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 1, SOURCE_AUTO_POSITION = 1",
        ])
        .await;
    let source = source_of(&server, "root", "");
    let findings = source.preflight(&[table("shop.hidden")]).await.unwrap();
    assert_eq!(find(&findings, "log_replica_updates").severity, Severity::Error);
    assert!(find(&findings, "shop.hidden").found.contains("Replicate_Wild_Ignore_Table"));
    assert_eq!(findings.len(), 2, "{findings:#?}");
}
