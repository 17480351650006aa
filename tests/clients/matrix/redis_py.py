"""redis-py, and valkey-py, which began as a copy of it."""

import threading

from sections import PORT, VARIANT, connections, cut, expect, expect_error, section, third_time, version

if VARIANT == "valkey":
    import valkey as library

    Client = library.Valkey
    version(f"valkey-py {library.__version__}")
    options = {}
else:
    import redis as library

    Client = library.Redis
    version(f"redis-py {library.__version__}")
    options = {"protocol": int(VARIANT)}

ResponseError = library.exceptions.ResponseError
client = Client(port=PORT, **options)


@section("connect")
def _():
    expect(client.ping(), True)


@section("strings")
def _():
    expect(client.set("s", "1", ex=100), True)
    expect(client.get("s"), b"1")
    expect(client.incr("s"), 2)
    expect(client.get("none"), None)
    expect(client.append("s", "34"), 3)
    assert 0 < client.ttl("s") <= 100
    expect(client.hset("h", mapping={"f": "v", "g": "w"}), 2)
    expect(client.hgetall("h"), {b"f": b"v", b"g": b"w"})
    expect(client.zadd("z", {"m": 1.5}), 1)
    expect(client.zrange("z", 0, -1, withscores=True)[0][-1], 1.5)


@section("pipelines")
def _():
    pipe = client.pipeline(transaction=False)
    for number in range(500):
        pipe.set(f"p{number}", number).get(f"p{number}")
    wanted = [reply for number in range(500) for reply in (True, str(number).encode())]
    expect(pipe.execute(), wanted)


@section("multi-key")
def _():
    names = [f"m{number}" for number in range(50)]
    expect(client.mset({name: name for name in names}), True)
    expect(client.mget(names + ["none"]), [name.encode() for name in names] + [None])
    expect(client.exists(*names, "none"), 50)
    expect(client.touch(*names), 50)
    expect(client.delete(*names[:25]), 25)
    expect(client.unlink(*names), 25)


@section("binary values")
def _():
    value = bytes(range(256)) * 4096
    expect(client.set(b"\x00\xff\r\n", value), True)
    expect(client.get(b"\x00\xff\r\n"), value)
    expect(client.set("empty", b""), True)
    expect(client.get("empty"), b"")


@section("an error keeps the connection")
def _():
    before = connections()
    client.hset("hash", "f", "v")
    expect_error(ResponseError, "WRONGTYPE", client.incr, "hash")
    expect_error(ResponseError, "unknown command", client.execute_command, "NOSUCHCOMMAND")
    expect_error(ResponseError, "wrong number of arguments", client.execute_command, "GET")
    expect(client.get("none"), None)
    expect(connections(), before)


@section("reconnect")
def _():
    client.set("r", "1")
    cut()
    expect(third_time(lambda: client.get("r")), b"1")


@section("transactions")
def _():
    pipe = client.pipeline()
    pipe.set("{t}a", 1).incr("{t}a").hget("{t}a", "f").set("{t}b", 2)
    replies = pipe.execute(raise_on_error=False)
    expect(replies[:2] + replies[3:], [True, 2, True])
    assert isinstance(replies[2], ResponseError), replies
    expect(client.transaction(lambda pipe: pipe.get("{t}b") and pipe.incr("{t}b")), [b"2", 3])


@section("watch")
def _():
    client.set("{w}a", 1)
    with client.pipeline() as pipe:
        pipe.watch("{w}a")
        expect(pipe.get("{w}a"), b"1")
        client.set("{w}a", 5)
        pipe.multi()
        pipe.set("{w}a", 2)
        expect_error(library.exceptions.WatchError, "", pipe.execute)
    expect(client.get("{w}a"), b"5")
    with client.pipeline() as pipe:
        pipe.watch("{w}a")
        pipe.multi()
        pipe.set("{w}a", 2)
        expect(pipe.execute(), [True])
    lock = client.lock("{w}lock", timeout=10)
    assert lock.acquire(blocking_timeout=2)
    lock.release()


@section("blocking pops")
def _():
    expect(client.blpop("{b}none", 1), None)
    pusher = threading.Timer(0.2, lambda: client.rpush("{b}list", "x", "y"))
    pusher.start()
    expect(list(client.blpop(["{b}none", "{b}list"], 5)), [b"{b}list", b"x"])
    pusher.join()
    expect(client.blmove("{b}list", "{b}other", 5, "LEFT", "RIGHT"), b"y")
    expect(client.brpoplpush("{b}other", "{b}list", 5), b"y")
    expect(client.bzpopmin("{b}zset", 1) or None, None)
    client.xgroup_create("stream", "group", mkstream=True)
    client.xadd("stream", {"f": "v"})
    assert client.xreadgroup("group", "me", {"stream": ">"}, block=2000)
    expect(client.xreadgroup("group", "me", {"stream": ">"}, block=50) or None, None)


@section("publish/subscribe")
def _():
    subscriber = client.pubsub()
    subscriber.subscribe("channel", "other")
    subscriber.psubscribe("chan*")
    kinds = [subscriber.get_message(timeout=5)["type"] for _ in range(3)]
    expect(kinds, ["subscribe", "subscribe", "psubscribe"])
    client.publish("channel", b"x\x00")
    messages = [subscriber.get_message(timeout=5) for _ in range(2)]
    expect(sorted(message["type"] for message in messages), ["message", "pmessage"])
    expect([message["data"] for message in messages], [b"x\x00"] * 2)
    subscriber.unsubscribe("channel")
    expect(subscriber.get_message(timeout=5)["type"], "unsubscribe")
    subscriber.close()


@section("scans")
def _():
    client.mset({f"scan:{number}": 1 for number in range(300)})
    expect(len(set(client.scan_iter("scan:*", count=17))), 300)
    client.hset("scanned", mapping={f"f{number}": 1 for number in range(600)})
    expect(len(dict(client.hscan_iter("scanned"))), 600)
    expect(len(client.keys("scan:*")), 300)
    assert client.dbsize() >= 300


@section("scripts")
def _():
    expect(client.eval("return {KEYS[1], ARGV[1]}", 1, "k", "a"), [b"k", b"a"])
    double = client.register_script("return 2 * redis.call('GET', KEYS[1])")
    client.set("two", 2)
    expect(double(keys=["two"]), 4)
    expect(double(keys=["two"]), 4)
    pipe = client.pipeline(transaction=False)
    double(keys=["two"], client=pipe)
    expect(pipe.execute(), [4])
    expect(client.script_exists(double.sha), [True])
