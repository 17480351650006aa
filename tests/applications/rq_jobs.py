"""RQ: jobs that a worker does, which ends when there are none left."""

import operator

import redis
import rq

from sections import PLACE, PORT, expect, note, section, version

version(f"RQ {rq.VERSION}")
client = redis.Redis(port=PORT)
queue = rq.Queue(connection=client)


def work():
    rq.SimpleWorker([queue], connection=client).work(burst=True, logging_level="CRITICAL")


if PLACE == "three":
    note("one-server pool only: no option puts its keys on one server")

    @section("jobs and their results")
    def _():
        # A job has a random name, so one may by chance be on the server of the queue.
        for taken in range(50):
            try:
                queue.enqueue(operator.add, 1, 2)
            except redis.ResponseError as error:
                # Nothing of the refused job may be there.
                expect([len(client.keys("rq:job:*")), client.llen("rq:queue:default")], [taken] * 2)
                return error
        raise AssertionError("a job was taken whose keys are on several servers")

else:

    @section("jobs and their results")
    def _():
        jobs = [queue.enqueue(operator.add, number, 1) for number in range(10)]
        work()
        expect([job.latest_result().return_value for job in jobs], list(range(1, 11)))

    @section("a job that fails")
    def _():
        job = queue.enqueue(operator.truediv, 1, 0)
        work()
        expect(str(job.get_status()), "JobStatus.FAILED")
        expect(queue.failed_job_registry.count, 1)

    @section("a job that waits for another")
    def _():
        first = queue.enqueue(operator.add, 1, 2)
        second = queue.enqueue(operator.add, 3, 4, depends_on=first)
        work()
        expect([first.return_value(), second.return_value()], [3, 7])
