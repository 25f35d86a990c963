//! `/healthz`, `/readyz` and `/metrics`.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::controller::Stage;
use crate::metrics::Metrics;
use crate::model::{ConditionType, TaskStatus};

/// What the pages show.
#[derive(Clone, Debug)]
pub struct Pages {
    /// What `/readyz` is about.
    pub of: Subject,
    /// The metrics.
    pub metrics: Arc<Metrics>,
}

/// What `/readyz` is about.
#[derive(Clone, Debug)]
pub enum Subject {
    /// One task.
    Task {
        /// The task's name.
        name: Arc<str>,
        /// How the task is doing.
        status: watch::Receiver<TaskStatus>,
    },
    /// The operator, of which tasks report in their own status.
    Operator(watch::Receiver<Stage>),
}

/// Serves the pages until `stop` becomes true (or its sender goes).
pub async fn serve(
    listener: TcpListener,
    pages: Pages,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    axum::serve(listener, router(pages)).with_graceful_shutdown(stopped).await
}

fn router(pages: Pages) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(pages)
}

async fn readyz(State(pages): State<Pages>) -> impl IntoResponse {
    let (ready, text) = match &pages.of {
        Subject::Task { name, status } => {
            let status = status.borrow();
            (status.is_ready(), ready_text(name, &status))
        }
        Subject::Operator(stage) => {
            let stage = *stage.borrow();
            (matches!(stage, Stage::StandingBy | Stage::Working), format!("{stage:?}\n"))
        }
    };
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, text)
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    match pages.metrics.render() {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], error.to_string())
        }
    }
}

/// One line per condition, `TYPE=STATUS REASON: MESSAGE`, then one line per figure.
fn ready_text(task: &str, status: &TaskStatus) -> String {
    let mut text = format!("{} {task}\n", if status.is_ready() { "ready" } else { "not ready" });
    for type_ in ConditionType::ALL {
        if let Some(condition) = status.conditions.get(&type_) {
            let _ = write!(text, "{}={} {}", type_.name(), condition.status, condition.reason);
            let message = condition.message.replace('\n', " ");
            let _ = if message.is_empty() { writeln!(text) } else { writeln!(text, ": {message}") };
        }
    }
    let figures = [
        ("lag_seconds", status.lag_seconds),
        ("pending_ids", status.pending_ids),
        ("dead_letters", status.dead_letters),
        ("documents_written", status.documents_written),
        ("documents_deleted", status.documents_deleted),
    ];
    for (name, value) in figures {
        let _ = writeln!(text, "{name} {value}");
    }
    if let Some(position) = &status.position {
        let _ = writeln!(text, "position {position}");
    }
    for (name, build) in &status.builds {
        let of = if build.keys_estimate > 0 {
            format!(" of about {}", build.keys_estimate)
        } else {
            String::new()
        };
        let failed =
            if build.failed.is_empty() { String::new() } else { format!(" failed: {}", build.failed) };
        let _ = writeln!(text, "build {name} {:?} {}{of}{failed}", build.phase, build.keys_done);
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::model::BuildProgress;

    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn pages_follow_the_status() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (status, receiver) = watch::channel(TaskStatus::default());
        let metrics = Arc::new(Metrics::new().unwrap());
        metrics.task("orders").unwrap().rows.add(3);
        let (stop, stopped) = watch::channel(false);
        let of = Subject::Task { name: "orders".into(), status: receiver };
        let pages = Pages { of, metrics };
        let server = tokio::spawn(serve(listener, pages, stopped));
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let answer = get(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("not ready orders\n"), "{answer}");
        status.send_modify(|s| {
            s.set(ConditionType::Ready, true, "Progressing", "");
            s.set(ConditionType::SinkConnected, false, "Unreachable", "connection refused");
            s.builds.insert(
                "initial".into(),
                BuildProgress { keys_done: 5, keys_estimate: 9, ..Default::default() },
            );
        });
        let answer = get(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        for line in [
            "Ready=True Progressing",
            "SinkConnected=False Unreachable: connection refused",
            "lag_seconds 0",
            "build initial Pending 5 of about 9",
        ] {
            assert!(answer.lines().any(|l| l == line), "{line}\n{answer}");
        }
        assert!(get(address, "/metrics").await.contains("binlog_operator_rows_total{task=\"orders\"} 3"));
        stop.send_replace(true);
        server.await.unwrap().unwrap();
    }
}
