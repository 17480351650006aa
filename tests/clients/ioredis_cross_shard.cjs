// ioredis and keys of several servers: node ioredis_cross_shard.cjs PORT PROTOCOL USER PASSWORD ('-' leaves one out).
'use strict';

const assert = require('node:assert/strict');
const Redis = require('ioredis');

// As libraries of job queues do: each of three keys belongs to the same job.
const SCRIPT = "for _, key in ipairs(KEYS) do redis.call('SET', key, 'lost') end return #KEYS";

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
  client.defineCommand('addJob', { lua: SCRIPT, numberOfKeys: 3 });

  // Of any ten such names, some are on other servers than the rest.
  let refused = 0;
  for (let job = 0; job < 10; job += 1) {
    const keys = ['wait', 'meta', 'events'].map((part) => `io:cross:${job}:${part}`);
    try {
      assert.equal(await client.addJob(...keys), 3);
      assert.deepEqual(await client.mget(...keys), ['lost', 'lost', 'lost']);
    } catch (error) {
      assert.match(error.message, /^CROSSSLOT /);
      assert.deepEqual(await client.mget(...keys), [null, null, null]);
      refused += 1;
    }
  }
  assert.ok(refused > 0);
  const keys = Array.from({ length: 10 }, (_, number) => `${number}:io:cross:multi:${'x'.repeat(number)}`);
  const transaction = client.multi();
  for (const key of keys) transaction.set(key, 'lost');
  await assert.rejects(transaction.exec(), /EXECABORT/);
  assert.deepEqual(await client.mget(...keys), keys.map(() => null));
  await assert.rejects(client.sort('io:cross:list', 'BY', 'io:cross:w_*'), /^ReplyError: CROSSSLOT BY and GET /);
  assert.match(await client.client('INFO'), / cross-shard=error\n/);
  client.disconnect();
  console.log('ok', require('ioredis/package.json').version);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
