//! `run`: one task from a file, without a cluster.

use std::sync::Arc;

use indicatif::MultiProgress;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::args::RunArgs;
use super::exit::Exit;
use super::file::{self, TaskFile};
use super::http::{self, Pages};
use super::{progress, signals};
use crate::metrics::{Metrics, TaskMetrics};
use crate::model::TaskStatus;

/// Runs until a signal, or until caught up where that was asked for.
pub(super) async fn run(args: RunArgs, bars: Option<MultiProgress>) -> Exit {
    let file = match file::load(&args.file) {
        Ok(file) => file,
        Err(error) => return findings(&error),
    };
    let stop = match signals::shutdown() {
        Ok(stop) => stop,
        Err(error) => return findings(&format!("signals: {error}")),
    };
    let (metrics, task_metrics) = match metrics(&file) {
        Ok(metrics) => metrics,
        Err(error) => return findings(&error),
    };
    let (status, watched) = watch::channel(TaskStatus::default());
    let (done, until_done) = watch::channel(false);
    if let Some(address) = args.listen {
        let listener = match TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(error) => return findings(&format!("--listen {address}: {error}; choose a free address")),
        };
        let pages = Pages { task: file.name().into(), status: watched.clone(), metrics };
        tokio::spawn(http::serve(listener, pages, until_done));
    }
    let shown = tokio::spawn(progress::show(watched, bars));
    let exit = work(&args, file, status, task_metrics, stop).await;
    let _ = shown.await;
    done.send_replace(true);
    exit
}

/// The worker. It owns the status: progress ends when it is dropped.
async fn work(
    args: &RunArgs,
    file: TaskFile,
    status: watch::Sender<TaskStatus>,
    metrics: TaskMetrics,
    stop: watch::Receiver<bool>,
) -> Exit {
    let _ = (args, file, status, metrics, stop);
    std::future::ready(findings(&"this build has no worker yet")).await
}

fn metrics(file: &TaskFile) -> Result<(Arc<Metrics>, TaskMetrics), crate::metrics::MetricsError> {
    let metrics = Metrics::new()?;
    let task = metrics.task(file.name())?;
    Ok((Arc::new(metrics), task))
}

/// Prints what is wrong.
pub(super) fn findings(error: &dyn std::fmt::Display) -> Exit {
    eprintln!("{error}");
    Exit::Findings
}
