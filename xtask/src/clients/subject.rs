//! The client libraries and applications, and what runs each.

use std::path::PathBuf;
use std::process::Command;

use crate::run::{at_root, is_installed, root, run};

/// What a script speaks, and so which servers it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Redis,
    Memcached,
}

impl Protocol {
    pub(super) fn server(self) -> &'static str {
        match self {
            Protocol::Redis => "redis-server",
            Protocol::Memcached => "memcached",
        }
    }
}

/// Whether it is a library with sections, or an application with jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Client,
    Application,
}

/// What runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// The libraries of requirements.txt, or with `--full` those of full/requirements.txt.
    Python,
    /// The libraries of full/requirements-arq.txt.
    PythonArq,
    /// The libraries of package.json, or with `--full` those of full/package.json.
    Node,
    /// Debian's PHP with this extension.
    Php(&'static str),
    /// Debian's Ruby with this library.
    Ruby(&'static str),
    /// A C program, linked with this library.
    C(&'static str),
    /// The package in tests/clients/rust, which is given the name of one of its clients.
    Rust(&'static str),
    /// A script of the shell that uses this program.
    Shell(&'static str),
}

/// A client library or an application.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) protocol: Protocol,
    pub(super) language: Language,
    /// Its file below `tests`.
    pub(super) script: &'static str,
    /// What the variable VARIANT tells the script, for instance the version of RESP.
    pub(super) variant: &'static str,
    /// More lines of the configuration before three servers.
    pub(super) settings: &'static [&'static str],
    /// Whether it runs without `--full`.
    pub(super) smoke: bool,
}

const fn redis(name: &'static str, language: Language, script: &'static str) -> Subject {
    Subject {
        name,
        kind: Kind::Client,
        protocol: Protocol::Redis,
        language,
        script,
        variant: "",
        settings: &[],
        smoke: false,
    }
}

const fn memcached(name: &'static str, language: Language, script: &'static str) -> Subject {
    let subject = redis(name, language, script);
    Subject {
        protocol: Protocol::Memcached,
        ..subject
    }
}

const fn application(name: &'static str, language: Language, script: &'static str) -> Subject {
    let subject = redis(name, language, script);
    Subject {
        kind: Kind::Application,
        ..subject
    }
}

impl Subject {
    const fn variant(self, variant: &'static str) -> Subject {
        Subject { variant, ..self }
    }

    const fn on_memcached(self) -> Subject {
        Subject {
            protocol: Protocol::Memcached,
            ..self
        }
    }

    const fn with(self, settings: &'static [&'static str]) -> Subject {
        Subject { settings, ..self }
    }

    const fn in_smoke(self) -> Subject {
        Subject {
            smoke: true,
            ..self
        }
    }
}

/// All of them, in the order of the table.
pub(super) const SUBJECTS: &[Subject] = &[
    redis(
        "redis-py (RESP2)",
        Language::Python,
        "clients/matrix/redis_py.py",
    )
    .variant("2")
    .in_smoke(),
    redis(
        "redis-py (RESP3)",
        Language::Python,
        "clients/matrix/redis_py.py",
    )
    .variant("3")
    .in_smoke(),
    redis("valkey-py", Language::Python, "clients/matrix/redis_py.py").variant("valkey"),
    redis(
        "valkey-glide",
        Language::Python,
        "clients/matrix/valkey_glide.py",
    ),
    redis(
        "coredis",
        Language::Python,
        "clients/matrix/coredis_sections.py",
    ),
    redis("ioredis", Language::Node, "clients/matrix/ioredis.cjs").in_smoke(),
    redis("iovalkey", Language::Node, "clients/matrix/ioredis.cjs").variant("iovalkey"),
    redis(
        "node-redis",
        Language::Node,
        "clients/matrix/node_redis.cjs",
    )
    .in_smoke(),
    redis(
        "redis-rs",
        Language::Rust("redis-rs"),
        "clients/rust/src/redis_rs.rs",
    ),
    redis(
        "fred",
        Language::Rust("fred"),
        "clients/rust/src/fred_sections.rs",
    ),
    redis(
        "hiredis",
        Language::C("hiredis"),
        "clients/matrix/hiredis.c",
    ),
    redis(
        "php-redis",
        Language::Php("redis"),
        "clients/matrix/php_redis.php",
    ),
    redis(
        "ruby-redis",
        Language::Ruby("redis"),
        "clients/matrix/ruby_redis.rb",
    ),
    memcached(
        "pymemcache",
        Language::Python,
        "clients/matrix/pymemcache_sections.py",
    )
    .in_smoke(),
    memcached(
        "pylibmc",
        Language::Python,
        "clients/matrix/pylibmc_sections.py",
    )
    .variant("pylibmc"),
    memcached(
        "python-memcached",
        Language::Python,
        "clients/matrix/pylibmc_sections.py",
    )
    .variant("python-memcached"),
    memcached(
        "aiomcache",
        Language::Python,
        "clients/matrix/aiomcache_sections.py",
    ),
    memcached(
        "memcached of npm",
        Language::Node,
        "clients/matrix/memcached.cjs",
    ),
    memcached(
        "php-memcached",
        Language::Php("memcached"),
        "clients/matrix/php_memcached.php",
    ),
    memcached(
        "libmemcached",
        Language::Shell("memccapable"),
        "clients/matrix/libmemcached.sh",
    )
    .with(&["allow_flush: true"])
    .in_smoke(),
    application("Celery", Language::Python, "applications/celery_program.py").in_smoke(),
    application("RQ", Language::Python, "applications/rq_jobs.py"),
    application("huey", Language::Python, "applications/huey_tasks.py"),
    application(
        "dramatiq",
        Language::Python,
        "applications/dramatiq_actors.py",
    ),
    application("arq", Language::PythonArq, "applications/arq_jobs.py"),
    application("BullMQ", Language::Node, "applications/bullmq_jobs.cjs").in_smoke(),
    application(
        "Django cache",
        Language::Python,
        "applications/django_cache.py",
    )
    .variant("redis")
    .with(&["transactions: per_shard", "allow_flush: true"]),
    application(
        "django-redis",
        Language::Python,
        "applications/django_cache.py",
    )
    .variant("django-redis")
    .with(&["transactions: per_shard", "allow_flush: true"]),
    application(
        "Django on pymemcache",
        Language::Python,
        "applications/django_cache.py",
    )
    .variant("pymemcache")
    .on_memcached()
    .with(&["allow_flush: true"]),
    application(
        "Django on pylibmc",
        Language::Python,
        "applications/django_cache.py",
    )
    .variant("pylibmc")
    .on_memcached()
    .with(&["allow_flush: true"]),
    application(
        "Flask-Caching",
        Language::Python,
        "applications/flask_cache.py",
    )
    .variant("RedisCache")
    .with(&["transactions: per_shard"]),
    application(
        "Flask-Caching on memcached",
        Language::Python,
        "applications/flask_cache.py",
    )
    .variant("MemcachedCache")
    .on_memcached(),
    application(
        "PHP sessions",
        Language::Php("redis"),
        "applications/php_sessions.php",
    )
    .variant("redis"),
    application(
        "PHP sessions on memcached",
        Language::Php("memcached"),
        "applications/php_sessions.php",
    )
    .variant("memcached")
    .on_memcached(),
    application("limits", Language::Python, "applications/limits_rates.py").variant("redis"),
    application(
        "limits on memcached",
        Language::Python,
        "applications/limits_rates.py",
    )
    .variant("memcached")
    .on_memcached(),
    application(
        "rate-limiter-flexible",
        Language::Node,
        "applications/rate_limiter_flexible.cjs",
    )
    .variant("redis"),
    application(
        "rate-limiter-flexible on memcached",
        Language::Node,
        "applications/rate_limiter_flexible.cjs",
    )
    .variant("memcached")
    .on_memcached(),
    application(
        "redis-cli",
        Language::Shell("redis-cli"),
        "applications/redis_cli.sh",
    )
    .in_smoke(),
];

/// What is not run anywhere, and why.
pub(super) const NOT_RUN: &[(&str, &str)] = &[
    (
        "go-redis, rueidis, valkey-go and other clients in Go",
        "Go is not among the languages of the test machines",
    ),
    ("dalli 5", "Debian packages dalli 3.0"),
    (
        "Jedis, Lettuce and other clients on the JVM, StackExchange.Redis",
        "their languages are not among those of the test machines",
    ),
];

impl Subject {
    /// A command that runs the script.
    ///
    /// # Errors
    ///
    /// What is missing on this machine.
    pub(super) fn command(&self, full: bool) -> Result<Command, String> {
        let script = root().join("tests").join(self.script);
        let mut command = match self.language {
            Language::Python if full => python("py-full")?,
            Language::Python => python("py")?,
            Language::PythonArq => python("py-arq")?,
            Language::Node if full => node("node-full")?,
            Language::Node => node("node")?,
            Language::Php(extension) => php(extension)?,
            Language::Ruby(library) => ruby(library)?,
            Language::C(library) => return compiled(&script, library),
            Language::Rust(client) => return cargo_built(client),
            Language::Shell(program) => shell(program)?,
        };
        command.arg(script);
        Ok(command)
    }
}

fn installed(name: &str, program: PathBuf) -> Result<PathBuf, String> {
    let missing =
        format!("target/clients/{name} is missing: `cargo xtask setup`, or its failure above");
    program.exists().then_some(program).ok_or(missing)
}

fn clients(name: &str) -> PathBuf {
    root().join("target/clients").join(name)
}

fn python(name: &str) -> Result<Command, String> {
    let program = installed(name, clients(name).join("bin/python"))?;
    let mut command = Command::new(program);
    // No files beside the scripts; output as it is printed, as it may be killed.
    command.args(["-B", "-u"]);
    command.env("PYTHONPATH", root().join("tests/clients/matrix"));
    Ok(command)
}

fn node(name: &str) -> Result<Command, String> {
    let modules = installed(name, clients(name).join("node_modules"))?;
    let mut command = at_root("node");
    command.env("NODE_PATH", modules);
    Ok(command)
}

fn php(extension: &str) -> Result<Command, String> {
    let check = format!("exit(extension_loaded('{extension}') ? 0 : 1);");
    let found = crate::run::succeeds(at_root("php").args(["-r", &check]));
    let missing =
        format!("no PHP with the extension {extension} (Debian: php-cli, php-{extension})");
    found.then(|| at_root("php")).ok_or(missing)
}

fn ruby(library: &str) -> Result<Command, String> {
    let found = crate::run::succeeds(at_root("ruby").args(["-r", library, "-e", ""]));
    let missing = format!("no Ruby with the library {library} (Debian: ruby, ruby-{library})");
    found.then(|| at_root("ruby")).ok_or(missing)
}

fn shell(program: &str) -> Result<Command, String> {
    let missing = format!("{program} is not installed");
    is_installed(program).then(|| at_root("sh")).ok_or(missing)
}

fn compiled(script: &std::path::Path, library: &str) -> Result<Command, String> {
    let program = clients("c").join(library);
    std::fs::create_dir_all(clients("c")).map_err(|error| format!("target/clients/c: {error}"))?;
    let mut compiler = at_root("cc");
    compiler
        .args(["-O1", "-Wall", "-Werror", "-o"])
        .arg(&program);
    compiler.arg(script).arg(format!("-l{library}"));
    run(&mut compiler).map_err(|error| format!("{error} (Debian: gcc, lib{library}-dev)"))?;
    Ok(Command::new(program))
}

fn cargo_built(client: &str) -> Result<Command, String> {
    let program = installed("rust", clients("rust").join("debug/clients-under-test"))?;
    let mut command = Command::new(program);
    command.arg(client);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_script_exists_and_names_are_different() {
        let mut names = BTreeSet::new();
        for subject in SUBJECTS {
            assert!(
                names.insert(subject.name),
                "{} is there twice",
                subject.name
            );
            let script = root().join("tests").join(subject.script);
            assert!(script.exists(), "{}", script.display());
        }
    }

    #[test]
    fn the_smoke_has_six_clients_and_three_applications() {
        let count = |kind| {
            let smoke = SUBJECTS.iter().filter(|subject| subject.smoke);
            smoke.filter(|subject| subject.kind == kind).count()
        };
        assert_eq!((count(Kind::Client), count(Kind::Application)), (6, 3));
    }
}
