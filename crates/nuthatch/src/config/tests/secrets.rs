//! No message shows a password, wherever in the file it stands and whatever is wrong with it.

use super::super::Overrides;
use super::{load_text, load_texts};

/// Everything that is said of a text that is refused.
fn said(text: &str) -> String {
    let report = load_text(text).expect_err(text);
    format!("{report}\n{report:?}")
}

#[test]
fn problems_and_warnings_show_no_password() {
    let rest = "  listen: 127.0.0.1:1\n  servers:\n    - h:1:1\n";
    for lines in [
        // Another protocol, a misspelt name, other programs' names, and what stands in the wrong place.
        "  redis_auth: SECRET\n",
        "  redis: true\n  redis_auht: SECRET\n",
        "  redis: true\n  password: SECRET\n",
        "  redis: true\n  requirepass: \"SECRET\"\n",
        // Not what a setting can be.
        "  redis: true\n  redis_auth: [SECRET]\n",
        "  redis: true\n  redis_auth: {SECRET: x}\n",
        "  redis: true\n  redis_auth:\n    SECRET: x\n",
        "  redis: true\n  redis_auth: !SECRET\n",
        "  redis: true\n  redis_auth: !SECRET x\n",
        "  redis: true\n  redis_auth: !<SECRET> x\n",
        "  redis: true\n  redis_auth: !SECRET!x y\n",
        // Not valid YAML, or something else than was meant.
        "  redis: true\n  redis_auth: SECRET: x\n",
        "  redis: true\n  redis_auth: \"SECRET\n",
        "  redis: true\n  redis_auth: *SECRET\n",
        "  redis: true\n  redis_auth: @SECRET\n",
        "  redis: true\n  redis_auth: %SECRET\n",
        "  redis: true\n  redis_auth:\n\tSECRET\n",
        "  redis: true\n  redis_auth SECRET\n",
        "  redis: true\n  redis_auth: 'SECRET\\'SECRET'\n",
        // Given twice.
        "  redis: true\n  redis_auth: SECRET\n  redis_auth: SECRET\n",
        // In a URL.
        "  redis: redis://:SECRET@h:1\n",
        "  hash: redis://u:SECRET@h\n",
    ] {
        let text = format!("p:\n{lines}{rest}");
        let said = said(&text);
        assert!(!said.contains("SECRET"), "{lines}{said}");
    }
    for text in [
        "p: {redis: true, redis_auth: x,SECRET: y, listen: '127.0.0.1:1', servers: [h:1:1]}\n",
        "p: {redis_auth: SECRET, hash: x, listen: '127.0.0.1:1', servers: [h:1:1]}\n",
        "p:\n  listen: redis://:SECRET@127.0.0.1:1\n  servers:\n    - h:1:1\n",
        "p:\n  listen: 127.0.0.1:1\n  servers:\n    - redis://u:SECRET@h:1:1\n",
        "x: &x\n  a: &pw !y SECRET\np:\n  listen: 127.0.0.1:1\n  redis_auth: *pw\n",
        "redis_auth: SECRET\n",
        "redis_auth:\n  SECRET\n",
    ] {
        let said = said(text);
        assert!(!said.contains("SECRET"), "{text}{said}");
    }
}

#[test]
fn a_caret_is_right_beside_a_mask() {
    let text = "p:\n  listen: 127.0.0.1:1\n  redis_auth: hunter2 # for p\n  servers: [h:1:1]\n";
    let said = load_text(text).expect_err("a memcached pool").to_string();
    let excerpt = " 3 |   redis_auth: ********\n   |   ^^^^^^^^^^\n";
    assert!(said.contains(excerpt), "{said}");
}

#[test]
fn overlays_show_no_password_either() {
    let base = "p:\n  listen: 127.0.0.1:1\n  redis: true\n  servers: [h:1:1]\n";
    for overlay in [
        "p:\n  redis_auth: SECRET\n",
        "p:\n  password: SECRET\n",
        "p:\n  redis_auth: SECRET: x\n",
    ] {
        let report = load_texts(base, Some(overlay), &Overrides::default());
        let report = report.expect_err(overlay);
        let said = format!("{report}\n{report:?}");
        assert!(said.contains("o.yml:2"), "{said}");
        assert!(!said.contains("SECRET"), "{said}");
    }
}

#[test]
fn a_socket_without_a_mode_is_warned_of() {
    let warnings = |listen: &str| {
        let text = format!("p:\n  listen: {listen}\n  servers: [h:1:1]\n");
        load_text(&text).expect("sound").warnings
    };
    let warned = warnings("/run/p.sock");
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].contains("n.yml:2:11: warning: pool `p`: the socket has no mode")
            && warned[0].ends_with("add one: `listen: /run/p.sock 0660`"),
        "{warned:?}"
    );
    assert!(warnings("/run/p.sock 0660").is_empty());
    assert!(warnings("127.0.0.1:1").is_empty());
}
