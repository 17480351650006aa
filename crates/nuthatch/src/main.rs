//! The program; see [`nuthatch::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    nuthatch::cli::main()
}
