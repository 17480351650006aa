// ioredis and refused commands: node ioredis_refused.cjs PORT PROTOCOL USER PASSWORD ('-' leaves one out).
'use strict';

const assert = require('node:assert/strict');
const Redis = require('ioredis');

function connect([port, protocol, user, password], more) {
  const options = { host: '127.0.0.1', port: Number(port), retryStrategy: null, maxRetriesPerRequest: 0, ...more };
  if (protocol !== '-') options.protocol = Number(protocol);
  if (user !== '-') options.username = user;
  if (password !== '-') options.password = password;
  const client = new Redis(options);
  // The library reports a refused SELECT only like this, and continues.
  client.on('error', () => {});
  return client;
}

async function main(args) {
  const client = connect(args, {});
  const other = connect(args, { db: 1 });
  const why = /not executed: the SELECT 1 before it was refused/;
  await assert.rejects(other.set('refused:k', 'x'), why);
  await assert.rejects(other.get('refused:k'), why);
  assert.equal(await client.get('refused:k'), null);

  assert.equal(await client.incr('refused:c'), 1);
  assert.equal(await client.del('refused:c'), 1);
  client.disconnect();
  other.disconnect();
  console.log('ok', require('ioredis/package.json').version);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
