//! What can go wrong with a call to the API server.

use crate::model::Class;

/// A call to the API server did not work. `what` names verb and object.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// The object is not there.
    #[error("{what}: it is not there")]
    NotFound {
        /// Verb and object.
        what: String,
    },
    /// The object is not the one that was read, or is there already.
    #[error("{what}: somebody else changed it")]
    Conflict {
        /// Verb and object.
        what: String,
    },
    /// The API server does not want it.
    #[error("{what}: the API server refuses it: {message}")]
    Refused {
        /// Verb and object.
        what: String,
        /// Its words.
        message: String,
    },
    /// No answer, or one that passes.
    #[error("{what}: {message}")]
    Unavailable {
        /// Verb and object.
        what: String,
        /// What came instead of an answer.
        message: String,
    },
    /// This process leads no longer, and must not write.
    #[error("{what}: the lease is not ours any more")]
    NotLeader {
        /// Verb and object.
        what: String,
    },
    /// There is no cluster to talk to.
    #[error("no cluster: {0}; set KUBECONFIG, or run in a pod with a ServiceAccount")]
    NoCluster(String),
    /// The metrics do not fit together.
    #[error(transparent)]
    Metrics(#[from] crate::metrics::MetricsError),
}

impl ControllerError {
    /// What it means for the work in hand.
    pub fn class(&self) -> Class {
        match self {
            Self::NotFound { .. } | Self::Conflict { .. } | Self::Unavailable { .. } => Class::Retry,
            Self::Refused { .. } | Self::NoCluster(_) => Class::Config,
            Self::NotLeader { .. } | Self::Metrics(_) => Class::Halt,
        }
    }

    /// True where the object is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// True where somebody else was faster.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    pub(super) fn of(what: String, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.is_not_found() => Self::NotFound { what },
            kube::Error::Api(status) if status.is_conflict() || status.is_already_exists() => {
                Self::Conflict { what }
            }
            kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 429 => {
                Self::Refused { what, message: status.message }
            }
            kube::Error::Api(status) => {
                Self::Unavailable { what, message: format!("{} {}", status.code, status.message) }
            }
            // the words would quote the object, which may be a Secret
            kube::Error::SerdeError(_) => {
                Self::Unavailable { what, message: "the answer cannot be read".to_owned() }
            }
            other => Self::Unavailable { what, message: chain(&other) },
        }
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}
