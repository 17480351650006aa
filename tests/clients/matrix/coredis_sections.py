"""coredis."""

import asyncio

import coredis
from sections import PORT, async_section, connections, cut, expect, version


async def rejected(text, request):
    try:
        got = await request
    except coredis.exceptions.ResponseError as error:
        assert text in str(error), f"the error says: {error}"
        return
    raise AssertionError(f"{got!r:.100} instead of an error {text}")


async def third_time(request):
    for attempt in range(3):
        try:
            return await request()
        except Exception:
            if attempt == 2:
                raise


async def sections(client):
    async def connect():
        expect(await client.ping(), b"PONG")

    async def strings():
        expect(await client.set("s", "1", ex=100), True)
        expect(await client.incr("s"), 2)
        expect(await client.get("s"), b"2")
        expect(await client.get("none"), None)
        expect(await client.hset("h", {"f": "v", "g": "w"}), 2)
        expect(await client.hgetall("h"), {b"f": b"v", b"g": b"w"})
        expect(await client.zadd("z", {"m": 1.5}), 1)
        expect(await client.zscore("z", "m"), 1.5)

    async def pipelines():
        async with client.pipeline(transaction=False) as pipe:
            replies = [pipe.set(f"p{number}", number) for number in range(500)]
            replies += [pipe.get(f"p{number}") for number in range(500)]
        got = [await reply for reply in replies]
        expect(got, [True] * 500 + [str(number).encode() for number in range(500)])

    async def multi_key():
        names = [f"m{number}" for number in range(50)]
        expect(await client.mset({name: name for name in names}), True)
        wanted = [name.encode() for name in names] + [None]
        expect(list(await client.mget([*names, "none"])), wanted)
        expect(await client.exists([*names, "none"]), 50)
        expect(await client.delete(names), 50)

    async def binary_values():
        value = bytes(range(256)) * 4096
        expect(await client.set(b"\x00\xff\r\n", value), True)
        expect(await client.get(b"\x00\xff\r\n"), value)

    async def an_error():
        before = connections()
        await client.hset("hash", {"f": "v"})
        await rejected("", client.incr("hash"))
        expect(await client.get("none"), None)
        expect(connections(), before)

    async def reconnect():
        await client.set("r", "1")
        cut()
        expect(await third_time(lambda: client.get("r")), b"1")

    async def transactions():
        async with client.pipeline() as pipe:
            replies = [pipe.set("{t}a", 1), pipe.incr("{t}a"), pipe.set("{t}b", 2)]
        expect([await reply for reply in replies], [True, 2, True])

    async def watch():
        await client.set("{w}a", 1)
        async with client.pipeline() as pipe:
            async with pipe.watch("{w}a"):
                reply = pipe.set("{w}a", 2)
        expect(await reply, True)
        try:
            async with client.pipeline() as pipe:
                async with pipe.watch("{w}a"):
                    await client.set("{w}a", 5)
                    pipe.set("{w}a", 3)
        except coredis.exceptions.WatchError:
            expect(await client.get("{w}a"), b"5")
            return
        raise AssertionError("no WatchError")

    async def blocking_pops():
        expect(await client.blpop(["{b}none"], 1), None)
        waiting = asyncio.ensure_future(client.blpop(["{b}none", "{b}list"], 5))
        await asyncio.sleep(0.2)
        await client.rpush("{b}list", ["x"])
        expect(list(await waiting), [b"{b}list", b"x"])

    async def publish_subscribe():
        async with client.pubsub(channels=["channel"]) as subscriber:
            expect((await subscriber.get_message(timeout=5))["type"], "subscribe")
            await client.publish("channel", "x")
            expect((await subscriber.get_message(timeout=5))["data"], b"x")

    async def scans():
        await client.mset({f"scan:{number}": 1 for number in range(300)})
        found = set()
        async for key in client.scan_iter(match="scan:*", count=17):
            found.add(key)
        expect(len(found), 300)

    async def scripts():
        double = client.register_script("return 2 * redis.call('GET', KEYS[1])")
        await client.set("two", 2)
        expect(await double(["two"]), 4)
        expect(await double(["two"]), 4)

    for name, body in [
        ("connect", connect),
        ("strings", strings),
        ("pipelines", pipelines),
        ("multi-key", multi_key),
        ("binary values", binary_values),
        ("an error keeps the connection", an_error),
        ("reconnect", reconnect),
        ("transactions", transactions),
        ("watch", watch),
        ("blocking pops", blocking_pops),
        ("publish/subscribe", publish_subscribe),
        ("scans", scans),
        ("scripts", scripts),
    ]:
        await async_section(name, body)


async def main():
    version(f"coredis {coredis.__version__}")
    async with coredis.Redis(port=PORT) as client:
        await sections(client)


asyncio.run(main())
