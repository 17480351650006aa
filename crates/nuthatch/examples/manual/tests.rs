//! What is written is what can be typed, and shells and the manual's formatter take it.

use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::Tool;

use super::{COMPLETIONS, PAGES, write_all};

fn written() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write_all(folder.path()).expect("pages");
    folder
}

fn page(folder: &Path, name: &str) -> String {
    let file = folder.join(PAGES).join(format!("{name}.8"));
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// What is shown of a page, in lines of 200 characters.
fn formatted(file: &Path) -> Option<String> {
    let mut groff = Tool::find("groff")?.command();
    groff.args(["-man", "-ww", "-Tascii", "-P-c", "-rLL=200n", "-rHY=0"]);
    let done = groff.arg(file).output().expect("groff runs");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(
        done.status.success() && said.is_empty(),
        "{}: {said}",
        file.display()
    );
    let shown = String::from_utf8_lossy(&done.stdout).into_owned();
    // Bold letters are printed twice.
    let mut plain = String::new();
    for char in shown.chars() {
        match char {
            '\u{8}' => drop(plain.pop()),
            char => plain.push(char),
        }
    }
    Some(plain)
}

#[test]
fn every_page_is_formatted_without_a_warning() {
    let folder = written();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.path().join(PAGES)).expect("pages") {
        let file = entry.expect("a page").path();
        let Some(shown) = formatted(&file) else {
            testkit::skip!("groff is not installed");
        };
        let name = file
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SEE ALSO"] {
            assert!(
                shown.contains(&format!("\n{section}\n")),
                "{name} has no {section}:\n{shown}"
            );
        }
        names.push(name);
    }
    names.sort();
    for name in [
        "nutcracker",
        "nuthatch",
        "nuthatch-check",
        "nuthatch-ctl-drain",
        "nuthatch-ring-diff",
        "nuthatch-schema",
    ] {
        assert!(names.iter().any(|it| it == name), "{name}: {names:?}");
    }
    assert!(
        names
            .iter()
            .all(|name| !name.contains("help") && !name.contains("docs")),
        "{names:?}"
    );
}

#[test]
fn the_page_of_the_program_tells_all_that_its_usage_text_tells() {
    let folder = written();
    let shown = formatted(&folder.path().join(PAGES).join("nuthatch.8"));
    let Some(shown) = shown else {
        testkit::skip!("groff is not installed");
    };
    let usage = nuthatch::cli::parse_in(
        ["nuthatch", "--help"].map(Into::into).into_iter(),
        &|_| None,
        &nuthatch::cli::Layout::new("/nonexistent".as_ref(), "/nonexistent".as_ref()),
    );
    let nuthatch::cli::Invocation::Print(usage) = usage else {
        panic!("a text");
    };
    let mut options = 0;
    for word in usage.text.split([' ', '=', ',', '\n', '\r']) {
        if word.starts_with("--") {
            assert!(shown.contains(word), "{word}:\n{shown}");
            options += 1;
        }
    }
    assert!(options > 25, "{options}");
    for word in [
        "NUTHATCH_WORKERS",
        "SIGHUP",
        "EXIT STATUS",
        "/etc/nutcracker/nutcracker.yml",
        "nuthatch-check(8)",
        "EXAMPLES",
        "nuthatch COMMAND",
    ] {
        assert!(shown.contains(word), "{word}:\n{shown}");
    }
}

#[test]
fn examples_and_statuses_are_sections() {
    let folder = written();
    let check = page(folder.path(), "nuthatch-check");
    let (_, status) = check
        .split_once(".SH \"EXIT STATUS\"\n")
        .expect("a section");
    let (status, examples) = status.split_once(".SH EXAMPLES\n").expect("a section");
    assert!(
        status.contains("denied, 2 if the arguments are wrong."),
        "{check}"
    );
    assert!(
        examples.contains(
            "\nnuthatch check /etc/nutcracker/nutcracker.yml\nnuthatch check \\-\\-deny all"
        ),
        "{check}"
    );
    assert!(
        check.contains("Lints are warnings unless they are denied."),
        "{check}"
    );
}

#[test]
fn bash_completes_commands_and_options() {
    let folder = written();
    let file = folder.path().join(COMPLETIONS).join("nuthatch");
    for (line, expected) in [
        ("nuthatch che", "check"),
        ("nuthatch ctl --control x dra", "drain"),
        ("nuthatch check --den", "--deny"),
        ("nuthatch --max-m", "--max-memory"),
        ("nuthatch ring di", "diff"),
        ("nuthatch --stats-ex", "--stats-extended"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        let script = format!(
            "source '{}'; COMP_WORDS=({line}); COMP_CWORD={}; _nuthatch nuthatch '{last}' '{before}'; echo \"${{COMPREPLY[*]}}\"",
            file.display(),
            words.len() - 1,
        );
        let done = Command::new("bash")
            .args(["-c", &script])
            .output()
            .expect("bash runs");
        let said = String::from_utf8_lossy(&done.stdout);
        assert_eq!(
            said.trim(),
            expected,
            "{line}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
}

#[test]
fn other_shells_get_completions_too() {
    let folder = written();
    for (name, words) in [
        ("_nuthatch", ["#compdef nuthatch", "--deny", "drain"]),
        (
            "nuthatch.fish",
            ["complete -c nuthatch", "-l deny", "drain"],
        ),
    ] {
        let text = fs::read_to_string(folder.path().join(COMPLETIONS).join(name)).expect(name);
        for word in words {
            assert!(text.contains(word), "{name} lacks {word}");
        }
    }
}
