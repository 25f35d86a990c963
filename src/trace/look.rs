//! One look at files that can be read anywhere in them: where transactions begin, which statements change the schema,
//! what became of XA transactions. It cuts the files into chunks of whole transactions.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::TraceError;
use super::fates::{Decision, Fates};
use super::follows::Follows;
use super::names::{Ddl, Names};
use super::request::{Form, Request};
use super::run::Progress;
use super::transaction::Transaction;
use crate::binlog::{
    BinlogError, BinlogFile, Body, Checksum, Decoder, Event, EventType, Header, QueryEvent, QueryKind, Xid,
};

/// A chunk is ended with the transaction that fills it.
const CHUNK: u64 = 2 << 20;

/// Whole transactions of one file.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) file: usize,
    pub(super) start: u64,
    pub(super) end: u64,
    /// The FORMAT_DESCRIPTION event that holds at its start.
    pub(super) format: Arc<Vec<u8>>,
    pub(super) checksum: Checksum,
    /// The known tables at its start, if what was known at the files' beginning holds there.
    pub(super) names: Arc<Names>,
    /// When its first and its last transaction were committed, in microseconds since 1970.
    pub(super) times: (u64, u64),
    /// How many statements that move the schema lie before it.
    pub(super) ddl_before: usize,
}

/// Times of which nothing is known.
const ANY_TIME: (u64, u64) = (0, u64::MAX);

/// What is looked for.
pub(super) struct Asked<'r> {
    pub(super) request: &'r Request,
    /// A chunk ends at this file and offset, whatever its size.
    pub(super) border: Option<(usize, u64)>,
    /// Nothing else is done meanwhile: a thread may read ahead.
    pub(super) alone: bool,
    /// It ends with the first statement that does not fit the tables: they are from after it.
    pub(super) while_fitting: bool,
    /// May stop it.
    pub(super) progress: Option<&'r Progress>,
    /// What is looked at counts as read.
    pub(super) counts: bool,
}

impl<'r> Asked<'r> {
    /// All that there is, beside other work.
    pub(super) fn of(request: &'r Request) -> Self {
        Self { request, border: None, alone: false, while_fitting: false, progress: None, counts: false }
    }
}

/// What was found, beside the chunks.
#[derive(Default)]
pub(super) struct Found {
    pub(super) fates: Fates,
    /// The statements that move the schema.
    pub(super) ddl: Vec<Ddl>,
    /// Where the input ends too early.
    pub(super) broken: Option<TraceError>,
    /// The border that was asked for lies between two transactions.
    pub(super) border_met: bool,
}

/// The state of one look.
struct Look<'r> {
    asked: &'r Asked<'r>,
    found: Found,
    follows: Follows,
    /// The tables at the place that is looked at.
    names: Arc<Names>,
    /// Takes the chunks; false once it wants no more.
    give: &'r mut dyn FnMut(Chunk) -> bool,
    unwanted: bool,
}

/// The open transaction and chunk within a file.
struct Place {
    file: usize,
    last: bool,
    chunk_start: u64,
    format: Arc<Vec<u8>>,
    checksum: Checksum,
    /// At the chunk's start.
    names: Arc<Names>,
    ddl_before: usize,
    /// A transaction of the chunk may be asked for.
    wanted: bool,
    /// Of the chunk's transactions so far.
    times: Option<(u64, u64)>,
    tx: Option<Transaction>,
    begun: bool,
    before: Option<String>,
}

/// Looks at the files and gives their chunks away, in order, each as soon as it is found; it ends early where `give`
/// wants no more. `names` are the tables at the beginning.
pub(super) fn look(
    files: &[PathBuf],
    asked: &Asked<'_>,
    names: Arc<Names>,
    give: &mut dyn FnMut(Chunk) -> bool,
) -> Result<Found, TraceError> {
    let found = Found { fates: Fates::looked_at(), ..Found::default() };
    let mut look = Look { asked, found, follows: Follows::default(), names, give, unwanted: false };
    let mut before = None;
    for (index, path) in files.iter().enumerate() {
        if let Some(broken) = look.found.broken.take() {
            return Err(broken_before(broken, path, asked.request));
        }
        look.file(path, index, index + 1 == files.len(), before.take())?;
        if look.unwanted {
            break;
        }
        before = Some(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    }
    Ok(look.found)
}

/// A file that breaks off while others follow: what lies between is missing.
fn broken_before(broken: TraceError, next: &Path, request: &Request) -> TraceError {
    if request.is_backward() {
        TraceError::Gap {
            file: broken.to_string(),
            next: next.display().to_string(),
            reason: "nothing can be taken back over what is missing".into(),
        }
    } else {
        broken
    }
}

impl Look<'_> {
    fn beginning(&self, file: usize, last: bool, offset: u64, before: Option<String>) -> Place {
        Place {
            file,
            last,
            chunk_start: offset,
            format: Arc::default(),
            checksum: Checksum::None,
            names: Arc::clone(&self.names),
            ddl_before: self.found.ddl.len(),
            wanted: self.asked.request.form == Form::Events,
            times: None,
            tx: None,
            begun: false,
            before,
        }
    }

    fn file(
        &mut self,
        path: &Path,
        index: usize,
        last: bool,
        before: Option<String>,
    ) -> Result<(), TraceError> {
        let mut file = if self.asked.alone { BinlogFile::open_ahead(path)? } else { BinlogFile::open(path)? };
        if !self.asked.request.allow_gaps {
            self.follows.begin(file.name())?;
        }
        let mut decoder = Decoder::new();
        decoder.verify_checksums(false); // the workers compare them
        decoder.set_file(file.name());
        let mut place = self.beginning(index, last, file.offset(), before);
        let mut buffer = None;
        while !self.unwanted {
            if self.asked.border == Some((index, file.offset())) && place.tx.is_none() {
                self.cut(&mut place, file.offset());
                self.found.border_met = true;
            }
            let mut raw = buffer.take().unwrap_or_else(|| decoder.spare());
            let (header, matters) = match file.read_raw_if(&mut raw, |header| matters(header.event_type)) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(e) => return self.end_broken(e, place),
            };
            self.count(&header)?;
            if !matters {
                if header.event_type == EventType::XID {
                    self.close(&mut place, file.offset(), None);
                } else if place.tx.is_none() && is_rows(header.event_type) {
                    place.wanted = true; // rows without a beginning: an old server's
                    place.times = Some(ANY_TIME);
                }
                buffer = Some(raw);
                continue;
            }
            let bytes = (header.event_type == EventType::FORMAT_DESCRIPTION).then(|| raw.bytes.clone());
            decoder.push(raw);
            if header.event_type == EventType::TRANSACTION_PAYLOAD {
                match prepared_within(&mut decoder) {
                    Ok(prepared) => self.close(&mut place, file.offset(), prepared.as_ref()),
                    Err(e) => return self.end_broken(e, place),
                }
                continue;
            }
            let event = match decoder.next() {
                Ok(Some(event)) => event,
                Ok(None) => continue,
                Err(e) => return self.end_broken(e, place),
            };
            if let (Some(bytes), Body::FormatDescription(format)) = (bytes, &event.body) {
                // One within a relay log: what follows is laid out by it.
                self.cut(&mut place, event.position.start);
                place.checksum = format.checksum;
                place.format = Arc::new(bytes);
                if event.position.start == 4 {
                    place.chunk_start = 4;
                }
                continue;
            }
            self.see(&event, &mut place)?;
        }
        if self.unwanted {
            return Ok(());
        }
        let end = file.offset();
        if let Some(tx) = &place.tx {
            self.found.broken =
                Some(TraceError::Open { file: tx.file.to_string(), start: tx.start, offset: end });
            let start = tx.start;
            self.cut(&mut place, start);
        } else {
            self.cut(&mut place, end);
        }
        Ok(())
    }

    fn end_broken(&mut self, error: BinlogError, mut place: Place) -> Result<(), TraceError> {
        let end = match (&place.tx, &error) {
            (Some(tx), _) => tx.start,
            (None, BinlogError::Truncated { offset, .. }) => *offset,
            (None, _) => place.chunk_start,
        };
        let error = TraceError::from(error);
        if !error.is_incomplete() {
            return Err(error);
        }
        self.cut(&mut place, end);
        self.found.broken = Some(error);
        Ok(())
    }

    fn count(&self, header: &Header) -> Result<(), TraceError> {
        let Some(progress) = self.asked.progress else { return Ok(()) };
        if self.asked.counts {
            progress.read.fetch_add(header.length.into(), Ordering::Relaxed);
        }
        progress.check_stop(false)
    }

    /// Ends the chunk before `end`.
    fn cut(&mut self, place: &mut Place, end: u64) {
        if end > place.chunk_start
            && std::mem::replace(&mut place.wanted, self.asked.request.form == Form::Events)
        {
            let chunk = Chunk {
                file: place.file,
                start: place.chunk_start,
                end,
                format: Arc::clone(&place.format),
                checksum: place.checksum,
                names: Arc::clone(&place.names),
                times: place.times.unwrap_or(ANY_TIME),
                ddl_before: place.ddl_before,
            };
            self.unwanted |= !(self.give)(chunk);
        }
        place.times = None;
        place.chunk_start = end;
        place.names = Arc::clone(&self.names);
        place.ddl_before = self.found.ddl.len();
    }

    fn open(&self, place: &mut Place, tx: Transaction) {
        place.wanted |= self.asked.request.selection.may_hold(&tx, place.file == 0, place.last);
        place.begun = false;
        let (first, last) = place.times.unwrap_or((tx.time(), tx.time()));
        place.times = Some((first.min(tx.time()), last.max(tx.time())));
        place.tx = Some(tx);
    }

    /// The transaction ends at `end`; the chunk as well once it is full. `prepared`: by XA.
    fn close(&mut self, place: &mut Place, end: u64, prepared: Option<&Xid>) {
        if let (Some(xid), Some(tx)) = (prepared, &place.tx) {
            let selected = self.asked.request.selection.may_hold(tx, place.file == 0, place.last);
            self.found.fates.prepare(xid.clone(), tx, selected);
        }
        place.tx = None;
        place.begun = false;
        if end - place.chunk_start >= CHUNK {
            self.cut(place, end);
        }
    }

    fn see(&mut self, event: &Event<'_>, place: &mut Place) -> Result<(), TraceError> {
        let end = event.position.end;
        match &event.body {
            Body::Gtid(gtid) => {
                let mut tx = Transaction::begin(event);
                tx.set_gtid(gtid);
                if let Some(gtid) = &gtid.gtid {
                    self.follows.gtid(gtid);
                }
                self.open(place, tx);
                place.begun = gtid.maria.as_ref().is_some_and(|maria| maria.begins);
            }
            Body::Query(query) => {
                if place.tx.is_none() {
                    self.open(place, Transaction::begin(event));
                }
                match &query.kind {
                    QueryKind::Begin | QueryKind::XaStart(_) => place.begun = true,
                    QueryKind::Commit | QueryKind::Rollback => self.close(place, end, None),
                    QueryKind::XaCommit(xid) | QueryKind::XaRollback(xid) => {
                        let commit = matches!(query.kind, QueryKind::XaCommit(_));
                        if let Some(tx) = &place.tx {
                            let beyond = self.asked.request.selection.stops_before(tx);
                            self.found.fates.decide(&Decision { xid, commit, tx, beyond });
                        }
                        self.close(place, end, None);
                    }
                    QueryKind::Other => {
                        if query.error_code == 0
                            && let Ok(ddl) = Ddl::read(&query.sql, &query.schema)
                            && ddl.moves()
                        {
                            // What does not fit is said by the rows that it concerns.
                            let misfit = Arc::make_mut(&mut self.names).apply(&ddl).is_err();
                            self.unwanted |= misfit && self.asked.while_fitting;
                            self.found.ddl.push(ddl);
                        }
                        if !place.begun {
                            self.close(place, end, None);
                        }
                    }
                    QueryKind::XaEnd(_) | QueryKind::Savepoint | QueryKind::RollbackToSavepoint => {}
                }
            }
            Body::XaPrepare { xid, one_phase } => self.close(place, end, (!one_phase).then_some(xid)),
            Body::PreviousGtids(set) if !self.asked.request.allow_gaps => {
                self.follows.previous(set, place.before.as_deref())?;
            }
            Body::Rotate { file, artificial: false, .. } => self.follows.rotate(file),
            _ => {}
        }
        Ok(())
    }
}

/// The identifier of a compressed transaction that XA prepares. Its first event tells whether it is XA's.
fn prepared_within(decoder: &mut Decoder) -> Result<Option<Xid>, BinlogError> {
    decoder.next()?; // the payload itself
    let mut first = true;
    while let Some(event) = decoder.next()? {
        match event.body {
            Body::XaPrepare { xid, one_phase: false } => return Ok(Some(xid)),
            Body::Query(QueryEvent { kind: QueryKind::XaStart(_), .. }) => {}
            _ if first => return Ok(None),
            _ => {}
        }
        first = false;
    }
    Ok(None)
}

fn is_rows(event_type: EventType) -> bool {
    matches!(event_type.0, 23..=25 | 30..=32 | 39 | 166..=171)
}

/// Events that a look reads; of others it knows enough by their type.
fn matters(event_type: EventType) -> bool {
    matches!(
        event_type,
        EventType::QUERY
            | EventType::MARIADB_QUERY_COMPRESSED
            | EventType::FORMAT_DESCRIPTION
            | EventType::GTID
            | EventType::ANONYMOUS_GTID
            | EventType::GTID_TAGGED
            | EventType::MARIADB_GTID
            | EventType::MARIADB_START_ENCRYPTION
            | EventType::PREVIOUS_GTIDS
            | EventType::XA_PREPARE
            | EventType::TRANSACTION_PAYLOAD
            | EventType::ROTATE
    )
}
