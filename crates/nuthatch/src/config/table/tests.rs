//! Names, defaults and fields of every row, and the other ways to give a setting.

use proxy::settings::{MemcachedSettings, PoolSettings, ProtocolSettings, RedisSettings};

use super::super::address::Listen;
use super::super::kind::{Kind, read_text};
use super::super::types::{Globals, PoolConfig};
use super::*;

fn all() -> impl Iterator<Item = &'static Setting> {
    [Scope::Pool, Scope::Global].into_iter().flat_map(of)
}

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = all().map(|setting| setting.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// The name in code is the name in the file.
#[test]
fn rows_are_called_as_their_settings() {
    let rows = [
        theirs::NAMES,
        ours::NAMES,
        replicas::NAMES,
        tls::NAMES,
        globals::NAMES,
    ]
    .concat();
    let settings: Vec<_> = all().map(|setting| setting.name.to_uppercase()).collect();
    assert_eq!(rows, settings);
}

#[test]
fn nutcrackers_eighteen_keys_are_known() {
    let theirs = all().filter(|setting| setting.origin == Origin::Nutcracker);
    assert_eq!(theirs.count(), 18);
}

#[test]
fn every_default_can_be_read() {
    for setting in all() {
        let read = |text| read_text(&setting.kind, text).is_ok();
        assert!(setting.default_text().is_none_or(read), "{}", setting.name);
    }
}

/// A pool of each protocol, and the global settings, with nothing set.
fn nothing_set() -> ([PoolConfig; 2], Globals) {
    let protocols = [
        ProtocolSettings::Redis(RedisSettings {
            ask_release: true,
            ..RedisSettings::default()
        }),
        ProtocolSettings::Memcached(MemcachedSettings::default()),
    ];
    let pool = |protocol| {
        let listen = Listen::Unix {
            path: "/s".into(),
            mode: None,
            text: "/s".into(),
        };
        PoolConfig::new(PoolSettings::new("p", vec![], protocol), listen)
    };
    (protocols.map(pool), Globals::default())
}

/// The same after a row has filled its field.
fn filled(row: &dyn AnyRow, text: Option<&str>) -> String {
    let read = |text| read_text(&row.setting().kind, text).expect("such a value");
    let given = text.map(|text| read(text).0);
    let (mut pools, mut globals) = nothing_set();
    for pool in &mut pools {
        row.fill_pool(given.as_ref(), pool);
    }
    row.fill_globals(given.as_ref(), &mut globals);
    format!("{pools:?} {globals:?}")
}

fn all_rows() -> impl Iterator<Item = &'static dyn AnyRow> {
    [Scope::Pool, Scope::Global].into_iter().flat_map(rows)
}

/// The defaults in the table equal the `Default` of the settings' types.
#[test]
fn defaults_are_those_of_the_fields() {
    let (pools, globals) = nothing_set();
    let fields = format!("{pools:?} {globals:?}");
    for row in all_rows() {
        assert_eq!(filled(row, None), fields, "{}", row.setting().name);
    }
}

#[test]
fn every_row_fills_a_field_but_those_that_make_one_together() {
    let mut none = Vec::new();
    for row in all_rows() {
        let setting = row.setting();
        let mut texts = match &setting.kind {
            Kind::Bool => vec!["true".into(), "false".into()],
            Kind::Integer { max, .. } | Kind::Bytes { max, .. } => {
                vec!["77".into(), max.to_string()]
            }
            Kind::Workers => vec!["77".into(), "auto".into()],
            Kind::Choice { names, .. } => names().into_iter().map(String::from).collect(),
            Kind::Text | Kind::HashTag => vec!["ab".into()],
            Kind::Release => vec!["6.2.14".into(), "8.0.0".into()],
            Kind::HostPort => vec!["127.0.0.1:77".into()],
            Kind::Networks => vec!["10.0.0.0/8 unix".into()],
            Kind::Hosts => vec!["a".into(), "b:80 c".into()],
            Kind::Listen
            | Kind::Servers
            | Kind::Nodes
            | Kind::Commands
            | Kind::Replicas
            | Kind::Guardrails
            | Kind::Users
            | Kind::Mapping { .. } => vec![],
        };
        texts.retain(|text| Some(text.as_str()) != setting.default_text());
        let unset = filled(row, None);
        let changes = |text: &&String| filled(row, Some(text)) != unset;
        match texts.iter().filter(changes).count() {
            0 => none.push(setting.name),
            changed => assert_eq!(changed, texts.len(), "{}", setting.name),
        }
    }
    let together = [
        "listen",
        "servers",
        "redis",
        "redis_db",
        "cluster",
        "cluster_refresh",
        "failover",
        "failover_ttl",
        "commands",
        "guardrails",
        "users",
        "redis_db_fixed",
        "read_from",
        "read_your_writes",
        "zone",
        "replicas",
        "tls",
        "server_tls",
        "server_login",
    ];
    assert_eq!(none, together);
}

#[test]
fn every_global_setting_but_a_secret_can_be_given_outside_the_file() {
    for setting in of(Scope::Global) {
        // A list of processes would show it.
        if setting.name == "admin_token" {
            assert!(setting.outside.is_none());
            continue;
        }
        let outside = setting.outside.expect("a flag and a variable");
        assert_eq!(outside.flag, setting.name.replace('_', "-"));
        assert_eq!(
            outside.env,
            format!("NUTHATCH_{}", setting.name.to_uppercase())
        );
    }
}
