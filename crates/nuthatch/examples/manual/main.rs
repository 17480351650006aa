//! Writes the manual pages and the shells' completions, made from the definition of the command line (`cargo xtask manual`).
//! An example, so that what makes them is not part of the program.

mod page;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;

/// The folder of the manual pages.
const PAGES: &str = "man8";

/// The folder of the completions.
const COMPLETIONS: &str = "completions";

/// Shells, and the names under which they look for completions.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "nuthatch"),
    (Shell::Zsh, "_nuthatch"),
    (Shell::Fish, "nuthatch.fish"),
];

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder] = arguments.as_slice() else {
        eprintln!("Usage: manual FOLDER");
        return ExitCode::from(2);
    };
    match write_all(folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("manual: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write_all(folder: &Path) -> io::Result<()> {
    let (pages, completions) = (folder.join(PAGES), folder.join(COMPLETIONS));
    for folder in [&pages, &completions] {
        fs::create_dir_all(folder)?;
    }
    let commands = [nuthatch::cli::reference(), nuthatch::cli::as_nutcracker()];
    for command in commands.into_iter().flat_map(with_subcommands) {
        fs::write(pages.join(page::file_name(&command)), page::page(&command)?)?;
    }
    for (shell, name) in SHELLS {
        let mut text = Vec::new();
        clap_complete::generate(
            shell,
            &mut nuthatch::cli::reference(),
            "nuthatch",
            &mut text,
        );
        fs::write(completions.join(name), text)?;
    }
    Ok(())
}

/// A command, and all below it that are listed.
fn with_subcommands(command: Command) -> Vec<Command> {
    // The command `help` would have the whole tree below it again.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut all = Vec::new();
    collect(command, &mut all);
    all
}

fn collect(command: Command, all: &mut Vec<Command>) {
    let listed = command.get_subcommands().filter(|it| !it.is_hide_set());
    let below: Vec<Command> = listed.cloned().collect();
    all.push(command);
    for command in below {
        collect(command, all);
    }
}
