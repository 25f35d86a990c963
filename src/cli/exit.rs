//! Exit codes.

use std::process::ExitCode;

/// What `--help` says of them.
pub(super) const HELP: &str = "Exit codes: 0 done; 1 the file, the servers or the task have findings; 2 the command line \
is wrong; 3 another process holds the state or took it over, or (trace) the input ends or breaks too early; 130 stopped \
by a second signal.";

/// How the program ends. Code 2 is clap's: the command line is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or stopped by a signal with everything saved.
    Done,
    /// The file, the servers or the task have findings.
    Findings,
    /// Another process holds the state, or took it over.
    NotOwner,
    /// The input of a trace ends or breaks: what was whole before has been given.
    Incomplete,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Findings => 1,
            Exit::NotOwner | Exit::Incomplete => 3,
        })
    }
}
