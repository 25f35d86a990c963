//! TLS modes.

use binlog_operator::model::{Class, KeyPart, TlsMode, TlsOptions};
use binlog_operator::source::{Source, Visibility};
use e2e::{MysqlOptions, MysqlServer, shared};

use super::{options, source_of};

fn with(server: &MysqlServer, tls: TlsOptions) -> Source {
    let mut options = options(server);
    options.server.tls = tls;
    Source::new(options).unwrap()
}

async fn cipher(source: &Source) -> String {
    let sql =
        "SELECT variable_value FROM performance_schema.session_status WHERE variable_name = 'Ssl_cipher'";
    let keys = source.reader().await.unwrap().keys(sql, &[], &Visibility::Nothing).await.unwrap();
    let [KeyPart::Text(cipher)] = keys[0].parts() else { panic!("{keys:?}") };
    cipher.to_string()
}

#[tokio::test]
async fn every_mode_against_a_server_with_tls() {
    let server = shared::mysql().await;
    let pem = |name: &str| Some(std::fs::read(server.dir().join("data").join(name)).unwrap());
    let mode = |mode| TlsOptions { mode, ..TlsOptions::default() };
    assert_eq!(cipher(&with(server, mode(TlsMode::Disabled))).await, "");
    assert_ne!(cipher(&with(server, TlsOptions::default())).await, "", "preferred");
    assert_ne!(cipher(&with(server, mode(TlsMode::Required))).await, "");
    let authority = TlsOptions { ca: pem("ca.pem"), ..mode(TlsMode::VerifyCa) };
    assert_ne!(cipher(&with(server, authority.clone())).await, "");
    let both = TlsOptions {
        client_certificate: pem("client-cert.pem"),
        client_key: pem("client-key.pem"),
        ..authority.clone()
    };
    assert_ne!(cipher(&with(server, both)).await, "");
    for tls in [
        mode(TlsMode::VerifyCa),
        TlsOptions { mode: TlsMode::VerifyIdentity, ..authority.clone() },
        TlsOptions { ca: pem("client-cert.pem"), ..authority },
    ] {
        let error =
            with(server, tls.clone()).reader().await.err().unwrap_or_else(|| panic!("{tls:?} was accepted"));
        assert_eq!(error.class(), Class::Halt, "{error}");
    }
}

#[tokio::test]
async fn passwords_go_through_without_tls() {
    let server = shared::mysql().await;
    server.run(&["CREATE USER IF NOT EXISTS plain IDENTIFIED WITH caching_sha2_password BY 'p w'"]).await;
    let mut options = source_of(server, "plain", "p w").options().clone();
    options.server.tls.mode = TlsMode::Disabled;
    Source::new(options).unwrap().reader().await.unwrap();
}

#[tokio::test]
async fn preferred_goes_on_without_tls_and_required_does_not() {
    let server = MysqlServer::start(MysqlOptions::default().flag("--tls-version=")).await;
    let source = with(&server, TlsOptions::default());
    assert_eq!(cipher(&source).await, "");
    source.reader().await.unwrap();
    let required = with(&server, TlsOptions { mode: TlsMode::Required, ..TlsOptions::default() });
    let error = required.reader().await.err().unwrap();
    assert_eq!(error.class(), Class::Halt, "{error}");
}
