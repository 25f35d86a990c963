//! A worker at work for a task of the cluster.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::super::ConfigMapStore;
use super::plan::{BuildOrders, Wanted};
use crate::metrics::TaskMetrics;
use crate::model::TaskStatus;
use crate::pipeline::{self, BuildRequest, Control, TaskOptions, WorkerError};

/// How long a worker may take to finish what is in flight.
const DRAIN: Duration = Duration::from_secs(20);

/// Orders that may wait.
const ORDERS: usize = 256;

/// A worker and what it was told. It ends with this: nobody else knows of it.
pub(super) struct Worker {
    pub(super) wanted: Wanted,
    pub(super) status: watch::Receiver<TaskStatus>,
    pub(super) started: Instant,
    control: mpsc::Sender<Control>,
    task: JoinHandle<Result<(), WorkerError>>,
    /// The builds that it knows of, by name, with the UIDs of their Reindexes.
    builds: BTreeMap<String, String>,
    stopping: Option<Instant>,
}

impl Worker {
    /// Starts one.
    pub(super) fn start(
        wanted: Wanted,
        options: TaskOptions,
        store: ConfigMapStore,
        metrics: TaskMetrics,
    ) -> Self {
        let (control, told) = mpsc::channel(ORDERS);
        let (status, watched) = watch::channel(TaskStatus::default());
        let task = tokio::spawn(Box::pin(pipeline::run(options, store, told, status, metrics)));
        Self {
            wanted,
            status: watched,
            started: Instant::now(),
            control,
            task,
            builds: BTreeMap::new(),
            stopping: None,
        }
    }

    pub(super) fn builds(&self) -> &BTreeMap<String, String> {
        &self.builds
    }

    /// Hands orders on; what finds no room is asked for again at the next look.
    pub(super) fn order(&mut self, orders: BuildOrders) {
        for name in orders.cancel {
            if self.control.try_send(Control::Cancel(name.clone())).is_ok() {
                self.builds.remove(&name);
            }
        }
        for build in orders.build {
            let BuildRequest { name, uid, .. } = build.clone();
            if self.control.try_send(Control::Build(build)).is_ok() {
                self.builds.insert(name, uid);
            }
        }
    }

    /// Tells it to finish what is in flight and to end; ends it where that takes too long.
    pub(super) fn stop(&mut self) {
        match self.stopping {
            None => {
                if self.control.try_send(Control::Stop).is_ok() || self.control.is_closed() {
                    self.stopping = Some(Instant::now());
                }
            }
            Some(since) if since.elapsed() > DRAIN => self.task.abort(),
            Some(_) => {}
        }
    }

    /// True once it has been told to end: it does not come back.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Waits until it is over.
    pub(super) async fn ended(&mut self) -> Result<(), WorkerError> {
        match (&mut self.task).await {
            Ok(ended) => ended,
            Err(error) if error.is_cancelled() => Ok(()),
            Err(_) => Err(WorkerError::Store("the worker broke; its log says where".to_owned())),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}
