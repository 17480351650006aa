"""pylibmc, which is libmemcached for Python, and python-memcached: they have the same methods."""

import time

from sections import PORT, VARIANT, connections, cut, expect, section, third_time, version

if VARIANT == "pylibmc":
    import pylibmc

    client = pylibmc.Client([f"127.0.0.1:{PORT}"])
    version(f"pylibmc {pylibmc.__version__}")
else:
    import memcache

    client = memcache.Client([f"127.0.0.1:{PORT}"])
    version(f"python-memcached {memcache.__version__}")


@section("connect")
def _():
    assert client.get_stats()


@section("strings")
def _():
    expect(bool(client.set("s", 1)), True)
    expect(client.get("s"), 1)
    expect(client.incr("s", 41), 42)
    expect(client.decr("s", 2), 40)
    expect(bool(client.add("s", "x")), False)
    expect(bool(client.replace("s", "text")), True)
    expect(client.get("s"), "text")
    expect(client.get("none"), None)
    expect(bool(client.delete("s")), True)
    expect(client.get("s"), None)


@section("multi-key")
def _():
    values = {f"m{number}": number for number in range(100)}
    expect(client.set_multi(values), [])
    expect(client.get_multi([*values, "none"]), values)
    expect(bool(client.delete_multi(list(values))), True)
    expect(client.get_multi(list(values)), {})


@section("binary values")
def _():
    value = bytes(range(256)) * 2048
    expect(bool(client.set("b", value)), True)
    expect(client.get("b"), value)
    expect(bool(client.set("object", {"a": [1, 2]})), True)
    expect(client.get("object"), {"a": [1, 2]})


@section("an error keeps the connection")
def _():
    client.set("word", "x")
    before = connections()
    try:
        client.incr("word")
    except Exception as error:
        assert VARIANT == "pylibmc" or "non-numeric" in str(error), error
    expect(client.get("word"), "x")
    expect(connections(), before)


@section("reconnect")
def _():
    client.set("r", 1)
    cut()

    def read():
        # pylibmc tries a server again after two seconds.
        time.sleep(1.5)
        value = client.get("r")
        if value is None:
            raise AssertionError("a miss")
        return value

    expect(third_time(read), 1)
