//! What can go wrong between this room and the index, and what it means for the work in hand.

use super::Finding;
use crate::model::Class;

/// An error of a whole request; errors of single actions are [`Verdict`](super::Verdict)s.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SinkError {
    /// The options cannot be used as they are.
    #[error("{field}: {found}; {remedy}")]
    Options {
        /// Field of the task's file.
        field: String,
        /// What is wrong with it.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// The index is not one that we may write to.
    #[error("{0}")]
    Refused(Finding),
    /// No connection: nothing was sent.
    #[error("{address}: no connection: {reason}; check sink.elasticsearch.addresses and the network")]
    Unreachable {
        /// The address that was tried last.
        address: String,
        /// Why.
        reason: String,
    },
    /// The server's certificate, or the handshake, is not acceptable.
    #[error(
        "{address}: TLS: {reason}; check sink.elasticsearch.tls (ca, client certificate) and the server's name"
    )]
    Tls {
        /// The address.
        address: String,
        /// Why.
        reason: String,
    },
    /// The connection broke or time ran out after the request was sent: it may have been carried out.
    #[error("{address}: no answer: {reason}; the request may have been carried out")]
    Lost {
        /// The address.
        address: String,
        /// Why.
        reason: String,
    },
    /// 429: refused before anything was done.
    #[error("{address}: busy (429): {reason}")]
    Busy {
        /// The address.
        address: String,
        /// The server's words.
        reason: String,
    },
    /// 408 or 5xx.
    #[error("{address}: HTTP {status}: {reason}")]
    Server {
        /// The address.
        address: String,
        /// HTTP status.
        status: u16,
        /// The server's words.
        reason: String,
    },
    /// An answer that does not fit the request: it may have been carried out.
    #[error(
        "{address}: unreadable answer: {reason}; is this Elasticsearch or OpenSearch, or a proxy before it?"
    )]
    BadAnswer {
        /// The address.
        address: String,
        /// What was expected and found.
        reason: String,
    },
    /// 413: the caller splits the batch.
    #[error("a batch of {actions} actions in {bytes} bytes is too large for the server (413)")]
    TooLarge {
        /// Actions in the batch.
        actions: usize,
        /// Its size.
        bytes: usize,
    },
    /// 401.
    #[error("{address}: not authenticated (401): {reason}; check the Secret of sink.elasticsearch.auth")]
    Unauthenticated {
        /// The address.
        address: String,
        /// The server's words.
        reason: String,
    },
    /// 403.
    #[error(
        "{address}: not allowed (403): {reason}; grant the user manage, read, index and delete on the index \
             and on <index>--*, or lift the block"
    )]
    Forbidden {
        /// The address.
        address: String,
        /// The server's words.
        reason: String,
    },
    /// The index, or our write alias on it, is gone: it was deleted or replaced.
    #[error("index {index} is missing or was replaced: {reason}")]
    IndexMissing {
        /// The index.
        index: String,
        /// The server's words.
        reason: String,
    },
    /// It was too old by the time at which it would have been sent, and was not.
    #[error("the request was held up until it was too old to be sent; its ids are read again")]
    Expired,
    /// [`Sink::prepare`](super::Sink::prepare) has not been called.
    #[error("the index is not prepared yet")]
    NotPrepared,
    /// The sweep's context is gone (or a page was lost): begin it again.
    #[error("the sweep's cursor is lost: {reason}; the sweep begins again")]
    SweepLost {
        /// Why.
        reason: String,
    },
    /// An answer that no rule covers.
    #[error("{address}: HTTP {status}: {reason}; not known to pass by itself")]
    Unexpected {
        /// The address.
        address: String,
        /// HTTP status.
        status: u16,
        /// The server's words.
        reason: String,
    },
}

impl SinkError {
    /// What the error means for the work in hand.
    pub fn class(&self) -> Class {
        match self {
            Self::Options { .. } => Class::Config,
            Self::Refused(finding) => finding.class,
            Self::Unreachable { .. }
            | Self::Lost { .. }
            | Self::Busy { .. }
            | Self::Server { .. }
            | Self::BadAnswer { .. }
            | Self::TooLarge { .. }
            | Self::Expired
            | Self::SweepLost { .. } => Class::Retry,
            Self::IndexMissing { .. } => Class::Gap,
            Self::Tls { .. }
            | Self::Unauthenticated { .. }
            | Self::Forbidden { .. }
            | Self::NotPrepared
            | Self::Unexpected { .. } => Class::Halt,
        }
    }

    /// True where the request may have been carried out, now or later: its ids are to be read again with a
    /// new version. False where the server surely did nothing.
    pub fn outcome_unknown(&self) -> bool {
        matches!(
            self,
            Self::Lost { .. } | Self::Server { .. } | Self::BadAnswer { .. } | Self::Unexpected { .. }
        )
    }
}

/// The result of this room's functions.
pub type Result<T> = std::result::Result<T, SinkError>;
