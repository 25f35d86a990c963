//! What is asked of a trace.

use super::select::Selection;

/// What comes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Statements that do the changes again.
    Sql,
    /// Statements that take the changes back, the newest first.
    Rollback,
    /// The same as inverted row events in BINLOG statements.
    ExactRollback,
    /// A JSON object per changed row.
    Json,
    /// A line of comma-separated values per changed row.
    Csv,
    /// A JSON object per changed row, column by column, long values cut: for a page.
    Listing,
    /// A JSON object per event.
    Events,
    /// Counts by table, time, connection.
    Stats,
}

/// A trace.
#[derive(Debug)]
pub struct Request {
    /// What comes out.
    pub form: Form,
    /// Of what.
    pub selection: Selection,
    /// Columns may have been added or dropped at a table's end since its DDL was taken.
    pub allow_trailing: bool,
    /// A listing begins with the newest change.
    pub newest_first: bool,
    /// UPDATE statements set every column, not only those that changed.
    pub full_set: bool,
    /// Rollback statements stand below the change that they take back.
    pub with_original: bool,
    /// Rollback SQL stops where a statement does not change exactly one row.
    pub guard: bool,
    /// Checksums are compared.
    pub verify_checksums: bool,
    /// Files need not follow each other.
    pub allow_gaps: bool,
    /// Files that lie before the time asked for are read all the same: for the DDL in them.
    pub read_all: bool,
    /// Threads that decode. Default 1.
    pub threads: usize,
    /// Seconds of an interval of the statistics; 0: chosen by the span.
    pub interval: u64,
    /// How many entries lists of the statistics have.
    pub top: usize,
}

impl Request {
    /// True where the newest change comes first.
    pub fn is_backward(&self) -> bool {
        matches!(self.form, Form::Rollback | Form::ExactRollback)
            || (self.form == Form::Listing && self.newest_first)
    }

    /// A request of this form for everything, with the defaults.
    pub fn new(form: Form) -> Self {
        Self {
            form,
            selection: Selection::default(),
            allow_trailing: false,
            newest_first: false,
            full_set: false,
            with_original: false,
            guard: false,
            verify_checksums: true,
            allow_gaps: false,
            read_all: false,
            threads: 1,
            interval: 0,
            top: 10,
        }
    }
}
