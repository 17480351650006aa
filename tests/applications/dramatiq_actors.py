"""dramatiq: a worker in threads, and results."""

import importlib.metadata
import sys

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from sections import PLACE, PORT, expect, note, section, version

version(f"dramatiq {importlib.metadata.version('dramatiq')}")
broker = RedisBroker(host="127.0.0.1", port=PORT)
broker.add_middleware(Results(backend=RedisBackend(host="127.0.0.1", port=PORT)))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def add(a, b):
    return a + b


if PLACE == "three":
    note("one-server pool only: its scripts name no key, so no option puts its keys on one server")

    @section("messages and their results")
    def _():
        try:
            add.send(1, 1)
        except redis.ResponseError as error:
            expect(redis.Redis(port=PORT).keys("*"), [])
            return error
        raise AssertionError("a message was taken whose keys are on several servers")

    sys.exit()

worker = dramatiq.Worker(broker, worker_threads=2, worker_timeout=100)
worker.start()


@section("messages and their results")
def _():
    messages = [add.send(number, 1) for number in range(20)]
    wanted = list(range(1, 21))
    expect([message.get_result(block=True, timeout=10000) for message in messages], wanted)


@section("a group")
def _():
    group = dramatiq.group([add.message(1, 1), add.message(2, 2)]).run()
    expect(list(group.get_results(block=True, timeout=10000)), [2, 4])


@section("a message with a delay")
def _():
    message = add.send_with_options(args=(2, 2), delay=500)
    expect(message.get_result(block=True, timeout=10000), 4)


worker.stop()
