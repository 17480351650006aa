"""aiomcache."""

import asyncio
import importlib.metadata

import aiomcache
from sections import PORT, async_section, connections, cut, expect, version


async def sections(client):
    async def connect():
        assert await client.version()

    async def strings():
        expect(await client.set(b"s", b"1"), True)
        expect(await client.get(b"s"), b"1")
        expect(await client.incr(b"s", 41), 42)
        expect(await client.add(b"s", b"x"), False)
        expect(await client.append(b"s", b"0"), True)
        value, token = await client.gets(b"s")
        expect(value, b"420")
        expect(await client.cas(b"s", b"3", token), True)
        expect(await client.touch(b"s", 100), True)
        expect(await client.delete(b"s"), True)

    async def multi_key():
        names = [b"m%d" % number for number in range(100)]
        for name in names:
            await client.set(name, name)
        expect(list(await client.multi_get(*names, b"none")), [*names, None])

    async def binary_values():
        value = bytes(range(256)) * 2048
        expect(await client.set(b"b", value), True)
        expect(await client.get(b"b"), value)

    async def an_error():
        await client.set(b"word", b"x")
        before = connections()
        try:
            await client.incr(b"word", 1)
            raise AssertionError("a word was counted up")
        except aiomcache.ClientException as error:
            assert "non-numeric" in str(error), error
        expect(await client.get(b"word"), b"x")
        # The library closes the connection of an error itself.
        assert connections() - before <= 1

    async def reconnect():
        await client.set(b"r", b"1")
        cut()
        for attempt in range(3):
            try:
                expect(await client.get(b"r"), b"1")
                return
            except Exception:
                if attempt == 2:
                    raise

    for name, body in [
        ("connect", connect),
        ("strings", strings),
        ("multi-key", multi_key),
        ("binary values", binary_values),
        ("an error keeps the connection", an_error),
        ("reconnect", reconnect),
    ]:
        await async_section(name, body)


async def main():
    version(f"aiomcache {importlib.metadata.version('aiomcache')}")
    client = aiomcache.Client("127.0.0.1", PORT)
    await sections(client)
    await client.close()


asyncio.run(main())
