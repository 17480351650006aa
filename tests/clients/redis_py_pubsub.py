"""redis-py subscribes: python redis_py_pubsub.py PORT PROTOCOL USER PASSWORD ('-' leaves one out)."""

import sys
import time

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


def messages(pubsub, count):
    """The next messages, confirmations included, as far as they come within a few seconds."""
    found, until = [], time.monotonic() + 10
    while len(found) < count and time.monotonic() < until:
        message = pubsub.get_message(timeout=1)
        if message is not None:
            found.append(message)
    return [(one["type"], one["pattern"], one["channel"], one["data"]) for one in found]


def main():
    client = connect(*sys.argv[1:5])
    channels = [f"py:{number}" for number in range(20)]
    with client.pubsub() as pubsub:
        pubsub.subscribe(*channels)
        pubsub.psubscribe("py:1*")
        wanted = [("subscribe", None, name, at + 1) for at, name in enumerate(channels)]
        expect(messages(pubsub, 20), wanted)
        expect(messages(pubsub, 1), [("psubscribe", None, "py:1*", 21)])
        for name in channels:
            assert client.publish(name, "hello " + name) >= 1, name
        heard = messages(pubsub, 31)
        plain = [("message", None, name, "hello " + name) for name in channels]
        expect(sorted(one for one in heard if one[0] == "message"), sorted(plain))
        matched = {one[2] for one in heard if one[0] == "pmessage"}
        expect(matched, {"py:1"} | {f"py:1{digit}" for digit in range(10)})
        for round in range(100):
            client.publish("py:0", round)
        expect([one[3] for one in messages(pubsub, 100)], [str(round) for round in range(100)])
        expect(dict(client.pubsub_numsub("py:0", "py:none")), {"py:0": 1, "py:none": 0})
        expect(client.pubsub_numpat(), 1)
        assert set(channels) <= set(client.pubsub_channels("py:*"))
        pubsub.unsubscribe(channels[0])
        pubsub.punsubscribe()
        kinds = [one[0] for one in messages(pubsub, 2)]
        expect(kinds, ["unsubscribe", "punsubscribe"])
        large = "x" * 200_000
        client.publish("py:1", large)
        expect(messages(pubsub, 1), [("message", None, "py:1", large)])
        pubsub.unsubscribe()
        expect(len(messages(pubsub, 19)), 19)
        expect(pubsub.subscribed, False)

    heard = []
    with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.ssubscribe(**{"py:shard": heard.append})
        until = time.monotonic() + 10
        while not heard and time.monotonic() < until:
            client.execute_command("SPUBLISH", "py:shard", "to the shard")
            pubsub.get_sharded_message(timeout=0.2)
    expect(heard[0]["data"], "to the shard")

    # The connections can be used for anything else.
    expect(client.set("py:after", "1"), True)
    expect(client.delete("py:after"), 1)
    client.close()
    print("ok", redis.__version__)


main()
