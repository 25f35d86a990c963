//! What may go wrong with the source, and what it means.

use std::io;
use std::time::Duration;

use mysql_async::{DriverError, Error as Driver, IoError, ServerError};

use crate::model::{Class, passes};

/// Errors of the source. Messages name what to do; none holds a password.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The options do not fit together.
    #[error("source options: {0}")]
    Options(String),
    /// No connection, or a connection that broke.
    #[error("{doing}: no connection to MySQL at {address}: {reason}; check that it runs and can be reached")]
    Connection {
        /// What was being done.
        doing: String,
        /// `host:port`.
        address: String,
        /// The driver's reason.
        reason: String,
    },
    /// The two sides cannot agree on TLS or on authentication.
    #[error(
        "cannot sign in to MySQL at {address}: {reason}; check source.tls, certificates, and that the account exists (MySQL makes up a plugin for one that does not)"
    )]
    Handshake {
        /// `host:port`.
        address: String,
        /// The driver's reason.
        reason: String,
    },
    /// The server refused a statement.
    #[error("{doing}: MySQL error {code} ({state}): {message}")]
    Server {
        /// What was being done.
        doing: String,
        /// The error's number.
        code: u16,
        /// SQLSTATE.
        state: String,
        /// The server's message.
        message: String,
    },
    /// A statement ran too long and was killed on the server.
    #[error(
        "{doing}: not done after {after:?} and killed; raise limits.queryTimeout or make the query faster"
    )]
    Timeout {
        /// What was being done.
        doing: String,
        /// The limit.
        after: Duration,
    },
    /// What a read has to see was not visible in time. Nothing was read.
    #[error(
        "transactions that the binlog has delivered were not visible after {after:?} (semisync or a replica's lag)"
    )]
    NotVisible {
        /// The limit.
        after: Duration,
    },
    /// The server cut a value of some row: GROUP_CONCAT, JSON_ARRAYAGG, CONCAT.
    #[error("the server cut a value short ({message}); raise max_allowed_packet (and group_concat_max_len)")]
    Truncated {
        /// The server's warning.
        message: String,
    },
    /// More rows than may be held at once.
    #[error("the arrays of query.children have more than {bytes} bytes; read fewer columns or rows")]
    TooMuch {
        /// The limit.
        bytes: usize,
    },
    /// The result's key cannot be one.
    #[error("key column {column}: {reason}")]
    Key {
        /// The result column.
        column: String,
        /// Why.
        reason: String,
    },
    /// The statement takes another number of parameters.
    #[error("the query takes {takes} parameters, which is no multiple of the {given} values of its keys")]
    Parameters {
        /// What the server counted.
        takes: usize,
        /// How many values the keys have.
        given: usize,
    },
    /// This server cannot do it.
    #[error("{0}")]
    Unsupported(String),
    /// The server said something else than expected.
    #[error("{doing}: unexpected answer: {found}")]
    Unexpected {
        /// What was being done.
        doing: String,
        /// What came.
        found: String,
    },
}

impl SourceError {
    /// What the error means for the work in hand.
    pub fn class(&self) -> Class {
        match self {
            Self::Connection { .. } | Self::Timeout { .. } | Self::NotVisible { .. } => Class::Retry,
            Self::Handshake { .. } | Self::Unexpected { .. } => Class::Halt,
            Self::Options(_) | Self::Key { .. } | Self::Parameters { .. } | Self::Unsupported(_) => {
                Class::Config
            }
            Self::Truncated { .. } | Self::TooMuch { .. } => Class::Record,
            Self::Server { code, state, .. } => class_of(*code, state),
        }
    }

    /// The server's error number, where it was the server's.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Server { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// True where a new connection may do better at once.
    pub(super) fn is_connection(&self) -> bool {
        matches!(self, Self::Connection { .. })
    }

    pub(super) fn new(doing: &str, address: &str, error: Driver) -> Self {
        let connection = |reason: String| Self::Connection {
            doing: doing.to_owned(),
            address: address.to_owned(),
            reason,
        };
        let handshake = |reason: String| Self::Handshake { address: address.to_owned(), reason };
        match error {
            Driver::Server(ServerError { code, message, state }) => {
                Self::Server { doing: doing.to_owned(), code, state, message }
            }
            Driver::Io(IoError::Tls(reason)) => handshake(format!("TLS: {reason}")),
            Driver::Io(IoError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                handshake(error.to_string())
            }
            Driver::Io(IoError::Io(error)) => connection(error.to_string()),
            Driver::Driver(
                error @ (DriverError::UnknownAuthPlugin { .. }
                | DriverError::CleartextPluginDisabled
                | DriverError::MysqlOldPasswordDisabled
                | DriverError::NoKeyFound
                | DriverError::NoClientSslFlagFromServer),
            ) => handshake(error.to_string()),
            Driver::Driver(DriverError::UnexpectedPacket { .. }) => connection("unexpected packet".into()),
            Driver::Driver(error) => connection(error.to_string()),
            Driver::Other(error) => connection(error.to_string()),
            Driver::Url(error) => Self::Options(error.to_string()),
        }
    }
}

/// The class of a server's error, by number first and SQLSTATE then. Unknown ones halt, as does 28 (sign-in).
fn class_of(code: u16, state: &str) -> Class {
    match code {
        code if passes(code) => Class::Retry,
        // got a signal, deadlock, no such handler, definition changed, statements kept, re-prepare, transactions under way, limits
        1078 | 1213 | 1243 | 1412 | 1461 | 1615 | 1637 | 1969 | 3024 => Class::Retry,
        // accounts and grants
        1044 | 1045 | 1129 | 1130 | 1142 | 1143 | 1227 | 1251 | 1290 | 1370 | 1698 | 1820 | 1862 | 3118
        | 3955 => Class::Halt,
        // unknown database, illegal mix of collations
        1049 | 1267 | 1271 => Class::Config,
        // a subquery with more than one row, invalid JSON
        1242 | 3140..=3143 => Class::Record,
        _ => match state.get(..2) {
            Some("08" | "40") => Class::Retry,
            Some("42" | "0A") => Class::Config,
            Some("22" | "21") => Class::Record,
            _ => Class::Halt,
        },
    }
}

/// A row that cannot be a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {reason}")]
pub struct RecordError {
    /// The result column.
    pub column: String,
    /// Why.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_server_errors() {
        let table = [
            (1205, "HY000", Class::Retry),
            (1213, "40001", Class::Retry),
            (1053, "08S01", Class::Retry),
            (1040, "08004", Class::Retry),
            (3024, "HY000", Class::Retry),
            (1045, "28000", Class::Halt),
            (1142, "42000", Class::Halt),
            (1227, "42000", Class::Halt),
            (1146, "42S02", Class::Config),
            (1054, "42S22", Class::Config),
            (1064, "42000", Class::Config),
            (1690, "22003", Class::Record),
            (3141, "22032", Class::Record),
            (1105, "HY000", Class::Halt),
        ];
        for (code, state, class) in table {
            assert_eq!(class_of(code, state), class, "{code}");
        }
    }
}
