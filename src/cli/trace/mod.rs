//! `trace`: binlogs as SQL, rollback, statistics, events.

mod args;
mod inputs;
mod progress;
mod selection;
mod serve;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::atomic::Ordering;

pub(super) use args::TraceCommand;
use args::{ChangeFormat, StatsFormat, TraceArgs};

use super::exit::Exit;
use super::signals;
use crate::source::{Source, SourceOptions};
use crate::trace::{Checkpoint, Form, Input, Outcome, Progress, Request, Schema, TraceError, run};

/// Bytes of output written at once.
const BUFFER: usize = 1 << 18;
/// Threads without `--threads`, at most.
const MAX_THREADS: usize = 8;

/// All that a trace is run with.
struct Plan {
    request: Request,
    stats: StatsFormat,
    schema: Schema,
    inputs: Vec<Input>,
    out: Box<dyn Write + Send>,
    checkpoint: Option<Checkpoint>,
    progress: Progress,
}

/// Does what the command says.
pub(super) async fn trace(command: TraceCommand) -> Exit {
    let command = match command {
        TraceCommand::Serve(args) => return Box::pin(serve::serve(args)).await,
        command => command,
    };
    let plan = match Box::pin(plan(command)).await {
        Ok(Some(plan)) => plan,
        Ok(None) => return Exit::Done,
        Err(error) => return failed(&error),
    };
    let stop = std::sync::Arc::clone(&plan.progress.stop);
    let mut stopped = match signals::shutdown() {
        Ok(stopped) => stopped,
        Err(error) => return super::run::findings(&error),
    };
    let watch = tokio::spawn(async move {
        if stopped.wait_for(|stop| *stop).await.is_ok() {
            stop.store(true, Ordering::Relaxed);
        }
    });
    let worked = tokio::task::spawn_blocking(move || work(plan)).await;
    watch.abort();
    worked.unwrap_or_else(|error| super::run::findings(&error))
}

/// Looks everything up that the trace needs; `None` where an earlier run has done it all.
async fn plan(command: TraceCommand) -> Result<Option<Plan>, TraceError> {
    let (request, args, stats) = parts(command)?;
    let (checkpoint, out): (_, Box<dyn Write + Send>) = match (&args.checkpoint, &args.out) {
        (Some(path), Some(out)) => {
            let (checkpoint, file) = Checkpoint::open(path, out, &request)?;
            if checkpoint.is_done() {
                eprintln!(
                    "nothing is left to do: {} is whole; remove {} to begin anew",
                    out.display(),
                    path.display()
                );
                return Ok(None);
            }
            (Some(checkpoint), Box::new(file))
        }
        (_, Some(out)) => {
            let create = |source| TraceError::Io { what: format!("write {}", out.display()), source };
            (None, Box::new(File::create(out).map_err(create)?))
        }
        (_, None) => (None, Box::new(io::stdout())),
    };
    let schema = schema(&args).await?;
    let progress = Progress::default();
    let inputs = inputs::inputs(&args, &request, &progress, checkpoint.as_ref()).await?;
    Ok(Some(Plan { request, stats, schema, inputs, out, checkpoint, progress }))
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
        TraceCommand::Serve(args) => (Request::new(Form::Listing), args.trace),
    };
    request.selection = selection::selection(&args.selection)?;
    request.selection.check()?;
    read_as(&mut request, &args);
    Ok((request, args, stats))
}

/// Sets how files are read.
fn read_as(request: &mut Request, args: &TraceArgs) {
    request.allow_trailing = args.allow_trailing;
    request.allow_gaps = args.allow_gaps;
    request.read_all = args.read_all;
    request.verify_checksums = !args.no_checksums;
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    request.threads = args.threads.map_or(cores, usize::from);
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
        let server = inputs::server(url)?;
        let source = Source::new(SourceOptions { server, ..SourceOptions::default() })?;
        let as_of = source.now().await?;
        for (database, ddl) in source.table_ddl(&[]).await? {
            schema.add_live(&database, &ddl, as_of);
        }
    }
    Ok(schema)
}

fn work(plan: Plan) -> Exit {
    let Plan { request, stats, schema, inputs, out, mut checkpoint, progress } = plan;
    let mut out = BufWriter::with_capacity(BUFFER, out);
    let sizes: Option<Vec<u64>> = inputs.iter().map(Input::size).collect();
    let bar = progress::Bar::of(sizes.map(|sizes| sizes.iter().sum()), &progress);
    let mut outcome = run(&request, inputs, schema, &progress, &mut out, checkpoint.as_mut());
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
