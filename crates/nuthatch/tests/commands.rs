//! The commands as a user runs them: standard input, exit statuses, and what goes where.

#![expect(
    clippy::unwrap_used,
    reason = "a command that cannot be run fails the test"
)]

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const CRC32: &str = "\
p:
  listen: 127.0.0.1:1
  hash: crc32
  timeout: 400
  servers:
    - 127.0.0.1:11:1 one
    - 127.0.0.1:12:1 two
";

/// Runs `nuthatch` with standard input.
fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nuthatch"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Status, standard output and standard error.
fn ran(arguments: &[&str], input: &str) -> (i32, String, String) {
    let output = run(arguments, input);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn lints_are_warnings_until_they_are_denied() {
    let (status, out, err) = ran(&["check", "-"], CRC32);
    assert_eq!(status, 0, "{err}");
    assert!(out.starts_with("<stdin>: ok\n"), "{out}");
    let first =
        "<stdin>:3:3: warning[crc32-with-ketama]: pool `p`: `crc32` has 32768 values, and `";
    assert!(err.starts_with(first) && !err.contains('\x1b'), "{err}");
    let (status, out, err) = ran(&["check", "--deny", "crc32-with-ketama", "-"], CRC32);
    assert_eq!((status, &out[..]), (1, ""));
    assert!(err.starts_with(&first.replace("warning", "error")), "{err}");
    assert!(err.ends_with("<stdin>: 1 lint denied\n"), "{err}");
    assert_eq!(ran(&["check", "--deny", "no-timeout", "-"], CRC32).0, 0);
    assert_eq!(ran(&["check", "--deny", "all", "-"], CRC32).0, 1);
    assert_eq!(ran(&["check", "--deny", "crc", "-"], CRC32).0, 2);
}

#[test]
fn check_prints_json_whatever_it_finds() {
    let (status, out, err) = ran(&["check", "--json", "-"], CRC32);
    assert_eq!((status, &err[..]), (0, ""));
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&value["ok"], &value["pools"][0]["servers"]),
        (&true.into(), &2.into())
    );
    let lint = &value["lints"][0];
    assert_eq!(
        (&lint["lint"], &lint["pool"]),
        (&"crc32-with-ketama".into(), &"p".into())
    );
    assert_eq!((&lint["line"], &lint["column"]), (&3.into(), &3.into()));
    let (status, out, _) = ran(&["check", "--json", "--deny", "all", "-"], CRC32);
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (status, &value["ok"], &value["lints"][0]["denied"]),
        (1, &false.into(), &true.into())
    );
    let (status, out, _) = ran(&["check", "--json", "-"], &CRC32.replace("crc32", "crc"));
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (status, &value["ok"], &value["problems"][0]["line"]),
        (1, &false.into(), &3.into())
    );
}

/// What `-t` says is nutcracker's, and scripts read it.
#[test]
fn the_classic_check_knows_no_lints() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("n.yml");
    let config = CRC32
        .replace("  hash: crc32\n", "")
        .replace("  timeout: 400\n", "");
    fs::write(&file, config).unwrap();
    let file = file.to_str().unwrap();
    let (status, out, err) = ran(&["-t", "-c", file], "");
    let expected = format!("nuthatch: configuration file '{file}' syntax is ok\n");
    assert_eq!((status, &out[..], &err), (0, "", &expected));
    assert!(ran(&["check", file], "").2.contains("warning[no-timeout]"));
}

#[test]
fn ring_diff_ends_as_its_help_says() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("n.yml");
    fs::write(&file, CRC32.replace("crc32", "crc32a")).unwrap();
    let file = file.to_str().unwrap();
    let more = CRC32.replace("crc32", "crc32a") + "    - 127.0.0.1:13:1 three\n";
    let (status, out, err) = ran(&["ring", "diff", file, "-"], &more);
    assert_eq!((status, &err[..]), (0, ""));
    assert!(
        out.starts_with("pool p: 3") && out.contains("% of the keys move\n"),
        "{out}"
    );
    assert_eq!(
        ran(&["ring", "diff", file, "-", "--max-move", "20"], &more).0,
        3
    );
    assert_eq!(
        ran(&["ring", "diff", file, "-", "--max-move", "60"], &more).0,
        0
    );
    assert_eq!(
        ran(
            &["ring", "diff", file, file, "--max-move", "0", "--keys", "-"],
            "a\nb\n"
        )
        .0,
        0
    );
    let (status, out, err) = ran(&["ring", "diff", file, "-"], "p:\n");
    assert_eq!((status, &out[..]), (1, ""));
    assert!(err.starts_with("<stdin>:1:1: `p` has no settings"), "{err}");
    assert_eq!(ran(&["ring", "diff", "/nonexistent", file], "").0, 1);
    assert_eq!(ran(&["ring", "diff", file], "").0, 2);
}

/// Programs read that text, and compare it.
#[test]
fn called_as_nutcracker_it_prints_nutcrackers_usage_text_byte_for_byte() {
    use std::os::unix::process::CommandExt;
    let help = include_bytes!("../src/cli/tests/files/help.txt");
    let mut command = Command::new(env!("CARGO_BIN_EXE_nuthatch"));
    let output = command.arg0("nutcracker").arg("-h").output().unwrap();
    assert_eq!(output.stderr, help);
}
