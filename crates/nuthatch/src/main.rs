//! The program; see [`nuthatch::cli`].

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// The system's allocator keeps the memory of clients that have left, because live blocks above it pin the
/// free ones. This one returns pages from a thread of its own within a second or two (its settings are in
/// `.cargo/config.toml`).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    nuthatch::cli::main()
}
