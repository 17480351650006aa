//! Lines that are JSON: one object each, in UTF-8, with nothing in it that a terminal would act on.

use jiff::Timestamp;
use serde::Serialize;

use super::bounded::bounded;
use super::escape;
use super::order::{Fields, Record};

/// A line. What is not known is left out.
#[derive(Debug, Serialize)]
struct Line<'r> {
    /// In UTC, as RFC 3339 has it.
    time: String,
    level: &'static str,
    message: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    /// How many more records of its kind it stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<u64>,
    /// Where in the source it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

/// Writes the line of a record that stands for `more` others.
pub(super) fn write_line(record: &Record, more: u64, lines: &mut String) {
    let at = Timestamp::try_from(record.at).unwrap_or_default();
    let field = |of: fn(&Fields) -> Option<&str>| {
        let text = record.fields.as_deref().and_then(of)?;
        Some(bounded(format_args!("{text}")))
    };
    let line = Line {
        time: at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
        level: level_name(record.level),
        message: &record.text,
        event: record.fields.as_ref().and_then(|fields| fields.event),
        pool: field(|it| it.pool.as_deref()),
        server: field(|it| it.server.as_deref()),
        client: field(|it| it.client.as_deref()),
        cause: field(|it| it.cause.as_deref()),
        more: (more > 0).then_some(more),
        source: record.source(),
    };
    // A struct of texts and numbers can always be written.
    let json = serde_json::to_string(&line).unwrap_or_default();
    lines.push_str(&escape::json(&json));
    lines.push('\n');
}

/// nutcracker's names of the levels. Level 0 is that of what is written in any case: start, end and signals.
fn level_name(level: u8) -> &'static str {
    match level {
        0 | 5 => "notice",
        1 => "alert",
        2 => "crit",
        3 => "error",
        4 => "warn",
        6 => "info",
        7 => "debug",
        _ => "trace",
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn record(text: &str, name: &str) -> Record {
        let name = || Some(name.into());
        Record {
            at: UNIX_EPOCH + Duration::from_millis(1_500_000_000_042),
            level: 1,
            position: Some(("src/net/listener.rs", 7)),
            text: text.into(),
            fields: Some(Box::new(Fields {
                event: Some("server_closed"),
                pool: name(),
                server: name(),
                client: name(),
                cause: name(),
            })),
        }
    }

    fn line(record: &Record, more: u64) -> String {
        let mut lines = String::new();
        write_line(record, more, &mut lines);
        lines
    }

    #[test]
    fn a_line_has_all_that_is_known_and_nothing_else() {
        let all = line(&record("text", "name"), 3);
        let expected = "{\"time\":\"2017-07-14T02:40:00.042Z\",\"level\":\"alert\",\"message\":\"text\",\
            \"event\":\"server_closed\",\"pool\":\"name\",\"server\":\"name\",\"client\":\"name\",\
            \"cause\":\"name\",\"more\":3,\"source\":\"listener.rs:7\"}\n";
        assert_eq!(all, expected);
        let bare = Record {
            level: 0,
            position: None,
            fields: None,
            ..record("text", "")
        };
        let value: Value = serde_json::from_str(&line(&bare, 0)).unwrap();
        let expected =
            json!({"time": "2017-07-14T02:40:00.042Z", "level": "notice", "message": "text"});
        assert_eq!(value, expected);
    }

    #[test]
    fn levels_have_names() {
        let names: Vec<_> = (0..=11).map(level_name).collect();
        let expected = [
            "notice", "alert", "crit", "error", "warn", "notice", "info", "debug", "trace",
        ];
        assert_eq!(names[..9], expected);
        assert!(names[9..].iter().all(|name| *name == "trace"));
    }

    #[test]
    fn long_names_do_not_make_long_lines() {
        let long = line(&record("text", &"\u{202e}".repeat(100_000)), 0);
        assert!(long.len() < 5 * 2 * 1024 + 1024, "{}", long.len());
        assert!(serde_json::from_str::<Value>(&long).is_ok());
    }

    proptest! {
        /// Whatever stands in a name or a message: a line is one line, it reads as what was written, and nothing in it
        /// drives a terminal.
        #[test]
        fn any_text_is_kept_and_shown_safely(text in ".{0,80}", name: Vec<u8>) {
            let name = String::from_utf8_lossy(&name).into_owned();
            let line = line(&record(&text, &name), 0);
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert_eq!(&line[line.len() - 2..], "}\n");
            let shown = line.trim_end();
            prop_assert_eq!(escape::one_line(shown), shown);
            let value: Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(&value["message"], &Value::from(text));
            for field in ["pool", "server", "client", "cause"] {
                prop_assert_eq!(&value[field], &Value::from(name.clone()));
            }
        }

        #[test]
        fn control_characters_are_kept_and_escaped(text in "[\\x00-\\x20\\x7f-\\xa0\u{200b}-\u{206f}\"\\\\]{1,40}") {
            let line = line(&record(&text, &text), 0);
            let shown = line.trim_end();
            prop_assert_eq!(escape::one_line(shown), shown);
            let value: Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(&value["server"], &Value::from(text));
        }
    }
}
