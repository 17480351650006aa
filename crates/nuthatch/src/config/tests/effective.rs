//! The settings as they are shown.

use serde_json::json;

use super::super::table::{Scope, find};
use super::{Overrides, load_texts};

#[test]
fn what_is_given_and_what_is_not_is_shown_but_no_secret() {
    let file = "b:\n  listen: 127.0.0.1:1\n  redis: true\n  redis_auth: SECRET\n  hash: md5\n  hash_tag: \"{}\"\n  \
                timeout: 400\n  commands: [{name: m.get, arity: 2, access: read}]\n  servers:\n    - h:1:7 n\n\
                a:\n  listen: /tmp/a.sock 0660\n  servers: [h:2:1]\n\
                nuthatch:\n  workers: auto\n  admin_token: SECRET\n  admin_hosts: A.example [::1]:80\n";
    let mut overrides = Overrides::default();
    let admin = find(Scope::Global, "admin").expect("it is known");
    overrides.set(admin, "127.0.0.1:9").expect("an address");
    let config = load_texts(file, Some("a:\n  probe: false\n"), &overrides).expect("sound");
    let shown = &config.effective;
    assert!(!shown.to_string().contains("SECRET"), "{shown}");
    let globals = &shown["nuthatch"];
    assert_eq!(globals["workers"], json!("auto"));
    assert_eq!(globals["admin"], json!("127.0.0.1:9"));
    assert_eq!(globals["admin_hosts"], json!(["a.example", "[::1]:80"]));
    assert_eq!(globals["admin_token"], json!("********"));
    assert_eq!(globals["admin_token_file"], json!(null));
    assert_eq!(globals["max_memory"], json!("half of the memory"));
    assert_eq!(globals["admin_ready"], json!("all_pools"));
    let names: Vec<_> = shown["pools"].as_object().expect("pools").keys().collect();
    assert_eq!(names, ["a", "b"]);
    let (a, b) = (&shown["pools"]["a"], &shown["pools"]["b"]);
    assert_eq!((&b["hash"], &b["hash_tag"]), (&json!("md5"), &json!("{}")));
    assert_eq!((&b["timeout"], &a["timeout"]), (&json!(400), &json!(null)));
    assert_eq!(
        (&b["redis_auth"], &b["probe"]),
        (&json!("********"), &json!(true))
    );
    assert_eq!(b["servers"], json!(["h:1:7 n"]));
    assert_eq!(b["commands"][0]["access"], json!("read"));
    assert_eq!(
        (&a["probe"], &a["redis_auth"]),
        (&json!(false), &json!(null))
    );
    assert_eq!(a["listen"], json!("/tmp/a.sock 0660"));
    assert!(a.get("max_value").is_some() && b.get("max_value").is_none());
}
