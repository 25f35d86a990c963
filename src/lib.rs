//! binlog-operator: documents in Elasticsearch or OpenSearch that stay equal to a SQL query over MySQL.
//!
//! The crate is a house of rooms, see `docs/architecture.md`; `tests/rooms.rs` holds which room may use which.

pub mod api;
pub mod binlog;
pub mod cli;
pub mod controller;
pub mod document;
pub mod lease;
pub mod mapping;
pub mod metrics;
pub mod model;
pub mod pipeline;
pub mod sink;
pub mod source;
pub mod trace;
