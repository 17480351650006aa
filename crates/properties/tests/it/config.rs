//! Configuration files that are valid or nearly so, and arbitrary ones.

use properties::config::file;
use proptest::prelude::*;

/// Lines of valid and nearly valid files.
fn line() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "a:",
        "b:",
        "nuthatch:",
        "  listen: 127.0.0.1:1",
        "  listen: ::1:2",
        "  listen: /s 0660",
        "  servers:",
        "    - h:1:1",
        "    - h:2:1 n",
        "    - /s:1",
        "    - h:1:0",
        "  redis: true",
        "  timeout: 400",
        "  hash: md5",
        "  hash_tag: \"{}\"",
        "  redis_db: 3",
        "  redis_auth: x",
        "  workers: 2",
        "# c",
        "---",
        "",
        "  servers: [h:1:1, h:1:2]",
        "{a: {listen: 127.0.0.1:3, servers: [h:1:1]}}",
        "  resp3: off",
        "  auto_eject_hosts: true",
        "  failover: a",
        "  failover: b",
    ]);
    prop_oneof![9 => fixed.prop_map(str::to_owned), 1 => "[ -~\\t\u{e9}\u{1b}]{0,20}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_file(lines in prop::collection::vec(line(), 0..12)) {
        file(lines.join("\n").as_bytes());
    }

    #[test]
    fn any_bytes(data in prop::collection::vec(any::<u8>(), 0..80)) {
        file(&data);
    }
}

#[test]
fn every_beginning_of_a_file() {
    let whole = include_str!("../../../nuthatch/src/config/tests/files/classic.yml");
    for end in 0..whole.len() {
        file(&whole.as_bytes()[..end]);
    }
}
