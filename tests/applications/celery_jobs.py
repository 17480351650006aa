"""The tasks of celery_program.py, which its worker imports."""

import os

import celery

PORT = os.environ["PORT"]
URL = f"redis://127.0.0.1:{PORT}/0"
app = celery.Celery("jobs", broker=URL, backend=URL)
# What will be the default, so that no warning is printed.
app.conf.broker_connection_retry_on_startup = True
if os.environ["PLACE"] == "three":
    # All keys of the queue, and those of the results, share a server.
    app.conf.broker_transport_options = {"global_keyprefix": "{celery}:"}
    app.conf.result_backend_transport_options = {"global_keyprefix": "{celery}:"}


@app.task(name="add")
def add(a, b):
    return a + b


@app.task(name="fail")
def fail():
    raise ValueError("as asked")


@app.task(name="sum")
def total(numbers):
    return sum(numbers)
