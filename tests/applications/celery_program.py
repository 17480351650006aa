"""Celery: a worker, and a program that asks for tasks and their results."""

import os
import subprocess
import sys

import celery
import kombu

from celery_jobs import add, app, fail
from sections import expect, note, section, version

version(f"Celery {celery.__version__}, kombu {kombu.__version__}")
note("`global_keyprefix` `{celery}:` of the broker and of the results")
here = os.path.dirname(os.path.abspath(__file__))
command = [sys.executable, "-B", "-m", "celery", "-A", "celery_jobs", "worker", "--pool=solo"]
environment = {**os.environ, "PYTHONPATH": f"{here}:{os.environ['PYTHONPATH']}"}
log = open("worker.log", "wb")
worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
try:

    @section("20 tasks and their results", 40)
    def _():
        results = [add.delay(number, 1) for number in range(20)]
        expect([result.get(timeout=30) for result in results], list(range(1, 21)))

    @section("a task that fails", 20)
    def _():
        try:
            fail.delay().get(timeout=15)
        except ValueError as error:
            expect(str(error), "as asked")
            return
        raise AssertionError("no error")

    @section("a group and a chord", 40)
    def _():
        group = celery.group(add.s(number, number) for number in range(5))
        expect(group.delay().get(timeout=15), [0, 2, 4, 6, 8])
        total = app.signature("sum")
        chord = celery.chord([add.s(1, 1), add.s(2, 2)], total)
        expect(chord.delay().get(timeout=15), 6)

    @section("a task with a countdown", 20)
    def _():
        expect(add.apply_async((2, 2), countdown=1).get(timeout=15), 4)

finally:
    worker.terminate()
    try:
        worker.wait(10)
    except subprocess.TimeoutExpired:
        worker.kill()
