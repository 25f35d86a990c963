//! Files that can be read anywhere in them: surveyed, then read in chunks by several workers, in order or the last first.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::checkpoint::{Checkpoint, Head, Memory, Place};
use super::fates::Fates;
use super::forms::{Part, Sink, with};
use super::known::{Known, Shared};
use super::names::Names;
use super::request::{Form, Request};
use super::run::{Job, Progress};
use super::survey::{Chunk, Survey};
use super::walk::Walk;
use super::{TraceError, exact};
use crate::binlog::{BinlogFile, Decoder, RawEvent};

/// Chunks that are decoded ahead of the one that is written, beside one per worker.
const AHEAD: usize = 2;

/// A chunk for a worker, and where its part goes.
type Task<'s> = (&'s Chunk, SyncSender<Part>);

/// Traces files.
pub(super) fn files(
    job: &mut Job<'_>,
    files: Vec<PathBuf>,
    names: Names,
    from_end: bool,
) -> Result<(), TraceError> {
    let request = job.request;
    let place = job.resumed.take().map(|saved| saved.place);
    if let (Some(place), Some(checkpoint)) = (&place, &job.checkpoint) {
        check_head(&files, place, checkpoint)?;
    }
    let border = place.as_ref().map(|place| (place.input, place.offset));
    let survey = Survey::new(files, request, (names, from_end), border, None)?;
    if let (Some(place), Some(checkpoint), false) = (&place, &job.checkpoint, survey.border_met) {
        return Err(checkpoint.refused(&format!("no transaction of {} ends at {}", place.file, place.offset)));
    }
    let is_left = |chunk: &&Chunk| border.is_none_or(|border| (chunk.file, chunk.end) > border);
    let order: Vec<&Chunk> = if request.is_backward() {
        survey.chunks.iter().rev().collect()
    } else {
        survey.chunks.iter().filter(is_left).collect()
    };
    chunks(job, &survey, order)?;
    survey.broken.map_or(Ok(()), Err)
}

/// Reads chunks of surveyed files in this order, and writes what comes of them.
pub(super) fn chunks(job: &mut Job<'_>, survey: &Survey, order: Vec<&Chunk>) -> Result<(), TraceError> {
    let (request, progress) = (job.request, job.progress);
    let (shared, fates) = (Arc::clone(&job.shared), &survey.fates);
    // with a checkpoint a chunk is read to its end: there the checkpoint is kept
    let stop = job.checkpoint.is_none().then_some(progress);
    std::thread::scope(|scope| {
        let (tasks, queue) = sync_channel::<Task<'_>>(request.threads);
        let (promised, parts) = sync_channel::<(&Chunk, Receiver<Part>)>(request.threads + AHEAD);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..request.threads.max(1) {
            let (queue, shared) = (Arc::clone(&queue), &shared);
            scope.spawn(move || {
                loop {
                    let task = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((chunk, answer)) = task else { break };
                    let part = chunk_part(request, survey, chunk, (fates, shared), stop);
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
        write_parts(job, &survey.files, parts)
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
    parts: Receiver<(&Chunk, Receiver<Part>)>,
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
    survey: &Survey,
    chunk: &Chunk,
    (fates, shared): (&Arc<Fates>, &Arc<Shared>),
    stop: Option<&Progress>,
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
