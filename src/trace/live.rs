//! A server's binlog as it is streamed.

use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, channel};

use super::TraceError;
use crate::binlog::{BinlogError, RawEvent, Stream, StreamOptions, StreamStart, derive_server_id};
use crate::model::{BinlogPosition, ServerOptions};

/// Events read ahead.
const AHEAD: usize = 256;

/// Events of a server, in order. Taking one blocks: never on a thread of the runtime.
pub(super) struct Live {
    events: Receiver<Result<RawEvent, BinlogError>>,
    end: End,
}

/// Where a stream ends.
#[derive(Clone, Debug)]
pub enum End {
    /// Nowhere: it waits for more.
    Never,
    /// Where the server has no more, and not before this file, if it is known.
    InFile(Option<String>),
}

impl Live {
    /// Streams from `start` to `end`.
    pub(super) async fn open(
        server: &ServerOptions,
        start: &StreamStart,
        end: End,
        runtime: &Handle,
    ) -> Result<Self, TraceError> {
        // two clients with one server id end each other; process ids are the same in every container
        let seed = format!("trace-{}", rand::random::<u64>());
        let mut options = StreamOptions::new(derive_server_id(&seed, 0));
        options.end_at_eof = matches!(end, End::InFile(_));
        options.annotations = true;
        let mut stream = Stream::open(server, start, options).await?;
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
        Ok(Self { events, end })
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// Also where the server ends the stream in an earlier file than its last: a killed thread says no more than one that
    /// is done.
    pub(super) fn next_raw(&mut self) -> Result<Option<RawEvent>, TraceError> {
        let begins = |file: &str| BinlogPosition { file: file.to_owned(), offset: 0 };
        match (self.events.blocking_recv(), &self.end) {
            (Some(Err(BinlogError::Ended { file, offset })), End::InFile(Some(last)))
                if begins(&file) < begins(last) =>
            {
                Err(TraceError::Cut { file: file.to_string(), offset, last: last.clone() })
            }
            (None, _) | (Some(Err(BinlogError::Ended { .. })), End::InFile(_)) => Ok(None),
            (Some(event), _) => Ok(Some(event?)),
        }
    }
}
