//! Subcommands, signals, HTTP.
