//! `trace`: binlogs as SQL, rollback, statistics, events.

mod args;
mod progress;
mod selection;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::Ordering;

use tokio::runtime::Handle;

pub(super) use args::TraceCommand;
use args::{ChangeFormat, StatsFormat, TraceArgs};

use super::exit::Exit;
use super::signals;
use crate::binlog::StreamStart;
use crate::model::{BinlogPosition, Secret, ServerOptions};
use crate::source::{Source, SourceOptions};
use crate::trace::{Form, Input, Outcome, Progress, Request, Schema, TraceError, run};

/// Bytes of output written at once.
const BUFFER: usize = 1 << 18;
/// Threads without `--threads`, at most.
const MAX_THREADS: usize = 8;

/// Does what the command says.
pub(super) async fn trace(command: TraceCommand) -> Exit {
    let (request, args, stats) = match parts(command) {
        Ok(parts) => parts,
        Err(error) => return failed(&error),
    };
    let schema = match schema(&args).await {
        Ok(schema) => schema,
        Err(error) => return failed(&error),
    };
    let progress = Progress::default();
    let live = match live(&args).await {
        Ok(live) => live,
        Err(error) => return failed(&error),
    };
    let stop = std::sync::Arc::clone(&progress.stop);
    let mut stopped = match signals::shutdown() {
        Ok(stopped) => stopped,
        Err(error) => return super::run::findings(&error),
    };
    let watch = tokio::spawn(async move {
        if stopped.wait_for(|stop| *stop).await.is_ok() {
            stop.store(true, Ordering::Relaxed);
        }
    });
    let worked =
        tokio::task::spawn_blocking(move || work(&request, &args, live, schema, &progress, stats)).await;
    watch.abort();
    worked.unwrap_or_else(|error| super::run::findings(&error))
}

/// The request, and how statistics are printed.
fn parts(command: TraceCommand) -> Result<(Request, TraceArgs, StatsFormat), TraceError> {
    let mut stats = StatsFormat::Text;
    let (mut request, args) = match command {
        TraceCommand::Sql(sql) => {
            let form = match sql.format {
                ChangeFormat::Sql => Form::Sql,
                ChangeFormat::Json => Form::Json,
                ChangeFormat::Csv => Form::Csv,
            };
            (Request { full_set: sql.full_set, ..Request::new(form) }, sql.trace)
        }
        TraceCommand::Rollback(back) => {
            let form = if back.exact { Form::ExactRollback } else { Form::Rollback };
            let request = Request {
                full_set: back.full_set,
                with_original: back.with_original,
                guard: back.guard,
                ..Request::new(form)
            };
            (request, back.trace)
        }
        TraceCommand::Stats(args) => {
            stats = args.format;
            let interval = args.interval.unwrap_or(0);
            (Request { interval, top: args.top.into(), ..Request::new(Form::Stats) }, args.trace)
        }
        TraceCommand::Events(events) => (Request::new(Form::Events), events.trace),
    };
    request.selection = selection::selection(&args.selection)?;
    request.selection.check()?;
    request.allow_trailing = args.allow_trailing;
    request.allow_gaps = args.allow_gaps;
    request.verify_checksums = !args.no_checksums;
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    request.threads = args.threads.map_or(cores, usize::from);
    Ok((request, args, stats))
}

async fn schema(args: &TraceArgs) -> Result<Schema, TraceError> {
    let mut schema = Schema::default();
    for ddl in &args.ddl {
        let (database, file) = match ddl.split_once('=') {
            Some((database, file)) if !std::path::Path::new(ddl).exists() => (Some(database), file),
            _ => (None, ddl.as_str()),
        };
        schema.add_file(file.as_ref(), database)?;
    }
    if let Some(url) = &args.schema_from {
        let server = server(url)?;
        let source = Source::new(SourceOptions { server, ..SourceOptions::default() })?;
        for (database, ddl) in source.table_ddl(&[]).await? {
            schema.add_live(&database, &ddl);
        }
    }
    Ok(schema)
}

/// How to reach the server of a URL; the password may come from MYSQL_PWD.
fn server(url: &str) -> Result<ServerOptions, TraceError> {
    let fail = || {
        TraceError::Option(format!("{url:?}: write mysql://user@host:3306/, with the password in MYSQL_PWD"))
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

/// The stream of `--from`.
async fn live(args: &TraceArgs) -> Result<Option<Input>, TraceError> {
    let Some(url) = &args.from else { return Ok(None) };
    let server = server(url)?;
    let start = match (&args.executed_gtids, &args.start_file) {
        (Some(set), _) => {
            let set = set.parse().map_err(|e| TraceError::Option(format!("--executed-gtids: {e}")))?;
            StreamStart::Gtids(set)
        }
        (None, Some(file)) => StreamStart::File(BinlogPosition { file: file.clone(), offset: 4 }),
        (None, None) => {
            let source = Source::new(SourceOptions { server: server.clone(), ..SourceOptions::default() })?;
            let oldest = source.binlogs().await?.into_iter().next();
            let file =
                oldest.ok_or_else(|| TraceError::Option(format!("{}: it has no binlogs", server.host)))?;
            StreamStart::File(BinlogPosition { file: file.name, offset: 4 })
        }
    };
    Input::live(&server, &start, args.follow, &Handle::current()).await.map(Some)
}

fn open(path: &Path, progress: &Progress) -> Result<Input, TraceError> {
    match path.to_str() {
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
            Input::url(url, &Handle::current(), &progress.read)
        }
        _ => Input::open(path, &progress.read),
    }
}

fn work(
    request: &Request,
    args: &TraceArgs,
    live: Option<Input>,
    schema: Schema,
    progress: &Progress,
    stats: StatsFormat,
) -> Exit {
    let files = args.files.iter().map(|path| open(path, progress));
    let inputs: Result<Vec<Input>, TraceError> = live.into_iter().map(Ok).chain(files).collect();
    let inputs = match inputs {
        Ok(inputs) => inputs,
        Err(error) => return failed(&error),
    };
    let out: Box<dyn Write> = match &args.out {
        None => Box::new(io::stdout().lock()),
        Some(path) => match File::create(path) {
            Ok(file) => Box::new(file),
            Err(source) => {
                return failed(&TraceError::Io { what: format!("write {}", path.display()), source });
            }
        },
    };
    let mut out = BufWriter::with_capacity(BUFFER, out);
    let bar = progress::Bar::of(args.files.iter().map(std::path::PathBuf::as_path), progress);
    let mut outcome = run(request, inputs, schema, progress, &mut out);
    drop(bar);
    if let Some(counted) = &mut outcome.stats {
        let text = match stats {
            StatsFormat::Text => counted.text(),
            StatsFormat::Json => counted.json(),
            StatsFormat::Html => counted.html(),
        };
        if let Err(source) = out.write_all(text.as_bytes())
            && outcome.error.is_none()
        {
            outcome.error = Some(TraceError::Io { what: "write the output".into(), source });
        }
    }
    if let Err(source) = out.flush()
        && outcome.error.is_none()
    {
        outcome.error = Some(TraceError::Io { what: "write the output".into(), source });
    }
    report(&outcome)
}

/// Says on standard error what was seen and what is wrong.
fn report(outcome: &Outcome) -> Exit {
    for warning in &outcome.warnings {
        eprintln!("warning: {warning}");
    }
    let counts = &outcome.counts;
    eprintln!(
        "read: {} events, {} transactions; selected: {} rows and {} statements of {} transactions; written: {}{}{}",
        counts.events,
        counts.transactions,
        counts.selected_rows,
        counts.statements,
        counts.selected_transactions,
        counts.written,
        if counts.undone_rows > 0 {
            format!("; left out with their transactions: {} rows", counts.undone_rows)
        } else {
            String::new()
        },
        if counts.ignored > 0 {
            format!("; ignorable events of unknown types: {}", counts.ignored)
        } else {
            String::new()
        },
    );
    match &outcome.error {
        None => Exit::Done,
        Some(TraceError::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Some(error) => failed(error),
    }
}

fn failed(error: &TraceError) -> Exit {
    eprintln!("error: {error}");
    if error.is_incomplete() { Exit::Incomplete } else { Exit::Findings }
}
