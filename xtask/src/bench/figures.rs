//! Resource usage of a process, as the kernel reports it.

use std::fs;

use rustix::process::{Resource, getrlimit, setrlimit};

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    /// Resident now.
    pub(super) resident: u64,
    /// Maximum since [`forget_peak`].
    pub(super) peak: u64,
}

/// CPU time in nanoseconds (user and system) that the process with this id has used.
///
/// Taken from the scheduler's counters, which are exact; if the kernel has none, from the clock ticks of
/// `stat`.
pub(super) fn cpu_nanos(pid: u32) -> Result<u64, String> {
    scheduler_nanos(pid)
        .filter(|&nanos| nanos > 0)
        .or_else(|| tick_nanos(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
        .ok_or_else(|| format!("process {pid} has no accounting: has it ended?"))
}

fn scheduler_nanos(pid: u32) -> Option<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        sum += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(sum)
}

/// The sum of fields 14 and 15 of `/proc/PID/stat` (proc(5)), in ticks of 10 ms.
fn tick_nanos(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses and may contain blanks.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * 10_000_000)
}

/// The memory of the process with this id.
pub(super) fn memory(pid: u32) -> Result<Memory, String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .map_err(|error| format!("process {pid}: {error}"))?;
    let field =
        |name| kib_field(&status, name).ok_or_else(|| format!("no {name} of process {pid}"));
    Ok(Memory {
        resident: field("VmRSS:")?,
        peak: field("VmHWM:")?,
    })
}

fn kib_field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1_024)
}

/// Resets the peak of a process's memory (proc(5), `clear_refs`).
pub(super) fn forget_peak(pid: u32) {
    // If that fails, peaks count since the start: they can only be larger.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// Raises the limit of descriptors for thousands of connections, here and in child processes.
pub(super) fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Kernel, CPU and number of cores, for the report.
pub(super) fn machine() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("Linux {}, {model}, {cores} cores", kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_accounted() {
        let pid = std::process::id();
        let before = cpu_nanos(pid).unwrap();
        let mut value = 1_u64;
        let start = std::time::Instant::now();
        while start.elapsed().as_millis() < 50 {
            value = std::hint::black_box(value.wrapping_mul(3));
        }
        assert!(cpu_nanos(pid).unwrap() > before);
        assert!(cpu_nanos(u32::MAX / 2).is_err());
    }

    #[test]
    fn ticks_are_read_behind_any_name() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(tick_nanos(stat), Some(3_000_000_000));
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(kib_field("VmHWM:\t    12 kB\n", "VmHWM:"), Some(12_288));
        let here = memory(std::process::id()).unwrap();
        assert!(here.resident > 1 << 20 && here.peak >= here.resident / 2);
    }
}
