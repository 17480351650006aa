//! One pool of the process: what the acceptor, the workers and the statistics share. Created once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use proxy::PlannedServer;

use crate::logins::LoginFile;
use crate::map_wanted::MapWanted;
use crate::net::{Networks, Stream};
use crate::standing::Standing;
use crate::tls::{Acceptance, Fault, ReadFile};

/// Bits of a [`PoolId`] that are its slot.
const SLOT_BITS: u32 = 20;

/// Maximum pools at a time: far more than the process may have descriptors for their listening sockets.
const MAX_POOLS: usize = 1 << SLOT_BITS;

/// A pool's number: a slot, small and dense so that it can index a table, and how often the slot was used before. What
/// arrives late for a pool that was removed does not get to the pool that has its slot then. The count begins again
/// after 4,096; answers that are so late do not exist, as names are waited for seconds only. 32 bits, because every
/// idle client stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolId(u32);

impl PoolId {
    /// The first pool in a slot.
    pub(crate) fn new(slot: usize) -> Self {
        assert!(slot < MAX_POOLS, "more pools than descriptors");
        Self(slot as u32)
    }

    /// The next pool in the same slot.
    pub(crate) fn successor(self) -> Self {
        Self(self.0.wrapping_add(1 << SLOT_BITS))
    }

    /// Its slot.
    pub(crate) fn index(self) -> usize {
        (self.0 as usize) & (MAX_POOLS - 1)
    }
}

/// The state of a server in one word.
pub(crate) fn state_of(server: &PlannedServer) -> &'static str {
    match (server.is_held(), server.is_live()) {
        (true, _) => "drained",
        (false, true) => "live",
        (false, false) => "ejected",
    }
}

/// A pool, shared by all threads.
#[derive(Debug)]
pub(crate) struct PoolShare {
    id: PoolId,
    core: Arc<proxy::PoolShare>,
    /// Whether TCP connections, to clients and to servers, send keepalive probes.
    keepalive: AtomicBool,
    /// Maximum clients at a time.
    max_clients: AtomicUsize,
    clients: AtomicUsize,
    /// How the connections of clients are secured, where they are.
    acceptance: ArcSwapOption<Acceptance>,
    /// The file with the logins of the servers.
    login_file: ArcSwapOption<LoginFile>,
    /// Clients from there begin with a header of the PROXY protocol.
    balancers: ArcSwapOption<Networks>,
    /// Handshakes of clients that were completed.
    handshakes: AtomicU64,
    failed_handshakes: AtomicU64,
    /// How the search for its servers stands, if they are found.
    standing: ArcSwapOption<Standing>,
    /// Has the map of its cluster asked for, if it has one.
    map_wanted: ArcSwapOption<MapWanted>,
}

impl PoolShare {
    /// A pool without clients that admits at most `max_clients`.
    pub(crate) fn new(
        id: PoolId,
        core: Arc<proxy::PoolShare>,
        keepalive: bool,
        max_clients: usize,
    ) -> Self {
        Self {
            id,
            core,
            keepalive: AtomicBool::new(keepalive),
            max_clients: AtomicUsize::new(max_clients),
            clients: AtomicUsize::new(0),
            acceptance: ArcSwapOption::empty(),
            login_file: ArcSwapOption::empty(),
            balancers: ArcSwapOption::empty(),
            handshakes: AtomicU64::new(0),
            failed_handshakes: AtomicU64::new(0),
            standing: ArcSwapOption::empty(),
            map_wanted: ArcSwapOption::empty(),
        }
    }

    pub(crate) fn id(&self) -> PoolId {
        self.id
    }

    pub(crate) fn name(&self) -> &str {
        self.core.name()
    }

    /// The core's part.
    pub(crate) fn core(&self) -> &Arc<proxy::PoolShare> {
        &self.core
    }

    pub(crate) fn keepalive(&self) -> bool {
        self.keepalive.load(Ordering::Relaxed)
    }

    /// From now on connections are made with or without keepalive, and at most `max_clients` clients are admitted; those
    /// that are connected stay as they are.
    pub(crate) fn set_limits(&self, keepalive: bool, max_clients: usize) {
        self.keepalive.store(keepalive, Ordering::Relaxed);
        self.max_clients.store(max_clients, Ordering::Relaxed);
    }

    /// From now on the connections of clients are secured like this. If it is made of the same files as before, nothing changes,
    /// so that sessions can be resumed.
    pub(crate) fn secure(&self, acceptance: Option<&Acceptance>) {
        let known = self.acceptance.load();
        let is_known = match (known.as_deref(), acceptance) {
            (Some(known), Some(acceptance)) => known.is_like(acceptance),
            (known, acceptance) => known.is_none() && acceptance.is_none(),
        };
        if !is_known {
            self.acceptance.store(acceptance.cloned().map(Arc::new));
        }
    }

    /// The files of that are read again; returns whether they are different.
    ///
    /// # Errors
    ///
    /// When one cannot be read, or is not what it should be; nothing changes then.
    pub(crate) fn renew_acceptance(&self, read: ReadFile<'_>) -> Result<bool, Fault> {
        let Some(known) = self.acceptance.load_full() else {
            return Ok(false);
        };
        let newer = known.renewed(read)?;
        if newer.is_like(&known) {
            return Ok(false);
        }
        // A reload may have changed it meanwhile, which has read the files, too.
        self.acceptance
            .compare_and_swap(&Some(known), Some(Arc::new(newer)));
        Ok(true)
    }

    /// How the connections of clients are secured, where they are.
    pub(crate) fn acceptance(&self) -> Option<Arc<Acceptance>> {
        self.acceptance.load_full()
    }

    /// From now on the logins of the servers are in this file.
    pub(crate) fn set_login_file(&self, file: Option<&LoginFile>) {
        self.login_file.store(file.cloned().map(Arc::new));
    }

    /// The file with the logins of the servers.
    pub(crate) fn login_file(&self) -> Option<Arc<LoginFile>> {
        self.login_file.load_full()
    }

    /// The logins of the servers are read again; returns whether they are different.
    ///
    /// # Errors
    ///
    /// What is wrong with the file; nothing changes then.
    pub(crate) fn renew_logins(&self, read: ReadFile<'_>) -> Result<bool, String> {
        let (Some(file), plan) = (self.login_file(), self.core.plan()) else {
            return Ok(false);
        };
        let Some(logins) = &plan.settings.server_logins else {
            return Ok(false);
        };
        let list = file.load(read)?;
        let mut servers = plan.servers.iter().map(|server| server.share.name());
        match servers.find(|name| list.of(name).is_none()) {
            Some(name) => Err(format!("has no line for server '{name}'")),
            None => Ok(logins.replace(list)),
        }
    }

    /// From now on clients from these networks begin with a header of the PROXY protocol, and no others.
    pub(crate) fn expect_headers(&self, balancers: Option<&Networks>) {
        self.balancers.store(balancers.cloned().map(Arc::new));
    }

    /// Whether a client that was accepted is to begin with a header of the PROXY protocol.
    pub(crate) fn expects_header(&self, stream: &Stream) -> bool {
        let balancers = self.balancers.load();
        let balancers = balancers.as_ref();
        balancers.is_some_and(|balancers| balancers.contain(stream.peer()))
    }

    /// A client's handshake (of TLS, or the header of a load balancer) was completed, or has failed.
    pub(crate) fn note_handshake(&self, is_completed: bool) {
        let count = match is_completed {
            true => &self.handshakes,
            false => &self.failed_handshakes,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// How many handshakes of clients were completed, and how many have failed.
    pub(crate) fn handshakes(&self) -> (u64, u64) {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (count(&self.handshakes), count(&self.failed_handshakes))
    }

    /// Its servers are found, and the search stands so; or they are not.
    pub(crate) fn set_standing(&self, standing: Option<Arc<Standing>>) {
        self.standing.store(standing);
    }

    /// Its servers are to be looked for at once, if they are found.
    pub(crate) fn look_for_servers(&self) {
        if let Some(standing) = &*self.standing.load() {
            standing.wake();
        }
    }

    /// How the search for its servers stands, if they are found.
    pub(crate) fn standing(&self) -> Option<Arc<Standing>> {
        self.standing.load_full()
    }

    /// From now on this has the map of its cluster asked for.
    pub(crate) fn set_map_wanted(&self, wanted: Option<MapWanted>) {
        self.map_wanted.store(wanted.map(Arc::new));
    }

    /// A worker wants a newer map of the cluster; `node` has one.
    pub(crate) fn want_map(&self, node: Option<proxy::settings::Address>) {
        if let Some(wanted) = &*self.map_wanted.load() {
            wanted.ask(node);
        }
    }

    /// Current clients.
    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Whether one more client may be admitted. Only one thread admits clients, so the answer is still true
    /// when the client is counted.
    pub(crate) fn has_room(&self) -> bool {
        self.clients() < self.max_clients.load(Ordering::Relaxed)
    }

    pub(crate) fn add_client(&self) {
        self.clients.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove_client(&self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }
}
