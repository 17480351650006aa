"""redis-py and keys of several servers: python redis_py_cross_shard.py PORT PROTOCOL USER PASSWORD ('-' leaves one out)."""

import sys

import redis

SCRIPT = "for _, key in ipairs(KEYS) do redis.call('SET', key, 'lost') end return #KEYS"


def connect(port, protocol, user, password):
    options = {"host": "127.0.0.1", "port": int(port), "decode_responses": True}
    if protocol != "-":
        options["protocol"] = int(protocol)
    if user != "-":
        options["username"] = user
    if password != "-":
        options["password"] = password
    return redis.Redis(**options)


def refused(request):
    try:
        reply = request()
    except redis.ResponseError as error:
        # The library takes the code off the text of the errors that it knows.
        assert "hash" in str(error), error
        return
    raise AssertionError(f"it was answered {reply!r}")


def main():
    client = connect(*sys.argv[1:5])
    keys = [f"py:cross:{number}" for number in range(12)]
    refused(lambda: client.eval(SCRIPT, len(keys), *keys))
    refused(lambda: client.sunion(keys))
    refused(lambda: client.sort("py:cross:list", by="py:cross:w_*"))
    pipe = client.pipeline()
    for key in keys:
        pipe.set(key, "lost")
    refused(pipe.execute)
    assert client.mget(keys) == [None] * len(keys)
    assert client.eval(SCRIPT, 1, keys[0]) == 1
    assert client.delete(*keys) == 1
    assert client.client_info()["cross-shard"] == "error", client.client_info()
    assert all("cross-shard" in one for one in client.client_list())
    client.close()
    print("ok", redis.__version__)


main()
