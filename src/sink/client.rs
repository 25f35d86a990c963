//! HTTP to one of several addresses: time limits, failover, and what a failure means. Knows no API of the
//! search server.
//!
//! A server (or a proxy before it) that refuses a request by its headers, as 413 for its length, says so at once and
//! closes the connection while the body still comes. Writing then fails, and whether the answer was read before that is
//! luck: without it the same body would be sent again and again. So a request whose connection was reset is asked once
//! more with a body that says nothing: the answer to the headers alone cannot be lost that way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue,
};
use reqwest::{Body, Client, Method, RequestBuilder, Response, StatusCode, Url};
use tokio::runtime::{Handle, Id};

use super::answer::failure;
use super::error::{Result, SinkError};
use super::timely::{SilentBody, Timely, TimelyBody, was_refused};
use super::{Auth, SinkOptions, Tls, setup};
use crate::model::InUse;

/// Answers beyond this are not read: nothing that we ask for has that many bytes.
const MAX_ANSWER: usize = 64 << 20;

/// Addresses tried within one request, while nothing was sent yet.
const MAX_TRIES: usize = 3;

/// How long a server may take to refuse headers.
const REFUSAL: Duration = Duration::from_secs(5);

/// Bodies beyond this are compressed off the async threads.
const BIG_BODY: usize = 64 << 10;

/// Connections kept for later; many tasks may share them.
const MAX_IDLE: usize = 64;

/// What a request's body is.
#[derive(Clone, Copy)]
pub(super) enum Content {
    Json,
    Lines,
}

/// An answer that was read whole.
pub(super) struct Answer {
    pub(super) address: String,
    pub(super) status: u16,
    pub(super) body: Bytes,
}

/// What a client is made of; who wants the same has the same one, with its connections.
#[derive(PartialEq)]
struct Settings {
    addresses: Vec<Url>,
    auth: Auth,
    tls: Tls,
    gzip: bool,
    connect_timeout: Duration,
    request_timeout: Duration,
    /// Connections belong to the runtime that made them.
    runtime: Option<Id>,
}

static CLIENTS: InUse<Settings, Client> = InUse::new();

pub(super) struct Http {
    client: Arc<Client>,
    addresses: Vec<Url>,
    /// Index of the address in use, never wrapped.
    current: AtomicUsize,
    gzip: bool,
}

impl Http {
    pub(super) fn new(options: &SinkOptions) -> Result<Self> {
        let (addresses, auth) = setup::addresses(options)?;
        let settings = Settings {
            addresses: addresses.clone(),
            auth,
            tls: options.tls.clone(),
            gzip: options.gzip,
            connect_timeout: options.connect_timeout,
            request_timeout: options.request_timeout,
            runtime: Handle::try_current().ok().map(|handle| handle.id()),
        };
        let client = CLIENTS.get_or_make(settings, client)?;
        Ok(Self { client, addresses, current: AtomicUsize::new(0), gzip: options.gzip })
    }

    /// Sends a request whose path and query stand ready; the answer may have any status.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(Content, Bytes)>,
    ) -> Result<Answer> {
        self.send_while(method, path, body, None).await
    }

    /// The same where the body may be sent only as long as `timely` says so.
    ///
    /// # Errors
    /// Also [`SinkError::Expired`].
    pub(super) async fn send_while(
        &self,
        method: Method,
        path: &str,
        body: Option<(Content, Bytes)>,
        timely: Option<&Timely>,
    ) -> Result<Answer> {
        let body = match body {
            Some((content, bytes)) if self.gzip => Some((content, compressed(bytes).await?)),
            plain => plain,
        };
        let mut tries = self.addresses.len().min(MAX_TRIES);
        loop {
            let at = self.current.load(Ordering::Relaxed);
            let result = self.send_to(at, method.clone(), path, body.clone(), timely).await;
            let gateway_down = matches!(&result, Ok(answer) if matches!(answer.status, 502..=504));
            if result.is_err() || gateway_down {
                let next = at.wrapping_add(1);
                self.current.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed).ok();
            }
            tries = tries.saturating_sub(1);
            match result {
                Err(SinkError::Unreachable { .. } | SinkError::Tls { .. }) if tries > 0 => {}
                result => return result,
            }
        }
    }

    async fn send_to(
        &self,
        at: usize,
        method: Method,
        path: &str,
        body: Option<(Content, Bytes)>,
        timely: Option<&Timely>,
    ) -> Result<Answer> {
        let base = at.checked_rem(self.addresses.len()).and_then(|i| self.addresses.get(i));
        let Some(base) = base else { return Err(SinkError::NotPrepared) };
        let address = base.as_str().trim_end_matches('/').to_owned();
        let url = format!("{address}{path}");
        let length = body.as_ref().map(|(content, bytes)| (*content, bytes.len()));
        let body = body.map(|(content, bytes)| match timely {
            Some(timely) => (content, Body::wrap(TimelyBody::new(bytes, Arc::clone(timely)))),
            None => (content, Body::from(bytes)),
        });
        let error = match self.request(method.clone(), &url, body).send().await {
            Ok(response) => return read(address, response).await,
            Err(error) if was_refused(&error) => return Err(SinkError::Expired),
            Err(error) => error,
        };
        if let Some((content, length)) = length
            && !error.is_connect()
            && was_reset(&error)
        {
            let silent = self.request(method, &url, Some((content, Body::wrap(SilentBody { length }))));
            // its connection is in the middle of a request for ever
            let silent = silent.header(CONNECTION, HeaderValue::from_static("close")).timeout(REFUSAL);
            if let Ok(response) = silent.send().await
                && is_of_headers(response.status())
            {
                return read(address, response).await;
            }
        }
        Err(transport(address, &error))
    }

    fn request(&self, method: Method, url: &str, body: Option<(Content, Body)>) -> RequestBuilder {
        let mut request = self.client.request(method, url);
        let Some((content, body)) = body else { return request };
        let kind = match content {
            Content::Json => "application/json",
            Content::Lines => "application/x-ndjson",
        };
        request = request.header(CONTENT_TYPE, HeaderValue::from_static(kind));
        if self.gzip {
            request = request.header(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        request.body(body)
    }
}

fn client(settings: &Settings) -> Result<Client> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(auth) = setup::authorization(&settings.auth)? {
        headers.insert(AUTHORIZATION, auth);
    }
    let encrypted = settings.addresses.iter().any(|a| a.scheme() == "https");
    let builder = Client::builder()
        .default_headers(headers)
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.request_timeout)
        // A redirected POST would become a GET; credentials would go where nobody said they should.
        .redirect(reqwest::redirect::Policy::none())
        .http1_only()
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(30))
        .pool_max_idle_per_host(MAX_IDLE)
        .pool_idle_timeout(Duration::from_secs(50))
        .gzip(settings.gzip)
        .user_agent(concat!("binlog-operator/", env!("CARGO_PKG_VERSION")));
    let builder = setup::tls(builder, &settings.tls, encrypted)?;
    builder.build().map_err(|e| setup::fault("sink.elasticsearch.tls", &words(&e), "correct it"))
}

async fn read(address: String, mut response: Response) -> Result<Answer> {
    let status = response.status();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWER => body.extend_from_slice(&chunk),
            Ok(Some(_)) => {
                let reason = format!("more than {MAX_ANSWER} bytes");
                return Err(SinkError::BadAnswer { address, reason });
            }
            Ok(None) => break,
            // its words are lost with the connection, what it says is not
            Err(_) if is_of_headers(status) => break,
            Err(error) => return Err(SinkError::Lost { address, reason: words(&error) }),
        }
    }
    Ok(Answer { address, status: status.as_u16(), body: body.into() })
}

/// What a request is refused for whatever its body says: who sends it, and its length.
fn is_of_headers(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PAYLOAD_TOO_LARGE)
}

impl Answer {
    /// The answer if it is 2xx, else what its status means.
    pub(super) fn success(self) -> Result<Self> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(self.error()) }
    }

    /// What an answer that is not 2xx means.
    pub(super) fn error(self) -> SinkError {
        let Self { address, status, body } = self;
        let error = failure(&body);
        let reason = error.text();
        match status {
            401 => SinkError::Unauthenticated { address, reason },
            403 => SinkError::Forbidden { address, reason },
            404 if error.kind == "index_not_found_exception" => {
                SinkError::IndexMissing { index: "of the task".into(), reason }
            }
            429 => SinkError::Busy { address, reason },
            408 | 500..=599 => SinkError::Server { address, status, reason },
            _ => SinkError::Unexpected { address, status, reason },
        }
    }

    /// The server's error type, for callers that know more about the request.
    pub(super) fn error_type(&self) -> String {
        failure(&self.body).kind
    }

    /// The server's words.
    pub(super) fn reason(&self) -> String {
        failure(&self.body).text()
    }

    /// Reads the body as JSON.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|e| self.bad(e.to_string()))
    }

    pub(super) fn bad(&self, reason: String) -> SinkError {
        SinkError::BadAnswer { address: self.address.clone(), reason }
    }
}

fn transport(address: String, error: &reqwest::Error) -> SinkError {
    let reason = words(error);
    match (tls_fault(error), error.is_connect()) {
        (Some(fault), connecting) if connecting || is_about_certificates(fault) => {
            SinkError::Tls { address, reason }
        }
        (_, true) => SinkError::Unreachable { address, reason },
        (_, false) => SinkError::Lost { address, reason },
    }
}

/// Whether the connection was closed while the request was on its way, other than orderly.
fn was_reset(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    let kind = error.downcast_ref().map(std::io::Error::kind);
    matches!(kind, Some(BrokenPipe | ConnectionAborted | ConnectionReset))
        || error.source().is_some_and(was_reset)
}

fn tls_fault<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(fault) = error.downcast_ref() {
        return Some(fault);
    }
    // The source of an io::Error is not the error in it but that one's source.
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    match wrapped {
        Some(inner) => tls_fault(inner),
        None => error.source().and_then(tls_fault),
    }
}

/// With TLS 1.3 a server refuses our certificate (or its absence) only after the handshake.
fn is_about_certificates(fault: &rustls::Error) -> bool {
    use rustls::AlertDescription as Alert;
    matches!(
        fault,
        rustls::Error::AlertReceived(
            Alert::CertificateRequired
                | Alert::NoCertificate
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
        )
    )
}

/// The innermost words of an error, without the URL.
fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() && !error.is_connect() {
        return "time ran out".to_owned();
    }
    let mut words = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        words.push(inner.to_string());
        source = inner.source();
    }
    words.dedup();
    if words.is_empty() { "request failed".to_owned() } else { words.join(": ") }
}

async fn compressed(bytes: Bytes) -> Result<Bytes> {
    if bytes.len() < BIG_BODY {
        return Ok(setup::gzip(&bytes));
    }
    let work = tokio::task::spawn_blocking(move || setup::gzip(&bytes));
    work.await.map_err(|e| SinkError::Unreachable { address: "gzip".into(), reason: e.to_string() })
}
