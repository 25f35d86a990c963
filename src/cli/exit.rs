//! Exit codes.

use std::process::ExitCode;

/// What `--help` says of them.
pub(super) const HELP: &str = "Exit codes: 0 done; 1 the file, the servers or the task have findings; 2 the command line \
is wrong; 3 another process holds the state or took it over; 130 stopped by a second signal.";

/// How the program ends. Code 2 is clap's: the command line is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or stopped by a signal with everything saved.
    Done = 0,
    /// The file, the servers or the task have findings.
    Findings = 1,
    /// Another process holds the state, or took it over.
    NotOwner = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
