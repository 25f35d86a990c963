//! A small client of the search server for tests: not the operator's own.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body's text.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Fails the test unless the status is 2xx.
    #[must_use]
    pub fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "HTTP {}: {}", self.status, self.body);
        self
    }
}

/// A document as the index holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doc {
    /// `_version`.
    pub version: i64,
    /// `_source`, byte for byte.
    pub source: String,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_version")]
    version: i64,
    #[serde(rename = "_source")]
    source: Box<RawValue>,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(rename = "_scroll_id")]
    scroll_id: String,
    hits: Hits,
}

/// A client of one search server.
#[derive(Clone, Debug)]
pub struct Search {
    base: String,
    client: reqwest::Client,
}

impl Search {
    /// A client of the server at `base` (`http://127.0.0.1:9200`).
    pub fn new(base: &str) -> Self {
        // Installed already is fine; without a provider reqwest refuses to build a client.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build();
        Self { base: base.trim_end_matches('/').to_owned(), client: client.expect("HTTP client") }
    }

    /// Any request; `Err` only when no answer came.
    pub async fn call(&self, method: &str, path: &str, body: Option<String>) -> Result<Answer, String> {
        let method = method.parse().expect("an HTTP method");
        let kind = if path.contains("_bulk") { "application/x-ndjson" } else { "application/json" };
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.header("content-type", kind).body(body);
        }
        let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
        let status = answer.status().as_u16();
        Ok(Answer { status, body: answer.text().await.map_err(|error| format!("{error:?}"))? })
    }

    async fn must(&self, method: &str, path: &str, body: Option<String>) -> Answer {
        self.call(method, path, body).await.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.must("GET", path, None).await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.must("PUT", path, Some(body.to_string())).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.must("POST", path, Some(body.to_string())).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.must("DELETE", path, None).await
    }

    /// POST `_bulk` with lines ready-made.
    pub async fn bulk(&self, lines: String) -> Answer {
        self.must("POST", "/_bulk", Some(lines)).await
    }

    /// Number of documents visible to searches.
    pub async fn count(&self, index: &str) -> u64 {
        self.get(&format!("/{index}/_count")).await.ok().json()["count"].as_u64().expect("a count")
    }

    /// One document, in real time (no refresh needed).
    pub async fn doc(&self, index: &str, id: &str) -> Option<Doc> {
        let answer = self.get(&format!("/{index}/_doc/{}", escape(id))).await;
        if answer.status == 404 {
            return None;
        }
        let hit: Hit = serde_json::from_str(&answer.ok().body).expect("a document");
        Some(Doc { version: hit.version, source: hit.source.get().to_owned() })
    }

    /// All documents by id, after a refresh.
    pub async fn docs(&self, index: &str) -> Result<BTreeMap<String, Doc>, String> {
        let expect = |answer: Answer| match answer.status {
            200 => Ok(answer),
            status => Err(format!("HTTP {status}: {}", answer.body)),
        };
        expect(self.call("POST", &format!("/{index}/_refresh"), None).await?)?;
        let first = json!({"size": 5000, "version": true, "sort": ["_doc"], "query": {"match_all": {}}});
        let path = format!("/{index}/_search?scroll=2m");
        let mut answer = expect(self.call("POST", &path, Some(first.to_string())).await?)?;
        let mut docs = BTreeMap::new();
        loop {
            let page: Page = serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
            let next = json!({"scroll": "2m", "scroll_id": page.scroll_id});
            if page.hits.hits.is_empty() {
                let done = json!({"scroll_id": page.scroll_id}).to_string();
                self.call("DELETE", "/_search/scroll", Some(done)).await?;
                return Ok(docs);
            }
            for hit in page.hits.hits {
                let source = hit.source.get().to_owned();
                docs.insert(hit.id, Doc { version: hit.version, source });
            }
            answer = expect(self.call("POST", "/_search/scroll", Some(next.to_string())).await?)?;
        }
    }
}

/// Percent-encodes an id for a path.
fn escape(id: &str) -> String {
    id.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
