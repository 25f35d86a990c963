//! What comes only once, or lies elsewhere: read as it comes, one input after the other.

use std::sync::Arc;

use super::TraceError;
use super::checkpoint::{Head, Memory, Place};
use super::fates::Fates;
use super::follows::Follows;
use super::forms::{Sink, with};
use super::input::{Input, Reader};
use super::known::Known;
use super::live::Live;
use super::names::{Ddl, Names};
use super::run::Job;
use super::walk::Walk;
use crate::binlog::{BinlogFile, Body, Decoder, Event, FormatDescription, RawEvent};

/// Output is written on when so much is there.
const FLUSH: u64 = 1 << 18;

/// What is carried from input to input.
struct Flow<'r> {
    walk: Walk<'r>,
    sink: Sink<'r>,
    follows: Option<Follows>,
    /// The input before.
    before: Option<String>,
    /// The input that is read.
    input: usize,
    head: Head,
}

/// Reads the inputs, one after the other. `as_of`: the tables are those of then, else of the beginning.
pub(super) fn streams(
    job: &mut Job<'_>,
    inputs: Vec<Input>,
    (mut names, as_of): (Names, Option<u64>),
) -> Result<(), TraceError> {
    let request = job.request;
    let resumed = job.resumed.take();
    let ddl = resumed.as_ref().map_or_else(Vec::new, |saved| saved.memory.ddl.clone());
    for (schema, sql) in ddl.iter().filter(|_| as_of.is_none()) {
        if let Ok(ddl) = Ddl::read(sql, schema) {
            // what does not fit is said by the rows that it concerns
            let _ = names.apply(&ddl);
        }
    }
    let known = Known::new(Arc::new(names), Arc::clone(&job.shared)).known_at(as_of);
    let mut walk = Walk::new(request, known);
    walk.moved = job.checkpoint.is_some().then_some(ddl);
    let checksum = FormatDescription::default().checksum;
    let sink = Sink::new(request, &Arc::new(Fates::default()), checksum);
    let follows = (!request.allow_gaps).then(|| match &resumed {
        Some(saved) => Follows::within(&saved.place.file, saved.memory.gtids.clone()),
        None => Follows::default(),
    });
    let mut flow = Flow { walk, sink, follows, before: None, input: 0, head: Head::default() };
    let (count, place) = (inputs.len(), resumed.map(|saved| saved.place));
    let mut done = Ok(());
    for (index, input) in inputs.into_iter().enumerate() {
        let name = input.name().to_owned();
        if place.as_ref().is_none_or(|place| place.input <= index) {
            flow.walk.first_file = index == 0;
            flow.walk.last_file = index + 1 == count;
            flow.input = index;
            done = flow.read(job, input, place.as_ref().filter(|place| place.input == index));
        }
        flow.before = Some(name);
        if done.is_err() || flow.walk.beyond {
            break;
        }
    }
    let Flow { mut walk, mut sink, .. } = flow;
    let abandoned = if walk.idle() { Ok(()) } else { with!(&mut sink, out => walk.abandon(out)) };
    let mut part = sink.finish(walk.counts);
    part.pieces.drain(job.out).map_err(TraceError::io("write the output"))?;
    job.outcome.take(&mut part);
    done.and(abandoned)
}

/// Where events come from one by one.
enum Source {
    File(BinlogFile),
    Live(Live),
}

impl Source {
    /// The next event's place. What was skipped no decoder has seen: a file knows its place by itself.
    fn place(&self, decoder: &Decoder) -> (Arc<str>, u64) {
        let file = Arc::clone(decoder.file());
        match self {
            Self::File(source) => (file, source.offset()),
            Self::Live(_) => (file, decoder.offset()),
        }
    }

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

impl Flow<'_> {
    /// Reads an input to its end; from `place` on, where an earlier run came to.
    fn read(&mut self, job: &mut Job<'_>, input: Input, place: Option<&Place>) -> Result<(), TraceError> {
        let name = input.name().to_owned();
        let mut decoder = Decoder::new();
        decoder.verify_checksums(job.request.verify_checksums);
        self.head = Head::default();
        let mut source = open(job, input, place, &mut decoder)?;
        if let (Some(follows), Source::File(_), None) = (&mut self.follows, &source, place) {
            follows.begin(&name)?;
        }
        let is_file = matches!(source, Source::File(_));
        let mut first = is_file && place.is_none();
        let mut raw = decoder.spare();
        while source.read_raw(&mut raw)? {
            if is_file && !std::mem::take(&mut first) && place.is_none() && !self.head.is_full() {
                self.head.add(&raw.bytes);
            }
            decoder.push(raw);
            while let Some(event) = decoder.next()? {
                self.take(&event)?;
            }
            raw = decoder.spare();
            if self.walk.idle() {
                self.write(job, source.place(&decoder), place, if is_file { FLUSH } else { 1 }, false)?;
                if !is_file {
                    job.out.flush().map_err(TraceError::io("write the output"))?;
                }
                if self.walk.beyond {
                    return Ok(());
                }
            }
        }
        match self.walk.open_since() {
            Some(start) => {
                Err(TraceError::Open { file: decoder.file().to_string(), start, offset: decoder.offset() })
            }
            None => self.write(job, source.place(&decoder), place, 1, true),
        }
    }

    fn take(&mut self, event: &Event<'_>) -> Result<(), TraceError> {
        if let Some(follows) = &mut self.follows {
            match &event.body {
                Body::PreviousGtids(set) => follows.previous(set, self.before.as_deref())?,
                Body::Gtid(gtid) => gtid.gtid.iter().for_each(|gtid| follows.gtid(gtid)),
                Body::Rotate { file, artificial: false, .. } => follows.rotate(file),
                _ => {}
            }
        }
        with!(&mut self.sink, out => self.walk.take(event, out))
    }

    /// Between transactions: writes on what is there, if that is `least` or the checkpoint is due, and keeps the place.
    fn write(
        &mut self,
        job: &mut Job<'_>,
        (file, offset): (Arc<str>, u64),
        resumed: Option<&Place>,
        least: u64,
        at_end: bool,
    ) -> Result<(), TraceError> {
        let stopped = job.check_stop();
        let due = at_end || stopped.is_err() || job.checkpoint.as_ref().is_some_and(|c| c.is_due());
        let least = if due { 1 } else { least };
        if let Some(pieces) = self.sink.pieces().filter(|pieces| pieces.len() >= least) {
            pieces.drain(job.out).map_err(TraceError::io("write the output"))?;
        }
        if let Some(checkpoint) = job.checkpoint.as_mut().filter(|_| due && !file.is_empty()) {
            let mut counts = job.outcome.counts;
            counts.add(&self.walk.counts);
            counts.written += self.sink.written();
            // a file's head is that of the run that began it
            let place = match resumed {
                Some(place) => Place { file: file.to_string(), offset, ..place.clone() },
                None => self.head.place(self.input, &file, offset),
            };
            let gtids = self.follows.as_ref().and_then(Follows::seen).cloned();
            let ddl = self.walk.moved.clone().unwrap_or_default();
            checkpoint.save(place, counts, Memory { gtids, ddl }, job.out)?;
        }
        stopped
    }
}

/// The input's events, behind `place` where there is one.
fn open(
    job: &Job<'_>,
    input: Input,
    place: Option<&Place>,
    decoder: &mut Decoder,
) -> Result<Source, TraceError> {
    let name = input.name().to_owned();
    let reader = match place {
        Some(place) => input.into_reader_at(place.offset, &job.progress.read)?,
        None => input.into_reader(&job.progress.read)?,
    };
    if !matches!(reader, Reader::Live(_)) {
        decoder.set_file(&name);
    }
    let another = |place: &Place| match &job.checkpoint {
        Some(checkpoint) => checkpoint.refused(&format!("{} is another file now", place.file)),
        None => TraceError::Option(format!("{} is another file now", place.file)),
    };
    match (reader, place) {
        (Reader::Live(live), _) => Ok(Source::Live(live)),
        (Reader::Bytes(reader), None) => Ok(Source::File(BinlogFile::from_reader(&name, reader)?)),
        (Reader::Bytes(reader), Some(place)) => {
            let mut file = BinlogFile::from_reader(&name, reader)?;
            if !prime(&mut file, decoder, place)? {
                return Err(another(place));
            }
            let mut raw = RawEvent::default();
            while file.offset() < place.offset && file.read_raw(&mut raw)? {}
            if file.offset() == place.offset { Ok(Source::File(file)) } else { Err(another(place)) }
        }
        (Reader::Parts { head, rest, .. }, place) => {
            let mut head = BinlogFile::from_reader(&name, head)?;
            let Some(place) = place else { return Ok(Source::File(head)) };
            if !prime(&mut head, decoder, place)? {
                return Err(another(place));
            }
            Ok(Source::File(BinlogFile::from_reader_at(&name, rest()?, place.offset)))
        }
    }
}

/// Shows the decoder a file's first event, which says how all others are laid out. False where the file is not the one
/// of the place.
fn prime(file: &mut BinlogFile, decoder: &mut Decoder, place: &Place) -> Result<bool, TraceError> {
    let mut raw = RawEvent::default();
    if !file.read_raw(&mut raw)? {
        return Ok(false);
    }
    decoder.push(raw);
    while decoder.next()?.is_some() {}
    let mut head = Head::of(place.head_length);
    let mut raw = decoder.spare();
    while !head.is_full() && file.offset() < place.offset && file.read_raw(&mut raw)? {
        head.add(&raw.bytes);
    }
    Ok(head.is_of(place))
}
