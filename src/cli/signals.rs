//! SIGTERM and SIGINT: the first drains and saves, the second ends at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Becomes true with the first signal. A second one ends the process with 130.
pub(super) fn shutdown() -> std::io::Result<watch::Receiver<bool>> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        next(&mut term, &mut int).await;
        tracing::info!("stopping: finishing what is in flight; another signal ends at once");
        sender.send_replace(true);
        next(&mut term, &mut int).await;
        std::process::exit(130);
    });
    Ok(receiver)
}

async fn next(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
