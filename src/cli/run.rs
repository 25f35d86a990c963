//! `run`: one task from a file, without a cluster.

use std::sync::Arc;
use std::time::Duration;

use indicatif::MultiProgress;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tracing::warn;

use super::args::RunArgs;
use super::exit::Exit;
use super::file::{self, TaskFile};
use super::http::{self, Pages, Subject};
use super::{progress, signals};
use crate::api::State;
use crate::metrics::{Metrics, TaskMetrics};
use crate::model::{BuildPhase, ConditionType, TaskStatus};
use crate::pipeline::{self, Control, FileStore, OpenError, TaskOptions, WorkerError};

/// How long a stop may take.
const DRAIN: Duration = Duration::from_secs(20);

/// Runs until a signal, or until caught up where that was asked for.
pub(super) async fn run(args: RunArgs, bars: Option<MultiProgress>) -> Exit {
    let file = match file::load_with(&args.file.file, &args.file.set) {
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
        let of = Subject::Task { name: file.name().into(), status: watched.clone() };
        let pages = Pages { of, metrics };
        tokio::spawn(http::serve(listener, pages, until_done));
    }
    let shown = tokio::spawn(progress::show(watched, bars));
    let exit = Box::pin(work(&args, file, status, task_metrics, stop)).await;
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
    mut stop: watch::Receiver<bool>,
) -> Exit {
    let store = match FileStore::open(&args.state_dir, args.take_over) {
        Ok(store) => store,
        Err(error) => {
            findings(&error);
            return if matches!(error, OpenError::Held(_)) { Exit::NotOwner } else { Exit::Findings };
        }
    };
    if file.task.spec.state != State::Running {
        return rest(&file, &status, &mut stop).await;
    }
    let (write_log, impatient) = (args.write_log.clone(), args.until_caught_up);
    let options = TaskOptions { write_log, impatient, ..file.options() };
    let (control, told) = mpsc::channel(1);
    let (mut watched, last) = (status.subscribe(), status.subscribe());
    let settled = async {
        if args.until_caught_up {
            // the worker owns the sender: where it is gone the worker has ended by itself
            let _ = watched.wait_for(TaskStatus::is_settled).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let mut worker = std::pin::pin!(pipeline::run(options, store, told, status, metrics));
    let ended = tokio::select! {
        ended = &mut worker => ended,
        _ = stop.wait_for(|stop| *stop) => finish(&control, worker).await,
        () = settled => finish(&control, worker).await,
    };
    let failed: Vec<String> = (last.borrow().builds.iter())
        .filter(|(_, build)| build.phase == BuildPhase::Failed)
        .map(|(name, build)| format!("Reindex {name}: {}", build.failed))
        .collect();
    let refused = last.borrow().dead_letters;
    let failed: Vec<String> = failed
        .into_iter()
        .chain(
            (refused > 0)
                .then(|| format!("{refused} documents were refused: they are the task's dead letters")),
        )
        .collect();
    match ended {
        Ok(()) if args.until_caught_up && !failed.is_empty() => findings(&failed.join("\n")),
        Ok(()) => Exit::Done,
        Err(error) => {
            findings(&error);
            if matches!(error, WorkerError::Lost(_)) { Exit::NotOwner } else { Exit::Findings }
        }
    }
}

/// Tells the worker to stop, and gives it time to.
pub(super) async fn finish(
    control: &mpsc::Sender<Control>,
    worker: std::pin::Pin<&mut impl Future<Output = Result<(), WorkerError>>>,
) -> Result<(), WorkerError> {
    // a full channel holds a stop already
    let _ = control.try_send(Control::Stop);
    if let Ok(ended) = tokio::time::timeout(DRAIN, worker).await {
        return ended;
    }
    warn!("what was in flight did not end within {} s; it is done again at the next start", DRAIN.as_secs());
    Ok(())
}

/// Paused or Stopped: nothing is connected, the state is kept.
async fn rest(file: &TaskFile, status: &watch::Sender<TaskStatus>, stop: &mut watch::Receiver<bool>) -> Exit {
    let state = format!("{:?}", file.task.spec.state);
    status.send_modify(|status| {
        status.set(ConditionType::Paused, true, state.as_str(), "spec.state says so");
        status.set(ConditionType::Ready, false, state.as_str(), "spec.state says so");
    });
    let _ = stop.wait_for(|stop| *stop).await;
    Exit::Done
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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn args(state_dir: PathBuf) -> RunArgs {
        RunArgs {
            file: crate::cli::args::FileArgs {
                file: Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/examples/orders.yaml"),
                set: vec![],
            },
            state_dir,
            listen: None,
            until_caught_up: false,
            take_over: false,
            write_log: None,
        }
    }

    #[tokio::test]
    async fn exit_codes_tell_a_held_state_from_one_that_cannot_be_used() {
        let folder = std::env::temp_dir().join(format!("binlog-operator-exit-{}", std::process::id()));
        let held = FileStore::open(&folder, false).unwrap();
        assert_eq!(Box::pin(run(args(folder.clone()), None)).await, Exit::NotOwner);
        drop(held);
        let file = folder.join("a-file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(Box::pin(run(args(file), None)).await, Exit::Findings);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
