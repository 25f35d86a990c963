//! The operator leads while it holds the lease; a worker's pod needs none.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::error;

use super::{Cluster, ControllerError, Settings, run};
use crate::lease::{Keeper, LeaseError, LeaseOptions, Term};
use crate::metrics::Metrics;

/// Where a process of the operator is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has not seen the lease or the cluster yet.
    Starting,
    /// Another one leads.
    StandingBy,
    /// It works.
    Working,
    /// It drains.
    Stopping,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was asked to; everything is saved.
    Stopped,
    /// The lease is lost: the process must end, with whatever it still has in flight.
    LeaseLost,
}

/// Why it cannot work at all.
#[derive(Debug, thiserror::Error)]
pub enum LeadError {
    /// The API server.
    #[error(transparent)]
    Controller(#[from] ControllerError),
    /// The lease.
    #[error(transparent)]
    Lease(#[from] LeaseError),
}

impl LeadError {
    /// What it means for the work in hand.
    pub fn class(&self) -> crate::model::Class {
        match self {
            Self::Controller(error) => error.class(),
            Self::Lease(error) => error.class(),
        }
    }
}

/// Works until `stop` is true. With `lease` only while it is held; it is given back at the end.
///
/// # Errors
/// There is no cluster, or it does not give the lease for a reason that lasts.
pub async fn lead(
    settings: Settings,
    lease: Option<LeaseOptions>,
    metrics: Arc<Metrics>,
    stage: watch::Sender<Stage>,
    mut stop: watch::Receiver<bool>,
) -> Result<Outcome, LeadError> {
    let client = Cluster::client().await?;
    let Some(lease) = lease else {
        let cluster = Cluster::new(client, Term::unlimited());
        work(cluster, settings, metrics, &stage, stop).await?;
        return Ok(Outcome::Stopped);
    };
    stage.send_replace(Stage::StandingBy);
    let mut keeper = tokio::select! {
        keeper = Keeper::acquire(client.clone(), lease) => keeper?,
        _ = stop.wait_for(|stop| *stop) => return Ok(Outcome::Stopped),
    };
    stage.send_replace(Stage::Starting);
    let cluster = Cluster::new(client, keeper.term());
    let outcome = tokio::select! {
        // renewed to the end of the drain
        () = keeper.renew() => Outcome::LeaseLost,
        worked = work(cluster, settings, metrics, &stage, stop) => {
            worked?;
            Outcome::Stopped
        }
    };
    match outcome {
        Outcome::Stopped => keeper.release().await,
        Outcome::LeaseLost => error!("the lease is lost: this process ends at once, another one takes over"),
    }
    Ok(outcome)
}

async fn work(
    cluster: Cluster,
    settings: Settings,
    metrics: Arc<Metrics>,
    stage: &watch::Sender<Stage>,
    stop: watch::Receiver<bool>,
) -> Result<(), ControllerError> {
    let mut stopping = stop.clone();
    let shown = async {
        // the sender lives as long as the process
        let _ = stopping.wait_for(|stop| *stop).await;
        stage.send_replace(Stage::Stopping);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        worked = Box::pin(run::run(cluster, settings, metrics, stage, stop)) => worked,
        () = shown => Ok(()),
    }
}
