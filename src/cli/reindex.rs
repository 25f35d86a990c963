//! `reindex`: documents built once from the command line, without following the binlog.

use tokio::sync::{mpsc, watch};

use super::args::ReindexArgs;
use super::exit::Exit;
use super::run::{findings, finish};
use super::{file, progress, signals};
use crate::metrics::Metrics;
use crate::model::TaskStatus;
use crate::pipeline::{self, BuildRequest, FileStore, Requested, TaskOptions};
use indicatif::MultiProgress;

/// The build's name in messages and in the state.
const NAME: &str = "command-line";

/// Builds, and ends when every document is written.
pub(super) async fn reindex(args: ReindexArgs, bars: Option<MultiProgress>) -> Exit {
    let file = match file::load_with(&args.file.file, &args.file.set) {
        Ok(file) => file,
        Err(error) => return findings(&error),
    };
    let mut stop = match signals::shutdown() {
        Ok(stop) => stop,
        Err(error) => return findings(&format!("signals: {error}")),
    };
    let metrics = match Metrics::new().and_then(|metrics| metrics.task(file.name())) {
        Ok(metrics) => metrics,
        Err(error) => return findings(&error),
    };
    let folder = std::env::temp_dir().join(format!("binlog-operator-reindex-{}", std::process::id()));
    let store = match FileStore::open(&folder, false) {
        Ok(store) => store,
        Err(error) => return findings(&error),
    };
    let builds = if file.reindexes.is_empty() { vec![request(&args)] } else { file.options().builds };
    let names: Vec<String> = builds.iter().map(|build| build.name.clone()).collect();
    let options =
        TaskOptions { builds, initial_full: false, streamless: true, impatient: true, ..file.options() };
    let (status, watched) = watch::channel(TaskStatus::default());
    let shown = tokio::spawn(progress::show(watched, bars));
    let (mut over, last) = (status.subscribe(), status.subscribe());
    let (control, told) = mpsc::channel(1);
    let all_over = |status: &TaskStatus| {
        names.iter().all(|name| status.builds.get(name).is_some_and(|build| build.phase.is_over()))
    };
    // what wait_for gives is a lock on the status, which the worker must be able to change to its end
    let complete = async { over.wait_for(all_over).await.map(drop) };
    // the worker owns the status: progress ends when it is dropped
    let ended = {
        let mut worker = std::pin::pin!(pipeline::run(options, store, told, status, metrics));
        tokio::select! {
            ended = &mut worker => ended,
            _ = stop.wait_for(|stop| *stop) => finish(&control, worker).await,
            _ = complete => finish(&control, worker).await,
        }
    };
    let said = last.borrow().clone();
    let _ = shown.await;
    // what is left of it would be in nobody's way
    let _ = std::fs::remove_dir_all(folder);
    if let Err(error) = ended {
        return findings(&error);
    }
    let failed: Vec<String> = (said.builds.values())
        .filter(|build| !build.failed.is_empty())
        .map(|build| build.failed.clone())
        .collect();
    if !all_over(&said) {
        return findings(&"stopped before the build was complete; run it again");
    }
    if !failed.is_empty() {
        return findings(&failed.join("\n"));
    }
    println!(
        "{}: {} written, {} deleted, {} dead letter(s)",
        file.name(),
        said.documents_written,
        said.documents_deleted,
        said.dead_letters
    );
    if said.dead_letters == 0 { Exit::Done } else { Exit::Findings }
}

fn request(args: &ReindexArgs) -> BuildRequest {
    let selection = if let Some(condition) = &args.condition {
        Requested::Where(condition.clone())
    } else if !args.id.is_empty() {
        Requested::Ids(args.id.clone())
    } else if args.min.is_some() || args.max.is_some() {
        Requested::Range { min: args.min.clone(), max: args.max.clone() }
    } else {
        Requested::Full
    };
    BuildRequest { name: NAME.to_owned(), uid: String::new(), selection, page_size: args.page_size }
}
