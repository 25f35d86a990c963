//! A request's body that is given out only while it may be.
//!
//! A process can be stopped for minutes between any two instructions, and the request that it then sends meets an index
//! which has forgotten the deletes of meanwhile (`index.gc_deletes`). So its age is asked last of all: when the body is
//! about to be written to the socket, piece by piece. A request whose rest is refused never becomes whole.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Bytes given out at once.
const PIECE: usize = 64 << 10;

/// Whether a request may still be sent.
pub type Timely = Arc<dyn Fn() -> bool + Send + Sync>;

/// The request was not sent: it is too old by now.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("it is too old to be sent")]
pub(super) struct TooOld;

/// Bytes, and the question.
pub(super) struct TimelyBody {
    rest: Bytes,
    may_be_sent: Timely,
}

impl TimelyBody {
    pub(super) fn new(bytes: Bytes, may_be_sent: Timely) -> Self {
        Self { rest: bytes, may_be_sent }
    }
}

impl Body for TimelyBody {
    type Data = Bytes;
    type Error = TooOld;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, TooOld>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            return Poll::Ready(None);
        }
        if !(this.may_be_sent)() {
            this.rest.clear();
            return Poll::Ready(Some(Err(TooOld)));
        }
        let piece = this.rest.split_to(PIECE.min(this.rest.len()));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// A body of a stated length of which nothing ever comes: the request that has it is never carried out, and ends with
/// the answer to its headers or when time runs out.
pub(super) struct SilentBody {
    pub(super) length: usize,
}

impl Body for SilentBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length as u64)
    }
}

/// Whether the request ended because its body was refused.
pub(super) fn was_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<TooOld>() || error.source().is_some_and(was_refused)
}
