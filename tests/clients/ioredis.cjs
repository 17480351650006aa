// ioredis through the proxy: node ioredis.cjs PORT PROTOCOL USER PASSWORD ('-' leaves one out).
'use strict';

const assert = require('node:assert/strict');
const Redis = require('ioredis');

async function main([port, protocol, user, password]) {
  const options = { host: '127.0.0.1', port: Number(port), retryStrategy: null, maxRetriesPerRequest: 0 };
  if (protocol !== '-') options.protocol = Number(protocol);
  if (user !== '-') options.username = user;
  if (password !== '-') options.password = password;
  const client = new Redis(options);
  client.on('error', (error) => {
    console.error(error);
    process.exit(1);
  });

  assert.equal(await client.ping(), 'PONG');
  assert.equal(await client.set('io:a', '1', 'EX', 100), 'OK');
  assert.equal(await client.get('io:a'), '1');
  assert.equal(await client.get('io:none'), null);
  assert.equal(await client.mset('io:b', '2', 'io:c', '3'), 'OK');
  const values = await client.mget('io:a', 'io:none', 'io:b', 'io:c');
  assert.deepEqual(values, ['1', null, '2', '3']);
  assert.equal(await client.hset('io:h', { f: 'v', g: 'w' }), 2);
  assert.deepEqual({ ...(await client.hgetall('io:h')) }, { f: 'v', g: 'w' });

  const pipeline = client.pipeline();
  const numbers = Array.from({ length: 100 }, (_, number) => number);
  for (const number of numbers) pipeline.set(`io:p${number}`, number).get(`io:p${number}`);
  const replies = await pipeline.exec();
  const wanted = numbers.flatMap((number) => [[null, 'OK'], [null, String(number)]]);
  assert.deepEqual(replies, wanted);

  await assert.rejects(client.incr('io:h'), /WRONGTYPE/);
  assert.equal(await client.del('io:a', 'io:b', 'io:c', 'io:h'), 4);
  assert.equal(await client.exists('io:a', 'io:b'), 0);

  // What the proxy says of itself.
  assert.match(await client.info('server', 'replication'), /\r\nrole:master\r\n/);
  assert.match(await client.client('LIST'), /^id=\d+ addr=127\.0\.0\.1:\d+ /);
  assert.equal((await client.command('INFO', 'get'))[0][0], 'get');
  assert.deepEqual(await client.role(), ['master', 0, []]);
  client.disconnect();
  console.log('ok', require('ioredis/package.json').version);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
