//! The process and its place, as a pool tells of them. The shell says what they are: nothing here asks the system.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::connection_budget::ConnectionBudget;

/// The process: made once, shared by its pools.
#[derive(Debug, Default)]
pub struct Process {
    /// Its number in the system.
    pub pid: u32,
    /// What no other process is called: 40 hexadecimal digits.
    pub run_id: Box<str>,
    /// The system, its release and the machine, such as `Linux 6.1.0 x86_64`.
    pub os: Box<str>,
    /// The program's file.
    pub executable: Box<str>,
    /// The configuration file.
    pub config_file: Box<str>,
    /// The wall clock at the origin of [`Time`](crate::Time), in microseconds since the Unix epoch.
    pub epoch_micros: u64,
    /// What the process used when that was last looked at.
    pub usage: Usage,
    /// The bound on connections to servers.
    pub connections: Arc<ConnectionBudget>,
}

/// What the process uses. One thread writes it, others may read it at any time.
#[derive(Debug, Default)]
pub struct Usage {
    /// Bytes of memory in use.
    pub memory: AtomicU64,
    /// Most bytes of memory that were ever in use.
    pub memory_peak: AtomicU64,
    /// Processor time in microseconds, outside of the system.
    pub cpu_user: AtomicU64,
    /// The same, within the system.
    pub cpu_system: AtomicU64,
}

/// Where a pool is: in which process, and behind which address.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The process.
    pub process: Arc<Process>,
    /// Where clients connect to, as configured.
    pub listen: Box<str>,
    /// The port of that, 0 if it is a unix socket.
    pub port: u16,
    /// Most clients that the pool may have at a time.
    pub max_clients: u64,
}
