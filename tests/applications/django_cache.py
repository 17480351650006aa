"""Django: its own cache for Redis or memcached, sessions in the cache, and django-redis with its locks."""

import importlib.metadata

import django
from django.conf import settings

from sections import PLACE, PORT, VARIANT, expect, note, section, version

BACKENDS = {
    "redis": ("django.core.cache.backends.redis.RedisCache", f"redis://127.0.0.1:{PORT}"),
    "django-redis": ("django_redis.cache.RedisCache", f"redis://127.0.0.1:{PORT}"),
    "pymemcache": ("django.core.cache.backends.memcached.PyMemcacheCache", f"127.0.0.1:{PORT}"),
    "pylibmc": ("django.core.cache.backends.memcached.PyLibMCCache", f"127.0.0.1:{PORT}"),
}
backend, location = BACKENDS[VARIANT]
settings.configure(
    CACHES={"default": {"BACKEND": backend, "LOCATION": location}},
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    INSTALLED_APPS=["django.contrib.sessions"],
)
django.setup()

from django.contrib.sessions.backends.cache import SessionStore  # noqa: E402
from django.core.cache import cache  # noqa: E402

IS_REDIS = "redis" in VARIANT
also = f", django-redis {importlib.metadata.version('django-redis')}" if VARIANT == "django-redis" else ""
version(f"Django {django.__version__}{also}")
if PLACE == "three" and IS_REDIS:
    note("`transactions: per_shard` (for `set_many`) and `allow_flush: true` (for `clear`)")


@section("get, set, add, incr, touch, delete")
def _():
    cache.set("a", {"x": [1, 2]}, 100)
    expect(cache.get("a"), {"x": [1, 2]})
    expect(cache.add("a", 1), False)
    cache.set("n", 1)
    expect(cache.incr("n", 41), 42)
    expect(cache.decr("n"), 41)
    expect(bool(cache.touch("a", 50)), True)
    expect(cache.get_or_set("b", lambda: "made", 100), "made")
    expect(bool(cache.delete("a")), True)
    expect(cache.get("a", "none"), "none")


@section("set_many, get_many, delete_many")
def _():
    values = {f"many{number}": number for number in range(50)}
    expect(list(cache.set_many(values, 100) or []), [])
    expect(cache.get_many([*values, "none"]), values)
    cache.delete_many(list(values))
    expect(cache.get_many(list(values)), {})


@section("clear")
def _():
    cache.set("a", 1)
    cache.clear()
    expect(cache.get("a"), None)


@section("sessions")
def _():
    session = SessionStore()
    session["user"] = 7
    session.create()
    again = SessionStore(session_key=session.session_key)
    expect(again["user"], 7)
    again["user"] = 8
    again.save()
    again.cycle_key()
    expect(SessionStore(session_key=again.session_key)["user"], 8)
    expect(SessionStore(session_key=session.session_key).get("user"), None)
    again.flush()


if VARIANT == "django-redis":

    @section("locks")
    def _():
        with cache.lock("lock", timeout=10):
            other = cache.lock("lock", timeout=10)
            expect(other.acquire(blocking=False), False)
        assert other.acquire(blocking_timeout=2)
        other.extend(5)
        other.release()

    @section("delete_pattern, keys, ttl")
    def _():
        values = {f"pattern{number}": number for number in range(50)}
        for key, value in values.items():
            cache.set(key, value, 100)
        expect(len(cache.keys("pattern*")), 50)
        expect(cache.ttl("pattern7") > 50, True)
        expect(cache.delete_pattern("pattern*"), 50)
