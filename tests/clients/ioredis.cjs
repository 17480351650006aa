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

  const transaction = await client.multi().set('io:t', 1).incr('io:t').hget('io:t', 'f').del('io:t').exec();
  assert.deepEqual([transaction[0], transaction[1], transaction[3]], [[null, 'OK'], [null, 2], [null, 1]]);
  assert.match(transaction[2][0].message, /WRONGTYPE/);

  await client.watch('io:w');
  assert.deepEqual(await client.multi().set('io:w', 1).exec(), [[null, 'OK']]);
  await client.watch('io:w');
  await client.set('io:w', 2);
  assert.equal(await client.multi().set('io:w', 3).exec(), null);
  assert.equal(await client.getdel('io:w'), '2');

  await assert.rejects(client.incr('io:h'), /WRONGTYPE/);
  assert.equal(await client.del('io:a', 'io:b', 'io:c', 'io:h'), 4);
  assert.equal(await client.exists('io:a', 'io:b'), 0);

  // The keys of all servers, and scripts.
  const found = new Set();
  for await (const names of client.scanStream({ match: 'io:p*', count: 7 })) {
    names.forEach((name) => found.add(name));
  }
  assert.deepEqual([...found].sort(), numbers.map((number) => `io:p${number}`).sort());
  assert.ok((await client.dbsize()) >= 100);
  client.defineCommand('double', { numberOfKeys: 1, lua: "return 2 * redis.call('GET', KEYS[1])" });
  for (const number of [1, 2, 3, 40]) assert.equal(await client.double(`io:p${number}`), 2 * number);
  const sha = await client.script('LOAD', 'return ARGV[1]');
  assert.equal(await client.evalsha(sha, 1, 'io:p7', 'x'), 'x');

  // A worker takes jobs over a connection of its own, as queues of jobs do.
  const worker = client.duplicate();
  const taken = [];
  const work = (async () => {
    for (;;) {
      const [, job] = await worker.brpop('io:jobs', 10);
      if (job === 'stop') return;
      taken.push(job);
    }
  })();
  const jobs = Array.from({ length: 20 }, (_, number) => `job ${number}`);
  for (const job of [...jobs, 'stop']) await client.lpush('io:jobs', job);
  await work;
  assert.deepEqual(taken, jobs);
  assert.equal(await worker.blpop('io:none', 0.1), null);
  worker.disconnect();

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
