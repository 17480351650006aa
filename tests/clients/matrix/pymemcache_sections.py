"""pymemcache."""

import pymemcache
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError

from sections import PORT, connections, cut, expect, expect_error, section, third_time, version

version(f"pymemcache {pymemcache.__version__}")
client = pymemcache.Client(("127.0.0.1", PORT))


@section("connect")
def _():
    assert client.version()


@section("strings")
def _():
    expect(client.set("s", "1", noreply=False), True)
    expect(client.get("s"), b"1")
    expect(client.incr("s", 41), 42)
    expect(client.decr("s", 2), 40)
    expect(client.add("s", "x", noreply=False), False)
    expect(client.replace("s", "1", noreply=False), True)
    expect(client.append("s", "2", noreply=False), True)
    value, token = client.gets("s")
    expect(value, b"12")
    expect(client.cas("s", "3", token, noreply=False), True)
    expect(client.cas("s", "4", token, noreply=False), False)
    expect(client.touch("s", 100, noreply=False), True)
    expect(client.delete("s", noreply=False), True)


@section("pipelines")
def _():
    # The default is noreply: requests that are not answered, ahead of one that is.
    for number in range(500):
        client.set(f"p{number}", str(number))
    expect(client.get("p499"), b"499")


@section("multi-key")
def _():
    values = {f"m{number}": str(number) for number in range(100)}
    expect(client.set_many(values, noreply=False), [])
    found = client.get_many([*values, "none"])
    expect(found, {key: value.encode() for key, value in values.items()})
    expect(client.delete_many(list(values)), True)
    expect(client.get_many(list(values)), {})


@section("binary values")
def _():
    value = bytes(range(256)) * 2048
    expect(client.set("b", value, noreply=False), True)
    expect(client.get("b"), value)
    expect(client.set("b", b"", noreply=False), True)
    expect(client.get("b"), b"")


@section("an error keeps the connection")
def _():
    before = connections()
    client.set("word", "x", noreply=False)
    expect_error(MemcacheClientError, "non-numeric", client.incr, "word", 1)
    expect(client.get("word"), b"x")
    expect_error(MemcacheServerError, "too large", lambda: client.set("big", b"x" * 2_000_000, noreply=False))
    expect(client.get("word"), b"x")
    # The library itself closes its connection at any error: one more for each.
    expect(connections() - before, 2)


@section("reconnect")
def _():
    client.set("r", "1", noreply=False)
    cut()
    expect(third_time(lambda: client.get("r")), b"1")
