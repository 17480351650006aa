"""arq: jobs that a worker does, which ends when there are none left."""

import asyncio
import importlib.metadata
import logging

import arq
from arq.connections import RedisSettings
from arq.worker import Worker

from sections import PLACE, PORT, expect, note, refused, version
from sections import async_section

settings = RedisSettings(port=PORT)
logging.disable(logging.CRITICAL)


async def add(_context, a, b):
    return a + b


async def main():
    version(f"arq {importlib.metadata.version('arq')}")
    pool = await arq.create_pool(settings)

    async def jobs():
        asked = [await pool.enqueue_job("add", number, 1) for number in range(10)]
        worker = Worker([add], redis_settings=settings, burst=True, poll_delay=0.05, handle_signals=False)
        await worker.async_run()
        results = [await job.result(timeout=5) for job in asked]
        expect(results, list(range(1, 11)))
        await worker.close()

    if PLACE == "three":
        note("one-server pool only: no option puts its keys on one server")
        # A job has a random name, so one may by chance be on the server of the queue.
        for taken in range(50):
            try:
                await pool.enqueue_job("add", 1, 1)
            except Exception as error:
                # Nothing of the refused job may be there.
                found = [len(await pool.keys("arq:job:*")), await pool.zcard("arq:queue")]
                expect(found, [taken] * 2)
                refused("jobs and their results", error)
                return
        raise AssertionError("jobs were taken whose keys are on several servers")
    else:
        await async_section("jobs and their results", jobs)


asyncio.run(main())
