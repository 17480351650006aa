"""pymemcache and a flush that is not allowed: python pymemcache_refused.py PORT."""

import importlib.metadata
import sys

from pymemcache.client.base import Client


def main():
    client = Client(("127.0.0.1", int(sys.argv[1])))
    client.set("refused:k", b"1", noreply=False)
    # Without a reply (noreply), which is the library's default.
    client.flush_all()
    assert client.get("refused:k") == b"1"
    client.close()
    print("ok", importlib.metadata.version("pymemcache"))


main()
