//! The API's answers. Each reads the files anew, off the runtime's threads, and ends when nobody waits for it.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use super::asked::{ChangesAsked, OverviewAsked, StatementsAsked, bookmark_text, read};
use super::site::Site;
use crate::cli::trace::read_as;
use crate::trace::{Form, Progress, Request, TraceError};

/// Bytes of SQL that are sent at once. What goes wrong before the first of them is said by a status.
const BLOCK: usize = 1 << 16;
/// Blocks that wait for a slow reader.
const AHEAD: usize = 4;

/// What is said where there is no answer.
pub(super) fn refused(status: StatusCode, text: &str) -> Response {
    let body = json!({ "error": text }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn failed(error: &TraceError) -> Response {
    refused(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string())
}

fn found(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Ends the work when the one who waits for it goes away.
struct GivingUp(Arc<AtomicBool>);

impl Drop for GivingUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Works on a question when its turn comes.
async fn work<T: Send + 'static>(
    site: &Arc<Site>,
    answer: impl FnOnce(&Site, &Progress) -> T + Send + 'static,
) -> Result<T, TraceError> {
    let turn = Arc::clone(&site.free).acquire_owned().await;
    let progress = site.begin();
    let _giving_up = GivingUp(Arc::clone(&progress.stop));
    let site = Arc::clone(site);
    let worked = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        answer(&site, &progress)
    });
    worked.await.map_err(|error| TraceError::Option(error.to_string()))
}

/// How the files are read is the command line's to say.
fn as_started(mut request: Request, site: &Site) -> Request {
    read_as(&mut request, &site.args);
    request
}

/// `/api/holdings`: the files, when their changes were, what was said at the start.
pub(super) async fn holdings(State(site): State<Arc<Site>>) -> Response {
    let holdings = site.archive.holdings();
    let time = |micros: u64| Timestamp::from_microsecond(micros as i64).ok().map(|time| time.to_string());
    let files: Vec<_> =
        holdings.files.iter().map(|(name, bytes)| json!({ "name": name, "bytes": bytes })).collect();
    let said = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "files": files,
        "first": holdings.times.and_then(|(first, _)| time(first)),
        "last": holdings.times.and_then(|(_, last)| time(last)),
        "warnings": holdings.warnings,
    });
    found(said.to_string())
}

/// `/api/overview`: what `trace stats --format json` gives.
pub(super) async fn overview(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    let asked = read::<OverviewAsked>(&query.unwrap_or_default()).and_then(|asked| asked.request());
    let request = match asked {
        Ok(request) => as_started(request, &site),
        Err(error) => return failed(&error),
    };
    let worked =
        work(&site, move |site, progress| site.archive.answer(request, progress, &mut io::sink())).await;
    match worked {
        Ok(outcome) => match (outcome.error, outcome.stats) {
            (Some(error), _) => failed(&error),
            (None, Some(mut stats)) => found(stats.json()),
            (None, None) => refused(StatusCode::INTERNAL_SERVER_ERROR, "nothing was counted"),
        },
        Err(error) => failed(&error),
    }
}

/// `/api/changes`: a page of changes.
pub(super) async fn changes(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    let asked = read::<ChangesAsked>(&query.unwrap_or_default())
        .and_then(|asked| Ok((asked.request()?, usize::from(asked.limit), asked.after)));
    let (request, limit, after) = match asked {
        Ok((request, limit, after)) => (as_started(request, &site), limit, after),
        Err(error) => return failed(&error),
    };
    let worked =
        work(&site, move |site, progress| site.archive.page(request, limit, after.as_ref(), progress));
    let (page, outcome) = match worked.await {
        Ok(worked) => worked,
        Err(error) => return failed(&error),
    };
    if let (Some(error), true) = (&outcome.error, page.lines.is_empty()) {
        return failed(error);
    }
    let rest = json!({
        "next": page.next.as_ref().map(bookmark_text),
        "warnings": outcome.warnings,
        "error": outcome.error.map(|error| error.to_string()),
    });
    // the lines are JSON already: their numbers stay as they are
    let rest = rest.to_string();
    found(format!("{{\"changes\":[{}],{}", page.lines.join(",\n"), rest.trim_start_matches('{')))
}

/// `/api/sql`: what `trace sql` prints.
pub(super) async fn sql(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    statements(site, query, false).await
}

/// `/api/rollback`: what `trace rollback` prints.
pub(super) async fn rollback(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    statements(site, query, true).await
}

async fn statements(site: Arc<Site>, query: Option<String>, rollback: bool) -> Response {
    let asked = read::<StatementsAsked>(&query.unwrap_or_default()).and_then(|asked| asked.request(rollback));
    let request = match asked {
        Ok(request) => as_started(request, &site),
        Err(error) => return failed(&error),
    };
    let name = if request.form == Form::Sql { "changes.sql" } else { "rollback.sql" };
    let turn = Arc::clone(&site.free).acquire_owned().await;
    let progress = site.begin();
    let giving_up = GivingUp(Arc::clone(&progress.stop));
    let (sender, mut blocks) = channel(AHEAD);
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        send(&site, request, &progress, sender)
    });
    let first = blocks.recv().await;
    let rest = Rest { blocks, done, _giving_up: giving_up };
    if first.is_none() {
        match rest.done.await {
            Ok(Err(error)) => return failed(&error),
            Ok(Ok(())) => return Response::default(),
            Err(error) => return refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
    let body = Body::from_stream(stream::unfold((first, Some(rest)), async |(first, rest)| {
        let mut rest = rest?;
        match first {
            Some(block) => Some((Ok(block), (rest.blocks.recv().await, Some(rest)))),
            // an answer that breaks off must not look whole
            None => rest.end().await.err().map(|error| (Err(error), (None, None))),
        }
    }));
    let kind = (header::CONTENT_TYPE, "application/sql; charset=utf-8".to_owned());
    ([kind, (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""))], body).into_response()
}

/// What is still to come of an answer.
struct Rest {
    blocks: Receiver<Bytes>,
    done: JoinHandle<Result<(), TraceError>>,
    _giving_up: GivingUp,
}

impl Rest {
    async fn end(&mut self) -> io::Result<()> {
        match (&mut self.done).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(io::Error::other(error)),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

/// Writes an answer; what should be known of it stands at its end.
fn send(site: &Site, request: Request, progress: &Progress, sender: Sender<Bytes>) -> Result<(), TraceError> {
    let mut out = BufWriter::with_capacity(BLOCK, Blocks(sender));
    let outcome = site.archive.answer(request, progress, &mut Kept(&mut out));
    if let Some(error) = outcome.error {
        drop(out.into_parts()); // what was not sent yet stays unsent
        return Err(error);
    }
    let warnings =
        outcome.warnings.iter().map(|warning| format!("-- warning: {}\n", warning.replace('\n', " ")));
    let written = out.write_all(warnings.collect::<String>().as_bytes()).and_then(|()| out.flush());
    written.map_err(|source| TraceError::Io { what: "write the answer".to_owned(), source })
}

/// Keeps what is written until there is a block of it, flushed or not.
struct Kept<'a, W: Write>(&'a mut BufWriter<W>);

impl<W: Write> Write for Kept<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Blocks on their way; an error once nobody takes them any more.
struct Blocks(Sender<Bytes>);

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
