//! Every flag: its default, what it accepts, and the error message otherwise.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::{Invocation, Layout, parse_in};
use super::{output, read, read_with, run};
use crate::config::table::{Scope, find};
use crate::config::{Overrides, Workers, load};
use crate::program::Program;

#[test]
fn defaults() {
    let options = run("/usr/sbin/nutcracker");
    assert_eq!(options.program, Program::Nutcracker);
    assert_eq!(
        options.conf_file,
        PathBuf::from("/nonexistent/conf/nutcracker.yml")
    );
    assert_eq!(
        (options.log_file, options.pid_file, options.overlay),
        (None, None, None)
    );
    assert_eq!(
        (options.verbosity, options.daemonize, options.mbuf_size),
        (5, false, 16384)
    );
    assert_eq!(
        (options.stats_addr.as_str(), options.stats_port),
        ("0.0.0.0", 22222)
    );
    assert_eq!(options.stats_interval_ms, 30_000);
}

#[test]
fn every_option_short_and_long() {
    for line in [
        "nuthatch -d -v 11 -o l -c c -s 1 -a ::1 -i 0 -p p -m 512",
        "nuthatch -dv11 -ol -cc -s1 -a::1 -i0 -pp -m512",
        "nuthatch --daemonize --verbose=11 --output=l --conf-file=c --stats-port=1 --stats-addr=::1 \
         --stats-interval=0 --pid-file=p --mbuf-size=512",
        "nuthatch --daem --verb 11 --out l --conf c --stats-p 1 --stats-a ::1 --stats-i 0 --pid p --mbuf 512",
        "nutcracker x -d y -v 3 -v 11 -o k -o l -c c -s 1 -a ::1 -i 0 -p p -m 512 z -- -v 2",
    ] {
        let options = run(&line.replace("         ", ""));
        assert_eq!(
            options.program == Program::Nuthatch,
            line.starts_with("nuthatch")
        );
        assert!(options.daemonize, "{line}");
        assert_eq!((options.verbosity, options.mbuf_size), (11, 512), "{line}");
        assert_eq!(
            (options.stats_addr.as_str(), options.stats_port),
            ("::1", 1),
            "{line}"
        );
        assert_eq!(options.stats_interval_ms, 0, "{line}");
        assert_eq!(options.conf_file, Path::new("c"), "{line}");
        assert_eq!(options.log_file.as_deref(), Some(Path::new("l")), "{line}");
        assert_eq!(options.pid_file.as_deref(), Some(Path::new("p")), "{line}");
    }
}

#[test]
fn lenient_values() {
    assert_eq!(run("nutcracker -v 12345").verbosity, 11);
    assert_eq!(run("nutcracker -v 007").verbosity, 7);
    assert_eq!(run("nutcracker -o ''").log_file, None);
    assert_eq!(
        run("nutcracker -a /run/stats.sock").stats_addr,
        "/run/stats.sock"
    );
    assert_eq!(run("nutcracker -m 16777216").mbuf_size, 16 << 20);
    assert_eq!(run("nutcracker -s 65535").stats_port, 65535);
}

/// nutcracker's error messages; each is followed by the usage text, on standard error, with status 1.
#[test]
fn every_error() {
    for (line, message) in [
        ("-o", "option -o requires a file name"),
        ("-c", "option -c requires a file name"),
        ("-p", "option -p requires a file name"),
        ("--conf-file", "option -c requires a file name"),
        ("--pid", "option -p requires a file name"),
        ("-m", "option -m requires a number"),
        ("-v", "option -v requires a number"),
        ("-s", "option -s requires a number"),
        ("-i", "option -i requires a number"),
        ("--stats-interval", "option -i requires a number"),
        ("-a", "option -a requires a string"),
        ("-v x", "option -v requires a number"),
        ("-v -1", "option -v requires a number"),
        ("-v ''", "option -v requires a number"),
        ("-v 99999999999", "option -v requires a number"),
        ("-s 22x", "option -s requires a number"),
        ("-s 0", "option -s value 0 is not a valid port"),
        ("-s 70000", "option -s value 70000 is not a valid port"),
        ("-i 1.5", "option -i requires a number"),
        ("-m x", "option -m requires a non-zero number"),
        ("-m 0", "option -m requires a non-zero number"),
        (
            "-m 511",
            "mbuf chunk size must be between 512 and 16777216 bytes",
        ),
        (
            "-m 16777217",
            "mbuf chunk size must be between 512 and 16777216 bytes",
        ),
        ("-Z", "invalid option -- 'Z'"),
        ("-?", "invalid option -- '?'"),
        ("-dZ", "invalid option -- 'Z'"),
        ("--help=x", "invalid option -- 'h'"),
        ("--ver", "invalid option -- '--ver'"),
        ("--nope=1", "invalid option -- '--nope'"),
        ("-h -Z", "invalid option -- 'Z'"),
        ("-s 0 -Z", "option -s value 0 is not a valid port"),
    ] {
        let printed = output(&format!("nutcracker {line}"));
        let mut lines = printed.text.splitn(2, '\n');
        assert_eq!(
            lines.next(),
            Some(format!("nutcracker: {message}").as_str()),
            "{line}"
        );
        assert!(
            lines
                .next()
                .is_some_and(|rest| rest.starts_with("Usage: nutcracker ")),
            "{line}"
        );
        assert_eq!((printed.status, printed.to_stdout), (1, false), "{line}");
    }
}

#[test]
fn errors_of_our_own_options() {
    for (line, message) in [
        (
            "--workers=0",
            "option --workers cannot be 0: '0' (expected a number from 1 to 1024, or `auto`)",
        ),
        ("--workers many", "option --workers is not a number: 'many'"),
        ("--workers", "option --workers requires a value"),
        (
            "--shutdown-timeout=5s",
            "option --shutdown-timeout is not a number: '5s'",
        ),
        ("--overlay", "option --overlay requires a file name"),
        (
            "--stats-extended=yes",
            "option --stats-extended is not \"true\" or \"false\": 'yes' (expected `true` or `false`)",
        ),
    ] {
        let text = output(&format!("nuthatch {line}")).text;
        assert!(text.starts_with(&format!("nuthatch: {message}")), "{text}");
    }
}

/// The resulting settings, for a configuration file that sets other values.
fn globals(overrides: &Overrides) -> (Workers, Duration) {
    let temp = tempfile::tempdir().expect("a folder");
    let file = temp.path().join("n.yml");
    let text = "p:\n  listen: 127.0.0.1:1\n  servers: [h:1:1]\nnuthatch:\n  workers: 9\n  shutdown_timeout: 9\n";
    fs::write(&file, text).expect("the file");
    let globals = load(&file, None, overrides).expect("sound").globals;
    (globals.workers, globals.shutdown_timeout)
}

#[test]
fn flags_prevail_over_the_environment_and_that_over_files() {
    let variables = [
        ("NUTHATCH_WORKERS", "3"),
        ("NUTHATCH_SHUTDOWN_TIMEOUT", "33"),
    ];
    let ms = Duration::from_millis;
    for (line, environment, expected) in [
        ("nuthatch", &[][..], (Workers::Count(9), ms(9))),
        ("nuthatch", &variables, (Workers::Count(3), ms(33))),
        ("nutcracker", &variables, (Workers::Count(3), ms(33))),
        (
            "nuthatch --workers=auto",
            &variables,
            (Workers::Auto, ms(33)),
        ),
        (
            "nuthatch --shutdown-timeout 7 --work 2",
            &variables,
            (Workers::Count(2), ms(7)),
        ),
        (
            "nuthatch",
            &[("NUTHATCH_WORKERS", "")],
            (Workers::Count(9), ms(9)),
        ),
    ] {
        let Invocation::Run(options) = read_with(line, environment) else {
            panic!("{line} runs");
        };
        assert_eq!(globals(&options.overrides), expected, "{line}");
    }
}

/// A variable that is set for all programs must not open a port of what replaces nutcracker.
#[test]
fn as_nutcracker_no_variable_and_no_flag_opens_the_admin_port() {
    let admin = find(Scope::Global, "admin").expect("it is known");
    let variable = [("NUTHATCH_ADMIN", "127.0.0.1:22290")];
    for (line, environment, opens) in [
        ("nuthatch", &variable[..], true),
        ("nuthatch --admin=127.0.0.1:22290", &[], true),
        ("nuthatch", &[], false),
        ("nutcracker", &variable, false),
    ] {
        let Invocation::Run(options) = read_with(line, environment) else {
            panic!("{line} runs");
        };
        assert_eq!(options.overrides.has(admin), opens, "{line}");
    }
    let refused = output("nutcracker --admin=127.0.0.1:22290").text;
    assert!(
        refused.starts_with("nutcracker: option --admin is not taken"),
        "{refused}"
    );
}

#[test]
fn a_bad_variable_is_named() {
    let bad = [("NUTHATCH_WORKERS", "lots")];
    let Invocation::Print(printed) = read_with("nuthatch", &bad) else {
        panic!("an error");
    };
    let message = "nuthatch: environment variable NUTHATCH_WORKERS is not a number: 'lots'";
    assert!(printed.text.starts_with(message), "{}", printed.text);
    assert_eq!(printed.status, 1);
    // A flag overrides it, and help is always printed.
    assert!(matches!(
        read_with("nuthatch --workers 2", &bad),
        Invocation::Run(_)
    ));
    assert!(
        matches!(read_with("nuthatch -h", &bad), Invocation::Print(output) if output.status == 0)
    );
}

#[test]
fn test_conf_takes_the_file_and_the_overlay() {
    for line in [
        "nutcracker -t -c f --overlay o",
        "nutcracker -d --test-conf --conf=f --over=o",
    ] {
        let Invocation::TestConf(options) = read(line) else {
            panic!("{line} tests");
        };
        assert_eq!(options.conf_file, Path::new("f"));
        assert_eq!(options.overlay.as_deref(), Some(Path::new("o")));
    }
}

/// Debian's service starts the program without options, and its init script with `-d`.
#[test]
fn debians_files_are_used_where_debian_would() {
    let temp = tempfile::tempdir().expect("a folder");
    let root = temp.path();
    for folder in ["etc/nutcracker", "var/log/nutcracker", "run/nutcracker"] {
        fs::create_dir_all(root.join(folder)).expect("the folder");
    }
    fs::write(root.join("etc/nutcracker/nutcracker.yml"), "").expect("the file");
    let layout = Layout::new(root, &root.join("work"));
    let run = |line: &str| match parse_in(line.split(' ').map(Into::into), &|_| None, &layout) {
        Invocation::Run(options) => (options.conf_file, options.log_file, options.pid_file),
        other => panic!("{other:?}"),
    };
    let conf = root.join("etc/nutcracker/nutcracker.yml");
    let log = Some(root.join("var/log/nutcracker/nutcracker.log"));
    let pid = Some(root.join("run/nutcracker/nutcracker.pid"));
    assert_eq!(
        run("/usr/sbin/nutcracker"),
        (conf.clone(), log.clone(), None)
    );
    assert_eq!(run("/usr/sbin/nutcracker -d"), (conf.clone(), log, pid));
    assert_eq!(
        run("/usr/sbin/nutcracker -o l -p p"),
        (conf, Some("l".into()), Some("p".into()))
    );
    assert_eq!(
        run("/usr/sbin/nutcracker -d -c f"),
        ("f".into(), None, None)
    );
}
