//! From inputs to output: files are surveyed and read by several workers, in order or the last first; what comes
//! only once is read as it comes.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::changes::{self, Changes};
use super::events::Events;
use super::exact::{self, Exact};
use super::fates::Fates;
use super::follows::Follows;
use super::input::{Input, Reader, Spool};
use super::known::{Known, Shared};
use super::live::Live;
use super::names::Names;
use super::pieces::Pieces;
use super::record::CSV_HEAD;
use super::request::{Form, Request};
use super::stats::{Gather, Stats};
use super::survey::{Chunk, Survey};
use super::walk::{Counts, Walk};
use super::{Schema, TraceError};
use crate::binlog::{BinlogFile, Body, Decoder, FormatDescription, RawEvent};

/// Output of a stream is written on when so much is there.
const FLUSH: u64 = 1 << 18;
/// Chunks that are decoded ahead of the one that is written, beside one per worker.
const AHEAD: usize = 2;

/// How far a trace is, for whoever shows it.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Bytes of the inputs that have been read.
    pub read: Arc<AtomicU64>,
    /// Set to stop: what is whole is written, then the trace ends.
    pub stop: Arc<AtomicBool>,
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

/// What came of a chunk.
struct Part {
    pieces: Pieces,
    counts: Counts,
    warnings: Vec<String>,
    stats: Option<Stats>,
    error: Option<TraceError>,
}

impl Part {
    fn of(error: TraceError) -> Self {
        Self {
            pieces: Pieces::default(),
            counts: Counts::default(),
            warnings: Vec::new(),
            stats: None,
            error: Some(error),
        }
    }
}

/// One of the forms of output.
enum Sink<'r> {
    Changes(Box<Changes<'r>>),
    Exact(Box<Exact<'r>>),
    Events(Box<Events<'r>>),
    Gather(Box<Gather<'r>>),
}

/// Runs the same code for whichever form there is.
macro_rules! with {
    ($sink:expr, $out:ident => $body:expr) => {
        match $sink {
            Sink::Changes(sink) => {
                let $out = &mut **sink;
                $body
            }
            Sink::Exact(sink) => {
                let $out = &mut **sink;
                $body
            }
            Sink::Events(sink) => {
                let $out = &mut **sink;
                $body
            }
            Sink::Gather(sink) => {
                let $out = &mut **sink;
                $body
            }
        }
    };
}

impl<'r> Sink<'r> {
    fn new(request: &'r Request, fates: &Arc<Fates>, checksum: crate::binlog::Checksum) -> Self {
        match request.form {
            Form::ExactRollback => Self::Exact(Box::new(Exact::new(request, Arc::clone(fates), checksum))),
            Form::Events => Self::Events(Box::new(Events::new(request))),
            Form::Stats => Self::Gather(Box::new(Gather::new(request))),
            _ => Self::Changes(Box::new(Changes::new(request, Arc::clone(fates)))),
        }
    }

    fn pieces(&mut self) -> Option<&mut Pieces> {
        match self {
            Self::Changes(out) => Some(&mut out.draft.pieces),
            Self::Exact(out) => Some(&mut out.draft.pieces),
            Self::Events(out) => Some(&mut out.draft.pieces),
            Self::Gather(_) => None,
        }
    }

    fn finish(self, mut counts: Counts) -> Part {
        let (pieces, written, warnings, stats) = match self {
            Self::Changes(mut out) => {
                (std::mem::take(&mut out.draft.pieces), out.written, out.take_warnings(), None)
            }
            Self::Exact(mut out) => {
                (std::mem::take(&mut out.draft.pieces), out.written, out.take_warnings(), None)
            }
            Self::Events(mut out) => (std::mem::take(&mut out.draft.pieces), out.written, Vec::new(), None),
            Self::Gather(out) => (Pieces::default(), 0, Vec::new(), Some(out.finish())),
        };
        counts.written = written;
        Part { pieces, counts, warnings, stats, error: None }
    }
}

/// Traces the inputs, in the order of their transactions.
pub fn run(
    request: &Request,
    inputs: Vec<Input>,
    schema: Schema,
    progress: &Progress,
    out: &mut dyn Write,
) -> Outcome {
    let mut outcome = Outcome { warnings: schema.troubles, ..Outcome::default() };
    if let Err(error) = trace(request, inputs, schema.names, schema.from_end, progress, out, &mut outcome) {
        outcome.error = Some(error);
    }
    outcome
}

fn trace(
    request: &Request,
    inputs: Vec<Input>,
    names: Names,
    from_end: bool,
    progress: &Progress,
    out: &mut dyn Write,
    outcome: &mut Outcome,
) -> Result<(), TraceError> {
    request.selection.check()?;
    let sources: Vec<String> = inputs.iter().map(|input| input.name().to_owned()).collect();
    begin(request, &sources, out)?;
    let shared = Arc::new(Shared::default());
    let plain: Option<Vec<PathBuf>> = inputs.iter().map(|input| input.plain().map(PathBuf::from)).collect();
    let done = match plain {
        Some(files) => files_in_chunks(request, files, names, from_end, progress, &shared, out, outcome),
        None if request.form.is_backward() => {
            let mut spool = Spool::new()?;
            let files: Result<Vec<PathBuf>, TraceError> = inputs
                .into_iter()
                .map(|input| {
                    if let Some(path) = input.plain() {
                        return Ok(path.to_owned());
                    }
                    let name = input.name().to_owned();
                    spool.keep(&name, input.into_reader(&progress.read)?)
                })
                .collect();
            files_in_chunks(request, files?, names, from_end, progress, &shared, out, outcome)
        }
        None => streams(request, inputs, names, progress, &shared, out, outcome),
    };
    outcome.warnings.extend(shared.take_warnings());
    done?;
    end(request, out)
}

/// The head of the output.
fn begin(request: &Request, sources: &[String], out: &mut dyn Write) -> Result<(), TraceError> {
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

fn end(request: &Request, out: &mut dyn Write) -> Result<(), TraceError> {
    if matches!(request.form, Form::Sql | Form::Rollback) {
        out.write_all(changes::POSTAMBLE.as_bytes()).map_err(TraceError::io("write the output"))?;
    }
    out.flush().map_err(TraceError::io("write the output"))
}

/// A chunk for a worker, and where its part goes.
type Task<'s> = (&'s Chunk, SyncSender<Part>);

#[allow(clippy::too_many_arguments)] // the parts of one call
fn files_in_chunks(
    request: &Request,
    files: Vec<PathBuf>,
    names: Names,
    from_end: bool,
    progress: &Progress,
    shared: &Arc<Shared>,
    out: &mut dyn Write,
    outcome: &mut Outcome,
) -> Result<(), TraceError> {
    let mut survey = Survey::new(files, request, names, from_end)?;
    let fates = Arc::new(std::mem::take(&mut survey.fates));
    let order: Vec<&Chunk> = if request.form.is_backward() {
        survey.chunks.iter().rev().collect()
    } else {
        survey.chunks.iter().collect()
    };
    let written = std::thread::scope(|scope| {
        let (tasks, queue) = sync_channel::<Task<'_>>(request.threads);
        let (promised, parts) = sync_channel::<(&Chunk, Receiver<Part>)>(request.threads + AHEAD);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..request.threads.max(1) {
            let (queue, survey, fates) = (Arc::clone(&queue), &survey, &fates);
            scope.spawn(move || {
                loop {
                    let task = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((chunk, answer)) = task else { break };
                    let part = chunk_part(request, survey, chunk, fates, shared);
                    progress.read.fetch_add(chunk.end - chunk.start, Ordering::Relaxed);
                    let _ = answer.send(part);
                }
            });
        }
        drop(queue);
        scope.spawn(move || {
            for chunk in order {
                let (answer, part) = sync_channel(1);
                if promised.send((chunk, part)).is_err() || tasks.send((chunk, answer)).is_err() {
                    break;
                }
            }
        });
        write_parts(request, parts, progress, out, outcome)
    });
    written?;
    survey.broken.map_or(Ok(()), Err)
}

/// Writes the parts in order, up to the first that failed.
fn write_parts(
    request: &Request,
    parts: Receiver<(&Chunk, Receiver<Part>)>,
    progress: &Progress,
    out: &mut dyn Write,
    outcome: &mut Outcome,
) -> Result<(), TraceError> {
    let mut format: Option<Vec<u8>> = None;
    for (chunk, part) in parts {
        let Ok(mut part) = part.recv() else {
            return Err(TraceError::Option("a worker ended without an answer".into()));
        };
        if request.form == Form::ExactRollback && part.pieces.len() > 0 {
            let statement = exact::format_statement(&chunk.format);
            if format.as_ref() != Some(&statement) {
                out.write_all(&statement).map_err(TraceError::io("write the output"))?;
                format = Some(statement);
            }
        }
        if request.form.is_backward()
            && let Some(error) = part.error
        {
            return Err(error); // what is newer in this part cannot be read: nothing older may be taken back
        }
        part.pieces.drain(out).map_err(TraceError::io("write the output"))?;
        outcome.take(&mut part);
        if let Some(error) = part.error {
            return Err(error);
        }
        if progress.stop.load(Ordering::Relaxed) {
            return Err(TraceError::Option("stopped by a signal: the output is not complete".into()));
        }
    }
    Ok(())
}

impl Outcome {
    fn take(&mut self, part: &mut Part) {
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

fn chunk_part(
    request: &Request,
    survey: &Survey,
    chunk: &Chunk,
    fates: &Arc<Fates>,
    shared: &Arc<Shared>,
) -> Part {
    let Some(path) = survey.files.get(chunk.file) else {
        return Part::of(TraceError::Option("a file is missing".into()));
    };
    let mut file = match BinlogFile::open_at(path, chunk.start) {
        Ok(file) => file,
        Err(error) => return Part::of(error.into()),
    };
    let mut walk = Walk::new(request, Known::new(Arc::clone(&chunk.names), Arc::clone(shared)));
    walk.first_file = chunk.file == 0;
    walk.last_file = chunk.file + 1 == survey.files.len();
    let mut sink = Sink::new(request, fates, chunk.checksum);
    let mut decoder = Decoder::new();
    decoder.verify_checksums(request.verify_checksums);
    decoder.set_file(file.name());
    let walked = with!(&mut sink, out => {
        let done = prime(&mut decoder, chunk).and_then(|()| {
            let mut raw = decoder.spare();
            while file.offset() < chunk.end && file.read_raw(&mut raw)? {
                decoder.push(raw);
                while let Some(event) = decoder.next()? {
                    walk.take(&event, out)?;
                }
                raw = decoder.spare();
            }
            Ok(())
        });
        if walk.idle() { done } else { walk.abandon(out).and(done) }
    });
    let mut part = sink.finish(walk.counts);
    part.error = walked.err();
    part
}

/// Tells the decoder how the events are laid out.
fn prime(decoder: &mut Decoder, chunk: &Chunk) -> Result<(), TraceError> {
    if chunk.start > 4 && !chunk.format.is_empty() {
        decoder.push(RawEvent { bytes: chunk.format.to_vec(), start: Some(4) });
        while decoder.next()?.is_some() {}
    }
    Ok(())
}

/// Reads what comes once, one input after the other.
fn streams(
    request: &Request,
    inputs: Vec<Input>,
    names: Names,
    progress: &Progress,
    shared: &Arc<Shared>,
    out: &mut dyn Write,
    outcome: &mut Outcome,
) -> Result<(), TraceError> {
    let checksum = FormatDescription::default().checksum;
    let mut sink = Sink::new(request, &Arc::new(Fates::default()), checksum);
    let mut walk = Walk::new(request, Known::new(Arc::new(names), Arc::clone(shared)));
    let mut follows = (!request.allow_gaps).then(Follows::default);
    let (count, mut before) = (inputs.len(), None);
    let mut done = Ok(());
    for (index, input) in inputs.into_iter().enumerate() {
        walk.first_file = index == 0;
        walk.last_file = index + 1 == count;
        let name = input.name().to_owned();
        done = input.into_reader(&progress.read).and_then(|reader| {
            stream(
                request,
                &name,
                reader,
                &mut walk,
                &mut sink,
                follows.as_mut(),
                before.as_deref(),
                progress,
                out,
            )
        });
        before = Some(name);
        if done.is_err() || walk.beyond {
            break;
        }
    }
    let abandoned = if walk.idle() { Ok(()) } else { with!(&mut sink, out => walk.abandon(out)) };
    let mut part = sink.finish(walk.counts);
    part.pieces.drain(out).map_err(TraceError::io("write the output"))?;
    outcome.take(&mut part);
    done.and(abandoned)
}

/// Where events come from one by one.
enum Source {
    File(BinlogFile),
    Live(Live),
}

impl Source {
    /// The next event into a buffer that was used before; false after the last.
    fn read_raw(&mut self, raw: &mut RawEvent) -> Result<bool, TraceError> {
        match self {
            Self::File(file) => Ok(file.read_raw(raw)?),
            Self::Live(live) => match live.next_raw()? {
                Some(next) => {
                    *raw = next;
                    Ok(true)
                }
                None => Ok(false),
            },
        }
    }
}

#[allow(clippy::too_many_arguments)] // the parts of one call
fn stream(
    request: &Request,
    name: &str,
    reader: Reader,
    walk: &mut Walk<'_>,
    sink: &mut Sink<'_>,
    mut follows: Option<&mut Follows>,
    before: Option<&str>,
    progress: &Progress,
    out: &mut dyn Write,
) -> Result<(), TraceError> {
    let mut decoder = Decoder::new();
    decoder.verify_checksums(request.verify_checksums);
    let mut source = match reader {
        Reader::Live(live) => Source::Live(live),
        Reader::Bytes(reader) => {
            decoder.set_file(name);
            Source::File(BinlogFile::from_reader(name, reader)?)
        }
    };
    if let (Some(follows), Source::File(_)) = (&mut follows, &source) {
        follows.begin(name)?;
    }
    let mut raw = decoder.spare();
    while source.read_raw(&mut raw)? {
        decoder.push(raw);
        while let Some(event) = decoder.next()? {
            if let Some(follows) = &mut follows {
                match &event.body {
                    Body::PreviousGtids(set) => follows.previous(set, before)?,
                    Body::Gtid(gtid) => gtid.gtid.iter().for_each(|gtid| follows.gtid(gtid)),
                    Body::Rotate { file, artificial: false, .. } => follows.rotate(file),
                    _ => {}
                }
            }
            with!(&mut *sink, out => walk.take(&event, out))?;
        }
        raw = decoder.spare();
        if walk.idle() {
            let live = matches!(source, Source::Live(_));
            if let Some(pieces) = sink.pieces().filter(|pieces| pieces.len() >= if live { 1 } else { FLUSH })
            {
                let write = |source| TraceError::Io { what: "write the output".into(), source };
                pieces.drain(out).map_err(write)?;
                if live {
                    out.flush().map_err(write)?;
                }
            }
            if walk.beyond {
                return Ok(());
            }
            if progress.stop.load(Ordering::Relaxed) {
                return Err(TraceError::Option("stopped by a signal: the output is not complete".into()));
            }
        }
    }
    match walk.open_since() {
        Some(start) => {
            Err(TraceError::Open { file: decoder.file().to_string(), start, offset: decoder.offset() })
        }
        None => Ok(()),
    }
}
