// ioredis, and iovalkey, which began as a copy of it.
'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { PORT, VARIANT, version, section, connections, cut, pause, thirdTime, run } = require('./sections.cjs');

const name = VARIANT || 'ioredis';
const Redis = require(name);

run(async () => {
  version(`${name} ${require(`${name}/package.json`).version}`);
  const client = new Redis(PORT);
  client.on('error', () => {});

  await section('connect', async () => assert.equal(await client.ping(), 'PONG'));

  await section('strings', async () => {
    assert.equal(await client.set('s', '1', 'EX', 100), 'OK');
    assert.equal(await client.incr('s'), 2);
    assert.equal(await client.get('s'), '2');
    assert.equal(await client.get('none'), null);
    assert.equal(await client.hset('h', { f: 'v', g: 'w' }), 2);
    assert.deepEqual({ ...(await client.hgetall('h')) }, { f: 'v', g: 'w' });
    assert.equal(await client.zadd('z', 1.5, 'm'), 1);
    assert.equal(Number(await client.zscore('z', 'm')), 1.5);
  });

  await section('pipelines', async () => {
    const pipeline = client.pipeline();
    const numbers = Array.from({ length: 500 }, (_, number) => number);
    for (const number of numbers) pipeline.set(`p${number}`, number).get(`p${number}`);
    const wanted = numbers.flatMap((number) => [[null, 'OK'], [null, String(number)]]);
    assert.deepEqual(await pipeline.exec(), wanted);
  });

  await section('multi-key', async () => {
    const names = Array.from({ length: 50 }, (_, number) => `m${number}`);
    assert.equal(await client.mset(Object.fromEntries(names.map((key) => [key, key]))), 'OK');
    assert.deepEqual(await client.mget(...names, 'none'), [...names, null]);
    assert.equal(await client.exists(...names, 'none'), 50);
    assert.equal(await client.del(...names.slice(25)), 25);
    assert.equal(await client.unlink(...names), 25);
  });

  await section('binary values', async () => {
    const value = Buffer.from(Array.from({ length: 1 << 18 }, (_, index) => index & 255));
    const key = Buffer.from([0, 255, 13, 10]);
    assert.equal(await client.set(key, value), 'OK');
    assert.deepEqual(await client.getBuffer(key), value);
    await client.set('empty', '');
    assert.equal(await client.get('empty'), '');
  });

  await section('an error keeps the connection', async () => {
    const before = await connections();
    await client.hset('hash', 'f', 'v');
    await assert.rejects(client.incr('hash'), /WRONGTYPE/);
    await assert.rejects(client.call('NOSUCHCOMMAND'), /unknown command/);
    await assert.rejects(client.call('GET'), /wrong number of arguments/);
    assert.equal(await client.get('none'), null);
    assert.equal(await connections(), before);
  });

  await section('reconnect', async () => {
    await client.set('r', '1');
    await cut();
    assert.equal(await thirdTime(() => client.get('r')), '1');
  });

  await section('transactions', async () => {
    const replies = await client.multi().set('{t}a', 1).incr('{t}a').hget('{t}a', 'f').set('{t}b', 2).exec();
    assert.deepEqual([replies[0], replies[1], replies[3]], [[null, 'OK'], [null, 2], [null, 'OK']]);
    assert.match(replies[2][0].message, /WRONGTYPE/);
    await client.multi({ pipeline: false });
    assert.equal(await client.get('{t}b'), 'QUEUED');
    assert.deepEqual(await client.exec(), [[null, '2']]);
  });

  await section('watch', async () => {
    const watcher = new Redis(PORT);
    await watcher.set('{w}a', 1);
    await watcher.watch('{w}a');
    await client.set('{w}a', 5);
    assert.equal(await watcher.multi().set('{w}a', 2).exec(), null);
    await watcher.watch('{w}a');
    assert.deepEqual(await watcher.multi().set('{w}a', 2).exec(), [[null, 'OK']]);
    watcher.disconnect();
  });

  await section('blocking pops', async () => {
    const popper = new Redis(PORT);
    popper.on('error', () => {});
    assert.equal(await popper.blpop('{b}none', 1), null);
    const waiting = popper.blpop('{b}none', '{b}list', 5);
    await pause(200);
    await client.rpush('{b}list', 'x', 'y');
    assert.deepEqual(await waiting, ['{b}list', 'x']);
    assert.equal(await popper.blmove('{b}list', '{b}other', 'LEFT', 'RIGHT', 5), 'y');
    await client.xgroup('CREATE', 'stream', 'group', '0', 'MKSTREAM');
    await client.xadd('stream', '*', 'f', 'v');
    assert.ok(await popper.xreadgroup('GROUP', 'group', 'me', 'BLOCK', 2000, 'STREAMS', 'stream', '>'));
    popper.disconnect();
  });

  await section('publish/subscribe', async () => {
    const subscriber = new Redis(PORT);
    subscriber.on('error', () => {});
    assert.equal(await subscriber.subscribe('channel', 'other'), 2);
    assert.equal(await subscriber.psubscribe('chan*'), 3);
    const messages = [once(subscriber, 'message'), once(subscriber, 'pmessage')];
    await client.publish('channel', 'x');
    assert.deepEqual(await Promise.all(messages), [['channel', 'x'], ['chan*', 'channel', 'x']]);
    assert.equal(await subscriber.unsubscribe('channel'), 2);
    subscriber.disconnect();
  });

  await section('scans', async () => {
    for (let number = 0; number < 300; number += 1) client.set(`scan:${number}`, 1);
    const found = new Set();
    for await (const keys of client.scanStream({ match: 'scan:*', count: 17 })) keys.forEach((key) => found.add(key));
    assert.equal(found.size, 300);
    assert.equal((await client.keys('scan:*')).length, 300);
  });

  await section('scripts', async () => {
    assert.deepEqual(await client.eval('return {KEYS[1], ARGV[1]}', 1, 'k', 'a'), ['k', 'a']);
    client.defineCommand('double', { numberOfKeys: 1, lua: "return 2 * redis.call('GET', KEYS[1])" });
    await client.set('two', 2);
    assert.equal(await client.double('two'), 4);
    assert.equal(await client.double('two'), 4);
    assert.deepEqual(await client.pipeline().double('two').double('two').exec(), [[null, 4], [null, 4]]);
  });
});
