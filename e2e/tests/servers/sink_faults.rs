//! The sink where the way to the server misbehaves: what is lost, what was surely not done, what is secret.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use binlog_operator::model::Class;
use binlog_operator::sink::{
    Auth, DocumentRef, Outcome, Severity, Sink, SinkError, SinkOptions, Timely, Tls, Verdict,
};
use e2e::scratch::Port;
use e2e::shared::{self, name};
use e2e::stage::PATIENCE;
use e2e::{ElasticServer, Engine, Fault, FaultProxy, Scratch, wait_until};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

fn options(addresses: &[&str], index: &str) -> SinkOptions {
    let addresses = addresses.iter().map(|&address| address.to_owned()).collect();
    let mut options = SinkOptions::new(addresses, index, "shop/orders");
    options.settings = Some(json!({"number_of_replicas": 0}));
    options
}

async fn ready(options: SinkOptions) -> Sink {
    let sink = Sink::new(options).unwrap();
    sink.prepare().await.unwrap();
    sink
}

/// Refuses every connection.
const NOBODY: &str = "http://127.0.0.1:1";

async fn write(sink: &Sink, ids: u64) -> Result<Vec<Verdict>, SinkError> {
    let mut body = sink.body();
    for id in 0..ids {
        body.push_index(DocumentRef::new(&id.to_string(), 7), b"{}");
    }
    sink.bulk(&body.seal()).await
}

/// Invariant 6.
#[tokio::test]
async fn statuses_of_whole_requests_have_a_class() {
    let server = shared::elastic().await;
    let proxy = FaultProxy::start(&server.url()).await;
    let sink = ready(options(&[&proxy.url()], &name("statuses"))).await;
    let cases = [
        (429, Class::Retry, false),
        (408, Class::Retry, true),
        (500, Class::Retry, true),
        (502, Class::Retry, true),
        (503, Class::Retry, true),
        (504, Class::Retry, true),
        (413, Class::Retry, false),
        (401, Class::Halt, false),
        (403, Class::Halt, false),
        (302, Class::Halt, true),
        (404, Class::Halt, true),
        (400, Class::Halt, true),
    ];
    for (code, class, unknown) in cases {
        proxy.set(Fault::Status { code, share: 1.0 });
        let error = write(&sink, 2).await.unwrap_err();
        assert_eq!((error.class(), error.outcome_unknown()), (class, unknown), "{code}: {error}");
    }
    proxy.set(Fault::Status { code: 413, share: 1.0 });
    assert!(matches!(write(&sink, 2).await, Err(SinkError::TooLarge { actions: 2, .. })));
    let alone = write(&sink, 1).await.unwrap();
    assert!(matches!(&alone[..], [Verdict::Rejected { kind, .. }] if kind == "too_large"), "{alone:?}");
    proxy.set(Fault::Pass);
    assert_eq!(write(&sink, 2).await.unwrap(), vec![Verdict::Done(Outcome::Created); 2]);
}

/// Invariant 5: an unknown outcome is told from a request that was never sent.
#[tokio::test]
async fn lost_answers_are_unknown_and_refused_connections_are_not() {
    let server = shared::elastic().await;
    let (search, index) = (server.search(), name("unknown"));
    let proxy = FaultProxy::start(&server.url()).await;
    let options = options(&[&proxy.url()], &index);
    let sink = ready(options.clone()).await;

    proxy.set(Fault::DropAnswer { share: 1.0 });
    let error = write(&sink, 1).await.unwrap_err();
    assert!(matches!(error, SinkError::Lost { .. }) && error.outcome_unknown(), "{error}");
    assert!(search.doc(&index, "0").await.is_some(), "it was carried out");

    proxy.set(Fault::Pass);
    let limited = ready(SinkOptions { request_timeout: Duration::from_secs(6), ..options }).await;
    for fault in [Fault::BlackHole, Fault::DelayAnswer(PATIENCE)] {
        proxy.set(fault);
        let error = timeout(PATIENCE, write(&limited, 1)).await.unwrap().unwrap_err();
        assert!(error.outcome_unknown() && error.class() == Class::Retry, "{error}");
    }
    let nobody = Sink::new(self::options(&[NOBODY], &index)).unwrap();
    let error = nobody.prepare().await.unwrap_err();
    assert!(matches!(error, SinkError::Unreachable { .. }) && !error.outcome_unknown(), "{error}");
    let finding = nobody.preflight().await.remove(0);
    assert_eq!((finding.severity, finding.class), (Severity::Error, Class::Retry));
    assert!(finding.remedy.contains("sink.elasticsearch.addresses"), "{finding}");
}

/// Invariant 5: a process that was stopped on the way to the socket does not send what it has when it goes on.
#[tokio::test]
async fn what_is_too_old_when_its_bytes_would_go_never_becomes_whole() {
    let server = shared::elastic().await;
    let (search, index) = (server.search(), name("timely"));
    let sink = ready(options(&[&server.url()], &index)).await;
    let text = format!("{{\"text\":\"{}\"}}", "x".repeat(1_000));
    for pieces in [0, 1, 3] {
        let mut body = sink.body();
        for id in 0..400 {
            body.push_index(DocumentRef::new(&id.to_string(), 7), text.as_bytes());
        }
        let asked = AtomicUsize::new(0);
        let timely: Timely = Arc::new(move || asked.fetch_add(1, Ordering::Relaxed) < pieces);
        let error = sink.bulk_while(&body.seal(), &timely).await.unwrap_err();
        assert!(matches!(error, SinkError::Expired) && error.class() == Class::Retry, "{pieces}: {error}");
        // what came in time may have been carried out: newer servers begin before they have all
        assert!(search.doc(&index, "399").await.is_none());
    }
    write(&sink, 400).await.unwrap();
    assert!(search.doc(&index, "399").await.is_some());
}

#[tokio::test]
async fn another_address_is_used_where_one_fails() {
    let server = shared::elastic().await;
    let proxy = FaultProxy::start(&server.url()).await;
    let sink = ready(options(&[NOBODY, &proxy.url(), &server.url()], &name("failover"))).await;
    let before = proxy.counts().seen;
    write(&sink, 1).await.unwrap();
    assert!(proxy.counts().seen > before, "it stays with the one that answered");
    proxy.set(Fault::Cut);
    assert!(
        write(&sink, 1).await.unwrap_err().outcome_unknown(),
        "the batch may have landed: nothing is resent"
    );
    write(&sink, 1).await.unwrap();
}

/// Invariant 2: other contents are another index, also where the server keeps its UUID and our alias.
async fn a_restored_snapshot_is_another_index(server: &ElasticServer, folder: &Path) {
    let (search, index) = (server.search(), name("restored"));
    let sink = ready(options(&[&server.url()], &index)).await;
    let first = sink.index_uuid().await.unwrap();
    let location = json!({"type": "fs", "settings": {"location": folder}});
    let _ = search.put("/_snapshot/backup", &location).await.ok();
    let only = json!({"indices": index});
    let _ = search.put("/_snapshot/backup/one?wait_for_completion=true", &only).await.ok();
    let restore = async || {
        let _ = search.post("/_snapshot/backup/one/_restore?wait_for_completion=true", &only).await.ok();
        sink.index_uuid().await.unwrap()
    };
    let _ = search.call("POST", &format!("/{index}/_close"), None).await.unwrap().ok();
    let second = restore().await;
    let _ = search.delete(&format!("/{index}")).await.ok();
    let third = restore().await;
    assert!(first != second && second != third && first != third, "{first:?} {second:?} {third:?}");
    assert_eq!(write(&sink, 1).await.unwrap(), vec![Verdict::Done(Outcome::Created)], "only the UUID tells");
}

#[tokio::test]
async fn a_server_that_is_restored_and_killed() {
    let backups = Scratch::new("backups");
    let settings =
        ["http.max_content_length=1mb".to_owned(), format!("path.repo={}", backups.path().display())];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let mut server = ElasticServer::start_with(Engine::Elasticsearch9, &settings).await;
    a_restored_snapshot_is_another_index(&server, backups.path()).await;
    a_killed_server_is_an_outage_and_the_index_comes_back(&mut server).await;
}

async fn a_killed_server_is_an_outage_and_the_index_comes_back(server: &mut ElasticServer) {
    let index = name("killed");
    let sink = ready(options(&[&server.url()], &index)).await;
    let state = sink.prepare().await.unwrap();
    write(&sink, 10).await.unwrap();

    let big = format!("{{\"t\":\"{}\"}}", "x".repeat(600_000));
    let mut body = sink.body();
    for id in ["a", "b"] {
        body.push_index(DocumentRef::new(id, 7), big.as_bytes());
    }
    let bulk = body.seal();
    // it closes the connection while the body still comes: its answer may be lost, what it means may not
    for _ in 0..200 {
        let error = sink.bulk(&bulk).await.unwrap_err();
        assert!(matches!(error, SinkError::TooLarge { actions: 2, .. }), "{error}");
    }
    let (left, right) = bulk.split().unwrap();
    for half in [left, right] {
        assert_eq!(sink.bulk(&half).await.unwrap(), [Verdict::Done(Outcome::Created)]);
    }

    server.kill9();
    let error = write(&sink, 10).await.unwrap_err();
    assert_eq!(error.class(), Class::Retry, "{error}");
    server.boot().await;
    wait_until("the sink writes again", PATIENCE, async || {
        let verdicts = write(&sink, 10).await.map_err(|error| error.to_string())?;
        let done = verdicts.iter().all(|v| matches!(v, Verdict::Done(Outcome::Updated)));
        done.then_some(()).ok_or_else(|| format!("{verdicts:?}"))
    })
    .await;
    assert_eq!(sink.prepare().await.unwrap(), state);
}

/// What a server does with a connection whose request's headers have come.
#[derive(Clone)]
enum Way {
    /// Closes it as a server does that has not read all, which loses what it said before.
    Reset,
    Answer(&'static str),
}

/// A server that takes its connections in these ways, in order, and hands out what it was sent.
async fn in_turn(
    ways: impl IntoIterator<Item = Way, IntoIter: Send + 'static>,
) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/some/prefix/", listener.local_addr().unwrap());
    let (sender, requests) = mpsc::unbounded_channel();
    let ways = ways.into_iter();
    tokio::spawn(async move {
        for way in ways {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                assert!(client.read_buf(&mut request).await.unwrap() > 0, "closed within its headers");
            }
            match way {
                Way::Reset => client.set_zero_linger().unwrap(),
                Way::Answer(answer) => {
                    client.write_all(answer.as_bytes()).await.unwrap();
                    client.shutdown().await.unwrap();
                    client.read_to_end(&mut request).await.ok();
                }
            }
            sender.send(String::from_utf8(request).unwrap()).ok();
        }
    });
    (url, requests)
}

/// A server that gives every connection this answer.
async fn canned(answer: &'static str) -> (String, mpsc::UnboundedReceiver<String>) {
    in_turn(std::iter::repeat(Way::Answer(answer))).await
}

const PREPARED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 197\r\nconnection: close\r\n\r\n\
    {\"orders\":{\"aliases\":{\"orders--binlogOperator\":{}},\"settings\":{\"index.uuid\":\"u\"},\"mappings\":\
    {\"_meta\":{\"binlog-operator\":{\"tasks\":{\"shop/orders\":{\"shared\":false,\"synced\":true}}}}}}}\
    \r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";

/// Invariant 6: else what is too large would be sent again for ever.
#[tokio::test]
async fn refusals_whose_answer_is_lost_are_asked_for() {
    const REFUSED: &str = "HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    const NOT_KNOWN: &str = "HTTP/1.1 401 Who\r\nconnection: close\r\ncontent-length: 9\r\n\r\ncut";
    const BUSY: &str = "HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let mut ways = vec![Way::Answer(PREPARED)];
    for answer in [REFUSED, REFUSED, NOT_KNOWN, BUSY] {
        ways.extend([Way::Reset, Way::Answer(answer)]);
    }
    let (url, mut requests) = in_turn(ways).await;
    let sink = ready(options(&[&url], "orders")).await;
    let _describe = requests.recv().await.unwrap();

    let error = write(&sink, 2).await.unwrap_err();
    assert!(matches!(error, SinkError::TooLarge { actions: 2, .. }), "{error}");
    let (_reset, asked) = (requests.recv().await.unwrap(), requests.recv().await.unwrap());
    assert!(asked.contains("content-length: 134\r\n") && asked.ends_with("\r\n\r\n"), "no body: {asked}");
    let alone = write(&sink, 1).await.unwrap();
    assert!(matches!(&alone[..], [Verdict::Rejected { kind, .. }] if kind == "too_large"), "{alone:?}");
    assert_eq!(write(&sink, 2).await.unwrap_err().class(), Class::Halt);
    let error = write(&sink, 2).await.unwrap_err();
    assert!(matches!(error, SinkError::Lost { .. }), "503 says nothing of what was reset: {error}");
}

/// Invariant 12, and what DESIGN says of headers.
#[tokio::test]
async fn requests_are_plain_and_carry_the_login_in_its_header_only() {
    for (auth, header) in [
        (
            Auth::Basic { username: "u".into(), password: "hunter2".into() },
            "authorization: Basic dTpodW50ZXIy",
        ),
        (Auth::ApiKey("a2V5".into()), "authorization: ApiKey a2V5"),
        (Auth::Bearer("token".into()), "authorization: Bearer token"),
    ] {
        let (url, mut requests) = canned(PREPARED).await;
        let sink = Sink::new(SinkOptions { auth, ..options(&[&url], "orders") }).unwrap();
        assert!(sink.prepare().await.unwrap().was_synced);
        let error = write(&sink, 1).await.unwrap_err();
        assert!(matches!(error, SinkError::BadAnswer { .. }) && error.outcome_unknown(), "{error}");
        assert!(!format!("{error} {error:?} {sink:?}").contains("hunter2"));
        let _describe = requests.recv().await.unwrap();
        let bulk = requests.recv().await.unwrap();
        let expected = "POST /some/prefix/orders--binlogOperator/_bulk?require_alias=true&";
        assert!(bulk.starts_with(expected), "{bulk}");
        for line in
            [header, "content-type: application/x-ndjson", "accept: application/json", "content-length: 67"]
        {
            assert!(bulk.contains(&format!("{line}\r\n")), "{line} in {bulk}");
        }
        assert!(!bulk.contains("transfer-encoding") && !bulk.contains("accept-encoding"), "{bulk}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (elsewhere, mut stolen) = canned(PREPARED).await;
    let answer = format!("HTTP/1.1 307 Moved\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\n\r\n");
    let (url, _requests) = canned(answer.leak()).await;
    let sink =
        Sink::new(SinkOptions { auth: Auth::Bearer("t".into()), ..options(&[&url], "orders") }).unwrap();
    assert_eq!(sink.prepare().await.unwrap_err().class(), Class::Halt);
    assert!(stolen.try_recv().is_err());
}

#[tokio::test]
async fn requests_can_be_compressed() {
    let server = shared::elastic().await;
    let index = name("gzip");
    let sink = ready(SinkOptions { gzip: true, ..options(&[&server.url()], &index) }).await;
    for (ids, outcome) in [(1, Outcome::Created), (1, Outcome::Updated)] {
        assert_eq!(write(&sink, ids).await.unwrap(), [Verdict::Done(outcome)]);
    }
    assert_eq!(write(&sink, 5000).await.unwrap().len(), 5000);
    sink.refresh().await.unwrap();
    assert_eq!(server.search().count(&index).await, 5000);
}

struct TlsServer(Child);

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn openssl(dir: &Path, args: &str) -> Child {
    let args = args.split_whitespace();
    Command::new("openssl")
        .args(args)
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// openssl's own web server: it answers every GET with a page, which shows that TLS was agreed on.
#[tokio::test]
async fn tls_is_checked_in_both_directions() {
    let scratch = Scratch::new("tls");
    let dir = scratch.path();
    for (who, name) in [("server", "/CN=server"), ("client", "/CN=client"), ("other", "/CN=other")] {
        let make = format!(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj {name} -addext subjectAltName=IP:127.0.0.1 \
             -addext basicConstraints=critical,CA:FALSE -keyout {who}.key -out {who}.pem"
        );
        assert!(openssl(dir, &make).wait().unwrap().success());
    }
    let claim = Port::claim();
    let port = claim.number();
    let serve = format!(
        "s_server -accept {port} -cert server.pem -key server.key -www -Verify 1 -verify_return_error \
         -CAfile client.pem"
    );
    let _server = TlsServer(openssl(dir, &serve));
    let url = format!("https://127.0.0.1:{port}");
    let pem = |file: &str| Some(std::fs::read(dir.join(file)).unwrap());
    let of = |ca: Option<Vec<u8>>, who: Option<&str>| {
        let client_certificate = who.and_then(|who| pem(&format!("{who}.pem")));
        let client_key = who.and_then(|who| pem(&format!("{who}.key")));
        let tls = Tls { ca, client_certificate, client_key, insecure_skip_verify: false };
        Sink::new(SinkOptions { tls, ..options(&[&url], "orders") }).unwrap()
    };
    let good = of(pem("server.pem"), Some("client"));
    wait_until("TLS is agreed on", PATIENCE, async || match good.prepare().await {
        Err(SinkError::BadAnswer { .. }) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    for bad in [of(pem("other.pem"), Some("client")), of(pem("server.pem"), None), of(None, Some("client"))] {
        let error = bad.prepare().await.unwrap_err();
        assert!(matches!(error, SinkError::Tls { .. }) && error.class() == Class::Halt, "{error:?}");
    }
    let mut loose = options(&[&url], "orders");
    loose.tls = Tls {
        insecure_skip_verify: true,
        client_certificate: pem("client.pem"),
        client_key: pem("client.key"),
        ca: None,
    };
    let findings = Sink::new(loose).unwrap().preflight().await;
    assert!(findings.iter().any(|f| f.subject.ends_with("insecureSkipVerify")), "{findings:?}");
}
