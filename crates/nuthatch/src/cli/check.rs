//! Checks a configuration file: `-t`, and `check`, which also looks for lints and prints a summary.

mod json;

use std::path::Path;
use std::process::ExitCode;

use super::invocation::{CheckOptions, TestOptions};
use super::output::{print_coloured, print_error, print_json, print_result};
use crate::config::lints::Finding;
use crate::config::{Config, Report, load, load_for_check, shown_name};
use crate::descriptors::highest_limit;

/// Maximum number of findings shown; the others are only counted. JSON has all of them.
const SHOWN: usize = 100;

/// `-t`: errors and warnings, then nutcracker's verdict as the last line; all on standard error.
pub(super) fn test_conf(options: &TestOptions) -> ExitCode {
    let (text, sound) = verdict(options);
    print_error(&text);
    status(sound)
}

/// `check FILE`.
pub(super) fn check(options: &CheckOptions) -> ExitCode {
    let (file, overlay) = (options.conf_file.as_path(), options.overlay.as_deref());
    match load_for_check(file, overlay, highest_limit()) {
        Ok((config, findings)) => {
            let is_denied = |finding: &Finding| options.denies(finding.lint);
            let sound = !findings.iter().any(is_denied);
            if options.json {
                print_json(&json::sound(options, &config, &findings));
                return status(sound);
            }
            print_coloured(&lints(options, &findings));
            match sound {
                true => print_result(&summary(options, &config)),
                false => print_error(&denied(
                    options,
                    findings.iter().filter(|it| is_denied(it)).count(),
                )),
            }
            status(sound)
        }
        Err(report) if options.json => {
            print_json(&json::refused(options, &report));
            ExitCode::FAILURE
        }
        Err(report) => {
            print_error(&format!("{report}{}", counts(options, &report)));
            ExitCode::FAILURE
        }
    }
}

/// What the lints found, each with its place. The number is bounded, as that of a report is.
fn lints(options: &CheckOptions, findings: &[Finding]) -> String {
    let label = |finding: &Finding| match options.denies(finding.lint) {
        true => "error",
        false => "warning",
    };
    let shown = findings.iter().take(SHOWN);
    let mut text: String = shown.map(|it| it.shown(label(it)).to_string()).collect();
    if let Some(hidden) = findings
        .len()
        .checked_sub(SHOWN)
        .filter(|hidden| *hidden > 0)
    {
        text.push_str(&format!("... and {hidden} more warnings\n"));
    }
    text
}

fn denied(options: &CheckOptions, count: usize) -> String {
    let noun = if count == 1 { "lint" } else { "lints" };
    let file = shown_name(&options.conf_file);
    format!("{file}: {count} {noun} denied\n")
}

/// How many problems there are in each file. What stands in neither counts for the configuration file.
fn counts(options: &CheckOptions, report: &Report) -> String {
    let overlay = options.overlay.as_deref();
    let in_overlay = overlay.map_or(0, |overlay| report.count_in(overlay));
    let others = report.problems().len() - in_overlay;
    let line = |(file, count): (&Path, usize)| {
        let noun = if count == 1 { "problem" } else { "problems" };
        format!("{}: {count} {noun}\n", shown_name(file))
    };
    let files = [(options.conf_file.as_path(), others)].into_iter();
    let files = files.chain(overlay.map(|overlay| (overlay, in_overlay)));
    files.filter(|(_, count)| *count > 0).map(line).collect()
}

fn verdict(options: &TestOptions) -> (String, bool) {
    let (file, overlay) = (options.conf_file.as_path(), options.overlay.as_deref());
    let (text, verdict, sound) = match load(file, overlay, &options.overrides) {
        Ok(config) => {
            let verdict = format!("configuration file '{}' syntax is ok", file.display());
            (warnings(&config), verdict, true)
        }
        Err(report) => (report.to_string(), report.verdict(file, overlay), false),
    };
    let program = options.program.name();
    (format!("{text}{program}: {verdict}\n"), sound)
}

fn warnings(config: &Config) -> String {
    config
        .warnings
        .iter()
        .map(|warning| format!("{warning}\n"))
        .collect()
}

fn summary(options: &CheckOptions, config: &Config) -> String {
    let mut text = format!("{}: ok\n", shown_name(&options.conf_file));
    for pool in &config.pools {
        let (name, listen) = (&pool.settings.name, pool.listen.text());
        let protocol = pool.protocol();
        let count = pool.settings.servers.len();
        let servers = if count == 1 { "server" } else { "servers" };
        text.push_str(&format!(
            "  pool {name}: {protocol}, {count} {servers}, listens on {listen}\n"
        ));
    }
    text
}

fn status(sound: bool) -> ExitCode {
    if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Overrides;
    use crate::program::Program;

    fn test_text(text: &str) -> (String, bool) {
        let temp = tempfile::tempdir().expect("a folder");
        let conf_file = temp.path().join("n.yml");
        fs::write(&conf_file, text).expect("the file");
        let options = TestOptions {
            program: Program::Nutcracker,
            conf_file,
            overlay: None,
            overrides: Overrides::default(),
        };
        let (text, sound) = verdict(&options);
        (text.replace(&*temp.path().to_string_lossy(), "DIR"), sound)
    }

    #[test]
    fn a_sound_file_gets_one_line() {
        let (text, sound) = test_text("a:\n  listen: 127.0.0.1:1\n  servers:\n   - h:1:1\n");
        assert!(sound);
        assert_eq!(
            text,
            "nutcracker: configuration file 'DIR/n.yml' syntax is ok\n"
        );
    }

    #[test]
    fn reasons_come_before_the_verdict() {
        let (text, sound) = test_text("a:\n  listen: 127.0.0.1:0\n  servers:\n   - h:1\n");
        assert!(!sound);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines
                .iter()
                .filter(|line| line.starts_with("DIR/n.yml:"))
                .count(),
            2,
            "{text}"
        );
        assert_eq!(
            lines.last(),
            Some(&"nutcracker: configuration file 'DIR/n.yml' syntax is invalid")
        );
        assert_eq!(text.matches("syntax is").count(), 1);
    }

    #[test]
    fn a_missing_file_is_named_once() {
        let options = TestOptions {
            program: Program::Nuthatch,
            conf_file: "does/not/exist.yml".into(),
            overlay: None,
            overrides: Overrides::default(),
        };
        let text = "failed to open configuration 'does/not/exist.yml': No such file or directory\n\
                    nuthatch: configuration file 'does/not/exist.yml' cannot be read\n";
        assert_eq!(verdict(&options), (text.into(), false));
    }

    #[test]
    fn problems_of_an_overlay_are_summed_up_under_its_name() {
        let temp = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let file = temp.path().join(name);
            fs::write(&file, text).expect("the file");
            file
        };
        let sound = "a:\n  listen: 127.0.0.1:1\n  servers:\n   - h:1:1\n";
        let faulty = "a:\n  probe: 1\n  hash: x\n";
        let overlay = file("o.yml", faulty);
        let said = |conf_file: &Path, overlay: &Path| {
            let check = CheckOptions {
                conf_file: conf_file.to_owned(),
                overlay: Some(overlay.to_owned()),
                deny: Vec::new(),
                json: false,
            };
            let report = load(conf_file, Some(overlay), &Overrides::default());
            let report = report.expect_err("problems");
            let verdict = report.verdict(conf_file, Some(overlay));
            let text = format!("{verdict}\n{}", counts(&check, &report));
            text.replace(&format!("{}/", temp.path().display()), "")
        };
        let conf = file("n.yml", sound);
        let text = "overlay 'o.yml' syntax is invalid\no.yml: 2 problems\n";
        assert_eq!(said(&conf, &overlay), text);
        let missing = temp.path().join("none");
        let text = "overlay 'none' cannot be read\nnone: 1 problem\n";
        assert_eq!(said(&conf, &missing), text);
        let conf = file("n.yml", &sound.replace("h:1:1", "h:1:0"));
        let text =
            "configuration file 'n.yml' syntax is invalid\nn.yml: 1 problem\no.yml: 2 problems\n";
        assert_eq!(said(&conf, &overlay), text);
    }
}
