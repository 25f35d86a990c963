//! The binary: chooses the TLS provider, then everything is in the library's `cli` room.

use std::process::ExitCode;

/// An operator's many tasks start together and then rest; glibc's allocator keeps what they gave back
/// (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Before anything builds a TLS client: with none installed their builders panic. It fails only where one is
    // installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    binlog_operator::cli::main()
}
