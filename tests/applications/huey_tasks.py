"""huey: a consumer in threads of its own, and a program that asks for tasks."""

import huey

from sections import PORT, expect, note, section, version

version(f"huey {huey.__version__}")
note("none: each command has one key")
queue = huey.RedisHuey("jobs", host="127.0.0.1", port=PORT)


@queue.task()
def add(a, b):
    return a + b


@queue.task(retries=1)
def fails():
    raise ValueError("as asked")


@queue.lock_task("lock")
def locked():
    return "locked"


consumer = queue.create_consumer(workers=2, periodic=False)
consumer.start()


@section("tasks and their results")
def _():
    results = [add(number, 1) for number in range(20)]
    expect([result.get(blocking=True, timeout=10) for result in results], list(range(1, 21)))


@section("a task that fails")
def _():
    try:
        fails().get(blocking=True, timeout=10)
    except huey.exceptions.TaskException as error:
        assert "as asked" in str(error), error
        return
    raise AssertionError("no error")


@section("a task with a delay")
def _():
    result = add.schedule((2, 2), delay=1)
    expect(result.get(blocking=True, timeout=10), 4)


@section("a lock")
def _():
    expect(locked(), "locked")


consumer.stop(graceful=True)
