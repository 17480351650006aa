"""limits, the rate limiter that Flask-Limiter and slowapi use."""

import importlib.metadata

import limits
from limits.storage import MemcachedStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

from sections import PORT, VARIANT, expect, note, section, version

version(f"limits {importlib.metadata.version('limits')}")
if VARIANT == "memcached":
    storage = MemcachedStorage(f"memcached://127.0.0.1:{PORT}")
    strategies = [FixedWindowRateLimiter, SlidingWindowCounterRateLimiter]
else:
    note("none: a script's keys have a hash tag")
    storage = RedisStorage(f"redis://127.0.0.1:{PORT}")
    strategies = [FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter]

for strategy in strategies:

    @section(strategy.__name__)
    def _():
        limiter = strategy(storage)
        limit = limits.parse("5/hour")
        name = strategy.__name__
        expect([limiter.hit(limit, name) for _ in range(7)], [True] * 5 + [False] * 2)
        expect(limiter.test(limit, name), False)
        expect(limiter.get_window_stats(limit, name).remaining, 0)
        expect(limiter.hit(limit, f"another-{name}"), True)
        limiter.clear(limit, name)
        expect(limiter.hit(limit, name), True)
