"""valkey-glide, whose core is written in Rust."""

import asyncio
import importlib.metadata

import glide
from sections import PORT, async_section, connections, cut, expect, version


async def third_time(request):
    for attempt in range(3):
        try:
            return await request()
        except Exception:
            if attempt == 2:
                raise
            await asyncio.sleep(0.2)


def configuration():
    return glide.GlideClientConfiguration([glide.NodeAddress("127.0.0.1", PORT)])


async def sections(client):
    async def connect():
        expect(await client.ping(), b"PONG")

    async def strings():
        expect(await client.set("s", "1"), "OK")
        expect(await client.incr("s"), 2)
        expect(await client.get("s"), b"2")
        expect(await client.get("none"), None)
        expect(await client.hset("h", {"f": "v", "g": "w"}), 2)
        expect(await client.hgetall("h"), {b"f": b"v", b"g": b"w"})
        expect(await client.zadd("z", {"m": 1.5}), 1)
        expect(await client.zscore("z", "m"), 1.5)

    async def pipelines():
        batch = glide.Batch(is_atomic=False)
        for number in range(500):
            batch.set(f"p{number}", str(number)).get(f"p{number}")
        wanted = [reply for number in range(500) for reply in ("OK", str(number).encode())]
        expect(await client.exec(batch, True), wanted)

    async def multi_key():
        names = [f"m{number}" for number in range(50)]
        expect(await client.mset({name: name for name in names}), "OK")
        expect(await client.mget([*names, "none"]), [name.encode() for name in names] + [None])
        expect(await client.exists([*names, "none"]), 50)
        expect(await client.delete(names), 50)

    async def binary_values():
        value = bytes(range(256)) * 4096
        expect(await client.set(b"\x00\xff\r\n", value), "OK")
        expect(await client.get(b"\x00\xff\r\n"), value)

    async def an_error():
        before = connections()
        await client.hset("hash", {"f": "v"})
        try:
            await client.incr("hash")
            raise AssertionError("a hash was counted up")
        except glide.RequestError as error:
            assert "wrong kind" in str(error), error
        expect(await client.get("none"), None)
        expect(connections(), before)

    async def reconnect():
        await client.set("r", "1")
        cut()
        expect(await third_time(lambda: client.get("r")), b"1")

    async def transactions():
        batch = glide.Batch(is_atomic=True).set("{t}a", "1").incr("{t}a").set("{t}b", "2")
        expect(await client.exec(batch, True), ["OK", 2, "OK"])

    async def watch():
        other = await glide.GlideClient.create(configuration())
        expect(await client.watch(["{w}a"]), "OK")
        await other.set("{w}a", "5")
        batch = glide.Batch(is_atomic=True).set("{w}a", "2")
        expect(await client.exec(batch, True), None)
        expect(await client.watch(["{w}a"]), "OK")
        expect(await client.exec(batch, True), ["OK"])
        await other.close()

    async def blocking_pops():
        other = await glide.GlideClient.create(configuration())
        expect(await other.blpop(["{b}none"], 0.2), None)
        waiting = asyncio.ensure_future(other.blpop(["{b}none", "{b}list"], 5))
        await asyncio.sleep(0.2)
        await client.rpush("{b}list", ["x"])
        expect(await waiting, [b"{b}list", b"x"])
        await other.close()

    async def publish_subscribe():
        subscriber = await glide.GlideClient.create(configuration())
        await subscriber.subscribe({"channel"}, 3000)
        await client.publish("x", "channel")
        message = await subscriber.get_pubsub_message()
        expect([message.channel, message.message], [b"channel", b"x"])
        await subscriber.close()

    async def scans():
        await client.mset({f"scan:{number}": "1" for number in range(300)})
        found, cursor = set(), b"0"
        while True:
            cursor, keys = await client.scan(cursor, match="scan:*", count=17)
            found.update(keys)
            if cursor == b"0":
                break
        expect(len(found), 300)

    async def scripts():
        double = glide.Script("return 2 * redis.call('GET', KEYS[1])")
        await client.set("two", "2")
        expect(await client.invoke_script(double, keys=["two"]), 4)
        expect(await client.invoke_script(double, keys=["two"]), 4)

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
    version(f"valkey-glide {importlib.metadata.version('valkey-glide')}")
    # It writes about lost connections by itself.
    glide.Logger.set_logger_config(glide.LogLevel.OFF)
    client = await glide.GlideClient.create(configuration())
    await sections(client)
    await client.close()


asyncio.run(main())
