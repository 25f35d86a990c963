//! A search server behind a real nginx: TLS with an authority of one's own, client certificates, every login, path prefixes,
//! several addresses, a `GET /` that is refused.

use binlog_operator::model::Class;
use binlog_operator::sink::{Auth, DocumentRef, Outcome, Severity, Sink, SinkError, SinkOptions, Verdict};
use e2e::shared::{self, name};
use e2e::stage::PATIENCE;
use e2e::{Certificates, Nginx, NginxOptions, Size, Stage, Status, wait_condition, wait_until};
use serde_json::json;

fn options(addresses: &[&str], certificates: &Certificates, prefix: &str) -> SinkOptions {
    let addresses = addresses.iter().map(|&address| address.to_owned()).collect();
    let mut options = SinkOptions::new(addresses, name(prefix), "shop/orders");
    options.tls.ca = Some(certificates.read("ca.pem").into_bytes());
    options.gzip = true;
    options
}

async fn write(options: SinkOptions) -> Result<Verdict, SinkError> {
    let sink = Sink::new(options)?;
    sink.prepare().await?;
    let mut body = sink.body();
    body.push_index(DocumentRef::new("1", 7), br#"{"n":1}"#);
    Ok(sink.bulk(&body.seal()).await?.remove(0))
}

const WRITTEN: Verdict = Verdict::Done(Outcome::Created);

#[tokio::test]
async fn every_login_is_sent_and_none_is_printed() {
    let (elastic, certificates) = (shared::elastic().await, Certificates::make());
    let cases = [
        (
            Auth::Basic { username: "elastic".into(), password: "hunter2".into() },
            "Basic ZWxhc3RpYzpodW50ZXIy",
        ),
        (Auth::ApiKey("aHVudGVyMg==".into()), "ApiKey aHVudGVyMg=="),
        (Auth::Bearer("hunter2".into()), "Bearer hunter2"),
    ];
    for (auth, header) in cases {
        let asks = NginxOptions { authorization: Some(header.to_owned()), ..NginxOptions::default() };
        let nginx = Nginx::start(&elastic.url(), &certificates, &asks).await;
        let options = options(&[&nginx.url()], &certificates, "login");
        assert_eq!(
            write(SinkOptions { auth: auth.clone(), ..options.clone() }).await.unwrap(),
            WRITTEN,
            "{auth:?}"
        );
        for wrong in [Auth::None, Auth::Bearer("hunter3".into())] {
            let error = write(SinkOptions { auth: wrong, ..options.clone() }).await.unwrap_err();
            assert_eq!(error.class(), Class::Halt, "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
        }
    }
}

#[tokio::test]
async fn certificates_are_checked_both_ways() {
    let (elastic, certificates) = (shared::elastic().await, Certificates::make());
    let nginx = Nginx::start(&elastic.url(), &certificates, &NginxOptions::default()).await;
    let good = options(&[&nginx.url()], &certificates, "tls");
    assert_eq!(write(good.clone()).await.unwrap(), WRITTEN);
    let by_name = nginx.url().replace("127.0.0.1", "localhost");
    assert_eq!(write(options(&[&by_name], &certificates, "tls")).await.unwrap(), WRITTEN);

    let mut strange = good.clone();
    strange.tls.ca = Some(certificates.read("other-ca.pem").into_bytes());
    let mut public = good.clone();
    public.tls.ca = None;
    for options in [&strange, &public] {
        let error = write(options.clone()).await.unwrap_err();
        assert!(matches!(error, SinkError::Tls { .. }), "{error}");
    }
    strange.tls.ca = None;
    strange.tls.insecure_skip_verify = true;
    strange.index = name("tls");
    assert_eq!(write(strange.clone()).await.unwrap(), WRITTEN);
    let findings = Sink::new(strange).unwrap().preflight().await;
    let warned = |f: &binlog_operator::sink::Finding| {
        f.severity == Severity::Warning && f.subject == "sink.elasticsearch.tls.insecureSkipVerify"
    };
    assert!(findings.iter().any(warned), "{findings:?}");

    let asks = NginxOptions { client_certificate: true, ..NginxOptions::default() };
    let nginx = Nginx::start(&elastic.url(), &certificates, &asks).await;
    let mut client = options(&[&nginx.url()], &certificates, "mtls");
    assert!(write(client.clone()).await.is_err(), "without a certificate");
    client.tls.client_certificate = Some(certificates.read("client.pem").into_bytes());
    client.tls.client_key = Some(certificates.read("client.key").into_bytes());
    assert_eq!(write(client).await.unwrap(), WRITTEN);
}

#[tokio::test]
async fn of_several_addresses_one_that_answers_is_used() {
    let (elastic, certificates) = (shared::elastic().await, Certificates::make());
    let (url, asks) = (elastic.url(), NginxOptions::default());
    let mut first = Nginx::start(&url, &certificates, &asks).await;
    let second = Nginx::start(&url, &certificates, &asks).await;
    let urls = ["https://127.0.0.1:1/gone".to_owned(), first.url(), second.url()];
    let options = options(&[&urls[0], &urls[1], &urls[2]], &certificates, "failover");
    let sink = Sink::new(options).unwrap();
    sink.prepare().await.unwrap();
    let write = async |version: u64| {
        let mut body = sink.body();
        body.push_index(DocumentRef::new("1", version), b"{}");
        sink.bulk(&body.seal()).await
    };
    assert_eq!(write(1).await.unwrap(), [WRITTEN]);
    first.kill9();
    // a request that was under way may have been carried out: it is for whoever sent it to send it again
    let again =
        wait_until("the second address", PATIENCE, async || write(2).await.map_err(|e| e.to_string()));
    assert_eq!(again.await, [Verdict::Done(Outcome::Updated)]);
    assert_eq!(write(3).await.unwrap(), [Verdict::Done(Outcome::Updated)]);
}

/// The whole program, with everything out of Secrets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_runs_behind_nginx() {
    let (mysql, elastic) = shared::both().await;
    let certificates = Certificates::make();
    let asks = NginxOptions {
        authorization: Some("Basic ZWxhc3RpYzpodW50ZXIy".to_owned()),
        client_certificate: true,
        ..NginxOptions::default()
    };
    let url = elastic.url();
    let mut nginx = Nginx::start(&url, &certificates, &asks).await;
    let other = Nginx::start(&url, &certificates, &asks).await;
    let mut stage = Stage::new(mysql, elastic, "proxied", Size::SMALL).await;
    let client =
        json!({"tls.crt": certificates.read("client.pem"), "tls.key": certificates.read("client.key")});
    stage.file = stage
        .file
        .clone()
        .secret("es-login", &json!({"username": "elastic", "password": "hunter2"}))
        .secret("es-ca", &json!({"ca.crt": certificates.read("ca.pem")}))
        .secret("es-client", &client);
    stage.set("sink.elasticsearch.addresses", json!([nginx.url(), other.url()]));
    stage.set("sink.elasticsearch.auth", json!({"basic": {"secretRef": {"name": "es-login"}}}));
    let tls = json!({"caSecretRef": {"name": "es-ca"}, "clientSecretRef": {"name": "es-client"}});
    stage.set("sink.elasticsearch.tls", tls);
    stage.set("sink.elasticsearch.gzip", true);
    stage.set("sink.elasticsearch.refresh", "wait_for");
    let mut operator = stage.start();
    assert_eq!(stage.equal(&operator).await, 200);
    let status = Status::of(&operator).await.unwrap();
    assert!(status.condition("Preflight").starts_with("True Passed"), "{}", status.text);
    let driver = stage.shop.drive(61, 100);
    nginx.kill9();
    wait_until("300 transactions", PATIENCE, async || {
        if driver.done() >= 300 { Ok(()) } else { Err(driver.done().to_string()) }
    })
    .await;
    driver.stop().await;
    stage.equal(&operator).await;
    operator.terminate(PATIENCE).await;

    stage.set(
        "sink.elasticsearch.tls",
        json!({"insecureSkipVerify": true, "clientSecretRef": {"name": "es-client"}}),
    );
    let operator = stage.start();
    let status = wait_condition(&operator, "Preflight", "True Warnings").await;
    assert!(status.condition("Preflight").contains("insecureSkipVerify"), "{}", status.text);
    stage.equal(&operator).await;
    assert!(!operator.log().contains("hunter2"));
}
