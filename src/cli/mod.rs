//! Subcommands, signals, HTTP.

mod file;
mod yaml;

pub use file::{LoadError, TaskFile, load, read};
