"""redis-py through the proxy: python redis_py.py PORT PROTOCOL USER PASSWORD ('-' leaves one out)."""

import sys
import threading

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


def all_keys(client):
    """Commands about the keys of all servers, and scripts that are loaded first."""
    names = {f"py:p{number}" for number in range(100)}
    expect(set(client.scan_iter(match="py:p*", count=7)), names)
    expect(set(client.keys("py:p*")), names)
    assert client.dbsize() >= 100 and client.randomkey() is not None
    double = client.register_script("return 2 * redis.call('GET', KEYS[1])")
    expect([double(keys=[f"py:p{number}"]) for number in (1, 2, 3, 40)], [2, 4, 6, 80])
    expect(client.script_exists(double.sha, "0" * 40), [True, False])
    # Its release is a script; acquiring it again would fail if it were not released.
    for _ in range(2):
        with client.lock("py:lock", timeout=10, blocking_timeout=5):
            expect(client.exists("py:lock"), 1)
        expect(client.exists("py:lock"), 0)


def jobs(client):
    """A worker takes jobs from a list, as queues of jobs do."""
    done = []
    pool = client.connection_pool
    taker = redis.Redis(connection_pool=pool)

    def work():
        while True:
            name, job = taker.brpop("py:jobs", timeout=10)
            if job == "stop":
                return
            done.append((name, job))
            taker.rpush("py:done", job)

    worker = threading.Thread(target=work)
    worker.start()
    for number in range(20):
        expect(client.lpush("py:jobs", number) >= 1, True)
        # A list or a tuple, by the version of the protocol.
        expect(list(client.blpop("py:done", timeout=10)), ["py:done", str(number)])
    client.lpush("py:jobs", "stop")
    worker.join()
    expect(done, [("py:jobs", str(number)) for number in range(20)])
    expect(client.blpop("py:none", timeout=0.1), None)
    expect(client.xread({"py:stream": "$"}, block=50) in ([], {}, None), True)
    # Which servers that was written to, and how many replicas they have.
    expect(client.wait(0, 100), 0)


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

    # The default is a transaction.
    pipe = client.pipeline()
    pipe.set("py:t", "x" * 100_000)
    pipe.strlen("py:t")
    pipe.incr("py:t")
    pipe.getdel("py:t")
    replies = pipe.execute(raise_on_error=False)
    expect(replies[:2], [True, 100_000])
    assert isinstance(replies[2], redis.ResponseError), replies[2]
    expect(replies[3], "x" * 100_000)

    # It is tried again whenever somebody else has changed the key.
    tries = []

    def double(pipe):
        value = int(pipe.get("py:w") or 1)
        if not tries:
            connect(*sys.argv[1:5]).set("py:w", 5)
        tries.append(value)
        pipe.multi()
        pipe.set("py:w", 2 * value)

    client.delete("py:w")
    expect(client.transaction(double, "py:w"), [True])
    expect((tries, client.get("py:w")), ([1, 5], "10"))

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
    all_keys(client)
    jobs(client)
    client.close()
    print("ok", redis.__version__)


main()
