"""Flask-Caching: memoized functions, cached views and many keys."""

import importlib.metadata

import flask
from flask_caching import Cache

from sections import PLACE, PORT, VARIANT, expect, note, section, version

version(f"Flask-Caching {importlib.metadata.version('flask-caching')}")
if PLACE == "three" and VARIANT == "RedisCache":
    note("`transactions: per_shard`")
app = flask.Flask("application")
app.config["CACHE_TYPE"] = VARIANT
if VARIANT == "RedisCache":
    app.config["CACHE_REDIS_PORT"] = PORT
else:
    app.config["CACHE_MEMCACHED_SERVERS"] = [f"127.0.0.1:{PORT}"]
cache = Cache(app)
calls = []


@app.route("/view")
@cache.cached(timeout=50)
def view():
    calls.append("view")
    return f"seen {len(calls)}"


@cache.memoize(50)
def doubled(number):
    calls.append(number)
    return 2 * number


@section("cached views")
def _():
    web = app.test_client()
    expect([web.get("/view").text for _ in range(3)], ["seen 1"] * 3)


@section("memoized functions")
def _():
    with app.app_context():
        calls.clear()
        expect([doubled(4), doubled(4), doubled(5)], [8, 8, 10])
        expect(calls, [4, 5])
        cache.delete_memoized(doubled, 4)
        expect(doubled(4), 8)
        expect(calls, [4, 5, 4])


@section("set_many, get_many, delete_many")
def _():
    with app.app_context():
        values = {f"many{number}": number for number in range(50)}
        expect(bool(cache.set_many(values)), True)
        expect(cache.get_many(*values), list(values.values()))
        cache.delete_many(*values)
        expect(cache.get("many7"), None)
