// node-redis.
'use strict';

const assert = require('node:assert/strict');
const redis = require('redis');
const { PORT, version, section, connections, cut, pause, thirdTime, run } = require('./sections.cjs');

run(async () => {
  version(`node-redis ${require('redis/package.json').version}`);
  const client = redis.createClient({ url: `redis://127.0.0.1:${PORT}` });
  client.on('error', () => {});
  await section('connect', async () => {
    await client.connect();
    assert.equal(await client.ping(), 'PONG');
  });

  await section('strings', async () => {
    assert.equal(await client.set('s', '1', { EX: 100 }), 'OK');
    assert.equal(await client.incr('s'), 2);
    assert.equal(await client.get('s'), '2');
    assert.equal(await client.get('none'), null);
    assert.equal(await client.hSet('h', { f: 'v', g: 'w' }), 2);
    assert.deepEqual({ ...(await client.hGetAll('h')) }, { f: 'v', g: 'w' });
    assert.equal(await client.zAdd('z', { score: 1.5, value: 'm' }), 1);
    assert.equal(await client.zScore('z', 'm'), 1.5);
  });

  await section('pipelines', async () => {
    // What is asked for in one turn of the event loop goes out together.
    const numbers = Array.from({ length: 500 }, (_, number) => number);
    const replies = numbers.flatMap((number) => [client.set(`p${number}`, String(number)), client.get(`p${number}`)]);
    assert.deepEqual(await Promise.all(replies), numbers.flatMap((number) => ['OK', String(number)]));
    const pipeline = client.multi();
    for (const number of numbers) pipeline.get(`p${number}`);
    assert.deepEqual(await pipeline.execAsPipeline(), numbers.map(String));
  });

  await section('multi-key', async () => {
    const names = Array.from({ length: 50 }, (_, number) => `m${number}`);
    assert.equal(await client.mSet(Object.fromEntries(names.map((key) => [key, key]))), 'OK');
    assert.deepEqual(await client.mGet([...names, 'none']), [...names, null]);
    assert.equal(await client.exists([...names, 'none']), 50);
    assert.equal(await client.del(names.slice(25)), 25);
    assert.equal(await client.unlink(names), 25);
  });

  await section('binary values', async () => {
    const value = Buffer.from(Array.from({ length: 1 << 18 }, (_, index) => index & 255));
    const key = Buffer.from([0, 255, 13, 10]);
    assert.equal(await client.set(key, value), 'OK');
    const binary = client.withTypeMapping({ [redis.RESP_TYPES.BLOB_STRING]: Buffer });
    assert.deepEqual(await binary.get(key), value);
    await client.set('empty', '');
    assert.equal(await client.get('empty'), '');
  });

  await section('an error keeps the connection', async () => {
    const before = await connections();
    await client.hSet('hash', 'f', 'v');
    await assert.rejects(client.incr('hash'), /WRONGTYPE/);
    await assert.rejects(client.sendCommand(['NOSUCHCOMMAND']), /unknown command/);
    await assert.rejects(client.sendCommand(['GET']), /wrong number of arguments/);
    assert.equal(await client.get('none'), null);
    assert.equal(await connections(), before);
  });

  await section('reconnect', async () => {
    await client.set('r', '1');
    await cut();
    assert.equal(await thirdTime(() => client.get('r')), '1');
  });

  await section('transactions', async () => {
    assert.deepEqual(await client.multi().set('{t}a', '1').incr('{t}a').set('{t}b', '2').exec(), ['OK', 2, 'OK']);
    const failing = client.multi().hGet('{t}a', 'f').incr('{t}a').exec();
    await assert.rejects(failing, (error) => /WRONGTYPE/.test(error.replies[0].message) && error.replies[1] === 3);
  });

  await section('watch', async () => {
    const watcher = client.duplicate();
    watcher.on('error', () => {});
    await watcher.connect();
    await watcher.set('{w}a', '1');
    await watcher.watch('{w}a');
    await client.set('{w}a', '5');
    await assert.rejects(watcher.multi().set('{w}a', '2').exec(), redis.WatchError);
    await watcher.watch('{w}a');
    assert.deepEqual(await watcher.multi().set('{w}a', '2').exec(), ['OK']);
    watcher.destroy();
  });

  await section('blocking pops', async () => {
    const popper = client.duplicate();
    popper.on('error', () => {});
    await popper.connect();
    assert.equal(await popper.blPop('{b}none', 1), null);
    const waiting = popper.blPop(['{b}none', '{b}list'], 5);
    await pause(200);
    await client.rPush('{b}list', ['x', 'y']);
    assert.deepEqual({ ...(await waiting) }, { key: '{b}list', element: 'x' });
    assert.equal(await popper.blMove('{b}list', '{b}other', 'LEFT', 'RIGHT', 5), 'y');
    await client.xGroupCreate('stream', 'group', '0', { MKSTREAM: true });
    await client.xAdd('stream', '*', { f: 'v' });
    assert.ok(await popper.xReadGroup('group', 'me', { key: 'stream', id: '>' }, { BLOCK: 2000 }));
    popper.destroy();
  });

  await section('publish/subscribe', async () => {
    const subscriber = client.duplicate();
    subscriber.on('error', () => {});
    await subscriber.connect();
    const got = [];
    await subscriber.subscribe('channel', (message, channel) => got.push(`${channel} ${message}`));
    await subscriber.pSubscribe('chan*', (message, channel) => got.push(`pattern ${channel} ${message}`));
    await client.publish('channel', 'x');
    for (let wait = 0; wait < 100 && got.length < 2; wait += 1) await pause(50);
    assert.deepEqual(got.sort(), ['channel x', 'pattern channel x']);
    await subscriber.unsubscribe('channel');
    subscriber.destroy();
  });

  await section('scans', async () => {
    await Promise.all(Array.from({ length: 300 }, (_, number) => client.set(`scan:${number}`, '1')));
    const found = new Set();
    for await (const keys of client.scanIterator({ MATCH: 'scan:*', COUNT: 17 })) keys.forEach((key) => found.add(key));
    assert.equal(found.size, 300);
    assert.equal((await client.keys('scan:*')).length, 300);
  });

  await section('scripts', async () => {
    assert.deepEqual(await client.eval('return {KEYS[1], ARGV[1]}', { keys: ['k'], arguments: ['a'] }), ['k', 'a']);
    const sha = await client.scriptLoad("return 2 * redis.call('GET', KEYS[1])");
    await client.set('two', '2');
    assert.equal(await client.evalSha(sha, { keys: ['two'] }), 4);
  });
});
