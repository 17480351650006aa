//! The program; see [`nuthatch::cli`].

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// The system's allocator keeps what a client that left had taken: blocks that live on pin the free
/// ones below them. This one gives pages back from a thread of its own, within a second or two (its
/// settings are in `.cargo/config.toml`).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    nuthatch::cli::main()
}
