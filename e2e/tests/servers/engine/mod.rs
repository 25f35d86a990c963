//! The engine on real servers: each test breaks something, then every document is compared.
//!
//! One binary, so that all of them share one server of each kind where they do not break it.

mod convergence;
mod crashes;
mod dead_letters;
mod gaps;
mod reindex;
#[cfg(feature = "long")]
mod same_count;
mod semisync;
