//! Bad files and servers that do not fit: `check` and `run` name field, finding and remedy, nothing is tried
//! again and again in haste, nothing panics, and no password is shown.

mod cases;
mod ground;

use self::cases::{CASES, Case, DATA_STREAM, Run};
use self::ground::{Ground, PLANTED, Server, data_stream};
use e2e::operator::command;
use e2e::stage::PATIENCE;
use e2e::{ElasticServer, Engine, FaultProxy, Operator, Scratch, TcpMode, TcpProxy};
use futures_util::future::ready;
use futures_util::{StreamExt, stream};
use std::path::Path;
use std::time::Duration;

/// Attempts are counted for so long.
const WINDOW: Duration = Duration::from_secs(10);
/// Connections to MySQL, and requests to Elasticsearch, in that time.
const FEW: u64 = 40;
/// Cases at a time.
const AT_ONCE: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_files_and_servers_are_named_and_not_hammered() {
    let ground = Ground::shared().await;
    assert!(CASES.len() >= 25);
    let faults: Vec<String> = stream::iter(CASES)
        .map(|case| examine(case, ground, ground.elastic))
        .buffer_unordered(AT_ONCE)
        .filter(|faults| ready(!faults.is_empty()))
        .collect()
        .await;
    assert!(faults.is_empty(), "{} of {} cases:\n{}", faults.len(), CASES.len(), faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_stream_is_refused() {
    let (ground, opensearch) = tokio::join!(Ground::shared(), ElasticServer::start(Engine::OpenSearch3));
    data_stream(&opensearch.search()).await;
    let faults = examine(&DATA_STREAM, ground, &opensearch).await;
    assert!(faults.is_empty(), "{faults}");
}

/// What a case's proxies have counted: connections to MySQL, requests or connections to Elasticsearch.
type Counts = (u64, u64);

/// Everything that is not as it should be with a case.
async fn examine(case: &Case, ground: &Ground, elastic: &ElasticServer) -> String {
    let server = if case.server == Server::Statement { &ground.statement } else { ground.mysql };
    let mysql = TcpProxy::start(server.port()).await;
    let elastic = FaultProxy::start(&elastic.url()).await;
    let dead = TcpProxy::start(server.port()).await;
    dead.set(TcpMode::Cut);
    let count = || (mysql.connections() + dead.connections(), elastic.counts().seen);
    let scratch = Scratch::new("bad");
    let path = scratch.path().join("task.yaml");
    let task = ground::file(case.name, mysql.port(), &elastic.url());
    std::fs::write(&path, (case.make)(task, ground, dead.port())).unwrap();
    let mut faults = Vec::new();
    check(case, &path, &mut faults).await;
    run(case, &path, scratch.path(), count, &mut faults).await;
    let faults: Vec<String> = faults.iter().map(|fault| format!("--- {}: {fault}\n", case.name)).collect();
    faults.concat()
}

async fn check(case: &Case, path: &Path, faults: &mut Vec<String>) {
    let file = path.display().to_string();
    let before = std::time::Instant::now();
    let output = tokio::task::spawn_blocking(move || command(&["check", "-f", &file])).await.unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.code() != Some(1) {
        faults.push(format!("check ended with {:?} after {:?}", output.status, before.elapsed()));
    }
    words(case, "check", &text, faults);
}

/// The words that must be there, and those that must not.
fn words(case: &Case, who: &str, text: &str, faults: &mut Vec<String>) {
    // log lines are JSON
    let lower = text.replace("\\\"", "\"").to_lowercase();
    let missing: Vec<_> = case.words.iter().filter(|word| !lower.contains(&word.to_lowercase())).collect();
    if !missing.is_empty() {
        faults.push(format!("{who} does not say {missing:?}:\n{text}"));
    }
    if let Some(word) = ["panicked", "RUST_BACKTRACE", "stack backtrace"].iter().find(|w| text.contains(**w))
    {
        faults.push(format!("{who}: {word}:\n{text}"));
    }
    secrets(who, text, faults);
}

fn secrets(who: &str, text: &str, faults: &mut Vec<String>) {
    if let Some(secret) = PLANTED.iter().find(|secret| text.contains(**secret)) {
        faults.push(format!("{who} shows the planted secret {secret}:\n{text}"));
    }
}

async fn run(case: &Case, path: &Path, folder: &Path, count: impl Fn() -> Counts, faults: &mut Vec<String>) {
    let mut operator = Operator::start(path, &folder.join("state"), &[]);
    if case.run == Run::Refused {
        let code = operator.exit(PATIENCE).await;
        if code != Some(1) {
            faults.push(format!("run ended with {code:?}"));
        }
    } else {
        waits(case, &operator, count, faults).await;
        let code = operator.terminate(PATIENCE).await;
        if code != Some(0) {
            faults.push(format!("run ended with {code:?} after SIGTERM"));
        }
    }
    words(case, "run", &operator.log(), faults);
}

/// It goes on trying, says so on `/readyz`, and is patient.
async fn waits(case: &Case, operator: &Operator, count: impl Fn() -> Counts, faults: &mut Vec<String>) {
    let named = e2e::wait::poll(PATIENCE, async || {
        let page = operator.get("/readyz").await?;
        let body = page.body.to_lowercase();
        let named = case.words.iter().all(|word| body.contains(&word.to_lowercase()));
        if page.status == 503 && named {
            Ok(page.body)
        } else {
            Err(format!("{}: {}", page.status, page.body))
        }
    });
    match named.await {
        Ok(page) => secrets("/readyz", &page, faults),
        Err(page) => return faults.push(format!("/readyz says\n{page}log:\n{}", operator.log_tail(20))),
    }
    let before = count();
    tokio::time::sleep(WINDOW).await; // a count over time needs time
    let after = count();
    let tries = (after.0 - before.0, after.1 - before.1);
    println!("{}: {} connections and {} requests in {WINDOW:?}", case.name, tries.0, tries.1);
    if tries.0 > FEW || tries.1 > FEW {
        faults.push(format!("{} connections and {} requests in {WINDOW:?}", tries.0, tries.1));
    }
    match operator.get("/readyz").await {
        Ok(page) if page.status == 503 => {}
        other => faults.push(format!("/readyz later: {other:?}")),
    }
    match operator.get("/metrics").await {
        Ok(page) => secrets("/metrics", &page.body, faults),
        Err(error) => faults.push(format!("/metrics: {error}")),
    }
}
