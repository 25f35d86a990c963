//! Signing in to real servers: every plugin, with and without TLS, and what is refused.

use binlog_operator::binlog::{BinlogError, Stream, StreamOptions, StreamStart};
use binlog_operator::model::{Class, GtidSet, Secret, ServerOptions, TlsMode, TlsOptions};
use e2e::stage::PATIENCE;
use e2e::{MysqlOptions, MysqlServer};

/// Opens a stream and takes its first event.
async fn stream(login: &ServerOptions, start: &StreamStart, server_id: u32) -> Result<(), BinlogError> {
    let mut options = StreamOptions::new(0x8000_0000 + server_id);
    options.end_at_eof = true;
    options.connect_timeout = PATIENCE; // who may sign in is asked here, not how fast
    Stream::open(login, start, options).await?.next_raw().await.map(drop)
}

fn mode(mode: TlsMode) -> TlsOptions {
    TlsOptions { mode, ..TlsOptions::default() }
}

fn refused(result: Result<(), BinlogError>, why: &str) {
    let error = result.expect_err(why);
    assert!(matches!(error, BinlogError::Refused { .. }) && error.class() == Class::Halt, "{error:?}");
    assert!(error.to_string().contains(why) && !format!("{error} {error:?}").contains("p w"), "{error}");
}

fn everything() -> StreamStart {
    StreamStart::Gtids(GtidSet::default())
}

#[tokio::test]
async fn every_plugin_of_mysql_with_and_without_tls() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    let mut users = Vec::new();
    for plugin in ["caching_sha2_password", "sha256_password"] {
        for (password, kind) in [("p w", "short"), (&"p w".repeat(60)[..], "long"), ("", "empty")] {
            let user = format!("{}_{kind}", &plugin[..8]);
            server
                .run(&[
                    format!("CREATE USER {user} IDENTIFIED WITH {plugin} BY '{password}'"),
                    format!("GRANT REPLICATION SLAVE ON *.* TO {user}"),
                ])
                .await;
            users.push((user, password.to_owned()));
        }
    }
    for tls in [TlsMode::Disabled, TlsMode::Preferred, TlsMode::Required] {
        // Forgets the passwords that were seen: the first sign-in takes the full way, the second the short one.
        server.run(&["FLUSH PRIVILEGES"]).await;
        for (user, password) in [users.clone(), users.clone()].concat() {
            let (username, password) = (user, Secret::new(password));
            let login = ServerOptions { username, password, tls: mode(tls), ..server.login() };
            stream(&login, &everything(), 1).await.unwrap_or_else(|e| panic!("{login:?}: {e}"));
            let login = ServerOptions { password: Secret::new("not the p w"), ..login };
            refused(stream(&login, &everything(), 1).await, "Access denied");
        }
    }
}

#[tokio::test]
async fn certificates_are_checked_as_the_mode_says() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    server
        .run(&[
            "CREATE USER certified IDENTIFIED BY 'p w' REQUIRE X509",
            "GRANT REPLICATION SLAVE ON *.* TO certified",
        ])
        .await;
    let pem = |name: &str| Some(std::fs::read(server.dir().join("data").join(name)).unwrap());
    let (username, password) = ("certified".into(), Secret::new("p w"));
    let login = ServerOptions { username, password, ..server.login() };
    let with = |tls| ServerOptions { tls, ..login.clone() };
    let authority = TlsOptions { ca: pem("ca.pem"), ..mode(TlsMode::VerifyCa) };
    let (client_certificate, client_key) = (pem("client-cert.pem"), pem("client-key.pem"));
    let both = TlsOptions { client_certificate, client_key, ..authority.clone() };
    stream(&with(both.clone()), &everything(), 1).await.unwrap();
    refused(stream(&with(authority.clone()), &everything(), 1).await, "Access denied");
    refused(
        stream(&with(TlsOptions { client_key: None, ..both.clone() }), &everything(), 1).await,
        "give both",
    );
    for wrong in [
        mode(TlsMode::VerifyCa),
        TlsOptions { ca: pem("client-cert.pem"), ..authority.clone() },
        TlsOptions { mode: TlsMode::VerifyIdentity, ..authority },
    ] {
        refused(stream(&with(wrong), &everything(), 1).await, "invalid peer certificate");
    }
    let nothing = TlsOptions { ca: Some(b"nothing".to_vec()), ..mode(TlsMode::VerifyCa) };
    refused(stream(&with(nothing), &everything(), 1).await, "no PEM certificate");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let server = MysqlServer::start(MysqlOptions::default().flag("--tls-version=")).await;
    stream(&server.login(), &everything(), 1).await.unwrap();
    for asked in [TlsMode::Required, TlsMode::VerifyCa] {
        let login = ServerOptions { tls: mode(asked), ..server.login() };
        refused(stream(&login, &everything(), 1).await, "no TLS");
    }
}
