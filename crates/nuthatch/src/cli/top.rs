//! `top`: the running proxy at work, in the terminal or as one table.

mod app;
mod columns;
mod figures;
mod poller;
mod screen;
mod snapshot;
mod table;
mod width;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use super::ctl::{find_socket, no_answer};
use super::invocation::TopOptions;
use super::output::{fail, print_result};
use crate::net::error_text;
use app::App;
use figures::Sight;
use poller::{EVERY, ask};
use table::Order;

pub(super) use columns::SortKey;

/// Shows the proxy until the user has seen enough; without a terminal, or if one table was asked for, prints that.
pub(super) fn top(options: &TopOptions) -> ExitCode {
    let TopOptions {
        socket,
        conf_file,
        overlay,
        ..
    } = options;
    let socket = match find_socket(socket.as_deref(), conf_file, overlay.as_deref()) {
        Ok(socket) => socket,
        Err(reason) => return fail(&reason),
    };
    let order = Order {
        key: options.sort,
        is_reversed: false,
        filter: options.pool.clone().unwrap_or_default(),
    };
    match options.once || !is_for_people() {
        true => print_once(&socket, &order),
        false => watch(&socket, order),
    }
}

/// Whether there is a terminal that can show and ask.
fn is_for_people() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    io::stdout().is_terminal() && io::stdin().is_terminal() && !is_dumb
}

/// Rates are those of a second, so it takes that long.
fn print_once(socket: &Path, order: &Order) -> ExitCode {
    let ask = || ask(socket).map_err(|reason| no_answer(socket, &reason));
    let sight = ask().and_then(|before| {
        thread::sleep(EVERY);
        Ok(Sight::new(ask()?, Some(&before)))
    });
    match sight {
        Ok(sight) => {
            print_result(&table::text(&sight, order));
            ExitCode::SUCCESS
        }
        Err(reason) => fail(&reason),
    }
}

fn watch(socket: &Path, order: Order) -> ExitCode {
    // If it cannot be reached, that is said where it can be read.
    let first = match ask(socket) {
        Ok(first) => first,
        Err(reason) => return fail(&no_answer(socket, &reason)),
    };
    match screen::run(App::new(first, order), socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!(
            "the terminal cannot be used: {}",
            error_text(&error)
        )),
    }
}
