"""pymemcache through the proxy: python pymemcache_client.py PORT."""

import importlib.metadata
import sys

from pymemcache.client.base import Client, PooledClient


def expect(got, wanted):
    assert got == wanted, f"{got!r} instead of {wanted!r}"


def exercise(client):
    # Without a reply (noreply), which is the library's default, and with one.
    for noreply in (None, False):
        options = {} if noreply is None else {"noreply": noreply}
        client.set("a", b"1", **options)
        expect(client.get("a"), b"1")
    expect(client.get("none"), None)
    expect(client.set_many({f"k{n}": str(n) for n in range(50)}, noreply=False), [])
    expect(client.get_many([f"k{n}" for n in range(50)] + ["none"]), {f"k{n}": b"%d" % n for n in range(50)})
    value, cas = client.gets("a")
    expect(value, b"1")
    expect(client.cas("a", b"2", cas), True)
    expect(client.cas("a", b"3", cas), False)
    expect(client.add("a", b"x", noreply=False), False)
    expect(client.append("a", b"0", noreply=False), True)
    expect(client.incr("a", 5), 25)
    expect(client.decr("a", 1), 24)
    expect(client.touch("a", 100, noreply=False), True)
    expect(client.delete("a", noreply=False), True)
    expect(client.delete("a", noreply=False), False)
    assert client.version()
    stats = client.stats()
    assert stats[b"curr_items"] >= 50 and stats[b"servers_missing"] == 0, stats
    assert isinstance(stats[b"uptime"], int) and isinstance(stats[b"rusage_user"], float), stats


def main():
    server = ("127.0.0.1", int(sys.argv[1]))
    for kind in (Client, PooledClient):
        client = kind(server)
        exercise(client)
        client.close()
    print("ok", importlib.metadata.version("pymemcache"))


main()
