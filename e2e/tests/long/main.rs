//! Tests of the engine that take minutes (`--features long`, `make test-all`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, and the helpers of tests"
)]

mod outages;
mod second_owner;
