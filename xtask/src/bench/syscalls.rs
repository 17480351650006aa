//! System calls per request, counted in a separate short run, because counting slows the process down.

use std::path::Path;
use std::time::Duration;

use testkit::{Process, Signal, Tool, eventually};

use super::load::{Amount, Load, Unwatched};

/// Duration of the run.
const TIME: Duration = Duration::from_millis(700);

/// How long strace may take to attach, and to write its counts.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// The number of system calls that process `pid` makes per request under this load.
///
/// Counted by `perf stat` if permitted (a counter in the kernel, with little overhead), otherwise by strace,
/// which stops the process at every call, so that batches grow: such counts are a lower bound. `None` if
/// neither works.
pub(super) fn per_request(load: &Load<'_>, amount: Amount, pid: u32) -> Option<f64> {
    let amount = shortened(amount);
    let files = tempfile::tempdir().ok()?;
    let file = files.path().join("counts");
    by_perf(load, amount, pid, &file).or_else(|| by_strace(load, amount, pid, &file))
}

/// perf runs the load and counts the other process meanwhile.
fn by_perf(load: &Load<'_>, amount: Amount, pid: u32, file: &Path) -> Option<f64> {
    let perf = Tool::find("perf")?;
    let words = format!(
        "{} stat -x , -e raw_syscalls:sys_enter -p {pid} -o {} --",
        perf.path().display(),
        file.display()
    );
    let counted = Load {
        wrapper: words.split(' ').map(String::from).collect(),
        ..load.clone()
    };
    let outcome = counted.play(amount, &mut Unwatched).ok()?;
    let count = perf_total(&std::fs::read_to_string(file).ok()?)?;
    Some(count / outcome.requests)
}

fn by_strace(load: &Load<'_>, amount: Amount, pid: u32, file: &Path) -> Option<f64> {
    let mut command = Tool::find("strace")?.command();
    command
        .args(["-c", "-f", "-p", &pid.to_string(), "-o"])
        .arg(file);
    let mut strace = Process::spawn(command);
    eventually(TIME_LIMIT, || {
        strace.stderr().contains("attached").then_some(())
    })?;
    let outcome = load.play(amount, &mut Unwatched).ok()?;
    strace.signal(Signal::INT);
    eventually(TIME_LIMIT, || strace.exited())?;
    let count = strace_total(&std::fs::read_to_string(file).ok()?)?;
    Some(count / outcome.requests)
}

fn shortened(amount: Amount) -> Amount {
    match amount {
        Amount::Time(time) => Amount::Time(time.min(TIME)),
        Amount::Rate(rate, time) => Amount::Rate(rate, time.min(TIME)),
        // Not shorter, so that the system calls for the connections hardly count.
        Amount::Requests(count) => Amount::Requests(count),
    }
}

/// The count of `perf stat -x ,`: the first field of the event's line.
fn perf_total(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.contains("raw_syscalls"))?;
    line.split(',').next()?.parse().ok()
}

/// The calls of the last line of `strace -c`: `100.00 0.1 2 1234 [errors] total`.
fn strace_total(text: &str) -> Option<f64> {
    let line = text.lines().rfind(|line| line.ends_with(" total"))?;
    let fields: Vec<&str> = line.split_whitespace().collect();
    // Older versions leave the microseconds per call out of the total; calls come before the errors.
    let numbers = fields[..fields.len() - 1].iter();
    let whole: Vec<f64> = numbers
        .filter(|field| !field.contains('.'))
        .filter_map(|field| field.parse().ok())
        .collect();
    match whole[..] {
        [calls] => Some(calls),
        [first, second, ..] => Some(first.max(second)),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_counters_outputs_are_read() {
        let perf = "# started on Sun\n\n9404,,raw_syscalls:sys_enter,44536292,100.00,,\n";
        assert_eq!(perf_total(perf), Some(9_404.0));
        assert_eq!(
            perf_total("<not counted>,,raw_syscalls:sys_enter,0,,\n"),
            None
        );
        let strace = "% time seconds usecs/call calls errors syscall\n 60 0.1 2 500 20 read\n\
                      100.00    0.002000           2       900        20 total\n";
        assert_eq!(strace_total(strace), Some(900.0));
        assert_eq!(
            strace_total("100.00    0.002000    900    total\n"),
            Some(900.0)
        );
        assert_eq!(strace_total("nothing"), None);
    }
}
