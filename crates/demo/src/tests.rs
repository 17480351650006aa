//! The tour with nutcracker as the proxy: what the demo shows is true of nutcracker too.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::narrator::Narrator;
use crate::setup::{Program, Setup};
use crate::tour;

#[test]
fn nutcracker_passes_the_same_tour() {
    let Some(nutcracker) = testkit::Tool::find("nutcracker") else {
        testkit::skip!("nutcracker is not installed");
    };
    // Debian's build logs to a system file unless given the empty name. nutcracker's statistics are as old as
    // its interval.
    let program = program(nutcracker.path(), &["-o", "", "-i", "100"]);
    let mut narrator = Narrator::new(std::io::sink(), Arc::new(AtomicBool::new(false)));
    let mut setup = Setup::build(&program, &mut narrator).unwrap();
    tour::run(&mut setup, &mut narrator).unwrap();
    narrator.verdict().unwrap();
}

#[test]
fn a_proxy_that_does_not_start_is_reported_with_its_last_words() {
    let program = program(Path::new("/bin/sh"), &["-c", "echo no such luck; exit 3"]);
    let mut narrator = Narrator::new(std::io::sink(), Arc::new(AtomicBool::new(false)));
    let failure = Setup::build(&program, &mut narrator).err().unwrap();
    let text = format!("{failure:?}");
    assert!(text.contains("the proxy has ended"), "{text}");
}

fn program(path: &Path, arguments: &[&str]) -> Program {
    Program {
        path: path.to_path_buf(),
        arguments: arguments.iter().map(ToString::to_string).collect(),
        has_admin: false,
    }
}
