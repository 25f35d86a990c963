//! What goes into the core and what comes out of it.

use std::sync::Arc;

use crate::model::{
    BinlogPosition, BuildPhase, Checkpoint, Class, Gtid, Key, LastTransaction, StreamPosition, TableColumns,
    TableName,
};

/// The two clocks, read by whoever drives the core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of a monotonic clock that goes on while the process is stopped.
    pub millis: u64,
    /// Microseconds since 1970, by which version blocks are placed.
    pub unix_micros: u64,
}

/// Something did not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it means for the work.
    pub class: Class,
    /// Words for a person, without secrets.
    pub message: String,
}

/// Result of a piece of work outside.
pub type Outcome<T> = Result<T, Failure>;

/// A row by whose lock a commit can be waited out where there are no GTIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowLock {
    /// The table.
    pub table: TableName,
    /// Its primary key's columns.
    pub columns: Arc<[String]>,
    /// The row.
    pub key: Key,
}

/// What a connection must have before it may read (DESIGN, invariant 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing was seen that could be invisible.
    Nothing,
    /// All of this GTID set.
    Gtids(Arc<str>),
    /// The commits that hold these rows.
    Locks(Arc<[RowLock]>),
}

/// The start of a transaction in the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// Its GTID, if it has one.
    pub gtid: Option<Gtid>,
    /// Where its first event starts.
    pub start: BinlogPosition,
    /// Original commit timestamp, microseconds since 1970; 0 where unknown.
    pub commit_timestamp: u64,
}

/// What the rows of one or several row events touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Keys of documents, straight from row images.
    pub keys: Vec<Key>,
    /// Values to look up, with the number of their rule.
    pub lookups: Vec<(usize, Key)>,
    /// A row of this transaction by whose lock its commit can be waited for.
    pub lock: Option<RowLock>,
}

/// What the source and the index are now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Where to begin.
    pub position: StreamPosition,
    /// The last transaction before it, if known.
    pub last_transaction: Option<LastTransaction>,
    /// `@@server_uuid`.
    pub server_uuid: String,
    /// The index's UUID.
    pub index_uuid: String,
    /// The mapped tables' columns.
    pub schemas: Vec<TableColumns>,
    /// Builds begin only once the stream has delivered up to here: what came before may be invisible still,
    /// and only the stream tells which rows to wait for.
    pub deliver_first: Option<BinlogPosition>,
}

/// What a batch's read gave; `found` and `bad` are indexes into the batch's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadRows {
    /// Keys with a document, each once.
    pub found: Vec<usize>,
    /// Keys whose row cannot be a document, and why.
    pub bad: Vec<(usize, String)>,
    /// Returned keys that were not asked for (another spelling of the same key).
    pub others: Vec<Key>,
}

/// The index's word on one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Written or deleted, or the document to delete was not there.
    Done,
    /// The index holds this higher version; `None` where the answer did not say which.
    Superseded(Option<u64>),
    /// The document will never be accepted as it is.
    Rejected(String),
    /// Not now.
    Retry(String),
    /// Not until somebody helps.
    Halt(String),
    /// The index is not the one we know.
    IndexMissing(String),
}

/// How a bulk request ended as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// One verdict for each key of the batch, in order; keys that were `bad` have `None`.
    Verdicts(Vec<Option<Verdict>>),
    /// Not sent: older than the limit by the time it could have been.
    TooOld,
    /// The server refuses a body of this size.
    TooLarge,
    /// Refused before anything was done: the server has too much to do (429).
    Busy(Failure),
    /// Failed, or the outcome is unknown.
    Failed(Failure),
}

/// A page of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The keys, ascending.
    pub keys: Vec<Key>,
    /// There may be more after the last.
    pub more: bool,
}

/// What a build walks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Every key of the main table, then the sweep where the index is ours alone.
    Full,
    /// What the shell knows under the build's name (a range, a where).
    Part,
    /// These keys.
    Keys(Vec<Key>),
    /// The keys of all dead letters at its start.
    DeadLetters,
}

/// A build to run once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildSpec {
    /// Its name, unique in the task.
    pub name: String,
    /// What it walks.
    pub selection: Selection,
    /// Hash of the selection: a build of the same name and hash goes on where it stopped.
    pub selection_hash: String,
    /// Keys per page.
    pub page_size: usize,
}

/// A record that could not be written.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct DeadLetter {
    /// Its key.
    pub key: Key,
    /// The version of the action that was refused.
    pub version: u64,
    /// Why, in the index's or the reader's words.
    pub reason: String,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A transaction begins.
    Begin(Begin),
    /// The transaction that begins is the XA transaction of this xid.
    XaStart(Vec<u8>),
    /// Rows of the open transaction.
    Rows(Rows),
    /// The open transaction ends; the next one begins here.
    End(BinlogPosition),
    /// The open transaction ends as a prepared XA transaction.
    XaPrepared(BinlogPosition),
    /// The open transaction commits or rolls back the XA transaction of this xid.
    XaResolved {
        /// The xid, as XA START had it.
        xid: Vec<u8>,
        /// False for a rollback.
        commit: bool,
    },
    /// The open transaction moved the schemas to these.
    Schemas(Arc<Vec<TableColumns>>),
    /// Between transactions, the stream stands here (heartbeat, rotation).
    Idle(BinlogPosition),
    /// The stream broke and is closed.
    StreamLost(Failure),
    /// The stream is open and its first transaction matched.
    StreamOpened,
    /// Changes were missed or cannot be read: repair or halt.
    Gap(String),
    /// Answer to [`Command::TakePlace`].
    PlaceTaken(Outcome<Box<Place>>),
    /// Answer to [`Command::Read`].
    ReadDone {
        /// The lane.
        lane: usize,
        /// The rows.
        rows: Outcome<ReadRows>,
    },
    /// Answer to [`Command::Write`].
    WriteDone {
        /// The lane.
        lane: usize,
        /// What came of it.
        written: Written,
    },
    /// Answer to [`Command::Lookup`].
    LookupDone {
        /// Which.
        lookup: u64,
        /// The main keys found.
        page: Outcome<Page>,
    },
    /// Answer to [`Command::Walk`] and [`Command::Sweep`].
    Walked {
        /// The build.
        build: String,
        /// The command's `run`: answers of an earlier run of the build are ignored.
        run: u64,
        /// The keys.
        page: Outcome<Page>,
    },
    /// Answer to [`Command::Save`].
    Saved(SaveResult),
    /// Answer to [`Command::SaveDeadLetters`].
    DeadLettersSaved(SaveResult),
    /// Answer to [`Command::CheckEpoch`]: is the epoch still ours?
    EpochChecked(Outcome<bool>),
    /// What the server has executed, read now.
    Executed {
        /// All of it.
        position: StreamPosition,
        /// When it was asked, microseconds since 1970.
        asked: u64,
    },
    /// Run this build.
    Build(BuildSpec),
    /// Nobody asks for this build any more: it ends where it is, and is forgotten.
    Cancel(String),
    /// An estimate of a build's keys.
    Estimate {
        /// The build.
        build: String,
        /// How many keys it will walk.
        keys: u64,
    },
    /// Try at once what waits for a person: the definition or a Secret changed.
    Probe,
    /// Finish what is in flight, save, end.
    Stop,
    /// Time has passed.
    Tick,
}

impl Input {
    /// True for what the binlog stream says.
    pub(super) fn is_of_stream(&self) -> bool {
        matches!(
            self,
            Self::Begin(_)
                | Self::XaStart(_)
                | Self::Rows(_)
                | Self::End(_)
                | Self::XaPrepared(_)
                | Self::XaResolved { .. }
                | Self::Schemas(_)
                | Self::Idle(_)
                | Self::StreamLost(_)
                | Self::StreamOpened
        )
    }
}

/// How a compare-and-swap ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaveResult {
    /// Stored.
    Done,
    /// Another owner has it.
    Lost(String),
    /// Not stored, or unknown; may be tried again with the same expectation.
    Failed(String),
    /// The store has no room for it.
    Full(String),
}

/// What to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// Store the checkpoint if the stored one still has this epoch and this version ceiling (both 0: none
    /// is stored), or is our own (same epoch and owner) of an attempt whose outcome was not known.
    Save {
        /// The epoch that must be found.
        expect: u64,
        /// The version ceiling that must be found: an owner that lives may have moved it after we loaded.
        ceiling: u64,
        /// The new object.
        checkpoint: Box<Checkpoint>,
    },
    /// Store this change of the dead letters, durably, unless an owner of a later epoch has changed them.
    SaveDeadLetters {
        /// Ours, to be stored with them.
        epoch: u64,
        /// To add or replace, by key.
        add: Vec<DeadLetter>,
        /// To remove.
        remove: Vec<Key>,
    },
    /// Close the stream, make sure of the index, and tell where source and index are.
    TakePlace,
    /// Open the stream here; the transaction before must match.
    OpenStream {
        /// Everything before is done or in memory.
        from: StreamPosition,
        /// The last transaction before `from`.
        verify: Option<LastTransaction>,
        /// The schemas as of `from`.
        schemas: Arc<Vec<TableColumns>>,
    },
    /// Close the stream.
    CloseStream,
    /// Read these keys' documents.
    Read {
        /// The lane.
        lane: usize,
        /// The keys.
        keys: Arc<[Key]>,
        /// The version of every action of this batch.
        version: u64,
        /// When the version was taken, in [`Now::millis`].
        taken: u64,
        /// What the connection must have first.
        seen: Seen,
    },
    /// Write what was read: index what was found, delete these (indexes into the batch's keys).
    Write {
        /// The lane.
        lane: usize,
        /// Keys without a row.
        missing: Vec<usize>,
    },
    /// Look up the main keys of these values.
    Lookup {
        /// Its number.
        lookup: u64,
        /// The rule.
        rule: usize,
        /// The values.
        keys: Arc<[Key]>,
        /// Go on after this main key.
        after: Option<Key>,
        /// At most so many main keys.
        limit: usize,
        /// What the connection must have first.
        seen: Seen,
    },
    /// Give the next page of a build's keys.
    Walk {
        /// The build.
        build: String,
        /// Its run.
        run: u64,
        /// Go on after this key.
        after: Option<Key>,
        /// At most so many keys.
        limit: usize,
        /// What the connection must have first.
        seen: Seen,
    },
    /// Give the next page of documents whose version is below.
    Sweep {
        /// The build.
        build: String,
        /// Its run.
        run: u64,
        /// The version.
        below: u64,
        /// Start anew.
        first: bool,
    },
    /// Is the stored epoch still this one?
    CheckEpoch {
        /// Ours.
        epoch: u64,
    },
    /// A build moved to this phase, durably.
    BuildMoved {
        /// The build.
        build: String,
        /// Its phase.
        phase: BuildPhase,
    },
    /// The worker ends.
    End(Ended),
}

/// Why a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Asked to; everything in flight was acknowledged and saved.
    Stopped,
    /// Another owner took over.
    Lost(String),
}
