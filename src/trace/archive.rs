//! Binlogs that are asked about many times: looked at once, read anew for every question.
//!
//! All of it lies in files that can be read anywhere in them; what does not is copied into such at first. In memory
//! are the places and times of their chunks only, so that a question reads no more than it is about.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::error::TraceError;
use super::input::Input;
use super::known::Shared;
use super::look::{Asked, Chunk};
use super::parallel;
use super::request::{Form, Request};
use super::run::{Job, Outcome, Progress, begin, end};
use super::schema::Schema;
use super::search;
use super::select::{Selection, Span};
use super::spool::Spool;
use super::survey::Survey;

/// Bytes of a page, beyond which it has no further lines.
const PAGE: usize = 4 << 20;

/// Binlogs to ask about.
#[derive(Debug)]
pub struct Archive {
    survey: Survey,
    /// The files' names, as places have them.
    names: Vec<String>,
    /// What the command line selects: questions are within it.
    within: Arc<Selection>,
    warnings: Vec<String>,
    /// Keeps what was copied.
    _spool: Spool,
}

/// What an archive holds.
#[derive(Debug)]
pub struct Holdings<'a> {
    /// The files' names and bytes, in order.
    pub files: Vec<(&'a str, u64)>,
    /// When the first and the last transaction were committed, in microseconds since 1970, as far as chunks tell.
    pub times: Option<(u64, u64)>,
    /// What a user should know.
    pub warnings: &'a [String],
}

/// Lines of a listing, and where it goes on.
#[derive(Debug, Default)]
pub struct Page {
    /// JSON objects.
    pub lines: Vec<String>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Bookmark>,
}

/// A place in a listing: behind so many lines of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bookmark {
    /// The transaction's file.
    pub file: String,
    /// Its offset there.
    pub position: u64,
    /// Lines of it that were given.
    pub lines: u64,
}

impl Archive {
    /// Looks at the inputs. What `request` selects is all that can be asked about.
    pub fn open(
        mut request: Request,
        mut inputs: Vec<Input>,
        schema: Schema,
        progress: &Progress,
    ) -> Result<Self, TraceError> {
        request.selection.check()?;
        let mut warnings = schema.troubles;
        let early = search::before(&request, &inputs);
        warnings.extend(search::leave_out(&mut inputs, early));
        let mut spool = Spool::default();
        let files = spool.files(inputs, progress)?;
        let names: Vec<String> = files
            .iter()
            .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
            .collect();
        let mut seen = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(TraceError::Option(format!(
                "two files are called {twice}: places would not say which; rename one"
            )));
        }
        let asked = Asked {
            alone: request.threads > 1,
            progress: Some(progress),
            counts: true,
            ..Asked::of(&request)
        };
        let mut survey = Survey::new(files, &asked, (schema.names, schema.as_of.is_some()))?;
        warnings.extend(survey.broken.take().map(|broken| broken.to_string()));
        let within = Arc::new(std::mem::take(&mut request.selection));
        Ok(Self { survey, names, within, warnings, _spool: spool })
    }

    /// What it holds.
    pub fn holdings(&self) -> Holdings<'_> {
        let size = |path: &PathBuf| path.metadata().map_or(0, |found| found.len());
        let join = |(a, b): (u64, u64), (c, d): (u64, u64)| (a.min(c), b.max(d));
        let known = self.survey.chunks.iter().map(|chunk| chunk.times).filter(|times| times.1 < u64::MAX);
        Holdings {
            files: self.names.iter().map(String::as_str).zip(self.survey.files.iter().map(size)).collect(),
            times: known.reduce(join),
            warnings: &self.warnings,
        }
    }

    /// Answers a question as the commands do: the same text, the same statistics.
    pub fn answer(&self, mut request: Request, progress: &Progress, out: &mut dyn Write) -> Outcome {
        request.selection.within = Some(Arc::clone(&self.within));
        let mut outcome = Outcome::default();
        let shared = Arc::new(Shared::default());
        let request = &request;
        let job =
            Job { request, progress, shared, out, outcome: &mut outcome, checkpoint: None, resumed: None };
        if let Err(error) = self.read(job) {
            outcome.error = Some(error);
        }
        outcome.count_nothing(request);
        outcome
    }

    fn read(&self, mut job: Job<'_>) -> Result<(), TraceError> {
        job.request.selection.check()?;
        let mut order = self.chunks(&job.request.selection);
        if job.request.is_backward() {
            order.reverse();
        }
        begin(job.request, &self.names, job.out)?;
        let done = parallel::surveyed(&mut job, &self.survey, order);
        job.outcome.warnings.extend(job.shared.take_warnings());
        done?;
        end(job.request, job.out)
    }

    /// The chunks that may hold what is selected.
    fn chunks(&self, selection: &Selection) -> Vec<Arc<Chunk>> {
        let within = |chunk: &Chunk| {
            selection.span.as_ref().is_none_or(|span| {
                chunk.start < span.to
                    && span.from < chunk.end
                    && self.names.get(chunk.file).is_some_and(|name| *name == span.file)
            })
        };
        let chunks = self.survey.chunks.iter();
        chunks.filter(|chunk| selection.may_hold_times(chunk.times) && within(chunk)).cloned().collect()
    }

    /// The next lines of a listing, at most `limit`, from a bookmark on.
    pub fn page(
        &self,
        mut request: Request,
        limit: usize,
        from: Option<&Bookmark>,
        progress: &Progress,
    ) -> (Page, Outcome) {
        request.form = Form::Listing;
        request.selection.within = Some(Arc::clone(&self.within));
        let mut lines =
            Lines { limit: limit.max(1), skip: from.map_or(0, |from| from.lines), ..Lines::default() };
        let mut outcome = Outcome::default();
        let shared = Arc::new(Shared::default());
        let read = self.rest(&mut request, from).and_then(|order| {
            request.selection.check()?;
            let mut job = Job {
                request: &request,
                progress,
                shared: Arc::clone(&shared),
                out: &mut lines,
                outcome: &mut outcome,
                checkpoint: None,
                resumed: None,
            };
            parallel::surveyed(&mut job, &self.survey, order)
        });
        outcome.warnings.extend(shared.take_warnings());
        outcome.error = read.err().filter(|_| !lines.full);
        (lines.page(from), outcome)
    }

    /// The chunks from a bookmark on, the rest of the bookmark's own by itself.
    fn rest(&self, request: &mut Request, from: Option<&Bookmark>) -> Result<Vec<Arc<Chunk>>, TraceError> {
        let backward = request.is_backward();
        let mut order = self.chunks(&request.selection);
        if let Some(from) = from {
            let file = self.names.iter().position(|name| *name == from.file).ok_or_else(|| {
                TraceError::Option(format!("after: there is no file {}; begin anew without it", from.file))
            })?;
            let place = (file, from.position);
            order.retain(|chunk| {
                if backward { (chunk.file, chunk.start) <= place } else { (chunk.file, chunk.end) > place }
            });
            request.selection.rest = Some(Span {
                file: from.file.clone(),
                from: if backward { 0 } else { from.position },
                to: if backward { from.position.saturating_add(1) } else { u64::MAX },
            });
        }
        if backward {
            order.reverse();
        }
        Ok(order)
    }
}

/// Takes lines until there are enough.
#[derive(Default)]
struct Lines {
    limit: usize,
    /// Lines that a page before this one had.
    skip: u64,
    taken: Vec<String>,
    bytes: usize,
    /// The beginning of a line.
    open: Vec<u8>,
    /// There are more lines than wanted.
    full: bool,
}

/// Where a line comes from.
#[derive(serde::Deserialize)]
struct Origin {
    file: String,
    position: u64,
}

impl Lines {
    fn page(self, from: Option<&Bookmark>) -> Page {
        let origin = |line: &String| serde_json::from_str::<Origin>(line).ok();
        let next = self.taken.last().filter(|_| self.full).and_then(|last| {
            let last = origin(last)?;
            let same = |line: &&String| {
                origin(line).is_some_and(|o| o.file == last.file && o.position == last.position)
            };
            let mut lines = self.taken.iter().rev().take_while(same).count() as u64;
            if let Some(from) = from.filter(|_| lines == self.taken.len() as u64)
                && from.file == last.file
                && from.position == last.position
            {
                lines += from.lines;
            }
            Some(Bookmark { file: last.file, position: last.position, lines })
        });
        Page { lines: self.taken, next }
    }

    fn line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.open);
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(());
        }
        if self.taken.len() >= self.limit || self.bytes >= PAGE {
            self.full = true;
            return Err(io::Error::other("the page is full"));
        }
        self.bytes += line.len();
        self.taken.push(String::from_utf8_lossy(&line).into_owned());
        Ok(())
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            self.open.extend_from_slice(part);
            if parts.peek().is_some() {
                self.line()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(places: &[u64]) -> String {
        places.iter().map(|place| format!("{{\"file\":\"b.1\",\"position\":{place},\"x\":1}}\n")).collect()
    }

    /// Lines as they come in pieces of any size; what is left of them on a page.
    fn page(places: &[u64], limit: usize, from: Option<&Bookmark>, piece: usize) -> Page {
        let mut lines = Lines { limit, skip: from.map_or(0, |from| from.lines), ..Lines::default() };
        for bytes in text(places).as_bytes().chunks(piece) {
            if lines.write_all(bytes).is_err() {
                assert!(lines.full);
                break;
            }
        }
        lines.page(from)
    }

    #[test]
    fn pages_follow_each_other_within_transactions_too() {
        let all = [4, 4, 4, 90, 120, 120];
        for (limit, piece) in [(1, 7), (2, 1000), (3, 1), (4, 40), (6, 9), (7, 9)] {
            let (mut seen, mut from): (usize, Option<Bookmark>) = (0, None);
            loop {
                // a trace begins with the bookmark's transaction
                let start =
                    from.as_ref().map_or(0, |from| all.iter().position(|p| *p == from.position).unwrap());
                let page = page(&all[start..], limit, from.as_ref(), piece);
                assert!(page.lines.len() <= limit);
                seen += page.lines.len();
                match page.next {
                    Some(next) => from = Some(next),
                    None => break,
                }
            }
            assert_eq!(seen, all.len(), "{limit}");
        }
        let next = page(&all, 2, None, 1000).next.unwrap();
        assert_eq!(next, Bookmark { file: "b.1".into(), position: 4, lines: 2 });
        assert_eq!(page(&all, 6, None, 1000).next, None);
    }

    #[test]
    fn a_page_is_full_of_bytes_too() {
        let mut lines = Lines { limit: 1000, ..Lines::default() };
        let line = [vec![b'x'; PAGE], vec![b'\n']].concat();
        assert!(lines.write_all(&line).is_ok() && lines.write_all(&line).is_err());
        assert_eq!((lines.taken.len(), lines.full), (1, true));
    }
}
