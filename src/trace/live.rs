//! A server's binlog as it is streamed.

use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, channel};

use super::TraceError;
use crate::binlog::{BinlogError, RawEvent, Stream, StreamOptions, StreamStart, derive_server_id};
use crate::model::ServerOptions;

/// Events read ahead.
const AHEAD: usize = 256;
/// Server ids tried before giving up: another client may use one.
const ATTEMPTS: u32 = 5;

/// Events of a server, in order. Taking one blocks: never on a thread of the runtime.
pub(super) struct Live {
    events: Receiver<Result<RawEvent, BinlogError>>,
}

impl Live {
    /// Streams from `start`; with `follow` for ever, else to the end that the server has now.
    pub(super) async fn open(
        server: &ServerOptions,
        start: &StreamStart,
        follow: bool,
        runtime: &Handle,
    ) -> Result<Self, TraceError> {
        let mut stream = connect(server, start, follow).await?;
        let (sender, events) = channel(AHEAD);
        runtime.spawn(async move {
            loop {
                let event = stream.next_raw().await;
                let last = event.is_err();
                if sender.send(event).await.is_err() || last {
                    break;
                }
            }
        });
        Ok(Self { events })
    }

    /// The next event; `None` at the end.
    pub(super) fn next_raw(&mut self) -> Result<Option<RawEvent>, TraceError> {
        match self.events.blocking_recv() {
            None | Some(Err(BinlogError::Ended { .. })) => Ok(None),
            Some(event) => Ok(Some(event?)),
        }
    }
}

async fn connect(server: &ServerOptions, start: &StreamStart, follow: bool) -> Result<Stream, TraceError> {
    let seed = format!("trace-{}", std::process::id());
    let mut attempt = 0;
    loop {
        let mut options = StreamOptions::new(derive_server_id(&seed, attempt));
        options.end_at_eof = !follow;
        options.annotations = true;
        match Stream::open(server, start, options).await {
            Ok(stream) => return Ok(stream),
            Err(BinlogError::ServerIdTaken { .. }) if attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error.into()),
        }
    }
}
