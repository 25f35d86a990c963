//! The operator in Kubernetes: chart, resources and controller on a real API server, with the rights of the chart's
//! own service account.
//!
//! One binary, so that all of them share one control plane, one MySQL and one Elasticsearch; each test has a
//! namespace of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests, and the helpers of tests"
)]

mod bad;
#[path = "../servers/bad_input/cases.rs"]
#[allow(dead_code, unreachable_pub, reason = "what the file's reader is asked besides")]
mod cases;
mod chart;
mod crds;
#[path = "../servers/bad_input/ground.rs"]
#[allow(dead_code, unreachable_pub, reason = "what the file's reader is asked besides")]
mod ground;
mod manners;
mod reindex;
mod rights;
mod sync;
mod takeover;
