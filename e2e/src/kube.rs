//! A small client of the Kubernetes API for tests: JSON in, JSON out, not the operator's own.

use crate::search::Answer;
use serde_json::Value;
use std::time::Duration;

/// A client with one token.
#[derive(Clone, Debug)]
pub struct Kube {
    base: String,
    token: String,
    client: reqwest::Client,
}

impl Kube {
    /// A client of the API server on `port` of this machine.
    pub fn new(port: u16, authority: &[u8], token: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = reqwest::Certificate::from_pem(authority).expect("the CA of the API server");
        let builder = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20));
        // a connection belongs to the runtime that opened it: kept, it would end with another test
        let builder = builder.http1_only().pool_max_idle_per_host(0);
        let client = builder.tls_certs_only([authority]).build().expect("HTTP client");
        Self { base: format!("https://127.0.0.1:{port}"), token: token.to_owned(), client }
    }

    /// Any request; `Err` only when no answer came.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, String> {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let method = method.parse().expect("an HTTP method");
        let mut request =
            self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", kind).body(body.to_string());
        }
        let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
        let status = answer.status().as_u16();
        Ok(Answer { status, body: answer.text().await.map_err(|error| format!("{error:?}"))? })
    }

    /// A GET's answer as JSON; `Err` when it is not 2xx.
    pub async fn get(&self, path: &str) -> Result<Value, String> {
        let answer = self.call("GET", path, None).await?;
        if answer.status / 100 == 2 {
            return Ok(answer.json());
        }
        Err(format!("GET {path}: HTTP {}: {}", answer.status, answer.body))
    }

    /// Creates what `body` says.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        self.must("POST", path, Some(body)).await
    }

    /// Changes an object by a merge patch.
    pub async fn patch(&self, path: &str, body: &Value) -> Value {
        self.must("PATCH", path, Some(body)).await
    }

    /// Deletes an object.
    pub async fn delete(&self, path: &str) {
        self.must("DELETE", path, None).await;
    }

    async fn must(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.call(method, path, body).await;
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}")).ok().json()
    }
}
