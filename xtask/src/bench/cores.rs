//! Who runs where, so that the load does not take the processor's time from what it loads.

use std::process::{Command, Stdio};
use std::thread;

use testkit::Tool;

/// The load runs on the last processor, everything else on the others; nobody is bound to any where there is
/// but one, or no `taskset`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cores {
    last: Option<usize>,
}

impl Cores {
    /// As this machine allows; says what it does.
    pub(super) fn divide() -> Cores {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let last = (count > 1 && Tool::find("taskset").is_some()).then(|| count - 1);
        match last {
            Some(last) => println!(
                "the load runs on processor {last}, proxy and servers on {}",
                others(last)
            ),
            None => println!("load, proxy and servers share the processors"),
        }
        Cores { last }
    }

    /// Words before the load's command.
    pub(super) fn of_load(self) -> Vec<String> {
        match self.last {
            Some(last) => vec!["taskset".into(), "-c".into(), last.to_string()],
            None => Vec::new(),
        }
    }

    /// Binds all threads of these processes to where the load is not.
    ///
    /// # Errors
    ///
    /// When one of them has ended.
    pub(super) fn bind(self, pids: impl IntoIterator<Item = u32>) -> Result<(), String> {
        let Some(last) = self.last else {
            return Ok(());
        };
        for pid in pids {
            let mut bind = Command::new("taskset");
            bind.args(["-acp", &others(last), &pid.to_string()]);
            let bound = bind.stdout(Stdio::null()).status();
            if !bound.is_ok_and(|status| status.success()) {
                return Err(format!("process {pid} cannot be bound to {}", others(last)));
            }
        }
        Ok(())
    }
}

/// The processors before `last`.
fn others(last: usize) -> String {
    match last {
        1 => "0".into(),
        _ => format!("0-{}", last - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_has_the_last_processor() {
        assert_eq!((others(1), others(3)), ("0".into(), "0-2".into()));
        let cores = Cores { last: Some(3) };
        assert_eq!(cores.of_load(), ["taskset", "-c", "3"]);
        let shared = Cores { last: None };
        assert!(shared.of_load().is_empty() && shared.bind([u32::MAX]).is_ok());
    }
}
