// ioredis subscribes: node ioredis_pubsub.cjs PORT PROTOCOL USER PASSWORD ('-' leaves one out).
'use strict';

const assert = require('node:assert/strict');
const Redis = require('ioredis');

function connect([port, protocol, user, password]) {
  const options = { host: '127.0.0.1', port: Number(port), retryStrategy: null, maxRetriesPerRequest: 0 };
  if (protocol !== '-') options.protocol = Number(protocol);
  if (user !== '-') options.username = user;
  if (password !== '-') options.password = password;
  const client = new Redis(options);
  client.on('error', (error) => {
    console.error(error);
    process.exit(1);
  });
  return client;
}

async function until(question) {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    if (question()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('waited in vain');
}

async function main(args) {
  const subscriber = connect(args);
  const publisher = connect(args);
  const names = Array.from({ length: 20 }, (_, number) => `io:${number}`);
  const heard = [];
  const matched = [];
  subscriber.on('message', (channel, text) => heard.push([channel, text]));
  subscriber.on('pmessage', (pattern, channel, text) => matched.push([pattern, channel, text]));
  assert.equal(await subscriber.subscribe(...names), 20);
  assert.equal(await subscriber.psubscribe('io:*'), 21);
  for (const name of names) assert.ok((await publisher.publish(name, `hello ${name}`)) >= 1);
  await until(() => heard.length === 20 && matched.length === 20);
  assert.deepEqual(heard.toSorted(), names.map((name) => [name, `hello ${name}`]).toSorted());
  assert.deepEqual(new Set(matched.map(([pattern]) => pattern)), new Set(['io:*']));

  heard.length = 0;
  const pipeline = publisher.pipeline();
  for (let number = 0; number < 1000; number += 1) pipeline.publish('io:0', String(number));
  await pipeline.exec();
  await until(() => heard.length === 1000);
  assert.deepEqual(heard.map(([, text]) => Number(text)), Array.from({ length: 1000 }, (_, number) => number));

  // Its type depends on the version of the protocol, with a server, too.
  assert.match(String(await subscriber.ping()), /^pong/i);
  assert.equal(await subscriber.unsubscribe('io:0'), 20);
  assert.equal(await subscriber.punsubscribe('io:*'), 19);
  assert.equal(await subscriber.unsubscribe(...names.slice(1)), 0);
  assert.equal(await subscriber.set('io:after', '1'), 'OK');
  assert.equal(await publisher.del('io:after'), 1);
  subscriber.disconnect();
  publisher.disconnect();
  console.log('ok', require('ioredis/package.json').version);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
