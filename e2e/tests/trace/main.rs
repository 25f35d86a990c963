//! `trace` on real servers: SQL and rollback take tables from state to state, and what files can be, comes through.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod checkpoint;
mod clouds;
mod inputs;
mod oracle;
mod rig;
mod schemas;
mod search;
mod selection;
mod tables;
