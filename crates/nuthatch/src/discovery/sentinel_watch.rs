//! One Sentinel, which a thread asks for masters: every second, when it says that one has changed, and when it is to.
//!
//! What Sentinels say, and how: <https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use proxy::Security;
use proxy::limits::MAX_REPLICAS;
use proxy::settings::Address;

use super::asker::{Asker, Credentials};
use super::reply::Reply;
use crate::config::SentinelSource;
use crate::resolver::Resolver;
use crate::standing::Wake;

/// How long it may take to connect, and to answer a question.
const TIME_LIMIT: Duration = Duration::from_secs(1);

/// How often it is asked although it says nothing.
const EVERY: Duration = Duration::from_secs(1);

/// How long it takes at most until the thread notices that it is to ask.
const NOTICE: Duration = Duration::from_millis(50);

/// From one time that it is asked to the next, however much it says.
const PAUSE: Duration = Duration::from_millis(20);

/// Longest name of a host that it may tell, in bytes (RFC 1035).
const LONGEST_HOST: usize = 255;

/// Other Sentinels that one may tell of; the rest is not looked at.
const MOST_OTHERS: usize = 64;

/// What one Sentinel says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Who it is.
    pub(super) id: String,
    /// The masters that it knows, by name.
    pub(super) masters: HashMap<String, Told>,
    /// Other Sentinels.
    pub(super) others: Vec<Address>,
}

/// What it says of a master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) address: Address,
    /// Counts the failovers: who has a larger one knows more.
    pub(super) epoch: i64,
    /// Its replicas that work, in order, if they are asked for.
    pub(super) replicas: Vec<Address>,
}

/// A Sentinel that is asked, until this is dropped.
#[derive(Debug)]
pub(super) struct Watched {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    asks_again: AtomicBool,
    is_over: AtomicBool,
}

/// How it is with a Sentinel.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// What it says, if it answers.
    pub(super) view: Option<View>,
    /// Who it was when it answered last; `None` if it never has.
    pub(super) id: Option<String>,
    /// Why it does not answer, if it does not.
    pub(super) problem: Option<String>,
    /// When it has answered last, or when it was first asked.
    pub(super) since: Instant,
    /// Counts what was new.
    pub(super) version: u64,
}

impl Watched {
    /// Asks the Sentinel at `address` from now on; `wake` is told of what is new.
    ///
    /// # Errors
    ///
    /// When no thread can be created.
    pub(super) fn start(
        address: Address,
        source: &Arc<SentinelSource>,
        security: Option<&Security>,
        asks_replicas: bool,
        resolver: &Resolver,
        wake: &Wake,
    ) -> io::Result<Self> {
        let state = State {
            view: None,
            id: None,
            problem: None,
            since: Instant::now(),
            version: 0,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            asks_again: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let watch = Watch {
            address,
            source: Arc::clone(source),
            security: security.cloned(),
            asks_replicas,
            resolver: resolver.clone(),
            wake: wake.clone(),
            shared: Arc::clone(&shared),
        };
        let thread = thread::Builder::new().name("sentinel".into());
        thread.spawn(move || watch.run())?;
        Ok(Self { shared })
    }

    /// How it is.
    pub(super) fn state(&self) -> State {
        self.shared.lock().clone()
    }

    /// It is to be asked at once.
    pub(super) fn ask_again(&self) {
        self.shared.asks_again.store(true, Ordering::Release);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

/// The thread.
struct Watch {
    address: Address,
    source: Arc<SentinelSource>,
    security: Option<Security>,
    /// Whether to ask for the replicas of the masters.
    asks_replicas: bool,
    resolver: Resolver,
    wake: Wake,
    shared: Arc<Shared>,
}

impl Watch {
    fn run(self) {
        while !self.shared.is_over() {
            if let Err(error) = self.talk() {
                self.note_failure(error.to_string());
            }
            let until = Instant::now() + EVERY;
            while Instant::now() < until && !self.shared.is_over() && !self.takes_order() {
                thread::sleep(NOTICE);
            }
        }
    }

    /// Asks it until it answers no more, or nobody wants to know.
    fn talk(&self) -> io::Result<()> {
        // A connection that is subscribed can ask nothing.
        let (mut asked, mut heard) = (self.open()?, self.open()?);
        match heard.ask(&[b"SUBSCRIBE", b"+switch-master"], TIME_LIMIT)? {
            Reply::List(_) => {}
            other => return Err(io::Error::other(format!("it refuses SUBSCRIBE: {other}"))),
        }
        while !self.shared.is_over() {
            let view = self.ask(&mut asked)?;
            self.note(view);
            self.wait(&mut heard)?;
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn open(&self) -> io::Result<Asker> {
        let credentials = Credentials {
            user: self.source.user.clone(),
            password: self.source.password.clone().map(String::into_bytes),
            security: self.security.clone(),
        };
        Asker::open(&self.address, &credentials, &self.resolver, TIME_LIMIT)
    }

    /// Waits until it says something, is to be asked, or has said nothing for long.
    fn wait(&self, heard: &mut Asker) -> io::Result<()> {
        let until = Instant::now() + EVERY;
        while Instant::now() < until && !self.shared.is_over() && !self.takes_order() {
            match heard.hear(NOTICE) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn takes_order(&self) -> bool {
        self.shared.asks_again.swap(false, Ordering::AcqRel)
    }

    fn ask(&self, asked: &mut Asker) -> io::Result<View> {
        let mut view = View {
            id: self.id(asked)?,
            ..View::default()
        };
        let all = asked.ask(&[b"SENTINEL", b"MASTERS"], TIME_LIMIT)?;
        let all = all.list().ok_or_else(|| refused("MASTERS", &all))?;
        for (name, _) in &self.source.shards {
            let is_it = |it: &&Reply| it.field("name").and_then(Reply::text) == Some(name);
            // Without an epoch nothing can be said of it.
            let epoch = all.iter().find(is_it);
            let epoch = epoch.and_then(|it| it.field("config-epoch")?.integer());
            let words: [&[u8]; 3] = [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", name.as_bytes()];
            // While it leads a failover, only this has the new master.
            let told = asked.ask(&words, TIME_LIMIT)?;
            if let (Some(epoch), Some(address)) = (epoch, address_in(&told)) {
                let replicas = self.replicas(asked, name)?;
                let told = Told {
                    address,
                    epoch,
                    replicas,
                };
                view.masters.insert(name.clone(), told);
            }
        }
        let known = self.source.shards.iter().map(|(name, _)| name);
        for name in known.filter(|name| view.masters.contains_key(*name)) {
            let words: [&[u8]; 3] = [b"SENTINEL", b"SENTINELS", name.as_bytes()];
            let others = asked.ask(&words, TIME_LIMIT)?;
            let others = others.list().unwrap_or_default();
            let address = |it: &Reply| address_of(it.field("ip")?, it.field("port")?);
            for other in others.iter().take(MOST_OTHERS).filter_map(address) {
                if !view.others.contains(&other) && view.others.len() < MOST_OTHERS {
                    view.others.push(other);
                }
            }
        }
        Ok(view)
    }

    /// The replicas of a master that work, as far as it knows, if they are to be known.
    fn replicas(&self, asked: &mut Asker, name: &str) -> io::Result<Vec<Address>> {
        if !self.asks_replicas {
            return Ok(Vec::new());
        }
        let words: [&[u8]; 3] = [b"SENTINEL", b"REPLICAS", name.as_bytes()];
        let told = asked.ask(&words, TIME_LIMIT)?;
        let told = told.list().unwrap_or_default().iter();
        let sound = told.filter(|it| is_sound_replica(it));
        let mut replicas: Vec<Address> = sound
            .filter_map(|it| address_of(it.field("ip")?, it.field("port")?))
            .take(MAX_REPLICAS)
            .collect();
        replicas.sort_by_key(Address::to_string);
        Ok(replicas)
    }

    /// Who it is; by its address if it does not say (before Redis 6.2).
    fn id(&self, asked: &mut Asker) -> io::Result<String> {
        let id = asked.ask(&[b"SENTINEL", b"MYID"], TIME_LIMIT)?;
        let id = id.text().filter(|id| id.len() <= LONGEST_HOST);
        Ok(id.map_or_else(|| self.address.to_string(), str::to_owned))
    }

    fn note(&self, view: View) {
        let mut state = self.shared.lock();
        state.since = Instant::now();
        state.problem = None;
        state.id = Some(view.id.clone());
        if state.view.as_ref() == Some(&view) {
            return;
        }
        state.view = Some(view);
        state.version += 1;
        drop(state);
        self.wake.wake();
    }

    fn note_failure(&self, problem: String) {
        let mut state = self.shared.lock();
        state.problem = Some(problem);
        if state.view.take().is_some() {
            state.version += 1;
            drop(state);
            self.wake.wake();
        }
    }
}

fn refused(what: &str, reply: &Reply) -> io::Error {
    io::Error::other(format!("it refuses SENTINEL {what}: {reply}"))
}

/// Whether a replica, as a Sentinel describes it, is there and gets what its master writes.
fn is_sound_replica(replica: &Reply) -> bool {
    let text = |field| replica.field(field).and_then(Reply::text);
    let bad = ["s_down", "o_down", "disconnected", "failover_in_progress"];
    let flags = text("flags").unwrap_or_default();
    let is_well = !flags.split(',').any(|flag| bad.contains(&flag));
    is_well && text("master-link-status") == Some("ok")
}

/// The address in a list of a host and a port.
fn address_in(reply: &Reply) -> Option<Address> {
    match reply.list()? {
        [host, port] => address_of(host, port),
        _ => None,
    }
}

/// An address that can be one.
fn address_of(host: &Reply, port: &Reply) -> Option<Address> {
    let host = host.text()?;
    let is_sound = |it: u8| it.is_ascii_alphanumeric() || b".:-_".contains(&it);
    let is_host = (1..=LONGEST_HOST).contains(&host.len()) && host.bytes().all(is_sound);
    let port = u16::try_from(port.integer()?).ok();
    let port = port.filter(|port| *port > 0 && is_host)?;
    Some(Address::tcp(host, port))
}
