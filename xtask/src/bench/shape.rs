//! The shapes of load.

use super::options::Options;

/// Maximum memory for the values of all keys of a shape, over all servers.
const VALUES_TOGETHER: usize = 64 << 20;

/// One shape of load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) protocol: Protocol,
    pub(super) clients: usize,
    pub(super) pipeline: usize,
    /// Size of a value in bytes.
    pub(super) size: usize,
    pub(super) ask: Ask,
    /// Servers of the pool.
    pub(super) servers: usize,
}

/// The servers' protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Redis,
    Memcached,
}

/// The kind of requests, and the program that sends them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ask {
    /// SET, then GET, by redis-benchmark.
    SetGet,
    /// Half GET, half SET, by our load generator.
    Mixed,
    /// This many keys at once, by our load generator.
    MultiGet(usize),
    /// The mix, at this fraction of nutcracker's maximum rate, at fixed times.
    OpenLoop(f64),
}

impl Shape {
    /// Number of different keys.
    pub(super) fn keys(&self) -> usize {
        (VALUES_TOGETHER / self.size.max(1)).clamp(16, 10_000)
    }

    /// Number of requests in flight under normal conditions.
    pub(super) fn in_flight(&self) -> usize {
        self.clients * self.pipeline
    }
}

/// Every shape, in the order of measuring.
pub(super) const SHAPES: &[Shape] = &[
    redis("redis-50-p1-3b", 50, 1, 3),
    redis("redis-50-p1-1k", 50, 1, 1_024),
    redis("redis-50-p1-16k", 50, 1, 16 << 10),
    redis("redis-20-p1-1m", 20, 1, 1 << 20),
    redis("redis-200-p1-3b", 200, 1, 3),
    redis("redis-1000-p1-3b", 1_000, 1, 3),
    redis("redis-50-p16-3b", 50, 16, 3),
    redis("redis-50-p16-1k", 50, 16, 1_024),
    redis("redis-50-p16-16k", 50, 16, 16 << 10),
    redis("redis-50-p100-3b", 50, 100, 3),
    asking(Ask::Mixed, redis("redis-50-p1-mixed-100b", 50, 1, 100)),
    asking(Ask::Mixed, redis("redis-50-p16-mixed-100b", 50, 16, 100)),
    asking(Ask::MultiGet(100), redis("redis-mget-100", 50, 1, 3)),
    asking(Ask::OpenLoop(0.6), redis("redis-open-60", 50, 1, 100)),
    memcached("memcached-50-p1-100b", 50, 1, 100),
    memcached("memcached-50-p1-1k", 50, 1, 1_024),
    memcached("memcached-50-p1-16k", 50, 1, 16 << 10),
    memcached("memcached-20-p1-1m", 20, 1, 1 << 20),
    memcached("memcached-200-p1-100b", 200, 1, 100),
    memcached("memcached-1000-p1-100b", 1_000, 1, 100),
    memcached("memcached-50-p16-100b", 50, 16, 100),
    memcached("memcached-50-p100-100b", 50, 100, 100),
    asking(
        Ask::MultiGet(100),
        memcached("memcached-multi-get-100", 50, 1, 100),
    ),
    asking(
        Ask::OpenLoop(0.6),
        memcached("memcached-open-60", 50, 1, 100),
    ),
];

/// The shapes of `--quick`.
const QUICK: [&str; 4] = [
    "redis-50-p1-3b",
    "redis-50-p16-1k",
    "redis-mget-100",
    "memcached-50-p1-100b",
];

/// The selected shapes.
///
/// # Errors
///
/// A name that no shape has.
pub(super) fn select(options: &Options) -> Result<Vec<Shape>, String> {
    if options.shapes.is_empty() && options.quick {
        return QUICK.iter().map(|name| find(name)).collect();
    }
    if options.shapes.is_empty() || options.shapes == ["all"] {
        return Ok(SHAPES.to_vec());
    }
    options.shapes.iter().map(|name| find(name)).collect()
}

/// The shape called `name`.
pub(super) fn find(name: &str) -> Result<Shape, String> {
    let found = SHAPES.iter().find(|shape| shape.name == name).copied();
    found.ok_or_else(|| {
        let names: Vec<_> = SHAPES.iter().map(|shape| shape.name).collect();
        format!("there is no shape {name}; there are: {}", names.join(", "))
    })
}

const fn redis(name: &'static str, clients: usize, pipeline: usize, size: usize) -> Shape {
    Shape {
        name,
        protocol: Protocol::Redis,
        clients,
        pipeline,
        size,
        ask: Ask::SetGet,
        servers: 2,
    }
}

const fn memcached(name: &'static str, clients: usize, pipeline: usize, size: usize) -> Shape {
    Shape {
        protocol: Protocol::Memcached,
        ask: Ask::Mixed,
        ..redis(name, clients, pipeline, size)
    }
}

const fn asking(ask: Ask, shape: Shape) -> Shape {
    let servers = match ask {
        Ask::MultiGet(_) => 4,
        _ => shape.servers,
    };
    Shape {
        ask,
        servers,
        ..shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for shape in SHAPES {
            assert_eq!(find(shape.name), Ok(*shape));
            let same = SHAPES.iter().filter(|other| other.name == shape.name);
            assert_eq!(same.count(), 1);
        }
        assert!(find("redis").unwrap_err().contains("redis-50-p1-3b"));
    }

    #[test]
    fn quick_shapes_exist_and_values_fit() {
        let options = Options::parse(&["--quick"]).unwrap();
        assert_eq!(select(&options).unwrap().len(), QUICK.len());
        for shape in SHAPES {
            assert!(
                shape.keys() * shape.size <= 2 * VALUES_TOGETHER,
                "{}",
                shape.name
            );
            if let Ask::MultiGet(keys) = shape.ask {
                assert!(shape.keys() >= keys);
            }
        }
    }
}
