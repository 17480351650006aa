//! Configurations that are accepted, and their meaning.

use std::path::Path;
use std::time::Duration;

use hashkit::{CharSign, Distribution, HashKind, HashTag, Placement};
use proxy::Release;
use proxy::settings::{
    Address, CrossShard, KeylessScripts, ProtocolSettings, Resp3, TransactionScope,
};

use super::super::{Config, Listen, Overrides, Workers, load};
use super::{lines, load_text};

fn sound(text: &str) -> Config {
    load_text(text).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn defaults_are_nutcrackers() {
    let config = sound("p:\n  listen: 127.0.0.1:1\n  servers:\n    - h:1:1\n");
    let pool = &config.pools[0];
    let settings = &pool.settings;
    assert_eq!(settings.placement, Placement::default());
    assert_eq!(settings.timeout, None);
    assert_eq!((pool.backlog, pool.client_connections), (512, 0));
    assert!(
        !pool.tcpkeepalive && !pool.reuseport && !settings.preconnect && !settings.auto_eject_hosts
    );
    assert!(!settings.error_detail && !settings.allow_flush);
    assert!(!pool.has_cross_shard);
    assert_eq!(settings.server_connections, 1);
    assert_eq!(settings.server_retry_timeout, Duration::from_secs(30));
    assert_eq!(settings.server_failure_limit, 2);
    assert!(
        matches!(&settings.protocol, ProtocolSettings::Memcached(m) if m.max_value == 1 << 30 && !m.admin_commands)
    );
    assert_eq!(config.globals.workers, Workers::Count(1));
    assert_eq!(config.globals.shutdown_timeout, Duration::from_secs(5));
    assert!(!config.globals.stats_extended);
    assert!(config.warnings.is_empty());
    let config = sound("p:\n  listen: 127.0.0.1:1\n  redis: true\n  servers: [h:1:1]\n");
    let protocol = &config.pools[0].settings.protocol;
    assert!(
        matches!(protocol, ProtocolSettings::Redis(redis) if redis.allow_scripts && redis.databases == 1)
    );
    let config =
        sound("p:\n  listen: 127.0.0.1:1\n  redis: true\n  databases: 16\n  servers: [h:1:1]\n");
    let protocol = &config.pools[0].settings.protocol;
    assert!(matches!(protocol, ProtocolSettings::Redis(redis) if redis.databases == 16));
}

#[test]
fn every_setting_arrives() {
    let config = sound(
        "p:\n  listen: 127.0.0.1:22121\n  hash: murmur\n  hash_tag: \"$$\"\n  distribution: modula\n  \
         timeout: 400\n  backlog: 1024\n  client_connections: 100\n  tcpkeepalive: true\n  reuseport: true\n  \
         redis: true\n  redis_auth: 0123\n  redis_db: 4\n  preconnect: true\n  auto_eject_hosts: true\n  \
         server_connections: 3\n  server_retry_timeout: 2000\n  server_failure_limit: 5\n  \
         hash_char: unsigned\n  cross_shard: error\n  transactions: per_shard\n  transaction_commands: 9\n  transaction_bytes: 2k\n  lease_idle_timeout: 0\n  allow_flush: true\n  allow_scripts: false\n  keyless_scripts: any\n  admin_commands: true\n  error_detail: true\n  \
         redis_db_fixed: true\n  resp3: off\n  redis_version: 6.2.14\n  ask_version: false\n  servers:\n    - h:1:7 n\nnuthatch:\n  workers: auto\n  \
         shutdown_timeout: 250\n  stats_extended: true\n",
    );
    let pool = &config.pools[0];
    let settings = &pool.settings;
    let placement = Placement {
        hash: HashKind::Murmur,
        sign: CharSign::Unsigned,
        tag: Some(HashTag {
            open: b'$',
            close: b'$',
        }),
        distribution: Distribution::Modula,
    };
    assert_eq!(settings.placement, placement);
    assert_eq!(settings.timeout, Some(Duration::from_millis(400)));
    assert_eq!((pool.backlog, pool.client_connections), (1024, 100));
    assert!(
        pool.tcpkeepalive && pool.reuseport && settings.preconnect && settings.auto_eject_hosts
    );
    assert!(settings.error_detail && settings.allow_flush);
    assert_eq!(settings.server_connections, 3);
    assert_eq!(settings.server_retry_timeout, Duration::from_secs(2));
    assert_eq!(settings.server_failure_limit, 5);
    let server = &settings.servers[0];
    assert_eq!(
        (server.name.as_str(), server.pname.as_str()),
        ("n", "h:1:7")
    );
    assert_eq!((server.weight, server.db), (7, 4));
    let ProtocolSettings::Redis(redis) = &settings.protocol else {
        panic!("a Redis pool");
    };
    assert_eq!(redis.auth.as_deref(), Some(b"0123".as_slice()));
    assert!(!redis.allow_scripts);
    assert!(redis.admin_commands && redis.keyless_scripts == KeylessScripts::Any);
    let limits = redis.transaction_limits;
    assert_eq!((limits.commands, limits.bytes), (9, 2 << 10));
    assert_eq!(settings.lease_idle_timeout, None);
    assert_eq!(
        (redis.resp3, redis.cross_shard, redis.transactions),
        (Resp3::Off, CrossShard::Error, TransactionScope::PerShard)
    );
    assert_eq!(
        (redis.release, redis.ask_release),
        (Release::new(6, 2, 14), false)
    );
    assert_eq!(config.globals.workers, Workers::Auto);
    assert_eq!(config.globals.shutdown_timeout, Duration::from_millis(250));
    assert!(config.globals.stats_extended);
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    assert!(config.warnings[0].contains("the limit of 100 client connections is enforced"));
}

#[test]
fn memcached_pools_have_settings_of_their_own() {
    let config = sound(
        "p:\n  listen: 127.0.0.1:1\n  max_value: 8m\n  admin_commands: true\n  servers: [h:1:1]\n",
    );
    assert!(
        matches!(&config.pools[0].settings.protocol, ProtocolSettings::Memcached(m) if m.max_value == 8 << 20 && m.admin_commands)
    );
}

#[test]
fn a_timeout_of_0_is_none() {
    let config = sound("p:\n  listen: 127.0.0.1:1\n  timeout: 0\n  servers: [h:1:1]\n");
    assert_eq!(config.pools[0].settings.timeout, None);
}

#[test]
fn pools_and_servers_are_sorted_as_nutcracker_does() {
    let pool = |name: &str, port: u16, servers: &str| {
        format!("{name}:\n  listen: 127.0.0.1:{port}\n  servers: [{servers}]\n")
    };
    let text = pool("bb", 1, "h:10:1, h:9:1, h:8:1 zz, /s:1")
        + &pool("aaa", 2, "h:1:1")
        + &pool("c", 3, "h:1:1");
    let config = sound(&text);
    let pools: Vec<&str> = config
        .pools
        .iter()
        .map(|pool| pool.settings.name.as_str())
        .collect();
    assert_eq!(pools, ["c", "bb", "aaa"]);
    let pool = &config.pools[1];
    let names: Vec<&str> = pool
        .settings
        .servers
        .iter()
        .map(|server| server.name.as_str())
        .collect();
    assert_eq!(names, ["zz", "/s:", "h:9", "h:10"]);
    let servers = pool.settings.servers.iter();
    let addresses: Vec<Address> = servers.map(|server| server.address.clone()).collect();
    let tcp = |port| Address::tcp("h", port);
    let unix = Address::unix("/s".as_ref());
    assert_eq!(addresses, [tcp(8), unix, tcp(9), tcp(10)]);
}

#[test]
fn a_password_that_a_comment_cuts_off_is_warned_of() {
    for (line, is_warned) in [
        ("redis_auth: foo #bar", true),
        ("redis_auth: 'foo' #bar", true),
        ("redis_auth: foo # the password", false),
        ("redis_auth: foo#bar", false),
        ("redis_auth: 'foo #bar'", false),
        ("redis_auth: \"f\\x6fo #bar\"", false),
        ("redis_db: 0 #bar", false),
    ] {
        let config = sound(&format!(
            "p:\n  listen: 127.0.0.1:1\n  redis: true\n  {line}\n  servers: [h:1:1]\n"
        ));
        let warned = config.warnings.iter().any(|it| it.contains("is a comment"));
        assert_eq!(warned, is_warned, "{line}: {:?}", config.warnings);
    }
}

const TEMPLATES: &str = "\
defaults: &defaults
  redis: true
  timeout: 400
  hash: md5
a: &a
  <<: *defaults
  listen: 127.0.0.1:1
  timeout: 500
  servers: &servers
    - h:1:1
    - h:2:1
b:
  <<: *a
  listen: 127.0.0.1:2
c:
  listen: 127.0.0.1:3
  servers: *servers
";

#[test]
fn pools_may_be_made_of_others() {
    let config = sound(TEMPLATES);
    let pools: Vec<_> = config
        .pools
        .iter()
        .map(|pool| {
            let settings = &pool.settings;
            (
                settings.name.as_str(),
                settings.timeout.map(|time| time.as_millis()),
                settings.servers.len(),
                settings.placement.hash == HashKind::Md5,
            )
        })
        .collect();
    let expected = [
        ("a", Some(500), 2, true),
        ("b", Some(500), 2, true),
        ("c", None, 2, false),
    ];
    assert_eq!(pools, expected);
    // What is wrong is told where it is written, and once.
    let faulty = TEMPLATES
        .replace("hash: md5", "hash: md6")
        .replace("h:2:1", "h:2:0");
    let report = load_text(&faulty).expect_err("two problems");
    let expected = [
        "n.yml:4:9: setting `hash` is not a valid hash: `md6`",
        "n.yml:11:11: server `h:2:0` has a zero weight",
    ];
    assert_eq!(lines(&report), expected);
}

#[test]
fn surprises_are_warned_of() {
    for (line, warning) in [
        ("hash: crc32", "puts nearly all keys on one server"),
        (
            "client_connections: 1",
            "the limit of 1 client connections is enforced",
        ),
        ("redis_db: 1", "without effect"),
    ] {
        let config = sound(&format!(
            "p:\n  listen: 127.0.0.1:1\n  {line}\n  servers: [h:1:1]\n"
        ));
        assert!(
            config.warnings[0].contains(warning),
            "{:?}",
            config.warnings
        );
    }
    let config = sound("p:\n  listen: /s rw\n  servers: [h:1:1]\n");
    assert!(
        config.warnings[0].contains("`rw` is not a mode and is ignored"),
        "{:?}",
        config.warnings
    );
}

/// Forms of files that users have.
#[test]
fn files_as_users_have_them() {
    for (file, pools) in [
        (include_str!("files/classic.yml"), 5),
        (include_str!("files/indentless.yml"), 2),
        (include_str!("files/generated.yml"), 2),
    ] {
        assert_eq!(sound(file).pools.len(), pools);
        assert_eq!(
            sound(&file.replace('\n', "\r\n")).pools.len(),
            pools,
            "with line ends of Windows"
        );
        assert_eq!(
            sound(&format!("\u{feff}{file}")).pools.len(),
            pools,
            "with a byte order mark"
        );
    }
}

#[test]
fn unix_sockets_keep_their_mode() {
    let config = sound(include_str!("files/indentless.yml"));
    let Listen::Unix { path, mode, .. } = &config.pools[0].listen else {
        panic!("a unix socket");
    };
    assert_eq!(
        (path.as_path(), *mode),
        (Path::new("/run/cache/mc.sock"), Some(0o666))
    );
}

#[test]
fn the_example_file_is_sound() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/nuthatch.yml");
    let config =
        load(&file, None, &Overrides::default()).unwrap_or_else(|report| panic!("{report}"));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let redis = config
        .pools
        .iter()
        .find_map(|pool| match &pool.settings.protocol {
            ProtocolSettings::Redis(redis) => Some(redis),
            ProtocolSettings::Memcached(_) => None,
        });
    assert_eq!(
        redis.map(|redis| redis.cross_shard),
        Some(CrossShard::Error)
    );
}
