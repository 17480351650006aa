//! Skipping a test: visible on a developer's machine, a failure in CI.

use std::io::Write;

/// Ends the current test because something outside the project is missing.
///
/// Takes `format!` arguments that say what is missing. See [`skipped`].
#[macro_export]
macro_rules! skip {
    ($($reason:tt)+) => {{
        $crate::skipped(&format!($($reason)+));
        return;
    }};
}

/// Reports a skipped test on the real standard error (the test harness hides the output of tests that pass).
///
/// # Panics
///
/// In CI, where every tool is installed and a skip means that something broke.
pub fn skipped(reason: &str) {
    assert!(!in_ci(), "SKIPPED in CI, which is a failure: {reason}");
    let test = std::thread::current();
    let line = format!("SKIPPED {}: {reason}\n", test.name().unwrap_or("test"));
    // If standard error is closed, only this notice is lost.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Whether the environment variable `CI` is set to something other than `false`, `0` or the empty string.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| says_yes(&value))
}

fn says_yes(value: &str) -> bool {
    !matches!(value, "" | "0" | "false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_set_ci_variable_counts() {
        assert!(says_yes("true") && says_yes("1"));
        assert!(!says_yes("") && !says_yes("0") && !says_yes("false"));
    }
}
