"""Runs the sections of a script: each prints one line, and the next one runs whatever happened."""

import asyncio
import os
import signal
import socket
import traceback

PORT = int(os.environ["PORT"])
PLACE = os.environ["PLACE"]
VARIANT = os.environ["VARIANT"]

# Seconds that a section may take.
LIMIT = 15


class TooLong(BaseException):
    """Not an Exception, so that no library under test takes it for an error of its own."""


def _reason(error):
    text = " ".join(str(error).split())
    where = traceback.extract_tb(error.__traceback__)[-1]
    if isinstance(error, AssertionError) and not text:
        text = where.line
    return f"{type(error).__name__}: {text}"[:300]


def _too_long(_signal, _frame):
    raise TooLong(f"took longer than {LIMIT} s")


def version(text):
    print(f"version {text}", flush=True)


def note(text):
    print(f"note {text}", flush=True)


def refused(name, error):
    """Says that what was tried is refused clearly, and that nothing of it was done."""
    print(f"{name} refused: {' '.join(str(error).split())[:300]}", flush=True)


def section(name, limit=LIMIT):
    """A decorator that runs a function at once. What it returns, if anything, is why it is refused."""

    def run(function):
        signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(limit)
        try:
            refusal = function()
            signal.alarm(0)
            if refusal is None:
                print(f"{name} ok", flush=True)
            else:
                refused(name, refusal)
        except (Exception, TooLong) as error:
            signal.alarm(0)
            print(f"{name} FAILED: {_reason(error)}", flush=True)
        return function

    return run


async def async_section(name, function, limit=LIMIT):
    """The same for a coroutine function."""
    try:
        await asyncio.wait_for(function(), limit)
        print(f"{name} ok", flush=True)
    except Exception as error:
        print(f"{name} FAILED: {_reason(error)}", flush=True)


def _order(word):
    with socket.create_connection(("127.0.0.1", int(os.environ["CONTROL"])), 10) as control:
        control.sendall(f"{word}\n".encode())
        return int(control.makefile().read())


def connections():
    """How many connections were opened so far."""
    return _order("count")


def cut():
    """Closes every connection."""
    return _order("cut")


def expect(got, wanted):
    if got != wanted:
        raise AssertionError(f"{got!r:.200}, not {wanted!r:.200}")


def expect_error(error_type, text, function, *arguments):
    try:
        got = function(*arguments)
    except error_type as error:
        assert text in str(error), f"the error says: {error}"
        return
    raise AssertionError(f"{got!r:.100} instead of an error {text}")


def third_time(function):
    """Calls a function until it succeeds, three times at most."""
    for attempt in range(3):
        try:
            return function()
        except Exception:
            if attempt == 2:
                raise
