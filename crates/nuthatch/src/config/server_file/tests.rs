//! What a file of servers may have, and how its mistakes are told.

use proxy::settings::Address;

use super::*;

fn discovery() -> Discovery {
    Discovery {
        source: ServerSource::File("s".into()),
        databases: (3, 0),
        max_weights: 100,
        max_removed: 50,
    }
}

fn read(text: &str) -> Result<Vec<ServerSettings>, String> {
    let bytes = text.as_bytes().to_vec();
    read_lines(Path::new("s"), &discovery(), &move |_| Ok(bytes.clone()))
}

#[test]
fn servers_comments_and_blank_lines() {
    let text = "\u{feff}# caches\r\n\n  10.0.0.2:6379:1 cache10  # the second\n10.0.0.1:6379:2 cache1\n\
                /run/c#1.sock:1 c\n   \n#\n";
    let servers = read(text).unwrap();
    let name = |server: &ServerSettings| (server.name.clone(), server.weight, server.db);
    let names: Vec<_> = servers.iter().map(name).collect();
    let expected = [("c", 1, 0), ("cache1", 2, 3), ("cache10", 1, 3)];
    assert_eq!(
        names,
        expected.map(|(name, weight, db)| (name.to_owned(), weight, db))
    );
    assert_eq!(servers[0].address, Address::unix("/run/c#1.sock".as_ref()));
    assert_eq!(read("# none\n"), Ok(Vec::new()));
}

#[test]
fn mistakes_are_told_with_line_and_column() {
    for (text, expected) in [
        (
            "a:1:1\n  b:x:1\n",
            "line 2, column 5: server `b:x:1` has an invalid port",
        ),
        (
            "a:1:1 n\nb:1:1 n\n",
            "line 2, column 1: the file has servers with same name `n`",
        ),
        (
            "a:1:60\nb:1:60\n",
            "the weights of the servers add up to more than 100",
        ),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
    let error = read(&"x\n".repeat(9)).unwrap_err();
    assert!(error.ends_with("; and 6 more"), "{error}");
    let latin = b"a:1:1\n\xff\n".to_vec();
    let error = read_lines(Path::new("s"), &discovery(), &move |_| Ok(latin.clone()));
    assert_eq!(
        error.unwrap_err(),
        "it cannot be read: it is not UTF-8 text (line 2)"
    );
}
