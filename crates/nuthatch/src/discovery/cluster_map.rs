//! What a node of a Redis Cluster answers to CLUSTER SHARDS (Redis 7 and later, Valkey) or CLUSTER SLOTS: which node has
//! which hash slots. Anything may be in it: it is looked at within bounds, and what is odd is told.

use std::sync::Arc;

use hashkit::SLOTS;
use proxy::SlotMap;
use proxy::limits::MAX_REPLICAS;
use proxy::settings::{Address, ReplicaSettings, Replication, ServerSettings};

use super::reply::Reply;

/// Masters that a cluster may have. Redis recommends at most 1,000 nodes.
pub(crate) const MAX_MASTERS: usize = 1_000;

/// Bytes of the name of a zone.
const MAX_ZONE: usize = 255;

/// Bytes of a host's name, as in DNS.
const MAX_HOST: usize = 255;

/// The masters of a cluster with their slots, as one node has told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClusterMap {
    /// Each master once.
    masters: Vec<Address>,
    /// Of each what is known of its replicas.
    replication: Vec<Replication>,
    /// Indices of `masters`.
    slots: SlotMap,
    /// Ranges of slots whose master cannot be reached, or that make no sense.
    odd: usize,
    /// Slots of which several masters were named; the first one counts.
    doubled: usize,
}

/// How nodes are reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach<'a> {
    /// The host of the node that was asked, for those that do not know their own.
    pub(crate) host: &'a str,
    /// Connections are secured with TLS, for which nodes have a port of its own.
    pub(crate) tls: bool,
}

impl ClusterMap {
    /// The reply to CLUSTER SHARDS.
    ///
    /// # Errors
    ///
    /// When it is none, or names too many masters.
    pub(crate) fn of_shards(reply: &Reply, reach: Reach<'_>) -> Result<Self, String> {
        let mut map = Self::empty();
        for shard in list(reply)? {
            let bounds: Option<Vec<i64>> = shard.field("slots").and_then(|slots| {
                let slots = slots.list()?.iter();
                slots.map(Reply::integer).collect()
            });
            let (Some(bounds), Some(nodes)) = (bounds, shard.field("nodes").and_then(Reply::list))
            else {
                return Err("it answers CLUSTER SHARDS with something else".into());
            };
            let best = best_master(nodes);
            let master = best.and_then(|node| address_in_shards(node, reach));
            if bounds.is_empty() {
                // A new one, to which slots may be moving.
                if let Some(master) = master.filter(|_| best.is_some_and(is_online)) {
                    map.place_of(master)?;
                }
                continue;
            }
            for bounds in bounds.chunks(2) {
                map.add(bounds, master.clone())?;
            }
            let own = Replication {
                zone: best.and_then(zone_of),
                replicas: replicas_in_shards(nodes, reach),
            };
            map.note_replication(master.as_ref(), own);
        }
        Ok(map)
    }

    /// The reply to CLUSTER SLOTS.
    ///
    /// # Errors
    ///
    /// When it is none, or names too many masters.
    pub(crate) fn of_slots(reply: &Reply, reach: Reach<'_>) -> Result<Self, String> {
        let mut map = Self::empty();
        for range in list(reply)? {
            let Some([from, to, master, others @ ..]) = range.list() else {
                return Err("it answers CLUSTER SLOTS with something else".into());
            };
            let bounds = [from, to].map(|bound| bound.integer().unwrap_or(-1));
            let master = address_in_slots(master, reach);
            map.add(&bounds, master.clone())?;
            let others = others.iter().take(MAX_REPLICAS);
            let others = others.filter_map(|node| address_in_slots(node, reach));
            let own = Replication {
                zone: None,
                replicas: others.map(|it| ReplicaSettings::at(it, None)).collect(),
            };
            map.note_replication(master.as_ref(), own);
        }
        Ok(map)
    }

    fn empty() -> Self {
        Self {
            masters: Vec::new(),
            replication: Vec::new(),
            slots: SlotMap::default(),
            odd: 0,
            doubled: 0,
        }
    }

    /// The slots between two bounds are at this master.
    fn add(&mut self, bounds: &[i64], master: Option<Address>) -> Result<(), String> {
        let slots = match bounds {
            [from, to] if 0 <= *from && from <= to && *to < SLOTS as i64 => {
                *from as u16..=*to as u16
            }
            _ => {
                self.odd += 1;
                return Ok(());
            }
        };
        let Some(master) = master else {
            self.odd += 1;
            return Ok(());
        };
        let index = self.place_of(master)?;
        for slot in slots {
            match self.slots.owner(slot) {
                None => self.slots.set(slot, index),
                Some(owner) => self.doubled += usize::from(owner != index),
            }
        }
        Ok(())
    }

    /// The place of a master, which may be a new one.
    fn place_of(&mut self, master: Address) -> Result<usize, String> {
        if let Some(place) = self.masters.iter().position(|it| *it == master) {
            return Ok(place);
        }
        if self.masters.len() == MAX_MASTERS {
            return Err(format!("it names more than {MAX_MASTERS} masters"));
        }
        self.masters.push(master);
        self.replication.push(Replication::default());
        Ok(self.masters.len() - 1)
    }

    /// The reply to CLUSTER NODES tells of masters without slots, which CLUSTER SLOTS leaves out: slots may be moving to them.
    ///
    /// # Errors
    ///
    /// When it names too many masters.
    pub(crate) fn add_nodes(&mut self, reply: &Reply, reach: Reach<'_>) -> Result<(), String> {
        for line in reply.text().unwrap_or_default().lines() {
            if let Some(master) = master_in_nodes(line, reach) {
                self.place_of(master)?;
            }
        }
        Ok(())
    }

    /// What is known of the replicas of a master that was added; a node may tell it for each range of its slots.
    fn note_replication(&mut self, master: Option<&Address>, mut own: Replication) {
        // In the same order whichever node tells it, so that nothing seems to have changed.
        own.replicas.sort_by(|a, b| a.name.cmp(&b.name));
        own.replicas.dedup_by(|a, b| a.name == b.name);
        let place = self.masters.iter().position(|it| Some(it) == master);
        if let Some(place) = place {
            self.replication[place] = own;
        }
    }

    /// The masters.
    pub(crate) fn masters(&self) -> &[Address] {
        &self.masters
    }

    /// What is wrong with it, if anything is: it is of use all the same.
    pub(crate) fn problem(&self) -> Option<String> {
        let (unknown, doubled, odd) = (self.slots.unknown(), self.doubled, self.odd);
        let parts = [
            (unknown, "slots without a master"),
            (doubled, "slots with several masters"),
            (odd, "ranges of slots that cannot be used"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// The same as a plan needs it. Masters that are in `before` keep their places, as far as possible, and others take those
    /// that are free.
    pub(crate) fn plan(&self, before: &[ServerSettings]) -> (Vec<ServerSettings>, Arc<SlotMap>) {
        let stays = |server: &ServerSettings| self.masters.contains(&server.address);
        let mut new = (0..self.masters.len()).filter(|master| {
            let is_it = |server: &ServerSettings| server.address == self.masters[*master];
            !before.iter().any(is_it)
        });
        let mut order: Vec<usize> = Vec::with_capacity(self.masters.len());
        for server in before {
            let place = match stays(server) {
                true => self.masters.iter().position(|it| *it == server.address),
                false => new.next(),
            };
            order.extend(place);
        }
        order.extend(new);
        order.truncate(self.masters.len());
        let mut slots = SlotMap::default();
        for slot in 0..SLOTS as u16 {
            let owner = self.slots.owner(slot);
            let place = owner.and_then(|owner| order.iter().position(|it| *it == owner));
            if let Some(place) = place {
                slots.set(slot, place);
            }
        }
        let servers = order.into_iter().map(|at| ServerSettings {
            replication: self.replication[at].clone(),
            ..server_at(&self.masters[at])
        });
        (servers.collect(), Arc::new(slots))
    }
}

/// The server of a pool that a node is.
pub(crate) fn server_at(address: &Address) -> ServerSettings {
    let name = address.to_string();
    ServerSettings {
        pname: format!("{name}:1"),
        name,
        address: address.clone(),
        weight: 1,
        db: 0,
        replication: Default::default(),
    }
}

fn list(reply: &Reply) -> Result<&[Reply], String> {
    match reply {
        Reply::List(elements) => Ok(elements),
        Reply::Error(line) => Err(format!("it answers {line}")),
        _ => Err("it answers something else".into()),
    }
}

/// Of the masters of a shard, that which is best: a failed one may still be listed beside the one that has taken over.
fn best_master(nodes: &[Reply]) -> Option<&Reply> {
    let text = |node: &Reply, field| node.field(field).and_then(Reply::text).map(str::to_owned);
    let masters = nodes
        .iter()
        .filter(|node| text(node, "role").as_deref() == Some("master"));
    masters.min_by_key(|node| match text(node, "health").as_deref() {
        Some("online") | None => 0,
        // It has its slots, and lets requests wait until its data is there.
        Some("loading") => 1,
        Some(_) => 2,
    })
}

fn is_online(node: &Reply) -> bool {
    let health = node.field("health").and_then(Reply::text);
    health == Some("online")
}

/// The master of a line `id ip:port@bus,host flags ...` of CLUSTER NODES, if it is one that can be reached.
fn master_in_nodes(line: &str, reach: Reach<'_>) -> Option<Address> {
    let mut words = line.split(' ').skip(1);
    let (address, flags) = (words.next()?, words.next()?);
    let has = |flag| flags.split(',').any(|it| it == flag);
    if !has("master")
        || ["fail", "fail?", "handshake", "noaddr"]
            .into_iter()
            .any(has)
    {
        return None;
    }
    let address = address.split('@').next()?;
    let (host, port) = address.rsplit_once(':')?;
    let host = if host.is_empty() { reach.host } else { host };
    self::address(host, port.parse().ok()?)
}

/// The replicas of a shard that can be read.
fn replicas_in_shards(nodes: &[Reply], reach: Reach<'_>) -> Vec<ReplicaSettings> {
    let text = |node: &Reply, field| node.field(field).and_then(Reply::text).map(str::to_owned);
    let replicas = nodes.iter().filter(|node| {
        let is_well = text(node, "health").as_deref() == Some("online");
        is_well && matches!(text(node, "role").as_deref(), Some("replica" | "slave"))
    });
    let known = replicas.filter_map(|node| {
        let address = address_in_shards(node, reach)?;
        Some(ReplicaSettings::at(address, zone_of(node)))
    });
    known.take(MAX_REPLICAS).collect()
}

/// The zone that a node has told the others (Valkey 8.1 and later).
fn zone_of(node: &Reply) -> Option<Box<str>> {
    let zone = node.field("availability-zone").and_then(Reply::text)?;
    (1..=MAX_ZONE).contains(&zone.len()).then(|| zone.into())
}

fn address_in_shards(node: &Reply, reach: Reach<'_>) -> Option<Address> {
    let ip = node.field("ip").and_then(Reply::text).unwrap_or_default();
    let host = match node.field("endpoint") {
        // As it was asked.
        Some(Reply::Nil) | None => reach.host,
        Some(endpoint) => match endpoint.text().unwrap_or_default() {
            "" | "?" if !ip.is_empty() => ip,
            // It does not know its own address yet; others it would know.
            "" => reach.host,
            endpoint => endpoint,
        },
    };
    let port = match reach.tls {
        true => node.field("tls-port"),
        false => node.field("port"),
    };
    address(host, port?.integer()?)
}

fn address_in_slots(node: &Reply, reach: Reach<'_>) -> Option<Address> {
    let [host, port, ..] = node.list()? else {
        return None;
    };
    let host = match host {
        Reply::Nil => reach.host,
        host => match host.text()? {
            "" => reach.host,
            host => host,
        },
    };
    address(host, port.integer()?)
}

fn address(host: &str, port: i64) -> Option<Address> {
    let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
    let is_host = |byte: u8| byte.is_ascii_graphic();
    let is_sound = host != "?" && !host.is_empty() && host.len() <= MAX_HOST;
    (is_sound && host.bytes().all(is_host)).then(|| Address::tcp(host, port))
}

#[cfg(test)]
mod tests;
