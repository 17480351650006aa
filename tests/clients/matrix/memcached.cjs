// memcached of npm.
'use strict';

const assert = require('node:assert/strict');
const { promisify } = require('node:util');
const Memcached = require('memcached');
const { PORT, version, section, connections, cut, thirdTime, run } = require('./sections.cjs');

run(async () => {
  version(`memcached ${require('memcached/package.json').version}`);
  const client = new Memcached(`127.0.0.1:${PORT}`);
  const call = (name, ...words) => promisify(client[name].bind(client))(...words);

  await section('connect', async () => assert.ok(await call('version')));

  await section('strings', async () => {
    assert.equal(await call('set', 's', '1', 100), true);
    assert.equal(await call('get', 's'), '1');
    assert.equal(await call('incr', 's', 41), 42);
    assert.equal(await call('append', 's', '0'), true);
    const { cas, s } = await call('gets', 's');
    assert.equal(s, '420');
    assert.equal(await call('cas', 's', 'x', cas, 100), true);
    assert.equal(await call('touch', 's', 100), true);
    assert.equal(await call('del', 's'), true);
    assert.equal(await call('get', 's'), undefined);
  });

  await section('multi-key', async () => {
    const names = Array.from({ length: 100 }, (_, number) => `m${number}`);
    await Promise.all(names.map((name) => call('set', name, name, 100)));
    const wanted = Object.fromEntries(names.map((name) => [name, name]));
    assert.deepEqual({ ...(await call('getMulti', [...names, 'none'])) }, wanted);
  });

  await section('binary values', async () => {
    const value = Buffer.from(Array.from({ length: 1 << 18 }, (_, index) => index & 255));
    assert.equal(await call('set', 'b', value, 100), true);
    assert.deepEqual(await call('get', 'b'), value);
  });

  await section('an error keeps the connection', async () => {
    await call('set', 'word', 'x', 100);
    const before = await connections();
    await assert.rejects(call('incr', 'word', 1), /non-numeric/);
    assert.equal(await call('get', 'word'), 'x');
    assert.equal(await connections(), before);
  });

  await section('reconnect', async () => {
    await call('set', 'r', '1', 100);
    await cut();
    assert.equal(await thirdTime(() => call('get', 'r')), '1');
  });
});
