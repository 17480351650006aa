// node-redis through the proxy: node node_redis.cjs PORT PROTOCOL USER PASSWORD ('-' leaves one out).
'use strict';

const assert = require('node:assert/strict');
const { createClient } = require('redis');

async function main([port, protocol, user, password]) {
  const options = { socket: { host: '127.0.0.1', port: Number(port), reconnectStrategy: false } };
  if (protocol !== '-') options.RESP = Number(protocol);
  if (user !== '-') options.username = user;
  if (password !== '-') options.password = password;
  const client = createClient(options);
  client.on('error', () => {}); // connect() rejects with it
  await client.connect();

  assert.equal(await client.ping(), 'PONG');
  assert.equal(await client.set('node:a', '1', { EX: 100 }), 'OK');
  assert.equal(await client.get('node:a'), '1');
  assert.equal(await client.get('node:none'), null);
  assert.equal(await client.mSet({ 'node:b': '2', 'node:c': '3' }), 'OK');
  const values = await client.mGet(['node:a', 'node:none', 'node:b', 'node:c']);
  assert.deepEqual(values, ['1', null, '2', '3']);
  assert.equal(await client.hSet('node:h', { f: 'v', g: 'w' }), 2);
  assert.deepEqual({ ...(await client.hGetAll('node:h')) }, { f: 'v', g: 'w' });
  assert.equal(await client.zAdd('node:z', { score: 1.5, value: 'm' }), 1);
  assert.equal(await client.zScore('node:z', 'm'), 1.5);

  // Requests of one event loop iteration are sent as one pipeline.
  const numbers = Array.from({ length: 100 }, (_, number) => number);
  const replies = await Promise.all(
    numbers.flatMap((number) => [
      client.set(`node:p${number}`, String(number)),
      client.get(`node:p${number}`),
    ]),
  );
  assert.deepEqual(replies, numbers.flatMap((number) => ['OK', String(number)]));

  const transaction = client.multi().set('node:t', '1').incr('node:t').get('node:t').del('node:t');
  assert.deepEqual(await transaction.exec(), ['OK', 2, '2', 1]);

  await assert.rejects(client.incr('node:h'), /WRONGTYPE/);
  const all = ['node:a', 'node:b', 'node:c', 'node:h', 'node:z'];
  assert.equal(await client.del(all), 5);
  assert.equal(await client.exists(all), 0);

  // What the proxy says of itself.
  assert.match(await client.info('replication'), /\r\nrole:master\r\n/);
  const me = await client.clientInfo();
  assert.equal(me.user, 'default');
  assert.ok((await client.clientList()).some(({ id }) => id === me.id));
  assert.equal((await client.command()).length, await client.commandCount());
  const [get] = await client.commandInfo(['get']);
  assert.deepEqual([get.name, get.arity, get.firstKeyIndex], ['get', 2, 1]);
  assert.deepEqual({ ...(await client.configGet('databases')) }, { databases: '1' });
  assert.equal((await client.role()).role, 'master');
  assert.equal(await client.clientTracking(true, { OPTIN: true }), 'OK');
  await client.close();
  console.log('ok', require('redis/package.json').version);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
