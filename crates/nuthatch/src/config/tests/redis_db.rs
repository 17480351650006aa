//! `redis_db`: where nutcracker fails to select the database, the data is in database 0.

use super::super::Config;
use super::load_text;

const TCP: &str = "    - h:1:1 a\n    - h:2:1 b\n";
const UNIX: &str = "    - /s/a:1 a\n    - /s/b:1 b\n";
const MIXED: &str = "    - h:1:1 a\n    - /s/b:1 b\n";

fn load(settings: &str, servers: &str) -> Config {
    let text = format!("p:\n  listen: 127.0.0.1:1\n  redis: true\n{settings}  servers:\n{servers}");
    load_text(&text).expect("a sound configuration")
}

fn databases(config: &Config) -> Vec<u32> {
    config.pools[0]
        .settings
        .servers
        .iter()
        .map(|server| server.db)
        .collect()
}

#[test]
fn the_database_is_where_the_data_is() {
    let (db, auth, fixed) = (
        "  redis_db: 3\n",
        "  redis_auth: x\n",
        "  redis_db_fixed: true\n",
    );
    for (settings, servers, expected, warned) in [
        (db.to_owned(), TCP, [3, 3], false),
        (db.to_owned() + auth, TCP, [0, 0], true),
        (db.to_owned(), UNIX, [0, 0], true),
        (db.to_owned(), MIXED, [3, 0], true),
        (db.to_owned() + auth, MIXED, [0, 0], true),
        (db.to_owned() + auth + fixed, TCP, [3, 3], false),
        (db.to_owned() + fixed, UNIX, [3, 3], false),
        (db.to_owned() + auth + fixed, MIXED, [3, 3], false),
        ("  redis_db: 0\n".to_owned() + auth, UNIX, [0, 0], false),
        (auth.to_owned(), UNIX, [0, 0], false),
    ] {
        let config = load(&settings, servers);
        assert_eq!(databases(&config), expected, "{settings}{servers}");
        assert_eq!(!config.warnings.is_empty(), warned, "{settings}{servers}");
    }
}

#[test]
fn the_warning_says_where_and_what_to_do() {
    let config = load("  redis_db: 3\n  redis_auth: x\n", TCP);
    let [warning] = config.warnings.as_slice() else {
        panic!("one warning: {:?}", config.warnings);
    };
    assert!(
        warning.contains("n.yml:4:3: warning: pool `p`"),
        "{warning}"
    );
    assert!(
        warning.contains("database 0") && warning.contains("`redis_db_fixed: true`"),
        "{warning}"
    );
}

#[test]
fn a_memcached_pool_has_no_databases() {
    let text = "p:\n  listen: 127.0.0.1:1\n  redis_db: 3\n  servers:\n    - h:1:1\n";
    let config = load_text(text).expect("nutcracker accepts it");
    assert_eq!(databases(&config), [0]);
    assert!(config.warnings[0].contains("without effect in a memcached pool"));
}

#[test]
fn a_pool_has_one_database_or_several() {
    let text = "p:\n  listen: 127.0.0.1:1\n  redis: true\n  redis_db: 3\n  databases: 4\n  servers:\n    - h:1:1\n";
    let error = load_text(text).expect_err("they contradict each other");
    let error = error.to_string();
    let line = "n.yml:4:3: `redis_db` gives the pool one database, and `databases` several";
    assert!(error.contains(line), "{error}");
    let config = load("  databases: 4\n", TCP);
    assert_eq!(databases(&config), [0, 0]);
}
