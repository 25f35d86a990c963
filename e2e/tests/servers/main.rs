//! What a change must pass on real servers. One binary, so that all of it shares one server of each kind where a
//! test does not hurt it, and as many tests as are wanted are under way until the end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    unreachable_pub,
    reason = "tests, and their helpers; metrics are counts in floats"
)]

mod bad_input;
mod decoder;
mod engine;
mod property;
mod proxied;
mod shapes;
mod sink;
mod sink_faults;
mod source;
mod trace;
