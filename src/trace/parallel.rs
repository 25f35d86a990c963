//! Files that can be read anywhere in them: cut into chunks, which are read by several workers, in order or the last
//! first.
//!
//! What comes of a chunk may depend on what follows it: XA decides there what was prepared, and statements there tell
//! whether a schema is from before them. So all of the files is looked at first. Of statistics only the names of hot
//! rows' keys depend on it, of events nothing: their chunks are read while the next ones are looked for, and the files
//! are gone through once.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::checkpoint::{Checkpoint, Head, Memory, Place};
use super::fates::Fates;
use super::forms::{Part, Sink, with};
use super::known::{Known, Shared};
use super::look::{Asked, Chunk, Found, look};
use super::names::Names;
use super::request::{Form, Request};
use super::run::{Job, Progress};
use super::survey::Survey;
use super::walk::{Counts, Walk};
use super::{TraceError, exact};
use crate::binlog::{BinlogFile, Decoder, RawEvent};

/// Chunks that are decoded ahead of the one that is written, beside one per worker.
const AHEAD: usize = 2;

/// A chunk for a worker, and where its part goes.
type Task = (Arc<Chunk>, SyncSender<Part>);

/// Takes chunks in the order in which they are to be read; false once it wants no more.
type Give<'g> = dyn FnMut(Arc<Chunk>) -> bool + 'g;

/// Traces files.
pub(super) fn files(
    job: &mut Job<'_>,
    files: Vec<PathBuf>,
    names: Names,
    from_end: bool,
) -> Result<(), TraceError> {
    let request = job.request;
    if needs_no_survey(job, from_end) && read_once(job, &files, &names)? {
        return Ok(());
    }
    let place = job.resumed.take().map(|saved| saved.place);
    if let (Some(place), Some(checkpoint)) = (&place, &job.checkpoint) {
        check_head(&files, place, checkpoint)?;
    }
    let border = place.as_ref().map(|place| (place.input, place.offset));
    let stop = job.checkpoint.is_none().then_some(job.progress);
    let asked = Asked { border, alone: request.threads > 1, progress: stop, ..Asked::of(request) };
    let survey = Survey::new(files, &asked, (names, from_end))?;
    if let (Some(place), Some(checkpoint), false) = (&place, &job.checkpoint, survey.border_met) {
        return Err(checkpoint.refused(&format!("no transaction of {} ends at {}", place.file, place.offset)));
    }
    let is_left = |chunk: &&Arc<Chunk>| border.is_none_or(|border| (chunk.file, chunk.end) > border);
    let order: Vec<Arc<Chunk>> = if request.is_backward() {
        survey.chunks.iter().rev().cloned().collect()
    } else {
        survey.chunks.iter().filter(is_left).cloned().collect()
    };
    surveyed(job, &survey, order)?;
    survey.broken.map_or(Ok(()), Err)
}

/// True where chunks can be read while the next ones are looked for.
fn needs_no_survey(job: &Job<'_>, from_end: bool) -> bool {
    let form = job.request.form;
    let by_names = from_end || job.request.selection.chooses_rows();
    job.checkpoint.is_none() && (form == Form::Events || (form == Form::Stats && !by_names))
}

/// Reads chunks while the next ones are looked for. False where the tables are, or may be, others than these at the
/// beginning, so that keys of rows could have wrong names: then nothing is counted yet.
fn read_once(job: &mut Job<'_>, files: &[PathBuf], names: &Names) -> Result<bool, TraceError> {
    let (request, progress) = (job.request, job.progress);
    let names_matter = request.form == Form::Stats && names.len() > 0;
    let asked = Asked { while_fitting: names_matter, progress: Some(progress), ..Asked::of(request) };
    let read_before = progress.read.load(Ordering::Relaxed);
    let warnings = job.outcome.warnings.len();
    let mut found = Ok(Found::default());
    let done = chunks(job, files, &Arc::new(Fates::looked_at()), |give| {
        found = look(files, &asked, Arc::new(names.clone()), &mut |chunk| give(Arc::new(chunk)));
    });
    let stopped = job.check_stop();
    if names_matter && stopped.is_ok() {
        // it is not where the look ended with a misfit
        let is_sure = |found: &Found| names.at_beginning(found.ddl.iter(), false).is_none();
        // after an error in a chunk it was not looked to the end
        if done.is_err() || found.as_ref().is_ok_and(|found| !is_sure(found)) {
            progress.read.store(read_before, Ordering::Relaxed);
            job.shared = Arc::default();
            job.outcome.warnings.truncate(warnings);
            job.outcome.counts = Counts::default();
            job.outcome.stats = None;
            return Ok(false);
        }
    }
    if let (true, Some(stats), Err(_)) = (names_matter, &mut job.outcome.stats, &stopped) {
        stats.forget_rows();
    }
    done?;
    let found = found.inspect_err(|_| job.outcome.stats = None)?; // what is counted is not contiguous
    found.broken.map_or(Ok(true), Err)
}

/// Reads chunks of surveyed files in this order, and writes what comes of them.
pub(super) fn surveyed(job: &mut Job<'_>, survey: &Survey, order: Vec<Arc<Chunk>>) -> Result<(), TraceError> {
    chunks(job, &survey.files, &survey.fates, |give| {
        let _ = order.into_iter().all(give);
    })
}

/// Reads chunks in the order in which `feed` gives them, and writes what comes of them.
fn chunks(
    job: &mut Job<'_>,
    files: &[PathBuf],
    fates: &Arc<Fates>,
    feed: impl FnOnce(&mut Give<'_>) + Send,
) -> Result<(), TraceError> {
    let (request, progress) = (job.request, job.progress);
    let shared = Arc::clone(&job.shared);
    // with a checkpoint a chunk is read to its end: there the checkpoint is kept
    let stop = job.checkpoint.is_none().then_some(progress);
    std::thread::scope(|scope| {
        let (tasks, queue) = sync_channel::<Task>(request.threads);
        let (promised, parts) = sync_channel::<(Arc<Chunk>, Receiver<Part>)>(request.threads + AHEAD);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..request.threads.max(1) {
            let (queue, shared) = (Arc::clone(&queue), &shared);
            scope.spawn(move || {
                loop {
                    let task = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((chunk, answer)) = task else { break };
                    let part = chunk_part(request, files, &chunk, (fates, shared), stop);
                    progress.read.fetch_add(chunk.end - chunk.start, Ordering::Relaxed);
                    let _ = answer.send(part);
                }
            });
        }
        drop(queue);
        scope.spawn(move || {
            feed(&mut |chunk| {
                let (answer, part) = sync_channel(1);
                promised.send((Arc::clone(&chunk), part)).is_ok() && tasks.send((chunk, answer)).is_ok()
            });
        });
        write_parts(job, files, parts)
    })
}

/// An error where the place's file is not the one that was read before.
fn check_head(files: &[PathBuf], place: &Place, checkpoint: &Checkpoint) -> Result<(), TraceError> {
    let is_same = match files.get(place.input) {
        Some(path) => Head::read(path, place.offset, Some(place.head_length))?.is_of(place),
        None => false,
    };
    if is_same { Ok(()) } else { Err(checkpoint.refused(&format!("{} is another file now", place.file))) }
}

/// Writes the parts in order, up to the first that failed.
fn write_parts(
    job: &mut Job<'_>,
    files: &[PathBuf],
    parts: Receiver<(Arc<Chunk>, Receiver<Part>)>,
) -> Result<(), TraceError> {
    let write = || TraceError::io("write the output");
    let mut format: Option<Vec<u8>> = None;
    for (chunk, part) in parts {
        let Ok(mut part) = part.recv() else {
            return Err(TraceError::Option("a worker ended without an answer".into()));
        };
        if job.request.form == Form::ExactRollback && part.pieces.len() > 0 {
            let statement = exact::format_statement(&chunk.format);
            if format.as_ref() != Some(&statement) {
                job.out.write_all(&statement).map_err(write())?;
                format = Some(statement);
            }
        }
        if job.request.is_backward()
            && let Some(error) = part.error
        {
            return Err(error); // what is newer in this part cannot be read: nothing older may be taken back
        }
        part.pieces.drain(job.out).map_err(write())?;
        job.outcome.take(&mut part);
        if let Some(error) = part.error {
            return Err(error);
        }
        let stopped = job.check_stop();
        if let (Some(checkpoint), Some(path)) = (&mut job.checkpoint, files.get(chunk.file))
            && (checkpoint.is_due() || stopped.is_err())
        {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let place = Head::read(path, chunk.end, None)?.place(chunk.file, &name, chunk.end);
            checkpoint.save(place, job.outcome.counts, Memory::default(), job.out)?;
        }
        stopped?;
    }
    Ok(())
}

fn chunk_part(
    request: &Request,
    files: &[PathBuf],
    chunk: &Chunk,
    (fates, shared): (&Arc<Fates>, &Arc<Shared>),
    stop: Option<&Progress>,
) -> Part {
    let Some(path) = files.get(chunk.file) else {
        return Part::of(TraceError::Option("a file is missing".into()));
    };
    let mut file = match BinlogFile::open_at(path, chunk.start) {
        Ok(file) => file,
        Err(error) => return Part::of(error.into()),
    };
    let mut walk = Walk::new(request, Known::new(Arc::clone(&chunk.names), Arc::clone(shared)));
    walk.first_file = chunk.file == 0;
    walk.last_file = chunk.file + 1 == files.len();
    let mut sink = Sink::new(request, fates, chunk.checksum);
    if let Some(pieces) = sink.pieces() {
        pieces.expect((chunk.end - chunk.start) * 3 / 2);
    }
    let mut decoder = Decoder::new();
    decoder.verify_checksums(request.verify_checksums);
    decoder.set_file(file.name());
    let walked = with!(&mut sink, out => {
        let done = prime(&mut decoder, chunk).and_then(|()| {
            let mut raw = decoder.spare();
            while file.offset() < chunk.end && file.read_raw(&mut raw)? {
                stop.map_or(Ok(()), |progress| progress.check_stop(false))?;
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
    let settled = part.pieces.settle().map_err(TraceError::io("the spill file"));
    part.error = walked.and(settled).err();
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
