//! Where a key belongs while all servers of its pool are live.

use hashkit::{Belongs, Member, PlaceKind, Ring, slot_of};
use proxy::settings::PoolSettings;
use serde_json::{Value, json};

use super::escapes::hex;

/// The ring of all servers of a pool.
pub(crate) fn ring(settings: &PoolSettings) -> Ring {
    let members: Vec<Member<'_>> = settings
        .servers
        .iter()
        .map(|server| Member {
            name: server.name.as_bytes(),
            weight: server.weight,
            live: true,
        })
        .collect();
    settings.placement.ring(&members)
}

/// Where one key belongs in one pool.
pub(crate) struct Placed<'p> {
    settings: &'p PoolSettings,
    key: &'p [u8],
    belongs: Belongs,
}

impl<'p> Placed<'p> {
    /// `ring` is that of the settings.
    pub(crate) fn of(settings: &'p PoolSettings, ring: &Ring, key: &'p [u8]) -> Self {
        Self {
            settings,
            key,
            // A cluster has no ring.
            belongs: match settings.slots {
                Some(_) => Belongs::Nobody,
                None => settings.placement.explain(ring, key),
            },
        }
    }

    /// The key's hash slot, if the pool's servers are a Redis Cluster, which decides who has it.
    pub(crate) fn slot(&self) -> Option<u16> {
        self.settings.slots.as_ref().map(|_| slot_of(self.key))
    }

    pub(crate) fn settings(&self) -> &'p PoolSettings {
        self.settings
    }

    pub(crate) fn key(&self) -> &'p [u8] {
        self.key
    }

    pub(crate) fn belongs(&self) -> Belongs {
        self.belongs
    }

    /// The index of the server, unless it is chosen at random, or is not known.
    pub(crate) fn index(&self) -> Option<usize> {
        if let Some(slots) = &self.settings.slots {
            return slots.owner(slot_of(self.key));
        }
        match self.belongs {
            Belongs::Only => Some(0),
            Belongs::Hashed { located, .. } => Some(located.index),
            // Some server has a weight, so there is a result.
            Belongs::Drawn | Belongs::Nobody => None,
        }
    }

    /// What the hash has selected, such as `point 0x0000000a`.
    pub(crate) fn point(&self) -> Option<String> {
        let Belongs::Hashed { located, .. } = self.belongs else {
            return None;
        };
        let point = located.point;
        Some(match self.places() {
            PlaceKind::Slot => format!("slot {point}"),
            PlaceKind::Point => format!("point 0x{point:08x}"),
        })
    }

    /// At which index of the ring that is, and how many there are.
    pub(super) fn position(&self, ring: &Ring) -> Option<(u64, u64)> {
        let Belongs::Hashed { located, .. } = self.belongs else {
            return None;
        };
        let position = match self.places() {
            PlaceKind::Slot => u64::from(located.point),
            // Of points with the same value the first counts.
            PlaceKind::Point => {
                let is_it = |it: hashkit::Located| it.point == located.point;
                ring.points().position(is_it)? as u64
            }
        };
        let owned = (0..self.settings.servers.len()).map(|index| ring.points_of(index) as u64);
        Some((position, owned.sum()))
    }

    /// The key and its place.
    pub(crate) fn json(&self) -> Value {
        let placement = &self.settings.placement;
        let mut value = json!({
            "pool": self.settings.name,
            "key": String::from_utf8_lossy(self.key),
        });
        if std::str::from_utf8(self.key).is_err() {
            value["key_hex"] = hex(self.key).into();
        }
        value["distribution"] = match self.slot() {
            Some(_) => "cluster".into(),
            None => placement.distribution.name().into(),
        };
        if let Some(index) = self.index() {
            let server = &self.settings.servers[index];
            value["server"] = server.name.clone().into();
            value["address"] = server.address.to_string().into();
            value["index"] = index.into();
        }
        if let Some(slot) = self.slot() {
            value["slot"] = slot.into();
            return value;
        }
        match self.belongs {
            Belongs::Only => value["why"] = "the only server".into(),
            Belongs::Drawn | Belongs::Nobody => {
                value["why"] = "any server, at each request anew".into()
            }
            Belongs::Hashed { hash, located } => {
                value["function"] = placement.hash.name().into();
                value["hash"] = format!("0x{hash:08x}").into();
                match self.places() {
                    PlaceKind::Slot => value["slot"] = located.point.into(),
                    PlaceKind::Point => value["point"] = format!("0x{:08x}", located.point).into(),
                }
            }
        }
        value
    }

    fn places(&self) -> PlaceKind {
        self.settings.placement.distribution.places()
    }
}
