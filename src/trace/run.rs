//! From inputs to output.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::checkpoint::{Checkpoint, Saved};
use super::forms::Part;
use super::input::Input;
use super::known::Shared;
use super::names::Names;
use super::record::CSV_HEAD;
use super::request::{Form, Request};
use super::spool::Spool;
use super::stats::Stats;
use super::walk::Counts;
use super::{Schema, TraceError, changes, parallel, search, streams};

/// How far a trace is, for whoever shows it.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Bytes of the inputs that have been read.
    pub read: Arc<AtomicU64>,
    /// Set to stop: what is whole is written, then the trace ends.
    pub stop: Arc<AtomicBool>,
}

impl Progress {
    /// An error once a signal has come. With a checkpoint, the same command goes on.
    pub(super) fn check_stop(&self, has_checkpoint: bool) -> Result<(), TraceError> {
        if !self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(TraceError::Option(if has_checkpoint {
            "stopped by a signal: the same command goes on from here".into()
        } else {
            "stopped by a signal: the output is not complete".into()
        }))
    }
}

/// How a trace ended. What it found before an error has been written.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was seen and written.
    pub counts: Counts,
    /// What a user should know.
    pub warnings: Vec<String>,
    /// The statistics, where they were asked for.
    pub stats: Option<Stats>,
    /// Why it ended early.
    pub error: Option<TraceError>,
}

/// What a trace works with, whatever its input is.
pub(super) struct Job<'j> {
    pub(super) request: &'j Request,
    pub(super) progress: &'j Progress,
    pub(super) shared: Arc<Shared>,
    pub(super) out: &'j mut dyn Write,
    pub(super) outcome: &'j mut Outcome,
    pub(super) checkpoint: Option<&'j mut Checkpoint>,
    /// Where an earlier run came to.
    pub(super) resumed: Option<Saved>,
}

impl Job<'_> {
    /// An error once a signal has come.
    pub(super) fn check_stop(&self) -> Result<(), TraceError> {
        self.progress.check_stop(self.checkpoint.is_some())
    }
}

/// Traces the inputs, in the order of their transactions. With a checkpoint, from where an earlier run came to.
pub fn run(
    request: &Request,
    inputs: Vec<Input>,
    schema: Schema,
    progress: &Progress,
    out: &mut dyn Write,
    checkpoint: Option<&mut Checkpoint>,
) -> Outcome {
    let mut outcome = Outcome { warnings: schema.troubles, ..Outcome::default() };
    let shared = Arc::new(Shared::default());
    let job = Job { request, progress, shared, out, outcome: &mut outcome, checkpoint, resumed: None };
    if let Err(error) = trace(job, inputs, schema.names, schema.as_of) {
        outcome.error = Some(error);
    }
    outcome.count_nothing(request);
    outcome
}

fn trace(
    mut job: Job<'_>,
    mut inputs: Vec<Input>,
    names: Names,
    as_of: Option<u64>,
) -> Result<(), TraceError> {
    let request = job.request;
    request.selection.check()?;
    if let Some(checkpoint) = &mut job.checkpoint {
        job.resumed = checkpoint.resume(inputs.iter().map(|input| input.identity().to_owned()).collect())?;
    }
    leave_out(&mut job, &mut inputs);
    if let Some(saved) = &job.resumed {
        job.outcome.counts.add(&saved.counts);
    } else {
        let sources: Vec<String> = inputs.iter().map(|input| input.name().to_owned()).collect();
        begin(request, &sources, job.out)?;
    }
    let plain: Option<Vec<PathBuf>> = inputs.iter().map(|input| input.plain().map(PathBuf::from)).collect();
    let done = match plain {
        Some(files) => parallel::files(&mut job, files, names, as_of.is_some()),
        None if request.is_backward() => {
            let mut spool = Spool::default();
            let files = spool.files(inputs, job.progress)?;
            parallel::files(&mut job, files, names, as_of.is_some())
        }
        None => streams::streams(&mut job, inputs, (names, as_of)),
    };
    job.outcome.warnings.extend(job.shared.take_warnings());
    done?;
    end(request, job.out)?;
    job.checkpoint.map_or(Ok(()), Checkpoint::finish)
}

/// Leaves out the inputs that lie before the time asked for; after an interrupt those that were left out before.
fn leave_out(job: &mut Job<'_>, inputs: &mut Vec<Input>) {
    let skipped = match &job.resumed {
        Some(saved) => saved.skipped.min(inputs.len()),
        None => search::before(job.request, inputs),
    };
    if let Some(checkpoint) = &mut job.checkpoint {
        checkpoint.skip(skipped);
    }
    job.outcome.warnings.extend(search::leave_out(inputs, skipped));
}

/// The head of the output.
pub(super) fn begin(request: &Request, sources: &[String], out: &mut dyn Write) -> Result<(), TraceError> {
    let write = TraceError::io("write the output");
    let mut head = changes::title(request.form, sources);
    match request.form {
        Form::Sql | Form::Rollback => head.extend_from_slice(changes::PREAMBLE.as_bytes()),
        Form::Csv => head.extend_from_slice(CSV_HEAD.as_bytes()),
        _ => {}
    }
    if request.guard && request.form == Form::Rollback {
        head.extend_from_slice(changes::GUARD_PREAMBLE.as_bytes());
    }
    out.write_all(&head).map_err(write)
}

pub(super) fn end(request: &Request, out: &mut dyn Write) -> Result<(), TraceError> {
    if matches!(request.form, Form::Sql | Form::Rollback) {
        out.write_all(changes::POSTAMBLE.as_bytes()).map_err(TraceError::io("write the output"))?;
    }
    out.flush().map_err(TraceError::io("write the output"))
}

impl Outcome {
    /// Statistics of nothing, where nothing was selected.
    pub(super) fn count_nothing(&mut self, request: &Request) {
        if request.form == Form::Stats && self.error.is_none() && self.stats.is_none() {
            self.stats = Some(Stats::new(request));
        }
    }

    /// Adds what came of a part.
    pub(super) fn take(&mut self, part: &mut Part) {
        self.counts.add(&part.counts);
        for warning in std::mem::take(&mut part.warnings) {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        if let Some(stats) = part.stats.take() {
            match &mut self.stats {
                Some(sum) => sum.add(stats),
                none => *none = Some(stats),
            }
        }
    }
}
