"""redis-py through the proxy: python redis_py.py PORT PROTOCOL USER PASSWORD ('-' leaves one out)."""

import sys

import redis


def connect(port, protocol, user, password):
    options = {"host": "127.0.0.1", "port": int(port), "decode_responses": True}
    if protocol != "-":
        options["protocol"] = int(protocol)
    if user != "-":
        options["username"] = user
    if password != "-":
        options["password"] = password
    return redis.Redis(**options)


def expect(got, wanted):
    assert got == wanted, f"{got!r} instead of {wanted!r}"


def look_around(client):
    """What the proxy says of itself."""
    info = client.info()
    expect((info["role"], info["redis_mode"], info["cluster_enabled"]), ("master", "standalone", 0))
    assert info["arch_bits"] in (32, 64) and info["connected_clients"] >= 1, info
    expect(client.info("replication", "cluster")["connected_slaves"], 0)
    me = client.client_info()
    expect((me["name"], me["db"], me["user"]), ("py", 0, "default"))
    expect(me["lib-name"].split("(")[0], "redis-py")
    expect([one["name"] for one in client.client_list(client_id=[me["id"]])], ["py"])
    assert str(me["id"]) in [one["id"] for one in client.client_list()]
    commands = client.command()
    expect(len(commands), client.command_count())
    expect(set(commands["mget"]["flags"]), {"readonly", "fast"})
    expect(commands["object"]["subcommands"][0][0], "object|encoding")
    expect(client.command_list(pattern="mge*"), ["mget"])
    expect(client.command_getkeys("MSET", "a", "1", "b", "2"), ["a", "b"])
    [[key, flags]] = client.command_getkeysandflags("GET", "k")
    expect((key, set(flags)), ("k", {"RO", "access"}))
    expect(client.config_get("databases", "save"), {"databases": "1", "save": ""})
    expect(client.role(), ["master", 0, []])
    expect((client.slowlog_get(), client.slowlog_len()), ([], 0))
    expect(client.acl_whoami(), "default")
    assert "get" in client.acl_cat("string") and client.memory_stats()["total.allocated"] > 0
    expect(client.client_tracking_on(optin=True), "OK")
    assert client.time()[0] > 1_700_000_000


def main():
    client = connect(*sys.argv[1:5])
    expect(client.ping(), True)
    expect(client.set("py:a", "1", ex=100), True)
    expect(client.get("py:a"), "1")
    expect(client.get("py:none"), None)
    expect(client.mset({"py:b": "2", "py:c": "3"}), True)
    expect(client.mget("py:a", "py:none", "py:b", "py:c"), ["1", None, "2", "3"])
    expect(client.hset("py:h", mapping={"f": "v", "g": "w"}), 2)
    expect(client.hgetall("py:h"), {"f": "v", "g": "w"})
    expect(client.zadd("py:z", {"m": 1.5}), 1)
    expect(client.zscore("py:z", "m"), 1.5)

    pipe = client.pipeline(transaction=False)
    for number in range(100):
        pipe.set(f"py:p{number}", number)
        pipe.get(f"py:p{number}")
    expect(pipe.execute(), [reply for number in range(100) for reply in (True, str(number))])

    try:
        client.incr("py:h")
        raise AssertionError("a hash was counted up")
    except redis.ResponseError as error:
        assert "WRONGTYPE" in str(error), error
    expect(client.client_setname("py"), True)
    expect(client.client_getname(), "py")
    expect(client.delete("py:a", "py:b", "py:c", "py:h", "py:z"), 5)
    expect(client.exists("py:a", "py:b"), 0)
    look_around(client)
    client.close()
    print("ok", redis.__version__)


main()
