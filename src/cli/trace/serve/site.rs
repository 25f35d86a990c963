//! The page and its routes, and what every answer carries.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use axum::Router;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::answers::{self, refused};
use super::gate::Gate;
use crate::cli::trace::args::TraceArgs;
use crate::trace::{Archive, Progress};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// "use strict" stands at the head of the first.
const SCRIPTS: [&str; 2] = [include_str!("page.js"), include_str!("chart.js")];

/// Questions that are worked on at once; others wait.
const AT_ONCE: usize = 3;

/// What is served.
pub(super) struct Site {
    pub(super) archive: Archive,
    /// How files are read.
    pub(super) args: TraceArgs,
    gate: Gate,
    page: String,
    policy: String,
    pub(super) free: Arc<Semaphore>,
    /// Sets of these end what is worked on.
    working: Mutex<Vec<Weak<AtomicBool>>>,
}

impl Site {
    pub(super) fn new(archive: Archive, args: TraceArgs, gate: Gate) -> Self {
        let script = SCRIPTS.join("\n");
        Self {
            archive,
            args,
            gate,
            policy: policy(&script),
            page: PAGE.replace("/*STYLE*/", STYLE).replace("/*SCRIPT*/", &script),
            free: Arc::new(Semaphore::new(AT_ONCE)),
            working: Mutex::default(),
        }
    }

    /// How far a question is; it ends with the server.
    pub(super) fn begin(&self) -> Progress {
        let progress = Progress::default();
        let mut working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        working.retain(|stop| stop.strong_count() > 0);
        working.push(Arc::downgrade(&progress.stop));
        progress
    }

    /// Ends what is worked on.
    pub(super) fn stop(&self) {
        let working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        working.iter().filter_map(Weak::upgrade).for_each(|stop| stop.store(true, Ordering::Relaxed));
    }
}

/// The page runs its own script and style and nothing else, and talks to this server only.
fn policy(script: &str) -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        hash(script),
        hash(STYLE)
    )
}

/// The routes.
pub(super) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(async |State(site): State<Arc<Site>>| Html(site.page.clone())))
        .route("/api/holdings", get(answers::holdings))
        .route("/api/overview", get(answers::overview))
        .route("/api/changes", get(answers::changes))
        .route("/api/sql", get(answers::sql))
        .route("/api/rollback", get(answers::rollback))
        .fallback(async || refused(StatusCode::NOT_FOUND, "there is nothing at this address"))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), guard))
        .with_state(site)
}

async fn guard(State(site): State<Arc<Site>>, request: HttpRequest, next: Next) -> Response {
    let mut response = match site.gate.refuses(&request) {
        Some((status, text)) => refused(status, &text),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&site.policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
