//! A digest of where the keys of a pool are: proxies with the same one send every key to the same server.

use sha1::{Digest, Sha1};

use crate::settings::PoolSettings;

impl PoolSettings {
    /// The digest of what decides where a key is: hash, distribution, hash tag, and the servers with their names, addresses,
    /// databases and weights. It is the same in every process and version. What happens when servers fail has no part in it. That of
    /// a pool of a Redis Cluster is 0.
    pub fn ring_digest(&self) -> u32 {
        if self.slots.is_some() {
            // Where keys are is up to the cluster.
            return 0;
        }
        let placement = &self.placement;
        let tag = placement.tag.map(|tag| (tag.open, tag.close));
        let mut text = format!(
            "{}\n{}\n{tag:?}\n",
            placement.hash.name(),
            placement.distribution.name()
        );
        for server in &self.servers {
            // A name can hold anything but a line end.
            text += &format!(
                "{}\n{}\n{} {}\n",
                server.name, server.address, server.db, server.weight
            );
        }
        let digest = Sha1::digest(text.as_bytes());
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    }
}

#[cfg(test)]
mod tests {
    use hashkit::{Distribution, HashKind, HashTag};

    use super::*;
    use crate::settings::{Address, MemcachedSettings, ProtocolSettings, ServerSettings};

    const TAG: HashTag = HashTag {
        open: b'{',
        close: b'}',
    };

    fn settings() -> PoolSettings {
        let server = |(name, port): (&str, u16)| ServerSettings {
            name: name.into(),
            pname: String::new(),
            address: Address::tcp("h", port),
            weight: 1,
            db: 0,
            replication: Default::default(),
        };
        let protocol = ProtocolSettings::Memcached(MemcachedSettings::default());
        let servers = [("a", 1), ("b", 2)].map(server).into();
        PoolSettings::new("pool", servers, protocol)
    }

    #[test]
    fn it_stays_what_it_is() {
        assert_eq!(format!("{:08x}", settings().ring_digest()), "9b4f6ea2");
    }

    #[test]
    fn what_moves_keys_changes_it_and_nothing_else_does() {
        type Change = fn(&mut PoolSettings);
        let changes: [(Change, bool); 9] = [
            (|it| it.name.push('x'), false),
            (|it| it.auto_eject_hosts = true, false),
            (|it| it.server_connections = 7, false),
            (|it| it.servers[1].name.push('x'), true),
            (|it| it.servers[1].address = Address::tcp("h", 3), true),
            (|it| it.servers[1].weight = 2, true),
            (|it| it.placement.hash = HashKind::Murmur, true),
            (|it| it.placement.distribution = Distribution::Modula, true),
            (|it| it.placement.tag = Some(TAG), true),
        ];
        for (number, (change, moves)) in changes.into_iter().enumerate() {
            let mut changed = settings();
            change(&mut changed);
            let differs = changed.ring_digest() != settings().ring_digest();
            assert_eq!(differs, moves, "change {number}");
        }
    }
}
