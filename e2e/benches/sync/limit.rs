//! The servers' own limit.

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::Instant;

use crate::{Bench, ORDERS};
use e2e::scratch::project;

const PAGE: u64 = 500;
const CONNECTIONS: usize = 4;

/// SQL pages and NDJSON bodies, made beforehand.
pub(crate) struct Ready {
    script: std::path::PathBuf,
    bodies: Vec<String>,
}

impl Ready {
    /// Takes the documents that a build left in `index`.
    pub(crate) async fn prepare(bench: &Bench, index: &str) -> Self {
        let mut sql = String::new();
        for page in 0..ORDERS / PAGE {
            let ids: Vec<String> = (page * PAGE + 1..=(page + 1) * PAGE).map(|id| id.to_string()).collect();
            let _ = writeln!(sql, "{};", bench.shop.sql().replace(":ids", &ids.join(",")));
        }
        let script = bench.scratch.path().join("pages.sql");
        std::fs::write(&script, sql).unwrap();
        let docs: Vec<_> = bench.search.docs(index).await.unwrap().into_iter().collect();
        assert_eq!(docs.len() as u64, ORDERS);
        let body = |docs: &[(String, e2e::search::Doc)]| {
            let lines = docs.iter().map(|(id, doc)| {
                let head = format!(
                    r#"{{"index":{{"_id":"{id}","version":VERSION,"version_type":"external_gte"}}}}"#
                );
                format!("{head}\n{}\n", doc.source)
            });
            lines.collect::<String>()
        };
        Self { script, bodies: docs.chunks(PAGE as usize).map(body).collect() }
    }

    /// Documents per second of both at once: the later one counts.
    pub(crate) async fn measure(&self, bench: &Bench) -> f64 {
        let index = format!("limit{}", e2e::scratch::unique());
        let settings = serde_json::json!({"settings": {"gc_deletes": "1h"}});
        let _ = bench.search.put(&format!("/{index}"), &settings).await.ok();
        let version = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros().to_string();
        let bodies: Vec<String> = self.bodies.iter().map(|body| body.replace("VERSION", &version)).collect();
        let begun = Instant::now();
        let (select, bulk) = tokio::join!(self.select(bench), write(bench, &index, &bodies));
        eprintln!("  limit: SELECT {:.0}/s, _bulk {:.0}/s", ORDERS as f64 / select, ORDERS as f64 / bulk);
        let took = begun.elapsed().as_secs_f64();
        let _ = bench.search.delete(&format!("/{index}")).await.ok();
        ORDERS as f64 / took
    }

    async fn select(&self, bench: &Bench) -> f64 {
        let begun = Instant::now();
        let script = std::fs::File::open(&self.script).unwrap();
        let mut client = tokio::process::Command::new("bash");
        client.arg(project("scripts/mysql.sh")).args([
            "client",
            "--host=127.0.0.1",
            "-uroot",
            "--quick",
            "-N",
        ]);
        client.arg(format!("--port={}", bench.mysql.port()));
        let status = client.stdin(script).stdout(Stdio::null()).status().await.unwrap();
        assert!(status.success());
        begun.elapsed().as_secs_f64()
    }
}

async fn write(bench: &Bench, index: &str, bodies: &[String]) -> f64 {
    let begun = Instant::now();
    let client = reqwest::Client::new();
    let url = format!("{}/{index}/_bulk?filter_path=errors", bench.url);
    let lanes = (0..CONNECTIONS).map(|lane| {
        let (client, url) = (client.clone(), url.clone());
        async move {
            for body in bodies.iter().skip(lane).step_by(CONNECTIONS) {
                let request = client.post(&url).header("content-type", "application/x-ndjson");
                let answer = request.body(body.clone()).send().await.unwrap().text().await.unwrap();
                assert_eq!(answer, r#"{"errors":false}"#);
            }
        }
    });
    futures_util::future::join_all(lanes).await;
    begun.elapsed().as_secs_f64()
}
