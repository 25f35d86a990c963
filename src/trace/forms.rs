//! The forms of output, as one type, and what came of a part of the input.

use std::sync::Arc;

use super::TraceError;
use super::changes::Changes;
use super::events::Events;
use super::exact::Exact;
use super::fates::Fates;
use super::pieces::Pieces;
use super::request::{Form, Request};
use super::stats::{Gather, Stats};
use super::walk::Counts;
use crate::binlog::Checksum;

/// What came of a chunk.
pub(super) struct Part {
    pub(super) pieces: Pieces,
    pub(super) counts: Counts,
    pub(super) warnings: Vec<String>,
    pub(super) stats: Option<Stats>,
    pub(super) error: Option<TraceError>,
}

impl Part {
    pub(super) fn of(error: TraceError) -> Self {
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
pub(super) enum Sink<'r> {
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

pub(super) use with;

impl<'r> Sink<'r> {
    pub(super) fn new(request: &'r Request, fates: &Arc<Fates>, checksum: Checksum) -> Self {
        match request.form {
            Form::ExactRollback => Self::Exact(Box::new(Exact::new(request, Arc::clone(fates), checksum))),
            Form::Events => Self::Events(Box::new(Events::new(request))),
            Form::Stats => Self::Gather(Box::new(Gather::new(request))),
            _ => Self::Changes(Box::new(Changes::new(request, Arc::clone(fates)))),
        }
    }

    /// What it has written, where that is text.
    pub(super) fn pieces(&mut self) -> Option<&mut Pieces> {
        match self {
            Self::Changes(out) => Some(&mut out.draft.pieces),
            Self::Exact(out) => Some(&mut out.draft.pieces),
            Self::Events(out) => Some(&mut out.draft.pieces),
            Self::Gather(_) => None,
        }
    }

    /// Statements or records written by transactions that ended.
    pub(super) fn written(&self) -> u64 {
        match self {
            Self::Changes(out) => out.written,
            Self::Exact(out) => out.written,
            Self::Events(out) => out.written,
            Self::Gather(_) => 0,
        }
    }

    /// What came of everything that was shown to it.
    pub(super) fn finish(self, mut counts: Counts) -> Part {
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
