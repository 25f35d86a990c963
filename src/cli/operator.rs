//! `operator` and `worker`: the tasks of a cluster.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::args::{OperatorArgs, WorkerArgs};
use super::exit::Exit;
use super::http::{self, Pages, Subject};
use super::run::findings;
use super::signals;
use crate::controller::{self, Mode, Outcome, Settings, Stage};
use crate::lease::LeaseOptions;
use crate::metrics::Metrics;

/// Waits for the lease, then works for as long as it is ours.
pub(super) async fn operator(args: OperatorArgs) -> Exit {
    let identity = identity(args.identity);
    let settings = Settings {
        namespaces: args.namespace.into_iter().filter(|name| !name.is_empty()).collect(),
        identity: identity.clone(),
        mode: Mode::Operator { image: args.worker_image, service_account: args.worker_service_account },
    };
    let lease = LeaseOptions {
        namespace: args.lease_namespace,
        name: args.lease_name,
        identity,
        duration: Duration::from_secs(args.lease_seconds),
        grace: Duration::from_secs(args.lease_grace_seconds),
    };
    run(args.listen, settings, Some(lease)).await
}

/// Works on one task.
pub(super) async fn worker(args: WorkerArgs) -> Exit {
    let settings = Settings {
        namespaces: vec![args.namespace],
        identity: identity(args.identity),
        mode: Mode::Worker { task: args.task },
    };
    run(args.listen, settings, None).await
}

/// A name of ours that no other process has, nor we after a restart.
fn identity(given: Option<String>) -> String {
    let host = given.or_else(|| std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty()));
    format!("{}-{:08x}", host.unwrap_or_else(|| "binlog-operator".to_owned()), rand::random::<u32>())
}

async fn run(listen: SocketAddr, settings: Settings, lease: Option<LeaseOptions>) -> Exit {
    let stop = match signals::shutdown() {
        Ok(stop) => stop,
        Err(error) => return findings(&format!("signals: {error}")),
    };
    let metrics = match Metrics::new() {
        Ok(metrics) => Arc::new(metrics),
        Err(error) => return findings(&error),
    };
    let listener = match TcpListener::bind(listen).await {
        Ok(listener) => listener,
        Err(error) => return findings(&format!("--listen {listen}: {error}; choose a free address")),
    };
    let (stage, shown) = watch::channel(Stage::Starting);
    let pages = Pages { of: Subject::Operator(shown), metrics: Arc::clone(&metrics) };
    // answers to the end: a drain is to be seen
    let (_open, until_closed) = watch::channel(false);
    tokio::spawn(http::serve(listener, pages, until_closed));
    match controller::lead(settings, lease, metrics, stage, stop).await {
        Ok(Outcome::Stopped) => Exit::Done,
        Ok(Outcome::LeaseLost) => Exit::NotOwner,
        Err(error) => findings(&error),
    }
}
