//! The stream of MariaDB: what MySQL 9 has no more. `make test-all` runs these.

use binlog_operator::binlog::{BinlogError, EventType, Stream, StreamOptions, StreamStart};
use binlog_operator::model::{BinlogPosition, Secret, ServerOptions, TlsMode, TlsOptions};
use e2e::mariadb::MariaDb;
use e2e::shared;

#[tokio::test]
async fn native_passwords_and_tls() {
    let certificates = shared::mysql().await.dir().join("data");
    let file = |name: &str| certificates.join(name);
    let flag = |name: &str, pem: &str| format!("--{name}={}", file(pem).display());
    let flags =
        [flag("ssl-ca", "ca.pem"), flag("ssl-cert", "server-cert.pem"), flag("ssl-key", "server-key.pem")];
    let server = MariaDb::start(&flags).await;
    server
        .run(&[
            "CREATE USER native IDENTIFIED VIA mysql_native_password USING PASSWORD('p w')",
            "CREATE USER encrypted IDENTIFIED VIA mysql_native_password USING PASSWORD('p w') REQUIRE SSL",
            "GRANT REPLICATION SLAVE ON *.* TO native, encrypted",
        ])
        .await;
    let ca = Some(std::fs::read(file("ca.pem")).unwrap());
    for (username, mode, good) in [
        ("root", TlsMode::Disabled, true),
        ("native", TlsMode::Disabled, true),
        ("native", TlsMode::Required, true),
        ("encrypted", TlsMode::VerifyCa, true),
        ("encrypted", TlsMode::Disabled, false),
    ] {
        let tls = TlsOptions { mode, ca: ca.clone(), ..TlsOptions::default() };
        let password = Secret::new(if username == "root" { "" } else { "p w" });
        let login = ServerOptions { username: username.into(), password, tls, ..server.login() };
        let events = events(&login).await;
        match events {
            Ok(types) if good => {
                assert!(types.contains(&EventType::FORMAT_DESCRIPTION), "{username} {mode:?}: {types:?}");
            }
            Err(BinlogError::Refused { message, .. }) if !good => assert!(message.contains("Access denied")),
            other => panic!("{username} {mode:?}: {other:?}"),
        }
    }
}

/// The types of all events there are.
async fn events(login: &ServerOptions) -> Result<Vec<EventType>, BinlogError> {
    let mut options = StreamOptions::new(0x8000_0001);
    options.end_at_eof = true;
    let start = StreamStart::File(BinlogPosition { file: "binlog.000001".into(), offset: 4 });
    let (mut stream, mut types) = (Stream::open(login, &start, options).await?, Vec::new());
    loop {
        match stream.next_raw().await {
            Ok(raw) => types.push(EventType(raw.bytes[4])),
            Err(BinlogError::Ended { .. }) => return Ok(types),
            Err(error) => return Err(error),
        }
    }
}

#[tokio::test]
async fn a_plugin_that_is_not_known_is_named() {
    let server = MariaDb::start(&["--secure-auth=0".into()]).await;
    server
        .run(&[
            "CREATE USER ancient IDENTIFIED VIA mysql_old_password USING '5d2e19393cc5ef67'",
            "GRANT REPLICATION SLAVE ON *.* TO ancient",
        ])
        .await;
    let login = ServerOptions { username: "ancient".into(), password: Secret::new("p w"), ..server.login() };
    let Err(BinlogError::Refused { message, .. }) = events(&login).await else { panic!("let in") };
    assert!(message.contains("mysql_old_password") && message.contains("give it"), "{message}");
}
