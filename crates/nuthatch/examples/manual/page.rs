//! One manual page. What a command's help says behind its options is divided into sections here.

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// The section of the manual: programs of the system's administrator.
const SECTION: &str = "8";

/// Beginnings of paragraphs in a help text that become sections of the page, in the order of the page.
const SECTIONS: [(&str, &str); 5] = [
    ("Signals:", "SIGNALS"),
    ("Files:", "FILES"),
    ("Exit status:", "EXIT STATUS"),
    ("Examples:", "EXAMPLES"),
    ("Example:", "EXAMPLES"),
];

/// The name of a page's file.
pub(crate) fn file_name(command: &Command) -> String {
    format!("{}.{SECTION}", name(command))
}

/// The page of a command.
pub(crate) fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone())
        .title(name(command).to_uppercase())
        .section(SECTION)
        .source(format!("nuthatch {}", env!("CARGO_PKG_VERSION")))
        .manual("Nuthatch");
    let help = command.get_after_help().map(ToString::to_string);
    let (sections, notes) = divided(help.as_deref().unwrap_or_default());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    paragraphs(&notes).to_writer(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|it| !it.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    for (title, text) in sections {
        let mut roff = Roff::new();
        roff.control("SH", [title]);
        roff.to_writer(&mut page)?;
        paragraphs(&[text]).to_writer(&mut page)?;
    }
    see_also(command).to_writer(&mut page)?;
    Ok(page)
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}

/// The paragraphs of a help text that are sections of the page, and the others.
fn divided(help: &str) -> (Vec<(&'static str, String)>, Vec<String>) {
    let mut notes: Vec<String> = help.split("\n\n").map(str::to_owned).collect();
    notes.retain(|note| !note.is_empty());
    let mut sections = Vec::new();
    for (beginning, title) in SECTIONS {
        let is_of = |note: &String| note.starts_with(beginning);
        let found: Vec<String> = notes.iter().filter(|note| is_of(note)).cloned().collect();
        notes.retain(|note| !is_of(note));
        for text in found {
            let text = text[beginning.len()..].trim_start_matches([' ', '\n']);
            // The first line of an example has lost its indentation with the line end before it.
            let text = match title {
                "EXAMPLES" => format!("  {text}"),
                _ => text.to_owned(),
            };
            sections.push((title, text));
        }
    }
    (sections, notes)
}

/// Text; indented lines stay as they are.
fn paragraphs(texts: &[String]) -> Roff {
    let mut roff = Roff::new();
    for text in texts {
        roff.control("PP", []);
        let mut is_literal = false;
        for line in text.lines() {
            let indented = line.strip_prefix("  ");
            if indented.is_some() != is_literal {
                let [first, second] = if is_literal {
                    ["fi", "RE"]
                } else {
                    ["RS", "nf"]
                };
                roff.control(first, []).control(second, []);
                is_literal = !is_literal;
            }
            roff.text([roman(indented.unwrap_or(line))]);
        }
        if is_literal {
            roff.control("fi", []).control("RE", []);
        }
    }
    roff
}

fn see_also(command: &Command) -> Roff {
    let mut roff = Roff::new();
    let name = name(command);
    let above = name.rsplit_once('-').map(|(above, _)| above);
    let others = match name {
        "nuthatch" => vec!["nutcracker"],
        "nutcracker" => vec!["nuthatch"],
        _ => above.into_iter().collect(),
    };
    roff.control("SH", ["SEE ALSO"]);
    for other in others {
        roff.text([bold(other), roman(format!("({SECTION})"))]);
    }
    roff
}
