//! Files that can be read anywhere in them, as chunks of whole transactions that are known beforehand: they can be
//! read by several workers, or the last one first.

use std::path::PathBuf;
use std::sync::Arc;

use super::TraceError;
use super::fates::Fates;
use super::look::{Asked, Chunk, Found, look};
use super::names::Names;

/// What was found.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) files: Vec<PathBuf>,
    /// In the files' order.
    pub(super) chunks: Vec<Arc<Chunk>>,
    pub(super) fates: Arc<Fates>,
    /// Where the input ends too early.
    pub(super) broken: Option<TraceError>,
    /// The border that was asked for lies between two transactions.
    pub(super) border_met: bool,
}

impl Survey {
    /// Looks at the files. `names` are the tables at the beginning or, with `from_end`, at the end.
    pub(super) fn new(
        files: Vec<PathBuf>,
        asked: &Asked<'_>,
        (names, from_end): (Names, bool),
    ) -> Result<Self, TraceError> {
        let mut chunks = Vec::new();
        let names = Arc::new(names);
        let found = look(&files, asked, Arc::clone(&names), &mut |chunk| {
            chunks.push(chunk);
            true
        })?;
        let Found { fates, ddl, broken, border_met } = found;
        if let Some(beginning) = names.at_beginning(ddl.iter(), from_end) {
            let mut names = Arc::new(beginning);
            let mut statements = ddl.iter();
            let mut done = 0;
            for chunk in &mut chunks {
                for ddl in statements.by_ref().take(chunk.ddl_before - done) {
                    // What does not fit is said by the rows that it concerns.
                    let _ = Arc::make_mut(&mut names).apply(ddl);
                }
                done = chunk.ddl_before;
                chunk.names = Arc::clone(&names);
            }
        }
        let chunks = chunks.into_iter().map(Arc::new).collect();
        Ok(Self { files, chunks, fates: Arc::new(fates), broken, border_met })
    }
}
