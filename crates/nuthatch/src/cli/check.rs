//! Checks a configuration file: `-t`, and `check`, which also prints a summary.

use std::process::ExitCode;

use super::invocation::{CheckOptions, TestOptions};
use super::output::{print_error, print_result};
use crate::config::{Config, Overrides, load};

/// `-t`: errors and warnings, then nutcracker's verdict as the last line; all on standard error.
pub(super) fn test_conf(options: &TestOptions) -> ExitCode {
    let (text, sound) = verdict(options);
    print_error(&text);
    status(sound)
}

/// `check FILE`.
pub(super) fn check(options: &CheckOptions) -> ExitCode {
    match load(
        &options.conf_file,
        options.overlay.as_deref(),
        &Overrides::default(),
    ) {
        Ok(config) => {
            print_error(&warnings(&config));
            print_result(&summary(options, &config));
            ExitCode::SUCCESS
        }
        Err(report) => {
            let count = report.problems().len();
            let noun = if count == 1 { "problem" } else { "problems" };
            print_error(&format!(
                "{report}{}: {count} {noun}\n",
                options.conf_file.display()
            ));
            ExitCode::FAILURE
        }
    }
}

fn verdict(options: &TestOptions) -> (String, bool) {
    let (mut text, sound) = match load(
        &options.conf_file,
        options.overlay.as_deref(),
        &options.overrides,
    ) {
        Ok(config) => (warnings(&config), true),
        Err(report) => (report.to_string(), false),
    };
    let (program, file) = (options.program.name(), options.conf_file.display());
    let verdict = if sound { "ok" } else { "invalid" };
    text.push_str(&format!(
        "{program}: configuration file '{file}' syntax is {verdict}\n"
    ));
    (text, sound)
}

fn warnings(config: &Config) -> String {
    config
        .warnings
        .iter()
        .map(|warning| format!("{warning}\n"))
        .collect()
}

fn summary(options: &CheckOptions, config: &Config) -> String {
    let mut text = format!("{}: ok\n", options.conf_file.display());
    for pool in &config.pools {
        let (name, listen) = (&pool.settings.name, pool.listen.text());
        let protocol = match pool.settings.protocol {
            proxy::settings::ProtocolSettings::Redis(_) => "redis",
            proxy::settings::ProtocolSettings::Memcached(_) => "memcached",
        };
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
                    nuthatch: configuration file 'does/not/exist.yml' syntax is invalid\n";
        assert_eq!(verdict(&options), (text.into(), false));
    }
}
