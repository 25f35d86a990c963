//! `trace serve`: the answers of the other verbs as a page on this machine.
//!
//! In: binlogs, looked at once ([`Archive`]), and questions over HTTP. Out: a page that needs nothing else, JSON, SQL.
//! Who may ask is decided in `gate`; what a question means in `asked`; each is answered in `answers` by reading the
//! files anew. What is wrong with a question is said in its answer; what ends the server is an exit code.

mod answers;
mod asked;
mod gate;
mod site;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::args::{ServeArgs, TraceArgs, TraceCommand};
use super::{failed, inputs, parts, progress, schema};
use crate::cli::exit::Exit;
use crate::cli::signals;
use crate::trace::{Archive, Input, Progress, Request, Schema, TraceError};
use gate::Gate;
use site::{Site, router};

/// All that is looked at.
struct Given {
    request: Request,
    inputs: Vec<Input>,
    schema: Schema,
    progress: Progress,
}

/// Looks at the binlogs, then serves until a signal.
pub(super) async fn serve(args: ServeArgs) -> Exit {
    let mut stop = match signals::shutdown() {
        Ok(stop) => stop,
        Err(error) => return crate::cli::run::findings(&error),
    };
    let gate = match Gate::new(args.listen, &args.allow_host) {
        Ok(gate) => gate,
        Err(error) => return failed(&error),
    };
    let progress = Progress::default();
    let prepared = tokio::select! {
        prepared = prepare(args, gate, &progress) => prepared,
        _ = stop.wait_for(|stop| *stop) => {
            progress.stop.store(true, Ordering::Relaxed);
            return Exit::Done;
        }
    };
    match prepared {
        Ok((site, listener)) => listen(site, listener, stop).await,
        Err(error) => failed(&error),
    }
}

/// Takes the address first: a taken one is then said before the files are read.
async fn prepare(
    args: ServeArgs,
    gate: Gate,
    progress: &Progress,
) -> Result<(Site, TcpListener), TraceError> {
    refuse(&args.trace)?;
    let bound = TcpListener::bind(args.listen).await;
    let listener = bound.map_err(|source| TraceError::Io {
        what: format!("listen on {} (--listen ADDRESS:PORT takes another)", args.listen),
        source,
    })?;
    let (request, args, _) = parts(TraceCommand::Serve(args))?;
    let schema = schema(&args).await?;
    let inputs = Box::pin(inputs::inputs(&args, &request, progress, None)).await?;
    let given = Given { request, inputs, schema, progress: progress.clone() };
    let opened = tokio::task::spawn_blocking(move || open(given)).await;
    let archive = opened.unwrap_or_else(|error| Err(TraceError::Option(error.to_string())))?;
    Ok((Site::new(archive, args, gate), listener))
}

/// What has no meaning for a page.
fn refuse(args: &TraceArgs) -> Result<(), TraceError> {
    let why = if args.follow {
        "--follow: the page shows what is there when it starts; leave it out, and start anew for what came since"
    } else if args.executed_gtids.is_some() {
        "--executed-gtids: the page needs whole binlogs; say --start-file or --start-time, and narrow it on the page"
    } else if args.out.is_some() || args.checkpoint.is_some() {
        "--out and --checkpoint are for sql and events: the page has downloads"
    } else {
        return Ok(());
    };
    Err(TraceError::Option(why.to_owned()))
}

fn open(given: Given) -> Result<Archive, TraceError> {
    let Given { request, inputs, schema, progress } = given;
    let sizes: Option<Vec<u64>> = inputs.iter().map(Input::size).collect();
    let bar = progress::Bar::of(sizes.map(|sizes| sizes.iter().sum()), &progress);
    let archive = Archive::open(request, inputs, schema, &progress);
    drop(bar);
    archive
}

async fn listen(site: Site, listener: TcpListener, mut stop: watch::Receiver<bool>) -> Exit {
    let address = match listener.local_addr() {
        Ok(address) => address,
        Err(error) => return crate::cli::run::findings(&error),
    };
    for warning in site.archive.holdings().warnings {
        eprintln!("warning: {warning}");
    }
    println!("http://{address}/");
    let site = Arc::new(site);
    let stopped = {
        let site = Arc::clone(&site);
        async move {
            let _ = stop.wait_for(|stop| *stop).await;
            site.stop();
        }
    };
    // a download that nobody reads must not hold the end up
    tokio::select! {
        served = axum::serve(listener, router(site)).into_future() => match served {
            Ok(()) => Exit::Done,
            Err(error) => crate::cli::run::findings(&error),
        },
        () = stopped => Exit::Done,
    }
}
