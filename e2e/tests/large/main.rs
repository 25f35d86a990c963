//! Tests on real servers that are too long for every change: `make large`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, and the helpers of tests"
)]

mod harness;
mod page;
mod predecessor;
mod reader;
#[path = "../servers/shapes/rig.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with another test")]
mod rig;
#[path = "../servers/trace/rig.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with another test")]
mod trace_rig;
