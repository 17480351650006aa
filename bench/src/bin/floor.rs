//! A minimal server for the load generator and redis-benchmark: `floor PORT`; see [`nuthatch_bench::floor`].

use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;

use nuthatch_bench::floor;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let port = words.next().and_then(|word| word.parse::<u16>().ok());
    let (Some(port), None) = (port, words.next()) else {
        eprintln!("Usage: floor PORT");
        return ExitCode::from(2);
    };
    let served =
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| floor::serve(&listener));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}
