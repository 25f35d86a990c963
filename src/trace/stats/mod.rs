//! Counts of what binlogs hold: by table, by time, by connection; the largest, longest and hottest.

mod gather;
mod hot;
mod html;
mod render;
mod top;

pub(super) use gather::Gather;
pub use gather::Stats;
