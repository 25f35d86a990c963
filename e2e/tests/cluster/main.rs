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

mod chart;
mod crds;
mod reindex;
mod rights;
mod sync;
mod takeover;
