"""Four threads use redis-py with maintenance notifications until SIGTERM: python rolling_redis_py.py PORT.

Nothing is retried, so that each error is seen. Prints what was done and seen, and fails if that is an error.
"""

import signal
import sys
import threading
import time

import redis
from redis.backoff import NoBackoff
from redis.maint_notifications import EndpointType, MaintNotificationsConfig
from redis.retry import Retry

THREADS = 4
stop = threading.Event()
errors = []
counts = [0] * THREADS
addresses = [set() for _ in range(THREADS)]


def use(number, client):
    key = f"py:{number}"
    value = 0
    while not stop.is_set():
        try:
            client.set(key, value)
            got = client.get(key)
            if got != str(value):
                errors.append(f"{got!r} instead of {value!r}")
            # The client's side of the connection tells one connection from another.
            addresses[number].add(client.client_info()["addr"])
        except redis.RedisError as error:
            errors.append(f"{type(error).__name__}: {error}")
        value += 1
        counts[number] += 3
        time.sleep(0.002)


def main(port):
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    clients = [
        redis.Redis(
            host="127.0.0.1",
            port=port,
            protocol=3,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
            maint_notifications_config=MaintNotificationsConfig(enabled=True, endpoint_type=EndpointType.NONE),
        )
        for _ in range(THREADS)
    ]
    threads = [threading.Thread(target=use, args=pair) for pair in enumerate(clients)]
    for thread in threads:
        thread.start()
    print("started", flush=True)
    for thread in threads:
        thread.join()
    connections = sum(len(known) for known in addresses)
    print(f"{redis.__version__}: {sum(counts)} requests, {connections} connections, {len(errors)} errors")
    print("\n".join(errors[:5]))
    # Each client was at a proxy that has ended.
    has_moved = min(len(known) for known in addresses) >= 2
    print("ok" if not errors and has_moved and min(counts) > 100 else "failed")


main(int(sys.argv[1]))
