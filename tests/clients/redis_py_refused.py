"""redis-py and refused commands: python redis_py_refused.py PORT PROTOCOL USER PASSWORD ('-' leaves one out)."""

import sys

import redis


def connect(port, protocol, user, password, **more):
    options = {"host": "127.0.0.1", "port": int(port), "decode_responses": True, **more}
    if protocol != "-":
        options["protocol"] = int(protocol)
    if user != "-":
        options["username"] = user
    if password != "-":
        options["password"] = password
    return redis.Redis(**options)


def expect(got, wanted):
    assert got == wanted, f"{got!r} instead of {wanted!r}"


def refused(what, *reasons):
    """Runs something that must fail each time, like an application that retries."""
    for _ in range(3):
        try:
            what()
        except redis.RedisError as error:
            assert any(reason in str(error) for reason in reasons), repr(error)
        else:
            raise AssertionError("it was not refused")


def main():
    client = connect(*sys.argv[1:5])

    other = connect(*sys.argv[1:5], db=1)
    refused(lambda: other.set("refused:k", "x"), "Invalid Database", "DB index")
    expect(client.get("refused:k"), None)

    # The connections are still usable.
    expect(client.incr("refused:c"), 1)
    expect(client.delete("refused:c"), 1)
    other.close()
    client.close()
    print("ok", redis.__version__)


main()
