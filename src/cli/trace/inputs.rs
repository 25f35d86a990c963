//! From the command line's words to what is read: files, URLs, lists, a server.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::args::TraceArgs;
use crate::binlog::StreamStart;
use crate::model::{BinlogPosition, Secret, ServerOptions};
use crate::source::{Source, SourceOptions};
use crate::trace::{
    AccessKeys, Checkpoint, Cloud, End, Input, Listing, Progress, Request, S3Store, StoreOptions, TraceError,
    left_out, live_start,
};

/// What is to be read, in order. What a user should know of it is said at once.
pub(super) async fn inputs(
    args: &TraceArgs,
    request: &Request,
    progress: &Progress,
    checkpoint: Option<&Checkpoint>,
) -> Result<Vec<Input>, TraceError> {
    let listed = |listing: Listing| listed(listing, request, progress);
    if let Some(path) = &args.manifest {
        return listed(Listing::manifest(path, || store(args))?);
    }
    match args.from.as_deref() {
        Some(url) if url.starts_with("aliyun://") => {
            for (given, flag) in [
                (args.start_file.is_some(), "--start-file"),
                (args.executed_gtids.is_some(), "--executed-gtids"),
                (args.follow, "--follow"),
            ] {
                if given {
                    return Err(option(format!(
                        "{flag} is for a server: Aliyun's files have an end (--stop-time)"
                    )));
                }
            }
            let keys = AccessKeys::find(Cloud::Aliyun, args.cloud.credentials.as_deref())?;
            let (start, stop) = (request.selection.start_time, request.selection.stop_time);
            listed(Box::pin(Listing::aliyun(url, keys, start, stop)).await?)
        }
        Some(url) => Ok(vec![Box::pin(live(url, args, request, checkpoint)).await?]),
        None => files(args, request, progress).await,
    }
}

async fn files(args: &TraceArgs, request: &Request, progress: &Progress) -> Result<Vec<Input>, TraceError> {
    let mut inputs = Vec::new();
    let mut objects: Option<Arc<S3Store>> = None;
    for path in &args.files {
        match path.to_str() {
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
                inputs.push(Input::url(url, &Handle::current(), &progress.read));
            }
            Some(url) if url.starts_with("s3://") => {
                let store = match &objects {
                    Some(store) => store,
                    None => objects.insert(Arc::new(store(args)?)),
                };
                let listing = Box::pin(Listing::s3(url, Arc::clone(store))).await?;
                inputs.extend(listed(listing, request, progress)?);
            }
            _ => inputs.push(open(path, progress).await?),
        }
    }
    Ok(inputs)
}

fn listed(listing: Listing, request: &Request, progress: &Progress) -> Result<Vec<Input>, TraceError> {
    let (inputs, warnings) =
        listing.inputs(&request.selection, request.allow_gaps, &Handle::current(), &progress.read)?;
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    Ok(inputs)
}

fn store(args: &TraceArgs) -> Result<S3Store, TraceError> {
    let cloud = &args.cloud;
    let keys = AccessKeys::find(Cloud::S3, cloud.credentials.as_deref())?;
    S3Store::new(&StoreOptions { endpoint: cloud.s3_endpoint.clone(), region: cloud.s3_region.clone() }, keys)
}

/// A file's first bytes are read: the standard input may keep one waiting.
async fn open(path: &Path, progress: &Progress) -> Result<Input, TraceError> {
    let (path, read) = (path.to_owned(), Arc::clone(&progress.read));
    let opened = tokio::task::spawn_blocking(move || Input::open(&path, &read)).await;
    opened.unwrap_or_else(|error| Err(option(error.to_string())))
}

fn option(text: String) -> TraceError {
    TraceError::Option(text)
}

/// How to reach the server of a URL; the password may come from MYSQL_PWD.
pub(super) fn server(url: &str) -> Result<ServerOptions, TraceError> {
    let fail = || {
        // a login is not repeated
        let shown = url.rsplit('@').next().unwrap_or_default();
        option(format!("{shown:?}: write mysql://user@host:3306/, with the password in MYSQL_PWD"))
    };
    let rest = url.strip_prefix("mysql://").ok_or_else(fail)?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (user, address) = authority.rsplit_once('@').unwrap_or(("root", authority));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| fail())?),
        _ => (address, 3306),
    };
    let host = host.trim_matches(['[', ']']);
    if host.is_empty() {
        return Err(fail());
    }
    let password = if password.is_empty() {
        std::env::var("MYSQL_PWD").unwrap_or_default()
    } else {
        password.to_owned()
    };
    Ok(ServerOptions {
        host: host.to_owned(),
        port,
        username: user.to_owned(),
        password: Secret::new(password),
        ..ServerOptions::default()
    })
}

/// The stream of `--from`; with a checkpoint from where an earlier run came to.
async fn live(
    url: &str,
    args: &TraceArgs,
    request: &Request,
    checkpoint: Option<&Checkpoint>,
) -> Result<Input, TraceError> {
    if request.is_backward() {
        let instead = "a rollback begins with the newest change";
        if args.follow {
            return Err(option(format!("{instead}: leave --follow out (--stop-time ends it)")));
        }
        if args.executed_gtids.is_some() {
            return Err(option(format!("{instead}: give --exclude-gtids instead of --executed-gtids")));
        }
    }
    let server = server(url)?;
    let source = Source::new(SourceOptions { server: server.clone(), ..SourceOptions::default() })?;
    let identity = match checkpoint {
        Some(_) => Some(format!("server {}", source.server().await?.server_uuid)),
        None => None,
    };
    // who may stream need not be allowed to list
    let files: Result<Vec<String>, _> =
        source.binlogs().await.map(|files| files.into_iter().map(|file| file.name).collect());
    let last = files.as_ref().ok().and_then(|files| files.last().cloned());
    let start = match (checkpoint.and_then(Checkpoint::position), &args.executed_gtids, &args.start_file) {
        (Some(position), ..) => StreamStart::File(position),
        (None, Some(set), _) => {
            let set = set.parse().map_err(|e| option(format!("--executed-gtids: {e}")))?;
            StreamStart::Gtids(set)
        }
        (None, None, Some(file)) => StreamStart::File(BinlogPosition { file: file.clone(), offset: 4 }),
        (None, None, None) => {
            let files = files?;
            let index = first_file(&server, &files, request).await?;
            let file = files.into_iter().nth(index);
            let file = file.ok_or_else(|| option(format!("{}: it has no binlogs", server.host)))?;
            StreamStart::File(BinlogPosition { file, offset: 4 })
        }
    };
    let end = if args.follow { End::Never } else { End::InFile(last) };
    Input::live(&server, &start, end, identity, &Handle::current()).await
}

/// Which of a server's binlogs is the first that may hold what is asked for.
async fn first_file(
    server: &ServerOptions,
    files: &[String],
    request: &Request,
) -> Result<usize, TraceError> {
    let Some(start) = request.selection.start_time.filter(|_| !request.read_all) else { return Ok(0) };
    let (server, names, runtime) = (server.clone(), files.to_vec(), Handle::current());
    let found = tokio::task::spawn_blocking(move || live_start(&server, &names, start, &runtime)).await;
    let index = found.map_err(|error| option(error.to_string()))?;
    if let (Some(first), Some(last)) = (files.first(), index.checked_sub(1).and_then(|last| files.get(last)))
    {
        eprintln!("warning: {}", left_out(first, last));
    }
    Ok(index)
}
