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
    client.close()
    print("ok", redis.__version__)


main()
