//! Memory and descriptors of a process.

use std::fmt;
use std::fs;

/// Memory growth over the run that is normal: buffers and caches of the allocator.
const MEMORY_SLACK: u64 = 24 << 20;

/// Growth in descriptors that is normal: connections that are closing while others replace them.
const DESCRIPTOR_SLACK: u64 = 40;

/// Memory and descriptors at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in bytes.
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: u64,
}

impl Usage {
    /// Of the process with this id, now.
    ///
    /// # Errors
    ///
    /// When there is no such process.
    pub fn of(pid: u32) -> Result<Self, String> {
        let gone = |error| format!("process {pid} has ended: {error}");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(gone)?;
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).map_err(gone)?;
        Ok(Self {
            memory: resident(&status).ok_or("the kernel tells no VmRSS")?,
            descriptors: entries.count() as u64,
        })
    }

    /// Whether it is not much more than `before`.
    pub fn is_flat_since(self, before: Usage) -> bool {
        self.memory <= before.memory + before.memory / 2 + MEMORY_SLACK
            && self.descriptors <= before.descriptors + DESCRIPTOR_SLACK
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.memory as f64 / f64::from(1 << 20);
        write!(f, "{mib:.1} MiB and {} descriptors", self.descriptors)
    }
}

fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_beyond_the_slack_is_not_flat() {
        let before = Usage {
            memory: 10 << 20,
            descriptors: 200,
        };
        assert!(before.is_flat_since(before));
        let (memory, descriptors) = (60 << 20, 300);
        assert!(!Usage { memory, ..before }.is_flat_since(before));
        assert!(
            !Usage {
                descriptors,
                ..before
            }
            .is_flat_since(before)
        );
    }

    #[test]
    fn this_process_takes_something() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.memory > 1 << 18 && usage.descriptors > 2);
    }
}
