//! What the sections of both clients use.

use std::env;
use std::error::Error;
use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::TcpStream;

/// What a section returns.
pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// Prints how a section ended.
pub(crate) fn report(name: &str, outcome: Outcome) {
    match outcome {
        Ok(()) => println!("{name} ok"),
        Err(error) => {
            let text = error.to_string();
            let words: Vec<&str> = text.split_whitespace().collect();
            let line: String = words.join(" ").chars().take(300).collect();
            println!("{name} FAILED: {line}");
        }
    }
}

pub(crate) fn expect<T: Debug + PartialEq>(got: T, wanted: T) -> Outcome {
    match got == wanted {
        true => Ok(()),
        false => Err(format!("{got:.120?}, not {wanted:.120?}").into()),
    }
}

/// The port in a variable.
pub(crate) fn port(variable: &str) -> Result<u16, Box<dyn Error>> {
    Ok(env::var(variable)?.parse()?)
}

/// `cut` closes every connection, `count` tells how many there were.
pub(crate) fn order(word: &str) -> Result<usize, Box<dyn Error>> {
    let mut control = TcpStream::connect(("127.0.0.1", port("CONTROL")?))?;
    writeln!(control, "{word}")?;
    let mut answer = String::new();
    control.read_to_string(&mut answer)?;
    Ok(answer.trim().parse()?)
}

/// The version of a dependency, from the lock file.
pub(crate) fn version(name: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let package = format!("name = \"{name}\"\nversion = \"");
    let rest = lock.split(&package).nth(1).unwrap_or("unknown\"");
    rest.split('"').next().unwrap_or("unknown")
}
