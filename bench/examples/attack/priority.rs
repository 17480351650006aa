//! The priority of threads.

/// How much an attacker leaves to others: they run on machines of their own in reality, and do not take time from
/// the proxy and the bystander.
const NICENESS: i32 = 10;

/// Lets this thread, and those that it starts, run when others do not need the processor.
pub(crate) fn lower() {
    // Whoever cannot have a lower priority has it already.
    let _ = rustix::process::nice(NICENESS);
}
